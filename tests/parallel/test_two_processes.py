"""Every method, and a training, gives the same numbers in two processes as in one."""

import os

import pytest

import commands
import compared
import several
from daas_jax.methods import registry


PLANS = {'daas': ['samples:1'], 'ddas': ['data:1', 'samples:1']}  # of others: 'data:1'; ddas compiles in seconds


# Backwards: the other worker begins with test_numbers.py, and leaves the programs of one device in the cache.
@pytest.mark.parametrize('case', [
    'train_shaken', *(case for case in reversed(several.CASES) if case in registry.methods())])
def test_two_processes_give_the_numbers_of_one(case, tmp_path):
  plans = PLANS.get(case, ['data:1'])
  compared.end(compared.start(tmp_path, case, 'samples:1'))
  os.rename(tmp_path / f'{case}-samples_1.npz', tmp_path / f'{case}-alone.npz')
  address = f'127.0.0.1:{commands.free_port()}'
  both = [compared.start(tmp_path, case, *plans, '--cluster', address, 2, index, devices=1) for index in range(2)]
  for process in both:
    compared.end(process)
  for plan in plans:
    compared.check(tmp_path, case, plan, 'alone')
