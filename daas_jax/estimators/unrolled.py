"""The one-step unrolled gradient of policy parameters (DAAS Eq. 10-13), and its exact reference.

Everything takes and returns arrays; a loss is any function of (theta, ...) and a policy any hashable-free pytree.
"""

import jax
from jax import lax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.estimators import score


def inner_step(theta, gradient, xi):
  """theta' = theta - xi * gradient: one step of plain SGD (DAAS Eq. 10); writes no optimizer state."""
  return trees.axpy(-xi, gradient, theta)


def alignments(g_val, train_gradients):
  """s_j = <g_val, g_j> (the inner products of DAAS Eq. 13).

  Args:
    g_val: pytree like theta, the gradient of the validation loss at theta'.
    train_gradients: the same pytree with a leading axis [n], gradients of the training loss at theta, a policy each.

  Returns:
    [n].
  """
  return jax.vmap(trees.dot, (None, 0))(g_val, train_gradients)


def policy_gradient(log_prob, gamma, policies, s, b, xi):
  """DAAS Eq. 13: -xi * mean_ij (s_ij - b_ij) * grad_gamma log p(Gamma_ij).

  Args:
    log_prob: (gamma, policy) -> scalar.
    gamma: policy parameters, a pytree.
    policies: pytree with leading axes [n_arch, n_aug].
    s: [n_arch, n_aug], s_ij = <grad L_val(theta'_i, z_i), grad_theta L_train(theta, z_i, Gamma_ij(D))>.
    b: [n_arch, n_aug], baselines; see `daas_jax.estimators.score`.
    xi: step of the inner update.

  Returns:
    A pytree like gamma. (The paper writes sums over i and j; means differ by a constant.)
  """
  coefficients = (-xi / s.size) * (s - b)
  flat = jax.tree.map(lambda a: a.reshape(s.size, *a.shape[2:]), policies)
  return score.score_gradient(log_prob, gamma, flat, coefficients.reshape(-1))


def exact_policy_gradient(val_loss, train_loss, log_prob, theta, gamma, policies, xi):
  """grad_gamma L_val(theta'(gamma)) by automatic differentiation THROUGH the inner step, the expectation enumerated.

  theta'(gamma) = theta - xi * grad_theta sum_Gamma p(Gamma; gamma) L_train(theta, Gamma). This is what Eq. 12-13
  claim to equal; it forms a second derivative and visits every policy, so it is for small spaces and for tests.

  Args:
    val_loss: theta -> scalar.
    train_loss: (theta, policy) -> scalar.
    log_prob: (gamma, policy) -> scalar.
    theta, gamma: pytrees.
    policies: pytree with a leading axis [n], every policy of the space once.
    xi: step of the inner update.

  Returns:
    (gradient with respect to gamma, theta').
  """
  def unrolled(gamma):
    def expected(theta):
      p = jnp.exp(jax.vmap(log_prob, (None, 0))(gamma, policies))
      return jnp.vdot(p, lax.map(lambda policy: train_loss(theta, policy), policies))
    theta_prime = inner_step(theta, jax.grad(expected)(theta), xi)
    return val_loss(theta_prime), theta_prime
  return jax.grad(unrolled, has_aux=True)(gamma)


def enumerated_policy_gradient(val_loss, train_loss, log_prob, theta, gamma, policies, xi):
  """Eq. 12-13 with the expectation over policies enumerated: no second derivative. Arguments and result as above."""
  p = jnp.exp(jax.vmap(log_prob, (None, 0))(gamma, policies))
  gradients = lax.map(lambda policy: jax.grad(train_loss)(theta, policy), policies)
  expected = jax.tree.map(lambda g: jnp.tensordot(p, g, 1), gradients)
  theta_prime = inner_step(theta, expected, xi)
  s = alignments(jax.grad(val_loss)(theta_prime), gradients)
  return score.score_gradient(log_prob, gamma, policies, -xi * p * s), theta_prime
