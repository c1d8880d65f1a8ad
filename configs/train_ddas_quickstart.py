"""Training the quickstart's small network under the policies that DDAS found, in a few minutes on 2 CPU cores."""

from daas_jax.config import train_config


def get_config():
  config = train_config()
  config.data.name = 'embedded'      # 4,000 training images, of which a tenth chooses the epoch; 2,000 test images
  config.preprocess.padding = 2      # pixels, of 28 x 28
  config.genotype = 'none'
  config.network.name = 'wrn_40_2'
  config.network.depth = 10          # WRN-10-1
  config.network.width = 1
  config.train.epochs = 10           # the policies of the 5 epochs of the search: each for 2
  config.train.policy_smoothing = 3  # epochs of the search
  config.train.batch = 64            # images a step
  config.train.lr = 0.1
  config.train.auxiliary = 0.0
  config.train.drop_path = 0.0
  config.log.every_steps = 28
  return config
