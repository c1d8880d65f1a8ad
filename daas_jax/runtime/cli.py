"""Flags, exit statuses and the compilation cache of the commands `search` and `train`."""

import contextlib
import logging
import os
import re
import sys
import traceback

from absl import flags, logging as absl_logging
import jax
import ml_collections
from ml_collections import config_flags

from daas_jax.config import file as config_file, schema as config_lib
from daas_jax.errors import BadInput, Diverged, EX_TEMPFAIL, Interrupted, Terminated
from daas_jax.files import storage
from daas_jax.runtime import processes, progress, signals

CACHE = os.path.join(os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache'), 'daas_jax')

_OWN = re.compile('RESOURCE_EXHAUSTED|INVALID_ARGUMENT|UNIMPLEMENTED')
"""What an error of XLA begins with that is of this process and not of one that it waited for."""

_RESUMED = ('search', 'train')
_STATUSES = '''
Exit status: 0 done, 2 bad input or a full disk, 3 a loss diverged, 75 ended on SIGTERM with the
state saved, or left by another process of the run (requeue on it), 130 ended on Ctrl-C with the
state saved. The same command goes on from the last checkpoint. A second SIGTERM or Ctrl-C, a
second after the first or later, kills at once.
'''

_GIVE = {
    'config': 'NAME or FILE.py, such as quickstart',
    'workdir': 'FOLDER, where the run is kept'
}


def _missing(name):
  return f'--{name} is missing: give --{name}={_GIVE[name]}'


def _override(argument):
  """The match of a word that sets a config key, its group 1 the key's name; None of any other
  word."""
  return re.match(r'--?(?:no)?config\.([^=]*)', argument)


def _refuse_words(arguments, schema):
  """What is wrong with the words alone is said before absl sees them: its messages do not help, or
  are tracebacks."""
  groups = {name.rsplit('.', 1)[0] for name in schema if '.' in name}
  for argument in arguments:
    match = _override(argument)
    if match and match[1] not in schema:
      inside = [k for k in schema if k.startswith(f'{match[1]}.')]
      raise BadInput(
          f'{match[1]!r} is a group of config keys: set one of them, such as --config.{inside[0]}='
          if match[1] in groups else config_lib.unknown_key(match[1], schema))
  files = sum(re.match(r'--?config(=|$)', argument) is not None for argument in arguments)
  if files > 1:
    raise BadInput('--config is given twice: give one config file')
  if not files and any(re.match(r'--?(no)?config\.', argument) for argument in arguments):
    raise BadInput(_missing('config'))


def _unmarked(arguments):
  """Words without the byte-order mark, which absl takes for a part of a flag file's first line."""
  mark = '\ufeff'
  return [word.removeprefix(mark) for word in arguments if not re.match(f'{mark}(#|//|$)', word)]


def _register(arguments):
  """Runs the config file, which may register a method whose keys other words name. What is wrong is
  said later."""
  for argument in arguments:
    match = re.match(r'--?config=(.+)', argument)
    if match:
      with contextlib.suppress(BadInput):
        config_file.run(match[1])


class _ConfigFile(flags.ArgumentParser):
  """Runs a config file. ml_collections' parser shows what is wrong as a traceback, or not before
  the config is used.

  It is given the overrides, names of keys: of one that another method has ml_collections would say
  its last word alone.
  """

  def __init__(self, overrides):
    super().__init__()
    self._overrides = overrides

  def parse(self, argument):
    config = config_file.run(argument)
    if not isinstance(config, ml_collections.ConfigDict):
      raise BadInput(
          f"get_config() of the config file {config_file.find(argument)[0]} must return a "
          "ConfigDict, such as "
          f'that of daas_jax.config.search_config(), not {config_file.one_line(repr(config))[:60]}')
    for name in self._overrides:
      config_lib.refuse_foreign(name, config)
    config.lock()
    return config


def _define(kind, arguments, define, values):
  # Without sys_argv the overrides are looked for in the words of the process, whatever `arguments`
  # are.
  config_flags.DEFINE_config_file(
      'config', None, 'The config file, or the name of one of the package.', lock_config=True,
      flag_values=values, sys_argv=[kind, *arguments])
  overrides = [match[1] for match in map(_override, arguments) if match]
  values['config'].parser = _ConfigFile(overrides)
  flags.DEFINE_string('workdir', None,
                      'The folder of the run, or gs://BUCKET/FOLDER; resumed if it holds one.',
                      flag_values=values)
  flags.DEFINE_string('compilation_cache', CACHE, "Folder of compiled programs; 'off' for none.",
                      flag_values=values)
  flags.DEFINE_bool('help', False, 'Shows the flags.', flag_values=values)
  define(values)


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
  values = flags.FlagValues()
  try:
    arguments = _unmarked(values.read_flags_from_files(arguments, force_gnu=False))
    _register(arguments)
    schema = config_lib.every(kind)
    _refuse_words(arguments, schema)
    _define(kind, arguments, define, values)
    rest = values([f'daas_jax.{kind}', *arguments])[1:]
  except flags.IllegalFlagValueError as error:
    wrong = re.match(r'flag --config\.([\w.]+)=(.*?): ', str(error), re.DOTALL)
    raise BadInput(
        config_lib.wrong_type(wrong[1], wrong[2], schema) if wrong else config_file.one_line(error)
    ) from error
  except KeyError as error:  # an override in a group that the config file's config has not
    raise BadInput(f'the config file sets no {error.args[0]}: start its config from '
                   f'daas_jax.config.{kind}_config()') from error
  except (flags.Error, AttributeError, TypeError, ValueError) as error:
    raise BadInput(config_file.one_line(error)) from error
  if values.help:
    return values
  if rest:
    raise BadInput(f'unexpected word {rest[0]!r}: every option is given as --name=value')
  if 'list' in values and values.list:
    return values
  nothing_kept = any(name in values and values[name].value for name in ('count', 'memory'))
  for name in ('config',) if nothing_kept else ('config', 'workdir'):
    if values[name].value in (None, ''):  # an empty workdir would be the current folder
      raise BadInput(_missing(name))
  config_lib.check(values.config, kind)
  return values


def keep_compiled(folder):
  """Has JAX keep compiled programs in a folder, and take them from there."""
  jax.config.update('jax_compilation_cache_dir', os.path.expanduser(folder))
  jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


@contextlib.contextmanager
def quiet():
  """Without the tracebacks that orbax leaves on stderr: of errors that it raises as well, and of
  those writes of a save that come back after the first one has failed, for which nobody waits."""
  asyncio = logging.getLogger('asyncio')
  levels = absl_logging.get_verbosity(), asyncio.level
  absl_logging.set_verbosity(absl_logging.FATAL)
  asyncio.setLevel(logging.CRITICAL)
  before = sys.unraisablehook
  sys.unraisablehook = lambda found: None if str(found.exc_value
                                                ) == 'Event loop is closed' else before(found)
  try:
    yield
  finally:
    sys.unraisablehook = before
    absl_logging.set_verbosity(levels[0])
    asyncio.setLevel(levels[1])


def run(kind, main, arguments=None, define=lambda values: None):
  """Runs a command.

  Args:
    kind: 'search', 'train' or 'gradcheck'.
    main: options -> anything; of a search or a training (options, should_stop), with `should_stop`
      of `signals.termination`.
    arguments: the words after the command's name; None for those of the process.
    define: as `parse` takes it.

  Returns:
    Its exit status: 0, 2 for bad input or a full disk, 3 for a diverged run, 75 (`EX_TEMPFAIL`) for
    one that ended on SIGTERM or whose other processes are gone, 130 when interrupted. SIGTERM or
    Ctrl-C while the results of a search or a training are written lets them be written: 0.
  """
  progress.any_encoding()
  arguments = sys.argv[1:] if arguments is None else arguments
  with signals.termination() if kind in _RESUMED else contextlib.nullcontext() as should_stop:
    return _run(kind, main, arguments, define, should_stop)


def _run(kind, main, arguments, define, should_stop):
  try:
    with quiet():
      options = parse(kind, arguments, define)
      if options.help:
        print(f'python -m daas_jax.{kind}\n' + options.main_module_help() + options.get_help()
              + (_STATUSES if should_stop else ''))
        return 0
      if options.compilation_cache != 'off':
        storage.require_utf8(options.compilation_cache, '--compilation_cache')
        keep_compiled(options.compilation_cache)
      main(options, should_stop) if should_stop else main(options)
      return 0
  except (Diverged, Interrupted, Terminated) as error:
    # Of several processes each comes here, at the same step.
    if processes.first():
      print(f'daas_jax.{kind}:', *str(error).splitlines(), file=sys.stderr)
    if isinstance(error, Diverged):
      return 3
    return 130 if isinstance(error, Interrupted) else EX_TEMPFAIL
  except BadInput as error:
    return processes.end(2, ' '.join([f'daas_jax.{kind}:', *str(error).splitlines()]))
  except OSError as error:  # such as a full disk: what is wrong is outside of this program
    return processes.end(
        2,
        f'daas_jax.{kind}: {config_file.one_line(error)}: when that is mended, the same command '
        'goes on from the last checkpoint')
  except Exception as error:
    if not processes.several():
      raise
    # a collective without its peer
    if isinstance(error, jax.errors.JaxRuntimeError) and not _OWN.match(str(error)):
      processes.lost(config_file.one_line(error))
    return processes.end(1, traceback.format_exc())  # the others would wait for this one
  except KeyboardInterrupt:
    return processes.end(
        130, f'daas_jax.{kind}: interrupted; the same command goes on from what it kept')
