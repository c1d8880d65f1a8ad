"""The table of fidelity (docs/fidelity.md): what it names is there, and no equation or table of a paper is left out."""

import ast
import functools
import re

from conftest import ROOT
import pytest

from daas_jax import config as config_lib

PAGE = (ROOT / 'docs' / 'fidelity.md').read_text()
# {section: (equations, tables, figures)}, the first and the last number of each
PAPERS = {'DAAS': ((3, 14), (2, 7), None), 'DDAS': ((3, 17), (1, 6), None), 'Joint search': ((1, 10), (1, 1), (1, 2)),
          'Amended-DARTS': ((2, 8), (1, 2), None), 'DiffAutoML': ((1, 7), (1, 3), (1, 4))}
ROW = re.compile(r'\| (?P<paper>.+?) \| (?P<here>.*?) \| (?P<how>.+?) \|')


def sections():
  parts = re.split(r'^## ', PAGE, flags=re.M)[1:]
  return {part.split('\n')[0]: [ROW.fullmatch(line) for line in part.splitlines()
                                if line.startswith('| ') and not line.startswith(('| the paper', '| ---'))]
          for part in parts}


ROWS = sections()
NAMED = sorted({name for rows in ROWS.values() for row in rows if row for name in re.findall(r'`([^`]+)`', row['here'] + row['how'])})


@functools.lru_cache(maxsize=None)
def names_of(path):
  """What a file defines at its top level."""
  out = set()
  for node in ast.parse((ROOT / path).read_text()).body:
    targets = getattr(node, 'targets', [getattr(node, 'target', None)])
    out |= {getattr(node, 'name', None)} | {t.id for t in targets if isinstance(t, ast.Name)}
  return out - {None}


@functools.lru_cache(maxsize=None)
def keys():
  """Of configs of every kind and method."""
  return set().union(*(config_lib.every(kind) for kind in ('search', 'train', 'gradcheck')))


def test_every_row_is_one_and_every_paper_has_its_section():
  assert list(ROWS)[:len(PAPERS)] == list(PAPERS)
  assert all(row for rows in ROWS.values() for row in rows) and all(len(ROWS[name]) > 10 for name in PAPERS)
  assert len(NAMED) > 100


def is_there(name):
  path, _, inside = name.partition('::')
  if '/' in path or path.endswith(('.py', '.md')):
    return (ROOT / path).is_file() and (not inside or inside in names_of(path))
  return name in keys()


def test_what_is_named_is_there():
  assert [name for name in NAMED if not is_there(name)] == []


@pytest.mark.parametrize('name', ['daas_jax/nowhere.py', 'daas_jax/trees.py::nowhere', 'search.nowhere'])
def test_what_is_not_there_is_seen(name):
  assert not is_there(name) and name not in NAMED


def numbers(section, word):
  """Those that the rows of a section begin with: 'Eq. 5', 'Eq. 5 and 6', 'Eq. 5 to 8', 'Table 2, 3'."""
  out = set()
  for row in ROWS[section]:
    found = re.match(rf'{word} (\d+)((?:(?:, | and | to |-)\d+)*)', row['paper'])
    if found:
      many = [int(n) for n in re.findall(r'\d+', found[0])]
      out |= set(range(many[0], many[-1] + 1)) if re.search(r' to |-', found[2]) else set(many)
  return out


@pytest.mark.parametrize('section', PAPERS)
def test_no_equation_and_no_table_is_left_out(section):
  for word, ends in zip(('Eq\\.', 'Table', 'Fig\\.'), PAPERS[section]):
    if ends:
      assert set(range(ends[0], ends[1] + 1)) <= numbers(section, word), word
