"""Images that are read and decoded when they are asked for; no JAX here: worker processes use
it."""

import numpy as np

from daas_jax.data import decode, records
from daas_jax.errors import BadInput


class Streamed:
  """What stands for an array of images uint8 [n, side, side, C] that lie in a prepared set.

  `images[rows]` reads and decodes them, here and now; `images.select(rows)` only remembers which.

  Attributes:
    shape, dtype: of the array.
    view: `shorter` of what a network is evaluated on, the usual view of a photograph.
    boxed: whether batches have random boxes of the images, and not their middle.
    workers: how many processes decode it where batches are streamed; 0: none, this one does.

  Args:
    split: a `daas_jax.data.records.Split`.
    rows: int [n], its rows in the split.
    labels: int32 [N], the class of every record of the split, as `daas_jax.data.labels` has them.
    side: of the images, in pixels.
    shorter: what the shorter side is resized to before the middle is taken, at least `side`.
    workers: see above.
    view: see above; None: `shorter`.
    seed: decides the boxes; None: there are none.
  """

  dtype = np.dtype(np.uint8)

  def __init__(self, split, rows, labels, side, shorter, workers, view=None, seed=None):
    self._split, self._rows, self._labels = split, rows, labels
    self.view, self._seed = view or shorter, seed
    self._side, self._shorter, self.workers = side, shorter, workers
    self._reader = records.Reader(split)

  @property
  def shape(self):
    return len(self._rows), self._side, self._side, self._split.channels

  def __len__(self):
    return len(self._rows)

  @property
  def boxed(self):
    return self._seed is not None

  def select(self, rows):
    """The same images at `rows` of these, none of them read."""
    return Streamed(self._split, self._rows[rows], self._labels, self._side, self._shorter,
                    self.workers, self.view, self._seed)

  def viewed(self, rows=slice(None)):
    """Those as a network is evaluated on them: the middle, of `view` pixels."""
    return Streamed(self._split, self._rows[rows], self._labels, self._side, self.view,
                    self.workers)

  def of_batch(self, rows, step, places):
    """The images of a batch, uint8 [n, side, side, C]: `self[rows]`, or random boxes of them.

    Args:
      rows: int [n].
      step: number of the batch; each has other boxes, whatever was asked for before.
      places: int [n], those of the rows in the whole batch, of which a host has a share.
    """
    if not self.boxed:
      return self[rows]
    out = np.empty((len(rows), *self.shape[1:]), np.uint8)
    for i, (row, place) in enumerate(zip(self._rows[rows], places)):
      rng = np.random.default_rng((self._seed, step, int(place)))
      out[i] = decode.boxed(self._content(row), self._side, self._split.channels,
                            lambda h, w, rng=rng: decode.random_box(rng, h, w),
                            self._reader.name(row))
    return out

  def __getitem__(self, rows):
    """uint8 [n, side, side, C] of rows [n] or a slice, or [side, side, C] of one row.

    Raises:
      BadInput: a record that cannot be read or is no image; the line names it.
    """
    rows = self._rows[rows]
    if rows.ndim == 0:
      return self._one(rows)
    out = np.empty((len(rows), *self.shape[1:]), np.uint8)
    for i, row in enumerate(rows):
      out[i] = self._one(row)
    return out

  def __array__(self, dtype=None, copy=None):
    del copy
    return self[:].astype(dtype or np.uint8, copy=False)

  def _one(self, row):
    return decode.square(self._content(row), self._side, self._shorter, self._split.channels,
                         self._reader.name(row))

  def _content(self, row):
    content, label = self._reader(row)
    if label != self._labels[row]:
      raise BadInput(
          f'{self._reader.name(row)} is of class {label}, and the file of classes beside it says '
          f'{self._labels[row]}: remove daas_jax-labels-*.npz there')
    return content


class Batches:
  """The images and classes of a step: step -> (images, labels, images, labels, ...), a pair for
  each part.

  Args:
    parts: [(images, labels)]: `Streamed` or uint8 [n, ...], and int32 [n].
    order: step -> tuple of rows [B], one for each part, such as `daas_jax.data.order.SearchOrder`.
    share: (index, count): row r of a batch is this host's where r % count == index.
  """

  def __init__(self, parts, order, share=(0, 1)):
    self._parts, self._order, self._share = parts, order, share

  def __call__(self, step):
    out, (index, count) = (), self._share
    for (images, labels), rows in zip(self._parts, self._order(step)):
      places, rows = np.arange(len(rows))[index::count], rows[index::count]
      streamed = isinstance(images, Streamed)
      out += images.of_batch(rows, step, places) if streamed else images[rows], labels[rows]
    return out


class InOrder:
  """Rows 0, 1, 2, ... in batches: step -> (int [batch],); past the end the last row again. For
  evaluation."""

  def __init__(self, n, batch):
    self._n, self._batch = n, batch

  def __call__(self, step):
    return np.minimum(np.arange(step * self._batch, (step + 1) * self._batch), self._n - 1),
