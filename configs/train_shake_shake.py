"""Training Shake-Shake 26 on CIFAR-10 or -100 under a searched policy (DAAS Table 5), each number with its source.

The size is given after the file name, ':2x32d' (also without), ':2x96d' or ':2x112d'; ':2x96d_cifar100' is that of
Table 5 on the other set, ':smoke' tries it out.
"""

from daas_jax.config import train_config

VARIANTS = ('2x32d', '2x96d', '2x112d', '2x96d_cifar100', 'smoke')


def get_config(variant='2x32d'):
  """The training config of one size; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in VARIANTS:
    raise ValueError(f"unknown variant {variant!r}: choose one of {', '.join(map(repr, VARIANTS))} (FILE.py:2x96d)")
  size = '2x32d' if variant == 'smoke' else variant.removesuffix('_cifar100')
  config = train_config()
  config.data.val_fraction = 0.0  # all images are trained on, the last epoch is tested (Fast AutoAugment code)
  config.preprocess.cutout = 16  # side of the square in pixels (Fast AutoAugment code)

  config.genotype = 'none'  # a fixed network has none
  config.network.name = f'shake_shake_26_{size}'  # Shake-Shake 26 2x32d, 2x96d or 2x112d (DAAS Table 5)
  config.train.epochs = 1800  # (DAAS 5.2)
  config.train.batch = 128  # images a step (Fast AutoAugment code)
  config.train.lr = 0.01  # at the highest (Fast AutoAugment code)
  config.train.warmup_epochs = 5  # the learning rate rises from 0 (Fast AutoAugment code)
  config.train.nesterov = True  # (Fast AutoAugment code)
  config.train.weight_decay = 2e-3 if size == '2x112d' else 1e-3  # L2 (Fast AutoAugment code)
  config.train.auxiliary = 0.0  # a fixed network has no auxiliary head
  config.train.drop_path = 0.0  # a fixed network has no drop-path
  if variant == '2x96d_cifar100':
    config.data.name = 'tfds:cifar100'
    config.train.weight_decay = 2.5e-3  # L2 (DADA code)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 32 images and a network that compiles in seconds."""
  config.data.n_train = 32  # images
  config.data.n_test = 10  # images
  config.network.depth = 8  # one block a stage
  config.network.width = 4
  config.train.epochs = 2
  config.train.warmup_epochs = 1
  config.train.batch = 12  # images: 2 steps an epoch
  config.log.every_steps = 1
