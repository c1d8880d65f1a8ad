"""The hyper-gradient against its closed form for SGD with momentum and L2, and against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import trees
from daas_jax.estimators import hyper

ETA = {'lr': 0.3, 'weight_decay': 0.02}


def _problem():
  keys = jax.random.split(jax.random.key(0), 4)
  draw = lambda key: {'a': jax.random.normal(key, (3, 2), jnp.float64), 'b': jax.random.normal(key, (4,), jnp.float64)}
  theta, gradient, momentum = map(draw, keys[:3])
  loss = lambda theta: jnp.sum(jnp.sin(theta['a'])) + jnp.sum(theta['b'] ** 3)
  return theta, gradient, momentum, loss


def _sgd(values):
  return optax.chain(optax.add_decayed_weights(values['weight_decay']), optax.sgd(values['lr'], momentum=0.9))


def _state(momentum):
  state = _sgd(ETA).init(momentum)
  return jax.tree.map(lambda a, b: b, state, (optax.EmptyState(), (optax.TraceState(momentum), optax.EmptyState())))


def test_closed_form_for_sgd_with_momentum_and_weight_decay(x64):
  theta, gradient, momentum, loss = _problem()
  eta = {name: jnp.log(value) for name, value in ETA.items()}
  new, _, pullback = hyper.step(_sgd, eta, gradient, _state(momentum), theta)
  lr, wd = ETA['lr'], ETA['weight_decay']
  m = jax.tree.map(lambda m, g, t: 0.9 * m + g + wd * t, momentum, gradient, theta)
  wanted = trees.axpy(-lr, m, theta)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), new, wanted)
  g_val = jax.grad(loss)(new)
  g = pullback(g_val)
  # d theta' / d lr = -m', d theta' / d wd = -lr theta; times the values, of the logarithms.
  np.testing.assert_allclose(g['lr'], -lr * trees.dot(g_val, m), rtol=1e-10)
  np.testing.assert_allclose(g['weight_decay'], -wd * lr * trees.dot(g_val, theta), rtol=1e-10)


@pytest.mark.parametrize('make', [
    lambda v: optax.adamw(v['lr'], weight_decay=v['weight_decay']),
    lambda v: optax.chain(optax.clip_by_global_norm(0.5), _sgd(v)),
    lambda v: optax.chain(optax.add_decayed_weights(v['weight_decay']), optax.lamb(v['lr']))])
def test_any_optimizer_against_finite_differences(make, x64):
  theta, gradient, _, loss = _problem()
  state = make(ETA).init(theta)
  for _ in range(2):  # in mid-training
    updates, state = make(ETA).update(gradient, state, theta)
    theta = optax.apply_updates(theta, updates)
  after = lambda eta: loss(hyper.step(make, eta, gradient, state, theta)[0])
  eta = {name: jnp.log(value) for name, value in ETA.items()}
  new, _, pullback = hyper.step(make, eta, gradient, state, theta)
  g = pullback(jax.grad(loss)(new))
  for name in eta:
    high, low = (after(eta | {name: eta[name] + h}) for h in (1e-5, -1e-5))
    np.testing.assert_allclose(g[name], (high - low) / 2e-5, rtol=1e-6, atol=1e-9)


def test_values_stay_positive_whatever_the_steps():
  eta = hyper.init(ETA)
  tx = optax.adam(0.5)
  state = tx.init(eta)
  for sign in (1.0, 1.0, 1.0, -1.0) * 5:
    updates, state = tx.update(jax.tree.map(lambda a, s=sign: s * 100 * jnp.ones_like(a), eta), state, eta)
    eta = optax.apply_updates(eta, updates)
    assert all(value > 0 for value in hyper.values(eta).values())
  np.testing.assert_allclose([hyper.values(hyper.init(ETA))[n] for n in ETA], list(ETA.values()), rtol=1e-6)


def test_nothing_searched_is_an_ordinary_step(x64):
  theta, gradient, momentum, _ = _problem()
  new, _, pullback = hyper.step(lambda v: _sgd(ETA | v), {}, gradient, _state(momentum), theta)
  assert pullback(theta) == {} and not np.allclose(new['a'], theta['a'])
