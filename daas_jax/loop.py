"""The one loop: restore, step, log, checkpoint, evaluate; searches and trainings run through it alike."""

import contextlib
import math
import os
import time
from typing import Any, Callable, NamedTuple

import jax
import numpy as np

from daas_jax import metrics as metrics_lib
from daas_jax.checkpoint import Checkpoints
from daas_jax.errors import Diverged


class Job(NamedTuple):
  """What the loop runs.

  Attributes:
    init: () -> state.
    step: (state, batch) -> (state, {name: scalar}), compiled.
    batches: step number -> batch.
    total_steps, steps_per_epoch: ints.
    images_per_step: images that a step looks at, for the images/s of the log.
    phase: epoch -> its name in the log.
    on_epoch: (state, epoch) -> (state, {name: float}) at the end of an epoch; joins the epoch's last line. The state
      is not placed: as `get` returns it.
    stop: rows of metrics.jsonl -> why the run is to end after the last of them, or None; asked at the end of every
      epoch and when a run is resumed. None never ends one.
    record: state (as `get` returns it) -> dict of JSON values that history.jsonl keeps of it, before the first step and
      at the end of every epoch; None keeps none.
    put, get: state -> placed state and back (`daas_jax.parallel`).
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
  put: Callable = lambda state: state
  get: Callable = lambda state: state


def run(job, workdir, config, progress):
  """Runs a job to its end, from the newest checkpoint in the workdir if there is one.

  Metric lines come every `log.every_steps` steps and at the end of an epoch, each the mean over the steps since the
  line before. Checkpoints are saved right after a line and nowhere else, so a resumed run writes the same lines.

  Args:
    job: a `Job`.
    workdir: absolute path; metrics.jsonl, history.jsonl (where the job records) and checkpoints/ are kept there.
    config: its `log` and `checkpoint` rooms are used.
    progress: a `daas_jax.progress` reporter.

  Returns:
    (the final state, the rows of metrics.jsonl).

  Raises:
    Diverged: when a metric is not finite; the checkpoints before it are kept.
    BadInput: when there are checkpoints and none can be read.
  """
  path = os.path.join(workdir, 'metrics.jsonl')
  checkpoints = Checkpoints(os.path.join(workdir, 'checkpoints'), config.checkpoint.keep)
  try:
    start, state = checkpoints.restore(job.init(), progress.warn)
    if start:
      progress.note(f'resuming from the checkpoint of step {start}')
    with contextlib.closing(metrics_lib.MetricsFile(path, start)) as log, _history(job, workdir, start) as history:
      if not start:
        _record(job, history, state, 0)
      state = _steps(job, config, checkpoints, log, history, job.put(state), start, progress)
  finally:
    checkpoints.close()
  return job.get(state), metrics_lib.read(path)


def _history(job, workdir, start):
  """A context with the `MetricsFile` of history.jsonl, or None where the job records nothing."""
  if not job.record:
    return contextlib.nullcontext()
  # Before the first step the start is recorded anew: a line of step 0 is of a run that was killed at once.
  return contextlib.closing(metrics_lib.MetricsFile(os.path.join(workdir, 'history.jsonl'), start or -1))


def _record(job, history, state, done):
  if history:
    history.write({'step': done, 'epoch': done // job.steps_per_epoch} | job.record(state))


def _steps(job, config, checkpoints, log, history, state, start, progress):
  window, since, saved = [], time.perf_counter(), start
  progress.begin(start, job)
  if start and _stopped(job, log, progress):
    return state
  for step in range(start, job.total_steps):
    state, metrics = job.step(state, job.batches(step))
    window.append(metrics)
    done, epoch = step + 1, step // job.steps_per_epoch
    last_of_epoch = done % job.steps_per_epoch == 0
    if not last_of_epoch and (done % job.steps_per_epoch) % config.log.every_steps:
      progress.tick(done)
      continue
    row = {'step': done, 'epoch': epoch + 1, 'phase': job.phase(epoch)} | _mean(window, done, checkpoints)
    if last_of_epoch and job.on_epoch:
      changed, extra = job.on_epoch(job.get(state), epoch)
      state, row = job.put(changed), row | _mean([extra], done, checkpoints)
    seconds = time.perf_counter() - since
    log.write(row | {'images_per_second': round(len(window) * job.images_per_step / seconds, 1)})
    progress.line(row, len(window) * job.images_per_step / seconds, job)
    if last_of_epoch or done - saved >= config.checkpoint.every_steps or done == job.total_steps:
      unplaced = job.get(state)
      _require_finite(unplaced, done, checkpoints)
      if last_of_epoch:  # before the checkpoint: a run that is resumed from it has the line
        _record(job, history, unplaced, done)
      checkpoints.save(done, unplaced)
      saved = done
    if last_of_epoch and _stopped(job, log, progress):
      break
    window, since = [], time.perf_counter()
  return state


def _stopped(job, log, progress):
  why = job.stop(metrics_lib.read(log.path)) if job.stop else None
  if why:
    progress.note(f'the search stops here: {why}')
  return bool(why)


def _diverged(name, value, step, checkpoints):
  last = checkpoints.last()
  kept = f'the checkpoint of step {last} is kept' if last else 'there was no checkpoint yet'
  return Diverged(f'{name} became {value} at step {step}; {kept}: look at the data, or lower the learning rate in a '
                  'new --workdir')


def _require_finite(state, step, checkpoints):
  """A state that is not finite must not become the last good checkpoint: its next loss would be NaN."""
  for path, leaf in jax.tree_util.tree_leaves_with_path(state):
    if jax.numpy.issubdtype(leaf.dtype, jax.numpy.floating) and not np.isfinite(np.asarray(leaf)).all():
      raise _diverged(jax.tree_util.keystr(path, simple=True, separator='.'), 'infinite or NaN', step, checkpoints)


def _mean(window, done, checkpoints):
  """Means of the window's metrics as Python floats; the first step that is not finite ends the run."""
  rows = jax.device_get(window)
  for i, row in enumerate(rows):
    wrong = [name for name, value in row.items() if not math.isfinite(value)]
    if wrong:
      raise _diverged(wrong[0], float(row[wrong[0]]), done - len(rows) + i + 1, checkpoints)
  return {name: sum(float(row[name]) for row in rows) / len(rows) for name in rows[0]}
