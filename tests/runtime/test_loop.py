"""The loop with a job that is pure and trivial: what it writes, and that a resumed run is the same run."""

import json
import os
import shutil

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from daas_jax.files import metrics
from daas_jax.runtime import loop
from daas_jax.runtime.checkpoint import Checkpoints
from daas_jax.errors import BadInput, Diverged

STEPS, PER_EPOCH = 21, 7


class Silent:
  """A reporter that keeps what it is told."""

  def __init__(self):
    self.notes, self.warnings, self.lines = [], [], []

  def note(self, text):
    self.notes.append(text)

  def warn(self, text):
    self.warnings.append(text)

  def begin(self, done, job):
    pass

  def tick(self, done):
    pass

  def line(self, row, images_per_second, job):
    self.lines.append(row['step'])


class Killed(Exception):
  """Stands for the end of the process."""


def config(log=3, checkpoint=5, keep=9):
  return ml_collections.ConfigDict({'log': {'every_steps': log},
                                    'checkpoint': {'every_steps': checkpoint, 'keep': keep,
                                                   'on_full_disk': 'stop'}})


@jax.jit
def advance(state, batch):
  key = jax.random.fold_in(state['key'], state['step'])
  x = state['x'] * 0.9 + batch + jax.random.normal(key, (3,))
  return state | {'step': state['step'] + 1, 'x': x}, {'loss': jnp.sum(x), 'batch': batch}


def init():
  return {'step': jnp.int32(0), 'key': jax.random.key(3), 'x': jnp.arange(3.0), 'best': jnp.float32(-1)}


def job(until=None, nan_at=None, name='loss', value=jnp.nan, on_epoch=None, stop=None):
  """Runs to the end; `until`: killed when that step is asked for; `nan_at`: that step's metric is `value`."""
  def step(state, batch):
    state, found = advance(state, batch)
    return state, found | ({name: value} if nan_at == int(state['step']) else {})

  def batches(number):
    if number + 1 == until:
      raise Killed
    return jnp.float32(number)

  return loop.Job(init=init, step=step, batches=batches, total_steps=STEPS, steps_per_epoch=PER_EPOCH,
                  images_per_step=4, phase=lambda epoch: f'phase {epoch}', on_epoch=on_epoch, stop=stop)


def remember(state, epoch):
  return state | {'best': state['best'] + epoch + 1}, {'val_loss': float(state['x'][0])}


def plain(rows):
  """Rows without the time that they took."""
  return [{k: v for k, v in row.items() if k != 'images_per_second'} for row in rows]


def bits(state):
  return {k: np.asarray(jax.random.key_data(v) if k == 'key' else v).tobytes() for k, v in state.items()}


def run(folder, task=None, settings=None):
  """(final state, rows, reporter)."""
  folder.mkdir(exist_ok=True)
  reporter = Silent()
  return *loop.run(task or job(), str(folder), settings or config(), reporter), reporter


def steps_saved(folder):
  return sorted(int(p.name) for p in (folder / 'checkpoints').iterdir())


def test_lines_and_checkpoints_come_when_they_should(tmp_path):
  state, rows, reporter = run(tmp_path / 'run')
  # Every 3 steps of an epoch and at its end; saved at epoch ends, and at the first line 5 steps after the last.
  assert [row['step'] for row in rows] == [3, 6, 7, 10, 13, 14, 17, 20, 21] == reporter.lines
  assert steps_saved(tmp_path / 'run') == [6, 7, 13, 14, 20, 21]
  assert [row['epoch'] for row in rows] == [1] * 3 + [2] * 3 + [3] * 3
  assert [row['phase'] for row in rows] == ['phase 0'] * 3 + ['phase 1'] * 3 + ['phase 2'] * 3
  # Each the mean over the steps since the line before: the batches are 0, 1, 2, ...
  assert [row['batch'] for row in rows] == [1, 4, 6, 8, 11, 13, 15, 18, 20]
  assert all(row['images_per_second'] > 0 for row in rows)
  assert int(state['step']) == STEPS
  assert rows == metrics.read(tmp_path / 'run' / 'metrics.jsonl')


def test_only_the_newest_checkpoints_are_kept(tmp_path):
  run(tmp_path / 'run', settings=config(keep=2))
  assert steps_saved(tmp_path / 'run') == [20, 21]


@pytest.mark.parametrize('log, checkpoint, lines, saved', [
    (99, 99, [7, 14, 21], [7, 14, 21]), (1, 99, list(range(1, 22)), [7, 14, 21]),
    (4, 1, [4, 7, 11, 14, 18, 21], [4, 7, 11, 14, 18, 21])])
def test_other_intervals(tmp_path, log, checkpoint, lines, saved):
  _, rows, _ = run(tmp_path / 'run', settings=config(log, checkpoint))
  assert [row['step'] for row in rows] == lines and steps_saved(tmp_path / 'run') == saved


@pytest.mark.parametrize('until', [1, 7, 8, 15, 21])
def test_killed_run_goes_on_as_if_it_had_not_been(tmp_path, until):
  straight, rows, _ = run(tmp_path / 'straight', job(on_epoch=remember))
  with pytest.raises(Killed):
    run(tmp_path / 'run', job(until=until, on_epoch=remember))
  state, again, reporter = run(tmp_path / 'run', job(on_epoch=remember))
  assert plain(again) == plain(rows) and bits(state) == bits(straight)
  assert steps_saved(tmp_path / 'run') == steps_saved(tmp_path / 'straight')
  assert any('resuming' in note for note in reporter.notes) == (until > 6)


@pytest.mark.parametrize('kept', [6, 14, 20])
def test_any_checkpoint_leads_to_the_same_end(tmp_path, kept):
  straight, rows, _ = run(tmp_path / 'run', job(on_epoch=remember))
  for step in steps_saved(tmp_path / 'run'):
    if step > kept:
      shutil.rmtree(tmp_path / 'run' / 'checkpoints' / str(step))
  state, again, reporter = run(tmp_path / 'run', job(on_epoch=remember))
  assert plain(again) == plain(rows) and bits(state) == bits(straight)
  assert reporter.lines == [row['step'] for row in rows if row['step'] > kept]
  assert reporter.notes == [f'resuming from the checkpoint of step {kept}']


def test_damaged_checkpoint_costs_the_steps_after_the_one_before(tmp_path):
  straight, rows, _ = run(tmp_path / 'run')
  for step in (20, 21):
    for path in (tmp_path / 'run' / 'checkpoints' / str(step)).rglob('*'):
      if path.is_file():
        os.truncate(path, 0)
  state, again, reporter = run(tmp_path / 'run')
  assert plain(again) == plain(rows) and bits(state) == bits(straight)
  assert len(reporter.warnings) == 2 and reporter.lines == [17, 20, 21]
  assert steps_saved(tmp_path / 'run') == [6, 7, 13, 14, 20, 21]


def test_finished_run_does_nothing_again(tmp_path):
  straight, rows, _ = run(tmp_path / 'run')
  state, again, reporter = run(tmp_path / 'run', job(until=1))  # asks for no batch
  assert again == rows and bits(state) == bits(straight) and reporter.lines == []


@pytest.mark.parametrize('value, at, kept', [(float('nan'), 2, None), (float('inf'), 9, 7), (float('nan'), 10, 7),
                                             (-float('inf'), 21, 20)])
def test_loss_that_is_not_finite_ends_the_run(tmp_path, value, at, kept):
  straight = run(tmp_path / 'straight')
  with pytest.raises(Diverged) as info:
    run(tmp_path / 'run', job(nan_at=at, value=value))
  line = str(info.value)
  assert f'loss became {value} at step {at};' in line and '\n' not in line
  assert (f'the checkpoint of step {kept} is kept' if kept else 'no checkpoint yet') in line
  rows = metrics.read(tmp_path / 'run' / 'metrics.jsonl')
  assert plain(rows) == [row for row in plain(straight[1]) if row['step'] < at][:len(rows)]
  assert 'NaN' not in (tmp_path / 'run' / 'metrics.jsonl').read_text()
  if kept:
    checkpoints = Checkpoints(str(tmp_path / 'run' / 'checkpoints'), 9)
    assert checkpoints.last() == kept and checkpoints.restore(init())[0] == kept
    checkpoints.close()
  state, again, _ = run(tmp_path / 'run')  # as after the learning rate was lowered: the state is a good one
  assert bits(state) == bits(straight[0]) and plain(again) == plain(straight[1])


def test_every_metric_is_watched(tmp_path):
  with pytest.raises(Diverged, match='batch became nan at step 5'):
    run(tmp_path / 'run', job(nan_at=5, name='batch'))


def test_epoch_ends_change_the_state_and_join_the_line(tmp_path):
  seen = []

  def on_epoch(state, epoch):
    seen.append((int(state['step']), epoch))
    return remember(state, epoch)

  state, rows, _ = run(tmp_path / 'run', job(on_epoch=on_epoch))
  assert seen == [(7, 0), (14, 1), (21, 2)]
  assert float(state['best']) == -1 + 1 + 2 + 3
  assert [row['step'] for row in rows if 'val_loss' in row] == [7, 14, 21]
  # The checkpoint of an epoch's end is the changed state.
  checkpoints = Checkpoints(str(tmp_path / 'run' / 'checkpoints'), 9)
  assert float(checkpoints.restore(init())[1]['best']) == 5
  checkpoints.close()


def test_state_is_placed_for_steps_and_not_for_checkpoints(tmp_path):
  def placed_step(state, batch):
    state, found = advance(jax.tree.map(lambda x: x[0], state), batch)
    return jax.tree.map(lambda x: x[None], state), found

  placed = job(on_epoch=remember)._replace(
      step=placed_step, put=lambda s: jax.tree.map(lambda x: x[None], s), get=lambda s: jax.tree.map(lambda x: x[0], s))
  straight, rows, _ = run(tmp_path / 'straight', job(on_epoch=remember))
  with pytest.raises(Killed):
    run(tmp_path / 'run', placed._replace(batches=job(until=9).batches))
  state, again, _ = run(tmp_path / 'run')  # a run on one device takes it up
  assert bits(state)['x'] == bits(straight)['x'] and len(again) == len(rows)


def test_unreadable_checkpoints_leave_the_metrics_alone(tmp_path):
  run(tmp_path / 'run')
  before = (tmp_path / 'run' / 'metrics.jsonl').read_bytes()
  for path in (tmp_path / 'run' / 'checkpoints').rglob('*'):
    if path.is_file():
      os.truncate(path, 0)
  with pytest.raises(BadInput):
    run(tmp_path / 'run')
  assert (tmp_path / 'run' / 'metrics.jsonl').read_bytes() == before


def test_checkpoints_of_another_version_leave_the_run_alone(tmp_path):
  run(tmp_path / 'run')
  before = (tmp_path / 'run' / 'metrics.jsonl').read_bytes()
  reporter = Silent()
  with pytest.raises(BadInput, match='another version of daas_jax') as info:
    loop.run(job()._replace(init=lambda: init() | {'extra': {}}), str(tmp_path / 'run'), config(), reporter)
  assert '--workdir' in str(info.value) and reporter.warnings == reporter.notes == []
  assert (tmp_path / 'run' / 'metrics.jsonl').read_bytes() == before


def test_metrics_are_plain_json(tmp_path):
  run(tmp_path / 'run', job(on_epoch=remember))
  for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines():
    assert all(type(value) in (int, float, str) for value in json.loads(line).values())


def record(state):
  return {'x': [float(x) for x in state['x']]}


def history(folder):
  return (folder / 'history.jsonl').read_text()


def recorded(until=None):
  return job(until=until, on_epoch=remember)._replace(record=record)


def test_history_has_the_start_and_the_end_of_every_epoch(tmp_path):
  state, _, _ = run(tmp_path / 'run', recorded())
  rows = [json.loads(line) for line in history(tmp_path / 'run').splitlines()]
  assert [(row['step'], row['epoch']) for row in rows] == [(0, 0), (7, 1), (14, 2), (21, 3)]
  assert rows[0]['x'] == [0, 1, 2] and rows[-1]['x'] == record(state)['x']
  run(tmp_path / 'none')
  assert not (tmp_path / 'none' / 'history.jsonl').exists()


@pytest.mark.parametrize('until', [1, 6, 7, 8, 14, 15, 21])
def test_history_of_a_killed_run_is_that_of_one_that_was_not(tmp_path, until):
  run(tmp_path / 'straight', recorded())
  with pytest.raises(Killed):
    run(tmp_path / 'run', recorded(until))
  run(tmp_path / 'run', recorded())
  run(tmp_path / 'run', recorded())  # a finished run, started again
  assert history(tmp_path / 'run') == history(tmp_path / 'straight')


@pytest.mark.parametrize('kept', [6, 7, 13])
def test_history_after_an_older_checkpoint_repeats_no_epoch(tmp_path, kept):
  """As after a kill between an epoch's line and its checkpoint, or with damaged checkpoints."""
  run(tmp_path / 'run', recorded())
  before = history(tmp_path / 'run')
  for step in steps_saved(tmp_path / 'run'):
    if step > kept:
      shutil.rmtree(tmp_path / 'run' / 'checkpoints' / str(step))
  with open(tmp_path / 'run' / 'history.jsonl', 'a', encoding='utf-8') as file:
    file.write('{"step": 21, "epo')
  run(tmp_path / 'run', recorded())
  assert history(tmp_path / 'run') == before


def test_a_run_that_stops_early_has_stopped_for_good(tmp_path):
  """Also when it is begun again; one that was killed before it was to stop still stops there."""
  def stop(rows):
    return 'enough' if rows[-1]['epoch'] >= 2 else None
  reporter = Silent()
  state, rows = loop.run(job(stop=stop), str(tmp_path / 'a'), config(), reporter)
  assert state['step'] == 2 * PER_EPOCH and rows[-1]['epoch'] == 2 and any('enough' in note for note in reporter.notes)
  again, rows_again = loop.run(job(stop=stop), str(tmp_path / 'a'), config(), Silent())
  np.testing.assert_array_equal(again['x'], state['x'])
  assert rows_again == rows
  with pytest.raises(Killed):
    loop.run(job(until=PER_EPOCH + 3, stop=stop), str(tmp_path / 'b'), config(), Silent())
  resumed, _ = loop.run(job(stop=stop), str(tmp_path / 'b'), config(), Silent())
  np.testing.assert_array_equal(resumed['x'], state['x'])
