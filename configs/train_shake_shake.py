"""Training Shake-Shake 26 on CIFAR-10 under a searched policy (DAAS Table 5), each number with its source.

The size is given after the file name, ':2x32d' (also without), ':2x96d' or ':2x112d'; ':smoke' tries it out. For
CIFAR-100: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import train_config


def get_config(variant='2x32d'):
  """The training config of one size; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('2x32d', '2x96d', '2x112d', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose '2x32d', '2x96d', '2x112d' or 'smoke' (FILE.py:2x96d)")
  size = '2x32d' if variant == 'smoke' else variant
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
  config.data.val_fraction = 0.1  # share of the training set that chooses the epoch (choice; Fast AutoAugment has none)

  config.preprocess.crop = 'padded'  # random crop of the padded image (Fast AutoAugment code)
  config.preprocess.padding = 4  # pixels around the image (Fast AutoAugment code)
  config.preprocess.flip = True  # horizontal, with probability 1/2 (Fast AutoAugment code)
  config.preprocess.cutout = 16  # side of the square in pixels (Fast AutoAugment code)

  config.policy = 'searched'  # policy.json of --search, a row of its table drawn an iteration (DAAS 4.3, 5)
  config.genotype = 'none'  # a fixed network has none
  config.network.name = f'shake_shake_26_{size}'  # Shake-Shake 26 2x32d, 2x96d or 2x112d (DAAS Table 5)
  config.network.depth = 0  # layers; 0: those of the name
  config.network.width = 0  # base channels; 0: those of the name
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.layers = 20  # cells; for a genotype alone
  config.network.channels = 36  # of the first cell; for a genotype alone
  config.network.stem = 'cifar'  # for a genotype alone

  config.train.epochs = 1800  # (DAAS 5.2)
  config.train.batch = 128  # images a step (Fast AutoAugment code)
  config.train.lr = 0.01  # at the highest (Fast AutoAugment code)
  config.train.schedule = 'cosine'  # to 0 (Fast AutoAugment code)
  config.train.warmup_epochs = 5  # the learning rate rises from 0 (Fast AutoAugment code)
  config.train.momentum = 0.9  # of SGD (Fast AutoAugment code)
  config.train.nesterov = True  # (Fast AutoAugment code)
  config.train.weight_decay = 2e-3 if size == '2x112d' else 1e-3  # L2 (Fast AutoAugment code)
  config.train.clip = 5.0  # largest gradient norm (Fast AutoAugment code)
  config.train.auxiliary = 0.0  # a fixed network has no auxiliary head
  config.train.drop_path = 0.0  # a fixed network has no drop-path
  config.train.policy_smoothing = 1  # epochs over which p_tp of a policy of every epoch is averaged; 1: none (choice)
  config.train.label_smoothing = 0.0  # of the targets; 0: none (Fast AutoAugment code)
  config.train.ema = 0.0  # decay of averaged weights; 0: none (Fast AutoAugment code)

  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (choice)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 32 images and a network that compiles in seconds."""
  config.data.n_train = 32  # images
  config.data.n_test = 10  # images
  config.data.val_fraction = 0.25  # 8 images
  config.network.depth = 8  # one block a stage
  config.network.width = 4
  config.train.epochs = 2
  config.train.warmup_epochs = 1
  config.train.batch = 12  # images: 2 steps an epoch
  config.log.every_steps = 1
