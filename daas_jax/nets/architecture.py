"""The distribution over architectures: alpha [2, E, O], beta [2, E] (DAAS 3.2, Eq. 7-8)."""

import jax
import jax.numpy as jnp

from daas_jax.estimators import gumbel
from daas_jax.nets import cells

CELL_TYPES = ('normal', 'reduce')
"""Names of the rows of alpha and beta."""


def init(key, primitives):
  """alpha [2, E, O] and beta [2, E] at the start: 1e-3 * normal."""
  key_alpha, key_beta = jax.random.split(key)
  edges = len(cells.EDGES)
  return {'alpha': 1e-3 * jax.random.normal(key_alpha, (2, edges, len(primitives))),
          'beta': 1e-3 * jax.random.normal(key_beta, (2, edges))}


def sample(key, arch, tau):
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
    rows.append(jnp.concatenate([gumbel.top_k(keys[n], arch['beta'][kind][edges[0]:edges[-1] + 1], tau)
                                 for n, edges in enumerate(cells.NODE_EDGES)]))
  return {'A': gumbel.one_hot(key_a, arch['alpha'], tau), 'B': jnp.stack(rows)}


def _entropy(logits):
  log_p = jax.nn.log_softmax(logits)
  return -jnp.sum(jnp.exp(log_p) * log_p, -1)


def entropies(arch):
  """Mean entropy, in nats, of softmax(alpha) over all edges and of softmax(beta) over all nodes: two scalars."""
  beta = jnp.stack([jnp.mean(_entropy(arch['beta'][:, e[0]:e[-1] + 1])) for e in cells.NODE_EDGES])
  return jnp.mean(_entropy(arch['alpha'])), jnp.mean(beta)


def mean_probabilities(arch):
  """softmax(alpha) averaged over the edges: [2, O], a row a cell type."""
  return jnp.mean(jax.nn.softmax(arch['alpha']), 1)
