"""DiffAutoML on ImageNet (DiffAutoML 4, Appendix A), each number with its source: a network ready to use at the end.

':ops4' searches with 4 image operations for 14 (Table 3). ':smoke' after the file name tries it out. With the paper's
learning rates alpha and tau hardly leave the uniform distribution; diffautoml_cifar10.py has DSNAS's for alpha. TFDS's
imagenet2012, prepared as array_record, is decoded and resized by worker processes while the search goes on.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps, 'ops4' that of Table 3."""
  if variant not in ('', 'smoke', 'ops4'):
    raise ValueError(f"unknown variant {variant!r}: 'smoke' and 'ops4' are the only ones (FILE.py:smoke)")
  config = search_config('diffautoml')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random
  config.method = 'diffautoml'  # Alg. 1

  config.data.name = 'tfds:imagenet2012'  # 1,281,167 training images, 1,000 classes (DiffAutoML 4.1)
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 0  # training images used; 0: all
  config.data.n_test = 0  # test images used; 0: all; read once, at the end
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (choice, as He et al. 2016)
  config.data.val_fraction = 0.05  # share of the training images that is D_val, which theta never sees (choice)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)

  config.preprocess.crop = 'resized'  # random box of the image (SPOS code)
  config.preprocess.padding = 0  # pixels around the image; not for 'resized'
  config.preprocess.flip = True  # horizontal, with probability 1/2 (SPOS code)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none (choice)

  config.network.name = 'shuffle'  # the choice-block supernet (DiffAutoML 4.1)
  config.network.size = 'imagenet'  # 20 blocks: 4 ** 20 paths (DiffAutoML 4.1; widths of SPOS)
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

  config.search.epochs = 240  # both phases (SPOS: 300,000 steps of 1,024 images; the paper gives none)
  config.search.tuning_epochs = 100  # alpha fixed (choice: the paper's Fig. 2 has no numbers)
  config.search.batch = 1024  # images of D_train a step, and as many of D_val (SPOS code)
  config.search.moment_batches = 50  # training batches behind the ready network's moments (choice)

  config.theta.lr = 0.5  # SGD, at the start (DiffAutoML, Appendix A)
  config.theta.lr_min = 0.0  # at the end, cosine between (DiffAutoML, Appendix A)
  config.theta.momentum = 0.9  # (DiffAutoML, Appendix A)
  config.theta.weight_decay = 4e-5  # L2 at the start of its search (DiffAutoML, Appendix A: of DSNAS's retraining)
  config.theta.clip = 5.0  # largest gradient norm (choice)
  config.arch.optimizer = 'sgd'  # (DiffAutoML, Appendix A)
  config.arch.lr = 1e-6  # (DiffAutoML, Appendix A)
  config.arch.momentum = 0.9  # of SGD (DiffAutoML, Appendix A)
  config.arch.weight_decay = 5e-4  # L2 (DiffAutoML, Appendix A)
  config.arch.freeze_margin = 0.3  # a block is decided once its two best probabilities differ by that (DSNAS code)
  config.arch.constraint = 'none'  # no budget; 'rejection' or 'penalty' (DiffAutoML Eq. 1)
  config.arch.max_multiply_adds = 0  # C of Eq. 1; 0: none
  config.arch.penalty = 0.1  # weight of max(0, E[c] / C - 1), for 'penalty' (choice)
  config.gamma.gradient = 'eq2'  # (DiffAutoML Eq. 2)
  config.gamma.optimizer = 'sgd'  # (DiffAutoML, Appendix A)
  config.gamma.lr = 1e-5  # (DiffAutoML, Appendix A)
  config.gamma.momentum = 0.9  # of SGD (DiffAutoML, Appendix A)
  config.gamma.weight_decay = 5e-4  # L2 (DiffAutoML, Appendix A)
  config.hyper.searched = ('weight_decay',)  # L2 alone (DiffAutoML 4.1)
  config.hyper.lr = 1e-3  # Adam, of their logarithms (DiffAutoML, Appendix A)
  config.adam.b1 = 0.9  # of all Adams (choice: Adam's default)
  config.adam.b2 = 0.999  # of all Adams (choice: Adam's default)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (choice)
  config.checkpoint.every_steps = 1000  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'ops4':
    config.policy.ops = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')  # (DiffAutoML 4.3.2, Table 3)
    config.hyper.searched = ()  # without HPO (DiffAutoML 4.3.2)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Both phases, every operation and file of the search, on 40 images and a supernet of 3 blocks."""
  config.data.n_train = 40  # images
  config.data.n_test = 10  # images
  config.network.size = 'nano'
  config.search.epochs = 2
  config.search.tuning_epochs = 1
  config.search.batch = 10  # images: 2 steps an epoch
  config.search.moment_batches = 2
  config.data.val_fraction = 0.5
  config.log.every_steps = 1
