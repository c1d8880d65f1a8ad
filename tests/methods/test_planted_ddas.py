"""DDAS's check of itself (DDAS 4.1), on real images."""

import planted
import pytest


@pytest.fixture(scope='module')
def data():
  return planted.embedded()


def _found(state):
  probability, p_tp = planted.ddas_rotate_found(state)
  return probability > 0.5 and p_tp > 0.35  # where p_tp began


def test_rotate90_becomes_dominant_when_the_validation_images_are_turned(data):
  """README quotes the steps that this prints, beside those of DAAS (test_planted.py)."""
  config = planted.ddas_rotate_config()
  steps = list(planted.steps_until(_found, config, data, range(5)))
  print('steps until found:', steps, 'of', config.search.n_policies + 2, 'passes each')
  assert sum(n < 620 for n in steps) >= 4, steps  # 620: the whole search


def test_rotate90_is_not_found_when_they_are_not(data):
  config = planted.ddas_rotate_config()
  config.data.validation_turns = 0
  config.search.epochs = 5
  state, = planted.searches(config, data, [0])
  assert planted.ddas_rotate_found(state)[0] < 0.05
