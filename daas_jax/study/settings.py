"""Trainings under several settings: a study's rows for all of them, for the best, and for each.

A comparison at one learning rate and one length may be one of who happens to like them. So a study
may have `settings`, and each of its trainings is then done under every one. Its rows become

- the mean over the settings, which is what the study's own labels stand for;
- the best setting, of each seed that of the highest validation accuracy: what one would use who
  tunes, at the price of all;
- every setting by itself.

Each is held against the row of its kind.
"""

from typing import Any

from daas_jax.errors import BadInput
from daas_jax.study import check

MEAN, BEST = 'Mean over the settings', 'Best setting of each seed, by validation accuracy'


def unfold(data: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
  """The trainings, rows and references of a study with its settings written out.

  Args:
    data: a checked study file's dict.

  Returns:
    (the dict without 'settings', {row: title of the part of the table that it is in}); as it is and
    {} where there are none.

  Raises:
    BadInput: two trainings or rows that would have the same name.
  """
  settings = data.get('settings')
  if not settings:
    return data, {}
  trainings: dict[str, Any] = {}
  rows: dict[str, Any] = {}
  references: dict[str, str] = {}
  parts: dict[str, str] = {}

  def add(table, name, value):
    if name in table:
      raise BadInput(f"'settings' make two of {name!r}: choose other names")
    table[name] = value

  for name, run in data.get('trainings', {}).items():
    for setting, changes in settings.items():
      add(trainings, _training(name, setting), run | {'set': run.get('set', {}) | changes})
  best = lambda label: f'{label}, best setting'
  of = lambda setting: lambda label: f'{label}, {setting}'
  for label, names in data['rows'].items():
    add(rows, label, tuple(_element(x, s) for s in settings for x in names))
    parts[label] = MEAN
  for label, names in data['rows'].items():
    add(rows, best(label), tuple(sum((check.several(_element(x, s)) for s in settings), ())
                                 for x in names))
    parts[best(label)] = BEST
  for setting in settings:
    for label, names in data['rows'].items():
      add(rows, of(setting)(label), tuple(_element(x, setting) for x in names))
      parts[of(setting)(label)] = f'Setting {setting}'
  given = {label: data['reference'] for label in data['rows']} | data.get('references', {})
  for label, other in given.items():
    for named in (lambda x: x, best, *map(of, settings)):
      references[named(label)] = named(other)
  out = {key: value for key, value in data.items() if key != 'settings'}
  return out | {'trainings': trainings, 'rows': rows, 'references': references}, parts


def _training(name, setting):
  return f'{name}_{setting}'


def _element(x, setting):
  of = lambda name: name if name.startswith(check.OF_SEARCH) else _training(name, setting)
  return of(x) if isinstance(x, str) else tuple(map(of, x))
