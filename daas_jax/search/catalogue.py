"""What a search can be put together of, as text: methods, networks, operations, policies, data."""

import textwrap

from daas_jax.augment.ops import OPS
from daas_jax.config import installed
from daas_jax.data import tfds
from daas_jax.methods import keys, registry
from daas_jax.nets import registry as nets
from daas_jax.nets.cells import named
from daas_jax.nets.cells.primitives import PRIMITIVES
from daas_jax.policies import baselines, registry as policies

_DATA = {
    'embedded': 'Fashion-MNIST, 4,000 + 2,000 images in the package',
    'embedded:field':
        'the same; D_val and the test images are photographs of the field, D_train is of the '
        "studio; ':field' goes behind any set in memory",
    'tfds:NAME':
        'any image classification set prepared for TFDS; `python -m daas_jax.prepare` prepares '
        + ', '.join(tfds.PREPARABLE),
    'folder:DIR': 'images of your own: DIR/CLASS/*, or DIR/train/CLASS/* with val/ and test/',
    'hf:NAME': 'an image classification set of Hugging Face `datasets`, or a folder of theirs',
    'arrays:FILE.npz':
        'train_images, train_labels, test_images, test_labels; maybe val_images, val_labels',
    'scenes:NAME': 'scenes with boxes, composed of the images of one of those, for a detector',
    'tfds:coco/2017': 'photographs with boxes, for a detector',
}
_ARCHITECTURES = {'path': 'paths are sampled', 'mixture': 'all operations are mixed',
                  'uniform': 'paths are drawn uniformly, not searched'}
_WIDTH = 100


def _method(name, row):
  supernets = [network for network in keys.networks_of(name) if nets.networks()[network].space]
  drawn = _ARCHITECTURES[row.sampling]
  architecture = f' Architectures of {" and ".join(supernets)}: {drawn}.' if supernets else ''
  about = row.about or f'Registered by {row.from_config.__code__.co_filename}.'
  return f'{about}{architecture} Policies: {policies.spaces()[row.policy].about}.'


def text() -> str:
  """The catalogue that `python -m daas_jax.search --list` prints."""
  rows = {name: row for name, row in nets.networks().items() if row.make}
  groups = {
      'methods (config.method)': {
          name: _method(name, row) for name, row in registry.methods().items()
      },
      'spaces of architectures (config.network.name)': {
          name: row.about for name, row in rows.items() if row.space
      },
      'fixed networks (config.network.name)': {
          name: row.about for name, row in rows.items() if not row.space
      },
      'cell operations (config.network.primitives)': {
          '': ', '.join(PRIMITIVES)
      },
      'published cells (config.network.genotype, or --genotype of a training)':
          named.about(),
      'image operations (config.policy.ops, or config.policy.candidates with their strengths)': {
          '': ', '.join(OPS)
      },
      'policies that are given (config.policy.name, or --policy of a training)': {
          '': ', '.join(baselines.BASELINES) + ', searched, or a policy FILE'
      },
      'data sets (config.data.name)': _DATA,
      'configs of the package (--config=NAME; those of studies/ are for daas_jax.study)': {
          '': ', '.join(installed.config_names())
      },
  }
  lines = []
  for title, rows in groups.items():
    wide = max(map(len, rows)) + 2 if any(rows) else 0
    lines += [
        title, *('\n'.join(
            textwrap.wrap(f'{name:{wide}}{what}', _WIDTH, initial_indent='  ',
                          subsequent_indent=' ' * (wide + 2))) for name, what in rows.items()), ''
    ]
  return '\n'.join(lines).rstrip()
