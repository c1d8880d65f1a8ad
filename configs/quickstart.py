"""DAAS in a few minutes on 2 CPU cores: a small supernet on the packaged Fashion-MNIST images."""

from daas_jax.config import search_config


def get_config():
  config = search_config()
  config.data.name = 'embedded'      # 4,000 training images of 28 x 28 x 1, halved into D_train and D_val
  config.network.layers = 5          # cells: normal, reduction, normal, reduction, normal
  config.network.channels = 8        # of the first cell
  config.policy.share = 'slot'       # 2 x 15 instead of 15 x 15 x 2 tables of p and delta: this search is short
  config.search.epochs = 4
  config.search.warmup_epochs = 2
  config.search.batch = 32           # images of D_train and of D_val a step
  config.search.n_arch = 2           # architectures in Eq. 9 and 13
  config.search.n_w = 2              # architectures in Eq. 14
  config.theta.lr = 0.05             # a short search: larger steps throughout
  config.arch.lr = 0.01
  config.gamma.lr = 0.02
  config.log.every_steps = 20
  return config
