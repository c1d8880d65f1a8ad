"""`python -m daas_jax.search --config=configs/quickstart.py --workdir=runs/quickstart`: one search, start to end."""

import os

from absl import flags
import jax

from daas_jax.config import schema as config_lib
from daas_jax.methods import problem as problem_lib
from daas_jax.runtime import loop, parallel, processes, progress, signals, workdir
from daas_jax.search import catalogue, export as ready, results, stability
from daas_jax.train import command as train
from daas_jax.data import select, streaming
from daas_jax.detection import (
    networks as detectors,
    results as detection_results,
    select as detection_select,
)
from daas_jax.methods import build
from daas_jax.nets.cells import genotype as genotype_lib


FOUND = ('genotype.json', 'blocks.json', 'policy.json', 'network.json', 'network.npz', 'results.json',
         'detection.json')
"""What a search may leave besides its logs."""


def define_flags(values):
  flags.DEFINE_string('search', None, 'The workdir of the search whose result is given to this one: its '
                      'architecture (network.genotype=searched), its policy (policy.name=searched).',
                      flag_values=values)
  processes.define_flags(values)
  flags.DEFINE_bool('list', False, 'Prints what there is to choose from, and ends.', flag_values=values)


def batches_of(config, data, share=(0, 1)):
  """Step number -> batch of a search: of process i of n where share is (i, n), every n-th row from row i."""
  halves = data.halves if config.network.name in detectors.DETECTORS else None
  return streaming.search_batches(data, config.seed, config.search.batch, config.data.val_fraction,
                                  config.search.get('val_batches', 1), halves=halves, share=share)


def job(config, data, genotype=None, policy=None):
  """The `loop.Job` of a search.

  Args:
    config: a checked search config.
    data: a `daas_jax.data.sources.Dataset`, or a `daas_jax.detection.sets.DetectionSet` for a detector.
    genotype: the `Genotype` that is held fixed, or None.
    policy: (augment, standard) as `train.find_policy` gives them, or None: it is searched.

  Raises:
    BadInput: where config, data and devices do not fit each other.
  """
  search = config.search
  val_batches, warmup_epochs = search.get('val_batches', 1), search.get('warmup_epochs', 0)
  placement = parallel.place(config.parallel.devices, config.parallel.over, search.batch)
  batches = batches_of(config, data, placement.share)
  row = build.METHODS[config.method]

  def problem_and_method(saw=None):
    if config.method == 'faster_aa':
      problem = problem_lib.build_critic(config, data, placement.split, saw)
    else:
      problem = problem_lib.build(config, data, genotype, policy, placement.split, saw)
    return problem, build.build(config, problem, batches.steps_per_epoch, 1 if placement.split else placement.devices,
                                placement.axis)

  problem, method = problem_and_method()
  eigenvalue = stability.measure(problem, config, data)
  tuned = search.epochs - search.get('tuning_epochs', 0)

  def phase(epoch):
    return 'warm-up' if epoch < warmup_epochs else row.phase if epoch < tuned else 'tuning'

  def on_epoch(state, epoch):
    state = method.end_epoch(state) if method.end_epoch else state
    return state, results.measures(state, config) | eigenvalue(state, epoch)

  def blame(state, start, step):
    return placement.blame(lambda saw: problem_and_method(saw)[1].step, state, batches, start, step)

  return loop.Job(
      init=lambda: jax.jit(method.init)(jax.random.key(config.seed)),
      step=placement.compile(method.step),
      batches=batches,
      total_steps=search.epochs * batches.steps_per_epoch,
      steps_per_epoch=batches.steps_per_epoch,
      images_per_step=(1 + val_batches) * search.batch,
      phase=phase,
      on_epoch=on_epoch,
      stop=stability.rule(config),
      record=lambda state: results.record(state, config),
      blame=blame if placement.devices > 1 else None,
      put=placement.put,
      get=placement.get)


def main(options, asked=signals.never):
  """Searches as the options say; returns the summary that it prints, or None where it only lists."""
  if options.list:
    print(catalogue.text())
    return None
  processes.join(options)
  asked = processes.asked(asked)
  config = options.config
  fixed = config.network.genotype
  genotype = train.find_genotype(fixed, options.search) if fixed else None
  finds_objects = config.network.name in detectors.DETECTORS
  data = (detection_select if finds_objects else select).from_config(config)
  given = config.policy.get('name')
  task = job(config, data, genotype, train.find_policy(given, options.search) if given else None)
  if not processes.first():
    with progress.silent() as reporter:
      loop.run(task, None, config, reporter, asked)
    processes.finished()
    return None
  with workdir.opened(options.workdir, config_lib.to_json(config)) as folder, progress.Reporter() as reporter:
    if genotype:
      workdir.keep_input(folder, 'genotype.json', genotype_lib.to_text(genotype))
    train.keep_policy(folder, given, options.search)
    reporter.note(f'{config.method} on {data.name}: {task.total_steps} steps of {config.search.batch} + '
                  f'{task.images_per_step - config.search.batch} images; compiling the step takes up to a minute')
    state, _ = loop.run(task, folder, config, reporter, asked)
    more = ''
    if finds_objects:  # before policy.json, the sign of a finished search
      net = problem_lib.network(config, len(data.class_names))
      more = '\n' + detection_results.write(folder, net, data, state.theta, config.search.batch)
    summary = results.write(folder, state, config) + more
    if config.method == 'diffautoml':
      summary += '\n\n' + ready.write(folder, state, config, data, batches_of(config, data))
    found = ''.join(f'{name}, ' for name in FOUND if os.path.exists(os.path.join(folder, name)))
    reporter.note(f'\n{summary}\n\nwritten: {found}metrics.jsonl, history.jsonl, checkpoints/ in '
                  f'{workdir.shown(options.workdir)}')
  processes.finished()
  return summary
