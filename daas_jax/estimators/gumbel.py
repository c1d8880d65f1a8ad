"""Straight-through Gumbel samples: hard forward, soft backward (DAAS Eq. 7-8), and the schedule of
tau."""

import chex
import jax
from jax import lax
import jax.numpy as jnp


def straight_through(hard: jax.Array, soft: jax.Array) -> jax.Array:
  """The value of `hard`, exactly, with the gradient of `soft`; two arrays of one shape."""
  chex.assert_equal_shape([hard, soft])
  return hard + (soft - lax.stop_gradient(soft))


def one_hot(key: chex.PRNGKey, logits: jax.Array, tau: chex.Numeric) -> jax.Array:
  """A sample of a categorical distribution as a straight-through one-hot vector (DAAS Eq. 7).

  Args:
    key: PRNG key.
    logits: [..., O], any real numbers; p = softmax(logits) along the last axis.
    tau: temperature > 0 of the soft sample. The hard sample does not depend on it.

  Returns:
    [..., O]: forward one_hot(argmax(log p + g)), backward softmax((log p + g) / tau), g ~ Gumbel(0,
    1).
  """
  noisy = jax.nn.log_softmax(logits) + jax.random.gumbel(key, logits.shape, logits.dtype)
  hard = jax.nn.one_hot(jnp.argmax(noisy, -1), logits.shape[-1], dtype=logits.dtype)
  return straight_through(hard, jax.nn.softmax(noisy / tau))


def bernoulli(key: chex.PRNGKey, logits: jax.Array, tau: chex.Numeric) -> jax.Array:
  """A straight-through sample of Bernoulli(sigmoid(logits)): 0 or 1, with the gradient of
  sigmoid((logits + g) / tau).

  Args:
    key: PRNG key.
    logits: any shape, any real numbers.
    tau: temperature > 0.
  """
  noisy = logits + jax.random.logistic(key, logits.shape, logits.dtype)
  return straight_through((noisy > 0).astype(logits.dtype), jax.nn.sigmoid(noisy / tau))


def top_k(key: chex.PRNGKey, logits: jax.Array, tau: chex.Numeric, k: int = 2) -> jax.Array:
  """k draws without replacement as a straight-through k-hot vector (Gumbel top-k, DAAS Eq. 8).

  Args:
    key: PRNG key.
    logits: [N], N >= k.
    tau: temperature > 0.
    k: number of ones.

  Returns:
    [N]: forward k ones at the largest log p + g, backward softmax((log p + g) / tau).
  """
  chex.assert_rank(logits, 1)
  noisy = jax.nn.log_softmax(logits) + jax.random.gumbel(key, logits.shape, logits.dtype)
  chosen = lax.top_k(noisy, k)[1]
  hard = jnp.zeros_like(logits).at[chosen].set(1)
  return straight_through(hard, jax.nn.softmax(noisy / tau))


def _log_rest(log_p):
  """log(1 - p_i) [N], without the cancellation of 1 - p_i where p_i is nearly 1."""
  return jax.nn.logsumexp(jnp.where(jnp.eye(len(log_p), dtype=bool), -jnp.inf, log_p[None]), -1)


def top_two_log_prob(logits: jax.Array, chosen: jax.Array) -> jax.Array:
  """log P({i, j}) [] of `top_k` with k = 2, in either order: p_i p_j / (1 - p_i) + p_j p_i / (1 -
  p_j) (Plackett and Luce).

  Args:
    logits: [N], N >= 2; p = softmax(logits).
    chosen: [N], ones at i and j, else zeros.
  """
  chex.assert_rank(logits, 1)
  chex.assert_equal_shape([logits, chosen])
  log_p, two = jax.nn.log_softmax(logits), lax.stop_gradient(chosen) > 0
  either = jax.nn.logsumexp(jnp.where(two, -_log_rest(log_p), -jnp.inf))
  return jnp.sum(jnp.where(two, log_p, 0)) + either


def top_two_inclusion(logits: jax.Array) -> jax.Array:
  """P(i is one of the two) [N] of `top_k` with k = 2, for logits [N], N >= 2; they sum to 2."""
  chex.assert_rank(logits, 1)
  log_p = jax.nn.log_softmax(logits)
  first = jnp.exp(log_p - _log_rest(log_p))  # p_i / (1 - p_i): i first, over p of the second
  return jnp.exp(log_p) * (1 + jnp.sum(jnp.where(jnp.eye(len(log_p), dtype=bool), 0, first[None]),
                                       -1))


def linear_tau(step: chex.Numeric, total_steps: chex.Numeric, start: float = 10.0,
               end: float = 0.1) -> jax.Array:
  """Temperature at `step` of `total_steps`: linear from start to end (GDAS's schedule), clipped
  outside."""
  fraction = jnp.clip(step / jnp.maximum(total_steps - 1, 1), 0.0, 1.0)
  return start + (end - start) * fraction
