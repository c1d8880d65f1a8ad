"""The keys of a search: those of every search, and those that its method, its networks and its
policies declare."""

from collections.abc import Mapping
from typing import Any

from daas_jax.augment import inputs
from daas_jax.config.key import at_least, between, Key, MOST, one_of
from daas_jax.data import keys as data_keys
from daas_jax.methods import optimizers, registry
from daas_jax.nets import registry as nets
from daas_jax.policies import registry as policies

SEEDS = 2**32 - 1
"""The largest seed of jax.random.key."""


def networks_of(method: str) -> tuple[str, ...]:
  """Names of the networks that a method may search on, the default's first."""
  row = registry.methods()[method]
  names = nets.names(row.searches, row.policy)
  return tuple(name for name in names if nets.networks()[name].export) if row.exports else names


def _network(method, networks):
  """The check of network.name; of a network with a task of its own it says which methods are for
  that."""
  def check(v):
    task = nets.networks()[v].task if v in nets.networks() else None
    if v in networks or not task:
      return one_of(*networks)(v)
    others = ', '.join(name for name in registry.methods() if v in networks_of(name))
    return (
        f'must be one of {", ".join(networks)}, as method {method!r} does not search policies for '
        f'{v} ({others} '
        'does)')
  return check


def _common(method, networks):
  return {
      'seed': Key(0, between(0, SEEDS), 'of everything random'),
      'method': Key(next(iter(registry.methods())), lambda v: one_of(*registry.methods())(v),
                    'search algorithm'),
      **data_keys.KEYS,
      'data.val_fraction': Key(0.5, between(0, 1, True, True),
                               'share of the training set that is D_val (DAAS 5)'),
      'data.validation_turns': Key(0, between(0, 3),
                                   'quarter turns of the validation images: the check of DDAS 4.1'),
      **inputs.KEYS,
      'network.name': Key(networks[0], _network(method, networks), 'what theta belongs to'),
      'search.epochs': Key(50, between(1, MOST), 'epochs of D_train, warm-up included (DAAS 5)'),
      'search.batch': Key(64, at_least(2), 'images of D_train and of D_val a step (choice)'),
      **optimizers.ADAM_KEYS,
  }


def of_method(method: str) -> dict[str, Key]:
  """The keys of a search by a method; of two that declare one key, the method counts before its
  policies' space and that before networks."""
  row, networks = registry.methods()[method], networks_of(method)
  return {
      **_common(method, networks),
      **nets.keys_of(networks, search=True),
      **policies.spaces()[row.policy].keys,
      **row.keys
  }


def check(flat: Mapping[str, Any], keys: Mapping[str, Key]) -> None:
  """Checks the keys of a search config against each other.

  Args:
    flat: {'group.key': value}, each in its range.
    keys: `of_method`, and what a command adds.

  Raises:
    BadInput: they do not go together.
  """
  data_keys.check(flat, nets.having('data.side'))
  nets.check(flat, keys)
  optimizers.check(flat)
  registry.methods()[flat['method']].check(flat)
