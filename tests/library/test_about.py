"""What a policy.json says of itself, of every form, and of one that nobody has registered."""

import json

import pytest

import policy_forms as forms

from daas_jax import config as config_lib
from daas_jax.data import sources
from daas_jax.library import about

DRAWN = {'table': 'a policy for every batch', 'images': 'for every image a policy', 'schedule': 'for every image a policy',
         'transformations': 'for every image a policy'}


def _about(tmp_path, content, **changes):
  config, path = config_lib.search_config(), tmp_path / 'policy.json'
  for key, value in changes.items():
    config.preprocess[key] = value
  path.write_text(json.dumps(content))
  about.describe_policy(str(path), config, sources.load('embedded'))
  found = json.loads(path.read_text())
  assert {key: value for key, value in found.items() if key != 'about'} == content
  return found['about']


@pytest.mark.parametrize('form', forms.ALL)
def test_it_says_what_draws_and_what_its_numbers_are(tmp_path, form):
  found = _about(tmp_path, forms.ALL[form])
  assert found['drawn'] == f'{DRAWN[form]}; for every image whether it is applied, signs and places'
  assert ('Rotate' in found['random_sign']) == ('Rotate' in json.dumps(forms.ALL[form]))
  assert found['around'] == 'random crop after 4 pixels of padding and horizontal flip before it, normalisation after it'


def test_of_chunks_and_of_what_comes_after_it(tmp_path):
  found = _about(tmp_path, {**forms.TABLE, 'per': 'chunk:8'}, policy_first=True, cutout=16)
  assert found['drawn'].startswith('a policy for every 8 images in a row;')
  assert found['around'] == ('nothing before it, random crop after 4 pixels of padding and horizontal flip, normalisation, '
                             'Cutout of 16 pixels after it')


def test_a_form_that_nobody_has_registered_is_left_as_it_is(tmp_path):
  assert 'drawn' not in _about(tmp_path, {'format': 'mine', 'angles': [1, 2]})
