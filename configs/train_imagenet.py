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
  config.data.name = 'tfds:imagenet2012'  # 1,281,167 + 50,000 images, 1,000 classes; streamed
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (DARTS code)
  config.data.val_fraction = 0.0  # all images are trained on, the last epoch is tested (DARTS)
  config.preprocess.crop = 'resized'  # random box, resized (DARTS code)
  config.preprocess.padding = 0  # pixels; for crop = 'padded' alone
  config.preprocess.jitter = 0.4  # of brightness, contrast and colour (DARTS code)
  config.network.layers = 14  # cells (DAAS 5)
  config.network.channels = 48  # of the first cell (DAAS 5)
  config.network.stem = 'imagenet'  # three halvings: 224 becomes 28 (DARTS code)
  config.train.epochs = 250  # (DAAS 5)
  config.train.batch = 1024  # images a step (DAAS 5)
  config.train.lr = 0.5  # at the start (DAAS 5.1)
  config.train.schedule = 'linear'  # to 0 (choice; PC-DARTS's code)
  config.train.warmup_epochs = 5  # the learning rate rises from 0, as for batches of more than 256 (PC-DARTS's code)
  config.train.weight_decay = 3e-5  # L2 (DARTS code)
  config.train.drop_path = 0.0  # probability; 0: none (DARTS code)
  config.train.label_smoothing = 0.1  # of the training targets (DARTS code)
  config.log.every_steps = 100  # steps between two lines of metrics.jsonl (DARTS code)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 16 images of 4 classes."""
  config.data.n_train = 16  # images
  config.data.n_test = 4  # images
  config.data.classes = 4  # 4 images each
  config.train.lr = 0.01  # 0.5 is for batches of 1,024
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.train.epochs = 2
  config.train.warmup_epochs = 1
  config.train.batch = 4  # images: 4 steps an epoch
  config.log.every_steps = 1
