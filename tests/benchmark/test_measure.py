"""A row of the benchmark: its fields, its compilations, its repetitions."""

import jax.numpy as jnp
import pytest

from daas_jax.benchmark import cases, measure

FIELDS = {'case', 'batch', 'dtype', 'kernels', 'backend', 'device', 'compile_cold_s', 'compile_warm_s', 'step_ms', 'step_ms_min',
          'step_ms_max', 'program_mb', 'process_mb', 'images_per_s'}


@pytest.fixture
def settings():
  """JAX's cache settings as they were: `compile_twice` moves the cache."""
  import jax
  names = ('jax_compilation_cache_dir', 'jax_persistent_cache_min_compile_time_secs',
           'jax_persistent_cache_min_entry_size_bytes')
  before = {name: getattr(jax.config, name) for name in names}
  yield
  for name, value in before.items():
    jax.config.update(name, value)


def test_a_row_holds_every_field_and_plain_values(settings):
  row = measure.row('augment:Invert', 4)
  assert FIELDS <= set(row)
  assert all(isinstance(row[field], (str, int, float)) for field in FIELDS)
  assert 0 < row['step_ms_min'] <= row['step_ms'] <= row['step_ms_max']
  assert row['images_per_s'] == pytest.approx(4 / row['step_ms'] * 1e3)


def test_a_compiled_function_is_the_function(settings):
  _, _, compiled = measure.compile_twice(lambda x: 2 * x + 1, (jnp.arange(3.0),))
  assert compiled(jnp.arange(3.0)).tolist() == [1.0, 3.0, 5.0]


def test_repetitions_keep_their_bounds():
  call = lambda x: jnp.zeros(())
  assert len(measure.step_milliseconds(call, [(0,)], least=3, most=4, budget=60)) == 4
  assert len(measure.step_milliseconds(call, [(0,)], least=3, most=40, budget=0)) == 3


def test_calls_take_one_sample_after_the_other():
  seen = []
  measure.step_milliseconds(lambda x: seen.append(x) or jnp.zeros(()), [(0,), (1,), (2,)], least=5, most=5)
  assert seen == [0, 0, 0, 1, 2, 0, 1]


def test_the_cases_that_users_compare_are_there():
  assert {'single_path_forward', 'single_path_grad', 'arch_step', 'policy_step', 'daas_step', 'dense_weight',
          'dense_first_order', 'augment:policy_per_batch', 'augment:policy_per_image', 'derived_20x36',
          'dense_second_order', 'dense_amended', 'wrn_40_2'} <= set(cases.CASES)
  assert sum(name.startswith('augment:') for name in cases.CASES) == 15 + 2
