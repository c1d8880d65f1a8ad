"""One step of Amended-DARTS and of DARTS against the paper's lines written out with whole Hessians in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax.methods import amended_darts
from daas_jax.policies import given
from daas_jax.types import Architectures, Batch, Problem

PENALTY = 0.25  # as progress is float32: products that are exact in it


def _logits_loss(theta, z, images, labels):
  x = images.reshape(len(images), -1)
  w = jnp.einsum('o,oij->ij', z['A'], theta['w'])
  return optax.softmax_cross_entropy_with_integer_labels(jnp.tanh(x @ theta['v']) @ w, labels).mean()


def _loss(theta, z, images, labels, key):
  del key
  return _logits_loss(theta, z, images, labels), jnp.float64(0.5)


def _train_loss(theta, z, images, labels, key, progress):
  """A penalty that grows with the search."""
  value, accuracy = _loss(theta, z, images, labels, key)
  return value + progress * PENALTY * jnp.sum(theta['v'] ** 2) * jnp.sum(z['A'] ** 2), accuracy


PROBLEM = Problem(
    init_theta=lambda key: {'v': jax.random.normal(key, (4, 3)) / 2, 'w': jax.random.normal(key, (2, 3, 2))},
    arch=Architectures(lambda key: {'alpha': jax.random.normal(key, (2,))},
                       lambda key, arch, tau: {'A': jax.nn.softmax(arch['alpha'])}),
    loss=_loss, policies=given.Policies(),
    train_input=lambda images, progress, key: images + 0.25 * progress, val_input=lambda images: images,
    regularised_loss=_train_loss)


@pytest.fixture(name='batch')
def batch_fixture(x64):
  rng = np.random.default_rng(0)
  images, labels = lambda: jnp.asarray(rng.normal(size=(5, 4))), lambda: jnp.asarray(rng.integers(0, 2, 5))
  return Batch(images(), labels(), images(), labels())


def _settings(**changes):
  sgd = {'theta': optax.sgd(0.1), 'arch': optax.sgd(0.2)}
  return amended_darts.Settings(lambda step: 0.1, sgd, 10)._replace(**changes)


def _state(settings):
  state = amended_darts.make(PROBLEM, settings).init(jax.random.key(0))
  state = jax.tree.map(lambda a: a.astype(jnp.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a, state)
  return state._replace(step=jnp.int32(5))


def _by_hand(state, batch, second_term, coefficient):
  """(alpha gradient, theta gradient at the new alpha) with `jax.hessian` and `jax.jacobian` of flat vectors."""
  flat, unravel = jax.flatten_util.ravel_pytree(state.theta)
  z = lambda alpha: {'A': jax.nn.softmax(alpha)}
  val = lambda t, a: _loss(unravel(t), z(a), batch.val_images, batch.val_labels, None)[0]
  images = batch.train_images + 0.25 * 0.5
  train = lambda t, a: _train_loss(unravel(t), z(a), images, batch.train_labels, None, 0.5)[0]
  alpha = state.arch['alpha']
  mixed = jax.jacobian(jax.grad(train, 1))(flat, alpha)
  if second_term == 'amended':
    H_g = jax.hessian(train)(flat, alpha) @ jax.grad(val)(flat, alpha)
    g = jax.grad(val, 1)(flat, alpha) - coefficient * mixed @ H_g
  else:
    moved = flat - coefficient * jax.grad(train)(flat, alpha)
    g = jax.grad(val, 1)(moved, alpha) - coefficient * mixed @ jax.grad(val)(moved, alpha)
  return g, jax.grad(train)(flat, alpha - 0.2 * g)


@pytest.mark.parametrize('second_term, coefficient',
                         [('amended', 0.1), ('amended', 0.0), ('darts', 0.3), ('darts', None)])
def test_a_step_is_the_papers(batch, second_term, coefficient):
  settings = _settings(second_term=second_term, coefficient=coefficient)
  state = _state(settings)
  new, metrics = jax.jit(amended_darts.make(PROBLEM, settings).step)(state, batch)
  g_alpha, g_theta = _by_hand(state, batch, second_term, 0.1 if coefficient is None else coefficient)
  np.testing.assert_allclose(new.arch['alpha'], state.arch['alpha'] - 0.2 * g_alpha, rtol=1e-9)
  moved = jax.flatten_util.ravel_pytree(jax.tree.map(lambda a, b: a - b, state.theta, new.theta))[0]
  np.testing.assert_allclose(moved, 0.1 * g_theta, rtol=1e-8, atol=1e-12)
  assert (float(metrics['grad_norm_second']) > 1e-4) == (coefficient != 0) and int(new.step) == 6
  assert new.gamma == {} and float(metrics['val_loss']) > 0


def test_a_step_with_the_sign_of_the_amending_term_turned_is_caught(batch):
  settings = _settings(coefficient=-0.1)
  state = _state(settings)
  new, _ = jax.jit(amended_darts.make(PROBLEM, settings).step)(state, batch)
  g_alpha, _ = _by_hand(state, batch, 'amended', 0.1)
  assert np.abs((state.arch['alpha'] - new.arch['alpha']) / 0.2 - g_alpha).max() > 1e-4
