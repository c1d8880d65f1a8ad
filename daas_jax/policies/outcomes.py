"""What a policy does to the images, apart from how it was drawn: operations that were not applied summed out.

Where y_k = 0 the operation of slot k is not applied, whichever it is; some operations have no magnitude. (A level that
happens to be the identity is an outcome of its own.) Many events
(o, y, m) of DAAS Eq. 4 have one outcome. The score of the outcome's probability is the conditional expectation of the
event's score (Rao-Blackwell), so it may take its place in Eq. 13: the same expectation, never a larger variance, no
further pass.
"""

import itertools

import jax
import jax.numpy as jnp

from daas_jax.augment.ops import OPS
from daas_jax.policies import categorical


def graded(space):
  """Which operations of the space have a magnitude: float [N], 1 or 0."""
  return jnp.array([float(OPS[name].graded) for name in space.ops])


def _tuples(space):
  """Every tuple of operations: int32 [N ** K, K]."""
  return jnp.array(list(itertools.product(range(len(space.ops)), repeat=space.K)), jnp.int32)


def _tables(gamma, space):
  """The tuples with their log pi [T], p logits [T, K] and delta logits [T, K, M]."""
  tuples = _tuples(space)
  slots = jnp.arange(space.K)
  log_pi = jnp.sum(jax.nn.log_softmax(gamma['pi'])[slots, tuples], -1)
  p, delta = jax.vmap(lambda o: categorical.rows(gamma, o, space))(tuples)
  return tuples, log_pi, p, delta


def log_prob(gamma, policy, space):
  """log of the probability of a policy's outcome, []: the sum of exp(Eq. 4) over all events with its effect.

  Args:
    gamma: as `categorical.init` returns.
    policy: a `categorical.Policy` of arrays [K].
    space: the policy space.
  """
  tuples, log_pi, p, delta = _tables(gamma, space)
  log_level = jax.nn.log_softmax(delta)[:, jnp.arange(space.K), policy.m]
  applied = jax.nn.log_sigmoid(p) + jnp.where(graded(space)[tuples] > 0, log_level, 0.0)
  slot = jnp.where(policy.y == 1, applied, jax.nn.log_sigmoid(-p))
  agrees = jnp.all((tuples == policy.o[None]) | (policy.y[None] == 0), -1)
  # A probability of 0 stays out of the sum, and its gradient out of the backward pass.
  return jax.nn.logsumexp(log_pi + jnp.sum(slot, -1), where=agrees)


def features(policy, space):
  """phi, the parts that a policy's effect is made of: float [D], D = K (1 + N + N M), ones and zeros.

  For each slot: whether an operation is applied; which; which at which level (0 for operations without magnitude).
  """
  n, levels = len(space.ops), space.levels
  applied = policy.y.astype(jnp.float32)[:, None]
  op = jax.nn.one_hot(policy.o, n) * applied
  level = jax.nn.one_hot(policy.o * levels + policy.m, n * levels) * applied * graded(space)[policy.o][:, None]
  return jnp.concatenate([applied, op, level], -1).reshape(-1)


def size(space):
  """D, the length of `features`."""
  return space.K * (1 + len(space.ops) * (1 + space.levels))


def expected(gamma, coefficients, space):
  """E_Gamma[coefficients . features(Gamma)], [], in closed form over the N ** K tuples; differentiable in gamma."""
  n, levels = len(space.ops), space.levels
  w = coefficients.reshape(space.K, -1)
  by_level = w[:, 1 + n :].reshape(space.K, n, levels) * graded(space)[None, :, None]
  value = w[:, :1, None] + w[:, 1 : 1 + n, None] + by_level  # [K, N, M] of an applied operation
  tuples, log_pi, p, delta = _tables(gamma, space)
  slots = jnp.arange(space.K)
  at_tuple = jnp.sum(jax.nn.softmax(delta) * value[slots, tuples], -1)  # [T, K]
  return jnp.vdot(jnp.exp(log_pi), jnp.sum(jax.nn.sigmoid(p) * at_tuple, -1))


def systematic(key, gamma, space, n):
  """n policies, each from p(Gamma), together spread over the space: systematic sampling of every coordinate.

  Operation, application and level of a slot come from uniform numbers (u + j / n) mod 1 in a random order of
  j = 0..n - 1, so the policies of a step repeat each other less than independent ones do.

  Args:
    key: PRNG key.
    gamma, space: as above.
    n: policies.

  Returns:
    A `categorical.Policy` of arrays [n, K].
  """
  key_u, key_order = jax.random.split(key)
  start = jax.random.uniform(key_u, (3, space.K, 1))
  grid = jnp.broadcast_to(jnp.arange(n) / n, (3, space.K, n))
  u = (start + jax.random.permutation(key_order, grid, axis=-1, independent=True)) % 1.0
  pick = lambda logits, u: jnp.sum(jnp.cumsum(jax.nn.softmax(logits), -1)[..., :-1] < u[..., None], -1)

  def one(u):  # [3, K]
    o = pick(gamma['pi'], u[0]).astype(jnp.int32)
    p, delta = categorical.rows(gamma, o, space)
    y = u[1] < jax.nn.sigmoid(p)
    return categorical.Policy(o, y.astype(jnp.int32), pick(delta, u[2]).astype(jnp.int32))

  return jax.vmap(one, 2)(u)
