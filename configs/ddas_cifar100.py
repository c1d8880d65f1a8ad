"""DDAS on CIFAR-100 with the paper's numbers (DDAS 4.2): those of CIFAR-10."""

import importlib.util
import os

_FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'ddas_cifar10.py')


def get_config(variant=''):
  spec = importlib.util.spec_from_file_location('ddas_cifar10', _FILE)
  cifar10 = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(cifar10)
  config = cifar10.get_config(variant)
  if not variant:
    config.data.name = 'tfds:cifar100'
  return config
