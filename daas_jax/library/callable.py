"""A package that is a function as well: `daas_jax.search` is the folder of a command, which Python
sets as an attribute of `daas_jax` whenever anything of it is imported, and the function of that
name."""

from collections.abc import Callable
import importlib
import inspect
import sys
import types
from typing import Any


class _Module(types.ModuleType):
  """A module whose call is that of the function of its own last name in its module `library`."""

  def _function(self) -> Callable:
    # late: the command itself, and its keys, need nothing of it
    library = importlib.import_module(f'{self.__name__}.library')
    return getattr(library, self.__name__.rpartition('.')[2])

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    return self._function()(*args, **kwargs)

  def __getattr__(self, name: str) -> Any:
    if name == 'library':  # help(daas_jax.search.library.search), before anything is called
      return importlib.import_module(f'{self.__name__}.library')
    raise AttributeError(f'module {self.__name__!r} has no attribute {name!r}')

  @property
  def __signature__(self) -> inspect.Signature:
    return inspect.signature(self._function())


def make(name: str) -> None:
  """Makes the module of a name callable."""
  sys.modules[name].__class__ = _Module
