"""`python -m daas_jax.search --config=configs/quickstart.py --workdir=runs/quickstart`: one search, start to end."""

import sys

from absl import flags
import jax

from daas_jax import (cli, config as config_lib, loop, parallel, problem as problem_lib, progress, results, train,
                      workdir)
from daas_jax.data import batches as batches_lib, select
from daas_jax.detection import networks as detectors, results as detection_results, select as detection_select
from daas_jax.methods import build
from daas_jax.nets import genotype as genotype_lib


PHASES = {'daas': 'joint', 'ddas': 'policy', 'joint_faa': 'joint', 'faster_aa': 'policy'}
"""{method: what metrics.jsonl calls its steps after a warm-up}."""


def define_flags(values):
  flags.DEFINE_string('search', None, 'The workdir of the search whose architecture is held fixed '
                      '(network.genotype=searched).', flag_values=values)


def job(config, data, genotype=None):
  """The `loop.Job` of a search.

  Args:
    config: a checked search config.
    data: a `daas_jax.data.sources.Dataset`, or a `daas_jax.detection.sets.DetectionSet` for a detector.
    genotype: the `Genotype` that is held fixed, or None.

  Raises:
    BadInput: where config, data and devices do not fit each other.
  """
  search = config.search
  val_batches, warmup_epochs = search.get('val_batches', 1), search.get('warmup_epochs', 0)
  halves = data.halves if config.network.name in detectors.DETECTORS else None
  batches = batches_lib.SearchBatches(data, config.seed, search.batch, config.data.val_fraction, val_batches, halves)
  placement = parallel.place(config.parallel.devices)
  critic = config.method == 'faster_aa'
  problem = problem_lib.build_critic(config, data) if critic else problem_lib.build(config, data, genotype)
  method = build.build(config, problem, batches.steps_per_epoch, placement.devices, placement.axis)
  return loop.Job(
      init=lambda: jax.jit(method.init)(jax.random.key(config.seed)),
      step=placement.compile(method.step),
      batches=batches,
      total_steps=search.epochs * batches.steps_per_epoch,
      steps_per_epoch=batches.steps_per_epoch,
      images_per_step=(1 + val_batches) * search.batch,
      phase=lambda epoch: 'warm-up' if epoch < warmup_epochs else PHASES[config.method],
      on_epoch=lambda state, epoch: (state, results.measures(state, config)),
      record=lambda state: results.record(state, config),
      put=placement.put,
      get=placement.get)


def main(options):
  """Searches as the options say; returns the summary that it prints."""
  config = options.config
  fixed = config.network.genotype
  genotype = train.find_genotype(fixed, options.search) if fixed else None
  finds_objects = config.network.name in detectors.DETECTORS
  data = (detection_select if finds_objects else select).from_config(config)
  task = job(config, data, genotype)
  with workdir.opened(options.workdir, config_lib.to_json(config)) as folder, progress.Reporter() as reporter:
    if genotype:
      workdir.keep_input(folder, 'genotype.json', genotype_lib.to_text(genotype))
    reporter.note(f'{config.method} on {data.name}: {task.total_steps} steps of {config.search.batch} + '
                  f'{task.images_per_step - config.search.batch} images; compiling the step takes up to a minute')
    state, _ = loop.run(task, folder, config, reporter)
    found = 'genotype.json, policy.json' if state.arch else 'policy.json'
    precision = ''
    if finds_objects:  # before policy.json, the sign of a finished search
      net = problem_lib.network(config, len(data.class_names))
      precision = '\n' + detection_results.write(folder, net, data, state.theta, config.search.batch)
      found += ', detection.json'
    summary = results.write(folder, state, config) + precision
    reporter.note(f'\n{summary}\n\nwritten: {found}, metrics.jsonl, history.jsonl, checkpoints/ in {folder}')
  return summary


if __name__ == '__main__':
  sys.exit(cli.run('search', main, define=define_flags))
