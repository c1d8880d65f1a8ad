"""DDAS's policy space: its probabilities by enumeration, its start, and what a search leaves of it."""

import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.policies import registry, total
from daas_jax.policies.candidates import Candidate, Space
from daas_jax.policies.total import Policy

SPACE = Space((Candidate('Rotate', 0.2), Candidate('Rotate', 1.0), Candidate('Equalize', 0.0)), K=2)


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


def test_results_are_json_and_a_schedule_of_the_epochs(tmp_path):
  results = registry.spaces()['total']
  gamma = {'alpha_o': jnp.array([0.0, 1.0, 2.0]), 'alpha_tp': jnp.float32(0.0)}
  rows = [results.record(jax.tree.map(lambda x, t=t: t * x, gamma), SPACE) for t in (1, 2)]
  assert json.loads(json.dumps(rows)) == rows
  assert rows[0]['candidates'] == ['Rotate:0.2', 'Rotate:1', 'Equalize'] and rows[0]['applied'] == [[0.5] * 3]
  text = results.write(tmp_path / 'policy.json', gamma, SPACE, rows)
  assert 'Equalize' in text and '+-30' in text and 'p_tp at 2 of 2 epochs: 0.500 0.500' in text
  content = json.loads((tmp_path / 'policy.json').read_text())
  for t, epoch in enumerate(content['epochs'], 1):
    np.testing.assert_allclose(epoch['p_o'], np.exp(t * np.arange(3)) / np.exp(t * np.arange(3)).sum(), atol=1e-5)
  found = results.measures(gamma, SPACE)
  p = np.exp(np.arange(3)) / np.exp(np.arange(3)).sum()
  assert found['p_tp'] == 0.5 and found['entropy_p_o'] == pytest.approx(-np.sum(p * np.log(p)), rel=1e-5)
