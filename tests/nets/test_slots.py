"""A cell's slots: the backward pass that adds in place against JAX's own, reverse and forward over reverse."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.nets import slots


@functools.lru_cache(maxsize=None)
def _rule():
  """sin(a * x) of the node, plus cos(a * x) of the input where the slot reads one."""
  def value(params, *x):
    return sum(f(params['a'] * part) for f, part in zip((jnp.sin, jnp.cos), reversed(x)))
  def pullback(x, params, plan, g):
    g_params, *g_x = jax.vjp(value, params, *x())[1](g())
    return tuple(g_x), g_params
  return slots.Rule(lambda x, params, plan: value(params, *x()), pullback)


def _arguments(reads):
  """Five slots; each reads a node that is complete, and some of them the same node."""
  rng = np.random.default_rng(0)
  array = lambda *shape: jnp.asarray(rng.normal(size=shape))
  plan = {'target': jnp.array([1, 1, 2, 3, 3]), 'node': jnp.array([0, 0, 1, 0, 2]), 'input': jnp.array([0, 1, 1, 0, 1])}
  plan = {key: plan[key] for key in ('target', *reads)}
  return array(2, 2, 3, 3, 2), array(4, 2, 3, 3, 2), {'a': array(5)}, plan


@pytest.mark.parametrize('reads', [('node',), ('input',), ('input', 'node')])
def test_values_and_gradients_are_those_of_the_plain_scan(x64, reads):
  *arguments, plan = _arguments(reads)
  g = jnp.asarray(np.random.default_rng(1).normal(size=arguments[1].shape))
  def of(accumulate):
    return jax.value_and_grad(lambda *a: jnp.sum(g * accumulate(_rule(), *a, plan)), (0, 1, 2))(*arguments)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), of(slots.accumulate),
               of(slots.accumulate_plain))


def test_forward_over_reverse_is_the_hessian_of_the_plain_scan(x64):
  *arguments, plan = _arguments(('input', 'node'))
  v = jax.tree.map(lambda a: jnp.cos(jnp.arange(a.size, dtype=a.dtype)).reshape(a.shape), tuple(arguments))
  def product(accumulate):
    gradient = jax.grad(lambda *a: jnp.sum(accumulate(_rule(), *a, plan) ** 3), (0, 1, 2))
    return jax.jvp(gradient, tuple(arguments), v)[1]
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-10), product(slots.accumulate),
               product(slots.accumulate_plain))


def test_a_slot_that_reads_what_is_written_later_breaks_the_backward_pass(x64):
  """What the docstring forbids, so that the agreement above is seen to be able to fail."""
  *arguments, plan = _arguments(('node',))
  plan = plan | {'node': jnp.array([3, 0, 1, 0, 2])}  # the first slot reads node 3, which the last two write
  of = lambda accumulate: jax.grad(lambda *a: jnp.sum(accumulate(_rule(), *a, plan) ** 2), 1)(*arguments)
  assert not np.allclose(of(slots.accumulate), of(slots.accumulate_plain), atol=1e-10, rtol=0)
