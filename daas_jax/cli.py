"""Flags, exit statuses and the compilation cache of the commands `search` and `train`."""

import os
import re
import sys

from absl import flags
import jax
from ml_collections import config_flags

from daas_jax import config as config_lib
from daas_jax.errors import BadInput, Diverged

CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'daas_jax')


def _refuse_unknown_keys(arguments, schema):
  """A wrong key must be named before absl sees it: its own message is a traceback."""
  rooms = {name.rsplit('.', 1)[0] for name in schema if '.' in name}
  for argument in arguments:
    match = re.match(r'--?config\.([\w.]+)', argument)
    if match and match[1] not in schema:
      inside = [k for k in schema if k.startswith(f'{match[1]}.')]
      raise BadInput(f'{match[1]!r} is a group of config keys: set one of them, such as --config.{inside[0]}='
                     if match[1] in rooms else config_lib.unknown_key(match[1], schema))


def _one_line(error):
  return ' '.join(str(error).split())[:400]


def parse(kind, arguments, define=lambda values: None):
  """Reads the command line of a command.

  Args:
    kind: 'search' or 'train'.
    arguments: the words after the command's name.
    define: defines further flags on the FlagValues it is given.

  Returns:
    absl FlagValues with `config` (a checked ConfigDict), `workdir` and what `define` added.

  Raises:
    BadInput: for whatever cannot be read.
  """
  schema = config_lib.SCHEMAS[kind]
  _refuse_unknown_keys(arguments, schema)
  values = flags.FlagValues()
  config_flags.DEFINE_config_file('config', None, 'The config file.', lock_config=True, flag_values=values)
  flags.DEFINE_string('workdir', None, 'The folder of the run; resumed if it holds one.', flag_values=values)
  flags.DEFINE_string('compilation_cache', CACHE, "Folder of compiled programs; 'off' for none.", flag_values=values)
  flags.DEFINE_bool('help', False, 'Shows the flags.', flag_values=values)
  define(values)
  try:
    rest = values([f'daas_jax.{kind}', *arguments])[1:]
    if values.help:
      return values
    config = values.config
  except BadInput:
    raise
  except (OSError, ImportError) as error:
    raise BadInput(f'the config file cannot be read: {_one_line(error)}') from error
  except (flags.Error, AttributeError, KeyError, TypeError, ValueError) as error:
    raise BadInput(_one_line(error)) from error
  except Exception as error:  # a config file is the user's program: whatever it raises is about that file
    raise BadInput(f'the config file raised {type(error).__name__}: {_one_line(error)}') from error
  if rest:
    raise BadInput(f'unexpected word {rest[0]!r}: every option is given as --name=value')
  for name in ('config', 'workdir'):
    if values[name].value is None:
      raise BadInput(f'--{name} is missing')
  if not hasattr(config, 'to_dict'):
    raise BadInput('the config file must define get_config() returning a ConfigDict')
  config_lib.check(config, kind)
  return values


def run(kind, main, arguments=None, define=lambda values: None):
  """Runs a command and returns its exit status: 0, 2 for bad input, 3 for a diverged run, 130 when interrupted."""
  arguments = sys.argv[1:] if arguments is None else arguments
  try:
    options = parse(kind, arguments, define)
    if options.help:
      print(f'python -m daas_jax.{kind}\n' + options.main_module_help() + options.get_help())
      return 0
    if options.compilation_cache != 'off':
      jax.config.update('jax_compilation_cache_dir', options.compilation_cache)
      jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)
    main(options)
    return 0
  except BadInput as error:
    print(f'daas_jax.{kind}: {error}', file=sys.stderr)
    return 2
  except Diverged as error:
    print(f'daas_jax.{kind}: {error}', file=sys.stderr)
    return 3
  except KeyboardInterrupt:
    print(f'daas_jax.{kind}: interrupted; the same command goes on from the last checkpoint', file=sys.stderr)
    return 130
