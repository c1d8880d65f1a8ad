"""The policy search of DAAS Table 5, on a fixed WRN-40-2 and CIFAR-10 or -100, each number with its source.

The paper gives no settings of its own for it. Here are those of its joint search, without an architecture; the network
of the search, and theta's learning rate and decay, are DADA's. ':cifar100' after the file name is the other set,
':smoke' tries it out.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config of CIFAR-10 or of CIFAR-100; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'cifar100', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'cifar100' or 'smoke' (FILE.py:cifar100)")
  config = search_config()
  config.network.name = 'wrn_40_2'  # WRN-40-2, fixed (DADA)
  config.search.n_w = 1  # gradients in Eq. 14: of one fixed network (choice; DAAS 4.2 has 10 architectures)
  config.theta.lr = 0.05  # SGD, at the start, for this batch (DADA code: 0.4 for 512)
  config.theta.weight_decay = 2e-4  # L2 (DADA code)
  if variant == 'cifar100':
    config.data.name = 'tfds:cifar100'
    config.theta.weight_decay = 5e-4  # L2 (DADA code)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, sampling and file of the search, on 64 images and a network that compiles in seconds."""
  config.data.n_train = 64  # images
  config.data.n_test = 10  # images
  config.network.depth = 10  # one block a stage
  config.network.width = 1
  config.search.epochs = 2
  config.search.warmup_epochs = 1
  config.search.batch = 16  # images: 2 steps an epoch
  config.search.n_arch = 2
  config.search.n_aug = 2
  config.search.n_w = 2
  config.log.every_steps = 1
