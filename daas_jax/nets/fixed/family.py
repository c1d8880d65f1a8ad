"""What the fixed networks have in common as rows of the table: sizes, keys, and their form in a
search."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax.config.key import between, Key, MOST
from daas_jax.errors import BadInput
from daas_jax.nets import kernels as k, registry

SIZE_KEYS = {
    'network.depth': Key(0, between(0, MOST),
                         'layers of a fixed network or detector; 0: as published'),
    'network.width': Key(
        0, between(0, MOST),
        'of a fixed network: widening factor (wrn), channels of the first stage '
        '(shake_shake, resnet, detectors), alpha (pyramidnet); 0: published'),
}
_EXPORT_MOST = {'depth': 1300, 'width': 10_000}  # to trace thousands of layers takes minutes


class Fixed(NamedTuple):
  """A fixed network of some size.

  Attributes:
    module: a subclass of `ResidualNet`.
    depth, width: as published.
    base, step: a depth is `base` + `step` * n, n >= 1.
    even: whether a width has to be even.
    depths: those that there are, where not every n is one.
  """
  module: Any
  depth: int
  width: int
  base: int
  step: int
  even: bool = False
  depths: tuple[int, ...] = ()


FIXED: dict[str, Fixed] = {}
"""{name: `Fixed`} of those that are registered."""


def make(name: str, num_classes: int, depth: int = 0, width: int = 0, kernels: str = 'fast') -> Any:
  """The network of a row, a linen module with the call of `DerivedNet`.

  Args:
    name: a key of `FIXED`.
    num_classes: number of classes.
    depth, width: instead of the published ones; 0 keeps those.
    kernels: 'fast' or 'plain'.

  Raises:
    BadInput: a depth or width that the network cannot have.
  """
  registry.networks()  # each has registered itself
  row = FIXED[name]
  depth, width = depth or row.depth, width or row.width
  if row.depths and depth not in row.depths:
    raise BadInput(f"config key 'network.depth' must be one of {', '.join(map(str, row.depths))} "
                   f'for {name}, or 0 for {row.depth}, not {depth}')
  if depth <= row.base or (depth - row.base) % row.step:
    raise BadInput(
        f"config key 'network.depth' must be {row.base} + {row.step} n for {name}, such as "
        f'{row.base + row.step}, {row.depth}, or 0 for {row.depth}, not {depth}')
  if row.even and width % 2:
    raise BadInput(f"config key 'network.width' must be even for {name}, not {width}")
  return row.module(num_classes, depth, width, kernels)


class InSearch(NamedTuple):
  """A fixed network with the call of a search's network: apply(variables, z, images, key) ->
  logits; z is not used.

  Normalisation is by the moments of the batch, in D_val as well, and there are no running averages.
  """
  net: Any

  def init(self, key: jax.Array, z: Any, images: jax.Array, noise: Any = None) -> Any:
    del z, noise
    return self.net.init(key, jnp.zeros(images.shape), False)

  def apply(self, variables: Any, z: Any, images: jax.Array,
            key: jax.Array | None = None) -> jax.Array:
    del z
    return self.net.apply(variables, images, True,
                          rngs=None if key is None else {'drop_path': key})[0]


def _sized(name):
  """(config, num_classes, kernels) -> the module of a row, as the config sizes it."""
  return lambda config, num_classes, kernels: make(name, num_classes, config.network.depth, config.
                                                   network.width, kernels)


def _title(config):
  changed = [
      f'{name} {config.network[name]}' for name in ('depth', 'width') if config.network[name]
  ]
  return config.network.name + (f" with {' and '.join(changed)}" if changed else '')


def _check(name):
  def check(flat):
    make(name, 2, flat['network.depth'], flat['network.width'])
    registry.no_cells(flat)
  return check


def _check_description(found, where):
  if not all(
      type(found.get(key)) is int and 0 <= found[key] < most for key, most in _EXPORT_MOST.items()):
    raise BadInput(f'{where} must have a "depth" below {_EXPORT_MOST["depth"]} and a "width"')


def register(name: str, row: Fixed, about: str, default: bool = False) -> None:
  """Registers a fixed network for searches of policies and for trainings.

  Args:
    name: of the network.
    row: its `Fixed`.
    about: what it is, for a list.
    default: see `registry.Network`.
  """
  FIXED[name] = row
  sized = _sized(name)
  registry.register(name, registry.Network(
      about,
      make=lambda config, num_classes, kernels, sampling: InSearch(
          sized(config, num_classes, kernels)),
      train=lambda config, genotype, num_classes, kernels: sized(config, num_classes, kernels),
      keys=SIZE_KEYS | k.KEYS, check=_check(name), noise=lambda config: row.module.takes_noise,
      unroll=True,
      export=registry.Export(
          describe=lambda config, arch: {name: config.network[name] for name in ('depth', 'width')},
          parameters=lambda theta, description: theta,
          build=lambda found, num_classes, kernels: make(
              name, num_classes, found['depth'], found['width'], kernels),
          check=_check_description),
      default=default, title=_title))
