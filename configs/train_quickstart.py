"""Training what the quickstart search found, in a few minutes on 2 CPU cores.

Beside its accuracy it prints what eight searches of that kind, and the same training without them, were worth:
studies/joint_quick.json, the table of studies/joint_quick.py. `--config.beside=` prints none.
"""

from daas_jax.config import train_config


def get_config():
  config = train_config()
  config.data.name = 'embedded:field'  # 2,000 images of the studio; 2,000 photographs choose the epoch, 2,000 are the test
  config.data.val_fraction = 0.5       # as in the search
  config.preprocess.padding = 2        # pixels
  config.network.layers = 3            # cells
  config.network.channels = 8          # of the first cell
  config.beside = 'joint_quick'
  config.train.epochs = 10
  config.train.batch = 64              # images a step
  config.train.lr = 0.1                # a short training: a larger step
  config.train.auxiliary = 0.0         # a small network needs neither
  config.train.drop_path = 0.0
  config.log.every_steps = 31
  return config
