"""The DAAS search on CIFAR-10 (DAAS 5): its numbers are the defaults of the keys, which have their sources
(daas_jax/methods/daas.py, optimizers.py and keys.py). ':smoke' after the file name tries it out."""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config()
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, sampling and file of the search, on 64 images."""
  config.data.n_train = 64  # images
  config.data.n_test = 10  # images
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.network.primitives = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3')  # fewer to compile
  config.search.epochs = 2
  config.search.warmup_epochs = 1
  config.search.batch = 16  # images: 2 steps an epoch
  config.search.n_arch = 2
  config.search.n_aug = 2
  config.search.n_w = 2
  config.log.every_steps = 1
