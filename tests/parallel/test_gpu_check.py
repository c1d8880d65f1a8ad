"""launch/gpu_check.py: what it compares, and that its verdict is not given away."""

import importlib.util
import json
import shutil
import subprocess

from conftest import ROOT
import numpy as np
import pytest


@pytest.fixture(scope='module')
def check():
  spec = importlib.util.spec_from_file_location('gpu_check', ROOT / 'launch' / 'gpu_check.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _states(folder, **of):
  folder.mkdir(parents=True)
  for case, arrays in of.items():
    np.savez(folder / f'{case}.npz', **arrays)


def test_the_difference_is_relative_and_sees_what_is_not_finite(check):
  assert check.difference([3.0, 4.0], [3.0, 4.0]) == 0 == check.difference([0.0], [0.0])
  assert check.difference([3.3, 4.4], [3.0, 4.0]) == pytest.approx(0.1)
  assert check.difference([1e-3], [0.0]) > 1
  assert not check.difference([float('nan')], [1.0]) <= 1


def test_the_worst_array_of_a_state_is_named(check, tmp_path):
  state = {'theta.w': np.ones(4, np.float32), 'pi': np.ones(2, np.float32), 'metrics.0.loss': np.float32(1), 'step': 3}
  _states(tmp_path / 'cpu', daas=state, ddas=state, lost=state)
  _states(tmp_path / 'gpu', daas=state | {'metrics.0.loss': np.float32(2)},
          ddas=state | {'pi': np.array([1, 1.5], np.float32)})
  check.check_states(str(tmp_path), tmp_path / 'states.json')
  rows = {row[0]: row for row in json.loads((tmp_path / 'states.json').read_text())}
  assert rows['daas'][3] == 0 and rows['daas'][5]
  assert rows['ddas'][1] == 'pi' and rows['ddas'][3] == pytest.approx(0.5 / 2**0.5) and not rows['ddas'][5]
  assert rows['lost'][1] == 'not there' and not rows['lost'][5]


def test_every_kernel_of_every_set_is_held_against_plain(check):
  kernels, wanted = check.kernels.KERNELS, check._evaluated('plain', check.jax.devices('cpu')[0])
  assert {name.split()[0] for name in wanted} == set(kernels['plain']._fields) - {'draw'}
  for value, gradients in wanted.values():
    assert np.ptp(value) > 0 and all(np.ptp(gradient) > 0 for gradient in gradients)


@pytest.mark.parametrize('held', (True, False))
def test_the_report_says_what_was_not_held(check, tmp_path, held, capsys):
  rows = [('conv 3x3', 'xla', 'highest', 1e-7 if held else 0.1, 1e-4, held)]
  for name in ('kernels', 'states'):
    (tmp_path / f'{name}.json').write_text(json.dumps(rows))
  (tmp_path / 'times_xla.json').write_text(json.dumps([{'case': 'daas_step', 'batch': 64, 'step_ms': 12.5}]))
  assert check.report(str(tmp_path)) == (0 if held else 1)
  page = (tmp_path / 'report.md').read_text()
  assert ('Everything agrees' in page) == held and ('NOT held: conv 3x3' in page) != held and '12.50' in page
  (tmp_path / 'states.json').unlink()  # a part that was never run
  assert check.report(str(tmp_path)) == 1


@pytest.mark.parametrize('script', ('gpu_check.sh', 'gpu_wheels.sh'))
def test_the_scripts_are_valid(script):
  subprocess.run(['bash', '-n', ROOT / 'launch' / script], check=True)
  if shutil.which('shellcheck'):  # of the extra `test`
    subprocess.run(['shellcheck', ROOT / 'launch' / script], check=True)
