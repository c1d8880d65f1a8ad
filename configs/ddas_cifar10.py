"""DDAS on CIFAR-10 (DDAS 4.2), each number with its source: a policy for every epoch, found on WRN-40-2.

To train under it: configs/train_wrn_28_10.py or train_shake_shake.py with --search=WORKDIR. ':supernet' after the file
name searches on DAAS's supernet instead, a path drawn uniformly each step (no paper has that); ':smoke' and
':supernet_smoke' try both out. For CIFAR-100, with the same numbers: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'supernet' is on the supernet, '..smoke' the same code path in a handful of steps."""
  if variant not in ('', 'smoke', 'supernet', 'supernet_smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'supernet', 'smoke' or 'supernet_smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.data.n_train = 4000  # training images used: 2,000 to train on and 2,000 to validate (DDAS 4.2)
  config.network.name = 'wrn_40_2'  # WRN-40-2, fixed (DDAS 4.2)
  config.search.epochs = 20  # of D_train (DDAS 4.2)
  config.search.batch = 32  # images of D_train a step (DDAS 4.2)
  config.search.val_batches = 8  # times 32 images of D_val a step: 256 (DDAS 4.2)
  config.preprocess.cutout = 16  # side of the square in pixels (DDAS code)
  config.preprocess.policy_first = True  # the policy before crop and flip (DDAS code)
  config.theta.lr = 0.32  # SGD, at the start (DDAS code: 0.01 on the loss summed over 32 images)
  config.theta.lr_min = 0.0  # at the end, cosine between (DDAS code)
  config.theta.momentum = 0.0  # (DDAS code)
  config.theta.weight_decay = 0.0  # L2 (DDAS code)
  config.theta.clip = 0.0  # no clipping (DDAS code)
  if variant.startswith('supernet'):
    _supernet(config)
  if variant.endswith('smoke'):
    _smoke(config)
  return config


def _supernet(config):
  """DDAS on the supernet of DAAS: 8 cells of 16 channels, as above, the weights trained as DAAS trains them."""
  config.network.name = 'supernet'  # a path a step, drawn uniformly (choice)
  config.theta = search_config('ddas').theta  # the keys' own (DARTS code)


def _smoke(config):
  """Every phase, sampling and file of the search, on 80 images and a network that compiles in seconds."""
  config.data.n_train = 80  # images
  config.data.n_test = 10  # images
  config.theta.lr = 0.025  # 0.32 is for a whole network
  if config.network.name == 'supernet':
    config.network.layers = 3  # cells: one normal, two reductions
    config.network.channels = 4
    config.network.primitives = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3')  # fewer to compile
  else:
    config.network.depth = 10  # one block a stage
    config.network.width = 1
  config.search.epochs = 2
  config.search.batch = 20  # images: 2 steps an epoch
  config.search.val_batches = 2
  config.log.every_steps = 1
