"""A linen module of one's own as a network of searches and trainings: images -> logits, and nothing
else is asked."""

from collections.abc import Callable, Mapping
import inspect
from typing import Any, NamedTuple

from flax import nnx
import jax

from daas_jax.config.key import Key
from daas_jax.errors import BadInput
from daas_jax.nets import kernels as k, registry
from daas_jax.nets.nnx import FromNnx

_MODES = {
    'train': True,
    'training': True,
    'is_training': True,
    'deterministic': False,
    'use_running_average': False
}
"""How modules call the argument that says whether they train, and what it is then."""


def _mode(module, train):
  """The keyword that tells a module whether it trains; {} where its call has none."""
  names = inspect.signature(type(module).__call__).parameters
  return {name: value == train for name, value in _MODES.items() if name in names}


def _init(module, key, images):
  return dict(module.init({'params': key, 'dropout': key}, images, **_mode(module, False)))


class InSearch(NamedTuple):
  """A module with the call of a search's network: apply(variables, z, images, key) -> logits.

  It computes as in training, in D_val too: normalised by the moments of the batch, with dropout.
  What a module keeps besides its parameters (running averages) is as at the start in every pass and
  what becomes of it is dropped, so that no step of a search, virtual or real, writes it.

  Attributes:
    module: linen module, images [B, H, W, C] -> logits [B, number of classes].
  """
  module: Any

  def init(self, key: jax.Array, z: Any, images: jax.Array, noise: Any = None) -> Any:
    del z, noise
    return _init(self.module, key, images)

  def apply(self, variables: Any, z: Any, images: jax.Array, key: jax.Array | None = None) -> Any:
    del z
    rest = jax.eval_shape(lambda: _init(self.module, jax.random.key(0), images))
    # constants of the program: XLA drops the parameters, which are not used
    if set(rest) - {'params'}:
      start = _init(self.module, jax.random.key(0), images)
      variables = {name: x for name, x in start.items() if name != 'params'} | variables
    out = self.module.apply(variables, images, **_mode(self.module, True), rngs=_rngs(key),
                            mutable=[name for name in rest if name != 'params'])
    return out[0]


def _rngs(key):
  return None if key is None else {'dropout': key}


class InTraining(NamedTuple):
  """A module with the call of a training's network: (images, train, drop_path) -> (logits,
  None)."""
  module: Any
  takes_noise: bool = True

  def init(self, key: jax.Array, images: jax.Array, train: bool = False) -> Any:
    del train
    return _init(self.module, key, images)

  def apply(self, variables: Any, images: jax.Array, train: bool, drop_path: Any = 0.0,
            mutable: Any = False, rngs: Any = None) -> Any:
    del drop_path
    out = self.module.apply(variables, images, **_mode(self.module, train), mutable=mutable,
                            rngs=_rngs(rngs['drop_path']) if rngs else None)
    return (out, None) if mutable is False else ((out[0], None), out[1])


def _settings(config, keys):
  """{'width': value} of the keys 'network.width' that a network declares."""
  return {name.partition('.')[2]: config.network[name.partition('.')[2]] for name in keys
          if name.startswith('network.')}


def register_network(name: str, make: Callable, about: str = '',
                     keys: Mapping[str, Key] | None = None, smallest: int = 1) -> None:
  """Makes a linen module a network of searches and trainings: `config.network.name=name`.

  The module maps images [B, H, W, C], normalised floats, to logits [B, num_classes]. Where its call
  has an argument `train` (or training, is_training; deterministic and use_running_average mean the
  opposite) it is told whether it trains; `batch_stats` and other collections, and random numbers
  named 'dropout', work as they do in flax.

  Args:
    name: a word that no network of the package has; the same one again replaces what was registered
      before.
    make: (num_classes=n, **settings) -> linen or nnx module: the class itself will do. `settings`
      are the values of `keys` whose names begin with 'network.', by the rest of their names.
    about: a line on it, for --list.
    keys: {'network.key': `Key`} of config keys that it has.
    smallest: least side of an image in pixels.

  Raises:
    BadInput: the package has a network of that name, or another network has such a key.
  """
  own = dict(keys or {})
  for key in own:
    others = [other for other in registry.having(key) if other != name]
    if others:  # a config has one default, whichever network it names
      raise BadInput(f'config key {key!r} is one of {others[0]} already: give it another name')

  def module(config, num_classes):
    made = make(num_classes=num_classes, **_settings(config, own))
    return FromNnx(made) if isinstance(made, nnx.Module) else made

  def refuse_split(kernels, other=''):
    if kernels.endswith(k.SHARED):
      raise BadInput(f'network {name!r} normalises by the rows of one device: set {other}'
                     'parallel.devices=1')

  def in_search(config, num_classes, kernels, sampling):
    del sampling
    refuse_split(kernels, 'parallel.over=samples, or ')
    return InSearch(module(config, num_classes))

  def in_training(config, genotype, num_classes, kernels):
    del genotype
    refuse_split(kernels)
    return InTraining(module(config, num_classes))

  registry.register(name, registry.Network(
      about or f'registered by {getattr(make, "__module__", "a program")}', make=in_search,
      train=in_training,
      keys=k.KEYS | own, check=registry.no_cells, noise=lambda config: True,
      smallest=lambda config: smallest, unroll=True, own=True), users=True)
