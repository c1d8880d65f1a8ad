"""A program's images as the data set of a run."""

import hashlib
from typing import Any

import numpy as np

from daas_jax.data import dataset, given
from daas_jax.errors import BadInput

_PROGRAM = 'program'


def of(config: Any, images: Any, labels: Any, validation: Any, test: Any, class_names: Any,
       targets: bool) -> Any:
  """The `Dataset` that a program gives; None where the config names one.

  Its name is one of its content, and becomes the config's data.name: a workdir goes on with the
  same images alone.

  Args:
    config: an unlocked config of the run.
    images: arrays, the name of a set, a `Dataset`, or None.
    labels, validation, test, class_names: as `daas_jax.search` takes them.
    targets: whether labels are what a loss of the program's own takes.

  Raises:
    BadInput: arrays that are no such data, or something beside the name of a set.
  """
  beside = {'labels': labels, 'validation': validation, 'test': test, 'class_names': class_names}
  wrong = [name for name, value in beside.items() if value is not None]
  if images is None or isinstance(images, (str, dataset.Dataset)):
    if wrong:
      raise BadInput(f'{wrong[0]} is given beside a whole data set: give arrays of images with it, '
                     'or the set alone')
    if isinstance(images, dataset.Dataset):
      return _named(config, images)
    if images is not None:
      with config.unlocked():
        config.data.name = images
    return None
  if labels is None:
    raise BadInput('images are given without labels: give both, or the name of a data set, such as '
                   "'folder:photos'")
  data = given.from_arrays(images, labels, validation, test, class_names, targets=targets)
  return _named(config, data)


def _named(config, data):
  data = data._replace(name=f'{_PROGRAM}:{_digest(data)}')
  with config.unlocked():
    config.data.name = data.name
  return data


def _digest(data):
  """Of the bytes of all arrays of a `Dataset`, 16 digits."""
  digest = hashlib.sha256()
  for array in data[1:5] + (data.halves or ()):
    digest.update(f'{array.dtype} {array.shape}'.encode())
    digest.update(np.ascontiguousarray(array).data)
  return digest.hexdigest()[:16]
