"""A whole search, start to end: what the command and the library run."""

import os
from typing import Any, NamedTuple

from daas_jax.config import schema as config_lib
from daas_jax.data import select
from daas_jax.files import atomic
from daas_jax.library import about, networks
from daas_jax.methods import registry
from daas_jax.nets import registry as nets
from daas_jax.nets.losses import Criterion, CROSS_ENTROPY
from daas_jax.policies import given as given_lib, idle, registry as policies
from daas_jax.runtime import loop, memory, processes, progress, signals, workdir
from daas_jax.search import job as job_lib, results

FOUND = ('decided.json', 'genotype.json', 'blocks.json', 'policy.json', 'network.json',
         'network.safetensors', 'results.json', 'detection.json')
"""What a search may leave besides its logs."""


def load(config: Any, data: Any = None) -> Any:
  """The data of a search: a `Dataset` that is given, or that of the config; checked and reduced as
  the config says."""
  network = nets.of(config)
  return network.task.load(config) if network.task else select.from_config(
      config, network.smallest(config), data)


def _finish(folder, state, config, data):
  """Writes what a search leaves besides its logs; returns the summary."""
  row, task = registry.of(config), nets.of(config).task
  # before policy.json, the sign of an end
  more = '\n' + task.finish(folder, config, data, state.theta) if task else ''
  summary = results.write(folder, state, config, lambda path: about.describe_policy(
      path, config, data)) + more
  said = row.finish(folder, state, config, data, lambda: job_lib.batches_of(config, data))
  summary += f'\n\n{said}' if said else ''
  atomic.write(os.path.join(folder, 'summary.txt'), summary + '\n')
  return summary


class _Inputs(NamedTuple):
  """What a search is given: the config without what does nothing on its images, and a line on that;
  the data, the architecture and the policy that are held fixed, or None, and the network's own
  program to keep."""
  config: Any
  left_out: Any
  data: Any
  genotype: Any
  given: Any
  program: Any


def _inputs(config, earlier, data, criterion):
  space, held = nets.of(config).space, config.network.get('genotype')
  genotype = space.find(held, earlier, config.network) if held and space else None
  data, name = load(config, data), config.policy.get('name')
  program = networks.check(config, data, criterion)
  given = given_lib.find(name, earlier) if name else None
  space_row = policies.spaces()[registry.of(config).policy]
  config, left_out = idle.leave_out(config, space_row, len(data.mean))
  return _Inputs(config, left_out, data, genotype, given, program)


def memory_text(config: Any, earlier: str | None = None) -> str:
  """What `--memory` prints: what a step of a search takes on one device.

  Args:
    config: a checked search config.
    earlier: as of `run`.

  Raises:
    BadInput: config and data do not fit each other, or it is one of several devices.
  """
  memory.require_one_device(config.parallel.devices)
  of = _inputs(config, earlier, None, CROSS_ENTROPY)
  return memory.line(config.method, job_lib.memory(of.config, of.data, of.genotype, of.given))


def run(config: Any, path: str, earlier: str | None = None, should_stop: Any = signals.never,
        data: Any = None, criterion: Criterion = CROSS_ENTROPY, stream: Any = None) -> str | None:
  """Searches, or goes on with a search.

  Args:
    config: a checked search config.
    path: its workdir.
    earlier: workdir of the search whose architecture or policy is given to this one, or None.
    should_stop: see `daas_jax.runtime.loop.run`.
    data: a `daas_jax.data.dataset.Dataset`; None: that of the config.
    criterion: what the network's outputs are held against labels by.
    stream: where progress is shown; None: on stdout.

  Returns:
    The summary; None in a process that follows the first one of several.

  Raises:
    BadInput: config, data, devices and what the workdir holds do not fit each other.
    Diverged, Interrupted, Terminated, OSError: as `daas_jax.runtime.loop.run`.
  """
  config, left_out, data, genotype, given, program = _inputs(config, earlier, data, criterion)
  space = nets.of(config).space
  job = job_lib.of(config, data, genotype, given, criterion)
  if not processes.first():
    with progress.silent() as reporter:
      loop.run(job, None, config, reporter, should_stop)
    processes.finished()
    return None
  with workdir.opened(path, config_lib.to_json(config)) as folder, progress.Reporter(
      stream) as reporter:
    if genotype and space:
      workdir.keep_input(folder, space.file, space.to_text(genotype))
    workdir.keep_input(folder, networks.KEPT, program)
    workdir.keep_input(folder, 'policy.json', given_lib.text(config.policy.get('name'), earlier))
    if left_out:
      reporter.note(left_out)
    reporter.note(
        f'{config.method} on {data.name}: {job.total_steps} steps of {config.search.batch} + '
        f'{job.images_per_step - config.search.batch} images; compiling the step takes up to a '
        'minute'
    )
    with about.session(folder, registry.last_file(config_lib.flatten(config))):
      state, _ = loop.run(job, folder, config, reporter, should_stop)
    summary = _finish(folder, state, config, data)
    found = ''.join(f'{file}, ' for file in FOUND if os.path.exists(os.path.join(folder, file)))
    reporter.note(f'\n{summary}\n\nwritten: {found}metrics.jsonl, history.jsonl, checkpoints/ in '
                  f'{workdir.shown(path)}')
  processes.finished()
  return summary
