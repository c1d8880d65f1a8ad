"""The JSON of a policy.json, whichever its form: read, checked, and brought to today's version."""

from collections.abc import Callable, Iterable, Mapping
import reprlib
from typing import Any

import numpy as np

from daas_jax.errors import BadInput
from daas_jax.files import storage
from daas_jax.policies import portable

SUM_TOLERANCE = 1e-3
"""How far the probabilities of a file may be from 1 in sum: hand-written ones are rounded."""
EARLIER = {'daas_jax.policy': (1, 2), 'daas_jax.policy_schedule': (1,)}
"""{form: its earlier versions, which are read as what they mean}."""


def read(path: str) -> Any:
  """The JSON content of a policy file, unchecked.

  Raises:
    BadInput: the file cannot be read, or is no JSON.
  """
  try:
    return storage.read_json(path)
  except OSError as e:
    raise BadInput(
        f'{path} cannot be read ({e.strerror or e}); give the policy.json of a search') from None
  except ValueError as e:
    raise BadInput(
        f'{path} is not a JSON file ({storage.reason(e)}); give the policy.json of a search'
    ) from None


def newest(content: Mapping[str, Any]) -> Mapping[str, Any]:
  """A file's content in today's version of its form.

  In earlier versions the levels and strengths of an operation with a random sign run from -high to
  high, so that each is there twice.

  Args:
    content: well formed.
  """
  if content.get('version') not in EARLIER.get(str(content.get('format')), ()):
    return content
  signed = lambda op: portable.OPS[op].signed
  version = content['version'] + len(EARLIER[content['format']])
  if 'candidates' in content:
    return {**content, 'version': version, 'candidates': [
        {**c, 'strength': abs(2 * c['strength'] - 1)} if signed(c['op']) else c
        for c in content['candidates']]}
  most, levels = content['levels'] - 1, max(content['levels'], 2)
  # of one level alone an operation with a sign was at -high, which is the other one of two
  place = lambda op, m: m if not signed(op) else abs(2 * m - most) if most else 1

  def of_row(row):
    new = {**row, 'level': [place(op, m) for op, m in zip(row['ops'], row['level'])]}
    if 'level_probability' in row:
      new['level_probability'] = [
          np.bincount([place(op, m) for m in range(most + 1)], w, levels).tolist()
          for op, w in zip(row['ops'], row['level_probability'])]
    return new

  return {**content, 'version': version, 'levels': levels,
          'policies': [of_row(row) for row in content['policies']]}


FIXED = ('', 'p_tp', 'p_o', 'all')
"""Words for what a policy of every epoch may be held at, see `fixed`."""


def fixed(content: Mapping[str, Any], what: str, where: str = '') -> Mapping[str, Any]:
  """A policy of every epoch of which something stays as the last epoch has it (DDAS Table 6).

  Args:
    content: well formed.
    what: of `FIXED`; '' changes nothing, 'p_tp' and 'p_o' one of DDAS's two, 'all' leaves the last
      epoch's policy.
    where: what messages begin with.

  Raises:
    BadInput: another word, or the policy has not that of every epoch.
  """
  if what not in FIXED:
    raise BadInput(f'{where}fixed must be one of {", ".join(map(repr, FIXED))}, not '
                   f'{reprlib.repr(what)}')
  if not what:
    return content
  epochs = content.get('epochs')
  if not epochs or what != 'all' and not isinstance(epochs[-1], Mapping):
    raise BadInput(f'{where}this policy has no {"epochs" if what == "all" else what} of every '
                   f'epoch: leave out train.policy_fixed={what}')
  last = epochs[-1]
  held = [last if what == 'all' else {**row, what: last[what]} for row in epochs]
  return {**content, 'epochs': held}


def get(content: Mapping[str, Any], key: str, where: str) -> Any:
  """A value of an object in a file.

  Raises:
    BadInput: it has none of that name.
  """
  if key not in content:
    raise BadInput(f'{where}"{key}" is missing; add it')
  return content[key]


def check_version(content: Mapping[str, Any], versions: Iterable[int], where: str) -> None:
  """Refuses a file of another version than those that are read.

  Raises:
    BadInput: it is.
  """
  found = content.get('version')
  if not is_int(found) or found not in list(versions):
    raise BadInput(
        f'{where}version {reprlib.repr(found)} is not the one that this daas_jax reads, '
        f'{" or ".join(map(str, versions))}; use the daas_jax that wrote it')


def is_probability(x: Any) -> bool:
  """Whether a value out of a JSON file is a number from 0 to 1."""
  return is_number(x) and 0 <= x <= 1


def is_list(value: Any, good: Callable[[Any], bool]) -> bool:
  """Whether a value out of a JSON file is a list of good ones."""
  return isinstance(value, list) and all(good(x) for x in value)


def is_int(value: Any) -> bool:
  """Whether a value out of a JSON file is a whole number."""
  return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
  """Whether a value out of a JSON file is a number."""
  return is_int(value) or isinstance(value, float)
