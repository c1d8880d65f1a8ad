"""Faster AutoAugment alone on CIFAR-10, the joint search's baseline, each number with its source.

Hataya et al., Faster AutoAugment; where the joint search's paper ("joint") says nothing, the numbers are its code's.
':smoke' after the file name tries it out. For CIFAR-100: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('faster_aa')
  config.data.val_fraction = 0.1  # share of them that is D_val, only looked at (choice)
  config.search.epochs = 20  # of D_train (joint)
  config.search.batch = 128  # images of D_train a step, half of them augmented (Faster AutoAugment code)
  config.preprocess.cutout = 16  # side of the square in pixels, after the policy (joint; size: DARTS code)
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, operation and file of the search, on 80 images and a network that compiles in seconds."""
  config.data.n_train = 80  # images
  config.data.n_test = 10  # images
  config.data.val_fraction = 0.5  # as many images of D_val as of D_train in a step
  config.network.depth = 10  # one block a stage
  config.network.width = 1
  config.search.epochs = 2
  config.search.batch = 20  # images: 2 steps an epoch
  config.log.every_steps = 1
