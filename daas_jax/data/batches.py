"""Batches of a data set that lies on the device as uint8; the order of an epoch depends on (seed,
epoch) alone."""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.data import order, splits
from daas_jax.types import Batch


@jax.jit
def _take(images, labels, rows):
  return jax.tree.map(lambda array: array[rows], (images, labels))


class SearchBatches:
  """Batches of the two halves of a training set.

  Args:
    dataset: a `daas_jax.data.dataset.Dataset`, or what has train_images, a pytree of arrays [N,
      ...], and train_labels; its own `halves` where it has them (`daas_jax.data.splits.of`).
    seed: decides the halves and the order.
    batch: images of each half in a step.
    val_fraction: share of the training set that is D_val, in (0, 1); not used where the set has
      halves of its own.
    val_batches: how many times `batch` images of D_val a step takes.
    share: (index, count) of the rows that this process takes of every batch: index::count.
  """

  def __init__(self, dataset, seed, batch, val_fraction, val_batches=1, share=(0, 1)):
    self._order = order.SearchOrder(splits.of(dataset, seed, 1 - val_fraction), seed, batch,
                                    val_batches)
    self._share = slice(share[0], None, share[1])
    self.steps_per_epoch = self._order.steps_per_epoch
    self._images, self._labels = jax.tree.map(jnp.asarray,
                                              (dataset.train_images, dataset.train_labels))

  def __call__(self, step):
    """The `Batch` of a step (this process's rows), whatever was asked for before."""
    train, val = (rows[self._share] for rows in self._order(step))
    return Batch(*_take(self._images, self._labels, train), *_take(self._images, self._labels, val))


def turned(images, turns):
  """Images [n, H, W, C] turned by quarter turns: the check of DDAS 4.1."""
  return np.rot90(images, turns,
                  (1, 2)) if isinstance(images, np.ndarray) else jnp.rot90(images, turns, (1, 2))


class Turned:
  """A search's batches with their validation images turned by quarter turns."""

  def __init__(self, batches, turns):
    self._batches, self._turns, self.steps_per_epoch = batches, turns, batches.steps_per_epoch
    if hasattr(batches, 'close'):
      self.close = batches.close

  def __call__(self, step):
    batch = self._batches(step)
    return batch._replace(val_images=turned(batch.val_images, self._turns))


class TrainBatches:
  """Batches (images uint8 [B, H, W, C], labels [B]) of rows of a training set, shuffled every
  epoch; `share` as for `SearchBatches`."""

  def __init__(self, images, labels, seed, batch, share=(0, 1)):
    self._order = order.TrainOrder(len(labels), seed, batch)
    self._share = slice(share[0], None, share[1])
    self.steps_per_epoch = self._order.steps_per_epoch
    self._images, self._labels = jnp.asarray(images), jnp.asarray(labels)

  def __call__(self, step):
    return _take(self._images, self._labels, *(rows[self._share] for rows in self._order(step)))


def evaluation_batches(images, labels, batch):
  """Every image once, in order: yields (images [batch, ...], labels, mask [batch]); the last batch
  is filled up with images that the mask leaves out."""
  for start in range(0, len(labels), batch):
    rows = np.arange(start, start + batch)
    inside = np.minimum(rows, len(labels) - 1)
    yield images[inside], labels[inside], (rows < len(labels)).astype(np.float32)
