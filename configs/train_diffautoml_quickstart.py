"""Training the path that the DiffAutoML quickstart found from scratch: what retraining would add (Table 1).

It prints the accuracy of the network that the search ended with beside its own.
"""

from daas_jax.config import train_config


def get_config():
  config = train_config()
  config.data.name = 'embedded'      # 4,000 training images, of which a tenth chooses the epoch; 2,000 test images
  config.preprocess.padding = 2      # pixels, of 28 x 28
  config.network.name = 'shuffle'    # the path of the search's blocks.json
  config.train.epochs = 12           # as many as the search
  config.train.batch = 32            # images a step
  config.train.lr = 0.1
  config.train.weight_decay = 5e-4
  config.train.auxiliary = 0.0
  config.train.drop_path = 0.0
  config.log.every_steps = 56
  return config
