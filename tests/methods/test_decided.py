"""A search that has nothing to find says so: the search of test_planted.py, whose camera it finds, without a camera or
with labels that mean nothing. README's figures: DAAS_JAX_SEEDS=8 pytest -s -n 0 tests/methods/test_decided.py,
which runs all pairs of both.
"""

import os

import pytest

from daas_jax.methods import decided

import planted

SEEDS = os.environ.get('DAAS_JAX_SEEDS')
STEPS = {'daas': 124, 'moments': 217}  # of these searches, by their objective
PAIRS = [('the same D_val', 'moments'), ('shuffled labels', 'daas'), ('the same D_val', 'daas'),
         ('shuffled labels', 'moments')]


def sentence(seed, variant, nothing):
  """What is decided of one search, in a sentence."""
  shuffled = nothing == 'shuffled labels'
  config = planted.field_config('embedded:field' if shuffled else 'embedded', variant)
  config.seed = seed
  state, = planted.searches(config, planted.field(config, shuffled), [seed], STEPS[variant])
  return decided.of(state, config)['sentence']


# A minute each: where no seeds are asked for, either objective and either way to have nothing.
@pytest.mark.parametrize('nothing, variant', PAIRS if SEEDS else PAIRS[:2])
def test_nothing_is_found_where_there_is_nothing_to_find(nothing, variant):
  sentences = [sentence(seed, variant, nothing) for seed in range(int(SEEDS or 1))]
  print(*sentences, sep='\n')
  assert all(it.startswith('policy: nothing was found') for it in sentences), sentences
