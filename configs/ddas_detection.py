"""DDAS on object detection in a few minutes on 2 CPU cores: objects of the packaged Fashion-MNIST in scenes of noise.

The summary ends with the average precision of the search's own network on test scenes (detection.json). ':smoke' after
the file name tries it out.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.data.name = 'scenes:embedded'  # 1 to 3 objects at random places, composed from the seed
  config.data.n_train = 1000          # scenes, halved into D_train and D_val
  config.data.n_test = 200            # scenes that average precision is measured on
  config.data.side = 48               # pixels; an object has up to 28
  config.data.objects = 3
  config.preprocess.padding = 0       # mirroring alone: nothing else moves boxes before the policy
  config.network.name = 'anchor_free'
  config.network.depth = 4            # residual convolutions
  config.network.width = 32           # channels
  config.search.epochs = 30
  config.search.batch = 10            # scenes of D_train a step, and as many of D_val
  config.theta.lr = 0.03
  config.gamma.lr = 0.01              # a short search: larger steps than the published 0.005 and 0.001
  config.gamma.lr_total = 0.005
  if variant == 'smoke':
    config.data.n_train = 24
    config.data.n_test = 8
    config.network.depth = 1
    config.network.width = 8
    config.search.epochs = 2
    config.search.batch = 4
    config.log.every_steps = 1
  return config
