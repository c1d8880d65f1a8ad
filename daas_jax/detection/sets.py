"""Images with boxes, as arrays in memory: the counterpart of `daas_jax.data.dataset.Dataset` for
detection."""

from typing import NamedTuple

import numpy as np

PADDING = -1
"""The label of a row without an object."""


class Scenes(NamedTuple):
  """n images of at most N objects.

  Attributes:
    images: uint8 [n, H, W, C].
    boxes: float32 [n, N, 4], (y0, x0, y1, x1) in pixels; zeros in padding.
    labels: int32 [n, N], class of each box; `PADDING` in padding.
  """
  images: np.ndarray
  boxes: np.ndarray
  labels: np.ndarray


class DetectionSet(NamedTuple):
  """Scenes for a search and for a test.

  Attributes:
    name: the name it was loaded by.
    train: `Scenes` of D_train and D_val.
    halves: (rows of D_train, rows of D_val), int64 [n_1] and [n_2]: disjoint, and together all of
      `train`.
    test: `Scenes`.
    class_names: tuple of str.
    mean, std: tuples of C floats, of the images of `train` on the scale [0, 1].
  """
  name: str
  train: Scenes
  halves: tuple[np.ndarray, np.ndarray]
  test: Scenes
  class_names: tuple[str, ...]
  mean: tuple[float, ...]
  std: tuple[float, ...]

  @property
  def train_images(self):
    """What `daas_jax.data.batches` takes for images: {'images', 'boxes'}, each [n, ...]."""
    return {'images': self.train.images, 'boxes': self.train.boxes}

  @property
  def train_labels(self):
    return self.train.labels


def rows_of(scenes, rows):
  """The `Scenes` of these rows."""
  return Scenes(*(array[rows] for array in scenes))
