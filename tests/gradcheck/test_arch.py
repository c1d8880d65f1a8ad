"""The tiny cells: their look-up tables against the loss itself, and what is learned from their past."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.data import select
from daas_jax.estimators import architecture, exact, summary
from daas_jax.gradcheck import arch, arch_rows
from daas_jax.nets.losses import cross_entropy


@pytest.fixture(scope='module')
def setup():
  config = config_lib.gradcheck_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 100, 10
  config.search.batch, config.lab.arch_steps, config.lab.arch_draws, config.lab.history = 8, 3, 200, 4
  config.lab.arch_primitives = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3')
  data = select.from_config(config)
  return config, data, arch.build_cell(config, data)


def test_all_architectures_are_there_once(setup):
  _, _, cell = setup
  assert cell.Z.shape == (27, 3, 3) and len(np.unique(np.asarray(cell.Z), axis=0)) == 27
  assert float(jnp.std(cell.values)) > 1e-3


def test_a_look_up_gives_value_and_slope(setup):
  _, _, cell = setup
  for rule in architecture.RULES:
    for i in (0, 13, 26):
      value, slope = jax.value_and_grad(arch.tabulated(cell, rule))(cell.Z[i])
      np.testing.assert_allclose(value, cell.values[i])
      np.testing.assert_allclose(slope, cell.slopes[rule][i])


def test_rules_agree_on_what_was_drawn_and_differ_on_the_rest(setup):
  _, _, cell = setup
  drawn = np.asarray(cell.Z) > 0
  true = np.asarray(cell.slopes['all'])
  for rule in ('sampled', 'ones'):
    np.testing.assert_allclose(np.asarray(cell.slopes[rule])[drawn], true[drawn], rtol=1e-3, atol=1e-5)
  assert not np.asarray(cell.slopes['sampled'])[~drawn].any()
  assert np.abs(true[~drawn]).max() > 1e-3


def test_slopes_are_those_of_the_mixture_of_all_operations(setup):
  """The cotangents of a path and the outputs of the others, put together, against plain autodiff."""
  _, data, cell = setup
  space = arch.Space(arch.EDGES['small'], ('max_pool_3x3', 'skip_connect'))
  theta = arch.init(jax.random.key(0), space, 1, 3)
  images, labels = jax.random.normal(jax.random.key(1), (4, 8, 8, 1)), jnp.array([0, 1, 2, 0])
  Z = jax.nn.one_hot(jnp.array([1, 0, 1]), 2)

  def dense(Z, rule):
    first = arch.loss(theta, Z, images, labels, space)[1][0]
    nodes = [first, 0.0, 0.0]
    for e, (i, j) in enumerate(space.edges):
      outputs = jnp.stack([apply(nodes[i]) for apply in arch._operations(theta, e, space)])
      nodes[j] = nodes[j] + architecture.mixture(outputs, Z[e], rule)
    return cross_entropy(jnp.mean(nodes[2], (1, 2)) @ theta['kernel'] + theta['bias'], labels)

  value, slopes = jax.jit(lambda Z: arch.slopes(theta, Z, images, labels, space))(Z)
  for rule in architecture.RULES:
    expected, slope = jax.jit(jax.value_and_grad(lambda Z, rule=rule: dense(Z, rule)))(Z)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(slopes[rule], slope, rtol=1e-3, atol=1e-6)


def test_the_past_is_of_other_batches_and_weights_and_a_draw_of_it_is_two_of_each_step(setup):
  _, _, cell = setup
  assert cell.past.Z.shape == (4, arch.PAST_DRAWS, 3, 3) and cell.past.values.shape == (4, arch.PAST_DRAWS)
  assert not np.isin(np.asarray(cell.past.values), np.asarray(cell.values)).any()
  Z, values = arch_rows.past(cell, jax.random.key(0))
  for step in range(4):
    for z, value in zip(Z[step], values[step], strict=True):
      at = np.flatnonzero(np.asarray(cell.past.values[step]) == float(value))
      assert (np.asarray(cell.past.Z[step])[at] == np.asarray(z)).all((1, 2)).any()


def test_a_larger_cell_is_there_and_no_past_is_no_model(setup):
  config, data, _ = setup
  config = config.copy_and_resolve_references()
  config.lab.arch_large_primitives, config.lab.history = ('skip_connect', 'max_pool_3x3'), 0
  cell = arch.build_cell(config, data, 'large')
  assert cell.Z.shape == (16, 4, 2) and float(jnp.std(cell.values)) > 1e-4
  key = jax.random.key(2)
  found, plain = (arch_rows.TABLE[name].estimate(cell, 1.0, k) for name, k in (
      ('score_additive', key), ('score_leave_one_out', jax.random.split(key)[1])))
  np.testing.assert_allclose(found, plain, rtol=1e-6)


def test_rows_have_the_exact_gradient_first(setup):
  config, _, cell = setup
  rows = arch_rows.measure(cell, config)
  assert rows[0]['estimator'] == 'exact' and rows[0]['passes'] == 27
  assert {row['group'] for row in rows} == {'alpha'}


def test_rows_that_are_said_to_be_unbiased_are(setup):
  _, _, cell = setup
  gradient, _ = exact.expected_loss_gradient(arch.tabulated(cell, 'all'), architecture.log_prob, cell.alpha, cell.Z)
  keys = jax.random.split(jax.random.key(5), 20_000)
  for name in ('score_leave_one_out', 'score_additive'):
    estimate = arch_rows.TABLE[name].estimate
    draws = jax.jit(lambda keys, f=estimate: jax.lax.map(lambda key: f(cell, 1.0, key), keys, batch_size=200))(keys)
    z = summary.z_scores(np.asarray(draws).reshape(len(keys), -1), np.asarray(gradient).reshape(-1))
    assert np.abs(z).max() < 5, name
