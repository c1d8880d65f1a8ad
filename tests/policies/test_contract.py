"""Images of a batch that share a drawn policy: in chunks, each its own, or all."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import daas_jax as dx
from daas_jax.errors import BadInput
from daas_jax.policies import baselines, contract, found, given, total
from daas_jax.policies.candidates import Candidate, Space
import policy_forms as forms

SPACE = Space((Candidate('Invert', 0.0), Candidate('Brightness', 0.0), Candidate('Identity', 0.0)), K=1)
P_O = np.array([0.5, 0.3, 0.2])
SCHEDULE = total.Schedule(SPACE, np.ones(1), P_O[None])
BATCH = total.augmenter(SCHEDULE, per='batch')
VALUES = (0.75, 0.025, 0.25)  # of an image of 0.25 after each


def _drawn(per, n=30, key=0):
  """Which candidate each of n images got."""
  images = jnp.full((n, 2, 2, 1), 0.25)
  out = np.asarray(jax.jit(total.augmenter(SCHEDULE, per=per))(jax.random.key(key), images))[:, 0, 0, 0]
  nearest = np.abs(out[:, None] - np.array(VALUES)).argmin(1)
  np.testing.assert_allclose(out, np.array(VALUES)[nearest], atol=1e-6)
  return nearest


def _values_are_what_they_do():
  images = jnp.full((1, 2, 2, 1), 0.25)
  for i, value in enumerate(VALUES):
    one = total.augmenter(total.Schedule(SPACE, np.ones(1), np.eye(3)[i:i + 1]))
    np.testing.assert_allclose(one(jax.random.key(0), images), value, atol=1e-6)


@pytest.mark.parametrize('chunk', [1, 4, 7])
def test_a_chunk_is_alike_and_chunks_are_not(chunk):
  drawn = _drawn(f'chunk:{chunk}')
  chunks = [drawn[i:i + chunk] for i in range(0, len(drawn), chunk)]
  assert all(len(set(c)) == 1 for c in chunks) and len({c[0] for c in chunks}) > 1


def test_a_chunk_as_large_as_the_batch_is_the_policy_itself():
  images = jax.random.uniform(jax.random.key(1), (8, 4, 4, 3))
  for chunk in (8, 100):
    np.testing.assert_array_equal(contract.in_chunks(BATCH, chunk)(jax.random.key(2), images),
                                  BATCH(jax.random.key(2), images))


def test_images_of_their_own_have_the_policy_s_distribution():
  """Chi-square over 3,000 images; and of whole numbers uint8 comes back."""
  _values_are_what_they_do()
  for per in ('image', 'chunk:1', ''):  # '': as DDAS's code does
    counts = np.bincount(_drawn(per, 3000), minlength=3)
    assert stats.chisquare(counts, 3000 * P_O).pvalue > 1e-3
  out = contract.in_chunks(BATCH, 2)(jax.random.key(0), jnp.full((5, 2, 2, 1), 100, jnp.uint8))
  assert out.dtype == jnp.uint8 and out.shape == (5, 2, 2, 1)


def test_progress_reaches_every_chunk():
  """Of two epochs the second one inverts."""
  schedule = total.Schedule(SPACE, np.ones(2), np.array([[0.0, 0, 1], [1.0, 0, 0]]))
  augment = jax.jit(total.augmenter(schedule, per='chunk:2'))
  images = jnp.full((5, 2, 2, 1), 0.25)
  np.testing.assert_array_equal(augment(jax.random.key(0), images, 0.1), images)
  np.testing.assert_allclose(augment(jax.random.key(0), images, 0.9), 0.75)


def test_a_training_s_policy_is_drawn_as_it_says(tmp_path):
  path = tmp_path / 'policy.json'
  total.save(path, SCHEDULE)
  images, key = jnp.full((9, 2, 2, 1), 0.25), jax.random.key(5)
  for per in ('', 'chunk:3', 'batch'):
    augment = given.find(str(path), None, 1, per).augment
    np.testing.assert_array_equal(augment(key, images, 1.0), total.augmenter(SCHEDULE, per=per)(key, images, 1.0))
    assert found.load_policy(path, per=per).per == (per or 'image')
  standard = given.find('standard', None, per='image')
  assert standard.standard is baselines.BASELINES['standard'].standard_preprocessing
  with pytest.raises(BadInput, match='of the policy standard every image draws its own: leave out'):
    given.find('standard', None, per='batch')
  with pytest.raises(BadInput):
    given.find(str(tmp_path / 'none.json'), None, 1, 'chunk:3')


@pytest.mark.parametrize('form', forms.ALL)
@pytest.mark.parametrize('per', ['image', 'chunk:2', 'batch'])
def test_every_form_is_drawn_as_one_says(form, per):
  """Equal images that share a draw of what is not drawn anyway are alike; and every form has one that is its own."""
  content = json.loads(json.dumps(forms.ALL[form]))
  for row in content.get('policies', ()):  # nothing else is drawn for an image: neither application nor sign
    row['p'] = [1.0] * 2
    row['ops'] = ['Solarize', 'Invert']
  for epoch in content['epochs'] if form == 'schedule' else ():
    epoch |= {'p_tp': 1.0, 'p_o': [0.0, 0.4, 0.6]}
  policy = dx.Policy(content, per=per)
  assert policy.per == per and dx.Policy(content).per == {'table': 'batch'}.get(form, 'image')
  row = np.random.default_rng(0).random((1, 6, 6, 3), np.float32)
  images = jnp.asarray(np.repeat(row, 6, 0))
  shared = {'image': 1, 'chunk:2': 2, 'batch': 6}[per]
  alike, draws = 0, 12
  for key in jax.random.split(jax.random.key(0), draws):
    out = np.asarray(jax.jit(policy)(key, images, 0.9))
    chunks = [out[i:i + shared] for i in range(0, 6, shared)]
    assert all(np.array_equal(chunk, chunk[:1].repeat(shared, 0)) for chunk in chunks)
    alike += all(np.array_equal(chunk[0], out[0]) for chunk in chunks)
  assert alike == draws if per == 'batch' else alike < draws


def test_a_word_that_says_nothing():
  for per in ('chunk:0', 'chunk:', 'each', 3):
    with pytest.raises(BadInput, match="per must be 'image', 'batch' or 'chunk:N', not"):
      dx.Policy(forms.TABLE, per=per)
  with pytest.raises(BadInput, match='policy: "per" must be'):
    dx.Policy({**forms.TABLE, 'per': 'each'})
  assert dx.Policy({**forms.TABLE, 'per': 'chunk:8'}).per == 'chunk:8'
