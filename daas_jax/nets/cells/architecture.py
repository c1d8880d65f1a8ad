"""The distribution over architectures: alpha [2, E, O], beta [2, E] (DAAS 3.2, Eq. 7-8); dense
mixtures (DARTS)."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from daas_jax.errors import BadInput
from daas_jax.estimators import gumbel
from daas_jax.nets.cells import cell as cells, genotype as genotype_lib

CELL_TYPES = ('normal', 'reduce')
"""Names of the rows of alpha and beta."""


def init(key: jax.Array, primitives: Sequence[str]) -> dict[str, jax.Array]:
  """alpha [2, E, O] and beta [2, E] at the start: 1e-3 * normal."""
  key_alpha, key_beta = jax.random.split(key)
  edges = len(cells.EDGES)
  return {'alpha': 1e-3 * jax.random.normal(key_alpha, (2, edges, len(primitives))),
          'beta': 1e-3 * jax.random.normal(key_beta, (2, edges))}


class DenseSpace(NamedTuple):
  """A space of dense mixtures, which have no edge logits.

  Attributes:
    primitives: names of the O candidate operations.
    edges: numbers of the E edges of a cell: all of them, of which two a node are derived, or fixed
      ones.
    cells: names of the C cells that have an alpha of their own.
  """
  primitives: tuple
  edges: tuple = cells.ALL_EDGES
  cells: tuple = CELL_TYPES


def own_cells(layers: int) -> tuple[str, ...]:
  """Names of the cells of a network in which each has an alpha of its own (Amended-DARTS's S2)."""
  return tuple(f'cell {layer}' for layer in range(layers))


def init_dense(key: jax.Array, space: DenseSpace) -> dict[str, jax.Array]:
  """{'alpha': [C, E, O]} of a `DenseSpace` at the start: 1e-3 * normal (DARTS)."""
  return {
      'alpha': 1e-3 * jax.random.normal(key,
                                        (len(space.cells), len(space.edges), len(space.primitives)))
  }


def derive(arch: Any, space: DenseSpace) -> Any:
  """The most probable architecture of a search: `genotype.derive`, or its operations alone where
  edges are fixed.

  Args:
    arch: {'alpha': [C, E, O]} and, where edges are searched by logits of their own, 'beta' [C, E];
      arrays.
    space: a `DenseSpace`; of `beta`'s, with all edges.

  Returns:
    A `genotype.Genotype`, or where cells have an alpha of their own a `genotype.NetworkGenotype`.
  """
  if space.edges != cells.ALL_EDGES:
    return genotype_lib.derive_fixed(arch['alpha'], space.edges, space.primitives)
  return genotype_lib.derive(arch['alpha'], arch.get('beta'), space.primitives)


def mixture(arch: Any) -> dict[str, jax.Array]:
  """The z of DARTS's continuous relaxation (Eq. 5 of the joint-search paper): every operation,
  every edge.

  Args:
    arch: {'alpha': [C, E, O]}, or with 'beta' [C, E].

  Returns:
    {'A': [C, E, O] softmax(alpha), 'B': [C, E] ones}; with a beta, B is twice its softmax over the
    edges of each node, which then add up to the two that are sampled.
  """
  a = jax.nn.softmax(arch['alpha'])
  if 'beta' not in arch:
    return {'A': a, 'B': jnp.ones(a.shape[:2])}
  shares = [jax.nn.softmax(arch['beta'][:, e[0]:e[-1] + 1]) for e in cells.NODE_EDGES]
  return {'A': a, 'B': 2 * jnp.concatenate(shares, -1)}


def sample(key: jax.Array, arch: Any, tau: Any) -> dict[str, jax.Array]:
  """One straight-through architecture z (DAAS Eq. 7-8).

  Args:
    key: PRNG key.
    arch: {'alpha': [2, E, O], 'beta': [2, E]}.
    tau: temperature > 0.

  Returns:
    {'A': [2, E, O] one-hot per edge, 'B': [2, E] two-hot per node}, hard forward, soft backward.
  """
  key_a, key_b = jax.random.split(key)
  rows = []
  for kind in range(2):
    keys = jax.random.split(jax.random.fold_in(key_b, kind), cells.STEPS)
    rows.append(
        jnp.concatenate([
            gumbel.top_k(keys[n], arch['beta'][kind][edges[0]:edges[-1] + 1], tau)
            for n, edges in enumerate(cells.NODE_EDGES)
        ]))
  return {'A': gumbel.one_hot(key_a, arch['alpha'], tau), 'B': jnp.stack(rows)}


class Cells(NamedTuple):
  """The distribution over sampled cells, `daas_jax.types.Architectures` with what estimators of
  its gradient need.

  Attributes:
    init: key -> arch.
    sample: (key, arch, temperature) -> z.
    log_prob: (arch, z) -> [], see `log_prob`.
    n_features: D, the number of features.
    features: z -> [D], see `features`.
    expected_features: (arch, w [D]) -> E[w . features] [], exact.
  """
  init: Callable
  sample: Callable
  log_prob: Callable
  n_features: int
  features: Callable
  expected_features: Callable


def of_primitives(primitives: Sequence[str]) -> Cells:
  """The `Cells` whose edges choose among these operations."""
  return Cells(lambda key: init(key, primitives), sample, log_prob,
               2 * len(cells.EDGES) * len(primitives), features, expected_features)


def _by_node(row):
  return [row[edges[0]:edges[-1] + 1] for edges in cells.NODE_EDGES]


def log_prob(arch: Any, z: Any) -> jax.Array:
  """log p [] of what the network runs of a sample: which two edges of every node, in either order,
  and their operations.

  The operations of edges that are not among the two change nothing, and are summed out.

  Args:
    arch: {'alpha': [2, E, O], 'beta': [2, E]}.
    z: as `sample` gives it; a constant here.
  """
  edges = sum(
      gumbel.top_two_log_prob(beta, two)
      for kind in range(2)
      for beta, two in zip(_by_node(arch['beta'][kind]), _by_node(z['B'][kind])))
  return edges + jnp.vdot(lax.stop_gradient(features(z)), jax.nn.log_softmax(arch['alpha']))


def features(z: Any) -> jax.Array:
  """What the loss of a sample is most nearly additive in: B_e A_eo, [2 * E * O] zeros and ones."""
  return (z['B'][..., None] * z['A']).reshape(-1)


def expected_features(arch: Any, w: jax.Array) -> jax.Array:
  """E[w . features(z)] [] over samples z, exactly: P(edge e is one of the two) * softmax(alpha_e).

  Args:
    arch: {'alpha': [2, E, O], 'beta': [2, E]}.
    w: [2 * E * O].
  """
  used = jnp.stack([
      jnp.concatenate([gumbel.top_two_inclusion(beta) for beta in _by_node(row)])
      for row in arch['beta']
  ])
  return jnp.vdot(w, used[..., None] * jax.nn.softmax(arch['alpha']))


def fixed(genotype: Any, primitives: Sequence[str]) -> dict[str, jax.Array]:
  """The z of one `Genotype`: {'A': [2, E, O] one-hot per edge, 'B': [2, E] two-hot per node}, as
  `sample` gives.

  An edge that the genotype does not use has the first operation in A; B is zero there.

  Raises:
    BadInput: it is no genotype, or one of its operations is not among `primitives`.
  """
  a, b = np.zeros((2, len(cells.EDGES), len(primitives)), np.float32), np.zeros(
      (2, len(cells.EDGES)), np.float32)
  if isinstance(genotype, genotype_lib.NetworkGenotype):
    raise BadInput(
        f'the genotype has {len(genotype.cells)} different cells, and this space has two: give one '
        'of this space')
  used = {}
  genotype = genotype_lib.canonical(genotype)
  for kind, pairs in enumerate((genotype.normal, genotype.reduce)):
    for i, (name, source) in enumerate(pairs):
      if name not in primitives:
        raise BadInput(
            f'the genotype has the operation {name}, which is not among network.primitives '
            f'({", ".join(primitives)})')
      used[kind, cells.EDGES.index((source, i // 2 + cells.INPUTS))] = primitives.index(name)
  for kind in range(2):
    for edge in range(len(cells.EDGES)):
      a[kind, edge, used.get((kind, edge), 0)] = 1
      b[kind, edge] = (kind, edge) in used
  return {'A': jnp.asarray(a), 'B': jnp.asarray(b)}


def _entropy(logits):
  log_p = jax.nn.log_softmax(logits)
  return -jnp.sum(jnp.exp(log_p) * log_p, -1)


def entropies(arch: Any) -> dict[str, jax.Array]:
  """Mean entropies, in nats: {'entropy_alpha': of softmax(alpha) over all edges, 'entropy_beta': of
  softmax(beta) over all nodes, where there is a beta}; scalars []."""
  out = {'entropy_alpha': jnp.mean(_entropy(arch['alpha']))}
  if 'beta' in arch:
    nodes = [jnp.mean(_entropy(arch['beta'][:, e[0]:e[-1] + 1])) for e in cells.NODE_EDGES]
    out['entropy_beta'] = jnp.mean(jnp.stack(nodes))
  return out


def mean_probabilities(arch: Any) -> jax.Array:
  """softmax(alpha) averaged over the edges: [C, O], a row a cell type."""
  return jnp.mean(jax.nn.softmax(arch['alpha']), 1)
