"""Every method gives the same numbers on 4 devices as on one, whatever they share; between them the cases have 2 as well."""

import numpy as np
import pytest

import compared
import several
from daas_jax.methods import registry


@pytest.mark.parametrize('case', several.CASES)
def test_devices_give_the_numbers_of_one(case, tmp_path):
  plans = ['data:4' if case in registry.methods() else 'data:2', *compared.SHARING.get(case, ())]
  compared.end(compared.start(tmp_path, case, 'samples:1', *plans))
  for plan in plans:
    compared.check(tmp_path, case, plan)
    late = np.load(tmp_path / f"{case}-{plan.replace(':', '_')}.npz")[several.LATE]
    assert not late or case in compared.IN_FLOAT32  # whose momentum is float64 after the first step
  moved = np.load(tmp_path / f'{case}-samples_1.npz')
  assert any(np.any(moved[name]) for name in moved.files if name.startswith('opt')), 'nothing was computed'


@pytest.mark.parametrize('bug', several.BUGS)
def test_a_mistake_in_the_averaging_is_seen(bug, tmp_path):
  """Inner products before the gradients are averaged; the gradient of an averaged loss as JAX takes it under pmap."""
  compared.end(compared.start(tmp_path, 'ddas', 'samples:1', f'data:2:{bug}'))
  difference, name = compared.worst(tmp_path, 'ddas', f'data:2:{bug}')
  assert difference > 1e6 * compared.TOLERANCE, name
  one, two = (np.load(tmp_path / f'ddas-{plan}.npz') for plan in ('samples_1', f'data_2_{bug}'))
  products = [np.abs(a['metrics.0.alignment'] - one['metrics.0.alignment']) for a in (one, two)]
  assert products[1] > 1e6 * compared.TOLERANCE * np.abs(one['metrics.0.alignment'])  # from the first step on
