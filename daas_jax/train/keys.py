"""The keys of `python -m daas_jax.train`."""

from daas_jax.augment import inputs
from daas_jax.config import schema
from daas_jax.config.key import above, anything, at_least, between, Key, MOST, odd, one_of
from daas_jax.data import keys as data_keys
from daas_jax.errors import BadInput
from daas_jax.methods import optimizers
from daas_jax.methods.keys import SEEDS
from daas_jax.nets import registry as nets
from daas_jax.policies import baselines, contract, file
from daas_jax.runtime import loop, parallel


def keys(method=None):
  """{'group.key': `Key`} of a training."""
  del method
  networks = nets.trained()
  return {
      'kind': Key('train', one_of('train'), 'which command this config is for'),
      'seed': Key(0, between(0, SEEDS), 'of everything random'),
      **data_keys.KEYS,
      'data.val_fraction': Key(0.1, between(0, 1, False, True),
                               'share of the training set that chooses the epoch; 0: all of it is '
                               'trained on, and the last epoch is what is kept (DARTS)'),
      **inputs.KEYS,
      'policy': Key('searched', anything,
                    'searched, ' + ', '.join(baselines.BASELINES) + ', or a policy FILE'),
      'genotype': Key(
          'searched', anything,
          'searched, searched:EPOCH (as of that epoch of the search), random:SEED, '
          'random_like:SEED (of as many weights as the searched one), a genotype FILE, or a '
          'published one such as darts_v2; none for a fixed network'),
      'network.name': Key(networks[0], one_of(*networks),
                          "the genotype's network, the path of a blocks.json, or a fixed one"),
      **nets.keys_of(networks),
      'network.dtype': Key(
          'float32', one_of('float32', 'bfloat16'),
          'what the network computes in; parameters, their updates and the running averages stay '
          'float32'),
      'train.epochs': Key(600, between(1, MOST), 'epochs (DAAS 5)'),
      'train.batch': Key(96, at_least(2), 'images a step (DAAS 5)'),
      'train.accumulate': Key(
          1, between(1, MOST), 'parts that a batch is taken in, one after the other: less memory; '
          'each is normalised by its own moments'),
      'train.optimizer': Key('sgd', one_of(*optimizers.OPTIMIZERS), 'optimizer (DARTS)'),
      'train.lr': Key(0.025, above(0), 'learning rate at the start (DARTS)'),
      'train.schedule': Key('cosine', one_of('cosine', 'linear'),
                            'decay of the learning rate to 0'),
      'train.warmup_epochs': Key(
          0, at_least(0), 'epochs in which the learning rate rises linearly from 0; among epochs'),
      'train.momentum': Key(0.9, between(0, 1, False, True), 'of SGD (DARTS)'),
      'train.nesterov': Key(False, anything, "Nesterov's momentum"),
      'train.weight_decay': Key(3e-4, at_least(0), "L2, or AdamW's decay (DARTS)"),
      'train.clip': Key(5.0, at_least(0), 'largest gradient norm; 0: no clipping (DARTS)'),
      'train.auxiliary': Key(0.4, at_least(0), 'weight of the auxiliary head; 0 is none (DARTS)'),
      'train.drop_path': Key(0.2, between(0, 1, False, True),
                             'drop-path probability at the end, from 0 (DARTS)'),
      'train.policy_smoothing': Key(
          1, odd, 'epochs over which a policy of every epoch has its p_tp averaged; 1 is none'),
      'train.policy_per': Key(
          '', contract.not_per, "which images share a drawn policy: 'image' (each its own), "
          "'chunk:N' (N in a row), 'batch'; empty: as its authors train (DAAS a batch, DDAS an "
          "image)"),
      'train.policy_fixed': Key(
          '', one_of(*file.FIXED), "what of a policy of every epoch stays as the search's last one "
          'has it: p_tp, p_o, or all; empty: nothing (DDAS Table 6)'),
      'train.label_smoothing': Key(0.0, between(0, 1, False, True), 'of the training targets'),
      'train.ema': Key(
          0.0, between(0, 1, False, True),
          'decay of averaged weights, which are then what is evaluated '
          'and chosen; 0: no average'),
      'beside': Key(
          '', anything, "table.json of a study, whose rows' accuracies are printed beside this "
          'one, or the name of one that comes with the package; empty: nothing'),
      'parallel.devices': parallel.KEYS['parallel.devices'],
      **loop.KEYS,
  }


def check(flat):
  """Checks the keys of a training config against each other.

  Raises:
    BadInput: they do not go together.
  """
  nets.check(flat, keys(), nets.trained())
  data_keys.check(flat, nets.having('data.side'))
  if flat['train.batch'] % flat['train.accumulate']:
    raise BadInput(f"config key 'train.accumulate' ({flat['train.accumulate']}) must divide "
                   f"train.batch ({flat['train.batch']})")
  if flat['train.warmup_epochs'] >= flat['train.epochs']:
    raise BadInput(
        f"config key 'train.warmup_epochs' ({flat['train.warmup_epochs']}) must be below "
        f"train.epochs ({flat['train.epochs']})")


schema.register('train', schema.Schema(keys, check))
