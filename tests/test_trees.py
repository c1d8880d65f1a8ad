"""Linear algebra of pytrees against numpy on the flattened vectors."""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax import trees

A = {'x': jnp.array([1.0, 2.0]), 'y': (jnp.array([[3.0]]),)}
B = {'x': jnp.array([-1.0, 4.0]), 'y': (jnp.array([[0.5]]),)}


def _flat(tree):
  return np.concatenate([np.ravel(a) for a in jax.tree.leaves(tree)])


def test_dot_norm_axpy_scale():
  assert float(trees.dot(A, B)) == _flat(A) @ _flat(B)
  np.testing.assert_allclose(trees.norm(A), np.linalg.norm(_flat(A)), rtol=1e-6)
  np.testing.assert_allclose(_flat(trees.axpy(2.0, A, B)), 2 * _flat(A) + _flat(B))
  np.testing.assert_allclose(_flat(trees.scale(-3.0, A)), -3 * _flat(A))


def test_dot_of_half_precision_is_summed_in_float32():
  x = {'x': jnp.full(4096, 1.0, jnp.bfloat16)}
  assert trees.dot(x, x).dtype == jnp.float32 and float(trees.dot(x, x)) == 4096


def test_select_takes_keys_too():
  a, b = {'k': jax.random.key(0), 'x': jnp.zeros(2)}, {'k': jax.random.key(1), 'x': jnp.ones(2)}
  chosen = trees.select(jnp.bool_(False), a, b)
  assert (jax.random.key_data(chosen['k']) == jax.random.key_data(b['k'])).all() and float(chosen['x'].sum()) == 2


def test_strongly_typed_keeps_values_and_drops_weak_types():
  weak = {'x': jnp.full(2, 0.5) * 1, 'k': jax.random.key(0), 's': jnp.asarray(1.0)}
  strong = trees.strongly_typed(weak)
  assert not any(jax.api_util.shaped_abstractify(strong[n]).weak_type for n in ('x', 's'))
  np.testing.assert_array_equal(strong['x'], weak['x'])


def test_one_device_needs_no_collectives():
  assert trees.pmean(A, None) is A and trees.all_gather(jnp.ones(3), None).shape == (1, 3) and trees.device_index(None) == 0
