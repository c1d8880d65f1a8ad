"""The folder of a run: who may use it, and what a file in it looks like while it is written."""

import contextlib
import json
import os
import reprlib

try:
  import fcntl
except ImportError:  # native Windows: what only reads needs no lock
  fcntl = None  # type: ignore[assignment]

from daas_jax.config.schema import flatten, KINDS
from daas_jax.errors import BadInput, Terminated
from daas_jax.files import atomic, remote, storage

# What a run writes. Without a config.json beside it, it is not this program's to overwrite.
_RUN = ('metrics.jsonl', 'history.jsonl', 'checkpoints', 'genotype.json', 'policy.json',
        'results.json', 'gradcheck.json', 'blocks.json', 'network.json', 'network.safetensors',
        'network.npz', 'decided.json', 'draws', 'searches', 'trainings', 'table.json', 'table.md')


_HOW = (('parallel', 'devices'), ('parallel', 'over'), ('data', 'workers'))
"""Config keys that say how a run is computed and not what: another number of devices goes on with
it."""


@contextlib.contextmanager
def opened(path, config_json):
  """Opens a workdir for one process and one config.

  Args:
    path: the folder; made if it is not there. One in an object store is worked on in a local copy
      (`daas_jax.files.remote`).
    config_json: text of the run's config; written as config.json into a new workdir.

  Yields:
    The absolute path, of the local copy where there is one.

  Raises:
    BadInput: if the folder cannot be written, is in use, or holds a run of another config or files
      of something else that a run would overwrite. Nothing is changed then.
  """
  with (_opened_there if storage.is_remote(path) else _opened_here)(path, config_json) as folder:
    yield folder


@contextlib.contextmanager
def _opened_there(url, config_json):
  mirror = remote.Mirror(url)
  try:
    with mirror.naming():
      mirror.pull()
      holds(mirror.folder, config_json)  # before anything is written there
      mirror.begin()
  except BaseException as error:
    mirror.drop()
    if isinstance(error, OSError):
      raise _unusable(url, error) from error
    raise
  told = None
  try:
    with mirror.naming(), _opened_here(mirror.folder, config_json) as folder:
      yield folder
  except Terminated as error:
    told = error
    raise
  finally:
    try:
      mirror.end()
    except BadInput as error:
      if told:  # a scheduler is to start the command again all the same
        raise Terminated(f'{told}; but {error}') from error
      raise


@contextlib.contextmanager
def _opened_here(path, config_json):
  path = _local(path)
  with contextlib.ExitStack() as stack:
    try:
      holds(path, config_json)  # before the lock file is made in a folder of something else
      os.makedirs(path, exist_ok=True)
      lock(stack.enter_context(_lock_file(path)))
      if not holds(path, config_json):
        atomic.write(os.path.join(path, 'config.json'), config_json)
    except BlockingIOError as error:
      raise BadInput(f'another process is using the workdir {path}: wait for it, or choose another '
                     '--workdir') from error
    except OSError as error:
      raise _unusable(path, error) from error
    yield path


def shown(path):
  """A workdir as messages name it: its absolute path, or its URL."""
  return path if storage.is_remote(path) else _absolute(path)


def _absolute(path):
  return os.path.abspath(os.path.expanduser(path))


def _local(path):
  """The absolute path of a workdir that is to be written; BadInput where this system cannot."""
  if fcntl is None:
    raise BadInput('a workdir needs locks of files, which native Windows has not: run it in WSL')
  return _absolute(path)


def _lock_file(folder):
  return open(os.path.join(folder, '.lock'), 'ab')


def lock(file, wait=False):
  """Locks an open file; the system frees it with the last process that has it open.

  Args:
    file: of the folder of an opened workdir.
    wait: until no other process has it locked.

  Raises:
    BlockingIOError: another process has, and it is not waited for.
  """
  fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))


def _unusable(path, error):
  return BadInput(
      f'the workdir {path} cannot be used ({error.filename or path}: {error.strerror}): '
      'choose another --workdir')


def opened_by_several(path, config_json):
  """Opens a workdir that any number of processes of one config may use at once, each file in it
  `locked`.

  Args:
    path, config_json: as `opened` takes them.

  Returns:
    The absolute path.

  Raises:
    BadInput: if the folder cannot be written, or holds a run of another config or files of
      something else.
  """
  if storage.is_remote(path):
    raise BadInput(
        f'{path} is in an object store, which has no locks for processes to share: give a local '
        '--workdir'
    )
  path = _local(path)
  try:
    holds(path, config_json)
    os.makedirs(path, exist_ok=True)
    with locked(path):
      if not holds(path, config_json):
        atomic.write(os.path.join(path, 'config.json'), config_json)
  except OSError as error:
    raise _unusable(path, error) from error
  return path


@contextlib.contextmanager
def locked(path):
  """Waits until no other process is inside of this for the same folder."""
  with _lock_file(path) as file:
    lock(file, wait=True)
    yield


def keep_input(folder, name, text):
  """Keeps a copy of what a run starts from beside its config; a resumed run must be given the same.

  Args:
    folder: an opened workdir.
    name: the file's name in it, such as 'genotype.json'.
    text: its content; None where there is nothing to keep.

  Raises:
    BadInput: the workdir holds another.
  """
  if text is None:
    return
  path = os.path.join(folder, name)
  if not os.path.exists(path):
    atomic.write(path, text)
    return
  if not _is(path, text):
    raise BadInput(f'the workdir {folder} holds a run of another {name}: choose another --workdir')


def _is(path, text):
  """Whether a file holds a text; OSError where it cannot be read."""
  try:
    return storage.read_text(path, errors='replace') == text
  except ValueError:  # no regular file, or far too large
    return False


def _is_run_of(path, config_json):
  """Whether a config.json is that of a run which a config goes on with; OSError where it cannot be
  read."""
  if _is(path, config_json):
    return True
  try:
    return _what(storage.read_json(path)) == _what(json.loads(config_json))
  except ValueError:  # not JSON
    return False


def _other_keys(path, config_json):
  """The keys that only one of a config.json and a config of the same command and method has: every
  config of a version has all of its keys. [] where it is no config of those."""
  try:
    found, wanted = storage.read_json(path), json.loads(config_json)
  except ValueError:
    return []
  of = lambda config: [config.get(name)
                       for name in ('kind', 'method')] if isinstance(config, dict) else None
  if not of(wanted) or of(found) != of(wanted) or wanted.get('kind') not in KINDS:
    return []
  return sorted(flatten(found).keys() ^ flatten(wanted).keys())


def _what(config):
  """A config, as JSON gives it, without what `_HOW` lists."""
  for group, key in _HOW:
    if isinstance(config, dict) and isinstance(config.get(group), dict):
      config[group].pop(key, None)
  return config


def holds(path, config_json):
  """Whether the folder holds a run of this config; BadInput where it holds something else, OSError
  if none can tell."""
  found = os.listdir(path) if os.path.lexists(path) else []
  if 'config.json' in found:
    if not _is_run_of(os.path.join(path, 'config.json'), config_json):
      other = _other_keys(os.path.join(path, 'config.json'), config_json)
      raise BadInput(f'the workdir {path} holds a run of another config' + (
          f', whose keys are not those of this daas_jax ({reprlib.repr(other[0])} for one), so '
          'another version wrote it: finish it with that one, or choose another --workdir'
          if other else
          ' (see its config.json): choose another --workdir, or give the same config to resume it'))
    return True
  foreign = [name for name in _RUN if name in found]
  if foreign:
    raise BadInput(
        f'the workdir {path} holds {foreign[0]} and no config.json, so it is no run that can be '
        'resumed: choose another --workdir')
  return False
