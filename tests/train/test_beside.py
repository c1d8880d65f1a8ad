"""What a training is printed beside: read from a study's table.json, and what is wrong with one in one line."""

import json
import re

from conftest import ROOT
import numpy as np
import pytest

from daas_jax.config import file as config_file, installed
from daas_jax.errors import BadInput
from daas_jax.study import plan
from daas_jax.train import beside

TABLE = {'rows': [{'row': 'none', 'values': {'0': 50.0, '1': 40.0, '2': 45.0}},
                  {'row': 'the camera itself', 'values': {'0': 30, '1': 20}},
                  {'row': 'not over yet', 'values': {}}]}


def write(path, content):
  path.write_text(content if isinstance(content, str) else json.dumps(content))
  return str(path)


def test_accuracies_are_what_the_errors_leave(tmp_path):
  kept = beside.read(write(tmp_path / 'table.json', TABLE))
  assert list(kept) == ['none', 'the camera itself']
  np.testing.assert_allclose(kept['none'], [0.5, 0.6, 0.55])
  np.testing.assert_allclose(kept['the camera itself'], [0.7, 0.8])


def test_of_a_table_of_several_parts_the_first_one_counts(tmp_path):
  rows = [row | {'part': part} for part in ('Mean', 'Best') for row in TABLE['rows']]
  rows[3]['values'] = {'0': 0.0}
  kept = beside.read(write(tmp_path / 'table.json', {'rows': rows}))
  np.testing.assert_allclose(kept['none'], [0.5, 0.6, 0.55])


def test_lines_hold_mean_least_and_most(tmp_path):
  said = list(beside.lines(beside.read(write(tmp_path / 'table.json', TABLE)), 0.61234))
  assert [re.sub(' +', ' ', line) for line in said[1:]] == [
      'this training 0.6123', 'none 0.5500 of 3 (0.5000 to 0.6000)', 'the camera itself 0.7500 of 2 (0.7000 to 0.8000)']
  assert len({line.index('0.') for line in said[1:]}) == 1 and max(map(len, said)) < 100  # columns


def test_no_table_is_no_line():
  assert beside.read('') == {} and not list(beside.lines({}, 0.5))


def test_a_table_of_the_package_is_found_by_name(tmp_path, monkeypatch):
  (tmp_path / 'studies').mkdir()
  write(tmp_path / 'studies' / 'mine.json', TABLE)
  monkeypatch.setattr(installed, 'configs', lambda: str(tmp_path))
  assert set(beside.read('mine')) == {'none', 'the camera itself'}
  with pytest.raises(BadInput, match=r'or mine \(nearest: mine\)'):
    beside.read('mini')


def test_the_quickstarts_table_is_that_of_its_study():
  asked = config_file.run(str(ROOT / 'configs' / 'train_quickstart.py')).beside
  study = plan.load(str(ROOT / 'configs' / 'studies' / f'{asked}.py'))
  kept = beside.read(asked)
  assert list(kept) == list(study.rows) and len({len(x) for x in kept.values()}) == 1
  assert all(0.4 < x.mean() < 0.9 for x in kept.values())


@pytest.mark.parametrize('content', [
    '', '{', '[]', '{}', {'rows': []} | {'rows': [3]}, {'rows': 3}, {'rows': [{'row': 'a'}]}, {'rows': [{'row': 'a', 'values': [1]}]},
    {'rows': [{'row': 'a', 'values': {'0': 'x'}}]}, {'rows': [{'row': 'a', 'values': {'0': 101}}]},
    {'rows': [{'row': 'a', 'values': {'0': -1}}]}, {'rows': [{'row': 5, 'values': {'0': 1}}]},
    '{"rows": [{"row": "a", "values": {"0": NaN}}]}', {'rows': [{'row': 'a', 'values': {'0': [1]}}]}])
def test_what_is_no_table_is_said_in_one_line(content, tmp_path):
  path = write(tmp_path / 'mine.json', content)
  with pytest.raises(BadInput, match='mine.json is no table.json of a study') as error:
    beside.read(path)
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('asked', ['quickstart', 'nowhere/table.json', '.', '/'])
def test_a_table_that_is_not_there(asked):
  with pytest.raises(BadInput, match="config key 'beside'") as error:
    beside.read(asked)
  assert '\n' not in str(error.value) and 'table.json of a study' in str(error.value)
