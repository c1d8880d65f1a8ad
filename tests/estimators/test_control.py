"""The learned control variate: the regression by hand, an unbiased estimator, a smaller variance."""

import jax
import jax.numpy as jnp
import numpy as np
import small

from daas_jax.estimators import control, score, unrolled
from daas_jax.policies import categorical


def test_it_is_ridge_regression_on_centred_rows_with_discount(x64):
  rng = np.random.default_rng(0)
  steps = [(rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3))) for _ in range(5)]
  past = control.init(4)
  for phi, s in steps:
    past = control.update(past, jnp.asarray(phi), jnp.asarray(s), decay=0.9)
  x = np.concatenate([(phi - phi.mean(1, keepdims=True)).reshape(-1, 4) for phi, _ in steps])
  y = np.concatenate([(s - s.mean(1, keepdims=True)).reshape(-1) for _, s in steps])
  weight = np.repeat(0.9 ** np.arange(4, -1, -1), 6)
  # The same as rows of a longer least-squares problem, solved by an SVD.
  rows = np.concatenate([x * np.sqrt(weight)[:, None], np.sqrt(2.0) * np.eye(4)])
  by_hand = np.linalg.lstsq(rows, np.concatenate([y * np.sqrt(weight), np.zeros(4)]), rcond=None)[0]
  np.testing.assert_allclose(control.coefficients(past, ridge=2.0), by_hand, rtol=1e-9)


def test_before_the_first_step_it_is_nothing():
  np.testing.assert_array_equal(control.coefficients(control.init(3)), np.zeros(3))


def test_additive_alignments_are_learned_exactly_up_to_a_constant(x64):
  known, rng = small.enumerated(), np.random.default_rng(1)
  phi = jax.vmap(lambda policy: categorical.features(policy, small.SPACE))(known.policies)
  true = phi @ jnp.asarray(rng.normal(size=phi.shape[1]))
  past = control.update(control.init(phi.shape[1]), phi[None], true[None] + 7.0)
  left = true - phi @ control.coefficients(past, ridge=1e-9)
  np.testing.assert_allclose(left - left.mean(), 0, atol=1e-6)


def _past(known):
  phi = jax.vmap(lambda policy: categorical.features(policy, small.SPACE))(known.policies)
  past, key = control.init(phi.shape[1]), jax.random.key(11)
  for k in jax.random.split(key, 40):  # 40 steps of 4 policies, before the draws that are judged
    i = known.draw(k, 4)
    past = control.update(past, phi[i], known.s[i])
  return phi, control.coefficients(past)


def _estimate(known, phi, w, baseline, n=4, factor=1.0):
  log_prob = lambda gamma, policy: categorical.outcome_log_prob(gamma, policy, small.SPACE)
  def one(key):
    i = known.draw(key, n // 2, (2,))
    left = known.s[i] - phi[i] @ w
    gradient = unrolled.policy_gradient(log_prob, known.gamma, known.pick(i), left, baseline(left), small.XI)
    return small.flat(control.add_expectation(
        gradient, lambda gamma: factor * categorical.expected_features(gamma, w, small.SPACE), known.gamma, small.XI))
  return one


def test_the_controlled_estimator_is_unbiased_and_varies_less(x64):
  known = small.enumerated()
  phi, w = _past(known)
  controlled = small.repeat(_estimate(known, phi, w, score.leave_one_out), 8000)
  plain = small.repeat(_estimate(known, phi, jnp.zeros_like(w), score.leave_one_out), 8000)
  assert small.worst_z(controlled, known.exact) < small.THRESHOLD
  assert controlled.var(0).sum() < 0.5 * plain.var(0).sum()


def test_what_it_needs_to_be_unbiased_is_seen_by_the_check(x64):
  """The expectation left out; a mean that a sample is part of, in place of the others' mean."""
  known = small.enumerated()
  phi, w = _past(known)
  forgotten = small.repeat(_estimate(known, phi, w, score.leave_one_out, factor=0.0), 8000)
  assert small.worst_z(forgotten, known.exact) > small.THRESHOLD
  plain = jnp.zeros_like(w)
  shrunk = small.repeat(_estimate(known, phi, plain, score.step_mean), 20_000)
  assert small.worst_z(shrunk, known.exact) > small.THRESHOLD
  assert small.worst_z(shrunk, 0.75 * known.exact) < small.THRESHOLD  # (n - 1) / n of the remainder's part, n = 4
