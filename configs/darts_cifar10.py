"""DARTS of first order on CIFAR-10 as in its own paper, each number with its source.

One half of the joint-search paper's baseline; the other is Faster AutoAugment alone (configs/faster_aa_cifar10.py), and
its policy meets the architecture in the training (train --policy_search=WORKDIR). Liu et al., DARTS; Kashima et al.,
Joint Search of Data Augmentation Policies and Network Architectures ("joint"). ':under_policy' after the file name
searches under that policy as well (--search=WORKDIR), ':epochs25' is the shorter search, ':second' DARTS of second
order, ':smoke' tries it out. For CIFAR-100: --config.data.name=tfds:cifar100; for SVHN: tfds:svhn_cropped.
"""

from daas_jax.config import search_config

VARIANTS = ('', 'under_policy', 'epochs25', 'second', 'smoke')


def get_config(variant=''):
  """The search config of a variant (top of this file)."""
  if variant not in VARIANTS:
    raise ValueError(f"unknown variant {variant!r}: choose one of {', '.join(map(repr, VARIANTS[1:]))} (FILE.py:smoke)")
  config = search_config('darts')
  config.arch.eigenvalue_every = 5  # epochs between two measurements of the dominant eigenvalue (choice)
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  if variant == 'under_policy':
    config.policy.name = 'searched'  # of the training images: that of --search (choice)
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
