"""Images of a batch that share a drawn policy: in chunks, each its own, or all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from daas_jax.errors import BadInput
from daas_jax.policies import baselines, contract, found, given, total
from daas_jax.policies.candidates import Candidate, Space

SPACE = Space((Candidate('Invert', 0.0), Candidate('Brightness', 0.0), Candidate('Identity', 0.0)), K=1)
P_O = np.array([0.5, 0.3, 0.2])
BATCH = total.augmenter(total.Schedule(SPACE, np.ones(1), P_O[None]))  # draws one policy for all that it is given
VALUES = (0.75, 0.025, 0.25)  # of an image of 0.25 after each


def _drawn(chunk, n=30, key=0):
  """Which candidate each of n images got."""
  images = jnp.full((n, 2, 2, 1), 0.25)
  out = np.asarray(jax.jit(contract.in_chunks(BATCH, chunk))(jax.random.key(key), images))[:, 0, 0, 0]
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
  drawn = _drawn(chunk)
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
  counts = np.bincount(_drawn(1, 3000), minlength=3)
  assert stats.chisquare(counts, 3000 * P_O).pvalue > 1e-3
  out = contract.in_chunks(BATCH, 2)(jax.random.key(0), jnp.full((5, 2, 2, 1), 100, jnp.uint8))
  assert out.dtype == jnp.uint8 and out.shape == (5, 2, 2, 1)


def test_progress_reaches_every_chunk():
  """Of two epochs the second one inverts."""
  schedule = total.Schedule(SPACE, np.ones(2), np.array([[0.0, 0, 1], [1.0, 0, 0]]))
  augment = jax.jit(contract.in_chunks(total.augmenter(schedule), 2))
  images = jnp.full((5, 2, 2, 1), 0.25)
  np.testing.assert_array_equal(augment(jax.random.key(0), images, 0.1), images)
  np.testing.assert_allclose(augment(jax.random.key(0), images, 0.9), 0.75)


def test_a_training_s_policy_is_in_chunks_where_it_says_so(tmp_path):
  path = tmp_path / 'policy.json'
  total.save(path, total.Schedule(SPACE, np.ones(1), P_O[None]))
  images, key = jnp.full((9, 2, 2, 1), 0.25), jax.random.key(5)
  for chunk in (0, 3):
    augment = given.find(str(path), None, 1, chunk).augment
    expected = contract.in_chunks(found.load_policy(path), chunk or 9)(key, images)
    np.testing.assert_array_equal(augment(key, images, 1.0), expected)
  standard = given.find('standard', None, chunk=1)
  assert standard.standard is baselines.BASELINES['standard'].standard_preprocessing
  with pytest.raises(BadInput):
    given.find(str(tmp_path / 'none.json'), None, 1, 3)
