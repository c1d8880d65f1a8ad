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
  config = search_config('amended_darts')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random; Table 1 averages three (joint)
  config.method = 'amended_darts'  # of which DARTS is the case eta = 0

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
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none in a search (DARTS code)

  config.network.name = 'supernet'  # dense: every operation computed (DARTS)
  config.network.depth = 0  # layers; for a fixed network alone
  config.network.width = 0  # for a fixed network alone
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.dtype = 'float32'  # or bfloat16: what the supernet computes in
  config.network.layers = 8  # cells (DARTS code)
  config.network.channels = 16  # of the first cell (DARTS code)
  config.network.stem = 'cifar'  # one convolution at full size (DARTS code)
  config.network.primitives = (  # candidate operations of an edge, O = 8 (DARTS code)
      'none', 'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3',
      'dil_conv_5x5')
  config.network.edges = 'all'  # 14, of which 8 are derived (DARTS)
  config.network.cells = 'shared'  # one alpha for normal and one for reduction cells (DARTS)
  config.network.genotype = ''  # none is held fixed: it is searched (DARTS code)

  config.policy.name = 'searched'  # of the training images: that of --search (joint)

  config.search.epochs = 50  # of D_train; Table 1 also has 25 (joint)
  config.search.batch = 64  # images of D_train and of D_val a step (DARTS code)
  config.search.second_term = 'amended'  # with eta = 0: none, first order (joint: the policy's gradients are too)
  config.search.eta = 0.0  # first order
  config.search.xi = 0.0  # of second order: the current learning rate (DARTS)
  config.search.auxiliary = 0.0  # none in a search (DARTS code)
  config.search.drop_path = 0.0  # none in a search (DARTS code)

  config.theta.lr = 0.025  # SGD, at the start (DARTS code)
  config.theta.lr_min = 0.001  # at the end, cosine between (DARTS code)
  config.theta.momentum = 0.9  # (DARTS code)
  config.theta.weight_decay = 3e-4  # L2 (DARTS code)
  config.theta.clip = 5.0  # largest gradient norm (DARTS code)
  config.arch.lr = 3e-4  # Adam, of alpha (DARTS code)
  config.arch.weight_decay = 1e-3  # L2 (DARTS code)
  config.arch.eigenvalue_every = 5  # epochs between two measurements of the dominant eigenvalue (choice)
  config.arch.stop_skip = 1.0  # never (DARTS)
  config.arch.stop_eigenvalue = 0.0  # never (DARTS)
  config.adam.b1 = 0.5  # of both Adams (DARTS code)
  config.adam.b2 = 0.999  # of both Adams (DARTS code)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
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
  config.arch.eigenvalue_every = 1
