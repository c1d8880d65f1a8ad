"""Faster AutoAugment: a step against its algorithm written out, and a search on images where the answer is known."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import config as config_lib, trees
from daas_jax.augment import preprocess
from daas_jax.data import sources
from daas_jax.errors import BadInput
from daas_jax.estimators import wgan
from daas_jax.methods import faster_aa
from daas_jax.nets import kernels as k
from daas_jax.nets.fixed.small_cnn import SmallCNN
from daas_jax.policies import relaxed
from daas_jax.types import Batch

SHAPE = (4, 4, 1)
CLASSES = 3
SGD = {'theta': optax.sgd(1.0), 'gamma': optax.sgd(1.0)}  # so that an update is minus the gradient


def _critic(theta, images, key):
  del key
  return faster_aa.two_heads(jnp.tanh(images.reshape(len(images), -1) @ theta['v']) @ theta['w'])


def _problem(space, shape=SHAPE, **changes):
  """A perceptron as critic, a relaxed policy; `prepare` turns no pixel but draws an exposure, so that keys count."""
  size = int(np.prod(shape))
  scale = {'v': (size, 6), 'w': (6, CLASSES + 1)}
  def init_theta(key):
    return {name: 0.5 * jax.random.normal(k, s) for (name, s), k in zip(scale.items(), jax.random.split(key))}
  base = faster_aa.CriticProblem(
      init_theta=init_theta,
      init_gamma=functools.partial(relaxed.init, space=space),
      critic=_critic,
      prepare=lambda images, key: preprocess.to_float(images) * jax.random.uniform(key, (), minval=0.9),
      augment=lambda gamma, images, key: relaxed.apply(gamma, space, images, key),
      finish=lambda images, key: (images - 0.4) / 0.3 * jax.random.uniform(key, (), minval=0.9),
      val_input=lambda images: (preprocess.to_float(images) - 0.4) / 0.3,
      project=relaxed.project)
  return base._replace(**changes)


def _batch(size, seed=0, low=0, high=256, shape=SHAPE):
  rng = np.random.default_rng(seed)
  images = lambda: jnp.asarray(rng.integers(low, high, (size, *shape)), jnp.uint8)
  labels = lambda: jnp.asarray(rng.integers(0, CLASSES, size), jnp.int32)
  return Batch(images(), labels(), images(), labels())


# Warm: at the temperatures of the paper most draws leave p without a gradient.
SPACE = relaxed.Space(('Brightness', 'Invert'), 1, 2, selection_temperature=0.5, bernoulli_temperature=0.7)


def _written_out(problem, settings, state, batch):
  """The gradients of one step; the norm of the penalty an image at a time."""
  keys = jax.random.split(jax.random.fold_in(state.key, state.step), 5)
  images = problem.prepare(batch.train_images, keys[0])
  a, a_labels, b_labels = images[:3], batch.train_labels[:3], batch.train_labels[3:]
  real = problem.finish(images[3:], jax.random.fold_in(keys[2], 1))
  fake = problem.finish(problem.augment(state.gamma, a, keys[1]), jax.random.fold_in(keys[1], 1))
  eps = jax.random.uniform(keys[2], (3,))
  one = lambda theta, x: _critic(theta, x[None], None)[0][0]
  log_likelihood = lambda logits, labels: jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(3), labels])

  def critic_loss(theta):
    penalties = []
    for e, x, y in zip(eps, real, fake):
      g = jax.grad(one, 1)(theta, e * x + (1 - e) * y)
      penalties.append((jnp.sqrt(jnp.sum(g**2)) - 1)**2)
    distance = jnp.mean(_critic(theta, real, None)[0]) - jnp.mean(_critic(theta, fake, None)[0])
    fit = log_likelihood(_critic(theta, real, None)[1], b_labels)
    return -distance + settings.penalty * sum(penalties) / 3 - settings.classification * fit

  g_theta = jax.grad(critic_loss)(state.theta)
  theta = jax.tree.map(jnp.subtract, state.theta, g_theta)

  def policy_loss(gamma):
    d, logits = _critic(theta, problem.finish(problem.augment(gamma, a, keys[3]), jax.random.fold_in(keys[3], 1)), None)
    return -jnp.mean(d) - settings.classification * log_likelihood(logits, a_labels)

  return g_theta, jax.grad(policy_loss)(state.gamma)


def test_a_step_is_the_algorithm():
  problem, settings = _problem(SPACE, project=lambda gamma: gamma), faster_aa.Settings(SGD, 0.7, 0.3)
  method = faster_aa.make(problem, settings)
  state, batch = method.init(jax.random.key(0)), _batch(6)
  new, metrics = jax.jit(method.step)(state, batch)
  wanted = jax.jit(lambda state, batch: _written_out(problem, settings, state, batch))(state, batch)
  for name, gradient in zip(('theta', 'gamma'), wanted):
    moved = jax.tree.map(jnp.subtract, getattr(state, name), getattr(new, name))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=1e-6), moved, gradient)
    assert all(np.abs(leaf).max() > 1e-4 for leaf in jax.tree.leaves(gradient)), name
    np.testing.assert_allclose(metrics[f'grad_norm_{name}'], trees.norm(gradient), rtol=1e-4)
  assert new.step == 1 and new.arch == {} and new.extra == {}
  assert all(np.shape(value) == () and np.isfinite(value) for value in metrics.values())
  assert {'train_loss', 'train_accuracy', 'val_loss', 'val_accuracy', 'distance', 'penalty'} <= set(metrics)


def test_cutout_comes_after_policy_and_normalisation():
  """The joint search's paper: always applied after the policy, though no policy has it."""
  data, config = sources.load('embedded'), config_lib.search_config('faster_aa')
  config.network.name, config.data.name = 'small_cnn', 'embedded'
  images, key = preprocess.to_float(jnp.asarray(data.train_images[:4])), jax.random.key(3)
  out = {}
  for size in (0, 16):
    config.preprocess.cutout = size
    out[size] = faster_aa.critic_problem(config, data).finish(images, key)
  whole = preprocess.normalise(images, data.mean, data.std)
  np.testing.assert_array_equal(out[0], whole)
  np.testing.assert_array_equal(out[16], preprocess.cutout(whole, key, 16))
  assert np.all((out[16] == 0) | (out[16] == whole)) and np.any(out[16] != whole)


def test_a_constant_critic_gives_the_policy_no_gradient():
  logits = lambda images: images.reshape(len(images), -1)[:, :CLASSES]
  constant = lambda theta, images, key: (jnp.full(len(images), theta['c']), logits(images))
  problem = _problem(SPACE, critic=constant, init_theta=lambda key: {'c': jnp.float32(2)}, project=lambda gamma: gamma)
  state = faster_aa.make(problem, faster_aa.Settings(SGD)).init(jax.random.key(0))
  for classification, still in ((0.0, True), (1.0, False)):
    step = faster_aa.make(problem, faster_aa.Settings(SGD, classification=classification)).step
    new, metrics = jax.jit(step)(state, _batch(6))
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (new.gamma, state.gamma)))) == still
    assert (metrics['grad_norm_gamma'] == 0) == still
    assert metrics['penalty'] == 10 and new.theta['c'] == 2  # a gradient of zero is penalised, and none is NaN


def test_the_policy_is_projected_after_its_step():
  still = lambda gamma: {name: jnp.full_like(x, 0.125) for name, x in gamma.items()}
  constant = lambda theta, images, key: (jnp.full(len(images), theta['c']), jnp.zeros((len(images), CLASSES)))
  problem = _problem(SPACE, critic=constant, init_theta=lambda key: {'c': jnp.float32(2)}, project=still)
  method = faster_aa.make(problem, faster_aa.Settings(SGD))
  new, _ = jax.jit(method.step)(method.init(jax.random.key(0)), _batch(6))
  assert all((x == 0.125).all() for x in new.gamma.values())


def test_the_policy_learns_not_to_be_seen():
  """All images are dark: the critic sees the inverted ones and not the mirrored ones."""
  space = relaxed.Space(('HorizontalFlip', 'Invert'), K=1, L=1)
  adam = lambda lr: optax.adam(lr, 0.0, 0.999)
  method = faster_aa.make(_problem(space), faster_aa.Settings({'theta': adam(1e-2), 'gamma': adam(5e-3)}))
  state = method.init(jax.random.key(5))  # a critic that begins with the wrong sign
  state = state._replace(gamma={name: jnp.full((1, 1, 2), 0.5) for name in state.gamma})
  batches = jax.tree.map(lambda *x: jnp.stack(x), *[_batch(32, i, 0, 80) for i in range(200)])
  state, metrics = jax.jit(lambda state: jax.lax.scan(method.step, state, batches))(state)
  flip, invert = relaxed.marginals(state.gamma, space)['probability'][0]
  assert invert < 0.03 and flip > 0.97
  start, end = (np.abs(np.mean(metrics['distance'][part])) for part in (slice(20), slice(-20, None)))
  assert start > 0.5 and end < 0.1


def test_on_a_network_of_the_house():
  """One operation has a derivative in the magnitude, one is straight-through; every parameter moves."""
  space, shape = relaxed.Space(('Color', 'Invert'), K=1, L=2), (8, 8, 3)
  net = SmallCNN(CLASSES + 1, 2, 'plain')
  problem = _problem(
      space, shape,
      init_theta=lambda key: net.init(key, {}, jnp.zeros((1, *shape)))['params'],
      critic=lambda theta, images, key: faster_aa.two_heads(net.apply({'params': theta}, {}, images)))
  adam = optax.adam(1e-3, 0.0, 0.999)
  method = faster_aa.make(problem, faster_aa.Settings({'theta': adam, 'gamma': adam}))
  state = jax.jit(method.init)(jax.random.key(2))
  new, metrics = jax.jit(method.step)(state, _batch(16, shape=shape))
  assert jax.tree.map(jnp.shape, new) == jax.tree.map(jnp.shape, state)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves((new.theta, new.gamma, metrics)))
  for old, moved in zip(*map(jax.tree.leaves, (state.theta, new.theta))):
    assert np.abs(moved - old).max() > 1e-5
  for old, moved in zip(*map(jax.tree.leaves, (state.gamma, new.gamma))):
    assert (np.abs(moved - old).max((0, 1)) > 1e-5).all()


def test_the_penalty_differentiates_the_fast_kernels_twice(x64):
  rng = np.random.default_rng(0)
  x, slopes = jnp.asarray(rng.normal(size=(2, 9, 9, 2))), []
  theta = {'conv': jnp.asarray(rng.normal(size=(3, 3, 2, 2))), 'pointwise': jnp.asarray(rng.normal(size=(2, 2)))}

  def critic(theta, x, set_of):
    x = jax.nn.relu(set_of.batch_norm(set_of.conv(x, theta['conv'])))
    return jnp.sum(jnp.tanh(set_of.pointwise(x, theta['pointwise'])), (1, 2, 3))

  for kernels in ('fast', 'plain'):
    penalty = lambda theta: wgan.gradient_penalty(lambda x: critic(theta, x, k.KERNELS[kernels]), x)
    slopes.append(jax.jit(jax.grad(penalty))(theta))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), *slopes)
  assert all(np.abs(leaf).min() > 1e-4 for leaf in slopes[0].values())


def test_two_heads():
  d, logits = faster_aa.two_heads(jnp.arange(8.0).reshape(2, 4))
  np.testing.assert_array_equal(d, [3, 7])
  np.testing.assert_array_equal(logits, [[0, 1, 2], [4, 5, 6]])


def test_an_odd_batch_is_refused():
  method = faster_aa.make(_problem(SPACE), faster_aa.Settings(SGD))
  state = jax.eval_shape(method.init, jax.random.key(0))
  with pytest.raises(BadInput, match='even number of images, from 2 on, not 5'):
    jax.eval_shape(method.step, state, _batch(5))
