"""The joint search of DARTS and Faster AutoAugment on CIFAR-10, each number with its source.

Kashima et al., Joint Search of Data Augmentation Policies and Network Architectures ("joint"); what it does not say is
DARTS's and Faster AutoAugment's code. ':epochs25' after the file name is its shorter search, ':smoke' tries it out. For
CIFAR-100: --config.data.name=tfds:cifar100; for SVHN: tfds:svhn_cropped.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'epochs25' searches for 25 epochs, 'smoke' is the same code path in a few steps."""
  if variant not in ('', 'epochs25', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'epochs25' or 'smoke' (FILE.py:smoke)")
  config = search_config('joint_faa')
  config.gamma.lr = 1e-3  # Adam, of z, p and mu (Faster AutoAugment code)
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  if variant == 'epochs25':
    config.search.epochs = 25
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, operation and file of the search, on 64 images."""
  config.data.n_train = 64  # images
  config.data.n_test = 10  # images
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.network.primitives = ('none', 'max_pool_3x3', 'skip_connect', 'sep_conv_3x3')  # fewer to compile
  config.search.epochs = 2
  config.search.batch = 16  # images: 2 steps an epoch
  config.log.every_steps = 1
