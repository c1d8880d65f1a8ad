"""`python -m daas_jax.train --config=configs/train_quickstart.py --search=runs/quickstart
--workdir=runs/trained`: trains a found or a fixed network from scratch under a found policy.
Validation chooses the epoch, or there is none and it is the last (data.val_fraction=0); the test
set is read at the end. With --count it only says how large that network is, with --memory what a
step takes of a device's memory."""

import types

from absl import flags
import jax
import jax.numpy as jnp

from daas_jax.augment import inputs
from daas_jax.config import schema as config_lib
from daas_jax.data import select, sources
from daas_jax.methods import training
from daas_jax.nets import count, registry as nets
from daas_jax.policies import baselines, given as given_lib
from daas_jax.runtime import memory, processes, signals
from daas_jax.train import whole


def define_flags(values):
  flags.DEFINE_string('search', None, 'The workdir of the search whose result is trained.',
                      flag_values=values)
  flags.DEFINE_string('policy_search', None, 'The search whose policy it is, where it is another.',
                      flag_values=values)
  flags.DEFINE_string('policy', None,
                      'searched, ' + ', '.join(baselines.BASELINES) + ', or a policy file.',
                      flag_values=values)
  flags.DEFINE_string('genotype', None,
                      'searched, searched:EPOCH, random:SEED, random_like:SEED, a genotype file, '
                      'or a published one such as darts_v2.',
                      flag_values=values)
  processes.define_flags(values)
  flags.DEFINE_bool(
      'count', False,
      'Prints parameters and multiply-adds of the network and trains nothing; needs no '
      '--workdir.', flag_values=values)
  flags.DEFINE_bool(
      'memory', False,
      'Compiles a step, prints how much memory it takes on a device, and trains nothing; needs no '
      '--workdir.',
      flag_values=values)


def _facts(config):
  """(shape of an image, number of classes) of the data that a training config names."""
  shape, classes = sources.facts(*select.arguments(config))
  if config.data.side:
    shape = (config.data.side, config.data.side, shape[-1])
  return shape, config.data.classes or classes


def size_text(config, genotype):
  """What --count prints: parameters and multiply-adds of the network that a training config
  names."""
  shape, classes = _facts(config)
  net = training.network(config, genotype, classes)
  params = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros(
      (1, *shape)), False))['params']
  bare, whole = (count.parameters(params, auxiliary) for auxiliary in (False, True))
  lines = [
      f"{nets.of(config).title(config)}, {' x '.join(map(str, shape))} images, "
      f'{classes} classes',
      f'parameters                      {bare:>14,}'
  ]
  if whole != bare:
    lines.append(f'  with the auxiliary head       {whole:>14,}')
  return '\n'.join(lines
                   + [f'multiply-adds of one image      {count.multiply_adds(net, shape):>14,}'])


def memory_text(config, genotype, given):
  """What --memory prints: what a step takes on each device, with its rows of the batch."""
  shape, classes = _facts(config)
  devices = config.parallel.devices or jax.local_device_count()
  parts = config.train.accumulate
  batch = max(config.train.batch // parts // devices, 1) * parts
  net, (tx, lr) = training.network(config, genotype, classes), training.optimizer(config, 1000)
  normal = types.SimpleNamespace(mean=(0.5,) * shape[-1], std=(0.25,) * shape[-1])
  step = training.make_step(config, net, tx, lr, inputs.given_input(config, normal, *given), 1000)
  state = jax.eval_shape(lambda: training.init_state(
      net, tx, jax.random.key(0), shape, config.train.ema, config.data.val_fraction > 0))
  needed = memory.estimate(step, state, (jax.ShapeDtypeStruct((batch, *shape), jnp.uint8),
                                         jax.ShapeDtypeStruct((batch,), jnp.int32)))
  where = '' if devices == 1 else f' on each of {devices} devices'
  taken = f', in {parts} parts' if parts > 1 else ''
  return memory.line(f'{batch} images{where}{taken}', needed, f'{config.network.dtype}, ')


def main(options, should_stop=signals.never):
  """Trains as the options say; returns what it writes to results.json, or None where it only
  counts."""
  config = options.config
  with config.unlocked():
    config.policy = options.policy or config.policy
    config.genotype = options.genotype or config.genotype
  config_lib.check(config, 'train')  # the flags may have changed it
  if options.count or options.memory:
    genotype = whole.architecture(config, options.search)
    if options.count:
      print(size_text(config, genotype))
    if options.memory:
      print(memory_text(config, genotype, given_lib.find(
          config.policy, options.policy_search or options.search)))
    return None
  processes.join(options)
  return whole.run(config, options.workdir, options.search, options.policy_search,
                   processes.should_stop(should_stop))
