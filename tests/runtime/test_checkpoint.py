import collections
import errno
import os
import shutil
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import types
from daas_jax.runtime import checkpoint
from daas_jax.runtime.checkpoint import Checkpoints
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


def test_warning_goes_to_stderr_by_default(tmp_path, capsys):
  save(tmp_path / 'c', 2, 4)
  shutil.rmtree(tmp_path / 'c' / '4' / 'default')
  checkpoints = Checkpoints(str(tmp_path / 'c'), 3)
  assert checkpoints.restore(make_state(0))[0] == 2
  checkpoints.close()
  assert 'checkpoint 4' in capsys.readouterr().err


@pytest.mark.parametrize('baseline', [{}, {'average': jnp.zeros(()), 'count': jnp.zeros(())}])
def test_states_of_another_version_are_refused_in_one_line(tmp_path, capsys, baseline):
  names = (*types.SearchState._fields[:-1], 'baseline', 'hyper', 'opt_hyper')
  earlier = collections.namedtuple('SearchState', names)
  checkpoints = Checkpoints(str(tmp_path / 'c'), 3)
  for step in (2, 4):
    checkpoints.save(step, earlier(*make_state(step)[:-1], baseline, (), ()))
  checkpoints.close()
  before = files_of(tmp_path / 'c')
  with pytest.raises(BadInput, match='baseline and hyper and opt_hyper where extra belongs') as info:
    restore(tmp_path / 'c', make_state(0)._replace(extra={}))
  assert 'Finish the run with that version, or choose another --workdir' in str(info.value)
  assert '\n' not in str(info.value) and capsys.readouterr().err == '' and files_of(tmp_path / 'c') == before
  checkpoints = Checkpoints(str(tmp_path / 'c'), 3)  # one of this version beside them is taken
  checkpoints.save(6, make_state(6))
  checkpoints.save(7, earlier(*make_state(7)[:-1], baseline, (), ()))
  checkpoints.close()
  step, state, lines = restore(tmp_path / 'c')
  assert step == 6 and bits(state) == bits(make_state(6)) and len(lines) == 1


def test_states_with_other_parts_in_a_field_are_of_another_version_too(tmp_path, capsys):
  """Such as an optimizer's that kept less."""
  checkpoints = Checkpoints(str(tmp_path / 'c'), 3)
  checkpoints.save(2, make_state(2)._replace(extra={'a': jnp.zeros(())}))
  checkpoints.close()
  with pytest.raises(BadInput, match='each holds extra.a where extra.b (.and 1 more.) belongs') as info:
    restore(tmp_path / 'c', make_state(0)._replace(extra={'b': jnp.zeros(()), 'c': jnp.zeros(())}))
  assert '\n' not in str(info.value) and capsys.readouterr().err == ''


def test_file_in_place_of_the_folder(tmp_path):
  (tmp_path / 'checkpoints').write_text('of someone')
  with pytest.raises(BadInput, match='cannot be used'):
    Checkpoints(str(tmp_path / 'checkpoints'), 3)
  assert (tmp_path / 'checkpoints').read_text() == 'of someone'


NAMES = ('a [x]', '[!x]', 'back\\slash', '**', 'st*r?', "-~ #%20'$\n\u00fc ", '\udcff')
"""Of folders; orbax or tensorstore does not take the first four and the last."""


def test_checkpoints_in_a_folder_of_any_name_come_back(tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / 'temporary'))
  (tmp_path / 'temporary').mkdir()
  for name in NAMES:
    folder = tmp_path / 'runs' / name / 'checkpoints'
    save(folder, 2, 4, 6, keep=2)
    assert sorted(os.listdir(folder)) == ['4', '6'], ascii(name)
    step, state, lines = restore(folder)
    assert step == 6 and bits(state) == bits(make_state(6)) and lines == [], ascii(name)
  assert set(os.listdir(tmp_path / 'runs')) == set(NAMES) and not os.listdir(tmp_path / 'temporary')


def test_messages_name_the_folder_as_it_was_given(tmp_path, monkeypatch):
  folder = tmp_path / 'a [x]'
  save(folder, 2, 4)
  (folder / '4' / 'default' / 'manifest.ocdbt').unlink()
  step, _, (line,) = restore(folder)
  assert step == 2 and f'local file "{tmp_path}' in line
  checkpoints = Checkpoints(str(folder), 3)
  place = os.path.join(checkpoints._path, '6', 'x')

  def full():
    raise OSError(errno.ENOSPC, 'No space left on device', place)

  monkeypatch.setattr(checkpoints._manager, 'wait_until_finished', full)
  with pytest.raises(OSError) as info:
    checkpoints.wait()
  assert info.value.errno == errno.ENOSPC and info.value.filename == f'{folder}/6/x'
  checkpoints.close()


def test_a_folder_that_has_no_plain_path_is_refused_before_anything_is_saved(tmp_path, monkeypatch):
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path / '[t]'))
  (tmp_path / '[t]').mkdir()
  with pytest.raises(BadInput, match='choose another --workdir, or set TMPDIR') as info:
    Checkpoints(str(tmp_path / '[t]' / 'c'), 3)
  assert '\n' not in str(info.value) and os.listdir(tmp_path / '[t]') == ['c']
  save(tmp_path / 'c', 2)  # which needs no link


def test_keys_are_recognised():
  assert checkpoint._is_key(jax.random.key(0)) and not checkpoint._is_key(jax.random.PRNGKey(0))
