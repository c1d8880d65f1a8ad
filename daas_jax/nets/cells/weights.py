"""What the operations of an architecture of cells weigh, and random architectures that weigh as
much as another."""

from collections.abc import Sequence
import functools
import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.errors import BadInput
from daas_jax.nets import kernels as k
from daas_jax.nets.cells.cell import NODE_EDGES, places, source_stride
from daas_jax.nets.cells.genotype import candidates, check_layers, Genotype, pairs_of
from daas_jax.nets.cells.primitives import PRIMITIVES

BARE = ('max_pool_3x3', 'avg_pool_3x3')
"""Operations without a batch normalisation in the final network."""
WITHIN = 0.02
"""Largest relative difference from the weights of the other architecture's operations."""
_DRAWS = 10_000


@functools.lru_cache(maxsize=None)
def norm_count(name: str, stride: int) -> int:
  """How many batch normalisations an operation of the final network holds: the calls it makes on a
  small image.

  Args:
    name: of `PRIMITIVES`.
    stride: 1 or 2.
  """
  calls = []

  def counted(x):
    calls.append(x.shape)
    return x

  kernels = k.KERNELS['plain']._replace(batch_norm=counted)

  def run():
    w = {n: jnp.zeros(shape) for n, (shape, _) in PRIMITIVES[name].shapes(2, stride).items()}
    return PRIMITIVES[name].apply(jnp.zeros((1, 2, 2, 2)), w, stride, jax.random.key(0), kernels)

  jax.eval_shape(run)
  return 0 if name in BARE else len(calls)


def _of_operation(name, channels, stride):
  shapes = PRIMITIVES[name].shapes(channels, stride)
  return sum(math.prod(shape) for shape, _ in shapes.values()) + (
      2 * channels * norm_count(name, stride))


def operations(genotype: Any, layers: int, channels: int) -> int:
  """Weights of the operations of a final network's cells: convolutions and the scales and offsets
  of their normalisations. What else the network has is the same for every genotype.

  Args:
    genotype: `Genotype`, or a `NetworkGenotype` of as many cells.
    layers: cells of the network.
    channels: of the first.

  Raises:
    BadInput: a `NetworkGenotype` of another number of cells.
  """
  check_layers(genotype, layers)
  return sum(_of_operation(name, c, source_stride(source, reduction))
             for layer, reduction, c in places(layers, channels)
             for name, source in pairs_of(genotype, layer, reduction))


def _table(names, layers, channels):
  """Weights of an operation in all cells of a type: [2 cell types, 2 strides, O]."""
  table = np.zeros((2, 2, len(names)))
  for _, reduction, c in places(layers, channels):
    table[int(reduction)] += [[_of_operation(name, c, stride) for name in names]
                              for stride in (1, 2)]
  return table


class _Tilted:
  """Architectures with probability proportional to exp(slope x weights): those that weigh the same
  are all as probable."""

  def __init__(self, table, slope):
    logits = slope * table
    top = logits.max(-1, keepdims=True)
    self._p = np.exp(logits - top)
    total = self._p.sum(-1, keepdims=True)
    self._p /= total
    self._mean = np.sum(self._p * table, -1)  # [2, 2] weights of an operation
    self._log_total = (np.log(total) + top)[..., 0]

  def _pairs(self, kind, sources):
    """Pairs of sources of a node, and their probabilities."""
    pairs = list(itertools.combinations(range(sources), 2))
    at = [[source_stride(source, bool(kind)) - 1 for source in pair] for pair in pairs]
    logits = self._log_total[kind, np.array(at)].sum(-1)
    p = np.exp(logits - logits.max())
    return pairs, at, p / p.sum()

  def mean(self):
    """Expected weights."""
    total = 0.0
    for kind, edges in itertools.product((0, 1), NODE_EDGES):
      _, at, p = self._pairs(kind, len(edges))
      total += p @ self._mean[kind, np.array(at)].sum(-1)
    return total

  def draw(self, rng, names):
    """The 8 pairs of both cells."""
    def cell(kind):
      for edges in NODE_EDGES:
        pairs, at, p = self._pairs(kind, len(edges))
        chosen = rng.choice(len(pairs), p=p)
        for source, stride in zip(pairs[chosen], at[chosen]):
          yield names[rng.choice(len(names), p=self._p[kind, stride])], source
    return tuple(cell(0)), tuple(cell(1))


def _tilted_to(table, weights):
  """`_Tilted` whose mean is `weights`, or as near as architectures come: by bisection."""
  low, high = (sign * 200 / max(table.max(), 1.0) for sign in (-1, 1))
  for _ in range(60):
    slope = (low + high) / 2
    low, high = (slope, high) if _Tilted(table, slope).mean() < weights else (low, slope)
  return _Tilted(table, (low + high) / 2)


def random_like(seed: int, like: Any, primitives: Sequence[str], layers: int,
                channels: int) -> Genotype:
  """A random architecture whose operations weigh what another's do, within `WITHIN`.

  Architectures of the same weights are equally probable; how probable weights are is tilted so that
  their mean is the other's, and the first draw that is within is taken.

  Args:
    seed: integer >= 0; the same arguments give the same architecture.
    like: `Genotype` or `NetworkGenotype`.
    primitives: names of the candidate operations.
    layers: cells of the network that both are trained as.
    channels: of the first cell.

  Returns:
    Genotype.

  Raises:
    BadInput: no operation other than 'none', a network of other cells, or hardly an architecture of
      these operations weighs as much.
  """
  rng = np.random.Generator(np.random.PCG64(seed))
  names = [primitives[o] for o in candidates(primitives)]
  weights = operations(like, layers, channels)
  tilted = _tilted_to(_table(names, layers, channels), weights)
  for _ in range(_DRAWS):
    normal, reduce = tilted.draw(rng, names)
    drawn = Genotype(normal, reduce, tuple(primitives))
    if abs(operations(drawn, layers, channels) - weights) <= WITHIN * weights:
      return drawn
  raise BadInput(f'hardly an architecture of {", ".join(names)} weighs what the searched one does '
                 f'({weights:,} weights in its operations): take random:SEED, which may weigh more '
                 'or less')
