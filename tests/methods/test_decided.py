"""What searches by the real method say that they decided: a planted operation is found, and chance is not.

On the packaged digits at a quarter of their side, so that a search takes a second or two; all share one program.
"""

import functools

import jax
import numpy as np
import pytest

import planted
from daas_jax.data import streaming
from daas_jax.methods import decided

# What the objective is: other keys of a search may be set here.
SETTINGS = {'gamma.lr': 0.1, 'search.epochs': 5, 'preprocess.padding': 1, 'preprocess.flip': False}
SEEDS = range(5)


def _config():
  config = planted.rotate_config()
  config.update_from_flattened_dict(SETTINGS)
  return config


@pytest.fixture(scope='module')
def search():
  """(turns of the validation images, whether all labels are shuffled, seed) -> what is decided."""
  config, data = _config(), planted.quartered(planted.embedded())
  init, step, _, total = planted.programs(config, data)

  @functools.cache
  def run(turns, shuffled, seed):
    mine = data
    if shuffled:
      mine = data._replace(train_labels=np.random.default_rng(seed).permutation(data.train_labels))
    batches = streaming.search_batches(mine, seed, config.search.batch, config.data.val_fraction, turns=turns)
    state = init(jax.random.key(seed))
    for i in range(total):
      state, _ = step(state, batches(i))
    return decided.of(state, config)

  return run


def test_rotate90_is_found_where_the_validation_images_are_turned(search):
  found = [search(1, False, seed) for seed in SEEDS]
  sentences = [one['sentence'] for one in found]
  print(*sentences, sep='\n')
  assert planted.four_of_five('Rotate90 found in' in sentence for sentence in sentences), sentences


@pytest.mark.parametrize('shuffled', [False, True], ids=['the same D_val', 'shuffled labels'])
def test_nothing_is_found_where_there_is_nothing_to_find(search, shuffled):
  sentences = [search(0, shuffled, seed)['sentence'] for seed in SEEDS]
  print(*sentences, sep='\n')
  assert all(sentence.startswith('policy: nothing was found') for sentence in sentences), sentences
