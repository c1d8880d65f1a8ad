"""Training on CIFAR-10 what the search found (DAAS 5): what is not said here is the default of its key, with its source
(daas_jax/train/keys.py). ':smoke' after the file name tries it out."""

from daas_jax.config import train_config


def get_config(variant=''):
  """The training config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = train_config()
  config.data.val_fraction = 0.0  # all images are trained on, the last epoch is tested (DARTS code)
  config.preprocess.cutout = 16  # side of the square in pixels (DARTS code)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 40 images."""
  config.data.n_train = 40  # images
  config.data.n_test = 10  # images
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.train.epochs = 2
  config.train.batch = 16  # images: 2 steps an epoch
  config.log.every_steps = 1
