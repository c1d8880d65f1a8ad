"""The parts of a training that have closed forms: evaluation, the best epoch, the loss, the schedule."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import config as config_lib, problem, training
from daas_jax.data import sources


class _Table:
  """A 'network' whose logits are read off the first pixel: right for even images, wrong for odd ones."""

  def apply(self, variables, images, train):
    first = jnp.round((images[:, 0, 0, 0] * 255)).astype(int)
    return jax.nn.one_hot(jnp.where(first % 2 == 0, 0, 1), 2) * variables['scale'], None


@pytest.fixture
def data():
  images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
  labels = np.array([0, 1, 0, 1, 0, 1, 0], np.int32)
  return sources.assemble('seven', images, labels, images, labels, ('a', 'b'))._replace(mean=(0.0,), std=(1.0,))


def test_every_image_counts_once_whatever_the_batch(data):
  labels = np.array([0, 0, 0, 0, 0, 0, 0], np.int32)  # right for images 0, 2, 4, 6
  for batch in (2, 3, 7, 256):
    evaluate = training.make_evaluate(_Table(), data, batch)
    loss, accuracy = evaluate({'scale': 3.0}, data.test_images, labels)
    assert accuracy == pytest.approx(4 / 7)
    right, wrong = np.log(1 + np.exp(-3.0)), np.log(1 + np.exp(3.0))
    assert loss == pytest.approx((4 * right + 3 * wrong) / 7, rel=1e-5)


def test_keep_best_takes_the_first_of_the_best():
  state = training.TrainState(jnp.int32(0), jax.random.key(0), {'w': jnp.array(1.0)}, (),
                              {'variables': {'w': jnp.array(0.0)}, 'accuracy': jnp.float32(-1), 'epoch': jnp.int32(0)})
  for epoch, (w, accuracy) in enumerate([(1.0, 0.5), (2.0, 0.7), (3.0, 0.7), (4.0, 0.6)]):
    state = training.keep_best(state._replace(variables={'w': jnp.array(w)}), accuracy, epoch)
  assert float(state.best['variables']['w']) == 2.0 and int(state.best['epoch']) == 2


@pytest.mark.parametrize('smoothing', [0.0, 0.1])
def test_cross_entropy_with_smoothed_labels(smoothing):
  logits, labels = jnp.array([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]]), jnp.array([1, 2])
  log_p = np.asarray(jax.nn.log_softmax(logits))
  by_hand = -np.mean([(1 - smoothing) * row[l] + smoothing * row.mean() for row, l in zip(log_p, np.asarray(labels))])
  assert float(problem.cross_entropy(logits, labels, smoothing)) == pytest.approx(by_hand, rel=1e-6)


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
