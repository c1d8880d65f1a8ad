"""A clock that goes back: no line, no order of checkpoints and no decision depends on it."""

import os
import re
import shutil
import time

import commands
from faults import runs
import pytest
import test_loop

from daas_jax.files import metrics


@pytest.mark.parametrize('kind', ['search', 'train'])
def test_every_look_finds_an_earlier_hour(server, straight_of, tmp_path, fault, kind):
  status, said = server.run(tmp_path / 'run', kind=kind, jump=True)
  assert status == 0 and 'Traceback' not in said, said
  assert runs.result(tmp_path / 'run') == straight_of(kind)[1]
  assert not re.search(r' -\d', said), said  # no negative time or speed
  assert all(row['images_per_second'] >= 0 for row in metrics.read(tmp_path / 'run' / 'metrics.jsonl'))
  fault('clock going backwards')


def test_back_in_the_middle_and_killed(server, straight_of, tmp_path, fault):
  """Two processes of one run, the second an hour before the first."""
  moment = {'signal': 9, 'part': 'orbax-checkpoint-tmp', 'count': 20}
  assert server.run(tmp_path / 'run', moment=moment)[0] == -9
  assert server.run(tmp_path / 'run', jump=True)[0] == 0
  assert runs.result(tmp_path / 'run') == straight_of('search')[1]
  assert len(commands.metrics(tmp_path / 'run')) == 6
  fault('clock going backwards')


def test_the_order_of_checkpoints_is_that_of_their_steps(tmp_path, fault):
  """And not of the times of their files."""
  straight = test_loop.run(tmp_path / 'run')
  shutil.rmtree(tmp_path / 'run' / 'checkpoints' / '21')
  folder = tmp_path / 'run' / 'checkpoints'
  for i, step in enumerate(test_loop.steps_saved(tmp_path / 'run')):
    for path in [folder / str(step), *(folder / str(step)).rglob('*')]:
      os.utime(path, (4e9 - 1e8 * i,) * 2)  # the newest is the oldest, and all are of the future
  state, rows, reporter = test_loop.run(tmp_path / 'run', settings=test_loop.config(keep=2))
  assert reporter.notes == ['resuming from the checkpoint of step 20']
  assert test_loop.steps_saved(tmp_path / 'run') == [20, 21]
  assert test_loop.bits(state) == test_loop.bits(straight[0])
  fault('clock going backwards')


@pytest.mark.parametrize('step', [-3600.0, 0.0])
def test_speed_is_never_negative_nor_divided_by_nothing(tmp_path, monkeypatch, fault, step):
  now = [1e6]
  def clock():
    now[0] += step
    return now[0]
  for name in ('time', 'perf_counter'):
    monkeypatch.setattr(time, name, clock)
  _, rows, _ = test_loop.run(tmp_path / 'run')
  assert len(rows) == 9 and all(row['images_per_second'] == 0 for row in rows)
  fault('clock going backwards')
