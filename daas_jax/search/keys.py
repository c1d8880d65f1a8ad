"""The keys of `python -m daas_jax.search`: those of a search, and those of the loop and of the
devices."""

from daas_jax.config import schema
from daas_jax.config.key import Key, one_of
from daas_jax.methods import keys as method_keys, registry
from daas_jax.runtime import loop, parallel


def of_method(method):
  """{'group.key': `Key`} of a search by a method."""
  return {'kind': Key('search', one_of('search'), 'which command this config is for'),
          **method_keys.of_method(method), **parallel.KEYS, **loop.KEYS}


schema.register(
    'search',
    schema.Schema(of_method, lambda flat: method_keys.check(flat, of_method(flat['method'])),
                  lambda: tuple(registry.methods())))
