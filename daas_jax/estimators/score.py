"""The score-function (REINFORCE) estimator: sum of f(x) * grad log p(x) over samples, and its
baselines."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp


def score_gradient(log_prob: Callable, gamma: Any, samples: Any, coefficients: jax.Array) -> Any:
  """sum_n c_n * grad_gamma log p(x_n; gamma), by one backward pass through the vmapped
  log-probability.

  Args:
    log_prob: (gamma, one sample) -> scalar log-probability.
    gamma: pytree of parameters.
    samples: pytree with a leading axis [n].
    coefficients: [n], treated as constants.

  Returns:
    A pytree like gamma.
  """
  chex.assert_rank(coefficients, 1)
  chex.assert_tree_shape_prefix(samples, coefficients.shape)

  def surrogate(gamma):
    return jnp.vdot(jax.lax.stop_gradient(coefficients),
                    jax.vmap(log_prob, (None, 0))(gamma, samples))
  return jax.grad(surrogate)(gamma)


def no_baseline(s: jax.Array) -> jax.Array:
  """0 for every sample."""
  return jnp.zeros_like(s)


def leave_one_out(s: jax.Array) -> jax.Array:
  """The mean of the other rows, for every sample.

  Args:
    s: [n, m], alignments of n independent draws of (architecture, theta') with m policies each; n *
      m >= 2.

  Returns:
    [n, m]. For n >= 2 the mean over all policies of the other n - 1 rows: nothing in those depends
    on this row's policies, so the expectation of the estimator is unchanged, exactly. For n = 1 the
    mean over the other m - 1 policies of the row: where theta' was built from the same policies,
    that shifts the expectation by a term of order xi.
  """
  chex.assert_rank(s, 2)
  n, m = s.shape
  if n > 1:
    rows = jnp.mean(s, 1)
    return jnp.broadcast_to(((jnp.sum(rows) - rows) / (n - 1))[:, None], s.shape)
  return (jnp.sum(s, 1, keepdims=True) - s) / max(m - 1, 1)


def step_mean(s: jax.Array) -> jax.Array:
  """The mean of all alignments of the step, for every sample.

  A sample's own alignment is part of it, so the expectation shrinks by (n - 1) / n for n
  independent samples, and the standard deviation with it, against the mean of the n - 1 others.
  (Policies that share a theta' are not quite independent: a shift of order xi, as in
  `leave_one_out` for one row.)
  """
  return jnp.full_like(s, jnp.mean(s))


def update_moving_average(average: chex.Numeric, count: chex.Numeric, s: jax.Array,
                          decay: float = 0.9) -> tuple[jax.Array, chex.Numeric]:
  """The exponential moving average of past alignments, with Adam's correction of the start.

  Args:
    average: [] running sum, 0 at the start.
    count: [] number of updates so far.
    s: alignments of this step, any shape.
    decay: in (0, 1).

  Returns:
    (new average, new count). The baseline of a step is `average / (1 - decay ** count)` from before
    its own update, so it does not depend on the step's samples; 0 for count = 0.
  """
  chex.assert_rank([average, count], 0)
  return decay * average + (1 - decay) * jnp.mean(s), count + 1


def moving_average_value(average: chex.Numeric, count: chex.Numeric,
                         decay: float = 0.9) -> jax.Array:
  """The corrected average that `update_moving_average` keeps, 0 before the first update."""
  chex.assert_rank([average, count], 0)
  return jnp.where(count > 0, average / jnp.maximum(1 - decay**count, 1e-12), 0.0)
