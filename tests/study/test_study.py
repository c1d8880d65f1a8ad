"""Studies: how a grid unfolds, its arithmetic against hand and scipy, who runs what, and one real one end to end."""

import itertools
import json
import os
import re
import subprocess
import sys
import textwrap
import time

from conftest import CACHE, ROOT
import commands
import numpy as np
import pytest
from scipy import stats

from daas_jax.config import file as config_file
from daas_jax.runtime import cli
from daas_jax.search import command as search
from daas_jax.study import command as study_command
from daas_jax.train import command as train
from daas_jax.errors import BadInput
from daas_jax.nets.cells import genotype as genotype_lib
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.study import check, plan, runs as runs_lib, statistics, table
from daas_jax.config import installed
from daas_jax.study import workers as workers_lib

STUDIES = sorted(path.stem for path in (ROOT / 'configs' / 'studies').glob('*.py'))
DEFINE = {'search': search.define_flags, 'train': train.define_flags}


def load(name, variant='smoke'):
  return plan.load(f"{ROOT / 'configs' / 'studies' / name}.py:{variant}")


# --- the grid ---


@pytest.mark.parametrize('name, variant', [
    *itertools.product(STUDIES, ['', 'small', 'smoke']), ('in_distribution', 'fashion_mnist')])
def test_every_study_unfolds_into_runs_that_their_commands_accept(name, variant, tmp_path):
  study = load(name, variant)
  assert re.search(r'\b(DAAS|DDAS|DiffAutoML) Table \d', study.title) or name in (
      'vs_random', 'amended', 'field', 'field_lengths', 'in_distribution', 'cost', 'joint_quick', 'joint_faa', 'amended_spaces')
  folders = [run.folder for run in study.runs]
  assert len(set(folders)) == len(folders)
  for i, run in enumerate(study.runs):
    assert run.kind == 'train' or set(run.needs) <= set(folders[:i])
    assert set(run.needs) <= set(folders)
  of_seed = [run for run in study.runs if run.seed == study.seeds[-1]]
  for run in of_seed:  # the other seeds' commands differ in the seed alone
    words = runs_lib.command(run, tmp_path, 'off')
    options = cli.parse(run.kind, words[3:], DEFINE[run.kind])
    assert options.config.to_dict() == plan.resolved(run, {}).to_dict()
    assert options.config.seed == run.seed and options.workdir == str(tmp_path / run.folder)


def test_the_joint_search_is_beside_two_that_are_apart():
  study = load('joint_faa', '')
  configs = {run.name: plan.resolved(run, {}) for run in study.runs if run.seed == 0 and run.kind == 'search'}
  assert len(study.seeds) == 3 and len(configs) == 15  # "We repeated experiments three times"
  assert {c.data.name for c in configs.values()} == {'tfds:cifar10', 'tfds:cifar100', 'tfds:svhn_cropped'}
  assert {c.network.name for c in configs.values() if c.method == 'faster_aa'} == {'wrn_40_2'}
  assert not [c for c in configs.values() if c.method != 'faster_aa' and c.search.epochs not in (25, 50)]
  apart = {run.folder: run for run in study.runs}['trainings/svhn_cropped_baseline_25-1']
  assert (apart.genotype, apart.policy) == ('searches/svhn_cropped_darts_25-1', 'searches/svhn_cropped_faster_aa-1')
  assert plan.resolved(apart, {}).data.name == 'tfds:svhn_cropped'
  assert set(study.references.values()) == {label for label in study.rows if label.endswith('apart')}


def test_a_search_is_given_the_policy_of_another(tmp_path):
  configs = [ROOT / 'configs' / f'{name}.py:smoke' for name in ('daas_small', 'darts_cifar10', 'train_small')]
  path = tmp_path / 'study.py'
  path.write_text(textwrap.dedent(f'''
    def get_config(variant=''):
      return {{'title': 'x', 'seeds': (3,), 'search': '{configs[0]}', 'train': '{configs[2]}',
               'searches': {{'a': {{}}, 'b': {{'config': '{configs[1]}', 'policy': 'a'}},
                            'c': {{'config': '{configs[1]}', 'policy': 'trivial_augment'}}}},
               'trainings': {{'t': {{'genotype': 'b', 'policy': 'a'}}}}, 'rows': {{'r': ('t',)}}, 'reference': 'r'}}
  '''))
  runs = {run.name: run for run in plan.load(str(path)).runs}
  assert runs['b'].needs == ('searches/a-3',) and not runs['c'].needs
  words = {name: runs_lib.command(run, tmp_path, 'off') for name, run in runs.items()}
  assert f"--search={tmp_path / 'searches/a-3'}" in words['b']
  assert not [word for word in words['c'] if word.startswith('--search=')]
  options = {name: cli.parse('search', words[name][3:], search.define_flags) for name in 'bc'}
  assert [options[name].config.policy.name for name in 'bc'] == ['searched', 'trivial_augment']
  assert options['b'].search == str(tmp_path / 'searches/a-3')


def test_ddas_s_tables_hold_what_they_are_about_fixed():
  of = {}
  for name in ('ddas_dynamic', 'ddas_p_tp'):
    study = load(name, '')
    of[name] = {run.folder: plan.resolved(run, {}) for run in study.runs if run.seed == 0}
    assert len(study.seeds) == 3  # "We run every experiment for three times"
    assert {c.data.name for c in of[name].values()} == {'tfds:cifar100'}  # its ablations' set and network
    assert {c.network.name for c in of[name].values()} == {'wrn_40_2', 'wrn_28_10'}
  fixed = {name: c.train.policy_fixed for name, c in of['ddas_dynamic'].items() if 'train' in c}
  assert fixed == {f'trainings/{name}-0': word for name, word in (
      ('dynamic', ''), ('fixed_p_tp', 'p_tp'), ('fixed_p_o', 'p_o'), ('fixed_all', 'all'))}
  study = load('ddas_p_tp', '')
  searches = {run.name: plan.resolved(run, {}) for run in study.runs if run.kind == 'search' and run.seed == 0}
  held = {name: c.policy.p_tp for name, c in searches.items() if not c.gamma.lr_total}
  assert held == {'p_tp_2': 0.2, 'p_tp_4': 0.4, 'p_tp_6': 0.6, 'p_tp_8': 0.8, 'p_tp_10': 1.0}
  assert searches['searched'].policy.p_tp == 0.35 and searches['searched'].gamma.lr_total > 0


@pytest.mark.parametrize('name, seeds', [('default_vs_searched', 4), ('joint_vs_independent', 4), ('mix', 3),
                                         ('seeds', 4), ('aa_only', 3)])
def test_the_full_studies_have_the_papers_seeds_and_configs(name, seeds):
  study = load(name, '')
  assert len(study.seeds) == seeds
  if name == 'aa_only':  # configs of its own
    assert all(plan.resolved(run, {}).network.name in run.name + 'wrn_40_2' for run in study.runs)
    return
  for run in study.runs:
    assert os.path.basename(run.config) in (
        ('daas_cifar10.py', 'daas_cifar100.py') if run.kind == 'search' else ('train_cifar10.py', 'train_cifar100.py'))


def test_seed_by_seed_and_searches_first():
  study = load('default_vs_searched')
  assert [run.folder for run in study.runs] == [
      'searches/joint-0', 'trainings/default-0', 'trainings/searched-0',
      'searches/joint-1', 'trainings/default-1', 'trainings/searched-1']
  default, searched = study.runs[1:3]
  assert (default.genotype, default.policy, default.needs) == ('searches/joint-0', 'standard', ('searches/joint-0',))
  assert (searched.genotype, searched.policy) == ('searches/joint-0', 'searches/joint-0')
  assert study.rows == {'default policy': ('default',), 'searched policy': ('searched',)}
  assert study.references == {'searched policy': 'default policy'}


def test_mix_takes_every_architecture_with_every_policy_once():
  study = load('mix')
  pairs = [(run.genotype, run.policy) for run in study.runs if run.kind == 'train']
  folders = [f'searches/joint-{s}' for s in range(3)]
  assert sorted(pairs) == sorted(itertools.product(folders, folders))
  assert all((run.genotype == run.policy) == (run.name == 'own') for run in study.runs if run.kind == 'train')


def test_independent_search_has_two_stages_of_the_joint_ones_length():
  study = load('joint_vs_independent', '')
  joint, architecture, policy = (plan.resolved(run, {}) for run in study.runs[:3])
  assert joint.search.epochs == architecture.search.epochs == policy.search.epochs == 50  # DAAS 5.2
  assert (architecture.search.warmup_epochs, policy.search.warmup_epochs) == (50, 0)
  assert policy.network.genotype == 'searched' and study.runs[2].genotype == 'searches/architecture-0'
  words = runs_lib.command(study.runs[3], '/s', 'off')
  assert '--search=/s/searches/architecture-0' in words and '--policy_search=/s/searches/policy-0' in words


def test_vs_random_is_the_whole_grid():
  study = load('vs_random', 'small')
  of_first = [run for run in study.runs if run.seed == 0 and run.kind == 'train']
  assert {(run.genotype, run.policy) for run in of_first} == set(itertools.product(
      ('searches/joint-0', 'random:0'), ('searches/joint-0', 'none', 'standard', 'rand_augment', 'trivial_augment')))
  assert sum(run.kind == 'search' for run in study.runs) == 5 and len(study.runs) == 55


def test_amended_darts_is_trained_as_of_several_epochs_of_each_search():
  study = load('amended', 'small')
  trained = {(run.genotype, run.epoch) for run in study.runs if run.kind == 'train' and run.seed == 1}
  searches = [f'searches/eta_{eta}-1' for eta in ('0', '0_01', '0_1', '1')]
  assert trained == set(itertools.product(searches, (25, 50, 100)))
  etas = {plan.resolved(run, {}).search.eta for run in study.runs if run.kind == 'search'}
  assert etas == {0.0, 0.01, 0.1, 1.0}  # Amended-DARTS 4.1.1
  words = runs_lib.command(next(run for run in study.runs if run.epoch == 50), '/s', 'off')
  assert '--genotype=searched:50' in words and '--search=/s/searches/eta_0-0' in words
  assert study.references['eta = 1, 50 epochs'] == 'eta = 0, 50 epochs' and 'eta = 0, 50 epochs' not in study.references


@pytest.mark.parametrize('given', [{'genotype': 'eta_0', 'epoch': -1}, {'genotype': 'eta_0', 'epoch': '5'},
                                   {'genotype': 'random', 'epoch': 5}, {'epoch': 5}])
def test_an_epoch_of_no_search_is_bad_input(given):
  data = config_file.run(f"{ROOT / 'configs' / 'studies' / 'amended.py'}:smoke")
  data['trainings']['eta_0_1'] = {'policy': 'standard'} | given
  with pytest.raises(BadInput, match="'epoch'"):
    check.shape(data)


def test_random_architectures_weigh_what_the_searched_one_does():
  study = load('in_distribution')
  drawn = [run for run in study.runs if run.name == 'random_1'][0]
  assert drawn.genotype == f'random_like:{2**32}' and drawn.needs == ('searches/joint-0',)
  words = runs_lib.command(drawn, '/s', 'off')
  folder = '/s/searches/joint-0'
  assert {f'--genotype=random_like:{2**32}', f'--search={folder}', f'--policy_search={folder}'} <= set(words)
  given = json.loads(study.text)['runs'][drawn.folder]
  assert given['like'] == 'searches/joint-0' and 'like' not in json.loads(study.text)['runs']['trainings/searched_standard-0']


def test_random_architectures_are_of_the_search_s_space():
  study = load('amended_spaces')
  drawn = [run for run in study.runs if run.name == 's2_random_1'][0]
  assert drawn.genotype == f'random:{2**32}' and drawn.needs == ('searches/s2_amended-0',)
  words = runs_lib.command(drawn, '/s', 'off')
  assert {f'--genotype=random:{2**32}', '--search=/s/searches/s2_amended-0', '--policy=standard'} <= set(words)


@pytest.mark.parametrize('given', [{'genotype': 'random', 'like': 'other'}, {'genotype': 'random', 'like': ['joint']},
                                   {'genotype': 'random', 'like': 'joint', 'of': 'joint'},
                                   {'genotype': 'joint', 'like': 'joint'}, {'like': 'joint'}])
def test_like_what_cannot_be_is_bad_input(given):
  data = config_file.run(f"{ROOT / 'configs' / 'studies' / 'in_distribution.py'}:smoke")
  data['trainings']['searched_standard'] = {'policy': 'standard'} | given
  with pytest.raises(BadInput, match="'like'") as error:
    check.shape(data)
  assert '\n' not in str(error.value)


# --- arithmetic ---


def test_mean_and_deviation_by_hand():
  assert statistics.mean_and_deviation([1, 2, 6]) == (3, pytest.approx(7 ** 0.5))  # (4 + 1 + 9) / 2
  assert statistics.mean_and_deviation([4]) == (4, None) and statistics.mean_and_deviation([]) == (None, None)


def test_sign_flips_by_hand():
  assert statistics.sign_flip_p([3.0]) == 1
  assert statistics.sign_flip_p([1, 1, 1]) == 2 / 8  # only all plus and all minus are as far from 0
  assert statistics.sign_flip_p([2, 2, -1]) == 4 / 8  # of the sums +-3, +-5 and four +-1, those from 3 on
  assert statistics.sign_flip_p([0, 0]) == 1
  assert statistics.sign_flip_p([0.1, 0.2, -0.3]) == 1  # a sum of 0, were it not for its rounding
  assert statistics.sign_flip_p([5, 6, 7, 8, 9]) == 2 / 2 ** 5  # the least that five seeds can give


@pytest.mark.parametrize('n', [2, 5, 9])
def test_sign_flips_are_those_of_enumeration_and_of_scipy(n):
  d = np.random.default_rng(n).normal(0.4, 1, n)
  flipped = [abs(np.dot(signs, d)) for signs in itertools.product((1, -1), repeat=n)]
  assert statistics.sign_flip_p(d) == np.mean(np.array(flipped) >= abs(d.sum()) * (1 - 1e-12))
  found = stats.permutation_test((d,), lambda x, axis: np.mean(x, axis), permutation_type='samples', vectorized=True)
  assert statistics.sign_flip_p(d) == pytest.approx(found.pvalue)


def test_many_seeds_are_sampled_near_the_exact_value():
  d = np.random.default_rng(0).normal(0.3, 1, 20)
  signs = 1 - 2 * ((np.arange(2 ** 20)[:, None] >> np.arange(20)) & 1).astype(np.int8)
  exact = np.mean(np.abs(signs @ d) >= abs(d.sum()) * (1 - 1e-12))
  assert statistics.sign_flip_p(d) == pytest.approx(exact, abs=5 * (exact / 1e5) ** 0.5)


def test_t_interval_is_scipys():
  d = [0.3, -0.1, 0.8, 0.5]
  low, high = stats.t.interval(0.95, 3, np.mean(d), stats.sem(d))
  assert statistics.t_interval(d) == (pytest.approx(low), pytest.approx(high))
  assert statistics.t_interval([1.0]) is None


def test_only_seeds_that_both_have_are_paired():
  assert statistics.paired({0: 3.0, 1: 5.0, 2: 99.0}, {0: 1.0, 1: 2.0, 7: 0.0}) == {
      'seeds': 2, 'mean': 2.5, 'low': pytest.approx(2.5 - 12.7062 * 0.5, abs=1e-4),
      'high': pytest.approx(2.5 + 12.7062 * 0.5, abs=1e-4), 'p': 0.5}
  assert statistics.paired({0: 1.0}, {1: 1.0}) is None
  assert statistics.paired({0: 1.0}, {0: 3.0}) == {'seeds': 1, 'mean': -2.0, 'low': None, 'high': None, 'p': 1.0}


def test_rows_of_a_table_by_hand(tmp_path):
  study = load('mix')
  errors = {'own': (10.0, 12.0, 14.0), 'next': (11.0, 13.0, 13.0), 'second_next': (13.0, 15.0, None)}
  results = {f'trainings/{name}-{s}': {'error': e, 'parameters': 1000 + s} for name, es in errors.items()
             for s, e in enumerate(es) if e is not None}
  failures = {'trainings/second_next-2': 'killed | by signal 9'}
  others, own = table.rows(study, results, failures)
  assert others['values'] == {0: 12.0, 1: 14.0} and own['values'] == {0: 10.0, 1: 12.0, 2: 14.0}
  assert (own['mean'], own['std'], own['best'], own['seeds'], own['parameters']) == (12, 2, 10, 3, 1001)
  assert others['difference'] is None and others['reference'] is None and others['failed'] == failures
  assert own['reference'] == 'policies of two other searches'
  assert own['difference'] == {'seeds': 2, 'mean': -2.0, 'low': -2.0, 'high': -2.0, 'p': 0.5}
  text = table.write(tmp_path, study, results, failures)
  assert (tmp_path / 'table.md').read_text() == text
  assert '| own policy | 1,001 | 3 of 3 | 12.00 | 2.00 | 10.00 | -2.00 | -2.00 to -2.00 | 0.5 |' in text
  assert '8 of 9 trainings are over' in text and '| second_next | 13.00 | 15.00 | failed |' in text
  assert 'killed | by signal 9' in text and 'With 2 seeds no p is below 0.5' in text
  assert json.loads((tmp_path / 'table.json').read_text())['rows'][1]['mean'] == 12


# --- who runs what: the real command, with runs that only write what a run writes ---

POLICY = {'format': 'daas_jax.policy', 'version': 1, 'ops': ['Rotate'], 'K': 1, 'levels': 10,
          'policies': [{'ops': ['Rotate'], 'probability': 1.0, 'p': [0.5], 'level': [3]}]}
# Words: kind, workdir, seed, name, JSON of {name: seconds} that are slow, names that fail.
FAKE = '''
import json, os, sys, time
kind, folder, seed, name, slow, fail, policy, genotype = sys.argv[1:]
with open(folder + '/starts.txt', 'a') as file:
  file.write('start\\n')
time.sleep(json.loads(slow).get(name, 0))
if name in fail.split(','):
  sys.exit('no luck | today')
write = lambda path, text: (open(path + '.new', 'w').write(text), os.replace(path + '.new', path))
write(folder + '/config.json', '{"network": {"name": "supernet"}}')
if kind == 'search':
  write(folder + '/genotype.json', genotype)
  write(folder + '/policy.json', policy)
else:
  accuracy = {'default': 0.8, 'searched': 0.9}[name] + 0.01 * int(seed)
  write(folder + '/results.json', json.dumps({'test_accuracy': accuracy, 'parameters': 7, 'seed': int(seed)}))
'''
DRIVER = '''
import sys
import conftest  # which finds test_study
import test_study
test_study.patch(*sys.argv[1:3])
sys.exit(test_study.study_command.main(sys.argv[3:]))
'''
GENOTYPE = genotype_lib.to_text(genotype_lib.random_genotype(0, DAAS_PRIMITIVES))


def patch(slow='{}', fail='', setattr=setattr):
  def command(run, root, cache):
    return [sys.executable, '-S', '-c', FAKE, run.kind, os.path.join(root, run.folder), str(run.seed), run.name, slow,
            fail, json.dumps(POLICY), GENOTYPE]
  setattr(runs_lib, 'command', command)


class Folder:
  """A study's folder and what is done with it."""

  def __init__(self, path, monkeypatch, capsys):
    self.path, self._monkeypatch, self._capsys = path, monkeypatch, capsys
    self.words = [f"--config={ROOT / 'configs' / 'studies' / 'default_vs_searched.py'}:smoke", f'--workdir={path}']

  def run(self, *words, slow='{}', fail=''):
    """(status, stdout, stderr) of the command in this process."""
    patch(slow, fail, self._monkeypatch.setattr)
    self._monkeypatch.setattr('daas_jax.study.workers._LOOK_AGAIN', 0.1)
    status = study_command.main([*self.words, *words])
    return status, *self._capsys.readouterr()

  def start(self, *words, slow='{}', fail=''):
    return subprocess.Popen([sys.executable, '-c', DRIVER, slow, fail, *self.words, *words], cwd=ROOT / 'tests',
                            env=commands.environment(PYTHONPATH=str(ROOT)), stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)

  def starts(self):
    return {str(p.parent.relative_to(self.path)): p.read_text().count('start')
            for p in sorted(self.path.glob('*/*/starts.txt'))}

  def snapshot(self, *names):
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for name in names or ('.',)
            for p in (self.path / name).rglob('*') if p.is_file()}

  def table(self):
    return json.loads((self.path / 'table.json').read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch, capsys):
  return Folder(tmp_path / 'study', monkeypatch, capsys)


ALL = ('searches/joint-0', 'searches/joint-1', 'trainings/default-0', 'trainings/default-1', 'trainings/searched-0',
       'trainings/searched-1')


def wait_for(condition):
  until = time.monotonic() + 300
  while not condition():
    assert time.monotonic() < until
    time.sleep(0.02)


def test_a_study_runs_once_and_ends_in_its_table(folder):
  status, out, err = folder.run()
  assert status == 0 and err == ''
  assert folder.starts() == dict.fromkeys(ALL, 1)
  lines = [line for line in out.splitlines() if line.startswith('[')]
  assert len(lines) == 12 and lines[0].startswith('[0/6] searches/joint-0 begins')
  assert lines[-1].startswith('[6/6] trainings/searched-1 is over') and 'test error 9.00 %' in lines[-1]
  assert any('left' in line for line in lines)
  default, searched = folder.table()['rows']
  assert searched['mean'] == pytest.approx(9.5) and searched['difference']['mean'] == pytest.approx(-10)
  assert '| searched policy | 7 | 2 of 2 | 9.50 | 0.71 | 9.00 | -10.00 |' in out
  before = folder.snapshot('searches', 'trainings')
  status, out, _ = folder.run()
  assert status == 0 and '[' not in out.split('\n')[0] and folder.snapshot('searches', 'trainings') == before


def test_workers_in_one_command_share_the_runs(folder):
  begun = time.monotonic()
  assert folder.run('--workers=3', slow='{"default": 1.5, "searched": 1.5, "joint": 1.5}')[0] == 0
  assert folder.starts() == dict.fromkeys(ALL, 1)
  assert time.monotonic() - begun < 9  # one after the other


def test_commands_on_one_folder_share_the_runs(folder):
  two = [folder.start(slow='{"joint": 0.4, "default": 0.2}') for _ in range(2)]
  assert [process.wait(120) for process in two] == [0, 0]
  assert folder.starts() == dict.fromkeys(ALL, 1)
  assert folder.table()['runs']['train'] == {'total': 4, 'finished': 4, 'failed': 0}


def test_killed_study_goes_on_and_leaves_what_is_finished(folder):
  with folder.start(slow='{"searched": 3}') as one:
    wait_for(lambda: (folder.path / 'trainings/searched-0/starts.txt').exists())
    one.kill()
  finished = ('searches/joint-0', 'trainings/default-0')
  before = folder.snapshot(*finished)
  assert len(before) > 6 and not (folder.path / 'trainings/searched-0/results.json').exists()
  status, out, _ = folder.run()
  assert status == 0 and folder.snapshot(*finished) == before
  # The run outlived its worker, and with it the claim: nobody began it again.
  assert folder.starts() == dict.fromkeys(ALL, 1) and 'trainings/searched-0 begins' not in out


def test_a_later_command_tries_what_failed_and_nothing_else(folder):
  folder.run(fail='searched')
  folder.run(fail='searched')
  assert folder.starts()['trainings/searched-0'] == 2 and folder.starts()['trainings/default-0'] == 1


def test_a_failing_training_is_a_row_and_status_1(folder):
  status, out, _ = folder.run(fail='default')
  assert status == 1 and folder.starts() == dict.fromkeys(ALL, 1)
  assert 'trainings/default-0 failed after' in out and '- `trainings/default-1`: no luck | today' in out
  default, searched = folder.table()['rows']
  assert default['seeds'] == 0 and len(default['failed']) == 2 and searched['seeds'] == 2
  assert searched['difference'] is None
  status, _, _ = folder.run()  # a later command tries again
  assert status == 0 and folder.starts()['trainings/default-0'] == 2 and folder.starts()['trainings/searched-0'] == 1


def test_a_failing_search_fails_what_needs_it(folder):
  status, out, _ = folder.run(fail='joint')
  assert status == 1 and folder.starts() == {'searches/joint-0': 1, 'searches/joint-1': 1}
  assert '`trainings/searched-1`: not run: searches/joint-1 failed' in out


def test_a_run_that_is_killed_says_so(folder):
  with folder.start(slow='{"joint": 60}') as one:
    wait_for(lambda: (folder.path / 'searches/joint-0/starts.txt').exists())
    children = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(one.pid)], text=True, capture_output=True, check=True)
    for pid in children.stdout.split():
      os.kill(int(pid), 9)
    wait_for(lambda: (folder.path / 'searches/joint-0/record.json').exists())
    one.terminate()  # a cluster's way to stop: its second search ends with it
    assert one.wait(60) == 75
  assert 'out of memory' in json.loads((folder.path / 'searches/joint-0/record.json').read_text())['said']
  assert not (folder.path / 'searches/joint-1/record.json').exists()


def test_list_prints_the_runs_and_touches_nothing(folder):
  status, out, _ = folder.run('--list')
  assert status == 0 and not folder.path.exists()
  assert [line.split(':')[0] for line in out.splitlines() if line.startswith('to do')] == [
      f'to do    {name}' for name in sorted(ALL, key=lambda name: name.split('-')[1])]
  assert '2 searches and 4 trainings, 0 of them finished' in out
  folder.run(fail='default')
  before = folder.snapshot()
  out = folder.run('--dry-run')[1]
  assert out.count('finished ') == 4 and out.count('failed ') == 2 and folder.snapshot() == before


# --- bad input: one line, status 2, nothing changed ---


def refused(folder, *words):
  before = folder.snapshot()
  status, out, err = folder.run(*words)
  assert status == 2 and out == '' and err.startswith('daas_jax.study: ') and err.count('\n') == 1, err
  assert folder.snapshot() == before
  return err


@pytest.mark.parametrize('words, says', [
    (['--workers=0'], '--workers'), (['--workers=-1'], '--workers'), (['--workers=two'], '--workers'),
    (['--workers='], '--workers'), (['stray'], 'stray'), (['--worker=2'], '--worker'),
    (['--workdir='], '--workdir is missing'),
    (['--config='], '--config is missing'),
    ([f"--config={ROOT / 'configs' / 'studies' / 'mixx.py'}:small"], 'did you mean'),
    (['--config=nowhere/at_all.py'], 'no study'),
    ([f"--config={ROOT / 'configs' / 'studies' / 'mix.py'}:smal"], "'small'"),
    ([f"--config={ROOT / 'configs' / 'studies' / 'in_distribution.py'}:fashion"], "'fashion_mnist'"),
    ([f"--config={ROOT / 'configs' / 'quickstart.py'}"], 'is no study'),
])
def test_bad_words(folder, words, says):
  assert says in refused(folder, *words) and not folder.path.exists()


def test_folder_of_another_study_or_of_something_else(folder):
  folder.run()
  folder.words[0] = folder.words[0].replace('default_vs_searched', 'seeds')
  assert 'another config' in refused(folder)
  assert 'another config' in refused(folder, '--list')
  (folder.path / 'config.json').unlink()
  assert 'no config.json' in refused(folder)


@pytest.mark.parametrize('name, content', [
    ('trainings/default-1/results.json', '{"test_accuracy": 0.8, "param'), ('trainings/default-1/results.json', '[]'),
    ('trainings/default-1/results.json', '{"test_accuracy": 1.8, "parameters": 7, "seed": 1}'),
    ('trainings/default-1/results.json', '{"test_accuracy": 0.8, "parameters": 7, "seed": 0}'),
    ('searches/joint-0/policy.json', ''), ('searches/joint-0/genotype.json', '{}'),
])
def test_damaged_result_is_named_and_kept(folder, name, content):
  folder.run()
  (folder.path / name).write_text(content)
  assert name in refused(folder)
  assert name in refused(folder, '--list')


STUDY = '''
    from daas_jax.study.plan import bases
    def get_config(variant=''):
      return bases('smoke', 2) | {
          'title': 'x', 'search': SEARCH, 'train': TRAIN, 'searches': {'a': {}},
          'trainings': {'t': {'genotype': 'a', 'policy': 'a'}}, 'rows': {'r': ('t',)}, 'reference': 'r'}
'''


@pytest.mark.parametrize('old, new, says', [
    ("'searches': {'a': {}}", "'searches': {'a': {'set': {'search.epoch': 3}}}", "'search.epochs'"),
    ("'searches': {'a': {}}", "'searches': {'a': {'set': {'search.epochs': 0}}}", "'search.epochs' must be"),
    ("'searches': {'a': {}}", "'searches': {'b': {}}", 'no search of this study'),
    ("'searches': {'a': {}}", "'searches': {'none': {}}", "'none'"),
    ("'searches': {'a': {}}", "'searches': {'a/b': {}}", "'a/b'"),
    ("'searches': {'a': {}}", "'searches': {'a': {'genotype': 'a'}}", 'no search of this study'),
    ("'searches': {'a': {}}", "'searches': {'a': {'seed': 3}}", "unknown key 'seed'"),
    ("'searches': {'a': {}}", "'searches': {'a': {'policy': 'a'}}", 'no search of this study'),
    ("'searches': {'a': {}}", "'searches': {'a': {'policy': 'standard'}}", "'policy.name'"),
    ("'searches': {'a': {}}", "'searches': {'b': {}, 'c': {}, 'a': {'genotype': 'b', 'policy': 'c'}}", 'both must be of'),
    ("'searches': {'a': {}}", "'searches': {'a': {'set': {'search.warmup_epochs': 2}}}", 'finds no policy'),
    ("'policy': 'a'", "'policy': 'standrad'", "'standrad'"),
    ("'policy': 'a'", "'policy': 'a', 'shift': 2", 'shift'),
    ("'rows': {'r': ('t',)}", "'rows': {'r': ('u',)}", "row 'r'"),
    ("'rows': {'r': ('t',)}", "'rows': {'r': 't'}", "row 'r'"),
    ("'rows': {'r': ('t',)}", "'rows': {'r': ('searches/a',)}", "'searches/a', a search that ends with no network"),
    ("'rows': {'r': ('t',)}", "'rows': {'r': ('searches/t',)}", "row 'r'"),
    ("'reference': 'r'", "'reference': 'r', 'train': None", "'train' is missing"),
    ("'reference': 'r'", "'reference': 'q'", "'q'"),
    ("'reference': 'r'", "'reference': 'r', 'extra': 1", "'extra'"),
    ("'reference': 'r'", "'reference': 'r', 'seeds': (0, 0)", 'different whole numbers'),
    ("'reference': 'r'", "'reference': 'r', 'train': 'nowhere.py'", 'no config file'),
    ("'reference': 'r'", "'reference': 'r', 'train': SEARCH", 'daas_jax.search'),
])
def test_what_a_study_file_gets_wrong(tmp_path, old, new, says):
  text = textwrap.dedent(STUDY)
  assert old in text
  path = tmp_path / 'study.py'
  configs = '\n'.join(f'{kind} = {str(ROOT / "configs" / file)!r}' for kind, file in (
      ('SEARCH', 'daas_small.py:smoke'), ('TRAIN', 'train_small.py:smoke')))
  path.write_text(f'{configs}\n{text}')
  plan.load(str(path))
  path.write_text(f'{configs}\n{text.replace(old, new)}')
  with pytest.raises(BadInput) as info:
    plan.load(str(path))
  assert says in str(info.value) and '\n' not in str(info.value)


def test_configs_of_a_study_may_lie_in_the_home_folder(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(ROOT))
  path = tmp_path / 'study.py'
  path.write_text("SEARCH = '~/configs/daas_small.py:smoke'\n"
                  "TRAIN = '~/configs/train_small.py:smoke'\n" + textwrap.dedent(STUDY))
  assert {run.config for run in plan.load(str(path)).runs} == {
      f'{ROOT}/configs/daas_small.py:smoke', f'{ROOT}/configs/train_small.py:smoke'}


def test_a_study_may_lie_anywhere(tmp_path, monkeypatch):
  """In a folder with a colon, with configs beside it, and others by their names in the package."""
  folder = tmp_path / 'a:b'
  folder.mkdir()
  (folder / 'c:d.py').write_bytes((ROOT / 'configs' / 'daas_small.py').read_bytes())
  text = textwrap.dedent(STUDY).replace('SEARCH', "'c:d.py:smoke'")
  (folder / 'study.py').write_text(text.replace(", 'train': TRAIN", ''))
  study = plan.load(str(folder / 'study.py'))
  search_run, training = study.runs[:2]
  assert search_run.config == f"{folder / 'c:d.py'}:smoke"
  assert training.config == f"{os.path.join(installed.configs(), 'train_small.py')}:smoke"
  assert set(json.loads(study.text)['configs']) == {'c:d.py:smoke', 'train_small.py:smoke'}
  monkeypatch.chdir(folder)
  assert plan.load('study.py').text == study.text


def test_runs_are_told_to_end_once(tmp_path, folder):
  """By the study, and not by its worker when one of them has ended: that would kill who still saves."""
  class Run:
    told = 0
    poll = staticmethod(lambda: None)
    def terminate(self):
      self.told += 1
  workers = workers_lib.Workers(load('mix'), tmp_path, 2, 'off')
  runs = [Run(), Run(), Run()]
  workers._started(runs[0])
  workers._started(runs[1])
  workers._halt()
  workers._started(runs[2])  # begun in the same moment
  workers._halt()
  assert [run.told for run in runs] == [1, 1, 1]


# --- one real study ---


def test_smoke_study_end_to_end(tmp_path):
  root = tmp_path / 'Bücher'
  done = commands.run('study', '--config=configs/studies/default_vs_searched.py:smoke', f'--workdir={root}',
                      PYTHONIOENCODING='ascii')
  printed = [p.read_text(encoding='utf-8') for p in root.rglob('output.txt')]
  assert done.returncode == 0, done.stdout + done.stderr + ''.join(printed)
  assert len(printed) == 6 and all(f' in {root}/' in text for text in printed)
  rows = json.loads((root / 'table.json').read_text())['rows']
  assert [row['seeds'] for row in rows] == [2, 2] and rows[1]['difference']['seeds'] == 2
  for seed in range(2):  # what a training was done with lies beside it
    search_folder, training = root / f'searches/joint-{seed}', root / f'trainings/searched-{seed}'
    for name in ('genotype.json', 'policy.json'):
      assert (training / name).read_bytes() == (search_folder / name).read_bytes()
    found = json.loads((training / 'results.json').read_text())
    assert rows[1]['values'][str(seed)] == pytest.approx(100 * (1 - found['test_accuracy']))
  assert f'written: table.md, table.json in {root}'.replace('ü', '?') in done.stdout
  assert CACHE in done.args[-1]
