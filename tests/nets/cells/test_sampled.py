"""How likely a sampled cell is, and the expectation of what a loss is additive in."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.estimators import gumbel, summary
from daas_jax.nets.cells import architecture, cell as cells

O, DRAWS = 2, 20_000


def _arch():
  rng = np.random.default_rng(0)
  return {'alpha': jnp.asarray(rng.normal(size=(2, 14, O))), 'beta': jnp.asarray(rng.normal(size=(2, 14)))}


@functools.cache
def _drawn():
  sample = jax.jit(jax.vmap(architecture.sample, (0, None, None)))
  return sample(jax.random.split(jax.random.key(1), DRAWS), _arch(), 1.0)


def test_log_prob_is_that_of_the_edges_of_every_node_and_of_their_operations(x64):
  arch, z = _arch(), jax.tree.map(lambda a: a[0], _drawn())
  log_p = np.asarray(jax.nn.log_softmax(arch['alpha']))
  of_two, expected = jax.jit(gumbel.top_two_log_prob), 0.0
  for kind in range(2):
    for edges in map(list, cells.NODE_EDGES):
      expected += float(of_two(arch['beta'][kind, edges], z['B'][kind, edges]))
      for e in edges:
        if z['B'][kind, e]:
          expected += log_p[kind, e, int(jnp.argmax(z['A'][kind, e]))]
  np.testing.assert_allclose(jax.jit(architecture.log_prob)(arch, z), expected, rtol=1e-12)


def test_the_score_is_zero_on_average_and_has_the_gradient_of_an_additive_loss(x64):
  """E[grad log p] = 0, and E[h grad log p] = grad E[h] of the closed form: of alpha and beta, by the sampler's draws."""
  arch, drawn = _arch(), _drawn()
  space = architecture.of_primitives(('skip_connect', 'max_pool_3x3'))
  w = jnp.asarray(np.random.default_rng(2).normal(size=space.n_features))
  flat = lambda g: jnp.concatenate([jnp.ravel(g[name]) for name in ('alpha', 'beta')])
  scores = np.asarray(jax.jit(jax.vmap(lambda z: flat(jax.grad(space.log_prob)(arch, z))))(drawn))
  values = np.asarray(jax.vmap(space.features)(drawn) @ w)
  expected, gradient = jax.jit(jax.value_and_grad(space.expected_features))(arch, w)
  gradient = np.asarray(flat(gradient))
  moves = scores.std(0) > 1e-12  # the first node has two edges, and takes both
  assert moves.sum() == 2 * (14 * O + 12)
  z = summary.z_scores(scores[:, moves], np.zeros(moves.sum()))
  assert np.abs(z).max() < 5
  z = summary.z_scores(((values - float(expected))[:, None] * scores)[:, moves], gradient[moves])
  assert np.abs(z).max() < 5
  np.testing.assert_allclose(gradient[~moves], 0, atol=1e-12)
  assert abs(values.mean() - float(expected)) < 5 * values.std() / DRAWS ** 0.5
