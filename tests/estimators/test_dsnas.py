"""DSNAS's gradient against enumeration of all paths of a two-block net; budgets against brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.estimators import dsnas

B, N = 2, 3
PATHS = jnp.array(list(itertools.product(range(N), repeat=B)))


def _log_p(alpha, path):
  return jnp.sum(jax.nn.log_softmax(alpha)[jnp.arange(len(path)), path])


def _net(Z, nonlinear=True):
  """Loss of a net of two blocks, every choice of each computed and summed with the weights Z [B, N] (Eq. 3)."""
  w = jax.random.normal(jax.random.key(0), (B, N, 4, 4), jnp.float64)
  x = jnp.arange(1.0, 5) / 4
  if not nonlinear:  # linear in Z_1 and in Z_2
    for b in range(B):
      x = jnp.einsum('k,kij,j->i', Z[b], w[b], x)
    return jnp.sum(x)
  for b in range(B):
    x = jnp.einsum('k,ki->i', Z[b], jnp.tanh(w[b] @ x))
  return jnp.sum(x**2) + jnp.exp(x[0])


def _gated(path, gate, nonlinear):
  """The same, one path with a factor on what was chosen: what a single-path supernet computes."""
  return _net(jax.nn.one_hot(path, N, dtype=jnp.float64) * gate[:, None], nonlinear)


def _enumerated(alpha, nonlinear):
  """The mean of `dsnas.gradient` over all paths."""
  def one(path):
    g = jax.grad(lambda gate: _gated(path, gate, nonlinear))(jnp.ones(B))
    return jnp.exp(_log_p(alpha, path)) * dsnas.gradient(alpha, path, g)
  return jnp.sum(jax.vmap(one)(PATHS), 0)


ALPHA = np.array([[0.3, -0.5, 0.8], [-0.2, 0.9, 0.1]])


def test_its_mean_is_the_exact_gradient_of_the_expected_loss_where_that_is_linear_in_z(x64):
  def expected(alpha):
    return sum(jnp.exp(_log_p(alpha, p)) * _net(jax.nn.one_hot(p, N, dtype=jnp.float64), False) for p in PATHS)
  alpha = jnp.asarray(ALPHA)
  np.testing.assert_allclose(_enumerated(alpha, False), jax.grad(expected)(alpha), rtol=1e-10)


def test_its_mean_is_equation_5_written_out_with_every_choice_computed(x64):
  alpha, wanted = jnp.asarray(ALPHA), np.zeros((B, N))
  for path in PATHS:
    Z = jax.nn.one_hot(path, N, dtype=jnp.float64)
    g_Z = jax.grad(_net)(Z)
    score = jax.grad(_log_p)(alpha, path)
    wanted += np.exp(_log_p(alpha, path)) * score * g_Z[jnp.arange(B), path][:, None]
  np.testing.assert_allclose(_enumerated(alpha, True), wanted, rtol=1e-10)


def test_the_mean_over_draws_is_that_of_the_enumeration(x64):
  alpha, draws = jnp.asarray(ALPHA), 20000
  def one(key):
    path = dsnas.sample(key, alpha, jnp.zeros(B, bool))
    return dsnas.gradient(alpha, path, jax.grad(lambda gate: _gated(path, gate, True))(jnp.ones(B)))
  g = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(1), draws))
  error = np.std(g, 0) / np.sqrt(draws)
  assert np.all(np.abs(np.mean(g, 0) - _enumerated(alpha, True)) < 5 * error) and np.all(error > 0)


def test_a_block_is_decided_by_the_margin_of_its_two_best():
  p = jnp.log(jnp.array([[0.55, 0.25, 0.2], [0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3]]))
  np.testing.assert_array_equal(dsnas.decided(p, 0.29), [True, False, False])
  assert not dsnas.decided(p, 0.0).any()
  paths = jax.vmap(lambda key: dsnas.sample(key, p, jnp.array([True, False, False])))(
      jax.random.split(jax.random.key(0), 200))
  assert np.all(paths[:, 0] == 0) and len(np.unique(paths[:, 1])) == 3


COSTS = np.array([[1, 5, 9], [2, 4, 8]])


def test_rejection_draws_from_the_distribution_within_the_budget():
  alpha, budget, draws = jnp.asarray(ALPHA, jnp.float32), 9, 20000
  paths = np.asarray(jax.jit(jax.vmap(lambda key: dsnas.sample_within(
      key, alpha, jnp.zeros(B, bool), jnp.asarray(COSTS), budget, jnp.zeros(B, int))))(jax.random.split(jax.random.key(2), draws)))
  p = np.array([np.exp(_log_p(alpha, path)) * (COSTS[0, path[0]] + COSTS[1, path[1]] <= budget) for path in PATHS])
  found = np.array([np.mean((paths == np.asarray(path)).all(-1)) for path in PATHS])
  p /= p.sum()
  assert np.all(np.abs(found - p) < 5 * np.sqrt(p * (1 - p) / draws) + 1e-9)
  assert 0 < np.sum(p == 0) < len(p)  # some are outside, none of which was drawn


@pytest.mark.parametrize('fixed', [False, True])
def test_another_path_is_taken_where_no_draw_is_within_the_budget(fixed):
  """All but sure of the dearest; or decided for it, so that every draw is."""
  sure = jnp.array([[0.0, 0, 50 - 49 * fixed], [0, 0, 50 - 49 * fixed]])
  otherwise = jnp.array([1, 0])
  path = dsnas.sample_within(jax.random.key(0), sure, jnp.full(B, fixed), jnp.asarray(COSTS), 7, otherwise, tries=5)
  np.testing.assert_array_equal(path, otherwise)


def test_the_penalty_is_of_the_expected_cost_and_nothing_within_the_budget():
  alpha = jnp.asarray(ALPHA, jnp.float32)
  exact = sum(np.exp(_log_p(alpha, p)) * (COSTS[0, p[0]] + COSTS[1, p[1]]) for p in PATHS)
  np.testing.assert_allclose(dsnas.expected_cost(alpha, COSTS), exact, rtol=1e-5)
  tight, wide = (dsnas.Budget(COSTS, rest=4, limit=limit) for limit in (12, 104))
  np.testing.assert_allclose(dsnas.penalty(alpha, tight), (exact + 4) / 12 - 1, rtol=1e-5)
  assert dsnas.penalty(alpha, wide) == 0 and not jax.grad(dsnas.penalty)(alpha, wide).any()
  g = jax.grad(dsnas.penalty)(alpha, tight)
  assert dsnas.expected_cost(alpha - 0.1 * g, COSTS) < exact


def test_the_likeliest_path_within_a_budget_is_that_of_brute_force():
  rng = np.random.default_rng(0)
  paths = np.array(list(itertools.product(range(4), repeat=5)))
  for _ in range(30):
    alpha, costs = rng.normal(size=(5, 4)), rng.integers(1, 40, (5, 4))
    total, score = costs[np.arange(5), paths].sum(-1), alpha[np.arange(5), paths].sum(-1)
    budget = int(rng.integers(total.min(), total.max() + 2))
    best = paths[np.argmax(np.where(total <= budget, score, -np.inf))]
    np.testing.assert_array_equal(dsnas.likeliest_path(alpha, costs, budget), best)
  np.testing.assert_array_equal(dsnas.likeliest_path(alpha), np.argmax(alpha, -1))
  with pytest.raises(ValueError, match='the cheapest costs'):
    dsnas.likeliest_path(alpha, costs, int(total.min()) - 1)


def test_twenty_blocks_are_decided_at_once():
  rng = np.random.default_rng(1)
  alpha, costs = rng.normal(size=(20, 4)), rng.integers(7_000_000, 33_000_000, (20, 4))
  path = dsnas.likeliest_path(alpha, costs, 300_000_000)
  assert costs[np.arange(20), path].sum() <= 300_000_000
