"""The one loop: restore, step, log, checkpoint, evaluate; searches and trainings run through it
alike."""

import contextlib
import math
import os
import signal
import time
from typing import Any, Callable, NamedTuple

import jax
import numpy as np

from daas_jax.config.key import at_least, Key, one_of
from daas_jax.errors import Diverged, Interrupted, Terminated
from daas_jax.files import metrics as metrics_lib
from daas_jax.runtime import checkpoint, disk, kept, processes, signals

KEYS = {
    'log.every_steps': Key(50, at_least(1), 'steps between two lines of metrics.jsonl'),
    'checkpoint.every_steps': Key(
        500, at_least(1), 'steps between two checkpoints; one at the end of each epoch too'),
    'checkpoint.keep': Key(3, at_least(2),
                           'checkpoints kept; 2 at least, so a damaged one has one before it'),
    'checkpoint.on_full_disk': Key(
        'stop', one_of(*disk.ACTIONS), 'where a checkpoint or a line cannot be written: '
        'stop with one line, or go_on with a warning and try again at the next'),
}


class Job(NamedTuple):
  """What the loop runs.

  Attributes:
    init: () -> state.
    step: (state, batch) -> (state, {name: scalar}), compiled.
    batches: step number -> batch; has it a `close`, that is called at the end.
    total_steps, steps_per_epoch: ints.
    images_per_step: images that a step looks at, for the images/s of the log.
    phase: epoch -> its name in the log.
    on_epoch: (state, epoch) -> (state, {name: float}) at the end of an epoch; joins the epoch's
      last line. The state is not placed: as `get` returns it.
    stop: rows of metrics.jsonl -> why the run is to end after the last of them, or None; asked at
      the end of every epoch and when a run is resumed. None never ends one.
    record: state (as `get` returns it) -> dict of JSON values that history.jsonl keeps of it,
      before the first step and at the end of every epoch; None keeps none.
    blame: of a run on several devices: (state as `get` returns it, its step, a step whose metrics
      were not finite) -> (the step, from 1, and the numbers of the devices) where a device's own
      gradient was not finite first, when the steps were repeated; None where none was.
    put, get: state -> placed state and back (`daas_jax.runtime.parallel`).
  """
  init: Callable
  step: Callable
  batches: Callable
  total_steps: int
  steps_per_epoch: int
  images_per_step: int
  phase: Callable
  on_epoch: Any = None
  stop: Any = None
  record: Any = None
  blame: Any = None
  put: Callable = lambda state: state
  get: Callable = lambda state: state


def run(job, workdir, config, progress, should_stop=signals.never):
  """Runs a job to its end, from the newest checkpoint in the workdir if there is one.

  Metric lines come every `log.every_steps` steps and at the end of an epoch, each the mean over the
  steps since the line before. Checkpoints are saved right after a line, so a resumed run writes the
  same lines. The one exception is the checkpoint of a run that is asked to end between two lines:
  window.jsonl keeps the metrics of its steps since the line before, written before the checkpoint,
  and the resumed run begins its first line with them.

  Args:
    job: a `Job`.
    workdir: absolute path; metrics.jsonl, history.jsonl (where the job records) and checkpoints/
      are kept there. None in a process that follows the first one of several: it keeps nothing, and
      is told what the first one restores.
    config: its `log` and `checkpoint` groups are used.
    progress: a `daas_jax.runtime.progress` reporter.
    should_stop: step -> whether the run is to end after that step
      (`daas_jax.runtime.signals.termination`).

  Returns:
    (the final state, the rows of metrics.jsonl; [] without a workdir).

  Raises:
    Diverged: when a metric is not finite; the checkpoints before it are kept.
    Interrupted, Terminated: when it was asked to end before its last step, the former by Ctrl-C;
      the state is saved.
    BadInput: when there are checkpoints and none can be read.
    OSError: the disk is full and `checkpoint.on_full_disk` is 'stop'; the checkpoints before are
      kept.
  """
  try:
    if workdir is None:
      begin = lambda: checkpoint.told(0, job.init())
      start, state = begin()
      with _blaming(job, begin):
        state = _steps(job, config, kept.Files.none(job, config), job.put(state), start, progress,
                       should_stop)
      return job.get(state), []
    return _run(job, workdir, config, progress, should_stop)
  finally:
    if hasattr(job.batches, 'close'):  # of a streamed set: its worker processes end
      job.batches.close()


def _run(job, workdir, config, progress, should_stop):
  path, windows = os.path.join(workdir, 'metrics.jsonl'), kept.Windows(job, workdir, config)
  guarded = disk.guard(config.checkpoint.on_full_disk, progress.warn)
  checkpoints = checkpoint.Checkpoints(os.path.join(workdir, 'checkpoints'), config.checkpoint.keep)
  try:
    begin = lambda: checkpoint.told(*checkpoints.restore(job.init(), progress.warn, windows.at))
    start, state = begin()
    if start:
      progress.note(f'resuming from the checkpoint of step {start}')
    with contextlib.closing(metrics_lib.MetricsFile(path, start)) as log, kept.history(
        job, workdir, start) as history:
      files = kept.Files(checkpoints, log, history, windows, guarded)
      if not start:
        _record(job, files, state, 0)
      with _blaming(job, begin):
        state = _steps(job, config, files, job.put(state), start, progress, should_stop)
      files.flush()  # whatever on_full_disk says: the results are made of these lines
  finally:
    with guarded('a checkpoint', checkpoints.folder):
      checkpoints.close()
  return job.get(state), metrics_lib.read(path)


@contextlib.contextmanager
def _blaming(job, begin):
  """Says of a run that diverged on several devices whose gradient it was: repeats the steps from a
  checkpoint."""
  try:
    yield
  except Diverged as error:
    if not job.blame or error.step is None:
      raise
    start, state = begin()
    found = job.blame(state, start, error.step)
    if found:
      step, numbers = found
      which = f"the gradient{'s' if numbers[1:] else ''} of device {', '.join(map(str, numbers))}"
      raise Diverged(f'{error}. It began at step {step} in {which}', error.step) from error
    raise Diverged(
        f"{error}. Repeated from step {start}, no device's gradient of theta was infinite or NaN: "
        "it began "
        'elsewhere in the step, or a device computes wrong now and then', error.step) from error


def _record(job, files, state, done):
  if files.history:
    with files.guarded(f'the line of step {done}', files.history.path):
      files.history.write({'step': done, 'epoch': done // job.steps_per_epoch} | job.record(state))


def _steps(job, config, files, state, start, progress, should_stop):
  checkpoints, log = files.checkpoints, files.log
  window, first, since, saved = files.windows.at(start), start, time.perf_counter(), start
  progress.begin(start, job)
  if start and _stopped(job, log, progress):
    return state
  if start < job.total_steps and (end := should_stop(start)):
    raise _ended(start, files, end)
  for step in range(start, job.total_steps):
    state, metrics = job.step(state, job.batches(step))
    # one step in flight beside this one at most: it ends soon after it is asked to
    jax.block_until_ready(window[-1:])
    window.append(metrics)
    done, epoch = step + 1, step // job.steps_per_epoch
    last_of_epoch, end = done % job.steps_per_epoch == 0, should_stop(done)
    if files.windows.line(done) == done:
      row = {
          'step': done,
          'epoch': epoch + 1,
          'phase': job.phase(epoch)
      } | _mean(_rows(window, done, checkpoints))
      if last_of_epoch and job.on_epoch:
        changed, extra = job.on_epoch(job.get(state), epoch)
        state, row = job.put(changed), row | _mean(_rows([extra], done, checkpoints))
      per_second = _per_second((done - first) * job.images_per_step, time.perf_counter() - since)
      with files.guarded(f'the line of step {done}', log.path):
        log.write(row | {'images_per_second': round(per_second, 1)})
      progress.line(row, per_second, job)
      with files.guarded('a checkpoint', checkpoints.folder):
        checkpoints.check()
      due = done - saved >= config.checkpoint.every_steps or done == job.total_steps
      if last_of_epoch or due or end:
        unplaced = job.get(state)
        _require_finite(unplaced, done, checkpoints)
        if last_of_epoch:  # before the checkpoint: a run that is resumed from it has the line
          _record(job, files, unplaced, done)
        files.save(done, unplaced)
        saved = done
      if last_of_epoch and _stopped(job, log, progress):
        break
      window, first, since = [], done, time.perf_counter()
    else:
      progress.tick(done)
      if end:
        rows, unplaced = _rows(window, done, checkpoints), job.get(state)
        _require_finite(unplaced, done, checkpoints)
        files.save(done, unplaced, rows)
    if end and done < job.total_steps:
      raise _ended(done, files, end)
  return state


def _ended(step, files, why):
  with files.guarded(f'the checkpoint of step {step}', files.checkpoints.folder):
    files.checkpoints.wait()
  last = files.checkpoints.last()
  goes_on = f'goes on from step {last}' if last else 'begins again'
  after = f'after step {step}; the same command {goes_on}'
  if why == signal.SIGINT:
    return Interrupted(f'interrupted {after}')
  return Terminated(f'ended on SIGTERM {after}')


def _per_second(images, seconds):
  """0 where the clock stood still or went back."""
  return images / seconds if seconds > 0 else 0.0


def _stopped(job, log, progress):
  """Whether the rule of the job ends the run here: one of several processes has the lines, and
  tells the others."""
  if not job.stop:
    return False
  why = job.stop(metrics_lib.read(log.path)) if log.path else None
  if why:
    progress.note(f'the search stops here: {why}')
  return processes.agreed(bool(why))


def _diverged(name, value, step, checkpoints):
  last = checkpoints.last()
  kept = f'the checkpoint of step {last} is kept' if last else 'there was no checkpoint yet'
  return Diverged(
      f'{name} became {value} at step {step}; {kept}: look at the data, or lower the learning rate '
      'in a new --workdir', step)


def _require_finite(state, step, checkpoints):
  """A state that is not finite must not become the last good checkpoint: its next loss would be
  NaN."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(state):
    if jax.numpy.issubdtype(leaf.dtype,
                            jax.numpy.floating) and not np.isfinite(np.asarray(leaf)).all():
      raise _diverged(jax.tree_util.keystr(path, simple=True, separator='.'), 'infinite or NaN',
                      step, checkpoints)


def _rows(window, done, checkpoints):
  """The window's metrics as Python floats; the first step that is not finite ends the run."""
  rows = jax.device_get(window)
  for i, row in enumerate(rows):
    wrong = [name for name, value in row.items() if not math.isfinite(value)]
    if wrong:
      raise _diverged(wrong[0], float(row[wrong[0]]), done - len(rows) + i + 1, checkpoints)
  return [{name: float(value) for name, value in row.items()} for row in rows]


def _mean(rows):
  return {name: sum(row[name] for row in rows) / len(rows) for name in rows[0]}
