"""One image classification set: its arrays in memory, checked, with their mean and std."""

import hashlib
import math
from typing import NamedTuple

import numpy as np

from daas_jax.data import labels as labels_lib
from daas_jax.errors import BadInput


class Dataset(NamedTuple):
  """One image classification set.

  Attributes:
    name: the name it was loaded by.
    train_images: uint8 [N, H, W, C], 0 to 255.
    train_labels: int32 [N], 0 to len(class_names) - 1.
    test_images: uint8 [M, H, W, C].
    test_labels: int32 [M].
    class_names: tuple of str.
    mean: tuple of C floats, of the training images on the scale [0, 1].
    std: tuple of C floats, likewise (1.0 where a channel is constant, so that dividing by it is
      safe).
  """
  name: str
  train_images: np.ndarray
  train_labels: np.ndarray
  test_images: np.ndarray
  test_labels: np.ndarray
  class_names: tuple[str, ...]
  mean: tuple[float, ...]
  std: tuple[float, ...]


def assemble(name, train_images, train_labels, test_images, test_labels, class_names=None):
  """Checks arrays and makes a Dataset of them, with the exact mean and std of its training images.

  Args:
    name: str, also the beginning of every error message.
    train_images, test_images: uint8 [N, H, W, C] or [N, H, W], at least one image, C at most 4.
    train_labels, test_labels: integers [N].
    class_names: sequence of str; None names the classes '0', '1', ..., and then every class from 0
      to the largest label must occur among the training labels.

  Returns:
    Dataset.

  Raises:
    BadInput: a wrong type, shape, length or label, or an empty split.
  """
  train_images, train_labels = _checked_split(name, 'train', train_images, train_labels)
  test_images, test_labels = _checked_split(name, 'test', test_images, test_labels)
  if train_images.shape[1:] != test_images.shape[1:]:
    raise BadInput(f'{name}: training images are {shape(train_images)} and test images '
                   f'{shape(test_images)}; give both the same height, width and channels')
  class_names = _names(name, class_names, train_labels)
  for split, labels in (('train', train_labels), ('test', test_labels)):
    labels_lib.check(f'{name}: {split}_labels', labels, len(class_names))
  mean, std = mean_std(train_images)
  return Dataset(name, train_images, train_labels.astype(np.int32), test_images,
                 test_labels.astype(np.int32), class_names, mean, std)


def mean_std(images):
  """Exact per-channel mean and standard deviation on the scale [0, 1].

  Args:
    images: uint8 [N, H, W, C].

  Returns:
    Two tuples of C floats; std is 1.0 for a constant channel.
  """
  means, stds = [], []
  for channel in range(images.shape[-1]):
    flat = images[..., channel].reshape(-1)
    counts = np.zeros(256, np.int64)
    # bincount widens to int64: not the whole set at once
    for start in range(0, flat.size, 1 << 20):
      counts += np.bincount(flat[start:start + (1 << 20)], minlength=256)
    # Python integers: no rounding before the last division.
    total = sum(value * int(count) for value, count in enumerate(counts))
    squares = sum(value * value * int(count) for value, count in enumerate(counts))
    variance = flat.size * squares - total * total
    means.append(total / (255 * flat.size))
    stds.append(math.sqrt(variance) / (255 * flat.size) if variance else 1.0)
  return tuple(means), tuple(stds)


def content_digest(train_images, train_labels, test_images, test_labels):
  """SHA-256 in hexadecimal of the bytes of two splits: images, then labels as uint8; train, then
  test."""
  digest = hashlib.sha256()
  for array in (train_images, train_labels, test_images, test_labels):
    digest.update(np.ascontiguousarray(array, np.uint8).tobytes())
  return digest.hexdigest()


def _checked_split(name, split, images, labels):
  images, labels = np.asarray(images), np.asarray(labels)
  if images.dtype != np.uint8:
    raise BadInput(f'{name}: {split}_images has type {images.dtype}; give uint8, 0 to 255')
  if images.ndim == 3:
    images = images[..., None]
  if images.ndim != 4 or min(images.shape[1:]) < 1 or images.shape[-1] > 4:
    raise BadInput(
        f'{name}: {split}_images has shape {list(images.shape)}; give [N, H, W, C] with C at most '
        '4, or [N, H, W]')
  if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
    raise BadInput(
        f'{name}: {split}_labels has type {labels.dtype} and shape {list(labels.shape)}; give '
        'integers [N]')
  if len(images) != len(labels):
    raise BadInput(
        f'{name}: {len(images)} {split}_images and {len(labels)} {split}_labels; give as many of '
        'each')
  if not len(images):
    raise BadInput(f'{name}: split {split} is empty; give at least one image')
  labels_lib.check(f'{name}: {split}_labels', labels)
  return np.ascontiguousarray(images), labels


def _names(name, class_names, train_labels):
  """class_names as a tuple of str; without any, the labels themselves have to be 0, 1, ... with no
  gap."""
  if class_names is None:
    found = np.unique(train_labels)
    gap = np.flatnonzero(found != np.arange(len(found), dtype=found.dtype))
    if gap.size:
      raise BadInput(
          f'{name}: no training image has label {gap[0]} and the largest is {found[-1]}; number '
          'the classes from 0 without gaps, or give class_names')
    return tuple(str(label) for label in found)
  class_names = np.asarray(class_names)
  if class_names.ndim != 1 or not class_names.size or class_names.dtype.kind not in 'US':
    raise BadInput(
        f'{name}: class_names has type {class_names.dtype} and shape {list(class_names.shape)}; '
        'give one string a class')
  return tuple(
      n.decode('utf-8', 'replace') if isinstance(n, bytes) else str(n) for n in class_names)


def shape(images):
  """The shape of an image of images [N, H, W, C] as messages show it: '32x32x3'."""
  return 'x'.join(str(n) for n in images.shape[1:])
