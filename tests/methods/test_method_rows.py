"""Rows of the table of methods: what a registered one may be called by, and what the report takes from them."""

import pytest

from daas_jax import config as config_lib
from daas_jax.config.key import at_least, Key
from daas_jax.methods import registry


@pytest.fixture
def rows():
  before = dict(registry.METHODS._rows)
  yield
  registry.METHODS._rows = before


@pytest.mark.parametrize('method, images', [
    ('ddas', 9 * 32), ('daas', 2 * 32), ('joint_faa', 2 * 32), ('diffautoml', 2 * 32)])
def test_a_step_s_images_are_those_that_the_method_looks_at(method, images):
  """DDAS validates on several batches; of a config of keys and values, as the report reads it."""
  config = config_lib.search_config(method)
  config.search.batch = 32
  if method == 'ddas':
    config.search.val_batches = 8  # DDAS 4.2
  flat = {f'{group}.{key}': value for group, room in config.items() if hasattr(room, 'items')
          for key, value in room.items()}
  assert registry.images_of({'method': method, **flat}) == images
  assert registry.images_of({'method': 'another', **flat}) is None


@pytest.mark.parametrize('key', ['search.control', 'search.penalty', 'search.score', 'search.n_policies'])
def test_a_method_is_no_other_by_the_names_of_its_keys(rows, key):
  """A key of its own that is called as another method's brings none of that one's rules with it."""
  registry.register('plain', registry.Row(lambda *_: None, keys={key: Key(1.5, at_least(0), 'of the test')}))
  config = config_lib.search_config('plain')
  config.search.batch = 33  # odd, which Faster AutoAugment refuses
  config_lib.check(config, 'search')
  assert config.search[key.removeprefix('search.')] == 1.5


def test_keys_of_all_methods_have_units_and_sources():
  for name, row in registry.methods().items():
    assert row.about and all(key.doc for key in row.keys.values()), name
