"""Training on CIFAR-100 what the search found (DAAS 5): as on CIFAR-10, on other images."""

from daas_jax.config import load


def get_config(variant=''):
  """The training config; variant 'smoke' is the same code path in a handful of steps."""
  config = load('train_cifar10', variant)
  config.data.name = 'tfds:cifar100'  # 50,000 + 10,000 images of 32 x 32 x 3, 100 classes
  return config
