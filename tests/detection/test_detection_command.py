"""The search command on scenes: what it leaves behind, twice the same, and that a kill changes none of it."""

import json
import signal
import time

import numpy as np
import pytest

import commands

CONFIG = '--config=configs/ddas_detection.py:smoke'
FILES = ('policy.json', 'detection.json', 'config.json', 'history.jsonl')


@pytest.fixture(name='finished', scope='module')
def finished_fixture(tmp_path_factory):
  """(workdir, output) of a search that was never interrupted."""
  folder = tmp_path_factory.mktemp('detection') / 'run'
  done = commands.run('search', CONFIG, f'--workdir={folder}')
  assert done.returncode == 0, done.stderr
  return folder, done.stdout


def test_the_workdir_holds_policy_and_precision(finished):
  folder, output = finished
  rows = commands.metrics(folder)
  assert [row['step'] for row in rows] == list(range(1, 7)) and {row['phase'] for row in rows} == {'policy'}
  assert all(row['grad_norm_theta'] > 0 and row['grad_norm_gamma'] > 0 and 0 < row['val_accuracy'] < 1 for row in rows)
  policy = json.loads((folder / 'policy.json').read_text())
  assert len(policy['candidates']) == 52 and len(policy['epochs']) == 2
  assert len((folder / 'history.jsonl').read_text().splitlines()) == 3
  found = json.loads((folder / 'detection.json').read_text())
  assert 0 <= found['ap'] <= found['ap50'] <= 1 and 0 <= found['ap75'] <= found['ap50'] and found['images'] == 8
  assert found['ap'] == pytest.approx(np.mean([value for value in found['classes'].values() if value is not None]))
  assert f"ap50             {found['ap50']:.4f}" in output and 'detection.json' in output


def test_killed_and_resumed_it_ends_the_same(finished, tmp_path):
  folder, _ = finished
  run = tmp_path / 'killed'
  process = commands.start('search', CONFIG, f'--workdir={run}', '--config.checkpoint.every_steps=1')
  limit = time.time() + 300
  lines = lambda: (run / 'metrics.jsonl').read_text().count('\n') if (run / 'metrics.jsonl').exists() else 0
  while process.poll() is None and lines() < 4 and time.time() < limit:
    time.sleep(0.005)
  process.send_signal(signal.SIGKILL)
  process.wait()
  done = commands.run('search', CONFIG, f'--workdir={run}', '--config.checkpoint.every_steps=1')
  assert done.returncode == 0, done.stderr
  for name in FILES:
    if name != 'config.json':
      assert (run / name).read_bytes() == (folder / name).read_bytes()
  assert commands.metrics(run) == commands.metrics(folder)
