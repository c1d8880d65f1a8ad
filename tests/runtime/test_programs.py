"""Programs that runs share: the same values as jax.jit, and one program for arrays that differ."""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.runtime import programs


def step(mean, table):
  def fn(state, batch):
    x = (batch - jnp.asarray(mean)) * jnp.asarray(table)[state['n']]
    return {'n': state['n'] + 1, 'sum': state['sum'] + jnp.sum(x)}, {'x': x}
  return fn


def start():
  return {'n': jnp.int32(0), 'sum': jnp.float32(0)}


def test_it_is_the_function():
  fn = step((0.5,), np.arange(6.0, dtype=np.float32).reshape(2, 3))
  shared, plain = programs.jit(fn), jax.jit(fn)
  one = other = start()
  for i in range(2):
    one, left = shared(one, jnp.arange(3.0) + i)
    other, right = plain(other, jnp.arange(3.0) + i)
    assert jax.tree.structure((one, left)) == jax.tree.structure((other, right))
    jax.tree.map(np.testing.assert_array_equal, (one, left), (other, right))


def test_arrays_that_differ_are_no_other_program(monkeypatch):
  lowered, jit = [], jax.jit

  def spy(fn, **options):
    compiled = jit(fn, **options)
    return lambda *args: lowered.append(compiled.lower(*args).as_text()) or compiled(*args)

  monkeypatch.setattr(jax, 'jit', spy)
  for mean in (0.5, 0.25):
    table = np.full((2, 3), mean, np.float32)
    programs.jit(step((mean,), table), donate=(0,))(start(), jnp.arange(3.0))
  assert len(lowered) == 2 and lowered[0] == lowered[1]


def test_donated_arrays_are_given_away():
  state = start()
  programs.jit(step((0.5,), np.ones((2, 3), np.float32)), donate=(0,))(state, jnp.arange(3.0))
  assert state['sum'].is_deleted()
