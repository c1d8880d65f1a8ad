"""The few array kernels that every network here is made of: images [B, H, W, C], any float dtype.

The sets of `KERNELS`, one function each:
- 'plain': ordinary JAX, differentiable in any mode and to any order; the tests hold the others
  against it.
- 'fast': with backward passes of its own, because on CPU XLA's transposes of depthwise
  convolutions, pooling and narrow products cost many times their forward pass. Supports reverse
  mode and forward over reverse. Chosen by measurement on CPU.
- 'xla': XLA's own convolutions, as GPU and TPU libraries are built for them; pooling and batch
  normalisation as in 'fast'. Never measured on a GPU or TPU: none could be had.
- 'counted': for `nets/count.py`.
Each again as NAME_shared, for a batch that is split over devices (`daas_jax.nets.devices`).
`choose` turns 'auto' into the set of the backend at hand.
"""

import functools
import math
from typing import Callable, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import floating, wide as _wide
from daas_jax.config.key import Key, one_of
from daas_jax.nets import devices
from daas_jax.nets.depthwise import depthwise, depthwise_plain, depthwise_xla, dilate, pad, views
from daas_jax.nets.normalisation import (
  batch_norm,
  batch_norm_first,
  batch_norm_first_plain,
  batch_norm_plain,
  moments,
)

# Pooling, 3 x 3, padding 1, as in DARTS (average: the padding is not counted).


@functools.partial(jax.jit, static_argnums=1)
def max_pool_plain(x: jax.Array, stride: int = 1) -> jax.Array:
  """3 x 3 maximum, padding 1: [B, H, W, C] -> [B, ceil(H / stride), ceil(W / stride), C]."""
  return functools.reduce(lax.max, views(x, 3, stride, 1, -jnp.inf))


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def max_pool(x: jax.Array, stride: int = 1) -> jax.Array:
  """`max_pool_plain`; the gradient goes to the first maximum of a window, as in PyTorch."""
  return max_pool_plain(x, stride)


@functools.partial(jax.jit, static_argnums=0)
def _max_pool_bwd(stride, x, g):
  taps = views(x, 3, stride, 1, -jnp.inf)
  best, where = taps[0], jnp.zeros(g.shape, jnp.int8)
  for i, t in enumerate(taps[1:], 1):
    where = jnp.where(t > best, jnp.int8(i), where)
    best = jnp.maximum(best, t)
  h, w = x.shape[1:3]
  # The window whose tap i lies on a pixel is the one that tap 8 - i of the pixel's own window
  # points at.
  g_taps = views(dilate(g, stride, h, w), 3, 1, 1)
  at_taps = views(dilate(where, stride, h, w), 3, 1, 1, -1)
  return (functools.reduce(jnp.add,
                           [jnp.where(at_taps[8 - i] == i, g_taps[8 - i], 0) for i in range(9)]),)


max_pool.defvjp(lambda x, stride: (max_pool_plain(x, stride), x), _max_pool_bwd)


def _window_counts(h, w, stride, dtype):
  """Pixels of each 3 x 3 window that lie inside the image: [1, ceil(h/stride), ceil(w/stride),
  1]."""
  return functools.reduce(lax.add, views(jnp.ones((1, h, w, 1), dtype), 3, stride, 1))


def avg_pool_plain(x: jax.Array, stride: int = 1) -> jax.Array:
  """3 x 3 mean over the pixels inside the image, padding 1."""
  return functools.reduce(lax.add, views(x, 3, stride, 1)) / _window_counts(
      x.shape[1], x.shape[2], stride, x.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def avg_pool(x: jax.Array, stride: int = 1) -> jax.Array:
  """`avg_pool_plain` with a backward pass that is one 3 x 3 sum."""
  return avg_pool_plain(x, stride)


def _avg_pool_bwd(stride, shape_of, g):
  h, w = shape_of.shape[1:3]
  g = dilate(g / _window_counts(h, w, stride, g.dtype), stride, h, w)
  return (functools.reduce(lax.add, views(g, 3, 1, 1)),)


# x itself is not needed, only its shape; XLA drops the unused values.
avg_pool.defvjp(lambda x, stride: (avg_pool_plain(x, stride), x), _avg_pool_bwd)


def pointwise_plain(x: jax.Array, w: jax.Array) -> jax.Array:
  """1 x 1 convolution: x [B, H, W, C], w [C, D] -> [B, H, W, D]."""
  return jnp.einsum('bhwc,cd->bhwd', x, w)


@jax.custom_vjp
def pointwise(x: jax.Array, w: jax.Array) -> jax.Array:
  """`pointwise_plain`, whose gradient of w is a product an image, then their sum.

  One product over all pixels makes XLA write a transposed copy of the whole of x or g first, with
  whatever made it computed a second time inside; an image at a time the copy stays in the cache (a
  tenth off a search's gradient).
  """
  return pointwise_plain(x, w)


def _pointwise_bwd(residuals, g):
  x, w = residuals
  images = x.reshape(x.shape[0], -1, x.shape[-1]), g.reshape(g.shape[0], -1, g.shape[-1])
  by_image = jnp.einsum('bpc,bpd->bcd', *images, preferred_element_type=_wide(w).dtype)
  return jnp.einsum('bhwd,cd->bhwc', g, w), jnp.sum(by_image, 0).astype(w.dtype)


pointwise.defvjp(lambda x, w: (pointwise_plain(x, w), (x, w)), _pointwise_bwd)


def conv3x3(x: jax.Array, w: jax.Array, stride: int = 1,
            pointwise: Callable = pointwise_plain) -> jax.Array:
  """Dense 3 x 3 convolution, padding 1, as one product with the 9 shifted views side by side.

  Args:
    x: [B, H, W, C]; meant for few channels (the stem), where it beats XLA's convolution on CPU.
    w: [3, 3, C, D].
    stride: 1 or 2.
    pointwise: the 1 x 1 convolution of a kernel set.

  Returns:
    [B, ceil(H / stride), ceil(W / stride), D].

  Raises:
    TypeError: if x is not floating (XLA's convolutions refuse it themselves).
  """
  return pointwise(jnp.concatenate(views(floating(x), 3, stride, 1), -1), w.reshape(
      -1, w.shape[-1]))


def conv_plain(x: jax.Array, w: jax.Array, stride: int = 1) -> jax.Array:
  """Dense k x k convolution, padding k // 2, by XLA: the one for many channels (see `conv3x3` for
  few).

  Args:
    x: [B, H, W, C].
    w: [k, k, C, D], k odd.
    stride: 1 or 2.

  Returns:
    [B, ceil(H / stride), ceil(W / stride), D].
  """
  p = w.shape[0] // 2
  return lax.conv_general_dilated(x, w, (stride, stride), ((p, p), (p, p)),
                                  dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


_SMALL_IMAGE = 64  # pixels up to which XLA's gradient of the kernel is the faster one on CPU


def conv(x: jax.Array, w: jax.Array, stride: int = 1) -> jax.Array:
  """`conv_plain`, whose gradient of w is another one where that is faster: 3 x 3, stride 1 and
  larger images."""
  plain = len(w) != 3 or stride != 1 or x.shape[1] * x.shape[2] <= _SMALL_IMAGE
  return conv_plain(x, w, stride) if plain else _conv(x, w)


@jax.custom_vjp
def _conv(x, w):
  return conv_plain(x, w)


def _conv_weight_gradient(x, g):
  """sum over [B, H, W] of the 9 shifted views of x [..., C] times g [..., D]: [3, 3, C, D], by one
  matrix product.

  x is shifted along the rows only and g along the columns only, 3 times each: a product of 3 C by 3
  D sums all 9 taps, where one of 9 C by D reads three times as much. (XLA's own is 1.2 to 2.7 times
  slower at 16 x 16 to 32 x 32.)
  """
  width, c, d = x.shape[2], x.shape[-1], g.shape[-1]
  rows = jnp.concatenate([pad(x, 1)[:, :, b : b + width] for b in range(3)], -1)
  columns = jnp.concatenate([jnp.pad(g, ((0, 0), (a, 2 - a), (0, 0), (0, 0))) for a in range(3)],
                            -1)
  product = rows.reshape(-1, 3 * c).T @ columns.reshape(-1, 3 * d)
  return product.reshape(3, c, 3, d).transpose(2, 0, 1, 3)


def _conv_bwd(residuals, g):
  x, w = residuals
  return conv_plain(g, jnp.swapaxes(w[::-1, ::-1], 2, 3)), _conv_weight_gradient(x, g)


_conv.defvjp(lambda x, w: (conv_plain(x, w), (x, w)), _conv_bwd)


def factorized_reduce(x: jax.Array, w: jax.Array, stride: int = 2,
                      pointwise: Callable = pointwise_plain) -> jax.Array:
  """ReLU, then two 1 x 1 convolutions of stride 2 (or 1), the second shifted by one pixel, side by
  side (no BN).

  Args:
    x: [B, H, W, C].
    w: [2, C, D / 2].
    stride: 1 or 2.
    pointwise: the 1 x 1 convolution of a kernel set.

  Returns:
    [B, ceil(H / stride), ceil(W / stride), D].
  """
  x = jax.nn.relu(x)
  shifted = jnp.pad(x[:, 1:, 1:], ((0, 0), (0, 1), (0, 1), (0, 0)))
  parts = (v[:, ::stride, ::stride] for v in (x, shifted))
  return jnp.concatenate([pointwise(v, part) for v, part in zip(parts, w, strict=True)], -1)


def draw_weights(key: jax.Array, shapes: dict[str, tuple]) -> dict[str, jax.Array]:
  """Initial weights U(-1/sqrt(fan_in), 1/sqrt(fan_in)), PyTorch's default for convolutions and
  linear layers.

  One draw for all of them: a draw a weight would take XLA longer to compile than the whole forward
  pass.

  Args:
    key: PRNG key.
    shapes: {name: (shape, fan_in)}.

  Returns:
    {name: array}.
  """
  sizes = [math.prod(shape) for shape, _ in shapes.values()]
  parts = jnp.split(jax.random.uniform(key, (sum(sizes),), minval=-1.0), np.cumsum(sizes)[:-1])
  return {
      n: (p / math.sqrt(fan_in)).reshape(shape)
      for p, (n, (shape, fan_in)) in zip(parts, shapes.items())
  }


def _draw(sampler, key, shape, axis=0):
  """sampler(key, shape): random numbers for the images of a batch, which are those along `axis`."""
  del axis
  return sampler(key, shape)


def _draw_split(sampler, key, shape, axis=0):
  """`_draw` for this device's rows of a split batch: those that one device with the whole batch
  would draw."""
  whole = list(shape)
  whole[axis] *= lax.axis_size(devices.AXIS)
  return devices.own_rows(sampler(key, tuple(whole)), axis)


class Kernels(NamedTuple):
  """One set of kernels: `depthwise(x, w, stride, dilation)`, `max_pool(x, stride)`, `avg_pool(x,
  stride)`, `batch_norm(x)`, `conv(x, w, stride)`, `pointwise(x, w)`; `draw(sampler, key, shape,
  axis)`; and `moments(x)`, those that `batch_norm` normalises by."""
  depthwise: Callable
  max_pool: Callable
  avg_pool: Callable
  batch_norm: Callable
  conv: Callable
  pointwise: Callable
  draw: Callable = _draw
  moments: Callable = moments


KERNELS = {
    'fast': Kernels(depthwise, max_pool, avg_pool, batch_norm, conv, pointwise),
    'xla': Kernels(depthwise_xla, max_pool, avg_pool, batch_norm, conv_plain, pointwise_plain),
    'plain': Kernels(depthwise_plain, max_pool_plain, avg_pool_plain, batch_norm_plain, conv_plain,
                     pointwise_plain),
    'counted': Kernels(depthwise_xla, max_pool_plain, avg_pool_plain, batch_norm_plain, conv_plain,
                       pointwise_plain),
}
FORWARD = {'fast': 'plain', 'xla': 'counted', 'plain': 'plain', 'counted': 'counted'}
"""{set: the set of the same values without backward passes of its own}. Where a function has a
backward pass of its own, what it calls going forward must have none: forward over reverse would
meet them (and JAX refuses)."""
SHARED = '_shared'
"""What is appended to a set's name where the batch is split over devices."""
KERNELS |= {
    name + SHARED: kernels._replace(
        batch_norm=functools.partial(kernels.batch_norm, split=True), draw=_draw_split,
        moments=functools.partial(moments, split=True))
    for name, kernels in KERNELS.items()
}
FIRST = '_first'
"""What is appended where a batch is normalised by the moments of its first half
(`normalisation`)."""
KERNELS |= {
    name + FIRST: KERNELS[name]._replace(
        batch_norm=batch_norm_first if name == 'fast' else batch_norm_first_plain)
    for name in FORWARD
}
FORWARD |= {
    name + end: forward + end for name, forward in FORWARD.items() for end in (SHARED, FIRST)
}
KEYS = {
    'network.kernels': Key('auto', one_of('auto', 'fast', 'xla'),
                           "array kernels; auto: the backend's")
}
BY_BACKEND = {'cpu': 'fast', 'gpu': 'xla', 'tpu': 'xla'}


def choose(name: str = 'auto') -> str:
  """The name of a kernel set: `name` itself, or where that is 'auto' the one of the default
  backend."""
  return BY_BACKEND.get(jax.default_backend(), 'xla') if name == 'auto' else name
