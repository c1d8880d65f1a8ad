"""Several devices give what one gives, to rounding (the order in which gradients are added differs)."""

import numpy as np
import pytest

import commands
from daas_jax import parallel
from daas_jax.errors import BadInput


def test_two_devices_that_share_the_samples_give_the_numbers_of_one(tmp_path):
  """Joint steps from the first one on; a few, because rounding grows with every step of training."""
  config = commands.config_file(tmp_path, commands.SEARCH_CONFIG)
  rows = {}
  for devices in (1, 2):
    run = tmp_path / str(devices)
    done = commands.run('search', f'--config={config}', f'--workdir={run}', f'--config.parallel.devices={devices}',
                        '--config.search.epochs=1', '--config.search.warmup_epochs=0', '--config.data.n_train=100',
                        '--config.log.every_steps=1', XLA_FLAGS='--xla_force_host_platform_device_count=2')
    assert done.returncode == 0, done.stderr
    rows[devices] = commands.metrics(run)
  assert len(rows[1]) == len(rows[2]) == 5
  for one, two in zip(rows[1][:3], rows[2][:3]):
    for name in ('train_loss', 'val_loss', 'grad_norm_theta', 'grad_norm_arch', 'grad_norm_gamma', 'alignment'):
      np.testing.assert_allclose(one[name], two[name], rtol=2e-3, atol=1e-5, err_msg=f'{name} at {one["step"]}')


def test_too_many_devices_are_refused():
  with pytest.raises(BadInput, match='parallel.devices=4096'):
    parallel.place(4096)


def test_samples_that_do_not_divide_are_refused(tmp_path):
  config = commands.config_file(tmp_path, commands.SEARCH_CONFIG)
  done = commands.run('search', f'--config={config}', f"--workdir={tmp_path / 'run'}", '--config.search.n_arch=3',
                      '--config.parallel.devices=2', XLA_FLAGS='--xla_force_host_platform_device_count=2')
  assert done.returncode == 2 and done.stderr.strip().count('\n') == 0
  assert 'search.n_arch=3 must be a multiple of the 2 devices' in done.stderr
  assert not (tmp_path / 'run').exists()
