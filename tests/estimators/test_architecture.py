"""Architecture gradients on an enumerated cell of three edges: who is unbiased, who is not, and by how much."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small

from daas_jax.estimators import architecture, control, exact, score

E, O = 3, 3
ALPHA = np.random.default_rng(0).normal(size=(E, O)) / 2  # numpy's: float64 whatever JAX's default is
Z = np.eye(O)[np.array(list(itertools.product(range(O), repeat=E)))]


def _loss(rule):
  """Two nodes after the input, every edge a mixture of three maps, a cubic loss: not linear in Z."""
  rng = np.random.default_rng(1)
  w, x = jnp.asarray(rng.normal(size=(E, O, 4, 4)) / 2), jnp.asarray(rng.normal(size=4))

  def loss(Z):
    nodes = [x, 0.0, 0.0]
    for e, (i, j) in enumerate(((0, 1), (0, 2), (1, 2))):
      outputs = jnp.tanh(jnp.einsum('oij,j->oi', w[e], nodes[i]))
      nodes[j] = nodes[j] + architecture.mixture(outputs, Z[e], rule)
    return jnp.sum(nodes[2] ** 2) + jnp.sum(nodes[2]) ** 3 / 10
  return loss


def _exact():
  return _enumerated(_loss('all'))


def _enumerated(loss):
  gradient, _ = exact.expected_loss_gradient(loss, architecture.log_prob, jnp.asarray(ALPHA), jnp.asarray(Z))
  return np.asarray(gradient).reshape(-1)


def _repeat(estimate, draws=20_000):
  return small.repeat(lambda key: estimate(key).reshape(-1), draws)


def _bias(draws, reference):
  return np.linalg.norm(draws.mean(0) - reference) / np.linalg.norm(reference)


def test_log_prob_sums_to_one(x64):
  assert float(jnp.sum(jnp.exp(jax.vmap(architecture.log_prob, (None, 0))(ALPHA, Z)))) == pytest.approx(1, rel=1e-12)


@pytest.mark.parametrize('rule', architecture.RULES)
def test_the_mixture_has_the_value_of_what_was_drawn_and_the_gradient_of_its_rule(x64, rule):
  rng = np.random.default_rng(2)
  outputs, g = jnp.asarray(rng.normal(size=(3, 2, 2))), jnp.asarray(rng.normal(size=(2, 2)))
  drawn = jnp.array([0.0, 1.0, 0.0])
  value, pull = jax.vjp(lambda w: architecture.mixture(outputs, w, rule), drawn)
  np.testing.assert_allclose(value, outputs[1], rtol=1e-12)
  true = jnp.einsum('oij,ij->o', outputs, g)
  others = {'all': true, 'sampled': jnp.zeros(3), 'ones': jnp.full(3, jnp.sum(g))}[rule]
  np.testing.assert_allclose(pull(g)[0], jnp.where(drawn > 0, true, others), rtol=1e-12)


def test_the_score_function_is_unbiased_and_the_baseline_reduces_its_variance(x64):
  loss, variance = _loss('all'), []
  for baseline in (score.no_baseline, score.leave_one_out):
    draws = _repeat(lambda key: architecture.score_function(loss, key, jnp.asarray(ALPHA), 4, baseline))
    assert small.worst_z(draws, _exact()) < small.THRESHOLD
    variance.append(draws.var(0).sum())
  assert variance[1] < variance[0]


def test_planted_errors_in_the_score_function_are_caught(x64):
  loss = _loss('all')
  wrong_sign = _repeat(lambda key: -architecture.score_function(loss, key, jnp.asarray(ALPHA), 4))
  own_mean = _repeat(lambda key: architecture.score_function(loss, key, jnp.asarray(ALPHA), 2, score.step_mean))
  for draws in (wrong_sign, own_mean):
    assert small.worst_z(draws, _exact()) > small.THRESHOLD


def test_the_biased_ones_show_their_bias_and_all_ones_has_the_largest(x64):
  reference = _exact()
  one = lambda key, rule: architecture.straight_through(_loss(rule), key, jnp.asarray(ALPHA), 1.0)
  through = {rule: _repeat(lambda key, rule=rule: one(key, rule)) for rule in architecture.RULES}
  dsnas = _repeat(lambda key: architecture.dsnas(_loss('all'), key, jnp.asarray(ALPHA)))
  for draws in (*through.values(), dsnas):
    assert small.worst_z(draws, reference) > small.THRESHOLD
  assert _bias(through['all'], reference) < _bias(through['ones'], reference)


def test_dsnas_is_unbiased_where_each_edge_s_loss_is_its_own_and_linear(x64):
  """E[grad log p(Z_e) dL/dZ_e^s] is exact for L = sum_e c_e . Z_e: what its derivation takes for granted."""
  c = jnp.asarray(np.random.default_rng(3).normal(size=(E, O)))
  loss = lambda Z: jnp.sum(c * Z)
  draws = _repeat(lambda key: architecture.dsnas(loss, key, jnp.asarray(ALPHA)))
  assert small.worst_z(draws, _enumerated(loss)) < small.THRESHOLD


def _main_effects():
  """E[L | operation o on edge e] of the cell: [E, O]."""
  p = np.exp(np.array([float(architecture.log_prob(jnp.asarray(ALPHA), z)) for z in jnp.asarray(Z)]))
  values = np.asarray(jax.lax.map(_loss('all'), jnp.asarray(Z)))
  return np.einsum('a,a,aeo->eo', p, values, Z) / np.einsum('a,aeo->eo', p, Z)


def test_the_additive_control_is_unbiased_whatever_the_model_and_a_good_one_has_less_noise(x64):
  loss, variance = _loss('all'), []
  rows = np.random.default_rng(4).normal(size=(E, O))
  for w in (jnp.zeros((E, O)), jnp.asarray(rows), jnp.asarray(_main_effects())):
    draws = _repeat(lambda key, w=w: architecture.additive(loss, key, jnp.asarray(ALPHA), 2, w))
    assert small.worst_z(draws, _exact()) < small.THRESHOLD
    variance.append(draws.var(0).sum())
  assert variance[2] < 0.7 * variance[0] < variance[1]


def test_the_best_additive_model_has_the_exact_gradient_though_the_loss_is_not_additive(x64):
  """The compatible function of Sutton et al.: why a regression on the operations needs no score function."""
  w = jnp.asarray(_main_effects())
  alone = architecture.additive(_loss('all'), jax.random.key(0), jnp.asarray(ALPHA), 0, w)
  np.testing.assert_allclose(np.ravel(alone), _exact(), rtol=1e-9)


def _own_model(key):
  """A model of the very draws that it is then the control of: what the past must not be."""
  alpha = jnp.asarray(ALPHA)
  drawn = jax.vmap(architecture.sample, (0, None))(jax.random.split(key, 2), alpha)
  learned = architecture.learn(drawn[None], jax.lax.map(_loss('all'), drawn)[None])
  return architecture.additive(_loss('all'), key, alpha, 2, control.coefficients(learned).reshape(E, O))


def test_a_model_of_its_own_draws_is_caught_as_is_half_of_the_correction(x64):
  half = _repeat(lambda key: architecture.additive(_loss('all'), key, jnp.asarray(ALPHA), 2, jnp.zeros((E, O)),
                                                   score.step_mean))
  for draws in (half, _repeat(_own_model)):
    assert small.worst_z(draws, _exact()) > small.THRESHOLD


def test_learning_finds_the_main_effects_of_many_steps(x64):
  keys = jax.random.split(jax.random.key(3), (400, 8))
  drawn = jax.vmap(jax.vmap(architecture.sample, (0, None)), (0, None))(keys, jnp.asarray(ALPHA))
  values = jax.lax.map(jax.vmap(_loss('all')), drawn) + jnp.arange(400.0)[:, None]  # the steps' means differ
  w = control.coefficients(architecture.learn(drawn, values, 1.0)).reshape(E, O)
  of = lambda w: np.ravel(architecture.additive(_loss('all'), keys[0, 0], jnp.asarray(ALPHA), 0, jnp.asarray(w)))
  assert np.linalg.norm(of(w) - _exact()) < 0.1 * np.linalg.norm(_exact())


def test_reinmax_is_unbiased_of_a_quadratic_loss_and_not_of_a_cubic_one(x64):
  rng = np.random.default_rng(5)
  quadratic = jnp.asarray(rng.normal(size=(E * O, E * O)))
  losses = (lambda Z: Z.reshape(-1) @ quadratic @ Z.reshape(-1)), _loss('all')
  one = lambda loss: _repeat(lambda key: architecture.reinmax(loss, key, jnp.asarray(ALPHA), 1.0))
  assert small.worst_z(one(losses[0]), _enumerated(losses[0])) < small.THRESHOLD
  draws = one(losses[1])
  assert small.worst_z(draws, _exact()) > small.THRESHOLD
  through = _repeat(lambda key: architecture.straight_through(losses[1], key, jnp.asarray(ALPHA), 1.0))
  assert _bias(draws, _exact()) < _bias(through, _exact())
