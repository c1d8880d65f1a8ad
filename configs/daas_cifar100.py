"""The DAAS search on CIFAR-100 (DAAS 5): that on CIFAR-10 and its variants, on other images."""

from daas_jax.config import load


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  config = load('daas_cifar10', variant)
  config.data.name = 'tfds:cifar100'  # 50,000 training images of 32 x 32 x 3, 100 classes
  return config
