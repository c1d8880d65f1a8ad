"""Which rows a step takes: by (seed, step) alone, so that any step can be asked for at once, on any
host.

Nothing here imports JAX: the worker processes of a streamed set use it.
"""

import numpy as np

from daas_jax.data import splits
from daas_jax.errors import BadInput


def steps_per_epoch(n, batch, what):
  """Whole batches in n images.

  Raises:
    BadInput: if there is none.
  """
  if batch > n:
    raise BadInput(
        f'the batch of {batch} images is larger than the {n} of {what}: choose a smaller batch')
  return n // batch


class SearchOrder:
  """Rows of the two halves of a training set, step by step: D_train once an epoch, D_val begun
  again as needed.

  Args:
    halves: (rows of D_train int [n], rows of D_val int [m]).
    seed: decides the order.
    batch: images of each half in a step.
    val_batches: how many times `batch` images of D_val a step takes.
  """

  def __init__(self, halves, seed, batch, val_batches=1):
    self._halves, self._seed, self._batches = halves, seed, (batch, batch * val_batches)
    self.steps_per_epoch = steps_per_epoch(len(halves[0]), batch, 'D_train')
    steps_per_epoch(len(halves[1]), batch * val_batches, 'D_val')
    self._epoch = None

  def _order(self, epoch, stream):
    """The half's rows in the epoch's order, begun again as often as it takes to fill the epoch:
    [steps, batch]."""
    rows, batch = self._halves[stream], self._batches[stream]
    needed = self.steps_per_epoch * batch
    turns = -(-needed // len(rows))
    orders = [
        splits.epoch_order(len(rows), self._seed, 2 * (epoch * turns + t) + stream)
        for t in range(turns)
    ]
    return rows[np.concatenate(orders)][:needed].reshape(self.steps_per_epoch, batch).astype(
        np.int32)

  def __call__(self, step):
    """(rows of D_train int32 [batch], rows of D_val int32 [batch * val_batches])."""
    epoch, i = divmod(step, self.steps_per_epoch)
    if epoch != self._epoch:
      self._rows = self._order(epoch, 0), self._order(epoch, 1)
      self._epoch = epoch
    return self._rows[0][i], self._rows[1][i]


class TrainOrder:
  """Rows 0..n-1 of a training set, shuffled every epoch; step -> (int32 [batch],)."""

  def __init__(self, n, seed, batch):
    self.steps_per_epoch = steps_per_epoch(n, batch, 'the training set')
    self._n, self._seed, self._batch = n, seed, batch
    self._epoch = None

  def __call__(self, step):
    epoch, i = divmod(step, self.steps_per_epoch)
    if epoch != self._epoch:
      self._rows = splits.epoch_order(self._n, self._seed, epoch).astype(np.int32)
      self._epoch = epoch
    return self._rows[i * self._batch:(i + 1) * self._batch],
