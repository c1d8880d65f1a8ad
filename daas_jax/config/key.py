"""One config key: its default, its range, what it means. Imports no other room."""

from collections.abc import Callable, Iterable
import difflib
from typing import Any, NamedTuple

LARGEST = 3e38
"""Of a float32."""
MOST = 10_000
"""Far above any experiment: a typing error must not fill the memory or run for ever before it is
noticed."""

Check = Callable[[Any], str | None]
"""A value -> None, or what it must be."""


class Key(NamedTuple):
  """A config key.

  Attributes:
    default: its value where a config says nothing; its type is the key's type.
    check: value -> None, or what it must be, as the end of the sentence "config key NAME ...".
    doc: what it means, with its unit and its source.
  """
  default: Any
  check: Check
  doc: str


def nearest(name: object, names: Iterable[str]) -> str:
  """' (nearest: X)' where one of the names is close to `name`, else ''."""
  close = difflib.get_close_matches(str(name), list(names), 1)
  return f' (nearest: {close[0]})' if close else ''


def anything(value: Any) -> None:
  """Any value of the key's type."""
  del value


def at_least(low: float) -> Check:
  """value >= low."""
  return lambda v: None if v >= low else f'must be at least {low}'


def above(low: float) -> Check:
  """value > low."""
  return lambda v: None if v > low else f'must be above {low}'


def between(low: float, high: float, open_low: bool = False, open_high: bool = False) -> Check:
  """low <= value <= high; an open end is left out itself."""
  def check(v):
    good = (v > low if open_low else v >= low) and (v < high if open_high else v <= high)
    left, right = '(' if open_low else '[', ')' if open_high else ']'
    return None if good else f'must be in {left}{low}, {high}{right}'
  return check


def one_of(*names: str) -> Check:
  """One of some words."""
  return lambda v: None if v in names else f'must be one of {", ".join(names)}{nearest(v, names)}'


def all_of(names: Iterable[str]) -> Check:
  """A tuple of some of these names, each once, at least one. `names` may grow: it is read when a
  value is checked."""
  def check(v):
    wrong = [x for x in v if x not in names]
    if wrong:
      return f'names no known operation: {wrong[0]!r}{nearest(wrong[0], names)}'
    if len(v) != len(set(v)):
      return 'names an operation twice'
    return None if v else 'must name at least one operation'
  return check


def odd(v: int) -> str | None:
  """An odd number from 1 on."""
  return None if v % 2 and 1 <= v <= MOST else f'must be odd and in [1, {MOST}]'


def even(low: int, high: int = MOST) -> Check:
  """An even number in [low, high]."""
  return lambda v: between(low, high)(v) or ('must be even' if v % 2 else None)


def same_type(value: Any, default: Any) -> bool:
  """Whether a value has the type of a key's default; a whole number is also a float, NaN and
  infinity are none."""
  if isinstance(default, bool) or isinstance(value, bool):
    return isinstance(value, bool) and isinstance(default, bool)
  if isinstance(default, float):
    return isinstance(value, (int, float)) and abs(value) <= LARGEST  # NaN is not
  if isinstance(default, tuple):
    return isinstance(value, (tuple, list)) and all(isinstance(x, str) for x in value)
  return isinstance(value, type(default))


def type_name(value: Any) -> str:
  """The type of a key in words."""
  names = {bool: 'True or False', int: 'a whole number', float: 'a finite number', str: 'a string',
           tuple: 'a tuple of names'}
  return names[type(value)]
