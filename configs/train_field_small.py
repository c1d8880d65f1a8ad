"""The trainings of configs/studies/field.py:small: a small fixed network on the packaged images, tested in the field.

D_train are 2,000 images of the studio, D_val and the test images 2,000 photographs each (`daas_jax/augment/camera.py`).
D_val is that of the searches of the same seed: nothing is chosen by images that a search has not seen. ':derived' after
the file name trains the architectures of configs/quickstart.py, ':smoke' and ':derived_smoke' try them out.
"""

from daas_jax.config import train_config


def get_config(variant=''):
  """The training config; 'derived' is of cells, and the variants of smoke the same code paths in a handful of steps."""
  if variant not in ('', 'smoke', 'derived', 'derived_smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'derived', 'smoke' or 'derived_smoke' (FILE.py:smoke)")
  config = train_config()
  config.data.name = 'embedded:field'
  config.data.val_fraction = 0.5  # as in the searches
  config.preprocess.padding = 2  # pixels, of 28 x 28
  config.train.epochs = 20  # of 31 steps
  config.train.batch = 64  # images a step
  config.train.lr = 0.1  # a short training: a larger step
  config.train.auxiliary = 0.0  # a small network needs neither
  config.train.drop_path = 0.0
  config.log.every_steps = 1000  # a line an epoch
  config.checkpoint.keep = 2
  if variant.startswith('derived'):
    config.network.layers = 3  # cells
    config.network.channels = 8  # of the first cell
  else:
    config.genotype = 'none'
    config.network.name = 'small_cnn'
    config.network.channels = 12  # of the first convolution
  if variant.endswith('smoke'):
    _smoke(config)
  return config


def _smoke(config):
  """Every phase of the training, in 4 steps."""
  config.data.n_train = 80  # images
  config.data.n_test = 20  # images
  config.network.layers = 3  # cells
  config.network.channels = 2
  config.train.epochs = 2
  config.train.batch = 20  # images: 2 steps an epoch
  config.log.every_steps = 1
