"""DDAS's check of itself (DDAS 4.1): the validation images are turned by 90 degrees, so Rotate90 must become dominant.

As in the paper Rotate90 stands in for Rotate and every operation has one magnitude. A policy is one operation: two
turns would be one of 180 degrees. The figure is that of `python -m daas_jax.report`.
"""

from daas_jax.config import search_config
from daas_jax.policies import candidates as candidates_lib

LEVEL = 10  # of 0, 2, 10 and 14 in DDAS's list


def get_config():
  config = search_config('ddas')
  config.data.name = 'embedded'       # 4,000 training images of 28 x 28 x 1, halved into D_train and D_val
  config.data.validation_turns = 1
  config.network.name = 'small_cnn'
  config.network.channels = 8
  config.policy.candidates = tuple(dict.fromkeys(
      str(c._replace(strength=candidates_lib.strength_of(c.op, LEVEL))) for c in candidates_lib.published() if c.op != 'Rotate'
  )) + ('Rotate90',)
  config.policy.K = 1
  config.search.epochs = 10
  config.search.batch = 32
  config.theta.lr = 0.05
  config.theta.lr_min = 0.05
  config.gamma.lr = 0.03
  config.gamma.lr_total = 0.03
  config.log.every_steps = 31
  return config
