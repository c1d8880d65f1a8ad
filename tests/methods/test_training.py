"""The parts of a training that have closed forms: the best epoch, the schedule, the average."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import config as config_lib
from daas_jax.runtime import checkpoint
from daas_jax.data import dataset
from daas_jax.methods import training
from daas_jax.nets.cells import named
from daas_jax.nets.shuffle import blocks


@pytest.fixture
def data():
  images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
  labels = np.array([0, 1, 0, 1, 0, 1, 0], np.int32)
  return dataset.assemble('seven', images, labels, images, labels, ('a', 'b'))._replace(mean=(0.0,), std=(1.0,))


def test_keep_best_takes_the_first_of_the_best():
  state = training.TrainState(jnp.int32(0), jax.random.key(0), {'w': jnp.array(1.0)}, (), {},
                              {'variables': {'w': jnp.array(0.0)}, 'accuracy': jnp.float32(-1), 'epoch': jnp.int32(0)})
  for epoch, (w, accuracy) in enumerate([(1.0, 0.5), (2.0, 0.7), (3.0, 0.7), (4.0, 0.6)]):
    state = training.keep_best(state._replace(variables={'w': jnp.array(w)}), accuracy, epoch)
  assert float(state.best['variables']['w']) == 2.0 and int(state.best['epoch']) == 2


@pytest.mark.parametrize('schedule,half', [('cosine', 0.05), ('linear', 0.05)])
def test_learning_rate_falls_to_zero(schedule, half):
  config = config_lib.train_config()
  config.train.lr, config.train.schedule = 0.1, schedule
  tx, lr = training.optimizer(config, 100)
  assert float(lr(0)) == pytest.approx(0.1) and float(lr(50)) == pytest.approx(half) and float(lr(100)) < 1e-8
  # One step by hand: clip, then L2, then the learning rate.
  w, g = {'w': jnp.array([3.0, 4.0])}, {'w': jnp.array([30.0, 40.0])}
  updates, _ = tx.update(g, tx.init(w), w)
  clipped = np.array([30.0, 40.0]) * config.train.clip / 50
  np.testing.assert_allclose(updates['w'], -0.1 * (clipped + config.train.weight_decay * np.array([3.0, 4.0])), rtol=1e-6)
  assert isinstance(tx, optax.GradientTransformation)


def test_learning_rate_rises_first():
  config = config_lib.train_config()
  config.train.lr, config.train.epochs, config.train.warmup_epochs = 0.1, 10, 2
  _, lr = training.optimizer(config, 100)
  rising = [float(lr(step)) for step in range(20)]
  np.testing.assert_allclose(rising, 0.1 * np.arange(1, 21) / 20, rtol=1e-5)  # the first step moves too
  assert float(lr(20)) == pytest.approx(0.1) and float(lr(60)) == pytest.approx(0.05) and float(lr(100)) < 1e-8


def test_nesterov_looks_ahead():
  config = config_lib.train_config()
  config.train.lr, config.train.weight_decay, config.train.nesterov = 0.1, 0.0, True
  tx, _ = training.optimizer(config, 10**9)
  w, g = {'w': jnp.array(1.0)}, {'w': jnp.array(1.0)}
  state, velocity = tx.init(w), 0.0
  for _ in range(3):
    updates, state = tx.update(g, state, w)
    velocity = 0.9 * velocity + 1.0
    assert float(updates['w']) == pytest.approx(-0.1 * (1.0 + 0.9 * velocity), rel=1e-6)


@pytest.mark.parametrize('decay', [0.5, 0.99])
def test_average_has_its_closed_form(decay):
  """sum_n w_n (1 - d_n) prod_{m > n} d_m, with d_n = min(decay, (1 + n) / (10 + n)), plus what is left of the start."""
  rng = np.random.default_rng(0)
  weights, n = rng.normal(size=(31, 3)).astype(np.float32), np.arange(1, 31)
  d = np.minimum(decay, (1 + n) / (10 + n))
  left = np.append(np.cumprod(d[::-1])[::-1], 1.0)
  expected = left[0] * weights[0] + ((1 - d) * left[1:]) @ weights[1:]
  average = {'w': jnp.asarray(weights[0])}
  for step, w in enumerate(weights[1:], 1):
    average = training.averaged(average, {'w': jnp.asarray(w)}, jnp.int32(step), decay)
  np.testing.assert_allclose(average['w'], expected, rtol=1e-5, atol=1e-6)


class _Line(nn.Module):
  """A 'network' of one weight a class and a running average."""

  @nn.compact
  def __call__(self, images, train, drop_path=0.0):
    w = self.param('w', nn.initializers.ones, (2,))
    mean = self.variable('batch_stats', 'mean', jnp.zeros, ())
    if train:
      mean.value = 0.9 * mean.value + 0.1 * jnp.mean(images)
    return jnp.mean(images, (1, 2, 3))[:, None] * w, None


def _steps(state, step, data, numbers):
  for _ in numbers:
    state, _ = step(state, (jnp.asarray(data.train_images), jnp.asarray(data.train_labels)))
  return state


def test_averaged_weights_are_what_is_evaluated_and_a_resumed_training_has_the_same(data, tmp_path):
  config = config_lib.train_config()
  config.train.ema, config.train.drop_path, config.train.lr = 0.9, 0.0, 0.5
  net, (tx, lr) = _Line(), training.optimizer(config, 20)
  augment = lambda images, key, progress: images / 255.0
  init = lambda: training.init_state(net, tx, jax.random.key(0), (8, 8, 1), config.train.ema)
  step = jax.jit(training.make_step(config, net, tx, lr, augment, 20))
  four = _steps(init(), step, data, range(4))
  whole = _steps(four, step, data, range(4))
  average, variables = init().average, init()
  for n in range(8):
    variables = _steps(variables, step, data, [n])
    average = training.averaged(average, variables.variables, n + 1, 0.9)
  for a, b in zip(jax.tree.leaves(whole.average), jax.tree.leaves(average)):
    np.testing.assert_allclose(a, b, rtol=1e-6)
  assert not np.allclose(whole.average['params']['w'], whole.variables['params']['w'])
  assert training.chosen_variables(whole) is whole.average
  assert training.keep_best(whole, 0.5, 0).best['variables'] is not None
  np.testing.assert_array_equal(training.keep_best(whole, 0.5, 0).best['variables']['params']['w'],
                                whole.average['params']['w'])
  saved = checkpoint.Checkpoints(str(tmp_path / 'c'), 3)
  saved.save(4, four)
  saved.close()
  again = checkpoint.Checkpoints(str(tmp_path / 'c'), 3)
  at, restored = again.restore(init())
  again.close()
  resumed = _steps(restored, step, data, range(4))
  assert at == 4 and all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(resumed.average),
                                                              jax.tree.leaves(whole.average)))


def test_without_an_average_the_weights_are_evaluated():
  state = training.TrainState(jnp.int32(0), jax.random.key(0), {'w': 1.0}, (), {}, {})
  assert training.chosen_variables(state) == {'w': 1.0}


# --- a batch in parts ---


@pytest.mark.parametrize('in_loop', [False, True])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(data, monkeypatch, in_loop):
  """Without normalisation to rounding, whatever the parts; the running averages have seen each part."""
  if in_loop:
    monkeypatch.setattr(training.jax, 'default_backend', lambda: 'gpu')
  data = data._replace(train_images=data.train_images[:6], train_labels=data.train_labels[:6])
  found = {}
  for parts in (1, 2, 3):
    config = config_lib.train_config()
    config.train.drop_path, config.train.lr, config.train.batch, config.train.accumulate = 0.0, 0.5, 6, parts
    net, (tx, lr) = _Line(), training.optimizer(config, 20)
    step = jax.jit(training.make_step(config, net, tx, lr, lambda images, progress, key: images / 255.0, 20))
    state, metrics = step(training.init_state(net, tx, jax.random.key(0), (8, 8, 1)),
                          (jnp.asarray(data.train_images), jnp.asarray(data.train_labels)))
    found[parts] = state.variables['params']['w'], metrics, state.variables['batch_stats']['mean']
    part, mean = 6 // parts, 0.0
    for i in range(parts):
      mean = 0.9 * mean + 0.1 * np.mean(data.train_images[i * part : (i + 1) * part]) / 255
    assert float(found[parts][2]) == pytest.approx(mean, rel=1e-5)
  for parts in (2, 3):
    np.testing.assert_allclose(found[parts][0], found[1][0], rtol=1e-6)
    for name in ('train_loss', 'train_accuracy', 'grad_norm'):
      assert float(found[parts][1][name]) == pytest.approx(float(found[1][1][name]), rel=1e-5)


def test_parts_of_equal_moments_give_the_step_of_the_whole_batch(x64):
  """Of a network with batch normalisation: each part is normalised by its own moments, here those of the whole."""
  config = config_lib.train_config()
  config.train.drop_path, config.train.batch, config.network.layers, config.network.channels = 0.0, 8, 3, 2
  half = np.random.default_rng(0).random((4, 16, 16, 1))
  images, labels = jnp.asarray(np.concatenate([half, half])), jnp.asarray([0, 1, 2, 0, 1, 0, 2, 2])
  net = training.network(config, named.named_genotypes()['darts_v2'], 3)
  tx, lr = training.optimizer(config, 20)
  start = jax.jit(lambda: training.init_state(net, tx, jax.random.key(0), (16, 16, 1)))()
  found = []
  for parts in (1, 2):
    config.train.accumulate = parts
    step = jax.jit(training.make_step(config, net, tx, lr, lambda images, progress, key: images, 20))
    state, metrics = step(start, (images, labels))
    found.append((state.variables['params'], metrics['train_loss'], metrics['grad_norm']))
  assert float(found[0][2]) > 0.1
  for one, two in zip(*map(jax.tree.leaves, found)):
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)


# --- half precision ---


@pytest.mark.parametrize('kernels', ['fast', 'xla'])
@pytest.mark.parametrize('name', ['derived', 'wrn_40_2', 'shuffle'])
def test_a_step_in_bfloat16_is_near_that_in_float32_and_keeps_float32(name, kernels):
  config = config_lib.train_config()
  config.train.drop_path, config.network.name, config.network.kernels = 0.0, name, kernels
  config.network.layers, config.network.channels, config.network.depth, config.network.width = 3, 4, 10, 1
  path = blocks.Blocks('nano', ('k3', 'k5', 'xception'))
  genotype = {'derived': named.named_genotypes()['darts_v2'], 'shuffle': path}.get(name)
  images, labels = jax.random.normal(jax.random.key(1), (8, 16, 16, 3)), jnp.arange(8) % 3
  net, (tx, lr) = training.network(config, genotype, 3), training.optimizer(config, 20)
  start = jax.jit(lambda: training.init_state(net, tx, jax.random.key(0), (16, 16, 3)))()
  found = {}
  for dtype in ('float32', 'bfloat16'):
    config.network.dtype = dtype
    step = jax.jit(training.make_step(config, net, tx, lr, lambda images, progress, key: images, 20))
    program = step.lower(start, (images, labels))
    state, metrics = program.compile()(start, (images, labels))
    assert ('bf16' in program.as_text()) == (dtype == 'bfloat16')
    assert jax.tree.map(lambda x: x.dtype, state) == jax.tree.map(lambda x: x.dtype, start)
    found[dtype] = state, metrics
  one, two = found['float32'], found['bfloat16']
  assert float(one[1]['train_loss']) == pytest.approx(float(two[1]['train_loss']), rel=0.03)
  assert float(one[1]['grad_norm']) == pytest.approx(float(two[1]['grad_norm']), rel=0.1)
  flat = lambda state: np.concatenate([np.ravel(b - a) for a, b in zip(
      *map(jax.tree.leaves, (start.variables, state.variables)))])
  a, b = flat(one[0]), flat(two[0])
  assert np.dot(a, b) > 0.95 * np.linalg.norm(a) * np.linalg.norm(b) and np.linalg.norm(a) > 0.01
