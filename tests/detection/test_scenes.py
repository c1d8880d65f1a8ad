"""Composed scenes: boxes against the pasted pixels, places, and what a layout cannot be."""

import numpy as np
import pytest

from daas_jax.detection import scenes, sets
from daas_jax.errors import BadInput

RNG = np.random.default_rng(0)


def _objects():
  """[20, 12, 10, 1]: filled rectangles of several sizes on black, with faint pixels around that are no object."""
  images = np.full((20, 12, 10, 1), scenes.OUTLINE - 10, np.uint8)
  for i, image in enumerate(images):
    image[i % 4:8 + i % 5, i % 3:6 + i % 4] = 100 + i
  return images, np.arange(20) % 5


OBJECTS, LABELS = _objects()


def test_a_box_is_tight_around_what_was_pasted():
  layout = scenes.Layout(side=24, most=1, scale=(0.8, 1.2), noise=0)
  made = scenes.compose(OBJECTS, LABELS, 40, 0, layout)
  assert made.images.shape == (40, 24, 24, 1) and made.images.dtype == np.uint8
  for image, (box,) in zip(made.images, made.boxes):
    y, x = np.nonzero(image[..., 0] > scenes.OUTLINE)
    np.testing.assert_array_equal(box, [y.min(), x.min(), y.max() + 1, x.max() + 1])
  corners = made.boxes[:, 0, :2]
  assert len(np.unique(corners, axis=0)) > 20  # at many places


def test_objects_have_their_class_and_hardly_overlap():
  layout = scenes.Layout(side=32, most=4, scale=(1.0, 1.0), overlap=0.05, noise=3)
  made = scenes.compose(OBJECTS, LABELS, 60, 1, layout)
  there = made.boxes[..., 2] > made.boxes[..., 0]
  np.testing.assert_array_equal(made.labels == sets.PADDING, ~there)
  assert np.all(made.boxes[~there] == 0) and set(there.sum(1)) == {1, 2, 3, 4}
  for image, boxes, labels in zip(made.images, made.boxes, made.labels):
    boxes, labels = boxes[labels >= 0].astype(int), labels[labels >= 0]
    last = boxes[-1]
    assert (image[last[0]:last[2], last[1]:last[3]].max() - 100) % 5 in labels  # the level of an object names its class
    for a in range(len(boxes)):
      for b in range(a):
        sides = np.minimum(boxes[a, 2:], boxes[b, 2:]) - np.maximum(boxes[a, :2], boxes[b, :2])
        smaller = min(np.prod(boxes[i, 2:] - boxes[i, :2]) for i in (a, b))
        assert np.prod(np.maximum(sides, 0)) <= 0.05 * smaller


def test_the_seed_decides():
  layout = scenes.Layout(side=24)
  first, again, other = (scenes.compose(OBJECTS, LABELS, 3, seed, layout) for seed in (5, 5, 6))
  for a, b in zip(first, again):
    np.testing.assert_array_equal(a, b)
  assert np.any(first.images != other.images)


def test_an_object_has_a_class():
  """-1 is the label of a row without an object."""
  labels = np.where(np.arange(20) == 2, -1, LABELS)
  with pytest.raises(BadInput, match='holds -1; labels must be 0 or more: row 2 is the first'):
    scenes.compose(OBJECTS, labels, 3, 0, scenes.Layout(side=24))


def test_the_packaged_set():
  made = scenes.load(6, 5, 4, 0, scenes.Layout(side=40, most=2))
  assert [len(part.images) for part in (made.train, made.test)] == [11, 4] and made.name == 'scenes:embedded'
  assert [list(rows) for rows in made.halves] == [list(range(6)), list(range(6, 11))]
  assert made.train.boxes.shape == (11, 2, 4) and len(made.class_names) == 10
  np.testing.assert_allclose(np.mean(made.train.images / 255), made.mean[0])


def test_three_channels_and_a_black_object():
  images = np.zeros((1, 8, 8, 3), np.uint8)
  made = scenes.compose(images, np.array([0]), 2, 0, scenes.Layout(side=16, most=1, scale=(1, 1)))
  np.testing.assert_array_equal(made.boxes[:, 0, 2:] - made.boxes[:, 0, :2], 8)
  for image, (box,) in zip(made.images, made.boxes.astype(int)):
    assert not np.any(image[box[0]:box[2], box[1]:box[3]]) and image.shape == (16, 16, 3)


@pytest.mark.parametrize('layout, message', [
    (dict(side=8), 'objects of up to 12 pixels do not fit into scenes of 8'), (dict(side=30), 'multiple of 4'),
    (dict(most=0), 'at least 1 scene and 1 object'), (dict(scale=(0.0, 1.0)), r'0 < scale\[0\]'),
    (dict(overlap=1.5), 'an overlap in')])
def test_layouts_that_cannot_be(layout, message):
  with pytest.raises(BadInput, match=message) as error:
    scenes.compose(OBJECTS, LABELS, 1, 0, scenes.Layout(**layout))
  assert '\n' not in str(error.value)
