"""Checkpoints of a run, by orbax: saved in the background, restored from the newest that is whole."""

import sys

import jax
import numpy as np
import orbax.checkpoint as ocp

from daas_jax.errors import BadInput


def _is_key(x):
  return isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _to_host(state):
  """Copies of all leaves in host memory: the next step may overwrite (donate) the arrays while orbax writes."""
  return jax.tree.map(lambda x: np.array(jax.random.key_data(x) if _is_key(x) else x), state)


def _like(host, state):
  """Host arrays back in the form of `state`: PRNG keys wrapped, everything on the device."""
  return jax.tree.map(lambda h, x: jax.random.wrap_key_data(h) if _is_key(x) else jax.numpy.asarray(h), host, state)


class Checkpoints:
  """The checkpoints of one workdir.

  Args:
    folder: absolute path of the folder, made if it is not there.
    keep: number of checkpoints kept.
  """

  def __init__(self, folder, keep):
    self._manager = ocp.CheckpointManager(folder, options=ocp.CheckpointManagerOptions(max_to_keep=keep))
    self._folder = folder

  def save(self, step, state):
    """Begins to save `state` as checkpoint `step`; what was there under that number (damaged) is replaced."""
    if step in self._manager.all_steps():
      self._manager.wait_until_finished()
      self._manager.delete(step)
    self._manager.save(step, args=ocp.args.StandardSave(_to_host(state)))

  def last(self):
    """Number of the newest finished checkpoint, or None."""
    self._manager.wait_until_finished()
    return self._manager.latest_step()

  def restore(self, state, warn=lambda line: print(line, file=sys.stderr)):
    """The newest checkpoint that can be read.

    Args:
      state: a state of the form that was saved.
      warn: receives a line for every checkpoint that could not be read.

    Returns:
      (step, state), or (0, `state` as given) where there is no checkpoint.

    Raises:
      BadInput: if there are checkpoints and none of them can be read.
    """
    target, steps = _to_host(state), sorted(self._manager.all_steps(), reverse=True)
    for step in steps:
      try:
        host = self._manager.restore(step, args=ocp.args.StandardRestore(target))
        jax.tree.map(_same_form, host, target)
        return step, _like(host, state)
      except Exception as error:  # orbax and tensorstore raise many kinds for a damaged checkpoint; none is swallowed
        reason = str(error).strip().split('\n')[0][:200]
        warn(f'warning: checkpoint {step} cannot be read ({type(error).__name__}: {reason}); trying the one before')
    if steps:
      raise BadInput(f'none of the checkpoints in {self._folder} can be read: move the folder away to start again')
    return 0, state

  def close(self):
    """Waits for the last save."""
    self._manager.wait_until_finished()
    self._manager.close()


def _same_form(restored, target):
  if np.shape(restored) != np.shape(target):
    raise ValueError(f'an array of shape {np.shape(restored)} where {np.shape(target)} belongs')
