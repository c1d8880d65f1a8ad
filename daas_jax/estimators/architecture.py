"""Estimators of grad_alpha E_Z[L(Z)], Z a one-hot row an edge drawn from softmax(alpha).

A loss takes a whole matrix Z [E, O] of real numbers (a mixture); the estimators call it at one-hot
rows. What it gives operations that were not drawn is the loss's choice: see `mixture`. The exact
gradient is `exact.expected_loss_gradient` over all O^E architectures.
"""

from collections.abc import Callable

import chex
import jax
from jax import lax
import jax.numpy as jnp

from daas_jax.estimators import dsnas as dsnas_lib, gumbel, score

RULES = ('all', 'sampled', 'ones')


def mixture(outputs: jax.Array, weights: jax.Array, rule: str) -> jax.Array:
  """sum_o weights_o * outputs_o of one edge, with a rule for the gradient of operations of weight
  0.

  Args:
    outputs: [O, ...].
    weights: [O], one-hot in the forward pass.
    rule: 'all': d/dw_o = <g, outputs_o>, the true derivative, at the cost of computing all of them;
      'sampled': 0 for those not drawn (DAAS's single path, which never computes them); 'ones': as
      if their output were all ones (GDAS's code adds the bare weights of the others to the sampled
      output).
  """
  chex.assert_shape(weights, outputs.shape[:1])
  shape = (-1,) + (1,) * (outputs.ndim - 1)
  w = weights.reshape(shape)
  drawn = lax.stop_gradient(w) != 0
  if rule == 'all':
    return jnp.sum(w * outputs, 0)
  others = {'sampled': 0.0, 'ones': 1.0}[rule]
  return jnp.sum(w * jnp.where(drawn, outputs, others), 0)


def log_prob(alpha: jax.Array, Z: jax.Array) -> jax.Array:
  """log p(Z; alpha) = sum_e log softmax(alpha_e)[o_e], for one-hot rows Z [E, O]: []."""
  chex.assert_rank(alpha, 2)
  chex.assert_equal_shape([alpha, Z])
  return jnp.sum(jax.nn.log_softmax(alpha) * lax.stop_gradient(Z))


def sample(key: chex.PRNGKey, alpha: jax.Array) -> jax.Array:
  """Z [E, O], one-hot rows drawn from softmax(alpha), constants."""
  chex.assert_rank(alpha, 2)
  return jax.nn.one_hot(jax.random.categorical(key, alpha), alpha.shape[-1], dtype=alpha.dtype)


def straight_through(loss: Callable, key: chex.PRNGKey, alpha: jax.Array,
                     tau: chex.Numeric) -> jax.Array:
  """The straight-through Gumbel estimator (DAAS Eq. 7, 9): dL/dZ at the hard sample, pulled back as
  if it were soft.

  Biased; with the rule 'ones' in the loss's `mixture` this is GDAS's code, and further off.

  Args:
    loss: Z [E, O] -> scalar.
    key: PRNG key.
    alpha: [E, O].
    tau: temperature > 0.
  """
  return jax.grad(lambda alpha: loss(gumbel.one_hot(key, alpha, tau)))(alpha)


def score_function(loss: Callable, key: chex.PRNGKey, alpha: jax.Array, n: int = 1,
                   baseline: Callable = score.no_baseline) -> jax.Array:
  """mean over n draws of (L - b) grad log p(Z): unbiased, needs no derivative of the loss.

  Args:
    loss, alpha: as above.
    key: PRNG key.
    n: draws, one forward pass each.
    baseline: [1, n] -> [1, n], such as `score.leave_one_out` (n >= 2).
  """
  Z = jax.vmap(sample, (0, None))(jax.random.split(key, n), alpha)
  values = lax.map(loss, Z)[None]
  return score.score_gradient(log_prob, alpha, Z, (values - baseline(values))[0] / n)


def dsnas(loss: Callable, key: chex.PRNGKey, alpha: jax.Array) -> jax.Array:
  """DSNAS: sum_e dL/dZ_e^s * grad log p(Z_e), s the operation drawn on edge e (DiffAutoML Eq. 5).

  The limit of small temperature of the SNAS gradient; dL/dZ_e^s stands in for the effect of
  operation s on the loss, as if L were linear in Z: biased.
  """
  Z = sample(key, alpha)
  return dsnas_lib.gradient(alpha, jnp.argmax(Z, -1), jnp.sum(jax.grad(loss)(Z) * Z, -1))
