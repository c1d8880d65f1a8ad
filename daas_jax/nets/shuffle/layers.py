"""What choice blocks are made of: sizes, the layers of a choice, its weights as a vector."""

from collections.abc import Iterable, Sequence
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

CHOICES = ('k3', 'k5', 'k7', 'xception')
"""In this order: the columns of alpha; Choice_1 to Choice_4 of DiffAutoML's Fig. 4, 0 to 3 of
SPOS's code."""
_KERNEL = {'k3': 3, 'k5': 5, 'k7': 7, 'xception': 3}


class Size(NamedTuple):
  """Stages and widths, a row of `SIZES`.

  Attributes:
    stem: channels of the 3 x 3 convolution at the start, and its stride.
    stages: (blocks, channels, stride of the first block) of each stage; even channels.
    last: channels of the 1 x 1 convolution before the global mean.
  """
  stem: tuple
  stages: tuple
  last: int

  @property
  def blocks(self) -> int:
    """Number of choice blocks."""
    return sum(n for n, _, _ in self.stages)


SIZES = {
    # SPOS, Table 1 (224 x 224 x 3).
    'imagenet': Size((16, 2), ((4, 64, 2), (4, 160, 2), (8, 320, 2), (4, 640, 2)), 1024),
    # The same widths, the first two halvings left out: 32 x 32 ends at 4 x 4 (choice).
    'cifar': Size((16, 1), ((4, 64, 1), (4, 160, 2), (8, 320, 2), (4, 640, 2)), 1024),
    # For a CPU and images of 28 x 28, which end at 4 x 4 (choice).
    'small': Size((16, 1), ((2, 32, 2), (2, 64, 2), (2, 128, 2)), 128),
    # For trying the code out.
    'nano': Size((8, 2), ((1, 16, 2), (2, 32, 2)), 32),
}


class Layer(NamedTuple):
  """A convolution and its normalisation.

  Attributes:
    kind: 'conv' (3 x 3), 'depthwise' or 'pointwise'.
    size: side of the kernel.
    c_in, c_out: channels.
    stride: 1 or 2.
  """
  kind: str
  size: int
  c_in: int
  c_out: int
  stride: int = 1

  @property
  def shape(self) -> tuple[int, ...]:
    """Of the kernel, as `daas_jax.nets.kernels` takes it."""
    return {'conv': (3, 3, self.c_in, self.c_out), 'depthwise': (self.size, self.size, self.c_in),
            'pointwise': (self.c_in, self.c_out)}[self.kind]


class Block(NamedTuple):
  """One choice block: its input's channels, those it gives, its stride, and whether it is the first
  of its stage."""
  c_in: int
  c_out: int
  stride: int
  first: bool


def blocks(size: Size) -> list[Block]:
  """The `Block`s of a `Size`, in order."""
  out, c = [], size.stem[0]
  for n, channels, stride in size.stages:
    out += [Block(c, channels, stride, True)] + [Block(channels, channels, 1, False)] * (n - 1)
    c = channels
  return out


def stem(size: Size, channels: int) -> tuple[Layer, ...]:
  """The layers before the blocks, for images of so many channels."""
  return (Layer('conv', 3, channels, *size.stem),)


def last(size: Size) -> tuple[Layer, ...]:
  """The layers behind the blocks."""
  return (Layer('pointwise', 1, size.stages[-1][1], size.last),)


def branches(block: Block, choice: str) -> tuple[tuple[Layer, ...], tuple[Layer, ...]]:
  """(main, side): the layers of a `Block` of a choice, tuples of `Layer`; side is () but in the
  first of a stage."""
  c = block.c_in if block.first else block.c_in // 2
  mid, out, size = block.c_out // 2, block.c_out - c, _KERNEL[choice]
  if choice == 'xception':
    main: tuple[Layer, ...] = (
        Layer('depthwise', 3, c, c, block.stride), Layer('pointwise', 1, c, mid),
        Layer('depthwise', 3, mid, mid), Layer('pointwise', 1, mid, mid),
        Layer('depthwise', 3, mid, mid), Layer('pointwise', 1, mid, out))
  else:
    main = (Layer('pointwise', 1, c, mid), Layer('depthwise', size, mid, mid, block.stride),
            Layer('pointwise', 1, mid, out))
  return main, (Layer('depthwise', size, c, c, block.stride),
                Layer('pointwise', 1, c, c)) if block.first else ()


# --- weights as a vector --------------------------------------------------------------------------


def n_weights(layers: Iterable[Layer]) -> int:
  """Parameters of some layers: kernels, scales and offsets."""
  return sum(math.prod(layer.shape) + 2 * layer.c_out for layer in layers)


def n_moments(layers: Iterable[Layer]) -> int:
  """Channels that are normalised in some layers."""
  return sum(layer.c_out for layer in layers)


def draw(key: jax.Array, layers: Sequence[Layer]) -> jax.Array:
  """Initial weights [n_weights]: kernels N(0, 2 / (k * k * D)), He et al. by what goes out; scales
  1, offsets 0."""
  sizes = [math.prod(layer.shape) for layer in layers]
  fan_out = [layer.size**2 * (1 if layer.kind == 'depthwise' else layer.c_out) for layer in layers]
  normal = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
  parts = []
  for x, fan, layer in zip(normal, fan_out, layers):
    parts += [x * math.sqrt(2 / fan), jnp.ones(layer.c_out), jnp.zeros(layer.c_out)]
  return jnp.concatenate(parts)


def split(vector: jax.Array,
          layers: Iterable[Layer]) -> list[tuple[jax.Array, jax.Array, jax.Array]]:
  """[(kernel, scale [D], offset [D])] of some layers."""
  out, start = [], 0
  def take(shape):
    nonlocal start
    start += math.prod(shape)
    return vector[start - math.prod(shape) : start].reshape(shape)
  for layer in layers:
    out.append((take(layer.shape), take((layer.c_out,)), take((layer.c_out,))))
  return out
