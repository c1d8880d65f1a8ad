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

from daas_jax.estimators import control, dsnas as dsnas_lib, gumbel, score

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


def reinmax(loss: Callable, key: chex.PRNGKey, alpha: jax.Array, tau: chex.Numeric) -> jax.Array:
  """ReinMax (Liu et al. 2023, Alg. 2): the straight-through gradient to the second order, by Heun's
  method.

  Unbiased at tau = 1 for a loss that is quadratic in each row of Z; else biased. It takes the
  derivative by the operations that were not drawn for known: in a single path it is not.

  Args:
    loss, key, alpha: as above.
    tau: temperature >= 1 of the mean of sample and softmax(alpha / tau).
  """
  Z = sample(key, alpha)
  g = jax.grad(loss)(Z)
  halfway = (Z + jax.nn.softmax(alpha / tau)) / 2
  through = lambda p, g: p * (g - jnp.sum(p * g, -1, keepdims=True))  # of softmax, at p
  return 2 * through(halfway, g) - through(jax.nn.softmax(alpha), g) / 2


def additive(loss: Callable, key: chex.PRNGKey, alpha: jax.Array, n: int, w: jax.Array,
             baseline: Callable = score.leave_one_out) -> jax.Array:
  """grad E[h] + the score function of L - h, h = w . Z additive in edges and operations.

  Unbiased for every w that does not depend on these draws, with `score.leave_one_out`;
  `score.step_mean` keeps (n - 1) / n of the second term. (A control variate of known expectation:
  see `control`.)

  Args:
    loss, alpha: as above.
    key: PRNG key.
    n: draws, one forward pass each; 0: grad E[h] alone, biased.
    w: [E, O], such as `control.coefficients` of earlier draws.
    baseline: as in `score_function`.
  """
  left = lambda Z: loss(Z) - jnp.vdot(w, Z)
  rest = score_function(left, key, alpha, n, baseline) if n else jnp.zeros_like(alpha)
  return control.add_expectation(rest, lambda alpha: jnp.vdot(w, jax.nn.softmax(alpha)), alpha, -1)


def learn(Z: jax.Array, values: jax.Array, decay: chex.Numeric = 0.99) -> control.Past:
  """What `control.coefficients` are of, from earlier steps, the last one last.

  Args:
    Z: [H, n, E, O] one-hot, n draws of each of H steps.
    values: [H, n] losses, of a batch and weights of each step's own.
    decay: as in `control.update`.
  """
  def step(past, drawn):
    return control.update(past, *drawn, decay), None
  phi = Z.reshape(*values.shape, Z.shape[-2] * Z.shape[-1])
  return lax.scan(step, control.init(phi.shape[-1]), (phi[:, None], values[:, None]))[0]


def dsnas(loss: Callable, key: chex.PRNGKey, alpha: jax.Array) -> jax.Array:
  """DSNAS: sum_e dL/dZ_e^s * grad log p(Z_e), s the operation drawn on edge e (DiffAutoML Eq. 5).

  The limit of small temperature of the SNAS gradient; dL/dZ_e^s stands in for the effect of
  operation s on the loss, as if L were linear in Z: biased.
  """
  Z = sample(key, alpha)
  return dsnas_lib.gradient(alpha, jnp.argmax(Z, -1), jnp.sum(jax.grad(loss)(Z) * Z, -1))
