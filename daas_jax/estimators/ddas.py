"""DDAS: the policy gradient from uniformly drawn policies, weighted by their probabilities (DDAS
Eq. 3-17).

P(D_l) = p_tp P(phi_l) is the probability of the batch augmented with candidate l, 1 - sum_l P(D_l)
that of the clean one; how parameters give P(D_l) is the caller's function.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp

from daas_jax.estimators import unrolled


def drawn_weights(p: jax.Array, p_tp: chex.Numeric) -> tuple[jax.Array, jax.Array]:
  """(w [L], Z []) of drawn policies: w_l = p_tp P(phi_l) / Z, Z = sum_l P(phi_l) (DDAS Eq. 12).

  Args:
    p: [L], P(phi_l).
    p_tp: [], total probability.
  """
  chex.assert_rank([p, p_tp], [1, 0])
  Z = jnp.sum(p)
  return p_tp * p / Z, Z


def expected_gradient(weights: jax.Array, gradients: Any) -> Any:
  """sum_l w_l g_l over the clean batch and the augmented ones, the gradient of Eq. 5-6.

  Args:
    weights: [1 + L], the clean batch's first.
    gradients: a pytree with a leading axis [1 + L].
  """
  chex.assert_rank(weights, 1)
  chex.assert_tree_shape_prefix(gradients, weights.shape)
  return jax.tree.map(lambda g: jnp.tensordot(weights, g, 1), gradients)


def differences(dots: jax.Array) -> jax.Array:
  """a_l = g_val . (g_0 - g_l): [L] (DDAS Eq. 9), from dots [1 + L], g_val . g_0 first and then
  g_val . g_l."""
  chex.assert_rank(dots, 1)
  return dots[0] - dots[1:]


def _with_clean(g_0, gradients):
  return jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), g_0, gradients)


def theta_prime(theta: Any, g_0: Any, gradients: Any, weights: jax.Array, eta: chex.Numeric) -> Any:
  """theta - eta * (sum_l w_l g_l + (1 - sum_l w_l) g_0): DDAS Eq. 5-6, and Eq. 12 where policies
  are drawn.

  Args:
    theta, g_0: pytrees; g_0 is the gradient on the clean batch.
    gradients: like theta with a leading axis [L].
    weights: [L], P(D_l), or P(D_l) / Z over drawn policies.
    eta: learning rate.
  """
  chex.assert_rank(weights, 1)
  weights = jnp.concatenate([1 - jnp.sum(weights, keepdims=True), weights])
  return unrolled.inner_step(theta, expected_gradient(weights, _with_clean(g_0, gradients)), eta)


def alignments(g_val: Any, g_0: Any, gradients: Any) -> jax.Array:
  """g_val . (g_0 - g_l) for every l: [L] (DDAS Eq. 9); arguments as of `theta_prime`."""
  return differences(unrolled.alignments(g_val, _with_clean(g_0, gradients)))


def gradient(probability: Callable, gamma: Any, candidates: Any, a: jax.Array, eta: chex.Numeric,
             Z: chex.Numeric = 1.0, normalise: bool = False) -> Any:
  """The gradient of L_val(theta') with respect to gamma (DDAS Eq. 10-11, 13-14, 16-17).

  Args:
    probability: (gamma, candidate) -> P(D_l) = p_tp P(phi_l).
    gamma: pytree of parameters: logits of p_o and p_tp, or any other.
    candidates: pytree with a leading axis [L].
    a: [L], `alignments`.
    eta: learning rate.
    Z: [] sum of P(phi_l) over the drawn policies, a constant in the derivative (Eq. 13-14); 1 where
      all are there.
    normalise: whether to divide by Z_g = sum_l |a_l| (Eq. 15): the step then has one scale for
      every batch, and the direction of one draw stays, but a mean over batches is another gradient.

  Returns:
    A pytree like gamma: eta / (Z Z_g) * sum_l a_l * dP(D_l) / dgamma.
  """
  chex.assert_rank(a, 1)
  chex.assert_tree_shape_prefix(candidates, a.shape)
  Z_g = jnp.sum(jnp.abs(a)) if normalise else 1.0
  # policies that change nothing align at 0: no gradient, not NaN
  scale = eta / Z / jnp.where(Z_g == 0, 1.0, Z_g)
  def surrogate(gamma):
    return jnp.vdot(jax.lax.stop_gradient(scale * a),
                    jax.vmap(probability, (None, 0))(gamma, candidates))
  return jax.grad(surrogate)(gamma)
