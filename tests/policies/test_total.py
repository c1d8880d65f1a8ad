"""DDAS's policy space: the published list, its probabilities by enumeration, and what a candidate does to an image."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment import apply
from daas_jax.augment.ops import OPS
from daas_jax.data import sources
from daas_jax.errors import BadInput
from daas_jax.policies import results, total
from daas_jax.policies.total import Candidate, Policy, Space

SPACE = Space((Candidate('Rotate', 0.6), Candidate('Rotate', 1.0), Candidate('Equalize', 0.0)), K=2)


def test_the_published_list_has_8_operations_without_and_11_at_4_levels():
  by_op = {}
  for c in total.published():
    by_op.setdefault(c.op, []).append(c.strength)
  assert len(total.published()) == 52 == len(set(total.published())) and len(by_op) == 19
  assert sorted(len(levels) for levels in by_op.values()) == [1] * 8 + [4] * 11
  assert all(OPS[op].graded == (len(levels) == 4) for op, levels in by_op.items())
  assert 'Cutout' not in by_op and {'VerticalFlip', 'Blur', 'Smooth'} <= set(by_op)


def test_no_two_levels_of_an_operation_give_one_image():
  """The published code gave all four the same. On a real image, without the sign that some draw."""
  space = Space(total.published(), K=1)
  pixels = jnp.asarray(sources.load('embedded').train_images[:1] / 255, jnp.float32)
  images = jnp.concatenate([pixels, pixels[:, ::-1], jnp.roll(pixels, 5, 2)], -1)  # in colours, for Color

  @jax.jit
  def turn(i, key):
    o, strength = space.operations(i[None])
    return apply.apply_policy(images, o, jnp.ones(1, jnp.int32), strength, key, ops=space.ops)

  key = jax.random.key(1)
  made = {c: np.asarray(turn(i, key)) for i, c in enumerate(space.candidates)}
  for a, b in itertools.combinations(space.candidates, 2):
    if a.op == b.op:
      assert np.abs(made[a] - made[b]).max() > 1 / 255, (a, b)
  assert all(image.min() >= 0 and image.max() <= 1 for image in made.values())


def test_probabilities_of_all_policies_sum_to_one_and_are_products(x64):
  gamma = {'alpha_o': jnp.array([0.3, -1.0, 0.7]), 'alpha_tp': jnp.asarray(-0.4)}
  p_o = np.exp([0.3, -1.0, 0.7]) / np.exp([0.3, -1.0, 0.7]).sum()
  found = {}
  for phi in itertools.product(range(3), repeat=2):
    policy = Policy(jnp.array(phi), jnp.int32(1))
    found[phi] = float(jnp.exp(total.log_prob(gamma, policy)))
    assert found[phi] == pytest.approx(p_o[phi[0]] * p_o[phi[1]], rel=1e-12)
  assert sum(found.values()) == pytest.approx(1, rel=1e-12)
  assert float(total.total_probability(gamma)) == pytest.approx(1 / (1 + np.exp(0.4)), rel=1e-12)


def test_the_start_is_uniform_and_035(x64):
  gamma = total.init(jax.random.key(0), SPACE)
  np.testing.assert_array_equal(gamma['alpha_o'], np.zeros(3))
  assert float(total.total_probability(gamma)) == pytest.approx(0.35, rel=1e-6)


def test_sampling_is_uniform():
  phi = jax.vmap(lambda key: total.sample(key, SPACE).phi)(jax.random.split(jax.random.key(0), 9000))
  counts = np.zeros((3, 3))
  np.add.at(counts, tuple(np.asarray(phi).T), 1)
  assert np.abs(counts / 1000 - 1).max() < 0.15  # 4.7 standard deviations of 32 in 1,000


def test_operations_of_candidates():
  assert SPACE.ops == ('Rotate', 'Equalize')
  o, strength = SPACE.operations(jnp.array([[2, 0], [1, 1]]))
  np.testing.assert_array_equal(o, [[1, 0], [0, 0]])
  np.testing.assert_allclose(strength, [[0, 0.6], [1, 1]], rtol=1e-6)


def test_names_are_read_back():
  names = tuple(map(str, total.published()))
  for a, b in zip(total.parse(names), total.published(), strict=True):
    assert a.op == b.op and a.strength == pytest.approx(b.strength, abs=1e-6)


@pytest.mark.parametrize('names, said', [
    (('Rotat:1',), 'no known operation'), (('Rotate',), 'write Rotate:0.5'), (('Equalize:1',), 'write Equalize'),
    (('Rotate:x',), r'\[0, 1.5\]'), (('Rotate:1.6',), r'\[0, 1.5\]'), (('Rotate:nan',), r'\[0, 1.5\]'),
    (('Rotate:1', 'Rotate:1.0'), 'twice'), (('',), 'no known operation')])
def test_wrong_names_say_what_is_wrong(names, said):
  with pytest.raises(BadInput, match=said):
    total.parse(names)


def test_results_are_json_and_a_schedule_of_the_epochs(tmp_path):
  gamma = {'alpha_o': jnp.array([0.0, 1.0, 2.0]), 'alpha_tp': jnp.float32(0.0)}
  rows = [results.TOTAL.record(jax.tree.map(lambda x, t=t: t * x, gamma), SPACE) for t in (1, 2)]
  assert json.loads(json.dumps(rows)) == rows
  assert rows[0]['candidates'] == ['Rotate:0.6', 'Rotate:1', 'Equalize'] and rows[0]['applied'] == [[0.5] * 3]
  text = results.write(tmp_path, gamma, SPACE, rows)
  assert 'Equalize' in text and '+-30' in text and 'p_tp at 2 of 2 epochs: 0.500 0.500' in text
  content = json.loads((tmp_path / 'policy.json').read_text())
  for t, epoch in enumerate(content['epochs'], 1):
    np.testing.assert_allclose(epoch['p_o'], np.exp(t * np.arange(3)) / np.exp(t * np.arange(3)).sum(), atol=1e-5)
  found = results.TOTAL.measures(gamma, SPACE)
  p = np.exp(np.arange(3)) / np.exp(np.arange(3)).sum()
  assert found['p_tp'] == 0.5 and found['entropy_p_o'] == pytest.approx(-np.sum(p * np.log(p)), rel=1e-5)
