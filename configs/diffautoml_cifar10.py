"""DiffAutoML on CIFAR-10: the paper's method with numbers for this size, each with its source.

The paper searches architectures on ImageNet alone (diffautoml_imagenet.py). ':fixed' is its Table 2: augmentation,
learning rate and weight decay on WRN-40-2; for WRN-28-10 --config.network.name=wrn_28_10. ':ops4' searches with 4 image
operations for 14 (Table 3). ':smoke' tries it out. For CIFAR-100: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke', 'fixed', 'ops4'):
    raise ValueError(f"unknown variant {variant!r}: 'smoke', 'fixed' and 'ops4' are the only ones (FILE.py:smoke)")
  config = search_config('diffautoml')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random
  config.method = 'diffautoml'  # Alg. 1

  config.data.name = 'tfds:cifar10'  # 50,000 training images of 32 x 32 x 3, 10 classes
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 0  # training images used; 0: all
  config.data.n_test = 0  # test images used; 0: all; read once, at the end
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = False  # the set fits in memory
  config.data.workers = 0  # for a streamed set alone
  config.data.side = 0  # for a streamed set or a detection network alone
  config.data.val_fraction = 0.1  # share of the training images that is D_val, which theta never sees (choice)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)

  config.preprocess.crop = 'padded'  # random crop of the padded image (DARTS code)
  config.preprocess.padding = 4  # pixels around the image (DARTS code)
  config.preprocess.flip = True  # horizontal, with probability 1/2 (DARTS code)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none (choice)

  config.network.name = 'shuffle'  # the choice-block supernet (DiffAutoML 4.1)
  config.network.size = 'cifar'  # 20 blocks: 4 ** 20 paths; the first two halvings left out (choice)
  config.network.depth = 0  # for a fixed network alone
  config.network.width = 0  # for a fixed network alone
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.dtype = 'float32'  # for the supernet of cells alone
  config.network.layers = 8  # for the supernet of cells alone
  config.network.channels = 16  # for the supernet of cells alone
  config.network.stem = 'cifar'  # for the supernet of cells alone
  config.network.genotype = ''  # for the supernet of cells alone
  config.network.primitives = (  # for the supernet of cells alone
      'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')

  config.policy.ops = (  # candidate image operations: 14, with Identity (DiffAutoML 4.1)
      'AutoContrast', 'Equalize', 'Rotate', 'Posterize', 'Solarize', 'Color', 'Contrast', 'Brightness', 'Sharpness',
      'ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Identity')
  config.policy.K = 2  # operations in sequence (DiffAutoML 3.1)

  config.search.epochs = 300  # both phases (choice)
  config.search.tuning_epochs = 150  # alpha fixed (choice)
  config.search.batch = 128  # images of D_train a step, and as many of D_val (Fast AutoAugment code)
  config.search.moment_batches = 50  # training batches behind the ready network's moments (choice)

  config.theta.lr = 0.1  # SGD, at the start, for this batch (Fast AutoAugment code; the paper's 0.5 is ImageNet's)
  config.theta.lr_min = 0.0  # at the end, cosine between (DiffAutoML, Appendix A)
  config.theta.momentum = 0.9  # (DiffAutoML, Appendix A)
  config.theta.weight_decay = 2e-4  # L2 at the start of its search (Fast AutoAugment code)
  config.theta.clip = 5.0  # largest gradient norm (choice)
  config.arch.optimizer = 'adam'  # (DSNAS code; the paper's SGD hardly moves alpha)
  config.arch.lr = 1e-3  # (DSNAS code)
  config.arch.momentum = 0.9  # of SGD (DiffAutoML, Appendix A)
  config.arch.weight_decay = 0.0  # L2 (choice)
  config.arch.freeze_margin = 0.3  # a block is decided once its two best probabilities differ by that (DSNAS code)
  config.arch.constraint = 'none'  # no budget; 'rejection' or 'penalty' (DiffAutoML Eq. 1)
  config.arch.max_multiply_adds = 0  # C of Eq. 1; 0: none
  config.arch.penalty = 0.1  # weight of max(0, E[c] / C - 1), for 'penalty' (choice)
  config.gamma.gradient = 'score'  # that of the expected loss (choice: at this step Eq. 2 ends at one transformation)
  config.gamma.optimizer = 'sgd'  # (DiffAutoML, Appendix A)
  config.gamma.lr = 1e-3  # (choice)
  config.gamma.momentum = 0.9  # of SGD (DiffAutoML, Appendix A)
  config.gamma.weight_decay = 0.0  # L2 (choice)
  config.hyper.searched = ('lr', 'weight_decay')  # both (DiffAutoML 4.3.1)
  config.hyper.lr = 1e-3  # Adam, of their logarithms (DiffAutoML, Appendix A)
  config.adam.b1 = 0.9  # of all Adams (choice: Adam's default)
  config.adam.b2 = 0.999  # of all Adams (choice: Adam's default)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (choice)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'fixed':
    config.network.name = 'wrn_40_2'  # (DiffAutoML, Table 2)
    config.search.epochs = 200  # (Fast AutoAugment code)
    config.search.tuning_epochs = 0  # no path to be fixed
  if variant == 'ops4':
    config.policy.ops = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')  # (DiffAutoML 4.3.2, Table 3)
    config.hyper.searched = ()  # without HPO (DiffAutoML 4.3.2)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Both phases, every operation and file of the search, on 80 images and a supernet of 3 blocks."""
  config.data.n_train = 80  # images
  config.data.n_test = 10  # images
  config.network.size = 'nano'
  config.search.epochs = 2
  config.search.tuning_epochs = 1
  config.search.batch = 20  # images: 2 steps an epoch
  config.search.moment_batches = 2
  config.data.val_fraction = 0.5
  config.log.every_steps = 1
