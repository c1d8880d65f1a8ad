"""Keywords of a program as config keys."""

import ml_collections
import pytest

import daas_jax as dx
from daas_jax.errors import BadInput
from daas_jax.library import settings


def test_last_words_and_whole_names_set_keys():
  config = settings.config_of('search', None, {'epochs': 3, 'theta.lr': 1, 'devices': 2}, 'ddas')
  assert config.method == 'ddas' and config.search.epochs == 3 and config.parallel.devices == 2
  assert config.theta.lr == 1.0 and isinstance(config.theta.lr, float)


def test_a_config_or_its_name_is_begun_from_and_left_as_it_is():
  given = dx.search_config('daas')
  given.search.batch = 17
  config = settings.config_of('search', given, {'epochs': 3})
  assert (config.search.batch, config.search.epochs, given.search.epochs) == (17, 3, 50)
  assert settings.config_of('search', 'quickstart', {}).search.epochs == 34
  frozen = ml_collections.FrozenConfigDict(given)
  assert settings.config_of('search', frozen, {'seed': 5}).seed == 5


@pytest.mark.parametrize('config, words, method, message', [
    (None, {'epoch': 3}, None, "unknown config key 'epoch'; the nearest is 'search.epochs'"),
    (None, {'lr': 0.1}, None, "'lr' is the end of several config keys: give "
     r"\*\*{'theta.lr': ...} or \*\*{"),
    (None, {}, 'dass', "no method 'dass' is known, but daas"),
    ('quickstart', {}, 'ddas', "is one of method 'daas' and method='ddas' is asked for"),
    ('train_quickstart', {}, None, 'a config for `python -m daas_jax.train`'),
    (7, {}, None, 'config must be a ConfigDict'), ('nothing_here', {}, None, 'no config file')])
def test_what_is_wrong_is_one_line(config, words, method, message):
  with pytest.raises(BadInput, match=message) as error:
    settings.config_of('search', config, words, method)
  assert '\n' not in str(error.value)
