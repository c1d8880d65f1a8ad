"""The gradient laboratory in a few minutes on 2 CPU cores: a small network halfway through its warm-up."""

from daas_jax.config import gradcheck_config


def get_config():
  config = gradcheck_config()
  config.data.name = 'embedded'      # 4,000 training images of 28 x 28 x 1, halved into D_train and D_val
  config.network.layers = 5          # cells
  config.network.channels = 8        # of the first cell
  config.policy.share = 'slot'
  config.search.epochs = 4
  config.search.warmup_epochs = 2
  config.search.batch = 32           # images of D_train and of D_val
  config.search.n_arch = 2
  config.search.n_w = 2
  config.theta.lr = 0.05
  config.arch.lr = 0.01
  config.gamma.lr = 0.02
  config.log.every_steps = 20
  config.policy.ops = ('Rotate', 'Solarize', 'Brightness', 'Cutout')  # (4 (1 + 3)) ** 2 = 256 policies
  config.policy.levels = 3
  config.lab.step = 62               # of 248: one of the two epochs of warm-up
  config.lab.draws = 32              # of every estimator
  return config
