"""Training on CIFAR-10 what the search found (DAAS 5), each number with its source; ':smoke' tries it out."""

from daas_jax.config import train_config


def get_config(variant=''):
  """The training config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = train_config()
  config.kind = 'train'  # for `python -m daas_jax.train`
  config.seed = 0  # of everything random

  config.data.name = 'tfds:cifar10'  # 50,000 + 10,000 images of 32 x 32 x 3, 10 classes
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 0  # training images used; 0: all
  config.data.n_test = 0  # test images used; 0: all
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = False  # the set fits in memory
  config.data.workers = 0  # for a streamed set alone
  config.data.side = 0  # for a streamed set or a detection network alone
  config.data.val_fraction = 0.1  # share of the training set that chooses the epoch (choice; DARTS has none)

  config.preprocess.crop = 'padded'  # random crop of the padded image (DARTS code)
  config.preprocess.padding = 4  # pixels around the image (DARTS code)
  config.preprocess.flip = True  # horizontal, with probability 1/2 (DARTS code)
  config.preprocess.cutout = 16  # side of the square in pixels (DARTS code)

  config.policy = 'searched'  # policy.json of --search, a row of its table drawn an iteration (DAAS 4.3, 5)
  config.genotype = 'searched'  # genotype.json of --search (DAAS 4.3)
  config.network.name = 'derived'  # the network of the genotype
  config.network.depth = 0  # layers; for a fixed network alone
  config.network.width = 0  # for a fixed network alone
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.layers = 20  # cells (DARTS code)
  config.network.channels = 36  # of the first cell (DARTS code)
  config.network.stem = 'cifar'  # one convolution at full size (DARTS code)

  config.train.epochs = 600  # (DAAS 5)
  config.train.batch = 96  # images a step (DAAS 5)
  config.train.lr = 0.025  # at the start (DARTS code)
  config.train.schedule = 'cosine'  # to 0 (DARTS code)
  config.train.warmup_epochs = 0  # epochs in which the learning rate rises; 0: none (DARTS code)
  config.train.momentum = 0.9  # of SGD (DARTS code)
  config.train.nesterov = False  # (DARTS code)
  config.train.weight_decay = 3e-4  # L2 (DARTS code)
  config.train.clip = 5.0  # largest gradient norm (DARTS code)
  config.train.auxiliary = 0.4  # weight of the auxiliary head's loss (DARTS code)
  config.train.drop_path = 0.2  # probability at the end, linear from 0 (DARTS code)
  config.train.policy_smoothing = 1  # epochs over which p_tp of a policy of every epoch is averaged; 1: none (choice)
  config.train.label_smoothing = 0.0  # of the targets; 0: none (DARTS code)
  config.train.ema = 0.0  # decay of averaged weights; 0: none (DARTS code)

  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 100 images."""
  config.data.n_train = 100  # images
  config.data.n_test = 10  # images
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.train.epochs = 2
  config.train.batch = 16  # images: 5 steps an epoch
  config.log.every_steps = 1
