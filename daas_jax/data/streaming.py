"""TFDS sets that are too large for the memory: read, decoded and resized while a run goes on, in
worker processes.

What the host gives is a square of `data.side` pixels: the centre of the image, or with
`preprocess.crop='resized'` a random box of the whole photograph where it is trained on, by seed and
step. All else that is random (flip, colours, the policy) happens on the device, as with sets in
memory, by the keys of the step. What a network is evaluated on, D_val and test images, is the usual
view of a photograph.

The order is a function of (seed, epoch), so a step's batch is one of (seed, step): nothing is saved
of the input.
"""

from typing import NamedTuple

import numpy as np

from daas_jax.data import (
  batches as batches_lib,
  classes,
  dataset as dataset_lib,
  images as images_lib,
  labels as labels_lib,
  order as orders,
  records,
  splits,
  tfds as tfds_lib,
  workers,
)
from daas_jax.errors import BadInput
from daas_jax.types import Batch

# Of ImageNet's training images, as everyone uses them (first in Torch's fb.resnet code).
IMAGENET_MOMENTS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_SAMPLE = 1024  # images that mean and std of other sets are taken over
# shorter side over side: the usual view of ImageNet's test images (He et al. 2016)
_TEST_VIEW = 256 / 224


def asked(config):
  """Whether a config's set is streamed: data.stream, and one of TFDS; other sets are in memory in
  any case."""
  return config.data.stream and config.data.name.startswith('tfds:')


def is_streamed(data):
  """Whether a `daas_jax.data.dataset.Dataset` holds streamed images."""
  return isinstance(data.train_images, images_lib.Streamed)


def load(config):
  """The streamed set of a config, reduced to the classes and numbers asked for.

  Args:
    config: a checked search or training config: its group `data` and its seed are used.

  Returns:
    A `daas_jax.data.dataset.Dataset` whose images are `daas_jax.data.images.Streamed`. Training
    images are the whole central square, or boxes; test images of sets of several sizes are the
    usual view, 7/8 of the square. Mean and std are ImageNet's, of another set those of 1,024
    images.

  Raises:
    BadInput: a set that is not prepared or not as array_record, classes or numbers that it has not,
      damaged records.
  """
  name, data_dir, group = config.data.name, config.data.dir or None, config.data
  if group.workers:
    workers.require_grain()
  short_name = name.removeprefix('tfds:')
  builder, image_key, label_key = tfds_lib.prepared_tfds(short_name, data_dir)
  used = tfds_lib.find_splits(short_name, builder, image_key, label_key, group.get('val_split', ''))
  features = builder.info.features
  side, own = _side(name, group.side, features[image_key].shape)
  names = tuple(features[label_key].names)
  kept = classes.chosen(config, name, names)
  found = [_of_classes(name, builder, split, image_key, label_key, names, kept) for split in used]
  names = names if kept is None else tuple(names[c] for c in kept)
  # a validation set of its own is D_val whole
  most = {'train': group.n_train, used[-1]: group.n_test}
  found = [_taken(part, splits.balanced(name, names, 'test' if i == len(used) - 1 else 'train',
                                        part.new, most.get(split, 0), config.seed))
           for i, (split, part) in enumerate(zip(used, found))]
  *parts, test = found
  train = parts[0] if len(parts) == 1 else _joined(name, *parts)
  out = []
  view = side if own else round(side * _TEST_VIEW)
  boxes = config.seed if config.preprocess.crop == 'resized' else None
  for part, shorter, seed in ((train, side, boxes), (test, view, None)):
    images = images_lib.Streamed(part.split, part.rows, part.labels, side, shorter, group.workers,
                                 view, seed)
    out += [images, part.new]
  halves = dataset_lib.in_order(len(parts[0].new), len(train.new) - len(parts[0].new))
  moments = _moments(name, out[0].select(halves[0]) if halves else out[0])
  return dataset_lib.Dataset(name, *out, names, *moments, halves=halves)


class _Part(NamedTuple):
  """Records of a split that are used.

  Attributes:
    split: a `records.Split`.
    rows: int [n], which records.
    labels: int32 [N], the class of every record.
    new: int32 [n], the classes of the rows, numbered anew.
  """
  split: records.Split
  rows: np.ndarray
  labels: np.ndarray
  new: np.ndarray


def _of_classes(name, builder, split, image_key, label_key, class_names, kept):
  found = records.find(name, builder, split, image_key, label_key)
  labels = labels_lib.of(found)
  rows, new = splits.of_classes(labels, len(class_names), kept, found.name)
  if not len(rows):
    raise BadInput(
        f'{found.name} has no image of the classes asked for: choose others with data.class_list '
        'or seed')
  return _Part(found, rows, labels, new)


def _taken(part, few):
  return part._replace(rows=part.rows[few], new=part.new[few])


def _joined(name, train, val):
  """D_train and D_val as one split."""
  return _Part(records.joined(name, train.split, val.split),
               np.concatenate([train.rows, val.rows + train.split.count]),
               np.concatenate([train.labels, val.labels]), np.concatenate([train.new, val.new]))


def note_labels(name, data_dir, report):
  """Writes the files of classes of a prepared set beside its records, if it is one that can be
  streamed.

  Args:
    name, data_dir: as `daas_jax.data.tfds.find_tfds` takes them.
    report: called with each line of progress.
  """
  try:
    builder, *keys = tfds_lib.prepared_tfds(name, data_dir)
    found = [records.find(f'tfds:{name}', builder, 'train', *keys)]
  except BadInput:
    return  # a set of another kind, which nothing streams
  test = tfds_lib.find_test_split(name, builder, *keys, report)
  found.append(records.find(f'tfds:{name}', builder, test, *keys))
  for split in found:
    labels_lib.of(split, report)


def _side(name, side, shape):
  """(side of the squares in pixels, whether the set's images have it themselves)."""
  height, width = shape[:2]
  same = height is not None and height == width
  if not side and not same:
    raise BadInput(
        f'{name} has images of several sizes or that are not square: set data.side, 224 for one')
  return side or height, same and side in (0, height)


def _moments(name, images):
  """(mean, std), tuples of C floats on the scale [0, 1]."""
  if name.startswith('tfds:imagenet2012') and images.shape[-1] == 3:
    return IMAGENET_MOMENTS
  # The same images on every host and after every restart.
  rows = np.sort(splits.epoch_order(len(images), 0, 0)[:_SAMPLE])
  return dataset_lib.mean_std(images[rows])


class SearchStream:
  """`daas_jax.data.batches.SearchBatches` of a streamed set: the same halves, the same order, numpy
  arrays.

  Args:
    dataset, seed, batch, val_fraction, val_batches: as there.
    share: (index, count) of this host among those that share every batch: row r of a batch is this
      host's where r % count == index. It reads and decodes no other.
  """

  def __init__(self, dataset, seed, batch, val_fraction, val_batches=1, share=(0, 1)):
    order = orders.SearchOrder(splits.of(dataset, seed, 1 - val_fraction), seed, batch,
                               val_batches)
    parts = [(images, dataset.train_labels)
             for images in (dataset.train_images, dataset.train_images.viewed())]
    self.steps_per_epoch = order.steps_per_epoch
    self._ahead = workers.Ahead(images_lib.Batches(parts, order, _checked(share, batch)),
                                dataset.train_images.workers)
    self.close = self._ahead.close

  def __call__(self, step):
    """The `Batch` of a step, whatever was asked for before; at once where that was the step
    before."""
    return Batch(*self._ahead(step))


class TrainStream:
  """`daas_jax.data.batches.TrainBatches` of `Streamed` images; `share` as for `SearchStream`."""

  def __init__(self, images, labels, seed, batch, share=(0, 1)):
    order = orders.TrainOrder(len(labels), seed, batch)
    self.steps_per_epoch = order.steps_per_epoch
    self._ahead = workers.Ahead(
        images_lib.Batches([(images, labels)], order, _checked(share, batch)), images.workers)
    self.close = self._ahead.close

  def __call__(self, step):
    return self._ahead(step)


def _checked(share, batch):
  index, count = share
  if not 0 <= index < count or batch % count:
    raise BadInput(
        f'a batch of {batch} images cannot be shared as {index} of {count}: choose a batch that '
        f'{count} hosts divide')
  return index, count


def search_batches(dataset, *arguments, turns=0, **options):
  """The batches of a search's set, streamed or in memory; its validation images turned by quarter
  turns."""
  kind = SearchStream if is_streamed(dataset) else batches_lib.SearchBatches
  batches = kind(dataset, *arguments, **options)
  return batches_lib.Turned(batches, turns) if turns else batches


def train_batches(images, labels, rows, seed, batch, share=(0, 1)):
  """The batches of `rows` of a training set, streamed or in memory; `share` as for
  `SearchStream`."""
  if isinstance(images, images_lib.Streamed):
    return TrainStream(images.select(rows), labels[rows], seed, batch, share)
  return batches_lib.TrainBatches(images[rows], labels[rows], seed, batch, share)


def viewed(images, rows):
  """`images[rows]` of a training set, for an evaluation: streamed ones as the test set's, and
  without reading them."""
  return images.viewed(rows) if isinstance(images, images_lib.Streamed) else images[rows]


def evaluation_batches(images, labels, batch):
  """`daas_jax.data.batches.evaluation_batches`, of streamed images decoded ahead by their
  workers."""
  if not isinstance(images, images_lib.Streamed):
    yield from batches_lib.evaluation_batches(images, labels, batch)
    return
  every = images_lib.InOrder(len(labels), batch)
  steps = -(-len(labels) // batch)
  # A worker beyond one a step would have nothing to do, and takes seconds to start.
  ahead = workers.Ahead(images_lib.Batches([(images, labels)], every), min(images.workers, steps),
                        steps)
  try:
    for step in range(steps):
      inside = np.arange(step * batch, (step + 1) * batch) < len(labels)
      yield *ahead(step), inside.astype(np.float32)
  finally:
    ahead.close()
