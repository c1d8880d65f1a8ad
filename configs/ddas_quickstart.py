"""DDAS in a few minutes on 2 CPU cores: a policy for every epoch, on a small network and the packaged Fashion-MNIST."""

from daas_jax.config import search_config


def get_config():
  config = search_config('ddas')
  config.data.name = 'embedded'       # 4,000 training images of 28 x 28 x 1, halved into D_train and D_val
  config.preprocess.padding = 2       # pixels, of 28 x 28
  config.network.name = 'wrn_40_2'
  config.network.depth = 10           # WRN-10-1
  config.network.width = 1
  config.search.epochs = 5
  config.search.batch = 32            # images of D_train a step, and as many of D_val
  config.theta.lr = 0.1
  config.gamma.lr = 0.05              # a short search: larger steps than the paper's 0.005 and 0.001
  config.gamma.lr_total = 0.02
  config.log.every_steps = 20
  return config
