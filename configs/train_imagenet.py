"""Training on ImageNet what the search found (DAAS 5), each number with its source; ':smoke' tries it out.

TFDS's imagenet2012, prepared as array_record (`python -m daas_jax.prepare imagenet2012` says how, and then notes the
classes), is decoded and resized by worker processes while the training goes on.
"""

from daas_jax.config import train_config


def get_config(variant=''):
  """The training config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = train_config()
  config.kind = 'train'  # for `python -m daas_jax.train`
  config.seed = 0  # of everything random

  config.data.name = 'tfds:imagenet2012'  # 1,281,167 + 50,000 images, 1,000 classes; streamed
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 0  # training images used; 0: all
  config.data.n_test = 0  # test images used; 0: all
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (DARTS code)
  config.data.val_fraction = 0.02  # share of the training set that chooses the epoch (choice; DARTS has none)

  config.preprocess.crop = 'resized'  # random box, resized (DARTS code)
  config.preprocess.padding = 0  # pixels; for crop = 'padded' alone
  config.preprocess.flip = True  # horizontal, with probability 1/2 (DARTS code)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none (DARTS code)

  config.policy = 'searched'  # policy.json of --search, a row of its table drawn an iteration (DAAS 4.3, 5)
  config.genotype = 'searched'  # genotype.json of --search (DAAS 4.3)
  config.network.name = 'derived'  # the network of the genotype
  config.network.depth = 0  # layers; for a fixed network alone
  config.network.width = 0  # for a fixed network alone
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.layers = 14  # cells (DAAS 5)
  config.network.channels = 48  # of the first cell (DAAS 5)
  config.network.stem = 'imagenet'  # three halvings: 224 becomes 28 (DARTS code)

  config.train.epochs = 250  # (DAAS 5)
  config.train.batch = 1024  # images a step (DAAS 5)
  config.train.lr = 0.5  # at the start (DAAS 5.1)
  config.train.schedule = 'linear'  # to 0 (choice; PC-DARTS's code)
  config.train.warmup_epochs = 0  # epochs in which the learning rate rises; 0: none (DARTS code)
  config.train.momentum = 0.9  # of SGD (DARTS code)
  config.train.nesterov = False  # (DARTS code)
  config.train.weight_decay = 3e-5  # L2 (DARTS code)
  config.train.clip = 5.0  # largest gradient norm (DARTS code)
  config.train.auxiliary = 0.4  # weight of the auxiliary head's loss (DARTS code)
  config.train.drop_path = 0.0  # probability; 0: none (DARTS code)
  config.train.policy_smoothing = 1  # epochs over which p_tp of a policy of every epoch is averaged; 1: none (choice)
  config.train.label_smoothing = 0.1  # of the training targets (DARTS code)
  config.train.ema = 0.0  # decay of averaged weights; 0: none (DARTS code)

  config.log.every_steps = 100  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 16 images of 4 classes."""
  config.data.n_train = 16  # images
  config.data.n_test = 4  # images
  config.data.classes = 4  # 4 images each
  config.data.val_fraction = 0.25  # 4 images
  config.train.lr = 0.01  # 0.5 is for batches of 1,024
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.train.epochs = 2
  config.train.batch = 4  # images: 3 steps an epoch
  config.log.every_steps = 1
