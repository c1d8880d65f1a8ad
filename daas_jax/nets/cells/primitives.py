"""The candidate operations of a cell, as pure functions of (image, weights), in one table (DAAS
3.2, DARTS)."""

from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax.config.key import all_of
from daas_jax.nets import kernels as k

DAAS_PRIMITIVES = ('max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5',
                   'dil_conv_3x3', 'dil_conv_5x5')
"""O = 7, in this order: the columns of alpha."""
DARTS_PRIMITIVES = ('none', *DAAS_PRIMITIVES)
"""O = 8 of the dense DARTS space: 'none' outputs zeros and is never derived."""


class Primitive(NamedTuple):
  """One candidate operation.

  Attributes:
    shapes: (C, stride) -> {weight name: (shape, fan_in)}; {} where it has no weights.
    apply: (x [B, H, W, C], weights, stride, key, kernels) -> [B, ceil(H / stride), ceil(W /
      stride), C].
  """
  shapes: Callable
  apply: Callable


def _no_weights(channels, stride):
  del channels, stride
  return {}


def _pool(which):
  def apply(x, w, stride, key, kernels):
    del w, key
    return kernels.batch_norm(getattr(kernels, which)(x, stride))
  return Primitive(_no_weights, apply)


def _half(x, dw, pw, stride, dilation, kernels):
  return kernels.batch_norm(
      kernels.pointwise(kernels.depthwise(jax.nn.relu(x), dw, stride, dilation), pw))


def _sep_conv(size):
  def shapes(channels, stride):
    del stride
    dw, pw = ((size, size, channels), size * size), ((channels, channels), channels)
    return {'dw1': dw, 'pw1': pw, 'dw2': dw, 'pw2': pw}

  def apply(x, w, stride, key, kernels):
    del key
    x = _half(x, w['dw1'], w['pw1'], stride, 1, kernels)
    return _half(x, w['dw2'], w['pw2'], 1, 1, kernels)

  return Primitive(shapes, apply)


def _dil_conv(size):
  def shapes(channels, stride):
    del stride
    return {'dw': ((size, size, channels), size * size), 'pw': ((channels, channels), channels)}

  def apply(x, w, stride, key, kernels):
    del key
    return _half(x, w['dw'], w['pw'], stride, 2, kernels)

  return Primitive(shapes, apply)


def _skip_shapes(channels, stride):
  return {} if stride == 1 else {'fr': ((2, channels, channels // 2), channels)}


def _skip(x, w, stride, key, kernels):
  del key
  return x if stride == 1 else kernels.batch_norm(
      k.factorized_reduce(x, w['fr'], pointwise=kernels.pointwise))


def _noise(x, w, stride, key, kernels):
  """Standard normal noise that does not depend on x: the planted worst candidate of the search's
  own check."""
  del w
  x = x[:, ::stride, ::stride]
  return kernels.draw(lambda key, shape: jax.random.normal(key, shape, x.dtype), key, x.shape)


PRIMITIVES = {
    'max_pool_3x3': _pool('max_pool'),
    'avg_pool_3x3': _pool('avg_pool'),
    'skip_connect': Primitive(_skip_shapes, _skip),
    'sep_conv_3x3': _sep_conv(3),
    'sep_conv_5x5': _sep_conv(5),
    'dil_conv_3x3': _dil_conv(3),
    'dil_conv_5x5': _dil_conv(5),
    'none': Primitive(_no_weights,
                      lambda x, w, stride, key, kernels: jnp.zeros_like(x[:, ::stride, ::stride])),
    'noise': Primitive(_no_weights, _noise),
}


def some_primitives(v: Any) -> str | None:
  """A tuple of cell operations of which one is not 'none'."""
  return all_of(PRIMITIVES)(v) or (None if set(v)
                                   - {'none'} else "must name an operation other than 'none'")
