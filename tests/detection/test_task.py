"""Detection as a problem of DDAS: what its callables give, a few steps of the method, overfitting of few scenes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax.data import batches
from daas_jax.detection import networks, scenes as scenes_lib, sets, task
from daas_jax.methods import ddas
from daas_jax.policies import candidates

LAYOUT = scenes_lib.Layout(side=32, most=2, scale=(0.5, 0.6), noise=5)
SPACE = candidates.Space(candidates.parse(('Rotate:0.9', 'VerticalFlip', 'Invert')))
NET = networks.make('anchor_free', 10, 1, 16)
N = 8


@pytest.fixture(name='data', scope='module')
def data_fixture():
  return scenes_lib.load(N, N, 2, 0, LAYOUT)


@pytest.fixture(name='problem', scope='module')
def problem_fixture(data):
  return task.problem(NET, SPACE, data)


def _batch(data):
  return batches.SearchBatches(data, 0, N // 2, 0.5)(0)


def test_inputs_keep_boxes_on_objects(data, problem):
  """The nothing-applied input is the image or its mirror, and so are the boxes; a policy moves both."""
  inputs = _batch(data).train_images
  policy = problem.policies.sample(jax.random.key(0), problem.policies.init(jax.random.key(0)))
  train_input = jax.jit(problem.train_input)
  plain = train_input(inputs, problem.policies.identity(policy), jax.random.key(1))
  flipped = 0
  clean = problem.val_input(inputs)
  for image, boxes, old_image, old_boxes in zip(plain['images'], plain['boxes'], clean['images'], clean['boxes']):
    if np.allclose(image, old_image, atol=1e-5):
      np.testing.assert_array_equal(boxes, old_boxes)
      continue
    flipped += 1
    np.testing.assert_allclose(image, old_image[:, ::-1], atol=1e-5)
    there = old_boxes[:, 2] > old_boxes[:, 0]
    mirrored = np.stack([old_boxes[:, 0], 32 - old_boxes[:, 3], old_boxes[:, 2], 32 - old_boxes[:, 1]], 1)
    np.testing.assert_allclose(boxes, np.where(there[:, None], mirrored, 0), atol=1e-4)
  assert 0 < flipped < len(plain['boxes'])
  moved = train_input(inputs, policy._replace(phi=jnp.array([1, 1])), jax.random.key(1))
  np.testing.assert_allclose(moved['images'], plain['images'], atol=1e-5)  # upside down twice
  once = train_input(inputs, policy._replace(phi=jnp.array([1, 2])), jax.random.key(1))
  np.testing.assert_allclose(once['boxes'][:, 0, 0], 32 - plain['boxes'][:, 0, 2], atol=1e-4)


def test_the_method_runs_on_boxes_as_it_is(data, problem):
  lr = lambda step: 0.01
  optimizers = {'theta': optax.sgd(lr, 0.9), 'gamma': optax.adam(0.05)}
  method = ddas.make(problem, ddas.Settings(n_policies=2, val_batches=1, lr=lr, optimizers=optimizers))
  state = start = jax.jit(method.init)(jax.random.key(0))
  step = jax.jit(method.step)
  for _ in range(3):
    state, metrics = step(state, _batch(data))
    assert all(np.isfinite(value) and np.shape(value) == () for value in metrics.values())
    assert 0 < metrics['train_accuracy'] < 1 and metrics['train_loss'] > 0
  assert np.ptp(state.gamma['alpha_o']) > 0  # all equal at the start
  assert state.gamma['alpha_tp'] != start.gamma['alpha_tp']
  assert any(jax.tree.leaves(jax.tree.map(lambda a, b: bool(jnp.any(a != b)), state.theta, start.theta)))
  assert state.arch == {}


def _learn_by_heart(net, data, steps):
  """Average precision on the scenes of D_train before and after `steps` steps of Adam on them."""
  problem, optimizer = task.problem(net, SPACE, data), optax.adam(5e-3)
  scenes = sets.rows_of(data.train, data.halves[0])
  inputs, labels = problem.val_input({'images': scenes.images, 'boxes': scenes.boxes}), scenes.labels

  @jax.jit
  def step(theta, opt):
    slope = jax.grad(lambda theta: problem.loss(theta, {}, inputs, labels, None)[0])(theta)
    updates, opt = optimizer.update(slope, opt, theta)
    return optax.apply_updates(theta, updates), opt

  theta = jax.jit(problem.init_theta)(jax.random.key(0))
  evaluate = functools.partial(task.evaluate, net, data, scenes=scenes, size=3)  # the last batch is not full
  before, opt = evaluate(theta=theta), optimizer.init(theta)
  for _ in range(steps):
    theta, opt = step(theta, opt)
  return before, evaluate(theta=theta)


def test_a_few_scenes_are_learned_by_heart(data):
  before, after = _learn_by_heart(NET, data, 100)
  assert before.ap50 < 0.2 and after.ap50 > 0.5 and 0 < after.mean < after.ap50 + 1e-9  # rounded means


def test_retinanet_learns_them_too():
  """Objects of about 25 pixels, smaller than the smallest anchors."""
  layout = scenes_lib.Layout(side=48, most=2, scale=(0.8, 1.0), noise=5)
  before, after = _learn_by_heart(networks.make('retinanet', 10, 10, 8), scenes_lib.load(4, 4, 1, 0, layout), 120)
  assert before.ap50 < 0.2 and after.ap50 > 0.5 and 0 < after.mean < after.ap50 + 1e-9  # rounded means


def test_batches_take_the_rows_of_their_half(data):
  """Every scene of both halves once an epoch, each with its own boxes and labels."""
  take = batches.SearchBatches(data, 3, N // 2, 0.5)
  assert take.steps_per_epoch == 2
  seen = {'train': [], 'val': []}
  for step in range(2):
    batch = take(step)
    for half in seen:
      inputs, labels = getattr(batch, f'{half}_images'), np.asarray(getattr(batch, f'{half}_labels'))
      for image, boxes, label in zip(np.asarray(inputs['images']), np.asarray(inputs['boxes']), labels):
        row, = [i for i, other in enumerate(data.train.images) if np.array_equal(image, other)]
        np.testing.assert_array_equal(boxes, data.train.boxes[row])
        np.testing.assert_array_equal(label, data.train.labels[row])
        seen[half].append(row)
  assert [sorted(rows) for rows in seen.values()] == [list(half) for half in data.halves]
