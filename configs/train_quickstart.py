"""Training what the quickstart search found, in a few minutes on 2 CPU cores."""

from daas_jax.config import train_config


def get_config():
  config = train_config()
  config.data.name = 'embedded'      # 4,000 training images, of which a tenth chooses the epoch; 2,000 test images
  config.network.layers = 5          # cells
  config.network.channels = 16       # of the first cell
  config.train.epochs = 8
  config.train.batch = 64            # images a step
  config.train.lr = 0.1              # a short training: a larger step
  config.train.drop_path = 0.0       # a small network needs none
  config.log.every_steps = 28
  return config
