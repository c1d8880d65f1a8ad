"""The score-function estimator and its baselines, by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.estimators import score


def test_score_gradient_of_a_categorical(x64):
  gamma, samples, c = jnp.array([0.1, 0.4, -0.3]), jnp.array([0, 2, 2]), jnp.array([1.0, -2.0, 0.5])
  gradient = score.score_gradient(lambda g, x: jax.nn.log_softmax(g)[x], gamma, samples, c)
  p = np.asarray(jax.nn.softmax(gamma))
  by_hand = sum(ci * (np.eye(3)[x] - p) for ci, x in zip(np.asarray(c), np.asarray(samples)))
  np.testing.assert_allclose(gradient, by_hand, rtol=1e-12)


def test_leave_one_out_over_rows():
  s = jnp.array([[1.0, 3.0], [10.0, 20.0], [0.0, 4.0]])
  np.testing.assert_allclose(score.leave_one_out(s), [[8.5, 8.5], [2, 2], [8.5, 8.5]])


def test_leave_one_out_of_one_row():
  np.testing.assert_allclose(score.leave_one_out(jnp.array([[1.0, 3.0, 8.0]])), [[5.5, 4.5, 2.0]])
  np.testing.assert_allclose(score.leave_one_out(jnp.array([[7.0]])), [[0.0]])


def test_moving_average_is_the_mean_of_equal_values():
  average, count = jnp.zeros(()), jnp.zeros(())
  assert float(score.moving_average_value(average, count)) == 0
  for _ in range(3):
    average, count = score.update_moving_average(average, count, jnp.array([2.0, 4.0]))
  assert float(score.moving_average_value(average, count)) == pytest.approx(3.0)


@pytest.mark.parametrize('baseline', [score.no_baseline, score.leave_one_out])
def test_baselines_leave_the_expectation_alone(baseline):
  """E[(s - b) grad log p] over 3 x 2 draws equals sum_x s(x) grad p(x): a z-test at 5 standard errors."""
  gamma, values = jnp.array([0.2, -0.5, 0.4, 0.0]), jnp.array([1.0, 3.0, -2.0, 5.0])

  def one(key):
    x = jax.random.categorical(key, gamma, shape=(3, 2))
    s = values[x]
    c = ((s - baseline(s)) / s.size).reshape(-1)
    return score.score_gradient(lambda g, x: jax.nn.log_softmax(g)[x], gamma, x.reshape(-1), c)

  draws = np.asarray(jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 20_000)), np.float64)
  exact = jax.grad(lambda g: jax.nn.softmax(g) @ values)(gamma)
  z = (draws.mean(0) - np.asarray(exact)) / (draws.std(0) / np.sqrt(len(draws)))
  assert np.abs(z).max() < 5
