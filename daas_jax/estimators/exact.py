"""Exact gradients through the inner step, by automatic differentiation: what every estimator is
held against.

They form second derivatives and visit every element of a space, so they are for laboratories and
tests, not for a search. Any loss that JAX can differentiate will do; an inner step may be any optax
transformation.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
from jax import lax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.estimators import score, unrolled


def through_inner_steps(outer: Callable, gradient: Callable, optimizer: Any, theta: Any, x: Any,
                        steps: int = 1, opt_state: Any = None) -> tuple[Any, Any]:
  """d outer(theta_T(x), x) / dx, where theta_T is theta after T inner steps that depend on x.

  Args:
    outer: (theta, x) -> scalar, such as a validation loss.
    gradient: (theta, x) -> the gradient of the inner loss, a pytree like theta.
    optimizer: an optax transformation, or a function x -> transformation where x sets the optimizer
      (a learning rate).
    theta, x: pytrees.
    steps: T >= 1.
    opt_state: the optimizer's state before the first step (momentum of a running search); its own
      start by default.

  Returns:
    (gradient with respect to x, theta_T). Nothing is written to theta or opt_state: the steps are
    virtual.
  """
  def unrolled_loss(x):
    chosen = optimizer(x) if callable(optimizer) else optimizer
    theta_t = unrolled.unroll(theta, lambda theta: gradient(theta, x), chosen, steps, opt_state)
    return outer(theta_t, x), theta_t
  return jax.grad(unrolled_loss, has_aux=True)(x)


def expected_gradient(loss: Callable, theta: Any, weights: jax.Array, xs: Any,
                      chunk: int = 1) -> Any:
  """sum_x weights(x) * grad_theta loss(theta, x), with memory for `chunk` elements at a time,
  backward too.

  Args:
    loss: (theta, x) -> scalar.
    theta: pytree.
    weights: [n], such as the probabilities of all x.
    xs: pytree with a leading axis [n].
    chunk: elements computed at once, by vmap. With 1 there is no vmap: a loss with a `lax.switch`
      on x (such as an image operation) then computes one branch and not all of them.

  Returns:
    A pytree like theta, differentiable in theta and weights; the backward pass computes every chunk
    again.
  """
  chex.assert_rank(weights, 1)
  chex.assert_tree_shape_prefix(xs, weights.shape)
  padding = -weights.shape[0] % chunk
  fill = lambda a: jnp.concatenate([a, jnp.repeat(a[:1], padding, 0)]).reshape(
      -1, chunk, *a.shape[1:])

  @jax.checkpoint
  def of_chunk(theta, weights, xs):
    def weighted(theta):
      if chunk == 1:
        return weights[0] * loss(theta, jax.tree.map(lambda a: a[0], xs))
      return jnp.vdot(weights, jax.vmap(loss, (None, 0))(theta, xs))
    return jax.grad(weighted)(theta)

  def add(total, operands):
    return jax.tree.map(jnp.add, total, of_chunk(theta, *operands)), None

  operands = jnp.pad(weights, (0, padding)).reshape(-1, chunk), jax.tree.map(fill, xs)
  return lax.scan(add, jax.tree.map(jnp.zeros_like, theta), operands)[0]


def policy_gradient(val_loss: Callable, train_loss: Callable, log_prob: Callable, theta: Any,
                    gamma: Any, policies: Any, optimizer: Any, steps: int = 1,
                    opt_state: Any = None, chunk: int = 1) -> tuple[Any, Any]:
  """grad_gamma L_val(theta'(gamma)) by automatic differentiation THROUGH the inner steps, the
  expectation enumerated.

  Each inner step descends E_Gamma[L_train(theta, Gamma)] = sum_Gamma p(Gamma; gamma) L_train(theta,
  Gamma). For one plain SGD step this is what DAAS Eq. 10-13 claim to equal (and do:
  tests/estimators/test_exact.py).

  Args:
    val_loss: theta -> scalar.
    train_loss: (theta, policy) -> scalar.
    log_prob: (gamma, policy) -> scalar.
    theta, gamma: pytrees.
    policies: pytree with a leading axis [n], every policy of the space once.
    optimizer, steps, opt_state: the inner steps, as in `through_inner_steps`; `optax.sgd(xi)` is
      the paper's.
    chunk: policies computed at once, as in `expected_gradient`.

  Returns:
    (gradient with respect to gamma, theta').
  """
  def gradient(theta, gamma):
    p = jnp.exp(jax.vmap(log_prob, (None, 0))(gamma, policies))
    return expected_gradient(train_loss, theta, p, policies, chunk)

  return through_inner_steps(lambda theta, _: val_loss(theta), gradient, optimizer, theta, gamma,
                             steps, opt_state)


def enumerated_policy_gradient(val_loss: Callable, train_loss: Callable, log_prob: Callable,
                               theta: Any, gamma: Any, policies: Any,
                               xi: chex.Numeric) -> tuple[Any, Any]:
  """DAAS Eq. 10-13 with the expectation over policies enumerated: one plain SGD step, no second
  derivative.

  Arguments and result as in `policy_gradient`, xi the step. Memory: one gradient, as it visits the
  policies twice.
  """
  p = jnp.exp(jax.vmap(log_prob, (None, 0))(gamma, policies))
  theta_prime = unrolled.inner_step(theta, expected_gradient(train_loss, theta, p, policies), xi)
  g_val = jax.grad(val_loss)(theta_prime)
  s = lax.map(lambda policy: trees.dot(g_val, jax.grad(train_loss)(theta, policy)), policies)
  return score.score_gradient(log_prob, gamma, policies, -xi * p * s), theta_prime


def hyper_gradient(val_loss: Callable, train_loss: Callable, theta: Any, hyper: Any, optimizer: Any,
                   steps: int = 1, opt_state: Any = None) -> tuple[Any, Any]:
  """d L_val(theta_T(hyper)) / d hyper for hyper-parameters of the loss or of the optimizer
  (DiffAutoML Eq. 6-7).

  Args:
    val_loss: theta -> scalar.
    train_loss: (theta, hyper) -> scalar, such as cross-entropy + hyper['weight_decay'] / 2 *
      |theta|^2.
    theta, hyper: pytrees.
    optimizer: as in `through_inner_steps`; `lambda hyper: optax.sgd(hyper['lr'])` differentiates
      the learning rate.
    steps, opt_state: as there.

  Returns:
    (gradient with respect to hyper, theta_T).
  """
  return through_inner_steps(lambda theta, _: val_loss(theta), jax.grad(train_loss), optimizer,
                             theta, hyper, steps, opt_state)


def arch_gradient(val_loss: Callable, train_loss: Callable, theta: Any, alpha: Any, optimizer: Any,
                  steps: int = 1, opt_state: Any = None) -> tuple[Any, Any]:
  """d L_val(theta_T(alpha), alpha) / d alpha, DARTS's true second-order gradient (its Eq. 6, no
  finite difference).

  Args:
    val_loss, train_loss: (theta, alpha) -> scalar.
    theta, alpha: pytrees.
    optimizer, steps, opt_state: as in `through_inner_steps`.

  Returns:
    (gradient with respect to alpha: the direct term and the one through theta_T, theta_T).
  """
  return through_inner_steps(val_loss, jax.grad(train_loss), optimizer, theta, alpha, steps,
                             opt_state)


def expected_loss_gradient(loss: Callable, log_prob: Callable, alpha: Any,
                           xs: Any) -> tuple[Any, jax.Array]:
  """grad_alpha sum_x p(x; alpha) loss(x): the exact gradient of an expected loss, all x enumerated.

  Args:
    loss: x -> scalar; called one x at a time.
    log_prob: (alpha, x) -> scalar.
    alpha: pytree.
    xs: pytree with a leading axis [n], every element once.

  Returns:
    (gradient with respect to alpha, expected loss []).
  """
  values = lax.map(loss, xs)
  def expected(alpha):
    return jnp.vdot(jnp.exp(jax.vmap(log_prob, (None, 0))(alpha, xs)), values)
  value, gradient = jax.value_and_grad(expected)(alpha)
  return gradient, value
