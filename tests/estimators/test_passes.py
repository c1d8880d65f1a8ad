"""The table of passes against the same computation written out."""

import jax
import jax.numpy as jnp
import numpy as np
import traced

from daas_jax import trees
from daas_jax.estimators import passes


def _loss(theta, x):
  return jnp.sum(jnp.tanh(theta['w'] @ x) ** 2) + theta['b'] * x[0]


def _gradient(theta, x):
  return jax.value_and_grad(_loss)(theta, x)


def _setup():
  rng = np.random.default_rng(0)
  theta = {'w': jnp.asarray(rng.normal(size=(3, 4))), 'b': jnp.asarray(0.5)}
  return theta, jnp.asarray(rng.normal(size=(4, 4)))


def test_points_kept_gradients_products_and_total(x64):
  theta, x = _setup()
  table = passes.Passes(inputs=x, point=jnp.array([[0, 0], [0, 0], [-0.1, -0.3], [0, 0.2]]),
                        store=jnp.array([0, 1, 2, 0]), weight=jnp.array([0.0, 2.0, 0.0, -1.0]))
  ran = jax.jit(lambda: passes.run(_gradient, theta, table))()
  g = [_gradient(theta, x[i])[1] for i in range(2)]
  third = trees.axpy(-0.1, g[0], trees.axpy(-0.3, g[1], theta))
  fourth = trees.axpy(0.2, g[1], theta)
  g += [_gradient(third, x[2])[1], _gradient(fourth, x[3])[1]]
  np.testing.assert_allclose(ran.outputs, [_loss(theta, x[0]), _loss(theta, x[1]), _loss(third, x[2]),
                                           _loss(fourth, x[3])], rtol=1e-12)
  expected = [[0, 0], [trees.dot(g[1], g[0]), 0], [trees.dot(g[2], g[0]), trees.dot(g[2], g[1])],
              [trees.dot(g[3], g[0]), trees.dot(g[3], g[1])]]
  np.testing.assert_allclose(ran.dots, np.array(expected, float), rtol=1e-6)
  total = jax.tree.map(lambda a, b: 2 * a - b, g[1], g[3])
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), ran.total, total)


def test_rows_beyond_count_are_not_run_and_count_does_not_recompile(x64):
  theta, x = _setup()
  table = passes.Passes(x, jnp.zeros((4, 1)), jnp.full(4, 1), jnp.ones(4))
  counted = traced.counted(lambda count: passes.run(_gradient, theta, table, count))
  run = jax.jit(counted)
  for count in (2, 3):
    ran = run(jnp.int32(count))
    np.testing.assert_array_equal(np.asarray(ran.outputs) != 0, np.arange(4) < count)
    total = jax.tree.map(lambda *a: sum(a), *[_gradient(theta, x[i])[1] for i in range(count)])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), ran.total, total)
  assert counted.times == 1
