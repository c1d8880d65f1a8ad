"""A table of rows that register themselves: methods, networks and spaces of policies, the package's
and a user's."""

import importlib
import pkgutil
import sys
from typing import Generic, TypeVar

from daas_jax.errors import BadInput

Row = TypeVar('Row')


class Registry(Generic[Row]):
  """{name: row}; the package's rows are there as soon as somebody looks.

  Args:
    what: what a row is, for messages: 'method'.
    homes: the packages each of whose modules registers its rows when it is imported.
  """

  def __init__(self, what: str, *homes: str):
    self._what, self._homes, self._loaded = what, homes, False
    self._rows: dict[str, Row] = {}
    self._own: set[str] = set()

  def rows(self) -> dict[str, Row]:
    """All rows by name: those of the package first, then those registered since."""
    if not self._loaded:
      self._loaded = True  # before the imports: one of them may look
      for home in self._homes:
        for module in pkgutil.walk_packages(importlib.import_module(home).__path__, home + '.'):
          importlib.import_module(module.name)
    return self._rows

  def register(self, name: str, row: Row, users: bool = False) -> None:
    """Adds a row; the same name again replaces what was registered before.

    Args:
      name: the row's name.
      row: the row.
      users: whether the package registers it for somebody else.

    Raises:
      BadInput: somebody else gives a row of the package another meaning.
    """
    # The package's modules register while they are imported, whoever was the first to import them.
    if sys._getframe(1).f_globals.get('__name__', '').startswith('daas_jax.') and not users:
      self._own.add(name)
    elif name in self.rows() and name in self._own:
      raise BadInput(f'{name!r} is a {self._what} of the package: give the new one another name')
    self._rows[name] = row
