"""A search that has nothing to find says so: the search of test_planted.py, whose camera it finds, without a camera or
with labels that mean nothing. README's figures: DAAS_JAX_SEEDS=8 pytest -s -n 0 tests/methods/test_decided.py"""

import os

import pytest

from daas_jax.methods import decided

import planted

SEEDS, STEPS = range(int(os.environ.get('DAAS_JAX_SEEDS', '2'))), 124


def sentence(seed, shuffled):
  """What is decided of one search, in a sentence."""
  config = planted.field_config('embedded:field' if shuffled else 'embedded')
  config.seed = seed
  return decided.of(planted.field_search(config, planted.field(config, shuffled), STEPS), config)['sentence']


@pytest.mark.parametrize('shuffled', [False, True], ids=['the same D_val', 'shuffled labels'])
def test_nothing_is_found_where_there_is_nothing_to_find(shuffled):
  sentences = [sentence(seed, shuffled) for seed in SEEDS]
  print(*sentences, sep='\n')
  assert all(it.startswith('policy: nothing was found') for it in sentences), sentences
