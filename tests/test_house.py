"""The house: which way imports go, how large its rooms are, and that none but its own room names a method or a network.

A room is a folder of daas_jax/ or a file at its top. `pytest -s -n 0 tests/test_house.py -k pairs` prints the pairs of
rooms of which one imports the other.
"""

import ast
import functools
import re

import pytest

from conftest import ROOT
from daas_jax.augment.ops import OPS
from daas_jax.methods import registry as methods
from daas_jax.nets import registry as nets
from daas_jax.policies import registry as policies

PACKAGE = ROOT / 'daas_jax'
ORDER = (
    {'errors', 'types', 'trees', 'arrays', '__init__'}, {'config'}, {'files'}, {'estimators'}, {'augment'},
    {'nets'}, {'policies'}, {'data'}, {'runtime'}, {'methods'}, {'detection'},
    {'library'},
    {'search', 'train', 'study', 'report', 'gradcheck', 'benchmark', 'prepare', 'export', 'predict', 'evaluate'})
"""From the ground up: a room imports what is below it. Those of one row import none of each other."""
COMMANDS = ORDER[-1]
MOST_PAIRS = 105  # half of the 211 that there were when every file at the top was a room
SINCE = {'library', 'export', 'predict', 'evaluate'}
MOST_SINCE = 20
"""Rooms that there were not when they were counted, and the pairs that these are in."""
NAMED_ELSEWHERE = {
    # A benchmark is a list of names by its nature.
    'benchmark/cases.py', 'benchmark/bars.py', 'benchmark/command.py', 'benchmark/public.py',
    'gradcheck/estimators.py',  # 'ddas' is a row of its table: an estimator
    'nets/cells/formats.py',  # 'darts' is a form of text, that of its project
}


def _room(path):
  return path.relative_to(PACKAGE).parts[0].removesuffix('.py')


@functools.cache
def _modules():
  return {path: ast.parse(path.read_text(encoding='utf-8')) for path in sorted(PACKAGE.rglob('*.py'))}


def _imported(tree):
  """Names of the modules and rooms that a module imports, without 'daas_jax.'."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (a.name.removeprefix('daas_jax').removeprefix('.') for a in node.names if a.name.startswith('daas_jax'))
    elif isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'daas_jax':
      source = node.module.removeprefix('daas_jax').removeprefix('.')
      yield from [source] if source else [a.name for a in node.names]


@functools.cache
def _pairs():
  """{(room, a room that it imports): a file that does}."""
  found = {}
  for path, tree in _modules().items():
    for name in _imported(tree):
      other = name.split('.')[0] or '__init__'
      if other != _room(path):
        found.setdefault((_room(path), other), str(path.relative_to(ROOT)))
  return found


def test_imports_go_one_way():
  rank = {room: i for i, row in enumerate(ORDER) for room in row}
  assert {_room(path) for path in _modules()} == set(rank)
  # The ground and the public surface: errors and types import nothing, __init__ by name and late.
  wrong = {pair: where for pair, where in _pairs().items()
           if rank[pair[0]] < rank[pair[1]] or rank[pair[0]] == rank[pair[1]] != 0}
  assert not wrong


def test_no_command_imports_another():
  assert not [pair for pair in _pairs() if set(pair) <= COMMANDS]


def test_a_config_key_imports_nothing_and_configs_no_other_room():
  assert not list(_imported(_modules()[PACKAGE / 'config' / 'key.py']))
  assert {other for room, other in _pairs() if room == 'config'} <= {'errors'}


def test_pairs_of_rooms_are_half_of_what_they_were():
  since = [pair for pair in _pairs() if set(pair) & SINCE]
  before = len(_pairs()) - len(since)
  print(f'\nhouse: {before} pairs of rooms, at most {MOST_PAIRS}; {len(since)} of rooms since, at most {MOST_SINCE}')
  assert before <= MOST_PAIRS and len(since) <= MOST_SINCE
  both = [pair for pair in _pairs() if pair[::-1] in _pairs()]
  assert not both


def test_the_top_is_short_and_modules_are_one_room_each():
  assert len(list(PACKAGE.glob('*.py'))) <= 10
  long = {str(path.relative_to(PACKAGE)): n for path in _modules()
          if (n := len(path.read_text(encoding='utf-8').splitlines())) > 350}
  assert not long


def _strings(path):
  """The string constants of a module that are no docstrings."""
  docs = set()
  for node in ast.walk(_modules()[path]):
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
      docs.add(id(node.value))
  return {node.value for node in ast.walk(_modules()[path])
          if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs}


@pytest.mark.parametrize('names, rooms', [
    (lambda: methods.methods(), ('methods',)), (lambda: nets.networks(), ('nets', 'detection'))],
    ids=['methods', 'networks'])
def test_core_files_name_no_method_and_no_network(names, rooms):
  known = set(names())
  assert len(known) > 5
  found = {f'{path.relative_to(PACKAGE)}: {name}' for path in _modules()
           if _room(path) not in (*rooms, '__init__') and str(path.relative_to(PACKAGE)) not in NAMED_ELSEWHERE
           for name in _strings(path) & known}
  assert not found


def test_everything_registered_has_a_config_or_a_test():
  texts = [path.read_text(encoding='utf-8') for folder in ('configs', 'tests') for path in (ROOT / folder).rglob('*.py')]
  words = {word for text in texts for word in re.findall(r'[A-Za-z0-9_]+', text)}
  for name in (*methods.methods(), *nets.networks(), *policies.spaces(), *OPS):
    stem = re.sub(r'_2x\d+d$', '', name)  # of one family, sized by a number
    assert stem in words or name in words, name


def test_every_test_file_has_a_name_of_its_own():
  """Without packages pytest imports files by their names alone: of two it refuses the second, at the end of a run."""
  paths = list((ROOT / 'tests').rglob('test_*.py'))
  assert len(paths) == len({path.name for path in paths})
