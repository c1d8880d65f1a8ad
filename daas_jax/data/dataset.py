"""One image classification set: its arrays in memory, checked, with their mean and std."""

import hashlib
import math
from typing import NamedTuple

import numpy as np

from daas_jax.data import labels as labels_lib
from daas_jax.errors import BadInput


class Dataset(NamedTuple):
  """One image classification set, or images with targets that are no classes.

  Attributes:
    name: the name it was loaded by.
    train_images: uint8 [N, H, W, C], 0 to 255.
    train_labels: int32 [N], 0 to len(class_names) - 1; with `targets` any array [N, ...].
    test_images: uint8 [M, H, W, C]; M is 0 where there is no test set.
    test_labels: int32 [M]; with `targets` any array [M, ...].
    class_names: tuple of str; with `targets` it may be ().
    mean: tuple of C floats, of the training images on the scale [0, 1], of those of D_train where
      there are `halves`.
    std: tuple of C floats, likewise (1.0 where a channel is constant, so that dividing by it is
      safe).
    targets: whether the labels are no classes, but what a loss of the user's own takes.
    halves: (rows of D_train int64 [n], rows of D_val int64 [m]) of the training images, where a set
      has validation images of its own: train_images then holds both, D_train first. None: D_val is
      to be split from the training images (`daas_jax.data.splits.of`).
  """
  name: str
  train_images: np.ndarray
  train_labels: np.ndarray
  test_images: np.ndarray
  test_labels: np.ndarray
  class_names: tuple[str, ...]
  mean: tuple[float, ...]
  std: tuple[float, ...]
  targets: bool = False
  halves: tuple[np.ndarray, np.ndarray] | None = None


def in_order(n_train, n_val):
  """`Dataset.halves` of n_train images that n_val follow; None where n_val is 0."""
  return (np.arange(n_train), np.arange(n_train, n_train + n_val)) if n_val else None


def assemble(name, train_images, train_labels, test_images, test_labels, class_names=None,
             n_val=0):
  """Checks arrays and makes a Dataset of them, with the exact mean and std of its training images.

  Args:
    name: str, also the beginning of every error message.
    train_images, test_images: uint8 [N, H, W, C] or [N, H, W], at least one image, C at most 4;
      both of the test None: there is no test set.
    train_labels, test_labels: integers [N].
    class_names: sequence of str; None names the classes '0', '1', ..., and then every class from 0
      to the largest label must occur among the training labels.
    n_val: how many of the training images are D_val: the last ones.

  Returns:
    Dataset.

  Raises:
    BadInput: a wrong type, shape, length or label, or an empty split.
  """
  train_images, train_labels = _checked_split(name, 'train', train_images, train_labels)
  if test_images is None and test_labels is None:
    test_images, test_labels = train_images[:0], train_labels[:0]
  else:
    test_images, test_labels = _checked_split(name, 'test', test_images, test_labels)
  same_shape(name, train_images, test_images, 'test')
  n_train = len(train_labels) - n_val
  class_names = _names(name, class_names, train_labels[:n_train])
  for split, labels in (('train', train_labels[:n_train]), ('val', train_labels[n_train:]),
                        ('test', test_labels)):
    labels_lib.check(f'{name}: {split}_labels', labels, len(class_names))
  mean, std = mean_std(train_images[:n_train])
  return Dataset(name, train_images, train_labels.astype(np.int32), test_images,
                 test_labels.astype(np.int32), class_names, mean, std,
                 halves=in_order(n_train, n_val))


def joined(name, train_images, train_labels, val_images, val_labels):
  """Training images and those of a validation set of its own, one after the other.

  Args:
    name: of the set, for messages.
    train_images, val_images: as `assemble` takes training images.
    train_labels, val_labels: integers [N] and [M], M at least 1.

  Returns:
    (images uint8 [N + M, H, W, C], labels [N + M], M): what `assemble` takes, M its `n_val`.

  Raises:
    BadInput: as `assemble`; images of two shapes.
  """
  train_images, train_labels = _checked_split(name, 'train', train_images, train_labels)
  val_images, val_labels = _checked_split(name, 'val', val_images, val_labels)
  same_shape(name, train_images, val_images, 'validation')
  return (np.concatenate([train_images, val_images]), np.concatenate([train_labels, val_labels]),
          len(val_labels))


def same_shape(name, train_images, images, split):
  """Refuses images [M, H, W, C] of another shape than the training images; `split` is their name.

  Raises:
    BadInput: in one line.
  """
  if train_images.shape[1:] != images.shape[1:]:
    raise BadInput(f'{name}: training images are {shape(train_images)} and {split} images '
                   f'{shape(images)}; give both the same height, width and channels')


def enough(name, class_names, labels, least):
  """Refuses training labels that nothing can be learned or split from.

  Args:
    name: of the set, for messages.
    class_names: sequence of str.
    labels: integers [N] of the training images, D_val's left out where the set has its own.
    least: images that every class must have: 1; 2 where D_val is split from them; 3 where the test
      images are as well.

  Raises:
    BadInput: a single class, or one of too few images; the line names it.
  """
  if len(class_names) < 2:
    raise BadInput(f'{name} has the single class {class_names[0]!r} and a classifier needs at '
                   'least two: give images of another class')
  counts = np.bincount(labels, minlength=len(class_names))
  few = np.flatnonzero(counts < least)
  if few.size:
    parts = ('', 'the training set', 'D_train and D_val', 'D_train, D_val and the test set')[least]
    remedy = '' if least == 1 else ', or validation images of their own'
    images = f'{counts[few[0]] or "no"} training {"image" if counts[few[0]] == 1 else "images"}'
    raise BadInput(f'{name}: class {class_names[few[0]]!r} has {images}, and {parts} must have '
                   f'{"one" if least == 1 else "one each"}: give it at least {least}{remedy}')


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
