"""Checkpoints of a run, by orbax: saved in the background, restored from the newest that is
whole."""

import contextlib
import glob
import os
import re
import shutil
import sys
import tempfile

import jax
import numpy as np
import orbax.checkpoint as ocp

from daas_jax.errors import BadInput
from daas_jax.runtime import disk, processes


def _is_key(x):
  return isinstance(x, jax.Array) and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _to_host(state):
  """Copies of all leaves in host memory: the next step may overwrite (donate) the arrays while
  orbax writes."""
  return jax.tree.map(lambda x: np.array(jax.random.key_data(x) if _is_key(x) else x), state)


def _like(host, state):
  """Host arrays back in the form of `state`: PRNG keys wrapped, everything on the device."""
  return jax.tree.map(
      lambda h, x: jax.random.wrap_key_data(h) if _is_key(x) else jax.numpy.asarray(h), host, state)


class _OtherFields(ValueError):
  """A checkpoint is of a state with other fields: another version of this program saved it."""


def _form(tree):
  """(names of the fields, {path: (shape, dtype)}) of a tree of host arrays, or of what orbax knows
  of a saved one."""
  # Empty nodes hold the places of a list and are no leaves.
  leaves = ocp.tree.to_flat_dict(ocp.tree.serialize_tree(tree, keep_empty_nodes=True),
                                 keep_empty_nodes=True)
  return {path[0] for path in leaves}, {
      '.'.join(path): (tuple(x.shape), np.dtype(x.dtype)) for path, x in leaves.items()
      if hasattr(x, 'shape')
  }


def told(step, state):
  """(step, state) of process 0, on every process of a run: one alone keeps its own."""
  if not processes.several():
    return step, state
  step, host = processes.same((np.int32(step), _to_host(state)))
  return int(step), _like(host, state)


def _alone():
  """Orbax's options for a manager of this process: the others have none, and are not waited for."""
  if not processes.several():
    return ocp.options.MultiprocessingOptions()
  this = jax.process_index()
  return ocp.options.MultiprocessingOptions(primary_host=this, active_processes={this},
                                            barrier_sync_key_prefix=f'process{this}')


# What orbax and tensorstore take for nothing but a letter of a name: the former finds its files by
# glob, the latter takes \ for /, and no name that is not UTF-8.
_PLAIN = re.compile('[-\\w/. =,+:@~()]*')


@contextlib.contextmanager
def _plainly(folder):
  """A path of a folder without letters that mean something: its own, or in the context a link's."""
  if _PLAIN.fullmatch(folder):
    yield folder
    return
  with tempfile.TemporaryDirectory(prefix='daas_jax-') as home:
    if not _PLAIN.fullmatch(home):
      raise BadInput(f'checkpoints cannot be read back from a folder of this name, {folder}: '
                     'choose another --workdir, or set TMPDIR to a folder named by letters')
    link = os.path.join(home, 'checkpoints')
    os.symlink(folder, link)
    yield link


class Checkpoints:
  """The checkpoints of one workdir.

  Args:
    folder: absolute path of the folder, made if it is not there.
    keep: number of checkpoints kept.

  Raises:
    BadInput: the folder cannot be used.
    OSError: the disk is full.
  """

  def __init__(self, folder, keep):
    try:
      os.makedirs(folder, exist_ok=True)
    except OSError as error:
      raise disk.full(error, folder) or BadInput(
          f'{folder} cannot be used ({error.strerror}): move it away to start again') from error
    self.folder, self._keep = folder, keep
    self._damaged, self._saving = [], None
    self._until_closed = contextlib.ExitStack()
    self._path = self._until_closed.enter_context(_plainly(folder))
    self._open()

  def _open(self):
    # With the handler named, orbax need not guess it from the newest checkpoint, which may be
    # damaged. Parts of a checkpoint whose saving was killed or failed go: they take the room of a
    # whole one.
    self._manager = ocp.CheckpointManager(
        self._path, item_handlers=ocp.StandardCheckpointHandler(multiprocessing_options=_alone()),
        options=ocp.CheckpointManagerOptions(max_to_keep=self._keep, create=False,
                                             cleanup_tmp_directories=True,
                                             multiprocessing_options=_alone()))

  def save(self, step, state):
    """Begins to save `state` as checkpoint `step`; the damaged ones that `restore` passed over make
    way for it.

    Raises:
      OSError: the disk is full: found now, or while the checkpoint before this one was saved in the
        background.
    """
    self.wait()
    for damaged in self._damaged:  # orbax saves nothing that is not newer than all there is
      self._manager.delete(damaged)
    self._damaged = []
    self._saving = step
    with self._failing():
      self._manager.save(step, args=ocp.args.StandardSave(_to_host(state)))

  @contextlib.contextmanager
  def _failing(self):
    """After a save that failed orbax counts its checkpoint among those that it keeps: begin again
    from the files."""
    try:
      yield
    except Exception as error:
      path = os.path.join(self.folder, str(self._saving))
      with contextlib.suppress(Exception):  # says the same again
        self._manager.close()
      for part in glob.glob(f'{glob.escape(path)}.orbax-checkpoint-tmp*'):
        shutil.rmtree(part, ignore_errors=True)
      self._open()
      raise self._full(error, path) or error  # noqa: B904 (of the error that there was)

  def _full(self, error, path):
    """`disk.full`, with the name that the user gave the folder."""
    found = disk.full(error, path)
    return found and OSError(found.errno, found.strerror, self._named(str(found.filename)))

  def _named(self, text):
    return text.replace(self._path, self.folder)

  def wait(self):
    """Waits for the save in the background.

    Raises:
      OSError: the disk became full; said once, and the part that was written is removed.
    """
    with self._failing():
      self._manager.wait_until_finished()

  def check(self):
    """Raises what `wait` would, where the save is over; waits for nothing."""
    if not self._manager.is_saving_in_progress():
      self.wait()

  def last(self):
    """Number of the newest finished checkpoint that is not known to be damaged, or None."""
    with contextlib.suppress(OSError):  # that one is not finished
      self.wait()
    return max(set(self._manager.all_steps()) - set(self._damaged), default=None)

  def restore(self, state, warn=lambda line: print(line, file=sys.stderr),
              require=lambda step: None):
    """The newest checkpoint that can be read.

    Args:
      state: a state of the form that was saved.
      warn: receives a line for every checkpoint that could not be read.
      require: step -> None; raises where what goes with the checkpoint is not there.

    Returns:
      (step, state), or (0, `state` as given) where there is no checkpoint.

    Raises:
      BadInput: if there are checkpoints and none of them can be read, or all are of another
        version's states.
    """
    target, steps = _to_host(state), sorted(self._manager.all_steps(), reverse=True)
    failed, found = {}, (0, state)
    for i, step in enumerate(steps):
      try:
        require(step)
        self._check_form(step, target)
        host = self._manager.restore(step, args=ocp.args.StandardRestore(target))
        self._damaged = steps[:i]
        found = step, _like(host, state)
        break
      # orbax and tensorstore raise many kinds for a damaged checkpoint; none is swallowed
      except Exception as error:
        failed[step] = error
    if steps and all(isinstance(failed.get(step), _OtherFields) for step in steps):
      raise BadInput(
          f'the checkpoints in {self.folder} are of another version of daas_jax: each holds '
          f'{failed[steps[0]]}. Finish the run with that version, or choose another --workdir')
    for step, why in failed.items():
      reason = self._named(str(why).strip().split('\n')[0])[:200]
      warn(
          f'warning: checkpoint {step} cannot be read ({type(why).__name__}: {reason}); trying '
          'the one before'
      )
    if len(failed) == len(steps) > 0:
      raise BadInput(
          f'none of the checkpoints in {self.folder} can be read: move the folder away to start '
          'again'
      )
    return found

  def _check_form(self, step, target):
    """Refuses what is not of this form: orbax itself casts to the type that it is asked for."""
    (has, saved), (fields, wanted) = _form(self._manager.item_metadata(step)), _form(target)
    if has != fields:
      raise _OtherFields(f'{_names(has - fields)} where {_names(fields - has)} belongs')
    if saved.keys() != wanted.keys():
      raise _OtherFields(f'{_some(saved.keys() - wanted.keys())} where '
                         f'{_some(wanted.keys() - saved.keys())} belongs')
    for name in sorted(saved.keys() | wanted.keys()):
      if saved.get(name) != wanted.get(name):
        raise ValueError(
            f'it holds {_text(saved.get(name))} as {name}, where {_text(wanted.get(name))} belongs')

  def close(self):
    """Waits for the last save; raises as `wait` does."""
    with self._until_closed:
      self.wait()
      self._manager.close()


def newest(folder):
  """The newest checkpoint that can be read, without a state to hold it against.

  Args:
    folder: absolute path of the checkpoints of a run, which may be going on.

  Returns:
    {field: nested dicts and lists of numpy arrays}, or None where there is none.
  """
  if not os.path.isdir(folder):
    return None
  with _plainly(folder) as path:
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=_alone())
    with ocp.CheckpointManager(path, item_handlers=handler, options=ocp.CheckpointManagerOptions(
        create=False, read_only=True, multiprocessing_options=_alone())) as manager:
      for step in sorted(manager.all_steps(), reverse=True):
        try:
          return jax.tree.map(np.asarray, manager.restore(step, args=ocp.args.StandardRestore()))
        except Exception:  # as `restore`: a damaged one raises anything, and the one before counts
          continue
  return None


def _names(fields):
  return ' and '.join(sorted(fields)) or 'nothing'


def _some(paths):
  """The first of some paths, and how many there are besides."""
  first, *rest = sorted(paths) or ['nothing']
  return f'{first} (and {len(rest)} more)' if rest else first


def _text(form):
  return f'{form[1]} {list(form[0])}' if form else 'nothing'
