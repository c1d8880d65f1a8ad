"""How much memory a program takes, and whether a device has it."""

import jax
import jax.numpy as jnp
import pytest

from daas_jax.runtime import memory


def test_a_program_takes_its_arguments_its_results_and_what_lies_between():
  state, x = (jax.ShapeDtypeStruct((n,), jnp.float32) for n in (1000, 500000))
  step = lambda state, x: (state + 1, jnp.sum(x))
  least = 4 * (1000 + 500000 + 1)  # the state is written over
  assert least <= memory.estimate(step, state, x) < 1.01 * least
  between = memory.estimate(lambda state, x: (state + 1, jnp.sum(jnp.sort(x)[::-1] * x)), state, x)
  assert between > least + 4 * 450000


@pytest.mark.parametrize('needed, available, warns', [
    (10**9, 2 * 10**9, False), (10**9, None, False), (3 * 10**9, 2 * 10**9, True)])
def test_a_warning_where_the_device_has_less(needed, available, warns):
  said = memory.warning(needed, available)
  assert bool(said) == warns and ('3.00 GB are more than the 2.00 GB' in said) == warns


def test_a_cpu_has_the_machine_s_memory():
  assert 10**9 < memory.of_device() < 10**14
