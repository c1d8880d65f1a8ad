"""The fixed networks, in one table: what a policy alone is searched on or trained with (DAAS Table 5)."""

from typing import Any, Callable, NamedTuple

import jax.numpy as jnp

from daas_jax.errors import BadInput
from daas_jax.nets.fixed.pyramidnet import PyramidNet
from daas_jax.nets.fixed.resnet import ImageNetResNet, ResNet
from daas_jax.nets.fixed.shake_shake import ShakeShake
from daas_jax.nets.fixed.wide_resnet import WideResNet


class Fixed(NamedTuple):
  """A row of `FIXED`.

  Attributes:
    module: a subclass of `ResidualNet`.
    depth, width: as published.
    base, step: a depth is `base` + `step` * n, n >= 1.
  """
  module: Callable
  depth: int
  width: int
  base: int
  step: int


FIXED = {
    'wrn_40_2': Fixed(WideResNet, 40, 2, 4, 6),
    'wrn_28_10': Fixed(WideResNet, 28, 10, 4, 6),
    'shake_shake_26_2x32d': Fixed(ShakeShake, 26, 32, 2, 6),
    'shake_shake_26_2x96d': Fixed(ShakeShake, 26, 96, 2, 6),
    'shake_shake_26_2x112d': Fixed(ShakeShake, 26, 112, 2, 6),
    'pyramidnet_272': Fixed(PyramidNet, 272, 200, 2, 9),
    'resnet_18': Fixed(ResNet, 18, 64, 2, 8),
    'resnet_18_imagenet': Fixed(ImageNetResNet, 18, 64, 2, 8),
}


def make(name, num_classes, depth=0, width=0, kernels='fast'):
  """The network of a row, a linen module with the call of `DerivedNet`.

  Args:
    name: a key of `FIXED`.
    num_classes: number of classes.
    depth, width: instead of the published ones; 0 keeps those.
    kernels: 'fast' or 'plain'.

  Raises:
    BadInput: a depth or width that the network cannot have.
  """
  row = FIXED[name]
  depth, width = depth or row.depth, width or row.width
  if depth <= row.base or (depth - row.base) % row.step:
    raise BadInput(f"config key 'network.depth' must be {row.base} + {row.step} n for {name}, such as "
                   f'{row.base + row.step}, {row.depth}, or 0 for {row.depth}, not {depth}')
  if row.module is ShakeShake and width % 2:
    raise BadInput(f"config key 'network.width' must be even for {name}, not {width}")
  return row.module(num_classes, depth, width, kernels)


class InSearch(NamedTuple):
  """A fixed network with the call of a search's network: apply(variables, z, images, key) -> logits; z is not used.

  Normalisation is by the moments of the batch, in D_val as well, and there are no running averages.
  """
  net: Any

  def init(self, key, z, images, noise=None):
    del z, noise
    return self.net.init(key, jnp.zeros(images.shape), False)

  def apply(self, variables, z, images, key=None):
    del z
    return self.net.apply(variables, images, True, rngs=None if key is None else {'drop_path': key})[0]
