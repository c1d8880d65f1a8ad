"""The tiny cell: its look-up table against the loss itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.data import select
from daas_jax.estimators import architecture
from daas_jax.gradcheck import arch


@pytest.fixture(scope='module')
def setup():
  config = config_lib.gradcheck_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 100, 10
  config.search.batch, config.lab.arch_steps, config.lab.arch_draws = 8, 3, 200
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


def test_rows_have_the_exact_gradient_first(setup):
  config, data, _ = setup
  rows = arch.compare(config, data)
  assert rows[0]['estimator'] == 'exact' and rows[0]['passes'] == 27
  assert {row['group'] for row in rows} == {'alpha'}
