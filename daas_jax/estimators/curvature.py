"""Exact second-order products without second-order matrices: Hessian-vector, mixed, and what is
built of them.

Each is a forward-mode derivative of a gradient: about the cost of two gradients, no finite
difference, no step to choose.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
from jax import lax
import jax.numpy as jnp

from daas_jax import trees


def hessian_vector(loss: Callable, theta: Any, v: Any) -> Any:
  """H v for H = d2 loss / d theta2.

  Args:
    loss: theta -> scalar.
    theta, v: pytrees of one structure.
  """
  return jax.jvp(jax.grad(loss), (theta,), (v,))[1]


def mixed_product(loss: Callable, theta: Any, alpha: Any, v: Any) -> Any:
  """(d2 loss / d alpha d theta) v, a pytree like alpha.

  Args:
    loss: (theta, alpha) -> scalar.
    theta, v: pytrees of one structure.
    alpha: pytree.
  """
  # Of both arguments, so that all of the loss is differentiated in reverse first: a custom backward
  # pass needs that.
  return jax.jvp(lambda theta: jax.grad(loss, (0, 1))(theta, alpha)[1], (theta,), (v,))[1]


def amended_gradient(val_loss: Callable, train_loss: Callable, theta: Any, alpha: Any,
                     eta: chex.Numeric, has_aux: bool = False) -> tuple[Any, Any, Any]:
  """g1 + g2' of Amended-DARTS: the architecture gradient with an amended second-order term, all at
  the current theta.

  g1 = grad_alpha L_val; g2' = -eta * (d2 L_train / d alpha d theta) H grad_theta L_val with H = d2
  L_train / d theta2 (Amended-DARTS Eq. 7). eta = 0 is first-order DARTS, of which g1 alone is
  computed where eta is the Python number. (Its Eq. 8, that g2' never points against the true
  second-order term, does not hold in general: tests/estimators/test_curvature.py has instances.)

  Args:
    val_loss, train_loss: (theta, alpha) -> scalar.
    theta, alpha: pytrees.
    eta: amending coefficient >= 0; 0.1 in the paper.
    has_aux: whether val_loss gives (scalar, something else).

  Returns:
    (g1 + g2', g2', what val_loss gave): pytrees like alpha.
  """
  if isinstance(eta, (int, float)) and eta == 0:
    value, g1 = jax.value_and_grad(val_loss, 1, has_aux)(theta, alpha)
    return g1, trees.scale(0, g1), value
  value, (g_theta, g1) = jax.value_and_grad(val_loss, (0, 1), has_aux)(theta, alpha)
  h = hessian_vector(lambda theta: train_loss(theta, alpha), theta, g_theta)
  g2 = trees.scale(-eta, mixed_product(train_loss, theta, alpha, h))
  return jax.tree.map(jnp.add, g1, g2), g2, value


def second_order_gradient(val_loss: Callable, train_loss: Callable, theta: Any, alpha: Any,
                          xi: chex.Numeric, has_aux: bool = False) -> tuple[Any, Any, Any]:
  """d L_val(theta', alpha) / d alpha at theta' = theta - xi grad_theta L_train(theta, alpha),
  exactly (DARTS Eq. 7).

  Args:
    val_loss, train_loss: (theta, alpha) -> scalar.
    theta, alpha: pytrees.
    xi: learning rate of the inner step >= 0; 0 is first-order DARTS at theta.
    has_aux: whether val_loss gives (scalar, something else).

  Returns:
    (gradient, its second-order part, what val_loss gave at theta'): pytrees like alpha.
  """
  theta_prime = trees.axpy(-xi, jax.grad(train_loss)(theta, alpha), theta)
  value, (g_theta, g1) = jax.value_and_grad(val_loss, (0, 1), has_aux)(theta_prime, alpha)
  g2 = trees.scale(-xi, mixed_product(train_loss, theta, alpha, g_theta))
  return jax.tree.map(jnp.add, g1, g2), g2, value


def dominant_eigenvalue(loss: Callable, theta: Any, v: Any,
                        iterations: int = 20) -> tuple[jax.Array, Any]:
  """The eigenvalue of largest magnitude of d2 loss / d theta2, by power iteration on exact
  products.

  Args:
    loss: theta -> scalar.
    theta: pytree.
    v: pytree like theta, where the iteration begins; not orthogonal to the eigenvector (random,
      say).
    iterations: Hessian-vector products; the error falls like |lambda_2 / lambda_1|^(2 iterations).

  Returns:
    (eigenvalue [], with its sign: the Rayleigh quotient; v, of length 1, to begin with the next
    time).
  """
  unit = lambda v: trees.scale(1 / jnp.maximum(trees.norm(v), jnp.finfo(jnp.float32).tiny), v)

  v = lax.fori_loop(0, iterations, lambda _, v: unit(hessian_vector(loss, theta, v)), unit(v))
  return trees.dot(v, hessian_vector(loss, theta, v)), v
