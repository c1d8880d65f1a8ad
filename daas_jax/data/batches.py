"""Batches of a data set that lies on the device as uint8; the order of an epoch depends on (seed, epoch) alone."""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.data import splits
from daas_jax.errors import BadInput
from daas_jax.types import Batch


def steps_per_epoch(n, batch, what):
  """Whole batches in n images.

  Raises:
    BadInput: if there is none.
  """
  if batch > n:
    raise BadInput(f'the batch of {batch} images is larger than the {n} of {what}: choose a smaller batch')
  return n // batch


@jax.jit
def _take(images, labels, rows):
  return jax.tree.map(lambda array: array[rows], (images, labels))


class SearchBatches:
  """Batches of the two halves of a training set.

  Args:
    dataset: a `daas_jax.data.sources.Dataset`, or what has train_images, a pytree of arrays [N, ...], and train_labels.
    seed: decides the halves and the order.
    batch: images of each half in a step.
    val_fraction: share of the training set that is D_val, in (0, 1).
    val_batches: how many times `batch` images of D_val a step takes.
    halves: (rows of D_train, rows of D_val) where they are given with the data; then `val_fraction` is not used.
  """

  def __init__(self, dataset, seed, batch, val_fraction, val_batches=1, halves=None):
    self._train, self._val = halves or splits.halves(dataset.train_labels, seed, 1 - val_fraction)
    self.steps_per_epoch = steps_per_epoch(len(self._train), batch, 'D_train')
    steps_per_epoch(len(self._val), batch * val_batches, 'D_val')
    self._seed, self._batches = seed, (batch, batch * val_batches)
    self._images, self._labels = jax.tree.map(jnp.asarray, (dataset.train_images, dataset.train_labels))
    self._epoch = None

  def _order(self, rows, epoch, stream):
    """The half's rows in the epoch's order, begun again as often as it takes to fill the epoch: [steps, batch]."""
    batch = self._batches[stream]
    needed = self.steps_per_epoch * batch
    turns = -(-needed // len(rows))
    orders = [splits.epoch_order(len(rows), self._seed, 2 * (epoch * turns + t) + stream) for t in range(turns)]
    return rows[np.concatenate(orders)][:needed].reshape(self.steps_per_epoch, batch).astype(np.int32)

  def __call__(self, step):
    """The `Batch` of a step, whatever was asked for before."""
    epoch, i = divmod(step, self.steps_per_epoch)
    if epoch != self._epoch:
      self._rows = self._order(self._train, epoch, 0), self._order(self._val, epoch, 1)
      self._epoch = epoch
    return Batch(*_take(self._images, self._labels, self._rows[0][i]),
                 *_take(self._images, self._labels, self._rows[1][i]))


class TrainBatches:
  """Batches (images uint8 [B, H, W, C], labels [B]) of rows of a training set, shuffled every epoch."""

  def __init__(self, images, labels, seed, batch):
    self.steps_per_epoch = steps_per_epoch(len(labels), batch, 'the training set')
    self._images, self._labels, self._seed, self._batch = jnp.asarray(images), jnp.asarray(labels), seed, batch
    self._epoch = None

  def __call__(self, step):
    epoch, i = divmod(step, self.steps_per_epoch)
    if epoch != self._epoch:
      self._rows = splits.epoch_order(len(self._labels), self._seed, epoch).astype(np.int32)
      self._epoch = epoch
    return _take(self._images, self._labels, self._rows[i * self._batch:(i + 1) * self._batch])


def evaluation_batches(images, labels, batch):
  """Every image once, in order: yields (images [batch, ...], labels, mask [batch]); the last batch is filled up with
  images that the mask leaves out."""
  for start in range(0, len(labels), batch):
    rows = np.arange(start, start + batch)
    inside = np.minimum(rows, len(labels) - 1)
    yield images[inside], labels[inside], (rows < len(labels)).astype(np.float32)
