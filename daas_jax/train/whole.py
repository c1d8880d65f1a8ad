"""A whole training, start to end: what the command and the library run."""

from collections.abc import Callable
import json
import os
from typing import Any

import jax

from daas_jax.augment import inputs
from daas_jax.config import schema as config_lib
from daas_jax.data import evaluation, select, splits, streaming
from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.library import about, networks, trained
from daas_jax.methods import training
from daas_jax.nets import count, registry as nets
from daas_jax.nets.losses import Criterion, CROSS_ENTROPY
from daas_jax.policies import given as given_lib
from daas_jax.runtime import loop, parallel, processes, progress, signals, workdir
from daas_jax.train import beside


def architecture(config: Any, search: str | None) -> Any:
  """The architecture that a training config names; None of a fixed network.

  Args:
    config: a training config.
    search: workdir of a search, or None.

  Raises:
    BadInput: there is none.
  """
  space = nets.of(config).space
  return space.find(config.genotype, search, config.network) if space else None


def run(config: Any, path: str, search: str | None = None, policy_search: str | None = None,
        should_stop: Any = signals.never, data: Any = None, criterion: Criterion = CROSS_ENTROPY,
        stream: Any = None) -> dict[str, Any] | None:
  """Trains from scratch, or goes on with a training.

  Args:
    config: a checked training config.
    path: its workdir.
    search: workdir of the search whose architecture and policy are trained, or None.
    policy_search: that of the search whose policy it is, where it is another.
    should_stop: see `daas_jax.runtime.loop.run`.
    data: a `daas_jax.data.dataset.Dataset`; None: that of the config.
    criterion: what the network's outputs are held against labels by.
    stream: where progress is shown; None: on stdout.

  Returns:
    What results.json holds; None in a process that follows the first one of several.

  Raises:
    BadInput: config, data and what the workdirs hold do not fit each other.
    Diverged, Interrupted, Terminated, OSError: as `daas_jax.runtime.loop.run`.
  """
  network, policy_search = nets.of(config), policy_search or search
  kept = beside.read(config.beside)
  genotype = architecture(config, search)
  given = given_lib.find(config.policy, policy_search, config.train.policy_smoothing,
                         config.train.policy_per, config.train.policy_fixed)
  data = select.from_config(config, network.smallest(config), data)
  program = networks.check(config, data, criterion)
  made, net, evaluate = job(config, data, genotype, given, criterion)
  without = _without_training(search) if network.space and network.export else None
  if not processes.first():
    with progress.silent() as reporter:
      loop.run(made, None, config, reporter, should_stop)
    processes.finished()
    return None
  with workdir.opened(path, config_lib.to_json(config)) as folder, progress.Reporter(
      stream) as reporter:
    if genotype is not None and network.space:
      workdir.keep_input(folder, network.space.file, network.space.to_text(genotype))
    policy = given_lib.text(config.policy, policy_search)
    workdir.keep_input(folder, networks.KEPT, program)
    workdir.keep_input(folder, 'policy.json', policy)
    reporter.note(
        f'{network.title(config)} on {data.name}, policy {config.policy}: {made.total_steps} steps '
        f'of {config.train.batch} images')
    with about.session(folder, 'results.json'):
      state, _ = loop.run(made, folder, config, reporter, should_stop)
    trained.write(folder, config, data, jax.device_get(training.kept_variables(state)))
    result = _measured(config, state, evaluate, data, criterion) | {
        'parameters': count.parameters(state.variables['params']),
        'multiply_adds': count.multiply_adds(net, data.train_images.shape[1:]),
        'genotype': config.genotype,
        'policy': config.policy,
        'seed': config.seed
    }
    if without is not None:
      result['test_accuracy_of_the_search'] = without
    result |= about.facts(config, data) | about.origin(
        search=search, policy_search=policy_search if policy_search != search else None)
    atomic.write(os.path.join(folder, 'results.json'), json.dumps(result, indent=2) + '\n')
    reporter.note('\n'.join(_said(result, without, data, kept)) + '\nwritten: results.json, '
                  f'{trained.FILES[0]}, {trained.FILES[1]}, metrics.jsonl, checkpoints/ in '
                  f'{workdir.shown(path)}')
  processes.finished()
  return result


def job(config: Any, data: Any, genotype: Any, given: Any,
        criterion: Criterion = CROSS_ENTROPY) -> tuple[loop.Job, Any, Callable]:
  """A training as a job of the loop.

  Args:
    config: a checked training config.
    data: a `daas_jax.data.dataset.Dataset`.
    genotype: the architecture, or None.
    given: the policy, as `daas_jax.policies.given.find` gives it.
    criterion: what the network's outputs are held against labels by.

  Returns:
    (the `loop.Job`, the network as a linen module, (variables, images, labels) -> what it is like
    on them: `daas_jax.data.evaluation.of`).

  Raises:
    BadInput: where config, data and devices do not fit each other.
  """
  parts = config.train.accumulate
  placement = parallel.place(
      config.parallel.devices, 'data', config.train.batch // parts,
      'train.batch' if parts == 1 else f'train.batch / train.accumulate={config.train.batch}/'
      f'{parts}')
  train, val = splits.of(data, config.seed, 1 - config.data.val_fraction)
  batches = streaming.train_batches(data.train_images, data.train_labels, train, config.seed,
                                    config.train.batch, placement.share)
  total = config.train.epochs * batches.steps_per_epoch
  network = lambda split: training.network(config, genotype, len(data.class_names), split)
  net, of_rows = network(False), network(placement.split)
  tx, lr = training.optimizer(config, total)
  augmented = inputs.given_input(config, data, *given)

  def step(saw=None):
    return training.make_step(config, of_rows, tx, lr, augmented, total, criterion,
                              placement.split, saw)

  evaluate = evaluation.of(net, data, criterion)
  val_images, val_labels = streaming.viewed(data.train_images, val), data.train_labels[val]

  def start(key):
    return training.init_state(net, tx, key, data.train_images.shape[1:], config.train.ema,
                               len(val) > 0)

  def on_epoch(state, epoch):
    found = evaluate(training.chosen_variables(state), val_images, val_labels)
    chosen_by = found.accuracy if criterion.classes else -found.loss
    return training.keep_best(state, chosen_by, epoch), found.named('val')

  def blame(state, start, last):
    return placement.blame(step, state, batches, start, last)

  made = loop.Job(
      init=lambda: jax.jit(start)(jax.random.key(config.seed)),
      step=placement.compile(step()),
      batches=batches,
      total_steps=total,
      steps_per_epoch=batches.steps_per_epoch,
      images_per_step=config.train.batch,
      phase=lambda epoch: 'train',
      on_epoch=on_epoch if len(val) else None,
      blame=blame if placement.devices > 1 else None,
      put=placement.put,
      get=placement.get)
  return made, net, evaluate


def _measured(config, state, evaluate, data, criterion):
  """What results.json holds of accuracy; no test figures where there are no test images.

  'test_accuracy' is of the variables that are kept; 'last_epoch' has that of the last epoch.
  """
  result = {}
  if len(data.test_labels):
    of = lambda variables: evaluate(variables, data.test_images, data.test_labels).named('test')
    result = of(training.kept_variables(state))
    last = not state.best or int(state.best['epoch']) == config.train.epochs
    result['last_epoch'] = dict(result) if last else of(training.chosen_variables(state))
  if state.best:
    chosen = float(state.best['accuracy'])
    result |= {'val_accuracy': chosen} if criterion.classes else {'val_loss': -chosen}
    result['best_epoch'] = int(state.best['epoch'])
  return result


def _said(result, without, data, kept):
  """What the end of a training says, in lines."""
  epoch = 'of the last epoch, without validation'
  for how in ('accuracy', 'loss'):
    if f'val_{how}' in result:
      epoch = (f"of the epoch with the best validation {how} ({result['best_epoch']}: "
               f"{result[f'val_{how}']:.4f})")
  size = f"{result['parameters']:,} parameters"
  if 'test_accuracy' not in result:
    yield f'no test images, {epoch}; {size}'
  else:
    top_5 = (f", top-5 {result['test_top5_accuracy']:.4f}" if 'test_top5_accuracy' in result
             else '')
    yield (f"test accuracy {result['test_accuracy']:.4f}{top_5} ({len(data.test_labels)} images), "
           f'{epoch}; {size}')
    if 'best_epoch' in result:
      yield f"test accuracy of the last epoch {result['last_epoch']['test_accuracy']:.4f}"
  if without is not None and 'test_accuracy' in result:
    yield (f'test accuracy without retraining {without:.4f}, with retraining '
           f"{result['test_accuracy']:.4f}")
  if 'test_accuracy' in result:
    yield from beside.lines(kept, result['test_accuracy'])


def _without_training(folder):
  """The test accuracy of the network that a search ended with, ready to use, or None (DiffAutoML,
  Table 1)."""
  path = os.path.join(folder or '', 'results.json')
  if not folder or not storage.is_file(path):
    return None
  try:
    content = storage.read_json(path, finite=False)
    accuracy = content.get('test_accuracy') if isinstance(content, dict) else None
  except (OSError, ValueError):
    content = accuracy = None
  if accuracy is None and isinstance(content, dict) and 'parameters' in content:
    return None  # of a set without test images
  if type(accuracy) not in (int, float) or not 0 <= accuracy <= 1:
    raise BadInput(
        f'{path} is damaged: it holds no test accuracy; move it away to train without it')
  return accuracy
