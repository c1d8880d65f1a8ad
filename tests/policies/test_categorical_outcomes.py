"""Outcomes of policies: probabilities, features and their expectation against the enumerated space."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.policies import categorical

OPS = ('Rotate', 'Invert', 'Brightness')  # Invert has no magnitude
SHARES = ('policy', 'slot', 'op')


def _space(share):
  return categorical.Space(OPS, K=2, levels=2, share=share)


def _gamma(space):
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), categorical.init(jax.random.key(0), space))


def _effect(o, y, m):
  """What an event does, by name: a tuple over the slots."""
  return tuple(None if not y[k] else (OPS[o[k]], None if OPS[o[k]] == 'Invert' else int(m[k])) for k in range(2))


def _by_effect(policies):
  groups = {}
  for i, event in enumerate(zip(*map(np.asarray, policies))):
    groups.setdefault(_effect(*event), []).append(i)
  return groups


@pytest.mark.parametrize('share', SHARES)
def test_an_outcome_has_the_probability_of_all_its_events(x64, share):
  space = _space(share)
  gamma, policies = _gamma(space), categorical.enumerate_policies(space)
  event = np.exp(jax.vmap(lambda p: categorical.log_prob(gamma, p, space))(policies))
  outcome = np.exp(jax.vmap(lambda p: categorical.outcome_log_prob(gamma, p, space))(policies))
  groups = _by_effect(policies)
  assert len(groups) == (1 + 2 + 1 + 2) ** 2
  for members in groups.values():
    np.testing.assert_allclose(outcome[members], event[members].sum(), rtol=1e-10)


@pytest.mark.parametrize('share', SHARES)
def test_its_score_is_the_mean_of_its_events_scores(x64, share):
  """Rao-Blackwell: E[grad log p(event) | outcome] = grad log p(outcome)."""
  space = _space(share)
  gamma, policies = _gamma(space), categorical.enumerate_policies(space)
  def table(log_prob):
    scores = jax.jit(jax.vmap(lambda p: jax.grad(log_prob)(gamma, p, space)))(policies)
    return np.concatenate([np.asarray(a).reshape(len(policies.o), -1) for a in jax.tree.leaves(scores)], 1)
  p = np.exp(jax.vmap(lambda p: categorical.log_prob(gamma, p, space))(policies))
  event, outcome = table(categorical.log_prob), table(categorical.outcome_log_prob)
  for members in _by_effect(policies).values():
    mean = p[members] @ event[members] / p[members].sum()
    np.testing.assert_allclose(outcome[members], np.broadcast_to(mean, outcome[members].shape), rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize('share', SHARES)
def test_features_tell_outcomes_apart_and_their_expectation_is_enumerated(x64, share):
  space = _space(share)
  gamma, policies = _gamma(space), categorical.enumerate_policies(space)
  phi = np.asarray(jax.vmap(lambda p: categorical.features(p, space))(policies))
  assert phi.shape[1] == categorical.n_features(space)
  assert len(np.unique(phi, axis=0)) == len(_by_effect(policies))
  w = jnp.asarray(np.random.default_rng(1).normal(size=phi.shape[1]))
  def enumerated(gamma):
    return jnp.vdot(jnp.exp(jax.vmap(lambda p: categorical.log_prob(gamma, p, space))(policies)), phi @ w)
  value, gradient = jax.value_and_grad(categorical.expected_features)(gamma, w, space)
  np.testing.assert_allclose(value, enumerated(gamma), rtol=1e-10)
  same = lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12)
  jax.tree.map(same, gradient, jax.grad(enumerated)(gamma))


@pytest.mark.parametrize('share', SHARES)
def test_the_spread_and_the_divergence_are_those_of_the_enumerated_space(x64, share):
  """Of which operation, whether it is applied, and its level if it has one: against uniform policies."""
  space, p0 = _space(share), 0.3
  policies = categorical.enumerate_policies(space)
  p = lambda gamma: np.exp(jax.vmap(lambda one: categorical.log_prob(gamma, one, space))(policies))
  start = jax.tree.map(jnp.zeros_like, _gamma(space))
  start['p'] += np.log(p0 / (1 - p0))
  uniform = p(start)
  groups = {}
  for i, (o, y, m) in enumerate(zip(*map(np.asarray, policies))):
    level = [bool(y[k]) and OPS[o[k]] != 'Invert' and int(m[k]) for k in range(2)]
    groups.setdefault((*o, *y, *level), []).append(i)
  together = lambda x: np.array([x[rows].sum() for rows in groups.values()])
  found, of_uniform = together(p(_gamma(space))), together(uniform)
  divergence = jax.jit(lambda gamma: categorical.divergence(gamma, space, p0))
  np.testing.assert_allclose(divergence(_gamma(space)), np.vdot(found, np.log(found / of_uniform)), rtol=1e-10)
  np.testing.assert_allclose(divergence(start), 0, atol=1e-12)

  phi = np.asarray(jax.vmap(lambda one: categorical.features(one, space))(policies))
  w = jnp.asarray(np.random.default_rng(1).normal(size=phi.shape[1]))
  mean = np.vdot(uniform, phi @ w)
  spread = np.sqrt(np.vdot(uniform, (phi @ w - mean)**2))
  np.testing.assert_allclose(categorical.spread(w, space, p0), spread, rtol=1e-10)


def test_what_is_worth_its_divergence_is_the_gibbs_distribution(x64):
  """max E[w . phi] - tau KL has a closed form where slots share nothing: uniform times exp(w . phi / tau), slot by slot."""
  space, tau, p0 = _space('slot'), 0.7, 0.3
  w = jnp.asarray(np.random.default_rng(1).normal(size=categorical.n_features(space)))
  value = categorical._values(w, space) / tau  # [K, N, M]
  applied = p0 * np.exp(value).mean(-1)  # of an operation that was drawn: its levels summed out
  gamma = {'pi': jnp.log(applied + 1 - p0), 'p': jnp.log(applied) - np.log(1 - p0), 'delta': value}
  gradient = jax.grad(lambda g: categorical.expected_features(g, w, space) - tau * categorical.divergence(g, space, p0))
  assert max(np.abs(x).max() for x in jax.tree.leaves(gradient(gamma))) < 1e-12
  assert max(np.abs(x).max() for x in jax.tree.leaves(gradient(_gamma(space)))) > 1e-2


def test_certain_choices_have_finite_scores():
  space = _space('slot')
  gamma = jax.tree.map(jnp.zeros_like, _gamma(space)) | {'pi': jnp.array([[90.0, -90, -90], [-90, 90, -90]])}
  policy = categorical.Policy(*(jnp.array(a) for a in ([0, 1], [1, 0], [1, 0])))
  score = jax.grad(categorical.outcome_log_prob)(gamma, policy, space)
  assert all(np.isfinite(a).all() for a in jax.tree.leaves(score))
