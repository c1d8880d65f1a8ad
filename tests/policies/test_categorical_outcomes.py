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


def test_certain_choices_have_finite_scores():
  space = _space('slot')
  gamma = jax.tree.map(jnp.zeros_like, _gamma(space)) | {'pi': jnp.array([[90.0, -90, -90], [-90, 90, -90]])}
  policy = categorical.Policy(*(jnp.array(a) for a in ([0, 1], [1, 0], [1, 0])))
  score = jax.grad(categorical.outcome_log_prob)(gamma, policy, space)
  assert all(np.isfinite(a).all() for a in jax.tree.leaves(score))
