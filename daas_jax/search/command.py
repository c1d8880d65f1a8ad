"""`python -m daas_jax.search --config=configs/quickstart.py --workdir=runs/quickstart`: one search,
start to end."""

import os
from typing import Any

from absl import flags

from daas_jax.config import schema as config_lib
from daas_jax.data import select
from daas_jax.methods import registry
from daas_jax.nets import registry as nets
from daas_jax.policies import given as given_lib, idle, registry as policies
from daas_jax.runtime import loop, processes, progress, signals, workdir
from daas_jax.search import catalogue, job as job_lib, results

FOUND = ('genotype.json', 'blocks.json', 'policy.json', 'network.json', 'network.npz',
         'results.json', 'detection.json')
"""What a search may leave besides its logs."""


def define_flags(values):
  flags.DEFINE_string(
      'search', None, 'The workdir of the search whose result is given to this one: its '
      'architecture (network.genotype=searched), its policy (policy.name=searched).',
      flag_values=values)
  processes.define_flags(values)
  flags.DEFINE_bool('list', False, 'Prints what there is to choose from, and ends.',
                    flag_values=values)


def load(config: Any) -> Any:
  """The data of a search."""
  network = nets.of(config)
  return network.task.load(config) if network.task else select.from_config(
      config, network.smallest(config))


def _finish(folder, state, config, data):
  """Writes what a search leaves besides its logs; returns the summary."""
  row, task = registry.of(config), nets.of(config).task
  # before policy.json, the sign of an end
  more = '\n' + task.finish(folder, config, data, state.theta) if task else ''
  summary = results.write(folder, state, config) + more
  said = row.finish(folder, state, config, data, lambda: job_lib.batches_of(config, data))
  return summary + (f'\n\n{said}' if said else '')


def main(options: Any, should_stop: Any = signals.never) -> str | None:
  """Searches as the options say; returns the summary that it prints, or None where it only
  lists."""
  if options.list:
    print(catalogue.text())
    return None
  processes.join(options)
  should_stop = processes.should_stop(should_stop)
  config, space = options.config, nets.of(options.config).space
  held = config.network.get('genotype')
  genotype = space.find(held, options.search) if held and space else None
  data, name = load(config), config.policy.get('name')
  given = given_lib.find(name, options.search) if name else None
  row = policies.spaces()[registry.of(config).policy]
  config, left_out = idle.leave_out(config, row, len(data.mean))
  job = job_lib.of(config, data, genotype, given)
  if not processes.first():
    with progress.silent() as reporter:
      loop.run(job, None, config, reporter, should_stop)
    processes.finished()
    return None
  with workdir.opened(options.workdir,
                      config_lib.to_json(config)) as folder, progress.Reporter() as reporter:
    if genotype and space:
      workdir.keep_input(folder, space.file, space.to_text(genotype))
    workdir.keep_input(folder, 'policy.json', given_lib.text(name, options.search))
    if left_out:
      reporter.note(left_out)
    reporter.note(
        f'{config.method} on {data.name}: {job.total_steps} steps of {config.search.batch} + '
        f'{job.images_per_step - config.search.batch} images; compiling the step takes up to a '
        'minute'
    )
    state, _ = loop.run(job, folder, config, reporter, should_stop)
    summary = _finish(folder, state, config, data)
    found = ''.join(f'{file}, ' for file in FOUND if os.path.exists(os.path.join(folder, file)))
    reporter.note(f'\n{summary}\n\nwritten: {found}metrics.jsonl, history.jsonl, checkpoints/ in '
                  f'{workdir.shown(options.workdir)}')
  processes.finished()
  return summary
