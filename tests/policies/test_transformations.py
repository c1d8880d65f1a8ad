"""DiffAutoML's transformations: their distribution, their file, their use."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment import apply
from daas_jax.errors import BadInput
from daas_jax.policies import found as found_lib, registry, transformations

SPACE = transformations.Space(('Identity', 'Invert', 'Rotate'), 2)
TAU = jnp.linspace(-1.0, 1.5, 9)


def test_the_operations_are_the_papers():
  assert len(transformations.OPERATIONS) == len(set(transformations.OPERATIONS)) == 14
  assert len(transformations.init(jax.random.key(0), transformations.Space())) == 14**2


def test_draws_have_the_probabilities_of_tau_and_magnitudes_are_uniform():
  drawn = transformations.sample(jax.random.key(0), TAU, 20000, SPACE)
  p = np.asarray(jax.nn.softmax(TAU))
  share = np.bincount(drawn.index, minlength=9) / 20000
  assert np.all(np.abs(share - p) < 5 * np.sqrt(p * (1 - p) / 20000))
  assert abs(drawn.strength.mean() - 0.5) < 0.01 and abs(drawn.strength.std() - 12**-0.5) < 0.01
  np.testing.assert_allclose(transformations.probability(TAU, drawn)[:50], p[drawn.index[:50]], rtol=1e-6)


def test_every_image_gets_its_own_transformation():
  images = jax.random.uniform(jax.random.key(1), (9, 6, 6, 1))
  drawn = transformations.Drawn(jnp.arange(9), jnp.zeros((9, 2)))  # Rotate at 0 is no turn
  out = transformations.augment(images, drawn, jax.random.key(2), SPACE)
  for i, (a, b) in enumerate((a, b) for a in SPACE.ops for b in SPACE.ops):
    inverted = (a == 'Invert') != (b == 'Invert')
    np.testing.assert_allclose(out[i], 1 - images[i] if inverted else images[i], atol=1e-5)
  o = jnp.stack([drawn.index // 3, drawn.index % 3], -1)
  np.testing.assert_allclose(out, apply.apply_each(images, o, jnp.ones_like(o), drawn.strength, jax.random.key(2),
                                                   ops=SPACE.ops), atol=1e-6)


def test_marginals_are_sums_of_the_table():
  p = np.asarray(jax.nn.softmax(TAU), np.float64)
  np.testing.assert_allclose(transformations.marginals(p, SPACE),
                             [p.reshape(3, 3).sum(1), p.reshape(3, 3).sum(0)], rtol=1e-6)


def _found():
  p = np.array([jax.nn.softmax(0 * TAU), jax.nn.softmax(TAU)], np.float64)
  return transformations.Transformations(SPACE, p / p.sum(-1, keepdims=True))


def test_the_file_comes_back_and_trains(tmp_path):
  path = tmp_path / 'policy.json'
  transformations.save(path, _found())
  again = found_lib.load(path)
  assert again.space == SPACE
  np.testing.assert_allclose(again.probability, _found().probability, atol=1e-5)
  table = found_lib.load_table(path)
  assert table.o[0].tolist() == [2, 2] and abs(table.probability.sum() - 1) < 1e-6
  images = jax.random.randint(jax.random.key(0), (5, 6, 6, 1), 0, 256).astype(jnp.uint8)
  augment = jax.jit(found_lib.load_policy(path))
  out = augment(jax.random.key(0), images, 0.7)
  assert out.shape == images.shape and out.dtype == jnp.uint8
  assert not np.array_equal(out, augment(jax.random.key(1), images, 0.7))


def test_the_training_s_progress_chooses_the_epoch(tmp_path):
  p = np.zeros((2, 9))
  p[0, 0], p[1, 1] = 1, 1  # identity first, then (Identity, Invert)
  augment = transformations.augmenter(transformations.Transformations(SPACE, p))
  images = jax.random.uniform(jax.random.key(0), (4, 6, 6, 1))
  np.testing.assert_allclose(augment(jax.random.key(1), images, 0.2), images, atol=1e-6)
  np.testing.assert_allclose(augment(jax.random.key(1), images, 0.9), 1 - images, atol=1e-6)


def test_a_search_s_results(tmp_path):
  rows = registry.spaces()['transformations']
  records = [rows.record(tau, SPACE) for tau in (0 * TAU, TAU)]
  assert json.loads(json.dumps(records[1])) == records[1]
  text = rows.write(tmp_path / 'policy.json', TAU, SPACE, records)
  assert 'Rotate, Rotate' in text.splitlines()[1]
  np.testing.assert_allclose(found_lib.load(tmp_path / 'policy.json').probability, _found().probability, atol=1e-5)
  np.testing.assert_allclose(rows.measures(0 * TAU, SPACE)['entropy_tau'], np.log(9), rtol=1e-6)


@pytest.mark.parametrize('change, word', [
    ({'version': 3}, 'version'), ({'K': 9}, '"K"'), ({'ops': ['Identity', 'Identity']}, 'different'),
    ({'ops': ['Nothing', 'Invert', 'Rotate']}, 'Nothing'), ({'epochs': []}, 'at least one'),
    ({'epochs': [[0.5] * 8]}, '9 numbers'), ({'epochs': [[0.5] * 9]}, 'sums to')])
def test_a_malformed_file_is_one_line(change, word, tmp_path):
  path = tmp_path / 'policy.json'
  path.write_text(json.dumps(json.loads(transformations.to_text(_found())) | change))
  with pytest.raises(BadInput, match=word) as error:
    found_lib.load_policy(path)
  assert '\n' not in str(error.value)
