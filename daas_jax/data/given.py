"""Arrays of a program as a data set: checked, with one line that says what to do where they do not
fit."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from daas_jax.data import dataset as dataset_lib
from daas_jax.data.raw import short
from daas_jax.errors import BadInput

_AT_ONCE = 2**24  # numbers that are checked and rounded at once
_HOST = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32,
         np.dtype(np.uint64): np.uint32}
"""What targets of a type become, as JAX has them."""


def from_arrays(images: Any, labels: Any, validation: tuple[Any, Any] | None = None,
                test: tuple[Any, Any] | None = None, class_names: Sequence[str] | None = None,
                name: str = 'arrays', targets: bool = False) -> dataset_lib.Dataset:
  """Makes a data set of arrays: numpy's, JAX's, PyTorch's (also on a GPU), or what numpy can read.

  Args:
    images: [N, H, W, C] or grey [N, H, W], C 1 or 3, uint8 in [0, 255] or floats in [0, 1]. Floats
      are rounded to the 256 levels of uint8, x to round(255 x): sets are kept, and augmented, as
      such.
    labels: integers [N], the classes, numbered from 0; each occurs.
    validation: (images, labels) that are D_val; `images` are then all D_train. None: D_val is split
      from `images`, class by class, by the seed and data.val_fraction.
    test: (images, labels); None: there is no test set, and nothing is tested.
    class_names: a name for each class; None: '0', '1', ...
    name: of the set; messages begin with it.
    targets: labels are no classes but what a loss of your own takes: any numbers [N, ...], masks
      [N, H, W] for one. Nothing of classes is then checked, class_names may be None for none, and
      halves are drawn without regard to them. Numbers of 64 bits become 32, as JAX has them.

  Returns:
    `daas_jax.data.dataset.Dataset`.

  Raises:
    BadInput: arrays of other shapes, types or ranges; a class that does not occur, a single one, or
      one of a single image where D_val has to be split from it.
  """
  train_images, train_labels = _split(name, '', (images, labels), targets)
  n_val = 0
  if validation is not None:
    val = _split(name, 'validation', validation, targets)
    dataset_lib.same_shape(name, train_images, val[0], 'validation')
    _same_kind(name, train_labels, val[1], 'validation')
    train_images, n_val = np.concatenate([train_images, val[0]]), len(val[1])
    train_labels = np.concatenate([train_labels, val[1]])
  tested = None, None
  if test is not None:
    tested = _split(name, 'test', test, targets)
    dataset_lib.same_shape(name, train_images, tested[0], 'test')
    _same_kind(name, train_labels, tested[1], 'test')
  if class_names is not None and not _is_names(class_names):
    raise BadInput(f'{name}: class_names is {short(class_names)}; give a list of strings, one for '
                   'each class')
  if targets:
    return _of_targets(name, train_images, train_labels, *tested, class_names, n_val)
  n_train = len(train_labels) - n_val
  if class_names is None:
    _check_numbers(name, train_labels[:n_train])
  data = dataset_lib.assemble(name, train_images, train_labels, *tested, class_names, n_val)
  dataset_lib.enough(name, data.class_names, data.train_labels[:n_train], 1 if n_val else 2)
  return data


def _of_targets(name, train_images, train_labels, test_images, test_labels, class_names, n_val):
  n_train = len(train_labels) - n_val
  if test_images is None:
    test_images, test_labels = train_images[:0], train_labels[:0]
  return dataset_lib.Dataset(
      name, train_images, train_labels, test_images, test_labels,
      tuple(map(str, () if class_names is None else class_names)),
      *dataset_lib.mean_std(train_images[:n_train]), targets=True,
      halves=dataset_lib.in_order(n_train, n_val))


def _is_names(names):
  return isinstance(names, (Sequence, np.ndarray)) and not isinstance(names, str) and all(
      isinstance(c, str) for c in names)


def _split(name, split, pair, targets):
  """(uint8 [N, H, W, C], labels [N, ...]) of one split, checked by themselves."""
  if not isinstance(pair, (tuple, list)) or len(pair) != 2:
    raise BadInput(f'{name}: {split} is a {type(pair).__name__}; give a pair (images, labels)')
  (images, labels), (what_images, what_labels) = pair, (
      f'{split} {of}'.strip() for of in ('images', 'labels'))
  images = _levels(f'{name}: {what_images}', _host(f'{name}: {what_images}', images))
  labels = _host(f'{name}: {what_labels}', labels)
  check = _targets if targets else _classes
  labels = check(f'{name}: {what_labels}', labels)
  if len(images) != len(labels):
    raise BadInput(f'{name}: {len(images)} {what_images} and {len(labels)} {what_labels}; give as '
                   'many of each')
  return images, labels


def _host(what, array):
  """An array of any library as numpy's."""
  try:
    if hasattr(array, 'detach'):  # PyTorch's, wherever it lies
      array = array.detach().cpu()
      array = array.float() if str(array.dtype) == 'torch.bfloat16' else array
    if not hasattr(array, '__array__') and hasattr(array, '__dlpack__'):
      array = np.from_dlpack(array)
    array = np.asarray(array)
  except Exception as e:  # of any kind: of a list of unequal lengths, of a deleted buffer
    raise BadInput(f'{what} cannot be read as one array ({short(e)}); give a numpy array, the '
                   'images resized to one size') from None
  if array.dtype.name == 'bfloat16':  # numpy itself does not know it
    array = array.astype(np.float32)
  return array


def _levels(what, images):
  """uint8 [N, H, W, C] of images as they are given."""
  shape = list(images.shape)
  if images.ndim == 4 and shape[-1] not in (1, 3) and shape[1] in (1, 3):
    raise BadInput(f'{what} have shape {shape}, which looks like NCHW: give '
                   'images.transpose(0, 2, 3, 1)')
  if images.ndim == 4 and shape[-1] == 4:
    raise BadInput(f'{what} have 4 channels, shape {shape}: leave the alpha channel out, '
                   'images[..., :3]')
  images = images[..., None] if images.ndim == 3 else images
  if images.ndim != 4 or images.shape[-1] not in (1, 3) or not min(images.shape[1:]):
    raise BadInput(f'{what} have shape {shape}: give [N, H, W, 3], [N, H, W, 1] or [N, H, W]')
  if not len(images):
    raise BadInput(f'{what} are empty: give at least one')
  if images.dtype == np.uint8:
    return np.ascontiguousarray(images)
  kind = images.dtype.kind
  if kind not in 'iuf':
    raise BadInput(f'{what} have type {images.dtype}: give uint8 in [0, 255] or floats in [0, 1]')
  low, high = _range(what, images)
  found = f'{what} have type {images.dtype} and a range of [{low:g}, {high:g}]'
  if kind in 'iu':
    remedy = ('images.astype(np.uint8)' if 0 <= low and high <= 255 else
              'uint8 in [0, 255], of 16 bits (images >> 8).astype(np.uint8)')
    raise BadInput(f'{found}: give {remedy}')
  if low < 0 or high > 1:
    remedy = ('images / 255' if 0 <= low and high <= 255 else
              'them before they were normalised, which is done here')
    raise BadInput(f'{found}, and floats must be in [0, 1]: give {remedy}')
  out = np.empty(images.shape, np.uint8)
  step = max(1, _AT_ONCE // images[0].size)
  for start in range(0, len(images), step):
    rows = slice(start, start + step)
    out[rows] = np.rint(images[rows].astype(np.float64) * 255)
  return out


def _range(what, images):
  """(least, greatest value); BadInput where one is not finite."""
  low, high = np.inf, -np.inf
  step = max(1, _AT_ONCE // images[0].size)
  for start in range(0, len(images), step):
    part = images[start:start + step]
    if part.dtype.kind == 'f' and not np.all(np.isfinite(part)):
      row = start + int(np.flatnonzero(~np.isfinite(part).all((1, 2, 3)))[0])
      raise BadInput(f'{what} hold NaN or infinity, the first in image {row}: mend or leave it out')
    low, high = min(low, float(part.min())), max(high, float(part.max()))
  return low, high


def _classes(what, labels):
  shape, kind = list(labels.shape), labels.dtype.kind
  if kind in 'USO':
    raise BadInput(f'{what} have type {labels.dtype}, not integers: of strings give '
                   'class_names, labels = np.unique(labels, return_inverse=True)')
  if labels.ndim == 2 and shape[1] == 1:
    raise BadInput(f'{what} have shape {shape}: give labels.reshape(-1)')
  if labels.ndim == 2 and kind in 'iufb' and np.all(np.count_nonzero(labels, -1) == 1):
    raise BadInput(f'{what} have shape {shape} and look one-hot: give labels.argmax(-1)')
  if labels.ndim != 1:
    raise BadInput(f'{what} have shape {shape}: give integers [N], or set targets=True where they '
                   'are no classes but what a loss of your own takes')
  if kind not in 'iu':
    whole = kind == 'b' or kind == 'f' and np.all(labels == np.rint(labels))
    remedy = ('labels.astype(np.int32)' if whole else
              'integers, or set targets=True where they are no classes')
    raise BadInput(f'{what} have type {labels.dtype}, not integers: give {remedy}')
  return labels


def _targets(what, labels):
  if labels.dtype.kind not in 'iufb' or not labels.ndim:
    raise BadInput(f'{what} have type {labels.dtype} and shape {list(labels.shape)}: give numbers '
                   '[N, ...]')
  if labels.dtype.kind == 'f' and not np.all(np.isfinite(labels)):
    raise BadInput(f'{what} hold NaN or infinity: mend them, or leave those images out')
  small = _HOST.get(labels.dtype, labels.dtype)
  if labels.dtype.kind in 'iu' and labels.size and (
      labels.min() < np.iinfo(small).min or labels.max() > np.iinfo(small).max):
    raise BadInput(f'{what} range over [{labels.min()}, {labels.max()}]: give numbers of at most '
                   '32 bits')
  return np.ascontiguousarray(labels, small)


def _same_kind(name, labels, others, split):
  if labels.shape[1:] != others.shape[1:] or labels.dtype.kind != others.dtype.kind:
    raise BadInput(
        f'{name}: training labels are {labels.dtype} {list(labels.shape[1:])} each and {split} '
        f'labels {others.dtype} {list(others.shape[1:])}; give both alike')


def _check_numbers(name, labels):
  """Refuses classes without names that are not 0, 1, ... in the training images."""
  found = np.unique(labels)
  if found[0] >= 0 and found[-1] != len(found) - 1:
    missing = next(i for i, c in enumerate(found) if c != i)
    raise BadInput(
        f'{name}: labels are {found[0]} to {found[-1]} and no training image has {missing}: number '
        'the classes from 0 without gaps, by np.unique(labels, return_inverse=True)[1]')
