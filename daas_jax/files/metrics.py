"""metrics.jsonl and history.jsonl: one JSON object a line, in the order of steps; the truth about a
run, from which figures are made."""

import json
import os

import numpy as np

from daas_jax.files import atomic, storage


class MetricsFile:
  """The metrics file (or the history) of a workdir.

  Args:
    path: the file; made if it is not there.
    last_step: lines of later steps are dropped, as is what `read` passes over: a line cut short
      belongs to work that a resumed run does again.
  """

  def __init__(self, path, last_step):
    kept = [line for line in read(path) if line['step'] <= last_step]
    atomic.write(path, ''.join(_line(row) for row in kept))
    self.path = path
    self._file = open(path, 'ab', buffering=0)
    self._unwritten = b''

  def write(self, row):
    """Appends one row (a dict of plain values with a 'step').

    Raises:
      OSError: it cannot be written. The file is whole then, and the row is kept for the next
        `write` or `flush`.
    """
    self._unwritten += _line(row).encode()
    self.flush()

  def flush(self):
    """Writes the rows that could not be written before; raises as `write` does."""
    end = self._file.seek(0, os.SEEK_END)
    try:
      left = self._unwritten
      while left:  # a disk that becomes full takes a part of them, and only then none
        left = left[self._file.write(left):]
    except OSError as error:
      self._file.truncate(end)
      raise OSError(error.errno, error.strerror, self.path) from error
    self._unwritten = b''

  def close(self):
    self._file.close()


def _line(row):
  return json.dumps(row) + '\n'


def read(path):
  """The whole rows of a metrics file, [] where there is none; passes over lines that are cut,
  damaged or of others."""
  rows = []
  if storage.exists(path):
    with storage.opened(path) as file:
      for line in file:
        try:
          row = json.loads(line)
        except (ValueError, RecursionError):
          continue
        if isinstance(row, dict) and type(row.get('step')) is int:
          rows.append(row)
  return rows


def plain(array):
  """Nested lists of floats of 6 significant digits: as fine as float32, and a third of its length
  as text."""
  return [plain(x) for x in array] if np.ndim(array) else float(f'{float(array):.6g}')
