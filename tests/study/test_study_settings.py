"""Studies of several settings, of draws and of choices: how they unfold, and what their rows cost, by hand."""

import json

import pytest

from conftest import ROOT
from daas_jax.config import file as config_file
from daas_jax.errors import BadInput
from daas_jax.study import check, costs, plan, runs as runs_lib, settings, statistics, table

FIELD = str(ROOT / 'configs' / 'studies' / 'field.py')
COST = str(ROOT / 'configs' / 'studies' / 'cost.py')


def plain(**changes):
  return {'title': 't', 'seeds': (0,), 'search': 's', 'train': 't', 'searches': {},
          'trainings': {'a': {'policy': 'none', 'set': {'k': 0}}, 'b': {'policy': 'standard'}},
          'rows': {'A': ('a',), 'B': ('b',), 'either': (('a', 'b'),)}, 'reference': 'A',
          'settings': {'x': {'k': 1}, 'y': {'k': 2}}} | changes


def test_every_training_under_every_setting():
  data, parts = settings.unfold(plain())
  assert {name: run['set'] for name, run in data['trainings'].items()} == {
      'a_x': {'k': 1}, 'a_y': {'k': 2}, 'b_x': {'k': 1}, 'b_y': {'k': 2}}
  assert data['rows'] == {
      'A': ('a_x', 'a_y'), 'B': ('b_x', 'b_y'), 'either': (('a_x', 'b_x'), ('a_y', 'b_y')),
      'A, best setting': (('a_x', 'a_y'),), 'B, best setting': (('b_x', 'b_y'),),
      'either, best setting': (('a_x', 'b_x', 'a_y', 'b_y'),),
      'A, x': ('a_x',), 'B, x': ('b_x',), 'either, x': (('a_x', 'b_x'),),
      'A, y': ('a_y',), 'B, y': ('b_y',), 'either, y': (('a_y', 'b_y'),)}
  assert data['references']['B, y'] == 'A, y' and data['references']['B, best setting'] == 'A, best setting'
  assert list(dict.fromkeys(parts.values())) == [settings.MEAN, settings.BEST, 'Setting x', 'Setting y']
  assert settings.unfold(plain(settings={})) == (plain(settings={}), {})


def test_names_that_settings_make_twice():
  with pytest.raises(BadInput, match="two of 'a_x_y'"):
    settings.unfold(plain(trainings={'a': {'policy': 'none'}, 'a_x': {'policy': 'none'}}, rows={'A': ('a',)},
                          settings={'x_y': {}, 'y': {}}))


@pytest.mark.parametrize('changes, says', [
    ({'settings': {'x': 1}}, "settings['x'] must be"), ({'settings': {'x y': {}}}, "'x y'"),
    ({'comparisons': ('A', 'B')}, 'pairs of rows'), ({'comparisons': (('A', 'C'),)}, "names 'C'"),
    ({'rows': {'A': (('a', 'q'),)}}, "row 'A'"), ({'rows': {'A': ((),)}}, "row 'A'"),
    ({'trainings': {'a': {'policy': 'none', 'draw': 1}}}, "['draw']"),
    ({'trainings': {'a': {'policy': 'none', 'genotype': 'random', 'draw': 1000}}}, "['draw']")])
def test_what_is_wrong_is_said(changes, says):
  with pytest.raises(BadInput) as info:
    check.shape(plain() | changes)
  assert says in str(info.value) and '\n' not in str(info.value)


def test_the_best_by_validation_needs_validation_images(tmp_path):
  """In one line, which names the row and the training; a row of one alone needs none."""
  text = ("def get_config(variant=''):\n  return {'title': 't', 'seeds': (0,), 'search': 'daas_small:smoke', 'train': "
          "'train_field_small:smoke', 'trainings': {'a': {'policy': 'none'}, 'b': {'policy': 'standard', 'set': "
          "{'data.val_fraction': 0.0}}}, 'rows': {'A': ('a',), 'B': ('b',)%s}, 'reference': 'A'}\n")
  for rows, good in (('', True), (", 'either': (('a', 'b'),)", False), (", 'one': (('b',),)", True)):
    (tmp_path / 'study.py').write_text(text % rows)
    if good:
      assert plan.load(str(tmp_path / 'study.py')).seeds == (0,)
    else:
      with pytest.raises(BadInput, match="row 'either' takes the training .* 'b' has no validation images"):
        plan.load(str(tmp_path / 'study.py'))


def test_random_architectures_of_a_seed_differ():
  study = plan.load(f'{COST}:small')
  drawn = [run.genotype for run in study.runs if run.name.startswith('random_')]
  assert len(drawn) == len(set(drawn)) == 8 * 8 and 'random:0' in drawn and f'random:{1 + 2**32}' in drawn


def study_of(rows, seeds=(0,), **more):
  kinds = [plan.Run('search', 'first', 0, '', {}), plan.Run('search', 'second', 0, '', {}, 'searches/first-0'),
           plan.Run('train', 'a', 0, '', {}, 'searches/first-0', 'searches/second-0'),
           plan.Run('train', 'b', 0, '', {}, 'random:0', 'searches/first-0'),
           plan.Run('train', 'c', 0, '', {}, 'random:1', 'none')]
  runs = [run._replace(seed=s, genotype=run.genotype and run.genotype.replace('-0', f'-{s}'),
                       policy=run.policy and run.policy.replace('-0', f'-{s}')) for s in seeds for run in kinds]
  return plan.Study('t', seeds, tuple(runs), rows, more.get('references', {}), '', more.get('parts', {}),
                    more.get('comparisons', ()))


RESULTS = {'searches/first-0': {'seconds': 100.0}, 'searches/second-0': {'seconds': 10.0}} | {
    f'trainings/{name}-0': {'error': error, 'parameters': 5, 'validation': validation, 'seconds': seconds}
    for name, error, validation, seconds in (('a', 20.0, 0.7, 1.0), ('b', 30.0, 0.8, 2.0), ('c', 10.0, 0.6, 4.0))}


@pytest.mark.parametrize('row, cell', [
    (('a',), (20, 5, 110, 1)),  # the architecture's search once, though the policy's search needs it too
    (('b',), (30, 5, 100, 2)), (('c',), (10, 5, 0, 4)),
    (('a', 'b'), (25, 5, 105, 1.5)),
    ((('a', 'b', 'c'),), (30, 5, 110, 7)),  # chosen by validation, and paid for whole
    ((('a', 'c'), 'b'), (25, 5, 105, 3.5))])
def test_cells_by_hand(row, cell):
  assert costs.Cells(study_of({}), RESULTS).of(row, 0)[:4] == cell


def test_the_space_of_a_search_is_free():
  study = study_of({})
  runs = tuple(run._replace(like='searches/second-0') if run.name == 'c' else run for run in study.runs)
  c = {run.name: run for run in runs if run.kind == 'train'}['c']
  assert c.needs == ('searches/second-0',)  # which has to be there
  assert costs.Cells(study._replace(runs=runs), RESULTS).of(('c',), 0)[:4] == (10, 5, 0, 4)
  alike = tuple(run._replace(genotype='random_like:1') if run.name == 'c' else run for run in runs)
  assert costs.Cells(study._replace(runs=alike), RESULTS).of(('c',), 0)[:4] == (10, 5, 110, 4)  # its weights are not


def test_cells_of_what_is_not_known():
  cells = lambda changes: costs.Cells(study_of({}), RESULTS | changes)
  assert costs.Cells(study_of({}), {}).of(('a',), 0) is None
  without = {'trainings/a-0': RESULTS['trainings/a-0'] | {'seconds': None, 'validation': None}}
  assert cells(without).of(('a',), 0)[:4] == (20, 5, 110, None)
  assert cells(without).of((('a', 'b'),), 0) is None
  assert cells({'searches/first-0': {'seconds': None}}).of(('b',), 0)[:4] == (30, 5, None, 2)


def test_a_row_may_be_the_network_that_a_search_ends_with(tmp_path):
  ready = {'error': 15.0, 'top_5': 4.0, 'parameters': 9, 'multiply_adds': 2e6, 'validation': None, 'seconds': 10.0}
  results = RESULTS | {'searches/second-0': ready}
  cell = costs.Cells(study_of({}), results).of(('searches/second',), 0)
  assert cell == (15, 9, 110, 0, 4, 2e6)  # with the search that it is given something by, and no training
  assert costs.Cells(study_of({}), results).of(('searches/first',), 0) is None  # which ends with none
  study = study_of({'ready': ('searches/second',), 'A': ('a',)}, references={'ready': 'A'})
  text = table.write(tmp_path, study, results, {})
  assert '| p | top-5 error | multiply-adds | search s | train s |' in text
  assert '| ready | 9 | 1 of 1 | 15.00 | - | 15.00 | -5.00 | - | 1 | 4.00 | 2,000,000 | 110 | 0 |' in text
  assert '| A | 5 | 1 of 1 | 20.00 | - | 20.00 | - | - | - | - | - | 110 | 1 |' in text
  assert '| searches/second | 15.00 |' in text and '| c | 10.00 |' in text


def test_the_table_names_costs_parts_and_comparisons(tmp_path):
  rows = {'A': ('a',), 'B': ('b',), 'C': ('c',), 'C again': ('c',)}
  study = study_of(rows, references={'B': 'A'}, parts={label: 'One' for label in 'ABC'} | {'C again': 'Two'},
                   comparisons=(('A', 'C'), ('B', 'C')))
  text = table.write(tmp_path, study, RESULTS, {})
  assert '## One' in text and text.index('## One') < text.index('| B |') < text.index('## Two') < text.index('| C again')
  assert '| p | search s | train s |' in text and '| 1 | 100 | 2 |' in text
  assert '| C | 4 | 10.00 | * |\n| B | 102 | 30.00 |  |\n| A | 111 | 20.00 |  |' in text
  assert '| A | C | 1 | +10.00 | - | 1 | 1 |' in text
  content = json.loads((tmp_path / 'table.json').read_text())
  assert [row['cost'] for row in content['rows']] == [111, 102, 4, 4]
  assert content['comparisons'][1]['difference']['mean'] == 20


def test_holm_by_hand():
  assert statistics.holm([0.01, 0.04, 0.03, 0.5]) == pytest.approx([0.04, 0.09, 0.09, 0.5])
  assert statistics.holm([0.6, 0.9]) == [1.0, 1.0] and statistics.holm([]) == []


def test_seconds_are_those_of_all_sessions_and_devices(tmp_path):
  write = lambda content: (tmp_path / 'run.json').write_text(json.dumps(content))
  assert runs_lib._seconds(tmp_path) is None
  write({'sessions': [{'seconds': 2.5, 'devices': 2}, {'seconds': None, 'devices': 2}, {'seconds': 1.0, 'devices': 1}]})
  assert runs_lib._seconds(tmp_path) == 6.0
  for broken in ({}, {'sessions': 3}, {'sessions': [3]}, {'sessions': [{'seconds': None, 'devices': 1}]}):
    write(broken)
    assert runs_lib._seconds(tmp_path) is None


def test_the_field_study_is_the_grid():
  study = plan.load(f'{FIELD}:small')
  data = config_file.run(f'{FIELD}:small')
  assert len(study.seeds) == 8 and len(data['settings']) == 2 and len(data['rows']) == 12
  trainings = [run for run in study.runs if run.kind == 'train']
  assert len(trainings) == 8 * 2 * 12
  assert {(run.set['train.lr'], run.set['train.epochs']) for run in trainings} == {
      (0.05, 20), (0.2, 10)}  # the full one has every pair
  assert len(config_file.run(FIELD)['settings']) == 4
  configs = [plan.resolved(run, {}) for run in study.runs if run.seed == 1]
  assert {config.data.name for config in configs} == {'embedded:field'}
  assert {config.data.val_fraction for config in configs} == {0.5}  # one D_val for both
