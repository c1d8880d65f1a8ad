"""A damaged, empty or foreign checkpoint is passed over or refused, and never taken for a good one."""

import os
import shutil

import jax
import jax.numpy as jnp
import optax
import pytest
from test_checkpoint import bits, files_of, make_state, restore, save
import test_loop

from daas_jax.runtime.checkpoint import Checkpoints
from daas_jax.errors import BadInput


def truncate(path):
  os.truncate(path, path.stat().st_size // 2)


def empty(path):
  os.truncate(path, 0)


def garble(path):
  path.write_bytes(b'\x55' * path.stat().st_size)


def remove(path):
  path.unlink()


@pytest.mark.parametrize('damage', [truncate, empty, garble, remove])
def test_damaged_newest_falls_back_with_a_warning(tmp_path, fault, damage):
  save(tmp_path / 'c', 2, 4)
  for path in files_of(tmp_path / 'c' / '4'):
    damage(path)
  step, state, lines = restore(tmp_path / 'c')
  assert step == 2 and bits(state) == bits(make_state(2))
  assert len(lines) == 1 and '4' in lines[0] and lines[0].startswith('warning: ') and '\n' not in lines[0]
  fault('damaged checkpoint')


def test_one_damaged_file_never_gives_a_wrong_state(tmp_path, fault):
  save(tmp_path / 'whole', 2, 4)
  names = [p.relative_to(tmp_path / 'whole') for p in files_of(tmp_path / 'whole' / '4')]
  fell_back = 0
  for name in names:
    for damage in (truncate, garble, remove):
      folder = tmp_path / 'c'
      shutil.copytree(tmp_path / 'whole', folder)
      damage(folder / name)
      step, state, lines = restore(folder)
      assert step in (2, 4) and bits(state) == bits(make_state(step)), (name, damage)
      assert len(lines) == (step == 2), (name, damage)
      fell_back += step == 2
      fault('damaged checkpoint')
      shutil.rmtree(folder)
  assert fell_back >= 3  # the data and its tables matter; a copy that nothing reads may be damaged unnoticed


def test_emptied_folder_of_the_newest(tmp_path, fault):
  save(tmp_path / 'c', 2, 4)
  shutil.rmtree(tmp_path / 'c' / '4')
  (tmp_path / 'c' / '4').mkdir()
  step, state, lines = restore(tmp_path / 'c')
  assert step == 2 and bits(state) == bits(make_state(2)) and len(lines) == 1
  fault('empty checkpoint')


def test_run_goes_on_past_damaged_checkpoints(tmp_path, fault):
  save(tmp_path / 'c', 2, 4, 6)
  for step in (4, 6):
    for path in files_of(tmp_path / 'c' / str(step)):
      empty(path)
  checkpoints, lines = Checkpoints(str(tmp_path / 'c'), 3), []
  assert checkpoints.restore(make_state(0), lines.append)[0] == 2 and len(lines) == 2
  assert checkpoints.last() == 2  # what a diverged run names
  assert (tmp_path / 'c' / '6').is_dir()  # nothing is removed before there is something newer
  checkpoints.save(4, make_state(4))
  assert checkpoints.last() == 4
  checkpoints.save(6, make_state(6))
  checkpoints.close()
  assert restore(tmp_path / 'c')[0] == 6
  shutil.rmtree(tmp_path / 'c' / '6')
  step, state, _ = restore(tmp_path / 'c')
  assert step == 4 and bits(state) == bits(make_state(4))
  fault('damaged checkpoint')


def test_all_damaged_is_refused_and_nothing_removed(tmp_path, fault):
  save(tmp_path / 'c', 2, 4)
  for path in files_of(tmp_path / 'c'):
    garble(path)
  before = files_of(tmp_path / 'c')
  with pytest.raises(BadInput, match='move the folder away') as info:
    restore(tmp_path / 'c')
  assert '\n' not in str(info.value)
  assert files_of(tmp_path / 'c') == before
  fault('damaged checkpoint')


def test_folder_left_by_a_killed_save_is_passed_over(tmp_path, fault):
  save(tmp_path / 'c', 2)
  shutil.copytree(tmp_path / 'c' / '2', tmp_path / 'c' / '4.orbax-checkpoint-tmp')
  shutil.copytree(tmp_path / 'c' / '2', tmp_path / 'c' / '6.orbax-checkpoint-tmp-1700000000000000')
  (tmp_path / 'c' / 'notes.txt').write_text('mine')
  step, state, lines = restore(tmp_path / 'c')
  assert step == 2 and bits(state) == bits(make_state(2)) and lines == []
  save(tmp_path / 'c', 4)
  assert restore(tmp_path / 'c')[0] == 4
  fault('half a checkpoint')


OTHERS = {
    'shape': make_state(0, n=4),
    'optimizer': make_state(0, tx=optax.sgd(0.1, 0.9)),
    'type': make_state(0)._replace(step=jnp.float32(0)),
    'scalar as array': make_state(0)._replace(step=jnp.zeros((1,), jnp.int32)),
    'leaf more': make_state(0)._replace(arch={'alpha': jnp.zeros(3)}),
    'leaf less': make_state(0)._replace(gamma={}),
    'leaf of another name': make_state(0)._replace(gamma={'phi': jnp.zeros(4)}),
    'key of several': make_state(0)._replace(key=jax.random.split(jax.random.key(0))),
}


@pytest.mark.parametrize('name', OTHERS)
def test_state_of_another_form_is_refused(tmp_path, fault, name):
  save(tmp_path / 'c', 2)
  before = files_of(tmp_path / 'c')
  with pytest.raises(BadInput):
    restore(tmp_path / 'c', OTHERS[name])
  assert files_of(tmp_path / 'c') == before
  assert restore(tmp_path / 'c')[0] == 2
  fault('foreign checkpoint')


# In a run.

@pytest.mark.parametrize('what', ['a file', 'a folder', 'of another run', 'emptied', 'all empty'])
def test_a_run_whose_newest_checkpoint_is_not_one(tmp_path, fault, what):
  straight = test_loop.run(tmp_path / 'run')
  newest = tmp_path / 'run' / 'checkpoints' / '21'
  shutil.rmtree(newest)
  if what == 'a file':
    newest.write_text('of someone')
  elif what == 'a folder':
    (newest / 'photos').mkdir(parents=True)
  elif what == 'of another run':
    save(tmp_path / 'other', 21)
    shutil.copytree(tmp_path / 'other' / '21', newest)
  elif what == 'emptied':
    newest.mkdir()
  else:
    shutil.copytree(newest.with_name('20'), newest)
    for path in files_of(newest):
      os.truncate(path, 0)
  state, rows, reporter = test_loop.run(tmp_path / 'run')
  assert test_loop.bits(state) == test_loop.bits(straight[0]) and test_loop.plain(rows) == test_loop.plain(straight[1])
  assert len(reporter.warnings) == (what != 'a file') and all('\n' not in line for line in reporter.warnings)
  fault('foreign checkpoint')


def test_a_line_that_was_lost_with_its_file(tmp_path, fault):
  """Without metrics.jsonl the state still goes on from the checkpoint; the lines since then are there."""
  straight = test_loop.run(tmp_path / 'run')
  for step in (20, 21):
    shutil.rmtree(tmp_path / 'run' / 'checkpoints' / str(step))
  (tmp_path / 'run' / 'metrics.jsonl').unlink()
  state, rows, _ = test_loop.run(tmp_path / 'run')
  assert test_loop.bits(state) == test_loop.bits(straight[0])
  assert test_loop.plain(rows) == test_loop.plain(straight[1])[-3:]
  fault('damaged metrics')
