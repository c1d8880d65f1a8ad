"""Straight-through samples: hard values, the soft sample's gradient, the distribution."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.estimators import gumbel


def test_one_hot_is_hard_forward_and_soft_backward(x64):
  logits, key, tau = jnp.array([0.3, -1.0, 0.7]), jax.random.key(3), 0.7
  c = jnp.array([1.0, 2.0, -3.0])
  noisy = jax.nn.log_softmax(logits) + jax.random.gumbel(key, logits.shape, logits.dtype)
  sample = gumbel.one_hot(key, logits, tau)
  np.testing.assert_array_equal(sample, jax.nn.one_hot(jnp.argmax(noisy), 3))
  gradient = jax.grad(lambda l: c @ gumbel.one_hot(key, l, tau))(logits)
  soft = np.asarray(jax.nn.softmax(noisy / tau))
  by_hand = (np.diag(soft) - np.outer(soft, soft)) @ np.asarray(c) / tau  # log_softmax's shift does not change it
  np.testing.assert_allclose(gradient, by_hand, rtol=1e-10)


def test_top_k_has_k_ones_and_the_soft_gradient(x64):
  logits, key = jnp.array([0.3, -1.0, 0.7, 0.1]), jax.random.key(5)
  sample = gumbel.top_k(key, logits, 0.5)
  assert sorted(np.asarray(sample)) == [0, 0, 1, 1]
  c = jnp.array([1.0, 2.0, -3.0, 0.5])
  noisy = jax.nn.log_softmax(logits) + jax.random.gumbel(key, logits.shape, logits.dtype)
  soft = jax.grad(lambda l: c @ jax.nn.softmax(l / 0.5))(noisy)
  np.testing.assert_allclose(jax.grad(lambda l: c @ gumbel.top_k(key, l, 0.5))(logits), soft, rtol=1e-10)


def test_hard_sample_does_not_depend_on_tau():
  keys = jax.random.split(jax.random.key(0), 200)
  logits = jnp.array([0.3, -1.0, 0.7])
  a, b = (jax.vmap(lambda key: gumbel.one_hot(key, logits, tau))(keys) for tau in (10.0, 0.1))
  np.testing.assert_array_equal(a, b)
  np.testing.assert_allclose(np.mean(a, 0), jax.nn.softmax(logits), atol=0.15)


@pytest.mark.parametrize('step,tau', [(0, 10.0), (50, 5.05), (100, 0.1), (200, 0.1)])
def test_linear_tau(step, tau):
  assert float(gumbel.linear_tau(step, 101)) == pytest.approx(tau, rel=1e-5)


def test_bernoulli_is_hard_forward_and_soft_backward(x64):
  logits, key, tau = jnp.array([0.3, -2.0, 1.5]), jax.random.key(6), 0.4
  noisy = np.asarray(logits + jax.random.logistic(key, logits.shape, logits.dtype))
  value, pull = jax.vjp(lambda l: gumbel.bernoulli(key, l, tau), logits)
  np.testing.assert_array_equal(value, (noisy > 0).astype(float))
  soft = 1 / (1 + np.exp(-noisy / tau))
  np.testing.assert_allclose(pull(jnp.ones(3))[0], soft * (1 - soft) / tau, rtol=1e-10)


def test_bernoulli_has_the_probability_of_its_logit():
  draws = gumbel.bernoulli(jax.random.key(7), jnp.full(20_000, -0.8), 0.5)
  p = 1 / (1 + np.exp(0.8))
  assert abs(float(draws.mean()) - p) < 5 * np.sqrt(p * (1 - p) / 20_000)


def _pairs(n):
  return np.array([[i in pair for i in range(n)] for pair in itertools.combinations(range(n), 2)], float)


@pytest.mark.parametrize('n', [2, 4])
def test_two_without_replacement_are_as_likely_as_both_orders_together(x64, n):
  logits = jnp.asarray(np.random.default_rng(n).normal(size=n) * 2)
  p, sets = np.asarray(jax.nn.softmax(logits)), _pairs(n)
  ordered = np.zeros(len(sets))
  for i, j in itertools.permutations(range(n), 2):
    ordered[np.flatnonzero((sets[:, i] > 0) & (sets[:, j] > 0))] += p[i] * p[j] / (p.sum() - p[i])
  found = jnp.exp(jax.vmap(gumbel.top_two_log_prob, (None, 0))(logits, sets))
  np.testing.assert_allclose(found, ordered, rtol=1e-12)
  np.testing.assert_allclose(jnp.sum(found), 1, rtol=1e-12)
  np.testing.assert_allclose(gumbel.top_two_inclusion(logits), ordered @ sets, rtol=1e-12)


def test_its_probabilities_are_those_of_the_samples(x64):
  logits = jnp.array([1.0, -0.5, 0.2, 0.0])
  drawn = jax.vmap(lambda key: gumbel.top_k(key, logits, 1.0))(jax.random.split(jax.random.key(0), 40_000))
  for pair in _pairs(4):
    p = float(jnp.exp(gumbel.top_two_log_prob(logits, jnp.asarray(pair))))
    seen = float(jnp.mean(jnp.all(drawn == pair, -1)))
    assert abs(seen - p) < 5 * (p * (1 - p) / len(drawn)) ** 0.5


def test_it_is_finite_and_has_a_gradient_where_one_is_all_but_certain():
  logits = jnp.array([60.0, 0.0, -50.0])
  for two, log_p in ((jnp.array([1.0, 1.0, 0.0]), 0.0), (jnp.array([0.0, 1.0, 1.0]), np.log(2) - 170)):
    value, gradient = jax.value_and_grad(gumbel.top_two_log_prob)(logits, two)
    np.testing.assert_allclose(value, log_p, atol=1e-4)
    assert np.isfinite(gradient).all()
  assert np.isfinite(jax.jacobian(gumbel.top_two_inclusion)(logits)).all()
