"""metrics.jsonl and history.jsonl: one JSON object a line, in the order of steps; the truth about a run, from which
figures are made."""

import json
import os

from daas_jax import atomic


class MetricsFile:
  """The metrics file (or the history) of a workdir.

  Args:
    path: the file; made if it is not there.
    last_step: lines of later steps are dropped, as is what `read` passes over: a line cut short belongs to work that
      a resumed run does again.
  """

  def __init__(self, path, last_step):
    kept = [line for line in read(path) if line['step'] <= last_step]
    atomic.write(path, ''.join(_line(row) for row in kept))
    self.path = path
    self._file = open(path, 'a', encoding='utf-8')

  def write(self, row):
    """Appends one row (a dict of plain values with a 'step')."""
    self._file.write(_line(row))
    self._file.flush()

  def close(self):
    self._file.close()


def _line(row):
  return json.dumps(row) + '\n'


def read(path):
  """The whole rows of a metrics file, [] where there is none; passes over lines that are cut, damaged or of others."""
  rows = []
  if os.path.exists(path):
    with open(path, encoding='utf-8', errors='replace') as file:
      for line in file:
        try:
          row = json.loads(line)
        except (ValueError, RecursionError):
          continue
        if isinstance(row, dict) and type(row.get('step')) is int:
          rows.append(row)
  return rows
