"""What of `daas_jax.runtime.parallel` one device can be asked; the numbers of several are in test_numbers."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import commands
import several
from daas_jax.errors import BadInput
from daas_jax.methods import registry
from daas_jax.nets import devices
from daas_jax.runtime import loop, parallel
from daas_jax.search import command as search, results


@pytest.mark.parametrize('processes, local', [(1, 4), (2, 2), (3, 1), (2, 4)])
def test_a_batch_that_was_read_by_several_processes_is_put_together_in_its_order(processes, local):
  batch = jnp.arange(48).reshape(24, 2)
  shares = [parallel._dealt(batch[process::processes], local) for process in range(processes)]
  every = jnp.concatenate(shares)  # a row of it a device, as jax.devices() has them: process by process
  assert every.shape == (processes * local, 24 // (processes * local), 2)
  whole = jax.vmap(lambda rows: parallel._gathered(rows, local, processes), axis_name=devices.AXIS)(every)
  for of_device in whole:
    np.testing.assert_array_equal(of_device, batch)


def test_a_batch_that_does_not_divide_is_refused(monkeypatch):
  monkeypatch.setattr(jax, 'local_device_count', lambda: 8)
  with pytest.raises(BadInput, match='search.batch=12 must be a multiple of the 8 devices'):
    parallel.place(0, 'data', 12)


def test_the_network_that_a_search_leaves_is_made_of_whole_batches(monkeypatch, tmp_path):
  """Process 0 reads its rows alone while it searches; the moments of the ready network are those of one process."""
  config = several.config_of('diffautoml', 'data')
  place, shapes = parallel.place, []
  monkeypatch.setattr(parallel, 'place', lambda *words: place(*words)._replace(share=(0, 2)))
  monkeypatch.setattr(loop, 'run', lambda job, *rest: (shapes.append(job.batches(0).train_images.shape)
                                                       or jax.eval_shape(job.init), []))
  monkeypatch.setattr(results, 'write', lambda *words: '')
  finish = lambda folder, state, config, data, batches: shapes.append(batches()(0).train_images.shape) or ''
  rows = registry.methods()
  monkeypatch.setitem(registry.METHODS.rows(), 'diffautoml', rows['diffautoml']._replace(finish=finish))
  options = types.SimpleNamespace(config=config, workdir=str(tmp_path / 'run'), search=None, list=False, memory=False,
                                  distributed='off', coordinator=None, process_count=None, process_index=None)
  search.main(options)
  assert [shape[0] for shape in shapes] == [config.search.batch // 2, config.search.batch]


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
