"""An architecture search with a known answer must find it: at least 4 of 5 seeds, on real images, by the real method.

The answer is compound: of six candidates two tell nothing of the image, and one edge gives the image beside whatever is
chosen for it. Found is what is drawn less than half as often as uniform draws do, both; the table of all estimators is
docs/planted_cells.py's. In a file of its own: two workers share the suite a file at a time, and this is one of its
longest tests.
"""

import commands
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.nets.cells import architecture

import planted

DOCS = commands.docs_module('planted_cells')


def test_what_tells_nothing_is_left_out():
  changes, passes = DOCS.ESTIMATORS['regression, 8 losses']
  changes = changes | {'arch.lr': 0.03}  # three times the table's, to save time
  looks = {}
  def verdicts():
    for seed, looks[seed] in DOCS.searches(changes, passes, range(5), DOCS.found):
      yield DOCS.found(looks[seed][-1])
  assert planted.four_of_five(verdicts()), looks


def test_how_often_it_is_drawn():
  """Against 20,000 draws."""
  key_alpha, key_beta, key = jax.random.split(jax.random.key(0), 3)
  arch = {'alpha': jax.random.normal(key_alpha, (2, 14, 6)), 'beta': jax.random.normal(key_beta, (2, 14))}
  z = jax.vmap(lambda k: architecture.sample(k, arch, 1.0))(jax.random.split(key, 20_000))
  used = np.array(z['B'][..., None] * z['A'])
  edge = used[:, DOCS.REDUCE, DOCS.CRIPPLED].sum(-1)
  used[:, DOCS.REDUCE, DOCS.CRIPPLED] = 0
  np.testing.assert_allclose(DOCS.drawn(arch), [used[..., 4:].sum((1, 2, 3)).mean(), edge.mean()], atol=0.03)
  uniform = DOCS.drawn(jax.tree.map(jnp.zeros_like, arch))
  np.testing.assert_allclose(uniform, [(16 - 2 / 3) / 3, 2 / 3], rtol=1e-5)


@pytest.mark.parametrize('both, answer', [((0.4, 0.4), True), ((0.6, 0.4), False), ((0.4, 0.6), False)])
def test_both_have_to_be_found(both, answer):
  assert DOCS.found(both) == answer
