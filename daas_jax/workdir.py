"""The folder of a run: who may use it, and what a file in it looks like while it is written."""

import contextlib
import fcntl
import os

from daas_jax.errors import BadInput


def write_text(path, text):
  """Writes a file whole or not at all."""
  temporary = f'{path}.tmp'
  with open(temporary, 'w', encoding='utf-8') as file:
    file.write(text)
  os.replace(temporary, path)


@contextlib.contextmanager
def opened(path, config_json):
  """Opens a workdir for one process and one config.

  Args:
    path: the folder; made if it is not there.
    config_json: text of the run's config; written as config.json into a new workdir.

  Yields:
    The absolute path.

  Raises:
    BadInput: if the folder cannot be written, is in use, or holds a run of another config. Nothing is changed then.
  """
  path = os.path.abspath(path)
  try:
    os.makedirs(path, exist_ok=True)
    lock = open(os.path.join(path, '.lock'), 'a')
  except OSError as error:
    raise BadInput(f'the workdir {path} cannot be written ({error.strerror}): choose another --workdir') from error
  with lock:
    try:
      fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
      raise BadInput(f'another process is using the workdir {path}: wait for it, or choose another --workdir') from error
    _claim(path, config_json)
    yield path


def _claim(path, config_json):
  mine = os.path.join(path, 'config.json')
  if os.path.exists(mine):
    with open(mine, encoding='utf-8', errors='replace') as file:
      if file.read() != config_json:
        raise BadInput(f'the workdir {path} holds a run of another config (see its config.json): '
                       'choose another --workdir, or give the same config to resume it')
    return
  try:
    write_text(mine, config_json)
  except OSError as error:
    raise BadInput(f'the workdir {path} cannot be written ({error.strerror}): choose another --workdir') from error
