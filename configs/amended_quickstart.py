"""Amended-DARTS in a few minutes on 2 CPU cores, on the packaged images."""

from daas_jax.config import search_config


def get_config():
  config = search_config('amended_darts')
  config.data.name = 'embedded'      # Fashion-MNIST, 28 x 28 x 1
  config.data.n_train = 1600         # images, halved into D_train and D_val
  config.preprocess.padding = 2      # pixels, of 28 x 28
  config.network.layers = 3          # cells: normal, reduction, reduction
  config.network.channels = 4        # of the first cell
  config.network.edges = 'fixed'     # 8 edges, as in the paper's S1
  config.network.primitives = ('max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_3x3')
  config.search.epochs = 4
  config.search.batch = 32           # images of D_train and of D_val a step
  config.theta.lr = 0.05             # a short search: larger steps throughout
  config.arch.lr = 0.01
  config.arch.eigenvalue_every = 2   # epochs between two measurements
  config.log.every_steps = 20
  return config
