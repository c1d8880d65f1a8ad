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
from daas_jax.policies import choices, contract, events, registry, table as policy_table
from daas_jax.policies.events import (
  enumerate_policies as enumerate_policies,
  init as init,
  log_prob as log_prob,
  Policy as Policy,
  rows as rows,
  sample as sample,
  SHARES,
  Space as Space,
  strength as strength,
)

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
  if space.share != 'policy':
    return jnp.sum(_slot_outcomes(gamma, policy, space))
  tuples, log_pi, p, delta = _tables(gamma, space)
  log_level = jax.nn.log_softmax(delta)[:, jnp.arange(space.K), policy.m]
  applied = jax.nn.log_sigmoid(p) + jnp.where(graded(space)[tuples] > 0, log_level, 0.0)
  slot = jnp.where(policy.y == 1, applied, jax.nn.log_sigmoid(-p))
  agrees = jnp.all((tuples == policy.o[None]) | (policy.y[None] == 0), -1)
  # A probability of 0 stays out of the sum, and its gradient out of the backward pass.
  return jax.nn.logsumexp(log_pi + jnp.sum(slot, -1), where=agrees)


def _slot_outcomes(gamma, policy, space):
  """log of the probability of each slot's outcome [K], where slots do not depend on each other."""
  slots = jnp.arange(space.K)
  log_pi = jax.nn.log_softmax(gamma['pi'])
  every = jnp.broadcast_to(jnp.arange(len(space.ops)), (space.K, len(space.ops)))
  p = jax.vmap(lambda o: events.of(gamma['p'], o, space), 1, 1)(every)  # [K, N]
  log_delta = jax.nn.log_softmax(events.of(gamma['delta'], policy.o, space))[slots, policy.m]
  applied = jax.nn.log_sigmoid(p[slots, policy.o]) + graded(space)[policy.o] * log_delta
  return jnp.where(policy.y == 1, log_pi[slots, policy.o] + applied,
                   jax.nn.logsumexp(log_pi + jax.nn.log_sigmoid(-p), -1))


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


def _values(coefficients, space):
  """What an applied operation adds at each level, [K, N, M]."""
  n, levels = len(space.ops), space.levels
  w = coefficients.reshape(space.K, -1)
  by_level = w[:, 1 + n :].reshape(space.K, n, levels) * graded(space)[None, :, None]
  return w[:, :1, None] + w[:, 1 : 1 + n, None] + by_level


def expected_features(gamma: Any, coefficients: jax.Array, space: Space) -> jax.Array:
  """E_Gamma[coefficients . features(Gamma)], [], over the N^K tuples; differentiable in gamma."""
  value = _values(coefficients, space)
  tuples, log_pi, p, delta = _tables(gamma, space)
  slots = jnp.arange(space.K)
  at_tuple = jnp.sum(jax.nn.softmax(delta) * value[slots, tuples], -1)  # [T, K]
  return jnp.vdot(jnp.exp(log_pi), jnp.sum(jax.nn.sigmoid(p) * at_tuple, -1))


def spread(coefficients: jax.Array, space: Space, p0: float = 0.5) -> jax.Array:
  """Standard deviation of coefficients . features(Gamma), [], over uniform policies, whose
  operations are applied with probability p0."""
  value = _values(coefficients, space)
  square, mean = (p0 * jnp.mean(x, (1, 2)) for x in (value**2, value))
  return jnp.sqrt(jnp.sum(square - mean**2))


def divergence(gamma: Any, space: Space, p0: float = 0.5) -> jax.Array:
  """KL(policies of gamma || uniform ones), [] in nats: over the operations, whether each is applied
  (against p0) and, where it is, its level; differentiable in gamma."""
  tuples, log_pi, p, delta = _tables(gamma, space)
  log_delta = jax.nn.log_softmax(delta)
  of_levels = jnp.sum(jnp.exp(log_delta) * log_delta, -1) + math.log(space.levels)
  y, no = jax.nn.sigmoid(p), jax.nn.sigmoid(-p)
  of_slot = y * (jax.nn.log_sigmoid(p) - math.log(p0) + graded(space)[tuples] * of_levels)
  of_slot += no * (jax.nn.log_sigmoid(-p) - math.log1p(-p0))
  of_ops = log_pi + space.K * math.log(len(space.ops))
  return jnp.vdot(jnp.exp(log_pi), of_ops + jnp.sum(of_slot, -1))


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
    delta. With space.drawn = 'image' also 'level_probability' [N ** K, K, M], softmax of delta.
  """
  gamma = jax.tree.map(jnp.asarray, gamma)  # numpy arrays cannot be indexed by traced operations
  o = np.array(list(itertools.product(range(len(space.ops)), repeat=space.K)), np.int32)
  pi = np.asarray(jax.nn.log_softmax(gamma['pi']), np.float64)
  probability = np.exp(sum(pi[k, o[:, k]] for k in range(space.K)))
  look_up = jax.vmap(lambda row: rows(gamma, row, space))
  p, delta = look_up(jnp.asarray(o))
  order = np.argsort(-probability, kind='stable')
  found = {
      'o': o[order],
      'probability': (probability / probability.sum())[order],
      'p': np.asarray(jax.nn.sigmoid(p), np.float64)[order],
      'm': np.asarray(jnp.argmax(delta, -1), np.int32)[order],
  }
  if space.drawn == 'image':
    found['level_probability'] = np.asarray(jax.nn.softmax(delta), np.float64)[order]
  return found


# --- as a space of a search -----------------------------------------------------------------------


class Policies(NamedTuple):
  """The distribution in a `daas_jax.types.Problem`.

  Attributes:
    init, sample: as `init` and `sample`, of one space.
    log_prob: (gamma, policy) -> []: of the event (Eq. 4), or of its outcome.
    identity: policy -> the same policy with nothing applied.
    n_features, features, expected_features: D, policy -> [D], (gamma, w [D]) -> E[w . features] []:
      what an additive control variate needs.
    spread, divergence: w -> the standard deviation of w . features over uniform policies; gamma ->
      the KL divergence from these.
  """
  init: Callable
  sample: Callable
  log_prob: Callable
  identity: Callable
  n_features: int = 0
  features: Callable | None = None
  expected_features: Callable | None = None
  spread: Callable | None = None
  divergence: Callable | None = None


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
      functools.partial(features, space=space), functools.partial(expected_features, space=space),
      functools.partial(spread, space=space, p0=p0),
      functools.partial(divergence, space=space, p0=p0))


def augment(images: jax.Array, policy: Policy, key: jax.Array, space: Space) -> Any:
  """Applies one policy to a batch: images float [B, H, W, C] in [0, 1] -> the same."""
  return apply.apply_policy(images, policy.o, policy.y, strength(policy.m, space), key,
                            ops=space.ops, per='batch')


def augment_each(images: jax.Array, policies: Policy, key: jax.Array, space: Space) -> Any:
  """Applies to each image a policy of its own: images float [B, H, W, C] in [0, 1], `policies` of
  arrays [B, K] -> images. Of arrays [K] it is one policy for all, at a small part of the cost;
  signs and places are those of each image either way."""
  if policies.o.ndim == 1:
    y = jnp.broadcast_to(policies.y, (len(images), *policies.y.shape))
    return apply.apply_policy(images, policies.o, y, strength(policies.m, space), key,
                              ops=space.ops, per='image')
  return apply.apply_each(images, policies.o, policies.y, strength(policies.m, space), key,
                          ops=space.ops)


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
        'policy.drawn': Key('batch', one_of(*policy_table.VERSIONS), 'what draws a policy of what '
                            'was found, in a training: a batch, at the likeliest level (DAAS 4.3), '
                            'or each image, and its level'),
        'policy.p0': Key(0.5, between(0, 1, True, True), 'application probability at the start'),
        'search.score': Key('event', one_of('event', 'outcome'), "what is scored: Eq. 4's event, "
                            'or its outcome, whatever was not applied summed out'),
    },
    space=lambda config: Space(tuple(config.policy.ops), config.policy.K, config.policy.levels,
                               config.policy.share, config.policy.drawn),
    candidates=registry.ops_of,
    distribution=lambda config, space: policies(space, config.policy.p0, config.search.score),
    train_input=lambda config, data, space, given: inputs.make_input(
        config, data, functools.partial(
            augment_each if config.search.get('policy_per') == 'image' else augment, space=space)),
    measures=lambda gamma, space: {
        f'entropy_pi_{k}': float(h) for k, h in enumerate(entropy_pi(gamma))},
    record=lambda gamma, space: contract.record(marginals(gamma, space), space.ops),
    write=_write, evidence=choices.of_slots, choices=choices.slots,
    effective=choices.effective_slots))
