"""A network on images: its loss and accuracy over all of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.data import dataset, evaluation
from daas_jax.nets.losses import CROSS_ENTROPY


class _Table:
  """A 'network' whose logits are read off the first pixel: right for even images, wrong for odd ones."""

  def apply(self, variables, images, train):
    first = jnp.round((images[:, 0, 0, 0] * 255)).astype(int)
    return jax.nn.one_hot(jnp.where(first % 2 == 0, 0, 1), 2) * variables['scale'], None


@pytest.fixture
def data():
  images = np.arange(7, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
  labels = np.array([0, 1, 0, 1, 0, 1, 0], np.int32)
  return dataset.assemble('seven', images, labels, images, labels, ('a', 'b'))._replace(mean=(0.0,), std=(1.0,))


def test_every_image_counts_once_whatever_the_batch(data):
  labels = np.array([0, 0, 0, 0, 0, 0, 0], np.int32)  # right for images 0, 2, 4, 6
  for batch in (2, 3, 7, 256):
    evaluate = evaluation.of(_Table(), data, CROSS_ENTROPY, batch)
    loss, accuracy, top_5 = evaluate({'scale': 3.0}, data.test_images, labels)
    assert top_5 is None  # of two classes
    assert accuracy == pytest.approx(4 / 7)
    right, wrong = np.log(1 + np.exp(-3.0)), np.log(1 + np.exp(3.0))
    assert loss == pytest.approx((4 * right + 3 * wrong) / 7, rel=1e-5)


class _Random:
  """A 'network' of many classes, whose logits are read off the pixels."""

  def __init__(self, classes):
    self.classes = classes

  def apply(self, variables, images, train):
    return images.reshape(len(images), -1)[:, :self.classes], None


@pytest.mark.parametrize('classes', [99, 100])
def test_the_top_5_accuracy_is_that_of_sorting(data, classes):
  images = np.random.default_rng(0).permuted(np.tile(np.arange(256, dtype=np.uint8), (40, 1)), axis=1)
  images, labels = images.reshape(40, 16, 16, 1), np.arange(40) % classes
  found = evaluation.of(_Random(classes), data, CROSS_ENTROPY, 16)({}, images, labels)
  best = np.argsort(-images.reshape(40, -1)[:, :classes].astype(int), 1)[:, :5]
  hits = np.mean([label in five for label, five in zip(labels, best)])
  assert 0 < hits < 1
  assert found.top_5 == (pytest.approx(hits) if classes == 100 else None)
  names = ['test_loss', 'test_accuracy'] + ['test_top5_accuracy'] * (classes == 100)
  assert list(found.named('test')) == names
