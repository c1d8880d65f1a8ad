"""The files that a run keeps in its workdir while the loop goes on: lines, windows of steps between
two lines, and checkpoints."""

import contextlib
import os
from typing import Any, Callable, NamedTuple

from daas_jax.files import metrics as metrics_lib


def history(job, workdir, start):
  """A context with the `MetricsFile` of history.jsonl, or None where the job records nothing."""
  if not job.record:
    return contextlib.nullcontext()
  # Before the first step the start is recorded anew: a line of step 0 is of a run that was killed
  # at once.
  return contextlib.closing(
      metrics_lib.MetricsFile(os.path.join(workdir, 'history.jsonl'), start or -1))


class Windows:
  """window.jsonl: the metrics of each step between the last line and a checkpoint that was saved
  between two lines.

  Without a workdir it is empty.
  """

  def __init__(self, job, workdir, config):
    self._path = workdir and os.path.join(workdir, 'window.jsonl')
    self._per_epoch, self._every = job.steps_per_epoch, config.log.every_steps

  def line(self, done):
    """The last step up to `done` with a line of metrics (0 with none)."""
    return done - done % self._per_epoch % self._every

  def at(self, done):
    """The metrics of the steps from the last line to `done`; ValueError where some are not
    there."""
    if not self._path:
      return []
    rows = {
        row.pop('step'): row for row in metrics_lib.read(self._path)
    } if self.line(done) < done else {}
    steps = range(self.line(done) + 1, done + 1)
    if not all(step in rows for step in steps):
      raise ValueError('window.jsonl lacks the metrics of its steps')
    return [rows[step] for step in steps]

  def keep(self, rows, done):
    """Keeps the metrics of the steps since the last line; those of checkpoints before it stay."""
    if rows and self._path:
      with contextlib.closing(metrics_lib.MetricsFile(self._path, self.line(done))) as file:
        for i, row in enumerate(rows):
          file.write({'step': done - len(rows) + i + 1} | row)


class Nothing:
  """The files of a process that keeps none: whatever they are asked to do, nothing happens."""
  folder = path = None

  def __getattr__(self, name):
    return lambda *arguments: None


class Files(NamedTuple):
  """What a run keeps in its workdir, and what it does where the disk is full
  (`daas_jax.runtime.disk.guard`)."""
  checkpoints: Any
  log: Any
  history: Any
  windows: Windows
  guarded: Callable

  @classmethod
  def none(cls, job, config):
    """Of a process that keeps nothing."""
    return cls(Nothing(), Nothing(), None, Windows(job, None, config),
               lambda what, path: contextlib.nullcontext())

  def flush(self):
    """Writes the lines that a full disk kept back; raises where it still does."""
    self.log.flush()
    if self.history:
      self.history.flush()

  def save(self, step, state, window=()):
    """Begins to save a checkpoint. It is only one with all the lines before it: a run that goes on
    from it has them."""
    with self.guarded('the checkpoint before', self.checkpoints.folder):
      self.checkpoints.wait()
    with self.guarded(f'the checkpoint of step {step}', self.checkpoints.folder):
      self.flush()
      self.windows.keep(window, step)
      self.checkpoints.save(step, state)
