"""The joint DARTS and Faster AutoAugment search in a few minutes on 2 CPU cores, on the packaged images."""

from daas_jax.config import search_config


def get_config():
  config = search_config('joint_faa')
  config.data.name = 'embedded'      # 4,000 training images of 28 x 28 x 1, halved into D_train and D_val
  config.preprocess.padding = 2      # pixels, of 28 x 28
  config.network.layers = 3          # cells: normal, reduction, reduction; dense, all 8 operations on all 14 edges
  config.network.channels = 4        # of the first cell
  config.search.epochs = 3
  config.search.batch = 32           # images of D_train and of D_val a step
  config.theta.lr = 0.05             # a short search: larger steps throughout
  config.arch.lr = 0.01
  config.gamma.lr = 0.01
  config.log.every_steps = 20
  return config
