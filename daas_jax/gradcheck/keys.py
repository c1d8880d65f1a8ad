"""The keys of `python -m daas_jax.gradcheck`: every key of a search, and what is done at a point of
it."""

from daas_jax.config import schema
from daas_jax.config.key import above, all_of, at_least, between, Key, MOST, one_of
from daas_jax.errors import BadInput
from daas_jax.gradcheck import arch, estimators
from daas_jax.methods import keys as method_keys, registry
from daas_jax.nets.cells.primitives import some_primitives
from daas_jax.runtime import loop, parallel


def _none_or_some(v):
  return None if v == 0 or 2 <= v <= 10**6 else 'must be 0 or in [2, 1000000]'


KEYS = {
    'lab.step': Key(0, at_least(0), 'steps of the search before the gradients are compared'),
    'lab.estimators': Key(tuple(estimators.TABLE), all_of(estimators.TABLE),
                          'which rows of the table'),
    'lab.draws': Key(100, between(2, MOST), 'draws of every estimator'),
    'lab.history': Key(50, between(0, MOST),
                       'earlier steps, on other batches, that learned baselines know of'),
    'lab.tau': Key(1.0, above(0),
                   'temperature of straight-through samples and of the relaxation in RELAX'),
    'lab.arch_primitives': Key(('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5'),
                               some_primitives,
                               'operations of the tiny cell of the architecture gradient'),
    'lab.arch_large_primitives': Key(
        ('max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5',
         'dil_conv_5x5'), some_primitives, 'operations of the larger one, of four edges'),
    'lab.arch_steps': Key(100, at_least(0),
                          'training steps of the tiny cell before its gradients are compared'),
    'lab.arch_draws': Key(4000, _none_or_some,
                          'draws of the architecture gradient; 0: leave it out'),
}


def methods():
  """The methods whose policies the laboratory can enumerate: those of a categorical
  distribution."""
  return tuple(name for name, row in registry.methods().items() if row.policy == 'categorical')


def of_method(method):
  """{'group.key': `Key`} of the laboratory at a point of a search by a method."""
  keys = method_keys.of_method(method)
  return {'kind': Key('gradcheck', one_of('gradcheck'), 'which command this config is for'), **keys,
          'method': keys['method']._replace(default=method, check=one_of(*methods())),
          **parallel.KEYS, **loop.KEYS, **KEYS}


def check(flat):
  """Refuses what there is nothing to compare in.

  Raises:
    BadInput: a draw of one policy, one operation, or an architecture that is held fixed.
  """
  method_keys.check(flat, of_method(flat['method']))
  if flat['search.n_aug'] < 2:
    raise BadInput(
        "config key 'search.n_aug' must be at least 2 here: estimators compare the policies of a "
        "draw"
    )
  for name in arch.PRIMITIVES_KEY.values():
    if flat['lab.arch_draws'] and len(flat[f'lab.{name}']) < 2:
      raise BadInput(f"config key 'lab.{name}' must name at least two operations, or "
                     "lab.arch_draws be 0")
  if flat.get('network.genotype'):
    raise BadInput(
        "config key 'network.genotype' holds the architecture of a search fixed, and is not for "
        "the laboratory: set it to ''")


schema.register('gradcheck', schema.Schema(of_method, check, methods))
