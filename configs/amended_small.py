"""Amended-DARTS in a small S1 for long, on the packaged images: the searches of configs/studies/amended.py:small."""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('amended_darts')
  config.data.name = 'embedded'  # Fashion-MNIST, 28 x 28 x 1
  config.data.n_train = 400  # images, halved: 100 epochs are 400 steps
  config.preprocess.padding = 2  # pixels, of 28 x 28
  config.network.layers = 3  # cells: normal, reduction, reduction
  config.network.channels = 4  # of the first cell
  config.network.edges = 'fixed'  # 8 edges (Amended-DARTS 4.1.2)
  config.network.primitives = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_3x3')
  config.search.epochs = 100  # of 4 steps (Amended-DARTS 4.1.1)
  config.search.batch = 50  # images of D_train and of D_val a step
  config.theta.lr = 0.05  # few steps: larger ones throughout
  config.arch.lr = 0.01
  config.arch.eigenvalue_every = 20  # epochs between two measurements
  config.log.every_steps = 4
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase of the search, in 4 steps."""
  config.data.n_train = 40  # images
  config.network.channels = 2
  config.network.primitives = ('skip_connect', 'max_pool_3x3')  # fewer to compile
  config.search.epochs = 2
  config.search.batch = 10  # images: 2 steps an epoch
  config.arch.eigenvalue_every = 1
  config.log.every_steps = 1
