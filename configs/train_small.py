"""The training of the studies' ':small' versions: about a minute on 2 CPU cores, of which a third is compilation.

So few images that a network without augmentation learns them by heart (training accuracy 1.00): that is where policies
differ. On 1,600 images for 225 steps nothing was learnt by heart, and every policy only cost accuracy.
"""

from daas_jax.config import train_config


def get_config(variant=''):
  """The training config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = train_config()
  config.data.name = 'embedded'  # Fashion-MNIST, 28 x 28 x 1
  config.data.n_train = 500  # images
  config.data.val_fraction = 0.2  # share of them that chooses the epoch
  config.network.layers = 5  # cells
  config.network.channels = 8  # of the first cell
  config.preprocess.padding = 2  # pixels, of 28 x 28: the 4 of 32 x 32 cost more than they gave
  config.train.epochs = 30  # of 12 steps
  config.train.batch = 32  # images a step
  config.train.lr = 0.1  # a short training: a larger step
  config.train.auxiliary = 0.0  # a small network needs neither
  config.train.drop_path = 0.0
  config.log.every_steps = 60
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase of the training, in 4 steps."""
  config.data.n_train = 60  # images
  config.data.n_test = 20  # images
  config.network.layers = 3  # cells
  config.network.channels = 2
  config.train.epochs = 2
  config.train.batch = 20  # images: 2 steps an epoch
  config.log.every_steps = 1
