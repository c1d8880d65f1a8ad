"""A search, and a training, gives the same numbers in two processes as in one.

What several devices compute is test_numbers's, for every method. Here are the batches that each process reads its rows
of, of images and of scenes with boxes, of D_val once and several times, and the samples that processes share.
"""

import os

import pytest

import commands
import compared

PLANS = {'daas': ['samples:1'], 'ddas': ['data:1', 'samples:1']}  # of others: 'data:1'; ddas compiles in seconds


@pytest.mark.parametrize('case', ['train_shaken', 'ddas_boxes', 'ddas', 'daas'])
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
