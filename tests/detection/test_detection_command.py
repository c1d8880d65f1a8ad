"""The search command on scenes: what it leaves behind, and that a search that is resumed ends the same."""

import json
import os
import shutil

import numpy as np
import pytest

import commands
from conftest import ROOT
from daas_jax.runtime import cli
from daas_jax.search import command as search


def _search(folder):
  """Runs the command in this process; returns its summary."""
  options = cli.parse('search', [
      f'--config={ROOT / "configs" / "ddas_detection.py"}:smoke', f'--workdir={folder}',
      "--config.policy.candidates=('Rotate:0.9', 'Invert')", '--config.search.n_policies=1'], search.define_flags)
  return search.main(options)


@pytest.fixture(name='finished', scope='module')
def finished_fixture(tmp_path_factory):
  folder = tmp_path_factory.mktemp('detection') / 'run'
  return folder, _search(folder)


def test_the_workdir_holds_policy_and_precision(finished):
  folder, summary = finished
  rows = commands.metrics(folder)
  assert [row['step'] for row in rows] == list(range(1, 7)) and {row['phase'] for row in rows} == {'policy'}
  assert all(row['grad_norm_theta'] > 0 and row['grad_norm_gamma'] > 0 and 0 < row['val_iou'] < 1 for row in rows)
  assert not [name for name in rows[0] if 'accuracy' in name]
  policy = json.loads((folder / 'policy.json').read_text())
  assert len(policy['candidates']) == 2 and len(policy['epochs']) == 2
  assert len((folder / 'history.jsonl').read_text().splitlines()) == 3
  found = json.loads((folder / 'detection.json').read_text())
  assert 0 <= found['ap'] <= found['ap50'] <= 1 and 0 <= found['ap75'] <= found['ap50'] and found['images'] == 8
  assert found['ap'] == pytest.approx(np.mean([value for value in found['classes'].values() if value is not None]))
  assert f"ap50             {found['ap50']:.4f}" in summary


def test_resumed_it_ends_the_same(finished, tmp_path):
  folder, summary = finished
  run = tmp_path / 'resumed'
  shutil.copytree(folder, run)
  shutil.rmtree(run / 'checkpoints' / '6')  # as if it had been killed in its second epoch
  for name in ('policy.json', 'detection.json'):
    os.remove(run / name)
  assert os.listdir(run / 'checkpoints') == ['3'] and _search(run) == summary
  for name in ('policy.json', 'detection.json', 'config.json', 'history.jsonl'):
    assert (run / name).read_bytes() == (folder / name).read_bytes()
  assert commands.metrics(run) == commands.metrics(folder)
