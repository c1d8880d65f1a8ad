"""A search that has nothing to find says so: the search of test_planted.py, whose camera it finds, without a camera or
with labels that mean nothing. README's figures: DAAS_JAX_SEEDS=8 pytest -s -n 0 tests/methods/test_decided.py"""

import os

import pytest

from daas_jax.methods import decided

import planted

SEEDS = range(int(os.environ.get('DAAS_JAX_SEEDS', '1')))
STEPS = {'daas': 124, 'moments': 217}  # of these searches, by their objective


def sentence(seed, variant, shuffled):
  """What is decided of one search, in a sentence."""
  config = planted.field_config('embedded:field' if shuffled else 'embedded', variant)
  config.seed = seed
  return decided.of(planted.field_search(config, planted.field(config, shuffled), STEPS[variant]), config)['sentence']


@pytest.mark.parametrize('variant', STEPS)
@pytest.mark.parametrize('shuffled', [False, True], ids=['the same D_val', 'shuffled labels'])
def test_nothing_is_found_where_there_is_nothing_to_find(shuffled, variant):
  sentences = [sentence(seed, variant, shuffled) for seed in SEEDS]
  print(*sentences, sep='\n')
  assert all(it.startswith('policy: nothing was found') for it in sentences), sentences
