"""Config files: found by path or by name, and run."""

import difflib
import inspect
import os
import re
import sys
import traceback
import types
from typing import Any

import ml_collections

from daas_jax.config import installed
from daas_jax.errors import BadInput


def one_line(error: object) -> str:
  """An error's text in one line of at most 400 characters."""
  return ' '.join(str(error).split())[:400]


def find(argument: str, folder: str = '', what: str = 'config file',
                example: str = 'quickstart') -> list[str]:
  """Finds a config file. A path may hold ':' itself: the longest that is a file counts.

  Args:
    argument: FILE.py or the NAME of a config of the package, with or without :VARIANT. A file comes
      before a name.
    folder: what a relative path is relative to; '' the current folder.
    what, example: what it is called and the name of one, for the error.

  Returns:
    The path and, where there is one, the variant.

  Raises:
    BadInput: there is no such file.
  """
  parts = argument.split(':')
  cuts = [(':'.join(parts[:n]), [':'.join(parts[n:])] if parts[n:] else [])
          for n in range(len(parts), 0, -1)]
  for path, variant in cuts:
    path = os.path.join(folder, os.path.expanduser(path))
    if os.path.isfile(path):
      return [path, *variant]
  for path, variant in cuts:
    name = installed.config_name(path)
    if name in installed.config_names():
      return [os.path.join(installed.configs(), f'{name}.py'), *variant]
  near = _near_config(re.sub(r':[^:/]*$', '', argument), folder)  # without its variant
  raise BadInput(f'no {what} {argument!r}' + (
      f'; did you mean {near}?' if near else
      ': give the path of a Python file that defines get_config(), or the name of one of the '
      f'package, such as {example} (python -m daas_jax.search --list has them all)'))


def _near_config(asked, folder):
  """What has nearly that name: a file where one was asked for, or a config of the package."""
  beside, name = os.path.split(os.path.expanduser(asked))
  try:
    files = sorted(os.listdir(os.path.join(folder, beside) or '.'))
  except (OSError, ValueError):
    files = []
  near = [os.path.join(beside, file) for file in difflib.get_close_matches(
      name, [file for file in files if file.endswith('.py')], 1)]
  names = installed.config_names()
  near += difflib.get_close_matches(installed.config_name(asked), names, 1)
  return near[0] if near else None


def run(argument: str) -> Any:
  """Runs a config file.

  Args:
    argument: FILE.py, or FILE.py:VARIANT where its get_config takes one; see `find`.

  Returns:
    What get_config returns; a ConfigDict as a plain copy.

  Raises:
    BadInput: there is no such file, or it raises whatever it raises.
  """
  path, *words = find(argument)
  try:
    get_config = _load(path).get_config
    if words and not _takes_a_word(get_config):
      raise BadInput(
          f'the config file {path} has no variants, and so no {words[0]!r}: give --config={path}')
    config = get_config(*words)
    if isinstance(config, ml_collections.ConfigDict):  # a plain copy: this one may be frozen
      config = ml_collections.ConfigDict(config.to_dict())
    return config
  except BadInput:
    raise
  except OSError as error:
    raise BadInput(f'the config file {path} cannot be read: {one_line(error)}') from error
  # it is the user's program: whatever it raises is about that file
  except (Exception, SystemExit) as error:
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    where = f' in line {lines[-1]}' if lines else ''
    raise BadInput(f'the config file {path} raised {type(error).__name__}{where}: {one_line(error)}'
                  ) from error


def load(name: str, variant: str = '') -> Any:
  """The config of another config file, for one that changes it a little.

  Args:
    name: as `run` takes it: 'daas_cifar10', say.
    variant: the word that its get_config is given; '' is none.

  Raises:
    BadInput: as `run`.
  """
  return run(f'{name}:{variant}' if variant else name)


def _takes_a_word(function):
  """Whether a function can be called with one argument; True where that cannot be told."""
  try:
    inspect.signature(function).bind('')
  except TypeError:
    return not callable(function)
  except ValueError:
    pass
  return True


def _load(path):
  """Runs a file from its source. Python's own loader takes a compilation that it kept for an edit
  of the same size in the same second, and leaves __pycache__ beside the user's file."""
  with open(path, 'rb') as file:
    source = file.read()
  module = types.ModuleType('daas_jax_config')
  module.__file__ = path
  sys.modules[module.__name__] = module  # dataclasses look themselves up there
  exec(compile(source, path, 'exec'), module.__dict__)
  return module
