import os
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import checkpoint, types
from daas_jax.checkpoint import Checkpoints
from daas_jax.errors import BadInput

ADAM = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))  # its first state is empty


def make_state(seed, n=3, tx=ADAM):
  """A `SearchState` of what runs hold: typed key, optax states, an empty room, scalars."""
  key = jax.random.key(seed)
  theta = {'w': jax.random.normal(key, (n, 2))}
  _, opt = tx.update(theta, tx.init(theta), theta)
  return types.SearchState(jnp.int32(seed), jax.random.split(key)[0], theta, {}, {'pi': jax.random.normal(key, (4,))},
                           opt, optax.EmptyState(), opt, {'average': jnp.float32(-0.0), 'count': jnp.zeros(())})


def bits(tree):
  """The leaves as (path, type, shape, bytes)."""
  plain = lambda x: np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
  return [(jax.tree_util.keystr(path), str(x.dtype), x.shape, plain(x).tobytes())
          for path, x in jax.tree_util.tree_leaves_with_path(tree)]


def save(folder, *steps, keep=3):
  checkpoints = Checkpoints(str(folder), keep)
  for step in steps:
    checkpoints.save(step, make_state(step))
  checkpoints.close()


def restore(folder, target=None):
  """(step, state, warnings); closes."""
  lines, checkpoints = [], Checkpoints(str(folder), 3)
  try:
    return *checkpoints.restore(make_state(0) if target is None else target, lines.append), lines
  finally:
    checkpoints.close()


def files_of(folder):
  return sorted(p for p in folder.rglob('*') if p.is_file())


def test_state_comes_back_bit_for_bit(tmp_path):
  save(tmp_path / 'c', 2)
  step, state, lines = restore(tmp_path / 'c')
  assert step == 2 and lines == []
  assert bits(state) == bits(make_state(2))
  assert jax.tree.structure(state) == jax.tree.structure(make_state(2))
  assert jnp.array_equal(jax.random.normal(state.key, (3,)), jax.random.normal(make_state(2).key, (3,)))


def test_no_checkpoint_is_step_0(tmp_path):
  state = make_state(0)
  step, same, lines = restore(tmp_path / 'c', state)
  assert step == 0 and same is state and lines == []


def test_newest_is_restored_and_old_ones_go(tmp_path):
  save(tmp_path / 'c', 2, 4, 6, 10, keep=2)
  assert sorted(int(p.name) for p in (tmp_path / 'c').iterdir()) == [6, 10]
  assert restore(tmp_path / 'c')[0] == 10


def test_save_copies_before_it_returns(tmp_path):
  donate = jax.jit(lambda state: jax.tree.map(lambda x: x + 1, state), donate_argnums=0)
  checkpoints, state = Checkpoints(str(tmp_path / 'c'), 3), {'w': jnp.arange(1 << 18, dtype=jnp.float32)}
  wanted = np.asarray(state['w']).copy()
  checkpoints.save(1, state)
  donate(state)
  checkpoints.close()
  assert np.array_equal(restore(tmp_path / 'c', {'w': jnp.zeros(1 << 18)})[1]['w'], wanted)


def truncate(path):
  os.truncate(path, path.stat().st_size // 2)


def empty(path):
  os.truncate(path, 0)


def garble(path):
  path.write_bytes(b'\x55' * path.stat().st_size)


def remove(path):
  path.unlink()


@pytest.mark.parametrize('damage', [truncate, empty, garble, remove])
def test_damaged_newest_falls_back_with_a_warning(tmp_path, damage):
  save(tmp_path / 'c', 2, 4)
  for path in files_of(tmp_path / 'c' / '4'):
    damage(path)
  step, state, lines = restore(tmp_path / 'c')
  assert step == 2 and bits(state) == bits(make_state(2))
  assert len(lines) == 1 and '4' in lines[0] and lines[0].startswith('warning: ') and '\n' not in lines[0]


def test_one_damaged_file_never_gives_a_wrong_state(tmp_path):
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
      shutil.rmtree(folder)
  assert fell_back >= 3  # the data and its tables matter; a copy that nothing reads may be damaged unnoticed


def test_emptied_folder_of_the_newest(tmp_path):
  save(tmp_path / 'c', 2, 4)
  shutil.rmtree(tmp_path / 'c' / '4')
  (tmp_path / 'c' / '4').mkdir()
  step, state, lines = restore(tmp_path / 'c')
  assert step == 2 and bits(state) == bits(make_state(2)) and len(lines) == 1


def test_run_goes_on_past_damaged_checkpoints(tmp_path):
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


def test_all_damaged_is_refused_and_nothing_removed(tmp_path):
  save(tmp_path / 'c', 2, 4)
  for path in files_of(tmp_path / 'c'):
    garble(path)
  before = files_of(tmp_path / 'c')
  with pytest.raises(BadInput, match='move the folder away') as info:
    restore(tmp_path / 'c')
  assert '\n' not in str(info.value)
  assert files_of(tmp_path / 'c') == before


def test_folder_left_by_a_killed_save_is_passed_over(tmp_path):
  save(tmp_path / 'c', 2)
  shutil.copytree(tmp_path / 'c' / '2', tmp_path / 'c' / '4.orbax-checkpoint-tmp')
  shutil.copytree(tmp_path / 'c' / '2', tmp_path / 'c' / '6.orbax-checkpoint-tmp-1700000000000000')
  (tmp_path / 'c' / 'notes.txt').write_text('mine')
  step, state, lines = restore(tmp_path / 'c')
  assert step == 2 and bits(state) == bits(make_state(2)) and lines == []
  save(tmp_path / 'c', 4)
  assert restore(tmp_path / 'c')[0] == 4


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
def test_state_of_another_form_is_refused(tmp_path, name):
  save(tmp_path / 'c', 2)
  before = files_of(tmp_path / 'c')
  with pytest.raises(BadInput):
    restore(tmp_path / 'c', OTHERS[name])
  assert files_of(tmp_path / 'c') == before
  assert restore(tmp_path / 'c')[0] == 2


def test_warning_goes_to_stderr_by_default(tmp_path, capsys):
  save(tmp_path / 'c', 2, 4)
  shutil.rmtree(tmp_path / 'c' / '4' / 'default')
  checkpoints = Checkpoints(str(tmp_path / 'c'), 3)
  assert checkpoints.restore(make_state(0))[0] == 2
  checkpoints.close()
  assert 'checkpoint 4' in capsys.readouterr().err


def test_file_in_place_of_the_folder(tmp_path):
  (tmp_path / 'checkpoints').write_text('of someone')
  with pytest.raises(BadInput, match='cannot be used'):
    Checkpoints(str(tmp_path / 'checkpoints'), 3)
  assert (tmp_path / 'checkpoints').read_text() == 'of someone'


def test_keys_are_recognised():
  assert checkpoint._is_key(jax.random.key(0)) and not checkpoint._is_key(jax.random.PRNGKey(0))
