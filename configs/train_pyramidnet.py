"""Training PyramidNet-272 + ShakeDrop on CIFAR-10 or -100 under a searched policy (DAAS Table 5), each number sourced.

':cifar100' after the file name is the other set, ':smoke' tries it out.
"""

from daas_jax.config import train_config


def get_config(variant=''):
  """The training config of CIFAR-10 or of CIFAR-100; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'cifar100', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'cifar100' or 'smoke' (FILE.py:cifar100)")
  config = train_config()
  config.data.val_fraction = 0.0  # all images are trained on, the last epoch is tested (Fast AutoAugment code)
  config.preprocess.cutout = 16  # side of the square in pixels (Fast AutoAugment code)

  config.genotype = 'none'  # a fixed network has none
  config.network.name = 'pyramidnet_272'  # PyramidNet-272, alpha 200, ShakeDrop (DAAS Table 5)
  config.train.epochs = 1800  # (DAAS 5.2)
  config.train.batch = 64  # images a step (Fast AutoAugment code)
  config.train.lr = 0.05  # at the highest (Fast AutoAugment code)
  config.train.warmup_epochs = 5  # the learning rate rises from 0 (Fast AutoAugment code)
  config.train.nesterov = True  # (Fast AutoAugment code)
  config.train.weight_decay = 5e-5  # L2 (Fast AutoAugment code)
  config.train.auxiliary = 0.0  # a fixed network has no auxiliary head
  config.train.drop_path = 0.0  # a fixed network has no drop-path
  if variant == 'cifar100':
    config.data.name = 'tfds:cifar100'
    config.train.lr = 0.025  # at the highest (DADA code)
    config.train.weight_decay = 5e-4  # L2 (DADA code)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 32 images and a network that compiles in seconds."""
  config.data.n_train = 32  # images
  config.data.n_test = 10  # images
  config.network.depth = 11  # one block a stage
  config.network.width = 6
  config.train.epochs = 2
  config.train.warmup_epochs = 1
  config.train.batch = 12  # images: 2 steps an epoch
  config.log.every_steps = 1
