"""The events of DAAS's distribution over policies (DAAS 3.2, Eq. 3-4): one policy (o, y, m), drawn
with its probability.
"""

import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment.ops import DAAS_OPS
from daas_jax.policies import table as policy_table

SHARES = ('policy', 'slot', 'op')


class Space(NamedTuple):
  """A space of policies.

  Attributes:
    ops: names of the N candidate operations.
    K: operations in sequence, 2 in the paper.
    levels: M magnitude levels, 10 in the paper.
    share: which operations share their p and delta: 'policy' none (one for every operation tuple
      and slot: the paper), 'slot' those of the same slot, 'op' all occurrences of an operation.
    drawn: what draws a policy when a network is trained under what was found: 'batch' (the paper,
      at the likeliest levels) or 'image' (and its levels).
  """
  ops: tuple = DAAS_OPS
  K: int = 2
  levels: int = 10
  share: str = 'policy'
  drawn: str = 'batch'


class Policy(NamedTuple):
  """One sampled policy: o int32 [K] in [0, N), y int32 [K] in {0, 1}, m int32 [K] in [0, M).

  m is drawn for every slot but is part of the event, and of its probability, only where y = 1.
  """
  o: jax.Array
  y: jax.Array
  m: jax.Array


def _table_shape(space):
  n = len(space.ops)
  return {'policy': (n,) * space.K + (space.K,), 'slot': (space.K, n), 'op': (n,)}[space.share]


def init(key: jax.Array, space: Space, p0: float = 0.5) -> dict[str, jax.Array]:
  """gamma at the start: pi and delta 1e-3 * normal, p such that sigmoid(p) = p0.

  Args:
    key: PRNG key.
    space: the policy space.
    p0: application probability in (0, 1).

  Returns:
    {'pi': [K, N], 'p': logits, 'delta': logits with a last axis [M]}; p has shape [N] * K + [K] for
    share = 'policy', [K, N] for 'slot', [N] for 'op', and delta the same with [M] behind.
  """
  key_pi, key_delta = jax.random.split(key)
  shape = _table_shape(space)
  pi = 1e-3 * jax.random.normal(key_pi, (space.K, len(space.ops)))
  return {
      'pi': pi,
      'p': jnp.full(shape, math.log(p0) - math.log1p(-p0), pi.dtype),
      'delta': 1e-3 * jax.random.normal(key_delta, (*shape, space.levels)),
  }


def of(table, o, space):
  """The rows of p or delta that belong to the operations o [K]: [K, ...]."""
  if space.share == 'policy':
    return table[tuple(o[k] for k in range(space.K))]
  return table[jnp.arange(space.K), o] if space.share == 'slot' else table[o]


def rows(gamma: Any, o: jax.Array, space: Space) -> tuple[jax.Array, jax.Array]:
  """The logits of p [K] and of delta [K, M] that belong to the operations o [K]."""
  return of(gamma['p'], o, space), of(gamma['delta'], o, space)


def sample(key: jax.Array, gamma: Any, space: Space) -> Policy:
  """Draws one policy: o_k ~ softmax(pi_k), y_k ~ Bernoulli(sigmoid(p)), m_k ~ softmax(delta) (DAAS
  Eq. 3).

  Args:
    key: PRNG key.
    gamma: as `init` returns.
    space: the policy space.

  Returns:
    A `Policy` of arrays [K].
  """
  key_o, key_y, key_m = jax.random.split(key, 3)
  o = jax.random.categorical(key_o, gamma['pi'])
  y = jax.random.bernoulli(key_y, jax.nn.sigmoid(of(gamma['p'], o, space)))
  m = jax.random.categorical(key_m, of(gamma['delta'], o, space))
  return Policy(o.astype(jnp.int32), y.astype(jnp.int32), m.astype(jnp.int32))


def log_prob(gamma: Any, policy: Policy, space: Space) -> jax.Array:
  """log p(Gamma), DAAS Eq. 4, a scalar [].

  sum_k log softmax(pi_k)[o_k] + (1 - y_k) log(1 - p_k) + y_k (log p_k + log softmax(delta_k)[m_k]).
  """
  slots = jnp.arange(space.K)
  log_pi = jax.nn.log_softmax(gamma['pi'])[slots, policy.o]
  p = of(gamma['p'], policy.o, space)
  log_delta = jax.nn.log_softmax(of(gamma['delta'], policy.o, space))[slots, policy.m]
  applied = jax.nn.log_sigmoid(p) + log_delta
  return jnp.sum(log_pi + jnp.where(policy.y == 1, applied, jax.nn.log_sigmoid(-p)))


def enumerate_policies(space: Space) -> Policy:
  """Every event of the space once: a `Policy` of [n, K], n = (N (1 + M))^K; m = 0 where y = 0."""
  one = [(o, 0, 0) for o in range(len(space.ops))]
  one += [(o, 1, m) for o in range(len(space.ops)) for m in range(space.levels)]
  rows = np.array(list(itertools.product(one, repeat=space.K)), np.int32)
  return Policy(*(jnp.asarray(rows[..., i]) for i in range(3)))


def strength(m: Any, space: Space) -> Any:
  """Level m in [0, M) as strength in [0, 1], the unit of `daas_jax.augment.apply`: m / (M - 1)."""
  return policy_table.strength(m, space.levels)
