"""`python -m daas_jax.train --config=configs/train_quickstart.py --search=runs/quickstart --workdir=runs/trained`:
trains a found or a fixed network from scratch under a found policy. Validation chooses the epoch, the test set is read
once. With --count it only says how large that network is."""

import difflib
import json
import os
import sys

from absl import flags
import jax
import jax.numpy as jnp

from daas_jax import (atomic, cli, config as config_lib, inputs, loop, progress, results, signals, storage, training,
                      workdir)
from daas_jax.data import select, sources, splits, streaming
from daas_jax.errors import BadInput
from daas_jax.nets import blocks as blocks_lib, count, genotype as genotype_lib
from daas_jax.nets.derived import count_parameters
from daas_jax.nets.primitives import DAAS_PRIMITIVES
from daas_jax.policies import fixed, found


def define_flags(values):
  flags.DEFINE_string('search', None, 'The workdir of the search whose result is trained.', flag_values=values)
  flags.DEFINE_string('policy_search', None, 'The search whose policy it is, where it is another.', flag_values=values)
  flags.DEFINE_string('policy', None, 'searched, ' + ', '.join(fixed.FIXED) + ', or a policy file.', flag_values=values)
  flags.DEFINE_string('genotype', None, 'searched, searched:EPOCH, random:SEED, or a genotype file.',
                      flag_values=values)
  flags.DEFINE_bool('count', False, 'Prints parameters and multiply-adds of the network and trains nothing; needs no '
                    '--workdir.', flag_values=values)


def _from_search(folder, name):
  if not folder:
    raise BadInput(f'the searched {name} is asked for, but no search is given: add --search=WORKDIR')
  path = os.path.join(folder, f'{name}.json')
  if not storage.is_file(path):
    raise BadInput(f'{folder} holds no {name}.json: give the workdir of a finished search')
  return path


def _require_file(asked, name, words):
  if not storage.exists(asked):
    near = difflib.get_close_matches(asked, words, 1)
    raise BadInput(f'--{name}={asked!r} is neither a file nor one of {", ".join(words)}'
                   + (f'; did you mean {near[0]!r}?' if near else ''))


def find_genotype(asked, search):
  """The `Genotype` that --genotype names."""
  if asked == 'searched':
    return genotype_lib.load(_from_search(search, 'genotype'))
  if asked.startswith('searched:'):
    epoch = asked.removeprefix('searched:')
    if not (epoch.isascii() and epoch.isdecimal() and len(epoch) < 10):
      raise BadInput(f'--genotype=searched:EPOCH needs a whole number of epochs, not {epoch[:40]!r}')
    if not search:
      raise BadInput('the genotype of an epoch is asked for, but no search is given: add --search=WORKDIR')
    return results.genotype_at(search, int(epoch))
  if asked.startswith('random:'):
    seed = asked.removeprefix('random:')
    if not (seed.isascii() and seed.isdecimal() and len(seed) < 19):
      raise BadInput(f'--genotype=random:SEED needs a whole number below 10 ** 18, not {seed[:40]!r}')
    return genotype_lib.random_genotype(int(seed), DAAS_PRIMITIVES)
  _require_file(asked, 'genotype', ('searched', 'random:SEED'))
  return genotype_lib.load(asked)


def find_blocks(asked, search):
  """The `Blocks` that --genotype names for the network 'shuffle'."""
  if asked == 'searched':
    return blocks_lib.load(_from_search(search, 'blocks'))
  _require_file(asked, 'genotype', ('searched',))
  return blocks_lib.load(asked)


def find_policy(asked, search, smoothing=1):
  """(augment, whether crop and flip come before it) of the policy that --policy names (see `found.load_policy`)."""
  if asked in fixed.FIXED:
    return fixed.FIXED[asked].make(), fixed.FIXED[asked].standard_preprocessing
  if asked == 'searched':
    return found.load_policy(_from_search(search, 'policy'), smoothing), True
  _require_file(asked, 'policy', ('searched', *fixed.FIXED))
  return found.load_policy(asked, smoothing), True


def keep_policy(folder, asked, search):
  """Keeps a copy of a policy that is read from a file in the workdir; a resumed run must be given the same."""
  if asked and asked not in fixed.FIXED:
    path = _from_search(search, 'policy') if asked == 'searched' else asked
    workdir.keep_input(folder, 'policy.json', storage.read_text(path))


def size_text(config, genotype):
  """What --count prints: parameters and multiply-adds of the network that a training config names."""
  shape, classes = sources.facts(config.data.name, config.data.dir or None)
  if streaming.asked(config) and config.data.side:
    shape = (config.data.side, config.data.side, shape[-1])
  net = training.network(config, genotype, config.data.classes or classes)
  params = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros((1, *shape)), False))['params']
  bare, whole = (count_parameters(params, auxiliary) for auxiliary in (False, True))
  lines = [f"{_title(config)}, {' x '.join(map(str, shape))} images, {net.num_classes} classes",
           f'parameters                      {bare:>14,}']
  if whole != bare:
    lines.append(f'  with the auxiliary head       {whole:>14,}')
  return '\n'.join(lines + [f'multiply-adds of one image      {count.multiply_adds(net, shape):>14,}'])


def _title(config):
  if config.network.name == 'derived':
    return f'{config.network.layers} cells of {config.network.channels} channels'
  changed = [f'{name} {config.network[name]}' for name in ('depth', 'width') if config.network[name]]
  return config.network.name + (f" with {' and '.join(changed)}" if changed else '')


def main(options, asked=signals.never):
  """Trains as the options say; returns what it writes to results.json, or None where it only counts."""
  config = options.config
  with config.unlocked():
    config.policy, config.genotype = options.policy or config.policy, options.genotype or config.genotype
  config_lib.check(config, 'train')  # the flags may have changed it
  find = {'derived': find_genotype, 'shuffle': find_blocks}.get(config.network.name)
  genotype = find(config.genotype, options.search) if find else None
  if options.count:
    print(size_text(config, genotype))
    return None
  policy_search = options.policy_search or options.search
  augment, standard = find_policy(config.policy, policy_search, config.train.policy_smoothing)
  data = select.from_config(config)
  train, val = splits.halves(data.train_labels, config.seed, 1 - config.data.val_fraction)
  batches = streaming.train_batches(data.train_images, data.train_labels, train, config.seed, config.train.batch)
  total = config.train.epochs * batches.steps_per_epoch
  without = _without_training(options.search) if config.network.name == 'shuffle' else None
  net = training.network(config, genotype, len(data.class_names))
  tx, lr = training.optimizer(config, total)
  step = training.make_step(config, net, tx, lr, inputs.given_input(config, data, augment, standard), total)
  evaluate = training.make_evaluate(net, data)
  val_images, val_labels = streaming.rows_of(data.train_images, val), data.train_labels[val]

  def start(key):
    return training.init_state(net, tx, key, data.train_images.shape[1:], config.train.ema)

  def on_epoch(state, epoch):
    loss, accuracy = evaluate(training.chosen_variables(state), val_images, val_labels)
    return training.keep_best(state, accuracy, epoch), {'val_loss': loss, 'val_accuracy': accuracy}

  job = loop.Job(
      init=lambda: jax.jit(start)(jax.random.key(config.seed)),
      step=jax.jit(step, donate_argnums=0), batches=batches, total_steps=total,
      steps_per_epoch=batches.steps_per_epoch, images_per_step=config.train.batch, phase=lambda epoch: 'train',
      on_epoch=on_epoch)
  with workdir.opened(options.workdir, config_lib.to_json(config)) as folder, progress.Reporter() as reporter:
    if isinstance(genotype, blocks_lib.Blocks):
      workdir.keep_input(folder, 'blocks.json', blocks_lib.to_text(genotype))
    elif genotype is not None:
      workdir.keep_input(folder, 'genotype.json', genotype_lib.to_text(genotype))
    keep_policy(folder, config.policy, policy_search)
    reporter.note(f'{_title(config)} on {data.name}, policy {config.policy}: {total} steps of {config.train.batch} '
                  'images')
    state, _ = loop.run(job, folder, config, reporter, asked)
    result = _result(config, state, evaluate, data)
    if without is not None:
      result['test_accuracy_of_the_search'] = without
    atomic.write(os.path.join(folder, 'results.json'), json.dumps(result, indent=2) + '\n')
    reporter.note(f"test accuracy {result['test_accuracy']:.4f} ({len(data.test_labels)} images, read once), of the "
                  f"epoch with the best validation accuracy ({result['best_epoch']}: {result['val_accuracy']:.4f}); "
                  f"{result['parameters']:,} parameters\n"
                  + ('' if without is None else f"test accuracy without retraining {without:.4f}, with retraining "
                     f"{result['test_accuracy']:.4f}\n")
                  + f'written: results.json, metrics.jsonl, checkpoints/ in {workdir.shown(options.workdir)}')
  return result


def _result(config, state, evaluate, data):
  loss, accuracy = evaluate(state.best['variables'], data.test_images, data.test_labels)
  return {'test_accuracy': accuracy, 'test_loss': loss, 'val_accuracy': float(state.best['accuracy']),
          'best_epoch': int(state.best['epoch']), 'parameters': count_parameters(state.variables['params']),
          'genotype': config.genotype, 'policy': config.policy, 'seed': config.seed}


def _without_training(folder):
  """The test accuracy of the network that a search ended with, ready to use, or None (DiffAutoML, Table 1)."""
  path = os.path.join(folder or '', 'results.json')
  if not folder or not storage.is_file(path):
    return None
  try:
    content = storage.read_json(path, finite=False)
    accuracy = content.get('test_accuracy') if isinstance(content, dict) else None
  except (OSError, ValueError):
    accuracy = None
  if type(accuracy) not in (int, float) or not 0 <= accuracy <= 1:
    raise BadInput(f'{path} is damaged: it holds no test accuracy; move it away to train without it')
  return accuracy


if __name__ == '__main__':
  sys.exit(cli.run('train', main, define=define_flags))
