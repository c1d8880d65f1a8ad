"""Results of a pure function of the step, made ahead by worker processes.

The workers are grain's and touch no JAX device. Nothing of theirs has to be saved: a run that goes
on at step s asks for step s.
"""

import multiprocessing
import multiprocessing.resource_tracker
import os
import signal
import threading
import weakref

from absl import flags
import numpy as np

from daas_jax.config import installed
from daas_jax.data.raw import say
from daas_jax.errors import BadInput

_AHEAD = 2  # finished steps that wait in each worker's queue
_TRIES = 3  # replacements of the workers before one step arrives
_LAST = 2**62


class Ahead:
  """step -> task(step), whatever was asked for before; made ahead for the steps that follow.

  A worker that dies is replaced, all of them with it, and the step is made again: it is the same.
  They end with `close`, and where this process ends in any other way, within a second or two of it.

  Args:
    task: a picklable function: step -> tuple of numpy arrays.
    workers: processes; 0: the task is called here, when it is asked for.
    steps: how many there are; the default is no end.
    warn: called with a line where a worker is replaced; None prints it to stderr.

  Raises:
    BadInput: grain is missing.
  """

  def __init__(self, task, workers, steps=_LAST, warn=None):
    self._task, self._workers, self._steps, self._warn = task, workers, steps, warn or say
    self._running, self._next = [], None  # grain's iterator, if there is one
    if workers:
      require_grain()
    weakref.finalize(self, _end, self._running)  # at exit, while grain can still do it

  def __call__(self, step):
    """Raises what the task raises, and BadInput where workers die again and again."""
    if not self._workers:
      return self._task(step)
    if step != self._next:
      self.close()
    for left in reversed(range(_TRIES)):
      try:
        result = next(self._running[0]) if self._running else self._start(step)
        self._next = step + 1
        # theirs is shared memory, which goes when it is let go
        return tuple(np.array(array) for array in result)
      except RuntimeError as e:  # grain's, of a worker that has died
        self.close()
        if 'terminated unexpectedly' not in str(e):
          raise
        if left:
          self._warn(
              f'a worker that decodes images has died; all {self._workers} are started again')
      except BaseException:
        self.close()
        raise
    raise BadInput(
        f'workers that decode images have died {_TRIES} times at the same step: look for a process '
        'killed for want of memory, or a full /dev/shm; data.workers=0 decodes in the main process')

  def _start(self, step):
    """The first result of new workers, which inherit that Ctrl-C is blocked: it is for their parent
    alone."""
    multiprocessing.resource_tracker.ensure_running()  # starting it later would unblock Ctrl-C here
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
      self._running.append(iter(_dataset(self._task, step, self._steps, self._workers)))
      return next(self._running[0])
    finally:
      signal.pthread_sigmask(signal.SIG_SETMASK, before)

  def close(self):
    """Ends the workers; a step that is asked for later starts new ones."""
    self._next = None
    _end(self._running)


def _end(running):
  while running:
    running.pop().close()


def require_grain():
  """grain, imported.

  Raises:
    BadInput: it is not installed.
  """
  try:
    import grain
  except ImportError:
    raise BadInput('data.workers above 0 needs the package grain: run '
                   f"{installed.extra('imagenet')}, or set data.workers to 0") from None
  return grain


def _dataset(task, start, end, workers):
  grain = require_grain()
  # the commands read flags of their own; grain asks absl's for its defaults
  if not flags.FLAGS.is_parsed():
    flags.FLAGS.mark_as_parsed()
  # No threads: a worker makes one step at a time, and what it remembers of an epoch is its own.
  reads = grain.ReadOptions(num_threads=0, prefetch_buffer_size=0)
  options = grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=_AHEAD)
  steps = grain.MapDataset.range(start, end).map(task).to_iter_dataset(reads)
  return steps.mp_prefetch(options, worker_init_fn=_begin)


def _begin(index, count):
  """What a worker does first: it sees to it that it ends when its parent has."""
  del index, count
  threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
  multiprocessing.parent_process().join()
  os._exit(1)  # grain's own loop would wait for ever for room in its queue
