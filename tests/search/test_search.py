"""The real search and training commands: what they leave behind. That a kill changes none of it: tests/faults."""

import collections
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import commands
import daas_jax
from daas_jax import config as config_lib
from daas_jax.augment.ops import DAAS_OPS
from daas_jax.data import select
from daas_jax.runtime import loop, progress
from daas_jax.search import job as job_lib


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
  """(config path, workdir, output) of a search that was never interrupted.

  Its folder has a name that its stdout cannot show.
  """
  folder = tmp_path_factory.mktemp('search')
  config = commands.config_file(folder, commands.SEARCH_CONFIG)
  done = commands.run('search', f'--config={config}', f"--workdir={folder / 'Läufe'}",
                      PYTHONIOENCODING='ascii')
  assert done.returncode == 0, done.stderr
  assert f"in {folder / 'L?ufe'}\n" in done.stdout
  return config, folder / 'Läufe', done.stdout


def test_the_workdir_holds_the_result(finished):
  _, run, output = finished
  rows = commands.metrics(run)
  assert [row['phase'] for row in rows] == ['warm-up'] * 6 + ['joint'] * 12
  assert rows[-1]['step'] == 36 and all(np.isfinite(v) for row in rows for v in row.values() if v is not row['phase'])
  assert all(row['grad_norm_gamma'] == 0 for row in rows[:6]) and all(row['grad_norm_gamma'] > 0 for row in rows[6:])
  assert {'entropy_alpha', 'entropy_beta', 'entropy_pi_0', 'skip_share'} <= set(rows[-1])
  policies = json.loads((run / 'policy.json').read_text())['policies']
  assert len(policies) == 14 ** 2 and sum(p['probability'] for p in policies) == pytest.approx(1, abs=1e-6)
  config = json.loads((run / 'config.json').read_text())
  assert config['search']['n_arch'] == 2
  assert config['policy']['ops'] == [op for op in DAAS_OPS if op != 'Color']
  assert "\nColor does nothing on images of 1 channel: left out of the policy's candidates\n" in '\n' + output
  assert list((run / 'checkpoints').iterdir())
  history = [json.loads(line) for line in (run / 'history.jsonl').read_text().splitlines()]
  assert [(row['step'], row['epoch']) for row in history] == [(0, 0), (12, 1), (24, 2), (36, 3)]
  assert history[0]['policy'] == history[1]['policy'] != history[2]['policy']  # the first epoch is warm-up
  says = json.loads((run / 'decided.json').read_text())['sentence']
  assert says.startswith('policy: nothing was found; architecture: ') and f'\n{says}\n' in output
  for part in ('normal cell', 'reduction cell', 'probability', 'entropy_alpha', 'skip_share'):
    assert part in output


def test_the_result_works_in_anyones_own_training(finished):
  _, run, _ = finished
  augment = jax.jit(daas_jax.load_policy(run / 'policy.json'))
  images = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 12, 12, 3)), jnp.float32)
  out = augment(jax.random.key(0), images)
  assert out.shape == images.shape and out.min() >= 0 and out.max() <= 1
  genotype = daas_jax.load_genotype(run / 'genotype.json')
  assert len(genotype.normal) == len(genotype.reduce) == 8


def test_a_finished_search_started_again_changes_nothing(finished):
  config, run, _ = finished
  before = {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()}
  done = commands.run('search', f'--config={config}', f'--workdir={run}')
  assert done.returncode == 0
  assert {p.name: p.read_bytes() for p in run.iterdir() if p.is_file()} == before


def test_a_search_of_what_does_nothing_on_its_images_is_refused(finished, tmp_path):
  config, _, _ = finished
  done = commands.run('search', f'--config={config}', f"--workdir={tmp_path / 'run'}", '--config.policy.ops=Color')
  assert done.returncode == 2 and done.stderr.count('\n') == 1 and 'Color does nothing' in done.stderr
  assert not (tmp_path / 'run').exists()


def test_training_what_was_found(finished, tmp_path):
  _, search, _ = finished
  config = commands.config_file(tmp_path, commands.TRAIN_CONFIG)
  arguments = (f'--config={config}', f'--search={search}')
  done = commands.run('train', *arguments, f"--workdir={tmp_path / 'a'}")
  assert done.returncode == 0, done.stderr
  result = json.loads((tmp_path / 'a' / 'results.json').read_text())
  assert 0 <= result['test_accuracy'] <= 1 and 1 <= result['best_epoch'] <= 3 and result['policy'] == 'searched'
  assert f"test accuracy {result['test_accuracy']:.4f}" in done.stdout


def test_a_search_of_policies_for_a_found_architecture(finished, tmp_path):
  config, first, _ = finished
  words = (f'--config={config}', f"--workdir={tmp_path / 'run'}", '--config.search.warmup_epochs=0',
           '--config.search.epochs=1', '--config.search.n_w=1')
  done = commands.run('search', *words, '--config.network.genotype=searched')
  assert done.returncode == 2 and '--search=WORKDIR' in done.stderr and not (tmp_path / 'run').exists()
  done = commands.run('search', *words, '--config.network.genotype=searched', f'--search={first}')
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'run' / 'genotype.json').read_bytes() == (first / 'genotype.json').read_bytes()
  rows = commands.metrics(tmp_path / 'run')
  assert all(row['grad_norm_gamma'] > 0 and row['grad_norm_arch'] == 0 and 'entropy_alpha' not in row for row in rows)
  assert (tmp_path / 'run' / 'policy.json').read_bytes() != (first / 'policy.json').read_bytes()


@pytest.mark.parametrize('policy,genotype', [('none', 'random:3'), ('trivial_augment', 'FILE'), ('FILE', 'searched')])
def test_every_baseline_is_one_flag_away(finished, tmp_path, policy, genotype):
  _, search, _ = finished
  config = commands.config_file(tmp_path, commands.TRAIN_CONFIG)
  file = {'policy': search / 'policy.json', 'genotype': search / 'genotype.json'}
  done = commands.run('train', f'--config={config}', f"--workdir={tmp_path / 'run'}", f'--search={search}',
                      f"--policy={file['policy'] if policy == 'FILE' else policy}",
                      f"--genotype={file['genotype'] if genotype == 'FILE' else genotype}", '--config.train.epochs=1')
  assert done.returncode == 0, done.stderr
  assert (tmp_path / 'run' / 'results.json').exists()


def test_all_operations_are_candidates_by_default():
  assert len(DAAS_OPS) == 15


def test_fifty_steps_compile_each_program_once(tmp_path):
  """Both phases, ends of epochs, checkpoints: what an epoch has compiled the next ones use again."""
  config = config_lib.search_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 320, 100
  config.network.name, config.network.channels = 'small_cnn', 2
  config.policy.ops, config.policy.share = ('Invert', 'Rotate'), 'slot'
  config.search.epochs, config.search.warmup_epochs, config.search.batch = 5, 2, 16
  config.search.n_arch, config.search.n_w, config.log.every_steps = 2, 2, 4
  job = job_lib.of(config, select.from_config(config))
  assert job.total_steps == 50
  programs, at_step = collections.Counter(), []
  def compiled(event, seconds, fun_name=None, **rest):
    if event.endswith('backend_compile_duration'):
      programs[fun_name] += 1
      at_step.append(steps[0])
  steps = [0]
  def step(state, batch):
    steps[0] += 1
    return job.step(state, batch)
  jax.monitoring.register_event_duration_secs_listener(compiled)
  try:
    with progress.Reporter() as reporter:
      loop.run(job._replace(step=step), str(tmp_path), config, reporter)
  finally:
    jax.monitoring.unregister_event_duration_listener(compiled)
  assert programs['jit(step)'] == 1
  assert max(at_step) <= job.steps_per_epoch, programs  # and nothing new after the first epoch
