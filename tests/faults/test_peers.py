"""Two real processes of one search: killed, left alone, told to end, given bad input; nothing is lost by any of it.

In float64, so that a run on another number of devices is the same run but for 1e-9 (tests/parallel/test_numbers.py).
"""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest

import commands

HEARTBEAT = 10  # seconds: of a peer that dies the others hear at once where they wait for it, else after this long
CONFIG = '''
from daas_jax.config import search_config

def get_config():
  config = search_config('ddas')
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 320, 100
  config.network.name, config.network.channels = 'small_cnn', 2
  # At step 188 a value lies so near a kink that the order of a sum decides on which side.
  config.search.epochs, config.search.batch = 4, 4
  config.search.n_policies, config.search.val_batches = 4, 1
  config.parallel.over = 'data'
  config.log.every_steps, config.checkpoint.every_steps = 2, 4
  return config
'''
QUICK = dict(JAX_ENABLE_X64='1')


@pytest.fixture(scope='module')
def config(tmp_path_factory):
  return commands.config_file(tmp_path_factory.mktemp('config'), CONFIG)


@pytest.fixture(scope='module')
def straight(config, tmp_path_factory):
  """The workdir of the same search on one device, to which nothing happened."""
  folder = tmp_path_factory.mktemp('straight') / 'run'
  done = commands.run('search', f'--config={config}', f'--workdir={folder}', **QUICK)
  assert done.returncode == 0, done.stderr
  return folder


def _begin(config, folder, *more):
  return commands.cluster(2, f'--config={config}', f'--workdir={folder}', f'--heartbeat_seconds={HEARTBEAT}', *more,
                          **QUICK)


def _until_step(folder, step, processes):
  """Waits for a line of metrics of that step or a later one."""
  path, begun = os.path.join(folder, 'metrics.jsonl'), time.monotonic()
  while not (os.path.exists(path) and any(row['step'] >= step for row in commands.metrics(folder))):
    ended = [p for p in processes if p.poll() is not None]
    assert not ended, ended[0].stderr.read()[-2000:]
    assert time.monotonic() - begun < 300
    time.sleep(0.02)


def _said(process, seconds):
  """(exit status, last line on stderr) of a process that ends within so many seconds."""
  try:
    _, stderr = process.communicate(timeout=seconds)
  finally:
    process.kill()
  lines = [line for line in stderr.splitlines() if line.startswith('daas_jax')]
  return process.returncode, lines


def _resume(config, folder, devices):
  done = commands.run('search', f'--config={config}', f'--workdir={folder}', f'--config.parallel.devices={devices}',
                      XLA_FLAGS=f'--xla_force_host_platform_device_count={devices}', **QUICK)
  assert done.returncode == 0, done.stderr
  return done.stdout


def _same(folder, straight):
  """Asserts that a run has the lines and the policy of the one to which nothing happened."""
  one, two = commands.metrics(straight), commands.metrics(folder)
  assert [row['step'] for row in two] == [row['step'] for row in one]
  for a, b in zip(one, two):
    for name, value in a.items():
      if isinstance(value, float):
        np.testing.assert_allclose(b[name], value, rtol=1e-9, atol=1e-12, err_msg=f"{name} at {a['step']}")
  texts = [(path / 'policy.json').read_text(encoding='utf-8') for path in (straight, folder)]
  probabilities = [np.array([float(x) for x in _numbers(json.loads(text))]) for text in texts]
  np.testing.assert_allclose(*probabilities, rtol=1e-6)


def _numbers(content):
  if isinstance(content, dict):
    return [x for value in content.values() for x in _numbers(value)]
  if isinstance(content, list):
    return [x for value in content for x in _numbers(value)]
  return [content] if isinstance(content, (int, float)) and not isinstance(content, bool) else []


def test_two_processes_killed_and_resumed_on_one_and_on_four_devices(config, straight, tmp_path, fault):
  folder = tmp_path / 'run'
  both = _begin(config, folder)
  _until_step(folder, 10, both)
  for process in both:
    process.kill()
    process.communicate()
  first = len(commands.metrics(folder))
  alone = commands.start('search', f'--config={config}', f'--workdir={folder}', '--config.log.every_steps=2', **QUICK)
  _until_step(folder, commands.metrics(folder)[-1]['step'] + 4, [alone])
  alone.kill()
  alone.communicate()
  assert first < len(commands.metrics(folder)) < len(commands.metrics(straight))
  assert 'resuming from the checkpoint of step' in _resume(config, folder, 4)
  _same(folder, straight)
  fault('two processes killed, resumed on one device and then on four', 2)


@pytest.mark.parametrize('dead', [0, 1])
def test_a_peer_that_dies_ends_the_other_in_one_line(dead, config, straight, tmp_path, fault):
  folder = tmp_path / 'run'
  both = _begin(config, folder)
  _until_step(folder, 6, both)
  both[dead].kill()
  status, lines = _said(both[1 - dead], 3 * HEARTBEAT)
  both[dead].communicate()
  assert status == 75 and len(lines) == 1, (status, lines)
  assert 'another process of this run is not there' in lines[0]
  _resume(config, folder, 1)
  _same(folder, straight)
  fault('a peer that dies')


def test_a_peer_that_hangs_ends_the_other_after_its_heartbeat(config, tmp_path, fault):
  folder = tmp_path / 'run'
  both = _begin(config, folder)
  _until_step(folder, 4, both)
  os.kill(both[1].pid, signal.SIGSTOP)
  status, lines = _said(both[0], 6 * HEARTBEAT)
  both[1].kill()
  both[1].communicate()
  assert status == 75 and len(lines) == 1 and 'is not there' in lines[0], (status, lines)
  fault('a peer that hangs')


def test_sigterm_to_one_process_ends_both_with_the_state_saved(config, straight, tmp_path, fault):
  folder = tmp_path / 'run'
  both = _begin(config, folder)
  _until_step(folder, 4, both)
  both[1].terminate()
  (status, lines), (other, none) = _said(both[0], 60), _said(both[1], 60)
  assert (status, other) == (75, 75) and len(lines) == 1 and not none, (lines, none)
  assert 'ended on SIGTERM after step' in lines[0]
  _resume(config, folder, 2)
  _same(folder, straight)
  fault('SIGTERM to one of two processes')


def test_ctrl_c_before_all_processes_are_there_is_not_forgotten(config, tmp_path, fault):
  folder, port = tmp_path / 'run', commands.free_port()
  words = (f'--config={config}', f'--workdir={folder}', f'--heartbeat_seconds={HEARTBEAT}')
  early, = commands.cluster(2, *words, index=1, port=port, **QUICK)
  _until_it_hears(early)
  early.send_signal(signal.SIGINT)
  time.sleep(1)
  late, = commands.cluster(2, *words, index=0, port=port, **QUICK)
  (status, lines), (other, none) = _said(late, 120), _said(early, 120)
  assert (status, other) == (130, 130) and len(lines) == 1 and not none, (lines, none)
  assert 'interrupted after step' in lines[0]
  assert not (folder / 'policy.json').exists()
  fault('Ctrl-C while the processes join')


def _until_it_hears(process):
  """Waits until a process has a handler for SIGTERM, and so one of its own for Ctrl-C."""
  begun = time.monotonic()
  while True:
    with open(f'/proc/{process.pid}/status', encoding='utf-8') as file:
      caught = next(int(line.split()[1], 16) for line in file if line.startswith('SigCgt'))
    if caught >> (signal.SIGTERM - 1) & 1:
      return
    assert process.poll() is None and time.monotonic() - begun < 60
    time.sleep(0.02)


def test_results_that_cannot_be_written_end_both_with_one_status(config, straight, tmp_path, fault):
  """Resumed from the last step: the other one has nothing to do but to wait."""
  folder = tmp_path / 'run'
  shutil.copytree(straight, folder)
  (folder / 'policy.json').unlink()
  (folder / 'policy.json').mkdir()
  both = _begin(config, folder)
  (status, lines), (other, none) = _said(both[0], 120), _said(both[1], 120)
  assert (status, other) == (2, 2) and len(lines) == 1 and not none, (lines, none)
  assert 'policy.json' in lines[0] and 'the same command goes on' in lines[0]
  (folder / 'policy.json').rmdir()
  _resume(config, folder, 1)
  _same(folder, straight)
  fault('results that cannot be written, two processes')


def test_bad_input_is_said_once_and_ends_both(config, straight, tmp_path, fault):
  """A workdir of another config: process 0 alone looks at it."""
  both = _begin(config, straight, '--config.seed=7')
  (status, lines), (other, none) = _said(both[0], 120), _said(both[1], 120)
  assert (status, other) == (2, 2) and len(lines) == 1 and not none, (lines, none)
  assert 'another config' in lines[0]
  fault('a foreign workdir for two processes')


@pytest.mark.parametrize('words, said', [
    (['--distributed=explicit'], '--distributed=explicit needs --coordinator'),
    (['--distributed=explicit', '--coordinator=here', '--process_count=2', '--process_index=0'], 'is not HOST:PORT'),
    (['--distributed=explicit', '--coordinator=h:1', '--process_count=2', '--process_index=2'], 'must be below'),
    (['--process_count=2'], 'are for --distributed=explicit'),
    (['--distributed=sometimes'], 'distributed'),
    (['--distributed=auto'], 'outside of a cluster give'),
])
def test_flags_that_do_not_fit_are_one_line(words, said, config, tmp_path, capsys):
  from daas_jax.runtime import cli
  from daas_jax.search import command as search
  assert cli.run('search', search.main, [f'--config={config}', f"--workdir={tmp_path / 'run'}", *words],
                 search.define_flags) == 2
  error = capsys.readouterr().err
  assert said in error and error.count('\n') == 1, error
  assert not (tmp_path / 'run').exists()
