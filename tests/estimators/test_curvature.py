"""Exact products against `jax.hessian`, Eq. 8 of Amended-DARTS on quadratic problems, eigenvalues against LAPACK."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import trees
from daas_jax.estimators import curvature, exact, unrolled


def _net():
  """(loss(theta, alpha), theta [26], alpha [3]): a small network with a mixture of three activations."""
  rng = np.random.default_rng(0)
  x, y = jnp.asarray(rng.normal(size=(6, 3))), jnp.asarray(rng.normal(size=(6, 2)))

  def loss(theta, alpha):
    a, b = theta[:12].reshape(3, 4), theta[12:20].reshape(4, 2)
    h, w = x @ a, jax.nn.softmax(alpha)
    out = (w[0] * jnp.tanh(h) + w[1] * jnp.sin(h) + w[2] * h) @ b + theta[20:22]
    return jnp.mean((out - y) ** 2) + jnp.sum(theta[22:] ** 4) / 10
  return loss, jnp.asarray(rng.normal(size=26)), jnp.asarray(rng.normal(size=3))


def test_products_are_those_of_the_whole_matrices(x64):
  loss, theta, alpha = _net()
  v = jnp.asarray(np.random.default_rng(1).normal(size=26))
  H = jax.hessian(loss)(theta, alpha)
  mixed = jax.jacobian(jax.grad(loss, 1))(theta, alpha)
  np.testing.assert_allclose(curvature.hessian_vector(lambda t: loss(t, alpha), theta, v), H @ v, rtol=1e-8, atol=1e-12)
  np.testing.assert_allclose(curvature.mixed_product(loss, theta, alpha, v), mixed @ v, rtol=1e-8, atol=1e-12)


def test_the_amended_gradient_is_eq_7_and_eta_0_is_first_order(x64):
  loss, theta, alpha = _net()
  val = lambda theta, alpha: loss(theta + 0.1, alpha) + jnp.sum(alpha**2)
  g, g2, value = curvature.amended_gradient(val, loss, theta, alpha, 0.1)
  assert value == val(theta, alpha)
  H, mixed = jax.hessian(loss)(theta, alpha), jax.jacobian(jax.grad(loss, 1))(theta, alpha)
  by_hand = -0.1 * mixed @ (H @ jax.grad(val)(theta, alpha))
  np.testing.assert_allclose(g2, by_hand, rtol=1e-8)
  np.testing.assert_allclose(g, jax.grad(val, 1)(theta, alpha) + by_hand, rtol=1e-8)
  first, nothing, _ = curvature.amended_gradient(val, loss, theta, alpha, 0.0)
  np.testing.assert_allclose(first, jax.grad(val, 1)(theta, alpha), rtol=1e-12)
  np.testing.assert_array_equal(nothing, np.zeros(3))


def test_the_second_order_gradient_is_autodiff_through_the_inner_step(x64):
  loss, theta, alpha = _net()
  val = lambda theta, alpha: loss(theta + 0.1, alpha) + jnp.sum(alpha**2)
  g, g2, _ = curvature.second_order_gradient(val, loss, theta, alpha, 0.05)
  expected, theta_prime = exact.arch_gradient(val, loss, theta, alpha, optax.sgd(0.05))
  np.testing.assert_allclose(g, expected, rtol=1e-9)
  np.testing.assert_allclose(g - g2, jax.grad(val, 1)(theta_prime, alpha), rtol=1e-9)
  assert np.abs(g2).max() > 1e-4


def test_a_finite_difference_twin_with_an_eps_squared_error_is_caught(x64):
  """The error that several ports carried: the difference multiplied by eps where it is to be divided. What is left of the
  term is 1e-6 of it or so, and a search goes on as if it were of first order."""
  loss, theta, alpha = _net()
  v = jnp.asarray(np.random.default_rng(2).normal(size=26))
  exact_product = curvature.mixed_product(loss, theta, alpha, v)
  twin = unrolled.finite_difference(lambda t: jax.grad(loss, 1)(t, alpha), theta, v)
  eps = 0.01 / trees.norm(v)
  relative = lambda a: float(trees.norm(a - exact_product) / trees.norm(exact_product))
  assert relative(twin) < 1e-3
  assert relative(twin * eps**2) > 0.9
  assert relative(twin / eps) > 1  # divided twice


def _quadratic(seed, B):
  """L_train = |theta - B alpha|_H^2 / 2, L_val = c . theta at theta = theta*(alpha): (train, val, true g2, theta, alpha).

  g2 = -(d2 L_train / d alpha d theta) H^-1 g_val is B^T c here.
  """
  rng = np.random.default_rng(seed)
  root, c, alpha = rng.normal(size=(5, 5)), jnp.asarray(rng.normal(size=5)), jnp.asarray(rng.normal(size=B.shape[1]))
  H = jnp.asarray(root @ root.T + 0.1 * np.eye(5))
  off = lambda theta, alpha: theta - B @ alpha
  train = lambda theta, alpha: off(theta, alpha) @ H @ off(theta, alpha) / 2
  return train, (lambda theta, alpha: c @ theta + 0 * jnp.sum(alpha)), B.T @ c, B @ alpha, alpha


def _against(B, seeds):
  """On how many instances g2' of Amended-DARTS, and DARTS's term, point against the true g2."""
  def one(seed):
    train, val, g2, theta, alpha = _quadratic(seed, B)
    _, amended, _ = curvature.amended_gradient(val, train, theta, alpha, 0.1)
    darts, _ = exact.arch_gradient(val, train, theta, alpha, optax.sgd(0.1))
    return float(amended @ g2) < -1e-12, float(darts @ g2) < -1e-12
  return np.sum([one(seed) for seed in seeds], 0)


def test_eq_8_holds_where_the_mixed_derivative_commutes_with_h_and_not_in_general(x64):
  """<g2', g2> = eta g_val^T H^-1 M^T M H g_val, M the mixed derivative: the paper says it is never negative.

  H^-1 (M^T M) H is similar to a positive semidefinite matrix but not symmetric, so its quadratic form may be negative:
  for M^T M a function of H (alpha as wide as theta, B orthogonal) it is not, for a B of three columns it is on some.
  """
  square = jnp.asarray(np.linalg.qr(np.random.default_rng(4).normal(size=(5, 5)))[0])
  assert _against(square, range(20))[0] == 0
  tall = jnp.asarray(np.random.default_rng(5).normal(size=(5, 3)))
  amended, darts = _against(tall, range(60))
  assert amended > 0 and darts > 0
  assert amended < 30  # more often with it than against it


@pytest.mark.parametrize('sign', [1, -1])
def test_the_dominant_eigenvalue_has_lapacks_value_and_sign(x64, sign):
  rng = np.random.default_rng(3)
  q, _ = np.linalg.qr(rng.normal(size=(6, 6)))
  H = jnp.asarray(q @ np.diag([sign * 5.0, -sign * 3.0, 2.0, 1.0, 0.5, 0.1]) @ q.T)
  theta = {'a': jnp.zeros(4), 'b': jnp.zeros(2)}
  flat = lambda t: jnp.concatenate([t['a'], t['b']])
  value, v = curvature.dominant_eigenvalue(lambda t: flat(t) @ H @ flat(t) / 2, theta,
                                           {'a': jnp.ones(4), 'b': jnp.ones(2)}, 60)
  np.testing.assert_allclose(value, sign * 5.0, rtol=1e-8)
  np.testing.assert_allclose(np.abs(flat(v) @ q[:, 0]), 1, rtol=1e-6)
