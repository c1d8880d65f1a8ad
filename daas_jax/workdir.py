"""The folder of a run: who may use it, and what a file in it looks like while it is written."""

import contextlib
import fcntl
import os

from daas_jax import atomic
from daas_jax.errors import BadInput

# What a run writes. Without a config.json beside it, it is not this program's to overwrite.
_RUN = ('metrics.jsonl', 'history.jsonl', 'checkpoints', 'genotype.json', 'policy.json', 'results.json',
        'gradcheck.json', 'blocks.json', 'network.json', 'network.npz', 'draws', 'searches', 'trainings',
        'table.json', 'table.md')


def last_file(config):
  """The name of the file that a finished run writes last.

  Args:
    config: {'room.key': value} of its config.json.
  """
  if config.get('kind') == 'train' or 'search.tuning_epochs' in config:  # a network that is ready is evaluated
    return 'results.json'
  return 'genotype.json' if 'policy.name' in config else 'policy.json'  # of which the former is searched alone


@contextlib.contextmanager
def opened(path, config_json):
  """Opens a workdir for one process and one config.

  Args:
    path: the folder; made if it is not there.
    config_json: text of the run's config; written as config.json into a new workdir.

  Yields:
    The absolute path.

  Raises:
    BadInput: if the folder cannot be written, is in use, or holds a run of another config or files of something else
      that a run would overwrite. Nothing is changed then.
  """
  path = _absolute(path)
  with contextlib.ExitStack() as stack:
    try:
      holds(path, config_json)  # before the lock file is made in a folder of something else
      os.makedirs(path, exist_ok=True)
      lock = stack.enter_context(open(os.path.join(path, '.lock'), 'a'))
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
      if not holds(path, config_json):
        atomic.write(os.path.join(path, 'config.json'), config_json)
    except BlockingIOError as error:
      raise BadInput(f'another process is using the workdir {path}: wait for it, or choose another '
                     '--workdir') from error
    except OSError as error:
      raise _unusable(path, error) from error
    yield path


def _absolute(path):
  return os.path.abspath(os.path.expanduser(path))


def _unusable(path, error):
  return BadInput(f'the workdir {path} cannot be used ({error.filename or path}: {error.strerror}): '
                  'choose another --workdir')


def opened_by_several(path, config_json):
  """Opens a workdir that any number of processes of one config may use at once, each file in it `locked`.

  Args:
    path, config_json: as `opened` takes them.

  Returns:
    The absolute path.

  Raises:
    BadInput: if the folder cannot be written, or holds a run of another config or files of something else.
  """
  path = _absolute(path)
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
  with open(os.path.join(path, '.lock'), 'a') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield


def keep_input(folder, name, text):
  """Keeps a copy of what a run starts from beside its config; a resumed run must be given the same.

  Args:
    folder: an opened workdir.
    name: the file's name in it, such as 'genotype.json'.
    text: its content.

  Raises:
    BadInput: the workdir holds another.
  """
  path = os.path.join(folder, name)
  if not os.path.exists(path):
    atomic.write(path, text)
    return
  with open(path, encoding='utf-8', errors='replace') as file:
    if file.read() != text:
      raise BadInput(f'the workdir {folder} holds a run of another {name}: choose another --workdir')


def holds(path, config_json):
  """Whether the folder holds a run of this config; BadInput where it holds something else, OSError if none can tell."""
  found = os.listdir(path) if os.path.lexists(path) else []
  if 'config.json' in found:
    with open(os.path.join(path, 'config.json'), encoding='utf-8', errors='replace') as file:
      if file.read() != config_json:
        raise BadInput(f'the workdir {path} holds a run of another config (see its config.json): '
                       'choose another --workdir, or give the same config to resume it')
    return True
  foreign = [name for name in _RUN if name in found]
  if foreign:
    raise BadInput(f'the workdir {path} holds {foreign[0]} and no config.json, so it is no run that can be resumed: '
                   'choose another --workdir')
  return False
