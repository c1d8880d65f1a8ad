"""launch/gpu_check.py: what it compares, and that its verdict is not given away."""

import json
import shutil
import subprocess
import types

import commands
from conftest import ROOT
import numpy as np
import pytest

import several


@pytest.fixture(scope='module')
def check():
  return commands.docs_module('gpu_check', 'launch')


def _states(folder, **of):
  folder.mkdir(parents=True)
  for case, arrays in of.items():
    np.savez(folder / f'{case}-samples_1.npz', **arrays)


def test_the_difference_is_relative_and_sees_what_is_not_finite(check):
  assert check.difference([3.0, 4.0], [3.0, 4.0]) == 0 == check.difference([0.0], [0.0])
  assert check.difference([3.3, 4.4], [3.0, 4.0]) == pytest.approx(0.1)
  assert check.difference([1e-3], [0.0]) > 1
  assert check.difference([float('nan')], [1.0]) == float('inf') == check.difference([1.0], [float('inf')])


def test_the_worst_array_of_a_state_is_named(check, tmp_path):
  state = {'theta.w': np.ones(4, np.float32), 'pi': np.ones(2, np.float32), 'metrics.0.loss': np.float32(1), 'step': 3}
  _states(tmp_path / 'cpu', daas=state, ddas=state, joint_faa=state, faster_aa=state)
  _states(tmp_path / 'gpu', daas=state | {'metrics.0.loss': np.float32(2)},
          ddas=state | {'pi': np.array([1, 1.5], np.float32)}, faster_aa=state | {'pi': np.full(2, np.nan, np.float32)})
  check.check_states(str(tmp_path), tmp_path / 'states.json')
  rows = {row[0]: row for row in json.loads((tmp_path / 'states.json').read_text())}
  assert rows['daas'][3] == 0 and rows['daas'][5]
  assert rows['ddas'][1] == 'pi' and rows['ddas'][3] == pytest.approx(0.5 / 2**0.5) and not rows['ddas'][5]
  assert rows['faster_aa'][1] == 'pi' and not rows['faster_aa'][5]
  assert set(rows) == set(check.CASES) <= set(several.CASES)
  assert all(rows[name][1] == 'not there' and not rows[name][5] for name in ('joint_faa', 'diffautoml'))


def test_every_kernel_of_every_set_is_held_against_plain(check):
  kernels, wanted = check.kernels.KERNELS, check._evaluated('plain', check.jax.devices('cpu')[0])
  assert {name.split()[0] for name in wanted} == set(kernels['plain']._fields) - {'draw', 'moments'}
  for value, gradients in wanted.values():
    assert np.ptp(value) > 0 and all(np.ptp(gradient) > 0 for gradient in gradients)


def _whole(folder, held=True):
  rows = [('conv 3x3', 'xla', 'highest', 1e-7 if held else 0.1, 1e-4, held)]
  for name in ('kernels', 'states'):
    (folder / f'{name}.json').write_text(json.dumps(rows))
  (folder / 'times_xla.json').write_text(json.dumps([{'case': 'daas_step', 'batch': 64, 'step_ms': 12.5}]))
  (folder / 'profile.json').write_text(json.dumps({'wall_ms': 2.0, 'busy_ms': 1.0, 'kernels': 7, 'top': [('k', 3, 0.5)]}))
  (folder / 'quickstart.txt').write_text('policy: ...\nquickstart: status 0, 60 s, cold\n')


@pytest.mark.parametrize('held', (True, False))
def test_the_report_says_what_was_not_held(check, tmp_path, held, monkeypatch):
  gpu = types.SimpleNamespace(device_kind='NVIDIA X', platform='gpu')
  monkeypatch.setattr(check.jax, 'devices', lambda *_: [gpu])
  _whole(tmp_path, held)
  assert check.report(str(tmp_path)) == (0 if held else 1)
  page = (tmp_path / 'report.md').read_text()
  assert ('Everything agrees' in page) == held and ('NOT held: conv 3x3' in page) != held and '12.50' in page
  for name in ('states.json', 'times_xla.json', 'profile.json', 'quickstart.txt'):  # a part that was never run
    _whole(tmp_path, held)
    (tmp_path / name).unlink()
    assert check.report(str(tmp_path)) == 1


def test_a_cpu_is_no_gpu(check, tmp_path):
  _whole(tmp_path)
  assert check.report(str(tmp_path)) == 1 and 'the device is a cpu' in (tmp_path / 'report.md').read_text()


@pytest.mark.parametrize('arguments', [(), ('FOLDER', 'nothing')])
def test_words_that_are_no_part_are_refused(tmp_path, arguments):
  done = subprocess.run(['bash', ROOT / 'launch' / 'gpu_check.sh', *arguments], cwd=tmp_path, capture_output=True, text=True)
  assert done.returncode in (1, 2) and done.stderr.count('\n') == 1 and not list(tmp_path.glob('*.json'))


@pytest.mark.parametrize('script', ('gpu_check.sh', 'gpu_wheels.sh'))
def test_the_scripts_are_valid(script):
  subprocess.run(['bash', '-n', ROOT / 'launch' / script], check=True)
  if shutil.which('shellcheck'):  # of the extra `test`
    subprocess.run(['shellcheck', ROOT / 'launch' / script], check=True)
