"""Sets with a shift: labelled images of a studio to train on, photographs of the field to validate
and test on.

'NAME:field' is the set NAME of which the test images and D_val went through the camera of
`daas_jax.augment.camera`, and D_train did not. Which of the training images are D_val is said by
the config's seed and data.val_fraction, as of any other set: another seed is another split. The
photograph of an image is the same in all. Mean and std are those of D_train.

A training learns from D_train alone, and D_val chooses its epoch. By the same seed, D_val of a
smaller data.val_fraction is part of that of a larger one.
"""

from typing import Any

import numpy as np

from daas_jax.data import dataset, splits

SUFFIX = ':field'
_TRAIN, _TEST = range(2)  # seeds of the camera, not the run's: the photographs belong to the set


def named(name: str) -> tuple[str, bool]:
  """(the name without `SUFFIX`, whether it had it)."""
  return name.removesuffix(SUFFIX), name.endswith(SUFFIX)


def tested(data: Any) -> Any:
  """A whole set, a `Dataset`, with photographs for its test images and `SUFFIX` to its name."""
  return data._replace(name=data.name + SUFFIX,
                       test_images=_photographs(data.test_images, _TEST))


def validated(data: Any, seed: int, val_fraction: float) -> Any:
  """A set, a `Dataset`, with photographs for its images of D_val.

  Args:
    data: its training images are all of the studio.
    seed, val_fraction: of the split; not used where the set has `halves` of its own.

  Returns:
    Dataset with `halves`, its training images in their old order.

  Raises:
    BadInput: as `splits.halves`.
  """
  train, val = splits.of(data, seed, 1 - val_fraction)
  images = np.array(data.train_images)
  images[val] = _photographs(images, _TRAIN)[val]
  mean, std = dataset.mean_std(images[train])
  return data._replace(train_images=images, mean=mean, std=std, halves=(train, val))


def _photographs(images, seed):
  from daas_jax.augment import camera  # imports JAX, which sets without a shift need not
  return camera.photographs(images, seed)
