"""What a person who writes a study file gets wrong, each in one line."""

import re
from typing import Any

from daas_jax.errors import BadInput
from daas_jax.policies import baselines

RANDOM = 'random'
OF_SEARCH = 'searches/'
"""Before the name of a search that is a row: of the network that it ends with."""
_FIXED_POLICIES = {('policy', name) for name in baselines.BASELINES}
_NAME = re.compile(r'[a-z0-9_]+')
_MAY_MISS = {'searches', 'train', 'trainings', 'references', 'settings', 'comparisons'}
_KEYS = _MAY_MISS | {'title', 'seeds', 'search', 'rows', 'reference'}
_OF_SEARCH = {'set', 'config', 'genotype', 'policy'}
_OF_TRAINING = {'set', 'config', 'genotype', 'draw', 'like', 'of', 'epoch', 'policy', 'shift'}


def shape(data: Any) -> None:
  """Checks the dict of a study file (`daas_jax.study.plan`), but not its configs.

  Raises:
    BadInput: a key is missing or unknown, or names something that there is not.
  """
  _keys('the study', data, _KEYS)
  for key in sorted(_KEYS - _MAY_MISS):
    if not data.get(key):
      raise BadInput(f'{key!r} is missing')
  seeds = data['seeds']
  if not (isinstance(seeds, (tuple, list)) and all(type(s) is int and s >= 0 for s in seeds)
          and len(set(seeds)) == len(seeds)):
    raise BadInput(f"'seeds' must be different whole numbers from 0 on, not {seeds!r}")
  searches, trainings, settings = (data.get(key, {})
                                   for key in ('searches', 'trainings', 'settings'))
  for what, runs, known, reserved in (('searches', searches, _OF_SEARCH,
                                       (RANDOM, *baselines.BASELINES)),
                                      ('trainings', trainings, _OF_TRAINING, ())):
    _names(f'{what!r}', runs, reserved)
    for name, run in runs.items():
      _keys(f'{what}[{name!r}]', run, known)
  if not data.get('train') and any('config' not in run for run in trainings.values()):
    raise BadInput("'train' is missing")
  _names("'settings'", settings, ())
  for name, given in settings.items():
    if not isinstance(given, dict):
      raise BadInput(f"settings[{name!r}] must be a dict of config keys, not {given!r}")
  _links(searches, trainings, len(seeds))
  _rows(data['rows'], trainings, searches)
  _labels(data)


def _keys(what, given, known):
  if not isinstance(given, dict):
    raise BadInput(f'{what} must be a dict, not {given!r}')
  for key in given:
    if key not in known:
      raise BadInput(f'{what} has the unknown key {key!r}; known are {", ".join(sorted(known))}')


def _names(what, given, reserved):
  if not isinstance(given, dict):
    raise BadInput(f'{what} must be a dict, not {given!r}')
  for name in given:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in reserved:
      raise BadInput(f'{what} has the name {name!r}: a name is of a-z, 0-9 and _'
                     + (f', and none of {", ".join(reserved)}' if reserved else ''))


def _search_name(what, name, searches):
  if not isinstance(name, str) or name not in searches:
    raise BadInput(
        f'{what} is {name!r}, which is no search of this study '
        f'({", ".join(searches) or "it has none"})'
    )


def _rows(rows, trainings, searches):
  _keys("'rows'", rows, rows)
  names = {*trainings, *(OF_SEARCH + name for name in searches)}
  known = lambda name: isinstance(name, str) and name in names
  good = lambda x: known(x) or isinstance(x, (tuple, list)) and x and all(map(known, x))
  for label, of in rows.items():
    if not isinstance(of, (tuple, list)) or not of or not all(map(good, of)):
      raise BadInput(f'row {label!r} must be a tuple of trainings of this study (or of '
                     f"'{OF_SEARCH}NAME', a search's own network), or of tuples of them, not "
                     f'{of!r}')


def several(x: Any) -> tuple[str, ...]:
  """An element of a row: a training's name, or a tuple of some, as a tuple."""
  return (x,) if isinstance(x, str) else tuple(x)


def named(row: Any) -> list[str]:
  """All that a row names, those of its tuples among them."""
  return [name for element in row for name in several(element)]


def ready(rows: dict[str, Any], without: set[str]) -> None:
  """Refuses a row of a search that ends with no network ready to use.

  Args:
    rows: of the study, unfolded.
    without: names of the searches that do not.

  Raises:
    BadInput: there is one.
  """
  wrong = {OF_SEARCH + name for name in without}
  for label, row in rows.items():
    for name in filter(wrong.__contains__, named(row)):
      raise BadInput(f'row {label!r} names {name!r}, a search that ends with no network ready to '
                     'use')


def policies_found(runs: dict[str, Any], without: set[str]) -> None:
  """Refuses a run whose policy is that of a search that finds none.

  Args:
    runs: {"searches['x']": the dict of a search or training of the study}.
    without: names of the searches that update no policy.

  Raises:
    BadInput: there is one.
  """
  for name, run in runs.items():
    if run.get('policy') in without:
      raise BadInput(f"{name}['policy'] is {run['policy']!r}, a search that finds no policy")


def chosen_by_validation(rows: dict[str, Any], unvalidated: set[str]) -> None:
  """Refuses a row that takes the best of some trainings by D_val where one has none.

  Args:
    rows: of the study, unfolded.
    unvalidated: names of the trainings without validation images.

  Raises:
    BadInput: there is one.
  """
  for label, row in rows.items():
    for tried in filter(lambda names: len(names) > 1, map(several, row)):
      if without := unvalidated.intersection(tried):
        raise BadInput(f'row {label!r} takes the training with the highest validation accuracy, '
                       f'and {min(without)!r} has no validation images: set its data.val_fraction '
                       'above 0')


def _labels(data):
  rows, pairs = data['rows'], data.get('comparisons', ())
  if not isinstance(pairs, (tuple, list)) or not all(
      isinstance(pair, (tuple, list)) and len(pair) == 2 for pair in pairs):
    raise BadInput(f"'comparisons' must be pairs of rows, not {pairs!r}")
  for what, labels in (('the reference', (data['reference'], *data.get('references', {}),
                                          *data.get('references', {}).values())),
                       ('a comparison', [label for pair in pairs for label in pair])):
    for label in labels:
      if label not in rows:
        raise BadInput(f'{what} names {label!r}, which is no row ({", ".join(rows)})')


def _links(searches, trainings, seeds):
  earlier: list[str] = []
  for name, run in searches.items():
    for part in ('genotype', 'policy'):
      if run.get(part) and (part, run[part]) not in _FIXED_POLICIES:
        _search_name(f'searches[{name!r}][{part!r}]', run[part], earlier)
    sources = {run[part] for part in ('genotype', 'policy') if run.get(part) in earlier}
    if len(sources) > 1:
      raise BadInput(f"searches[{name!r}] has its 'genotype' and its 'policy' from two searches, "
                     f'{" and ".join(sorted(sources))}: both must be of one')
    earlier.append(name)
  for name, run in trainings.items():
    if run.get('genotype', RANDOM) != RANDOM:
      _search_name(f"trainings[{name!r}]['genotype']", run['genotype'], searches)
    if 'epoch' in run and (type(run['epoch']) is not int or run['epoch'] < 0
                           or run.get('genotype', RANDOM) == RANDOM):
      raise BadInput(
          f"trainings[{name!r}]['epoch'] must be a whole number of epochs of the search that "
          "'genotype' "
          f"names, not {run['epoch']!r}")
    if 'draw' in run and (type(run['draw']) is not int or not 0 <= run['draw'] < 1000
                          or run.get('genotype') != RANDOM):
      raise BadInput(f"trainings[{name!r}]['draw'] must be a whole number from 0 to 999, of a "
                     f"random 'genotype', not {run['draw']!r}")
    for part in ('like', 'of'):
      if part in run:
        if run.get('genotype') != RANDOM:
          raise BadInput(f"trainings[{name!r}][{part!r}] needs 'genotype': 'random'")
        _search_name(f'trainings[{name!r}][{part!r}]', run[part], searches)
    if run.get('like') and run.get('of'):
      raise BadInput(f"trainings[{name!r}] has 'like' and 'of': a random architecture that weighs "
                     "what another does is of that one's candidates, leave 'of' out")
    if run.get('policy') not in baselines.BASELINES:
      _search_name(f"trainings[{name!r}]['policy']", run.get('policy'), searches)
    if type(run.get('shift', 0)) is not int or not 0 <= run.get('shift', 0) < seeds:
      raise BadInput(
          f"trainings[{name!r}]['shift'] must be a whole number below the number of seeds, "
          f"{seeds}, not {run['shift']!r}")
