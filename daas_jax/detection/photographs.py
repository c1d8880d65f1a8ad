"""Sets of photographs with boxes that TFDS has prepared, COCO for one, fitted into squares of one
size.

An image keeps its shape: its longer side becomes the square's, and the rest of the square is black,
below it or to its right, as black as what the geometric operations bring in. Regions of a crowd are
no objects.
"""

import numpy as np
from PIL import Image

from daas_jax.data import (
  dataset as dataset_lib,
  decode,
  labels as labels_lib,
  splits,
  tfds as tfds_lib,
)
from daas_jax.data.raw import short
from daas_jax.detection.sets import DetectionSet, PADDING, Scenes
from daas_jax.errors import BadInput

_BATCH = 64  # records a read


def load(name, n_train, n_test, seed, val_fraction, side, most, data_dir=None):
  """A seeded choice of a set's training images, cut into D_train and D_val, and of the images it is
  tested on.

  Args:
    name: as TFDS takes it, 'coco/2017'; its records have an image and objects/bbox and
      objects/label.
    n_train, n_test: images; 0 for all.
    seed: int >= 0; decides which, and the halves.
    val_fraction: share of the training images that is D_val, in (0, 1).
    side: H = W in pixels.
    most: N; an image with more objects keeps its largest.
    data_dir: TFDS's data folder; None for its default.

  Returns:
    `DetectionSet`. The test images are TFDS's split 'validation', or else 'test' (COCO's has no
    boxes).

  Raises:
    BadInput: unknown or unprepared data, without boxes, damaged, or of fewer images; objects
      without a class, or none.
  """
  builder, prepared = tfds_lib.find_tfds(name, data_dir)
  names = _class_names(name, builder.info)
  if not prepared:
    raise BadInput(f'tfds:{name} is not prepared under {builder.data_dir}; run: '
                   f'{tfds_lib.prepare_command(name, data_dir)}')
  held_out = next((split for split in ('validation', 'test') if split in builder.info.splits), None)
  if 'train' not in builder.info.splits or held_out is None:
    raise BadInput(
        f'tfds:{name} has the splits {", ".join(builder.info.splits)}; choose a set with train '
        'and validation or test')
  read = lambda split, n: _read(name, builder, split, n, seed, side, most, len(names))
  train, test = read('train', n_train), read(held_out, n_test)
  halves = splits.halves(np.zeros(len(train.labels), np.int32), seed, 1 - val_fraction)
  return DetectionSet(f'tfds:{name}', train, halves, test, names,
                      *dataset_lib.mean_std(train.images))


def _class_names(name, info):
  """Names of the classes of objects; BadInput where a set has no boxes or no labels of them."""
  known = lambda features: set(features.keys()) if hasattr(features, 'keys') else set()
  features = info.features
  # of a sequence
  objects = getattr(features['objects'], 'feature', None) if 'objects' in known(features) else None
  boxes = 'image' in known(features) and {'bbox', 'label'} <= known(objects)
  if not boxes or not getattr(objects['label'], 'num_classes', None):  # a label may be any number
    raise BadInput(
        f'tfds:{name} has no boxes: a detection network needs a set whose records have an image '
        'and objects '
        "with bbox and label, such as tfds:coco/2017, or scenes:embedded, which needs no preparing")
  return tuple(objects['label'].names)


def _read(name, builder, split, n, seed, side, most, classes):
  """The `Scenes` of n images of a split, 0 for all, in the order in which TFDS holds them."""
  import tensorflow_datasets as tfds
  part = f'tfds:{name}, split {split}'
  try:
    source = builder.as_data_source(split, decoders={'image': tfds.decode.SkipDecoding()})
    total = len(source)
    n = n or total
    if not 0 < n <= total:
      raise BadInput(
          f'tfds:{name}: split {split} has {total} images, fewer than the {n} asked for: lower '
          'data.n_train or data.n_test')
    rows = np.sort(splits.epoch_order(total, seed, 0)[:n])
    scenes = Scenes(np.zeros((n, side, side, 3), np.uint8), np.zeros((n, most, 4), np.float32),
                    np.full((n, most), PADDING, np.int32))
    for start in range(0, n, _BATCH):
      records = source.__getitems__(rows[start:start + _BATCH].tolist())
      for i, record in enumerate(records, start):
        where = f'{part}, row {rows[i]}'
        labels_lib.check(f'{where}: objects/label', record['objects']['label'], classes, 'object')
        record['image'] = decode.whole(record['image'], 3, where)
        _fill(scenes, i, record, side, most)
    if not np.any(scenes.labels != PADDING):
      raise BadInput(f'{part}: none of the {n} images chosen has an object; raise data.n_train and '
                     'data.n_test, or choose another set')
    return scenes
  except BadInput:
    raise
  except Exception as e:  # a damaged record raises whatever its decoder raises
    raise BadInput(
        f'tfds:{name}: split {split} under {builder.data_path} cannot be read ({short(e)}); '
        'remove that folder and prepare the set again') from None


def _fill(scenes, i, record, side, most):
  """Writes one TFDS record into row i of scenes."""
  image, (h, w) = fit(record['image'], side)
  scenes.images[i, :h, :w] = image
  objects = record['objects']
  boxes = np.asarray(objects['bbox'], np.float32).reshape(-1, 4) * np.array([h, w, h, w],
                                                                            np.float32)
  labels = np.asarray(objects['label'], np.int32).reshape(-1)
  sides = boxes[:, 2:] - boxes[:, :2]
  single = ~np.asarray(objects.get('is_crowd', np.zeros(len(labels))), bool).reshape(-1) & np.all(
      sides > 0, -1)
  largest = np.argsort(-np.prod(sides, -1) * single, kind='stable')[:min(most, single.sum())]
  kept = np.sort(largest)
  scenes.boxes[i, :len(kept)], scenes.labels[i, :len(kept)] = boxes[kept], labels[kept]


def fit(image, side):
  """An image uint8 [H, W, 3] whose longer side is made `side` pixels: (uint8 [h, w, 3], (h, w))."""
  longest = max(image.shape[:2])
  h, w = (max(1, round(length * side / longest)) for length in image.shape[:2])
  return np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR)), (h, w)
