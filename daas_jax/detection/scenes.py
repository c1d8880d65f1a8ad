"""Scenes to detect objects in: images of an image classification set, resized a little, at random
places.

Made once, on the host, by numpy's generator: a function of its arguments alone.
"""

from typing import NamedTuple

import numpy as np
from PIL import Image

from daas_jax.data import dataset, labels as labels_lib, sources, splits
from daas_jax.detection.sets import DetectionSet, PADDING, Scenes
from daas_jax.errors import BadInput

OUTLINE = 16
"""Pixels of an object image above this level, of 255, in any channel are the object; what is darker
is see-through."""
_TRIES = 30  # places tried for an object before it is left out


class Layout(NamedTuple):
  """How scenes are put together.

  Attributes:
    side: H = W in pixels, a multiple of 4.
    most: N; a scene is to have 1 to N objects, uniformly (fewer where no place is free).
    scale: least and greatest size of an object image over its own, uniformly drawn.
    overlap: most of the smaller of two boxes that the other may cover, in [0, 1].
    noise: the background is the absolute value of Gaussian noise of this standard deviation, in
      levels of 255.
  """
  side: int = 56
  most: int = 3
  scale: tuple[float, float] = (0.7, 1.0)
  overlap: float = 0.1
  noise: float = 10.0


def load(n_train, n_val, n_test, seed, layout=Layout(), name='embedded', data_dir=None):
  """The scenes of a search: D_train and D_val from halves of a set's training images, the test from
  its test images.

  So no two of the three have an object image in common.

  Args:
    n_train, n_val, n_test: scenes, each >= 1.
    seed: int >= 0.
    layout: `Layout`.
    name, data_dir: of the image classification set, for `daas_jax.data.sources.load`; its images
      are bright objects on black.

  Returns:
    `DetectionSet`.

  Raises:
    BadInput: the set cannot be loaded, or its images do not fit into the layout.
  """
  source = sources.load(name, data_dir)
  rows = splits.of(source, seed)
  parts = [
      (source.train_images[r], source.train_labels[r], n) for r, n in zip(rows, (n_train, n_val))
  ]
  parts.append((source.test_images, source.test_labels, n_test))
  train, val, test = (
      compose(images, labels, n, (seed, i), layout) for i, (images, labels, n) in enumerate(parts))
  both = Scenes(*map(np.concatenate, zip(train, val)))
  halves = np.arange(n_train), np.arange(n_train, n_train + n_val)
  return DetectionSet(f'scenes:{name}', both, halves, test, source.class_names,
                      *dataset.mean_std(both.images))


def compose(images, labels, n, seed, layout=Layout()):
  """Composes n scenes.

  Args:
    images: uint8 [M, h, w, C], objects on black.
    labels: integers [M], 0 or more.
    n: scenes, >= 1.
    seed: int >= 0, or a tuple of them.
    layout: `Layout`.

  Returns:
    `Scenes`.

  Raises:
    BadInput: a layout or labels that cannot be, or objects that may be larger than the scene.
  """
  _check(images, n, layout)
  labels_lib.check('compose: labels', labels)  # a negative one would be padding
  rng = np.random.default_rng(seed)
  scenes = Scenes(_background(rng, (n, layout.side, layout.side, images.shape[-1]), layout.noise),
                  np.zeros((n, layout.most, 4), np.float32),
                  np.full((n, layout.most), PADDING, np.int32))
  for i in range(n):
    placed = 0
    for _ in range(rng.integers(1, layout.most + 1)):
      row = rng.integers(len(images))
      cut, outline = _object(images[row], rng.uniform(*layout.scale))
      box = _place(rng, outline.shape, scenes.boxes[i, :placed], layout)
      if box is None:
        continue
      y0, x0, y1, x1 = box
      view = scenes.images[i, y0:y1, x0:x1]
      view[outline] = cut[outline]
      scenes.boxes[i, placed], scenes.labels[i, placed] = box, labels[row]
      placed += 1
  return scenes


def _background(rng, shape, noise):
  return np.minimum(np.abs(rng.normal(0, noise, shape)), 255).astype(np.uint8)


def _object(image, scale):
  """(pixels uint8 [h, w, C], outline bool [h, w]) of a resized object image, cut to the tight box
  of the object."""
  height, width, channels = image.shape
  size = max(1, round(width * scale)), max(1, round(height * scale))
  planes = [
      np.asarray(Image.fromarray(image[..., c]).resize(size, Image.Resampling.BILINEAR))
      for c in range(channels)
  ]
  resized = np.stack(planes, -1)
  outline = np.any(resized > OUTLINE, -1)
  y, x = np.flatnonzero(outline.any(1)), np.flatnonzero(outline.any(0))
  if not len(y):  # a black image: all of it is the object
    return resized, np.ones_like(outline)
  window = slice(y[0], y[-1] + 1), slice(x[0], x[-1] + 1)
  return resized[window], outline[window]


def _place(rng, shape, boxes, layout):
  """A box of this shape (h, w) at a uniform place that hardly overlaps `boxes` [k, 4]; None if none
  was found."""
  for _ in range(_TRIES):
    y0, x0 = (int(rng.integers(layout.side - length + 1)) for length in shape)
    box = np.array([y0, x0, y0 + shape[0], x0 + shape[1]])
    corners = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = np.prod(np.maximum(corners, 0), -1)
    smaller = np.minimum(np.prod(shape), np.prod(boxes[:, 2:] - boxes[:, :2], -1))
    if np.all(shared <= layout.overlap * smaller):
      return box
  return None


def _check(images, n, layout):
  low, high = layout.scale
  largest = max(round(side * high) for side in images.shape[1:3])
  if n < 1 or layout.most < 1:
    raise BadInput(f'there must be at least 1 scene and 1 object, not {n} and {layout.most}')
  if layout.side < 4 or layout.side % 4:
    raise BadInput(
        'the side of a scene must be a multiple of 4, the stride of the detector, not '
        f'{layout.side}'
    )
  if not 0 < low <= high or not 0 <= layout.overlap <= 1 or layout.noise < 0:
    raise BadInput(
        'a layout needs 0 < scale[0] <= scale[1], an overlap in [0, 1] and a noise >= 0, not '
        f'{layout}'
    )
  if largest > layout.side:
    raise BadInput(
        f'objects of up to {largest} pixels do not fit into scenes of {layout.side}: choose a '
        'smaller scale or a larger side')
