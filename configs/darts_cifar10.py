"""DARTS of first order on CIFAR-10 under a policy that was found before, each number with its source.

The second half of the joint-search paper's baseline: Faster AutoAugment alone (configs/faster_aa_cifar10.py), then
DARTS under its policy: --search=WORKDIR of that search. Liu et al., DARTS; Kashima et al., Joint Search of Data
Augmentation Policies and Network Architectures ("joint"). ':epochs25' after the file name is its shorter search,
':second' DARTS of second order, ':smoke' tries it out. Without a policy: --config.policy.name=standard. For CIFAR-100:
--config.data.name=tfds:cifar100; for SVHN: tfds:svhn_cropped.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; 'epochs25' searches for 25 epochs, 'second' is DARTS of second order, 'smoke' a few steps."""
  if variant not in ('', 'epochs25', 'second', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'epochs25', 'second' or 'smoke' (FILE.py:smoke)")
  config = search_config('darts')
  config.policy.name = 'searched'  # of the training images: that of --search (joint)

  config.arch.eigenvalue_every = 5  # epochs between two measurements of the dominant eigenvalue (choice)
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  if variant == 'epochs25':
    config.search.epochs = 25
  if variant == 'second':
    config.search.second_term = 'darts'  # Eq. 7 of DARTS
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
  config.arch.eigenvalue_every = 2  # epochs
