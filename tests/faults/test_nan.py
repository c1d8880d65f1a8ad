"""NaN in one device's gradient: which and when is said, and the run ends before such a state is saved."""

import json
import os
import subprocess
import sys

import pytest

import commands
from conftest import ROOT

STEP, ROW = 2, 13  # step 2 from 0 is the third; of 16 validation images four lie on each of the 4 devices: two of the
                   # first batch of 8, then two of the second, in which row 13 is on device 2


def _ended(folder, *words, row=ROW):
  program = os.path.join(os.path.dirname(__file__), 'planted_nan.py')
  path = os.pathsep.join([*sys.path, str(ROOT / 'tests' / 'parallel')])
  environment = commands.environment(XLA_FLAGS='--xla_force_host_platform_device_count=4', PYTHONPATH=path,
                                     JAX_COMPILATION_CACHE_DIR=commands.CACHE)
  ran = subprocess.run([sys.executable, program, folder, *words, str(STEP), str(row)], text=True, capture_output=True,
                       env=environment, check=False, timeout=600)
  assert ran.returncode == 0 and ran.stdout, ran.stderr[-3000:]
  return json.loads(ran.stdout.splitlines()[-1])


def test_the_device_and_the_step_of_a_training_are_named(tmp_path, fault):
  ended = _ended(tmp_path, 'train', 'always', row=5)  # of 8 images two lie on each device
  assert ended['why'].endswith(f'It began at step {STEP + 1} in the gradient of device 2'), ended
  assert ended['kept'][-1] == STEP
  fault('NaN in the gradient of one device of a training')


@pytest.mark.parametrize('over', ['data', 'samples'])
def test_the_device_and_the_step_are_named(over, tmp_path, fault):
  ended = _ended(tmp_path, over, 'always')
  assert ended['why'].endswith(f'It began at step {STEP + 1} in the gradient of device 2'), ended
  assert f'became nan at step {STEP + 1}' in ended['why'] and 'the checkpoint of step 2 is kept' in ended['why']
  assert ended['kept'][-1] == STEP, 'the state of a step with NaN was saved'
  fault('NaN in the gradient of one device')


def test_a_nan_that_does_not_come_again_is_said_to_be_the_machine(tmp_path, fault):
  ended = _ended(tmp_path, 'data', 'once')
  assert "Repeated from step 2, no device's gradient of theta was infinite or NaN" in ended['why'], ended
  assert ended['kept'][-1] == STEP
  fault('NaN that does not come again')
