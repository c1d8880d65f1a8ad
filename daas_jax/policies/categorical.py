"""DAAS's distribution over augmentation policies: gamma = (pi, p, delta), K operations in sequence
(DAAS 3.2, Eq. 3-4).

A policy is (o, y, m): operations o_k, whether each is applied y_k, and its magnitude level m_k.
"""

from collections.abc import Callable
import functools
import itertools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import apply, inputs
from daas_jax.augment.ops import DAAS_OPS, OPS
from daas_jax.config.key import all_of, between, Key, one_of
from daas_jax.policies import choices, contract, registry, table as policy_table

SHARES = ('policy', 'slot', 'op')


class Space(NamedTuple):
  """A space of policies.

  Attributes:
    ops: names of the N candidate operations.
    K: operations in sequence, 2 in the paper.
    levels: M magnitude levels, 10 in the paper.
    share: which operations share their p and delta: 'policy' none (one for every operation tuple
      and slot: the paper), 'slot' those of the same slot, 'op' all occurrences of an operation.
  """
  ops: tuple = DAAS_OPS
  K: int = 2
  levels: int = 10
  share: str = 'policy'


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


def _of(table, o, space):
  """The rows of p or delta that belong to the operations o [K]: [K, ...]."""
  if space.share == 'policy':
    return table[tuple(o[k] for k in range(space.K))]
  return table[jnp.arange(space.K), o] if space.share == 'slot' else table[o]


def rows(gamma: Any, o: jax.Array, space: Space) -> tuple[jax.Array, jax.Array]:
  """The logits of p [K] and of delta [K, M] that belong to the operations o [K]."""
  return _of(gamma['p'], o, space), _of(gamma['delta'], o, space)


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
  y = jax.random.bernoulli(key_y, jax.nn.sigmoid(_of(gamma['p'], o, space)))
  m = jax.random.categorical(key_m, _of(gamma['delta'], o, space))
  return Policy(o.astype(jnp.int32), y.astype(jnp.int32), m.astype(jnp.int32))


def log_prob(gamma: Any, policy: Policy, space: Space) -> jax.Array:
  """log p(Gamma), DAAS Eq. 4, a scalar [].

  sum_k log softmax(pi_k)[o_k] + (1 - y_k) log(1 - p_k) + y_k (log p_k + log softmax(delta_k)[m_k]).
  """
  slots = jnp.arange(space.K)
  log_pi = jax.nn.log_softmax(gamma['pi'])[slots, policy.o]
  p = _of(gamma['p'], policy.o, space)
  log_delta = jax.nn.log_softmax(_of(gamma['delta'], policy.o, space))[slots, policy.m]
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


# --- outcomes: events of one effect on the images, what is not applied summed out -----------------
# As a score function they have the expectation of Eq. 4's events, and less variance.


def graded(space: Space) -> jax.Array:
  """Which operations of the space have a magnitude: float [N], 1 or 0."""
  return jnp.array([float(OPS[name].graded) for name in space.ops])


def _tables(gamma, space):
  """Every tuple of operations [T, K], its log pi [T], p logits [T, K], delta logits [T, K, M]."""
  tuples = jnp.array(list(itertools.product(range(len(space.ops)), repeat=space.K)), jnp.int32)
  slots = jnp.arange(space.K)
  log_pi = jnp.sum(jax.nn.log_softmax(gamma['pi'])[slots, tuples], -1)
  p, delta = jax.vmap(lambda o: rows(gamma, o, space))(tuples)
  return tuples, log_pi, p, delta


def outcome_log_prob(gamma: Any, policy: Policy, space: Space) -> jax.Array:
  """log of the probability of a policy's outcome, []: of all events (Eq. 4) with its effect.

  Args:
    gamma: as `init` returns.
    policy: a `Policy` of arrays [K].
    space: the policy space.
  """
  tuples, log_pi, p, delta = _tables(gamma, space)
  log_level = jax.nn.log_softmax(delta)[:, jnp.arange(space.K), policy.m]
  applied = jax.nn.log_sigmoid(p) + jnp.where(graded(space)[tuples] > 0, log_level, 0.0)
  slot = jnp.where(policy.y == 1, applied, jax.nn.log_sigmoid(-p))
  agrees = jnp.all((tuples == policy.o[None]) | (policy.y[None] == 0), -1)
  # A probability of 0 stays out of the sum, and its gradient out of the backward pass.
  return jax.nn.logsumexp(log_pi + jnp.sum(slot, -1), where=agrees)


def features(policy: Policy, space: Space) -> jax.Array:
  """phi, the parts that a policy's effect is made of: ones and zeros [D], D = K (1 + N + N M).

  For each slot: whether an operation is applied; which; which at which level (0 for operations
  without magnitude).
  """
  n, levels = len(space.ops), space.levels
  applied = policy.y.astype(jnp.float32)[:, None]
  op = jax.nn.one_hot(policy.o, n) * applied
  level = jax.nn.one_hot(policy.o * levels + policy.m,
                         n * levels) * applied * graded(space)[policy.o][:, None]
  return jnp.concatenate([applied, op, level], -1).reshape(-1)


def n_features(space: Space) -> int:
  """D, the length of `features`."""
  return space.K * (1 + len(space.ops) * (1 + space.levels))


def expected_features(gamma: Any, coefficients: jax.Array, space: Space) -> jax.Array:
  """E_Gamma[coefficients . features(Gamma)], [], over the N^K tuples; differentiable in gamma."""
  n, levels = len(space.ops), space.levels
  w = coefficients.reshape(space.K, -1)
  by_level = w[:, 1 + n :].reshape(space.K, n, levels) * graded(space)[None, :, None]
  value = w[:, :1, None] + w[:, 1 : 1 + n, None] + by_level  # [K, N, M] of an applied operation
  tuples, log_pi, p, delta = _tables(gamma, space)
  slots = jnp.arange(space.K)
  at_tuple = jnp.sum(jax.nn.softmax(delta) * value[slots, tuples], -1)  # [T, K]
  return jnp.vdot(jnp.exp(log_pi), jnp.sum(jax.nn.sigmoid(p) * at_tuple, -1))


# --- what is left of it ---------------------------------------------------------------------------


def entropy_pi(gamma: Any) -> jax.Array:
  """Entropy of softmax(pi_k), in nats: [K]; at most log N."""
  log_p = jax.nn.log_softmax(gamma['pi'])
  return -jnp.sum(jnp.exp(log_p) * log_p, -1)


def marginals(gamma: Any, space: Space) -> dict[str, np.ndarray]:
  """What is likely in each slot, whatever is drawn in the others: what a figure of gamma over time
  shows.

  Args:
    gamma: as `init` returns.
    space: the policy space.

  Returns:
    {'probability', 'applied', 'strength'}: numpy [K, N] each. softmax(pi); the application
    probability of operation n in slot k; its mean magnitude in [0, 1] from the low to the high end
    of its range. With share = 'policy' the last two are means over the operations of the other
    slots, as likely as pi makes them.
  """
  gamma = {name: np.asarray(x, np.float64) for name, x in jax.device_get(gamma).items()}
  slots = range(space.K)
  pi = np.exp(gamma['pi'] - gamma['pi'].max(-1, keepdims=True))
  pi /= pi.sum(-1, keepdims=True)
  delta = np.exp(gamma['delta'] - gamma['delta'].max(-1, keepdims=True))
  parts = {'applied': 1 / (1 + np.exp(-gamma['p'])),
           'strength': delta @ strength(np.arange(space.levels), space) / delta.sum(-1)}

  def of_slot(values, k):
    if space.share != 'policy':
      return values[k] if space.share == 'slot' else values
    values = np.moveaxis(values[..., k], k, 0)
    for other in slots:
      if other != k:
        values = np.tensordot(values, pi[other], (1, 0))
    return values

  return {
      'probability': pi
  } | {
      name: np.stack([of_slot(x, k) for k in slots]) for name, x in parts.items()
  }


def table(gamma: Any, space: Space) -> dict[str, np.ndarray]:
  """The full table of derived policies (DAAS 4.3), likeliest first.

  Args:
    gamma: as `init` returns.
    space: the policy space.

  Returns:
    {'o': int [N ** K, K], 'probability': [N ** K], 'p': [N ** K, K], 'm': int [N ** K, K]} as numpy
      arrays:
    probability prod_k softmax(pi_k)[o_k], application probabilities sigmoid(p), levels argmax
    delta.
  """
  gamma = jax.tree.map(jnp.asarray, gamma)  # numpy arrays cannot be indexed by traced operations
  o = np.array(list(itertools.product(range(len(space.ops)), repeat=space.K)), np.int32)
  pi = np.asarray(jax.nn.log_softmax(gamma['pi']), np.float64)
  probability = np.exp(sum(pi[k, o[:, k]] for k in range(space.K)))
  look_up = jax.vmap(lambda row: rows(gamma, row, space))
  p, delta = look_up(jnp.asarray(o))
  order = np.argsort(-probability, kind='stable')
  return {
      'o': o[order],
      'probability': (probability / probability.sum())[order],
      'p': np.asarray(jax.nn.sigmoid(p), np.float64)[order],
      'm': np.asarray(jnp.argmax(delta, -1), np.int32)[order],
  }


# --- as a space of a search -----------------------------------------------------------------------


class Policies(NamedTuple):
  """The distribution in a `daas_jax.types.Problem`.

  Attributes:
    init, sample: as `init` and `sample`, of one space.
    log_prob: (gamma, policy) -> []: of the event (Eq. 4), or of its outcome.
    identity: policy -> the same policy with nothing applied.
    n_features, features, expected_features: D, policy -> [D], (gamma, w [D]) -> E[w . features] []:
      what an additive control variate needs.
  """
  init: Callable
  sample: Callable
  log_prob: Callable
  identity: Callable
  n_features: int = 0
  features: Callable | None = None
  expected_features: Callable | None = None


def policies(space: Space, p0: float = 0.5, scored: str = 'event') -> Policies:
  """The `Policies` of a space.

  Args:
    space: the policy space.
    p0: application probability at the start, in (0, 1).
    scored: what `log_prob` is of: the 'event' (DAAS Eq. 4), or its 'outcome'.
  """
  of = {'event': log_prob, 'outcome': outcome_log_prob}[scored]
  return Policies(
      functools.partial(init, space=space, p0=p0), functools.partial(sample, space=space),
      functools.partial(of, space=space), registry.not_applied, n_features(space),
      functools.partial(features, space=space), functools.partial(expected_features, space=space))


def augment(images: jax.Array, policy: Policy, key: jax.Array, space: Space) -> Any:
  """Applies one policy to a batch: images float [B, H, W, C] in [0, 1] -> the same."""
  return apply.apply_policy(images, policy.o, policy.y, strength(policy.m, space), key,
                            ops=space.ops, per='batch')


def _write(path, gamma, space, records):
  del records
  found = table(jax.device_get(gamma), space)
  policy_table.save(path, found, space)
  return policy_table.describe(found, space)


registry.register('categorical', registry.PolicySpace(
    'policies of K operations with levels',
    keys={
        'policy.K': registry.K_KEY,
        'policy.ops': Key(DAAS_OPS, all_of(OPS), 'candidate image operations (DAAS 3.2)'),
        'policy.levels': Key(10, between(1, 100), 'magnitude levels (DAAS 3.2)'),
        'policy.share': Key('policy', one_of(*SHARES), 'which share p and delta (DAAS 3.2)'),
        'policy.p0': Key(0.5, between(0, 1, True, True), 'application probability at the start'),
        'search.score': Key('event', one_of('event', 'outcome'), "what is scored: Eq. 4's event, "
                            'or its outcome, whatever was not applied summed out'),
    },
    space=lambda config: Space(tuple(config.policy.ops), config.policy.K, config.policy.levels,
                               config.policy.share),
    candidates=registry.ops_of,
    distribution=lambda config, space: policies(space, config.policy.p0, config.search.score),
    train_input=lambda config, data, space, given: inputs.make_input(
        config, data, functools.partial(augment, space=space)),
    measures=lambda gamma, space: {
        f'entropy_pi_{k}': float(h) for k, h in enumerate(entropy_pi(gamma))},
    record=lambda gamma, space: contract.record(marginals(gamma, space), space.ops),
    write=_write, evidence=choices.of_slots, choices=choices.slots,
    effective=choices.effective_slots))
