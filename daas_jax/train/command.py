"""`python -m daas_jax.train --config=configs/train_quickstart.py --search=runs/quickstart
--workdir=runs/trained`: trains a found or a fixed network from scratch under a found policy.
Validation chooses the epoch, or there is none and it is the last (data.val_fraction=0); the test
set is read at the end. With --count it only says how large that network is."""

from absl import flags
import jax
import jax.numpy as jnp

from daas_jax.config import schema as config_lib
from daas_jax.data import select, sources
from daas_jax.methods import training
from daas_jax.nets import count, registry as nets
from daas_jax.policies import baselines
from daas_jax.runtime import processes, signals
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


def size_text(config, genotype):
  """What --count prints: parameters and multiply-adds of the network that a training config
  names."""
  shape, classes = sources.facts(*select.arguments(config))
  if config.data.side:
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
  if options.count:
    print(size_text(config, whole.architecture(config, options.search)))
    return None
  processes.join(options)
  return whole.run(config, options.workdir, options.search, options.policy_search,
                   processes.should_stop(should_stop))
