"""What a search can be put together of, as text: methods, networks, operations, policies, data."""

import importlib
import textwrap

from daas_jax import config as config_lib, installed
from daas_jax.augment.ops import OPS
from daas_jax.data import sources
from daas_jax.methods import build
from daas_jax.nets.primitives import PRIMITIVES
from daas_jax.policies import fixed

_DATA = {
    'embedded': 'Fashion-MNIST, 4,000 + 2,000 images in the package',
    'tfds:NAME': 'any image classification set prepared for TFDS; `python -m daas_jax.prepare` prepares '
                 + ', '.join(sources.PREPARABLE),
    'arrays:FILE.npz': 'train_images, train_labels, test_images, test_labels',
    'scenes:NAME': 'scenes with boxes, composed of the images of one of those, for a detector',
    'tfds:coco/2017': 'photographs with boxes, for a detector',
}
_SUPERNETS = {
    'supernet': 'two cells of 14 edges, their operations network.primitives (DAAS, DARTS)',
    'shuffle': '20 choice blocks of 4 kinds, network.size says how wide (DiffAutoML)',
}
_ARCHITECTURES = {'path': 'paths are sampled', 'mixture': 'all operations are mixed',
                  'uniform': 'paths are drawn uniformly, not searched'}
_POLICIES = {'categorical': 'policies of K operations with levels', 'total': 'candidates and a total probability',
             'relaxed': 'L sub-policies, relaxed', 'transformations': 'transformations of two operations',
             'given': 'none is searched, policy.name says which'}
_WIDTH = 100


def _networks(name):
  """The networks that a method's config may name."""
  allowed = config_lib.schema_of('search', name)['network.name'].check('?')
  return allowed.removeprefix('must be one of ').partition(' (nearest')[0].split(', ')


def _method(name, row):
  try:
    doc = importlib.import_module(f'daas_jax.methods.{name}').__doc__.splitlines()[0]
  except ImportError:  # registered by a config file
    doc = f'Registered by {row.build.__code__.co_filename}.'
  supernets = [network for network in _networks(name) if network in _SUPERNETS]
  drawn = _ARCHITECTURES[row.architecture]
  architecture = f' Architectures of {" and ".join(supernets)}: {drawn}.' if supernets else ''
  return f'{doc}{architecture} Policies: {_POLICIES[row.policy]}.'


def text():
  """The catalogue that `python -m daas_jax.search --list` prints."""
  others = dict.fromkeys(network for name in build.METHODS for network in _networks(name) if network not in _SUPERNETS)
  rooms = {
      'methods (config.method)': {name: _method(name, row) for name, row in build.METHODS.items()},
      'spaces of architectures (config.network.name)': _SUPERNETS,
      'fixed networks (config.network.name)': {'': ', '.join(others)},
      'cell operations (config.network.primitives)': {'': ', '.join(PRIMITIVES)},
      'image operations (config.policy.ops, or config.policy.candidates with their strengths)': {'': ', '.join(OPS)},
      'policies that are given (config.policy.name, or --policy of a training)': {
          '': ', '.join(fixed.FIXED) + ', searched, or a policy FILE'},
      'data sets (config.data.name)': _DATA,
      'configs of the package (--config=NAME; those of studies/ are for daas_jax.study)': {
          '': ', '.join(installed.config_names())},
  }
  lines = []
  for title, rows in rooms.items():
    wide = max(map(len, rows)) + 2 if any(rows) else 0
    lines += [title, *('\n'.join(textwrap.wrap(f'{name:{wide}}{what}', _WIDTH, initial_indent='  ',
                                              subsequent_indent=' ' * (wide + 2))) for name, what in rows.items()), '']
  return '\n'.join(lines).rstrip()
