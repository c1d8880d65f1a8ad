"""Cells that papers published, by name.

A cell is written as its authors' code has it, but for the order of a node's two pairs.
"""

import os
from typing import NamedTuple

from daas_jax.files import storage
from daas_jax.nets.cells.content import canonical, Genotype
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES


class Named(NamedTuple):
  """A published pair of cells.

  Attributes:
    about: what found it, and where it is written.
    normal, reduce: their nodes, each 'operation source, operation source'.
  """
  about: str
  normal: tuple[str, str, str, str]
  reduce: tuple[str, str, str, str]


_NAMED = {
    'darts_v1': Named(
        'DARTS, CIFAR-10: as first released (github.com/quark0/darts, DARTS_V1)',
        ('sep_conv_3x3 1, sep_conv_3x3 0', 'skip_connect 0, sep_conv_3x3 1',
         'skip_connect 0, sep_conv_3x3 1', 'sep_conv_3x3 0, skip_connect 2'),
        ('max_pool_3x3 0, max_pool_3x3 1', 'skip_connect 2, max_pool_3x3 0',
         'max_pool_3x3 0, skip_connect 2', 'skip_connect 2, avg_pool_3x3 0')),
    'darts_v2': Named(
        'DARTS, CIFAR-10: its best, of second order (github.com/quark0/darts, DARTS_V2)',
        ('sep_conv_3x3 0, sep_conv_3x3 1', 'sep_conv_3x3 0, sep_conv_3x3 1',
         'sep_conv_3x3 1, skip_connect 0', 'skip_connect 0, dil_conv_3x3 2'),
        ('max_pool_3x3 0, max_pool_3x3 1', 'skip_connect 2, max_pool_3x3 1',
         'max_pool_3x3 0, skip_connect 2', 'skip_connect 2, max_pool_3x3 1')),
    'pc_darts_cifar': Named(
        'PC-DARTS, CIFAR-10 (github.com/yuhuixu1993/PC-DARTS, PC_DARTS_cifar)',
        ('sep_conv_3x3 1, skip_connect 0', 'sep_conv_3x3 0, dil_conv_3x3 1',
         'sep_conv_5x5 0, sep_conv_3x3 1', 'avg_pool_3x3 0, dil_conv_3x3 1'),
        ('sep_conv_5x5 1, max_pool_3x3 0', 'sep_conv_5x5 1, sep_conv_5x5 2',
         'sep_conv_3x3 0, sep_conv_3x3 3', 'sep_conv_3x3 1, sep_conv_3x3 2')),
    'pc_darts_imagenet': Named(
        'PC-DARTS, ImageNet (github.com/yuhuixu1993/PC-DARTS, PC_DARTS_image)',
        ('skip_connect 1, sep_conv_3x3 0', 'sep_conv_3x3 0, skip_connect 1',
         'sep_conv_3x3 1, sep_conv_3x3 3', 'sep_conv_3x3 1, dil_conv_5x5 4'),
        ('sep_conv_3x3 0, skip_connect 1', 'dil_conv_5x5 2, max_pool_3x3 1',
         'sep_conv_3x3 2, sep_conv_3x3 1', 'sep_conv_5x5 0, sep_conv_3x3 3')),
    'gdas': Named(
        'GDAS, CIFAR-10 (github.com/D-X-Y/AutoDL-Projects, GDAS_V1)',
        ('skip_connect 0, skip_connect 1', 'skip_connect 0, sep_conv_5x5 2',
         'sep_conv_3x3 3, skip_connect 0', 'sep_conv_5x5 4, sep_conv_3x3 3'),
        ('sep_conv_5x5 0, sep_conv_3x3 1', 'sep_conv_5x5 2, sep_conv_5x5 1',
         'dil_conv_5x5 2, sep_conv_3x3 1', 'sep_conv_5x5 0, sep_conv_5x5 1')),
    'p_darts': Named(
        'P-DARTS, CIFAR-10 (github.com/chenxin061/pdarts, PDARTS)',
        ('skip_connect 0, dil_conv_3x3 1', 'skip_connect 0, sep_conv_3x3 1',
         'sep_conv_3x3 1, sep_conv_3x3 3', 'sep_conv_3x3 0, dil_conv_5x5 4'),
        ('avg_pool_3x3 0, sep_conv_5x5 1', 'sep_conv_3x3 0, dil_conv_5x5 2',
         'max_pool_3x3 0, dil_conv_3x3 1', 'dil_conv_3x3 1, dil_conv_5x5 3')),
}


def _pairs(nodes):
  pairs = [pair.split(' ') for node in nodes for pair in node.split(', ')]
  return tuple((name, int(source)) for name, source in pairs)


def named_genotypes() -> dict[str, Genotype]:
  """{name: `Genotype`} of the published cells that `load_genotype` and --genotype know by name."""
  return {name: canonical(Genotype(_pairs(row.normal), _pairs(row.reduce), DAAS_PRIMITIVES))
          for name, row in _NAMED.items()}


def about() -> dict[str, str]:
  """{name: what found it, and where it is written}."""
  return {name: row.about for name, row in _NAMED.items()}


def is_meant(asked: str | os.PathLike) -> bool:
  """Whether a word means a published genotype: it is the name of one, and of no file."""
  return os.fspath(asked) in _NAMED and not storage.is_file(asked)
