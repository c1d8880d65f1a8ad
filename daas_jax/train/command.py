"""`python -m daas_jax.train --config=configs/train_quickstart.py --search=runs/quickstart
--workdir=runs/trained`: trains a found or a fixed network from scratch under a found policy.
Validation chooses the epoch, the test set is read once. With --count it only says how large that
network is."""

import json
import os

from absl import flags
import jax
import jax.numpy as jnp

from daas_jax.augment import inputs
from daas_jax.config import schema as config_lib
from daas_jax.data import evaluation, select, sources, splits, streaming
from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.methods import training
from daas_jax.nets import count, registry as nets
from daas_jax.policies import baselines, given as given_lib
from daas_jax.runtime import loop, progress, signals, workdir


def define_flags(values):
  flags.DEFINE_string('search', None, 'The workdir of the search whose result is trained.',
                      flag_values=values)
  flags.DEFINE_string('policy_search', None, 'The search whose policy it is, where it is another.',
                      flag_values=values)
  flags.DEFINE_string('policy', None,
                      'searched, ' + ', '.join(baselines.BASELINES) + ', or a policy file.',
                      flag_values=values)
  flags.DEFINE_string('genotype', None,
                      'searched, searched:EPOCH, random:SEED, a genotype file, or a published one '
                      'such as darts_v2.',
                      flag_values=values)
  flags.DEFINE_bool(
      'count', False,
      'Prints parameters and multiply-adds of the network and trains nothing; needs no '
      '--workdir.', flag_values=values)


def size_text(config, genotype):
  """What --count prints: parameters and multiply-adds of the network that a training config
  names."""
  shape, classes = sources.facts(config.data.name, config.data.dir or None)
  if streaming.asked(config) and config.data.side:
    shape = (config.data.side, config.data.side, shape[-1])
  net = training.network(config, genotype, config.data.classes or classes)
  params = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros(
      (1, *shape)), False))['params']
  bare, whole = (count.parameters(params, auxiliary) for auxiliary in (False, True))
  lines = [
      f"{nets.of(config).title(config)}, {' x '.join(map(str, shape))} images, "
      f"{config.data.classes or classes} classes",
      f'parameters                      {bare:>14,}'
  ]
  if whole != bare:
    lines.append(f'  with the auxiliary head       {whole:>14,}')
  return '\n'.join(lines
                   + [f'multiply-adds of one image      {count.multiply_adds(net, shape):>14,}'])


def main(options, should_stop=signals.never):
  """Trains as the options say; returns what it writes to results.json, or None where it only
  counts."""
  config = options.config
  with config.unlocked():
    config.policy = options.policy or config.policy
    config.genotype = options.genotype or config.genotype
  config_lib.check(config, 'train')  # the flags may have changed it
  network = nets.of(config)
  genotype = network.space.find(config.genotype, options.search) if network.space else None
  if options.count:
    print(size_text(config, genotype))
    return None
  policy_search = options.policy_search or options.search
  given = given_lib.find(config.policy, policy_search, config.train.policy_smoothing)
  data = select.from_config(config, network.smallest(config))
  train, val = splits.halves(data.train_labels, config.seed, 1 - config.data.val_fraction)
  batches = streaming.train_batches(data.train_images, data.train_labels, train, config.seed,
                                    config.train.batch)
  total = config.train.epochs * batches.steps_per_epoch
  without = _without_training(options.search) if network.space and network.export else None
  net = training.network(config, genotype, len(data.class_names))
  tx, lr = training.optimizer(config, total)
  step = training.make_step(config, net, tx, lr, inputs.given_input(config, data, *given), total)
  evaluate = evaluation.of(net, data)
  val_images, val_labels = streaming.rows_of(data.train_images, val), data.train_labels[val]

  def start(key):
    return training.init_state(net, tx, key, data.train_images.shape[1:], config.train.ema)

  def on_epoch(state, epoch):
    loss, accuracy = evaluate(training.chosen_variables(state), val_images, val_labels)
    return training.keep_best(state, accuracy, epoch), {'val_loss': loss, 'val_accuracy': accuracy}

  job = loop.Job(init=lambda: jax.jit(start)(jax.random.key(config.seed)), step=jax.jit(
      step, donate_argnums=0), batches=batches, total_steps=total,
                 steps_per_epoch=batches.steps_per_epoch, images_per_step=config.train.batch,
                 phase=lambda epoch: 'train', on_epoch=on_epoch)
  with workdir.opened(options.workdir,
                      config_lib.to_json(config)) as folder, progress.Reporter() as reporter:
    if genotype is not None:
      workdir.keep_input(folder, network.space.file, network.space.to_text(genotype))
    workdir.keep_input(folder, 'policy.json', given_lib.text(config.policy, policy_search))
    reporter.note(
        f'{nets.of(config).title(config)} on {data.name}, policy {config.policy}: {total} steps of '
        f'{config.train.batch} '
        'images')
    state, _ = loop.run(job, folder, config, reporter, should_stop)
    result = _result(config, state, evaluate, data)
    if without is not None:
      result['test_accuracy_of_the_search'] = without
    atomic.write(os.path.join(folder, 'results.json'), json.dumps(result, indent=2) + '\n')
    reporter.note(
        f"test accuracy {result['test_accuracy']:.4f} ({len(data.test_labels)} images, read once), "
        f"of the epoch with the best validation accuracy ({result['best_epoch']}: "
        f"{result['val_accuracy']:.4f}); "
        f"{result['parameters']:,} parameters\n"
        + ('' if without is
           None else f"test accuracy without retraining {without:.4f}, with retraining "
           f"{result['test_accuracy']:.4f}\n")
        + f'written: results.json, metrics.jsonl, checkpoints/ in {workdir.shown(options.workdir)}')
  return result


def _result(config, state, evaluate, data):
  loss, accuracy = evaluate(state.best['variables'], data.test_images, data.test_labels)
  return {
      'test_accuracy': accuracy,
      'test_loss': loss,
      'val_accuracy': float(state.best['accuracy']),
      'best_epoch': int(state.best['epoch']),
      'parameters': count.parameters(state.variables['params']),
      'genotype': config.genotype,
      'policy': config.policy,
      'seed': config.seed
  }


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
    accuracy = None
  if type(accuracy) not in (int, float) or not 0 <= accuracy <= 1:
    raise BadInput(
        f'{path} is damaged: it holds no test accuracy; move it away to train without it')
  return accuracy
