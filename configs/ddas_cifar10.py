"""DDAS on CIFAR-10 with the paper's numbers (DDAS 4.2): a policy for every epoch, on WRN-40-2.

To train under it: configs/train_wrn_28_10.py or train_shake_shake.py with --search=WORKDIR.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.data.name = 'tfds:cifar10'
  config.data.n_train = 4000  # 2,000 images to train on and 2,000 to validate
  config.network.name = 'wrn_40_2'
  config.search.epochs = 20
  config.search.batch = 32
  config.search.val_batches = 8  # 256 images
  config.search.n_policies = 3
  config.theta.lr = 0.1  # choice: of WRN-40-2 in the Fast AutoAugment code; the paper says nothing
  config.theta.lr_min = 0.0
  config.gamma.lr = 5e-3  # of alpha_o (DDAS code)
  config.gamma.lr_total = 1e-3  # of alpha_tp (DDAS code)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase of the search, in 4 steps of a small network."""
  config.data.name = 'embedded'
  config.data.n_train = 80
  config.network.depth = 10
  config.network.width = 1
  config.policy.candidates = ('Rotate:0.6', 'Invert')  # fewer to compile
  config.search.epochs = 2
  config.search.batch = 20
  config.search.val_batches = 2
  config.log.every_steps = 1
