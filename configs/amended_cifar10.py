"""Amended-DARTS on CIFAR-10, each number with its source.

Bi et al., Stabilizing DARTS with Amended Gradient Estimation on Architectural Parameters ("Amended"); what it does not
say is DARTS's code. The space is its S1; ':s2' after the file name is S2, whose 20 cells all differ; ':coefficient' the
setting in which the coefficient eta is looked at (4.1.1): DARTS's own space, nothing that regularises, 500 epochs;
':smoke', ':s2_smoke' and ':coefficient_smoke' try them out. eta = 0 (--config.search.eta=0) is first-order DARTS.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config of S1, or of a variant (top of this file); with 'smoke' the same path in a few steps."""
  if variant not in ('', 's2', 'coefficient', 'smoke', 's2_smoke', 'coefficient_smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 's2', 'coefficient', or one of 'smoke', 's2_smoke' and "
                     "'coefficient_smoke' (FILE.py:smoke)")
  config = search_config('amended_darts')
  config.preprocess.cutout = 16  # side of the square in pixels (Amended 4.1.2: as in training; DARTS code)
  config.network.channels = 36  # of the first cell, as in training (Amended 4.1.2)
  config.network.primitives = (  # candidate operations of an edge, O = 7 (Amended 4.1.3: 3.3e13 architectures)
      'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')
  config.network.edges = 'fixed'  # 8: from the node before and the first input (Amended 4.1.2)
  config.search.epochs = 100  # of D_train (Amended 4.1.1)
  config.search.batch = 96  # images of D_train and of D_val a step (Amended 4.1.1)
  config.search.auxiliary = 0.4  # weight of the head's loss (Amended 4.1.2: as in training; DARTS code)
  config.search.drop_path = 0.2  # at the end, from 0; Amended's dropout (4.1.2: as in training; DARTS code)
  config.arch.eigenvalue_every = 5  # epochs between two measurements of the dominant eigenvalue (choice)
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  if variant.startswith('s2'):
    config.network.layers = 20  # cells (Amended 4.1.3)
    config.network.cells = 'own'  # an alpha for each (Amended 4.1.3)
    config.network.primitives = ('skip_connect', 'sep_conv_3x3')  # (Amended 4.1.3)
  if variant.startswith('coefficient'):
    _coefficient(config)
  if variant.endswith('smoke'):
    _smoke(config)
  return config


def _coefficient(config):
  """"We search and re-train similarly as DARTS" (Amended 4.1.1), to convergence."""
  config.preprocess.cutout = 0
  config.network.channels = 16  # (Amended 4.1.1)
  # the keys' own, DARTS's eight: "the standard DARTS space" (Amended, Fig. 2)
  config.network.primitives = search_config('amended_darts').network.primitives
  config.network.edges = 'all'  # 14, of which 8 are derived (DARTS)
  config.search.epochs = 500  # "to arrive at convergence" (Amended 4.1.1)
  config.search.auxiliary = config.search.drop_path = 0.0


def _smoke(config):
  """Every phase, operation and file of the search, on 64 images."""
  config.data.n_train = 64  # images
  config.data.n_test = 10  # images
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  if config.network.cells == 'shared':
    config.network.primitives = ('max_pool_3x3', 'skip_connect')  # fewer to compile
  config.search.epochs = 2
  config.search.batch = 16  # images: 2 steps an epoch
  config.log.every_steps = 1
  config.arch.eigenvalue_every = 2  # epochs
