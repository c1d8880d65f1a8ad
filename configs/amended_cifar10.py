"""Amended-DARTS on CIFAR-10, each number with its source.

Bi et al., Stabilizing DARTS with Amended Gradient Estimation on Architectural Parameters ("Amended"); what it does not
say is DARTS's code. The space is its S1; ':s2' after the file name is S2, whose 20 cells all differ; ':smoke' and
':s2_smoke' try them out. eta = 0 (--config.search.eta=0) is first-order DARTS in these spaces.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config of S1; variant 's2' is that of S2, 'smoke' and 's2_smoke' are the same paths in a few steps."""
  if variant not in ('', 's2', 'smoke', 's2_smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 's2', 'smoke' or 's2_smoke' (FILE.py:smoke)")
  config = search_config('amended_darts')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random
  config.method = 'amended_darts'  # Eq. 7

  config.data.name = 'tfds:cifar10'  # 50,000 training images of 32 x 32 x 3, 10 classes
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 0  # training images used; 0: all
  config.data.n_test = 0  # test images used; 0: all; a search reads none of them
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = False  # the set fits in memory
  config.data.workers = 0  # for a streamed set alone
  config.data.side = 0  # for a streamed set or a detection network alone
  config.data.val_fraction = 0.5  # share of the training set that is D_val; halves (DARTS code)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)

  config.preprocess.crop = 'padded'  # random crop of the padded image (DARTS code)
  config.preprocess.padding = 4  # pixels around the image (DARTS code)
  config.preprocess.flip = True  # horizontal, with probability 1/2 (DARTS code)
  config.preprocess.cutout = 16  # side of the square in pixels (Amended 4.1.2: as in training; DARTS code)

  config.network.name = 'supernet'  # dense: every operation computed (DARTS)
  config.network.depth = 0  # layers; for a fixed network alone
  config.network.width = 0  # for a fixed network alone
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.dtype = 'float32'  # or bfloat16: what the supernet computes in
  config.network.layers = 8  # cells (Amended 4.1.3)
  config.network.channels = 36  # of the first cell, as in training (Amended 4.1.2)
  config.network.stem = 'cifar'  # one convolution at full size (DARTS code)
  config.network.primitives = (  # candidate operations of an edge, O = 7 (Amended 4.1.3: 3.3e13 architectures)
      'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')
  config.network.edges = 'fixed'  # 8: from the node before and the first input (Amended 4.1.2)
  config.network.cells = 'shared'  # one alpha for normal and one for reduction cells (DARTS)
  config.network.genotype = ''  # none is held fixed: it is searched (DARTS code)

  config.policy.name = 'standard'  # of the training images: crop and flip alone (DARTS code)

  config.search.epochs = 100  # of D_train (Amended 4.1.1)
  config.search.batch = 96  # images of D_train and of D_val a step (Amended 4.1.1)
  config.search.second_term = 'amended'  # Eq. 7
  config.search.eta = 0.1  # (Amended 4.1.1)
  config.search.xi = 0.0  # for second_term = 'darts': the current learning rate (DARTS)
  config.search.auxiliary = 0.4  # weight of the head's loss (Amended 4.1.2: as in training; DARTS code)
  config.search.drop_path = 0.2  # at the end, from 0; Amended's dropout (4.1.2: as in training; DARTS code)

  config.theta.lr = 0.025  # SGD, at the start (DARTS code)
  config.theta.lr_min = 0.001  # at the end, cosine between (DARTS code)
  config.theta.momentum = 0.9  # (DARTS code)
  config.theta.weight_decay = 3e-4  # L2 (DARTS code)
  config.theta.clip = 5.0  # largest gradient norm (DARTS code)
  config.arch.lr = 3e-4  # Adam, of alpha (DARTS code)
  config.arch.weight_decay = 1e-3  # L2 (DARTS code)
  config.arch.eigenvalue_every = 5  # epochs between two measurements of the dominant eigenvalue (choice)
  config.arch.stop_skip = 1.0  # never: it runs to convergence (Amended)
  config.arch.stop_eigenvalue = 0.0  # never (Amended)
  config.adam.b1 = 0.5  # of both Adams (DARTS code)
  config.adam.b2 = 0.999  # of both Adams (DARTS code)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant.startswith('s2'):
    config.network.layers = 20  # cells (Amended 4.1.3)
    config.network.cells = 'own'  # an alpha for each (Amended 4.1.3)
    config.network.primitives = ('skip_connect', 'sep_conv_3x3')  # (Amended 4.1.3)
  if variant.endswith('smoke'):
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, operation and file of the search, on 64 images."""
  config.data.n_train = 64  # images
  config.data.n_test = 10  # images
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.network.primitives = ('skip_connect', 'sep_conv_3x3')  # fewer to compile
  config.search.epochs = 2
  config.search.batch = 16  # images: 2 steps an epoch
  config.log.every_steps = 1
  config.arch.eigenvalue_every = 1
