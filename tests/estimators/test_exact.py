"""The exact gradients: Eq. 13 enumerated, closed forms, memory that stays bounded."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

from daas_jax import trees
from daas_jax.estimators import exact
from daas_jax.nets.cells import architecture
from daas_jax.nets.cells.supernet import SuperNet
from daas_jax.policies import categorical


def _supernet():
  net = SuperNet(3, layers=1, channels=2, primitives=('max_pool_3x3', 'skip_connect', 'sep_conv_3x3'))
  z = architecture.sample(jax.random.key(5), architecture.init(jax.random.key(4), net.primitives), 1.0)
  theta = jax.jit(net.init)(jax.random.key(3), z, jnp.zeros((1, 8, 8, 1)))['params']
  theta = jax.tree.map(lambda a: a.astype(jnp.float64), theta)
  return theta, lambda theta, x: net.apply({'params': theta}, z, x)


def _relative(a, b):
  return float(trees.norm(jax.tree.map(jnp.subtract, a, b)) / trees.norm(b))


@pytest.mark.parametrize('network', [small.mlp, _supernet])
def test_eq_13_enumerated_equals_autodiff_through_the_inner_step(x64, network):
  theta, logits_of = network()
  space = small.SPACE
  if network is _supernet:
    space = categorical.Space(small.OPS[:2], K=2, levels=2, share='slot')  # 36 policies
  train_loss, val_loss = small.losses(logits_of, space)
  gamma, policies = small.gamma_of(space), categorical.enumerate_policies(space)
  args = (val_loss, train_loss, small.log_prob(space), theta, gamma, policies)
  through, theta_prime = jax.jit(lambda: exact.policy_gradient(*args, optax.sgd(small.XI)))()
  by_eq_13, theta_prime_13 = jax.jit(lambda: exact.enumerated_policy_gradient(*args, small.XI))()
  for group in ('pi', 'p', 'delta'):
    assert float(trees.norm(through[group])) > 1e-7
    assert _relative(by_eq_13[group], through[group]) < 1e-8, group
  assert _relative(theta_prime, theta_prime_13) < 1e-12


@pytest.mark.parametrize('optimizer,steps', [(optax.sgd(0.1), 3), (optax.sgd(0.1, 0.9), 2), (optax.adam(0.01), 2)],
                         ids=['sgd', 'momentum', 'adam'])
def test_the_policy_gradient_through_other_steps_is_that_of_finite_differences(x64, optimizer, steps):
  known = small.enumerated()
  def unrolled_loss(gamma, gradient=False):
    out = exact.policy_gradient(known.val_loss, known.train_loss, small.log_prob(), known.theta, gamma, known.policies,
                                optimizer, steps, chunk=27)
    return out[0] if gradient else known.val_loss(out[1])
  gradient = jax.jit(lambda gamma: unrolled_loss(gamma, True))(known.gamma)
  direction = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), known.gamma)
  value, eps = jax.jit(unrolled_loss), 1e-4
  at = lambda eps: value(trees.axpy(eps, direction, known.gamma))
  change = (at(eps) - at(-eps)) / (2 * eps)
  np.testing.assert_allclose(trees.dot(gradient, direction), change, rtol=1e-5)


def test_adam_with_eps_root_is_differentiable_where_a_gradient_is_zero(x64):
  """A weight at 0 under L2: its gradient is 0, and the square root in Adam has no derivative there."""
  theta, hyper = jnp.array([1.0, 0.0]), jnp.asarray(0.1)
  train, val = (lambda theta, h: h * jnp.sum(theta**2)), (lambda theta: jnp.sum((theta - 2) ** 2))
  for eps_root, finite in ((0.0, False), (1e-12, True)):
    gradient, _ = exact.hyper_gradient(val, train, theta, hyper, optax.adam(0.01, eps_root=eps_root), steps=2)
    assert bool(jnp.isfinite(gradient)) == finite


def test_chunks_change_nothing_forward_or_backward(x64):
  rng = np.random.default_rng(0)
  theta, xs = jnp.asarray(rng.normal(size=(40, 200))), jnp.asarray(rng.normal(size=(50, 200)))
  w = jnp.asarray(rng.uniform(size=50))
  loss = lambda theta, x: jnp.sum(jnp.tanh(theta @ x) ** 2)
  whole = jax.grad(lambda theta: jnp.vdot(w, jax.vmap(loss, (None, 0))(theta, xs)))(theta)
  for chunk in (1, 7, 50):
    outer = lambda theta, w, chunk=chunk: jnp.sum(exact.expected_gradient(loss, theta, w, xs, chunk) ** 2)
    np.testing.assert_allclose(exact.expected_gradient(loss, theta, w, xs, chunk), whole, rtol=1e-10)
    second = jax.jit(jax.grad(outer, argnums=(0, 1)))(theta, w)
    inner = jax.grad(lambda theta, w: jnp.vdot(w, jax.vmap(loss, (None, 0))(theta, xs)))
    reference = jax.grad(lambda theta, w: jnp.sum(inner(theta, w) ** 2), argnums=(0, 1))(theta, w)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), second, reference)


def test_memory_does_not_grow_with_the_number_of_policies(x64):
  loss = lambda theta, x: jnp.sum(jnp.tanh(theta @ x) ** 2)
  def bytes_of(n):
    outer = lambda w, theta, xs: jnp.sum(exact.expected_gradient(loss, theta, w, xs, 4) ** 2)
    shapes = [jax.ShapeDtypeStruct(s, jnp.float64) for s in ((n,), (100, 100), (n, 100))]
    return jax.jit(jax.grad(outer)).lower(*shapes).compile().memory_analysis().temp_size_in_bytes
  # 64 more policies are 51 kB of inputs; their gradients would be 5 MB.
  assert bytes_of(128) - bytes_of(64) < 2e5


def test_the_gradient_of_learning_rate_and_weight_decay_in_closed_form(x64):
  """L_train = |theta|^2 a / 2 + decay |theta|^2 / 2, one SGD step: theta' = theta (1 - lr (a + decay))."""
  theta, target, a = jnp.array([1.0, -2.0]), jnp.array([0.5, 0.5]), 0.7
  hyper = {'lr': jnp.asarray(0.3), 'decay': jnp.asarray(0.1)}
  train = lambda theta, h: (a + h['decay']) / 2 * jnp.sum(theta**2)
  val = lambda theta: jnp.sum((theta - target) ** 2) / 2
  gradient, moved = exact.hyper_gradient(val, train, theta, hyper, lambda h: optax.sgd(h['lr']))
  np.testing.assert_allclose(moved, theta * (1 - 0.3 * 0.8), rtol=1e-12)
  slope = jnp.vdot(moved - target, theta)
  np.testing.assert_allclose(gradient['lr'], -slope * 0.8, rtol=1e-12)
  np.testing.assert_allclose(gradient['decay'], -slope * 0.3, rtol=1e-12)


@pytest.mark.parametrize('momentum', [0.0, 0.9])
def test_the_second_order_architecture_gradient_in_closed_form(x64, momentum):
  """L_train = |theta - B alpha|^2 / 2, L_val = |theta + C alpha|^2 / 2, after two steps with momentum."""
  rng = np.random.default_rng(1)
  B, C = jnp.asarray(rng.normal(size=(3, 2))), jnp.asarray(rng.normal(size=(3, 2)))
  theta, alpha, xi = jnp.asarray(rng.normal(size=3)), jnp.asarray(rng.normal(size=2)), 0.2
  train = lambda theta, alpha: jnp.sum((theta - B @ alpha) ** 2) / 2
  val = lambda theta, alpha: jnp.sum((theta + C @ alpha) ** 2) / 2
  gradient, moved = exact.arch_gradient(val, train, theta, alpha, optax.sgd(xi, momentum or None), steps=2)
  # r = theta - B alpha: after one step r (1 - xi); after two r ((1 - xi)^2 - xi momentum).
  keep = (1 - xi) ** 2 - xi * momentum
  np.testing.assert_allclose(moved, keep * theta + (1 - keep) * B @ alpha, rtol=1e-12)
  np.testing.assert_allclose(gradient, ((1 - keep) * B + C).T @ (moved + C @ alpha), rtol=1e-12)


def test_the_gradient_of_an_expected_loss_by_hand(x64):
  alpha, values = jnp.array([0.2, -0.4, 0.1]), jnp.array([1.0, 5.0, -2.0])
  log_prob = lambda alpha, x: jax.nn.log_softmax(alpha)[x]
  gradient, value = exact.expected_loss_gradient(lambda x: values[x], log_prob, alpha, jnp.arange(3))
  p = jax.nn.softmax(alpha)
  np.testing.assert_allclose(value, p @ values, rtol=1e-12)
  np.testing.assert_allclose(gradient, p * (values - p @ values), rtol=1e-10)
