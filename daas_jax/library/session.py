"""What surrounds a run that a program asks for, as the command line surrounds its own: a workdir,
the compilation cache, quiet libraries, Ctrl-C that saves."""

from collections.abc import Callable, Iterator
import contextlib
import os
import tempfile
from typing import Any

import jax

from daas_jax.errors import BadInput
from daas_jax.runtime import cli, signals


def workdir_of(asked: str | os.PathLike | None, kind: str, say: Callable[[str], Any]) -> str:
  """A run's workdir: the one that is asked for, or a new temporary one, which is said."""
  if asked is not None:
    if not os.fspath(asked):  # would be the current folder
      raise BadInput('workdir is empty: give a folder, or None for a temporary one')
    return os.fspath(asked)
  path = tempfile.mkdtemp(prefix=f'daas_jax-{kind}-')
  say(f'workdir: {path} (give workdir=... to choose it, and to go on with a run that was ended)')
  return path


@contextlib.contextmanager
def opened(temporary: str | None = None) -> Iterator[Callable]:
  """Where a run is run.

  Args:
    temporary: a workdir that was made for it: where nothing was written there, it goes again.

  Yields:
    should_stop, as `daas_jax.runtime.loop.run` takes it: Ctrl-C and SIGTERM save first, in the main
    thread.
  """
  try:
    with signals.termination() as should_stop, cli.quiet():
      keep_compiled()
      yield should_stop
  finally:
    if temporary is not None:
      with contextlib.suppress(OSError):  # it holds a run
        os.rmdir(temporary)


def keep_compiled() -> None:
  """Keeps compiled programs where the commands do, unless the program has chosen a folder."""
  if not jax.config.values.get('jax_compilation_cache_dir'):
    cli.keep_compiled(cli.CACHE)
