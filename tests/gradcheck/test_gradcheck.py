"""The command: its files, that it goes on where it was, and what it says of bad input."""

import json
import os

import pytest

import commands

CONFIG = '''
from daas_jax.config import gradcheck_config

def get_config():
  config = gradcheck_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 200, 10
  config.network.name, config.network.channels = 'small_cnn', 4
  config.policy.ops, config.policy.levels, config.policy.share = ('Rotate', 'Solarize'), 2, 'slot'
  config.search.epochs, config.search.warmup_epochs, config.search.batch = 2, 1, 10
  config.search.n_arch, config.search.n_aug, config.search.n_w = 1, 2, 1
  config.lab.step, config.lab.draws, config.lab.history = 3, 4, 3
  config.lab.arch_primitives, config.lab.arch_steps, config.lab.arch_draws = ('skip_connect', 'max_pool_3x3'), 2, 50
  config.lab.arch_large_primitives = ('skip_connect', 'max_pool_3x3')
  return config
'''
FIELDS = {'estimator', 'group', 'bias', 'variance', 'cosine_mean', 'cosine_p05', 'cosine_p95', 'passes', 'seconds'}


@pytest.fixture(scope='module')
def ran(tmp_path_factory):
  folder = tmp_path_factory.mktemp('gradcheck')
  config = commands.config_file(folder, CONFIG)
  workdir = folder / 'run'
  done = commands.run('gradcheck', f'--config={config}', f'--workdir={workdir}')
  assert done.returncode == 0, done.stderr
  return config, workdir, done.stdout


def _rows(workdir, name='gradcheck.json'):
  with open(os.path.join(workdir, name), encoding='utf-8') as file:
    return json.load(file)


def test_rows_figure_and_table(ran):
  _, workdir, shown = ran
  rows = _rows(workdir)
  assert all(FIELDS <= set(row) for row in rows)
  assert [(row['estimator'], row['group']) for row in rows[:4]] == [('exact', g) for g in ('pi', 'p', 'delta', 'all')]
  assert rows[3]['bias'] == rows[3]['variance'] == 0 and rows[3]['cosine_mean'] == 1
  assert (workdir / 'gradcheck.png').stat().st_size > 10_000
  for name, count in (('gradcheck_arch.json', 2 ** 3), ('gradcheck_arch_large.json', 2 ** 4)):
    first = _rows(workdir, name)[0]
    assert first['estimator'] == 'exact' and first['passes'] == count
  for row in rows:
    assert f"\n{row['estimator']} " in shown


def test_the_same_command_takes_up_kept_draws_and_gives_the_same_rows(ran, tmp_path):
  config, workdir, _ = ran
  before, kept = _rows(workdir), (workdir / 'draws' / 'same.npz').stat().st_mtime_ns
  os.remove(workdir / 'gradcheck.json')
  os.remove(workdir / 'draws' / 'uniform.npz')  # as if it had been cut short there
  assert commands.run('gradcheck', f'--config={config}', f'--workdir={workdir}').returncode == 0
  assert (workdir / 'draws' / 'same.npz').stat().st_mtime_ns == kept
  without_times = lambda rows: [{k: v for k, v in row.items() if k != 'seconds'} for row in rows]
  assert without_times(_rows(workdir)) == without_times(before)


@pytest.mark.parametrize('flag,said', [
    ('--config.lab.step=50', "config key 'lab.step' must be below the 20 steps of the search, not 50"),
    ('--config.policy.levels=100', 'make the policy space'),
    ('--config.lab.draws=1', "config key 'lab.draws' must be in [2, 10000], not 1"),
    ("--config.lab.estimators=('eq31',)", "nearest: eq13"),
    ("--config.lab.arch_primitives=('skip_connect',)", 'at least two operations'),
    ("--config.lab.arch_large_primitives=('skip_connect',)", 'at least two operations'),
    ('--config.lab.arch_draws=1', 'must be 0 or in [2, 1000000]'),
    ('--config.search.n_aug=1', "config key 'search.n_aug' must be at least 2 here"),
    ('--config.lab.stpe=3', "the nearest is 'lab.step'"),
])
def test_bad_input_is_one_line_and_status_2(ran, tmp_path, flag, said):
  config, _, _ = ran
  extra = ['--config.policy.K=3'] if 'levels' in flag else []
  done = commands.run('gradcheck', f'--config={config}', f'--workdir={tmp_path / "new"}', flag, *extra)
  assert done.returncode == 2
  assert said in done.stderr and len(done.stderr.strip().splitlines()) == 1
  assert not list(tmp_path.glob('new/gradcheck*'))


def test_a_search_config_is_refused(tmp_path):
  config = commands.config_file(tmp_path, commands.SEARCH_CONFIG)
  done = commands.run('gradcheck', f'--config={config}', f'--workdir={tmp_path / "new"}')
  assert done.returncode == 2 and 'python -m daas_jax.search' in done.stderr


def test_a_damaged_draw_is_made_again(ran):
  config, workdir, _ = ran
  path = workdir / 'draws' / 'uniform.npz'
  path.write_bytes(path.read_bytes()[:50])
  done = commands.run('gradcheck', f'--config={config}', f'--workdir={workdir}')
  assert done.returncode == 0, done.stderr
  assert path.stat().st_size > 50
