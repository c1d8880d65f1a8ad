"""One step of the joint search against Alg. 1 written out; what an augmented validation batch is for."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import trees
from daas_jax.methods import joint_faa
from daas_jax.nets.cells import architecture
from daas_jax.policies import relaxed
from daas_jax.types import Architectures, Batch, Problem

SPACE = relaxed.Space(('Rotate', 'Invert', 'Brightness'), K=2, L=2)


def _loss(theta, z, images, labels, key):
  """Three 'operations' in a dense mixture."""
  del key
  x = images.reshape(len(images), -1)
  logits = jnp.einsum('o,oij,bi->bj', z['A'], theta['w'], jnp.tanh(x @ theta['v']))
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), jnp.mean(logits)


def _train_input(images, gamma, key):
  return relaxed.apply(gamma, SPACE, images, key)


PROBLEM = Problem(
    init_theta=lambda key: {'v': jax.random.normal(key, (36, 5)) / 3, 'w': jax.random.normal(key, (3, 5, 3)) / 2},
    arch=Architectures(lambda key: {'alpha': jax.random.normal(key, (3,))},
                       lambda key, arch, tau: {'A': jax.nn.softmax(arch['alpha'])}),
    loss=_loss, policies=relaxed.Policies(lambda key: relaxed.init(key, SPACE), None, relaxed.project),
    train_input=_train_input, val_input=lambda images: images)


@pytest.fixture
def batch(x64):
  rng = np.random.default_rng(0)
  images, labels = lambda: jnp.asarray(rng.uniform(size=(4, 6, 6, 1))), lambda: jnp.asarray(rng.integers(0, 3, 4))
  return Batch(images(), labels(), images(), labels())


def _settings(**changes):
  sgd = {'theta': optax.sgd(0.3, momentum=0.5), 'arch': optax.sgd(1.0), 'gamma': optax.sgd(0.01)}
  return joint_faa.Settings(lambda step: 0.3, sgd)._replace(**changes)


def _state(settings):
  state = joint_faa.make(PROBLEM, settings).init(jax.random.key(0))
  return jax.tree.map(lambda a: a.astype(jnp.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a, state)


def _written_out(state, batch):
  """Alg. 1, line by line."""
  key_val, key_train = jax.random.split(jax.random.fold_in(state.key, state.step))
  def loss(theta, alpha, gamma, images, labels, key):
    image_key = jax.random.split(key, 3)[1]
    return _loss(theta, {'A': jax.nn.softmax(alpha)}, _train_input(images, gamma, image_key), labels, None)[0]
  alpha, gamma = state.arch['alpha'], state.gamma
  val = batch.val_images, batch.val_labels, key_val  # lines 3 to 5
  new_gamma = relaxed.project(jax.tree.map(lambda p, g: p - 0.01 * g, gamma,
                                           jax.grad(loss, 2)(state.theta, alpha, gamma, *val)))  # 6 and 7
  new_alpha = alpha - jax.grad(loss, 1)(state.theta, alpha, gamma, *val)  # 8
  g = jax.grad(loss)(state.theta, new_alpha, new_gamma, batch.train_images, batch.train_labels, key_train)  # 10 to 13
  return jax.tree.map(lambda t, g: t - 0.3 * g, state.theta, g), {'alpha': new_alpha}, new_gamma


def test_a_step_is_alg_1(batch):
  settings = _settings()
  state = _state(settings)
  new, metrics = jax.jit(joint_faa.make(PROBLEM, settings).step)(state, batch)
  expected = _written_out(state, batch)
  for found, wanted, old in zip((new.theta, new.arch, new.gamma), expected, (state.theta, state.arch, state.gamma)):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), found, wanted)
    assert float(trees.norm(trees.axpy(-1, old, found))) > 1e-5
  assert int(new.step) == 1 and float(metrics['grad_norm_gamma']) > 0


def test_the_policy_has_no_gradient_on_a_clean_validation_batch(batch):
  """Alg. 1 augments the validation batch for that reason."""
  settings = _settings(augment_validation=False)
  state = _state(settings)
  new, metrics = jax.jit(joint_faa.make(PROBLEM, settings).step)(state, batch)
  assert float(metrics['grad_norm_gamma']) == 0
  jax.tree.map(np.testing.assert_array_equal, new.gamma, relaxed.project(state.gamma))
  assert float(metrics['grad_norm_arch']) > 1e-5  # alpha has one


def test_the_mixture_is_the_softmax_of_every_edge(x64):
  arch = {'alpha': jnp.asarray(np.random.default_rng(0).normal(size=(2, 14, 8)))}
  z = architecture.mixture(arch)
  np.testing.assert_allclose(z['A'].sum(-1), 1, rtol=1e-12)
  np.testing.assert_allclose(z['A'][0, 3], np.exp(arch['alpha'][0, 3]) / np.exp(arch['alpha'][0, 3]).sum(), rtol=1e-12)
  assert z['B'].shape == (2, 14) and (z['B'] == 1).all()
