"""Depthwise convolution as a sum over shifted views, and those views: images [B, H, W, C]."""

import functools

import jax
from jax import lax
import jax.numpy as jnp

from daas_jax.arrays import wide


def pad(x: jax.Array, p: int, value: float = 0.0) -> jax.Array:
  return jnp.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values=value)


def views(x: jax.Array, k: int, stride: int, dilation: int, value: float = 0.0) -> list[jax.Array]:
  """The k * k shifted views of x padded by `value`: a list of [B, ceil(H/stride), ceil(W/stride),
  C]."""
  h, w = x.shape[1:3]
  out_h, out_w = -(-h // stride), -(-w // stride)
  x = pad(x, dilation * (k // 2), value)
  span_h, span_w = (out_h - 1) * stride + 1, (out_w - 1) * stride + 1
  # `lax` here and below, and not x[...] and *: the same equations, which take a quarter of the time
  # to trace.
  view = lambda a, b: lax.slice(x, (0, a, b, 0), (len(x), a + span_h, b + span_w, x.shape[-1]),
                                (1, stride, stride, 1))
  return [view(a * dilation, b * dilation) for a in range(k) for b in range(k)]


def dilate(g: jax.Array, stride: int, h: int, w: int) -> jax.Array:
  """Puts g [B, ceil(h/stride), ...] back on the h x w grid it was taken from, zeros in between."""
  if stride == 1:
    return g
  fill_h, fill_w = h - ((g.shape[1] - 1) * stride + 1), w - ((g.shape[2] - 1) * stride + 1)
  zero = jnp.zeros((), g.dtype)
  return lax.pad(g, zero, ((0, 0, 0), (0, fill_h, stride - 1), (0, fill_w, stride - 1), (0, 0, 0)))


# Depthwise convolution: a sum over shifted views. `lax.conv_general_dilated` with feature groups is
# 20 to 150 times slower on CPU.


@functools.partial(jax.jit, static_argnums=(2, 3))
def depthwise_plain(x: jax.Array, w: jax.Array, stride: int = 1, dilation: int = 1) -> jax.Array:
  """Depthwise convolution, zero padding dilation * (k // 2).

  Args:
    x: [B, H, W, C].
    w: [k, k, C], k odd.
    stride: 1 or 2.
    dilation: 1 or 2.

  Returns:
    [B, ceil(H / stride), ceil(W / stride), C].
  """
  k = w.shape[0]
  taps, flat = views(x, k, stride, dilation), w.reshape(k * k, -1)
  spread = lambda i: lax.broadcast_in_dim(lax.index_in_dim(flat, i, keepdims=False), taps[0].shape,
                                          (3,))
  return functools.reduce(lax.add, [lax.mul(tap, spread(i)) for i, tap in enumerate(taps)])


def depthwise_xla(x: jax.Array, w: jax.Array, stride: int = 1, dilation: int = 1) -> jax.Array:
  """`depthwise_plain` as the one grouped convolution that it is; its multiply-adds can be read off
  it."""
  p = dilation * (w.shape[0] // 2)
  return lax.conv_general_dilated(
      x, w[:, :, None], (stride, stride), ((p, p), (p, p)), rhs_dilation=(dilation,) * 2,
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'), feature_group_count=x.shape[-1])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise(x: jax.Array, w: jax.Array, stride: int = 1, dilation: int = 1) -> jax.Array:
  """`depthwise_plain` with a backward pass of two fused loops, one for x and one for w."""
  return depthwise_plain(x, w, stride, dilation)


def _depthwise_fwd(x, w, stride, dilation):
  return depthwise_plain(x, w, stride, dilation), (x, w)


@functools.partial(jax.jit, static_argnums=(2, 3, 4))
def _depthwise_weight_gradient(x, g, k, stride, dilation):
  """sum over [B, H, W] of each shifted view of x times g: [k, k, C].

  One reduction with k * k operands: XLA fuses the shifts and products into a single loop that keeps
  all the sums, where k * k reductions write every view to memory first (2 to 4 times slower on
  CPU). The batch is summed last, which keeps the running sums short and lets XLA share the images
  among cores.
  """
  products = tuple(wide(lax.mul(t, g)) for t in views(x, k, stride, dilation))
  zeros = (jnp.zeros((), products[0].dtype),) * len(products)
  sums = lax.reduce(products, zeros, lambda a, b: tuple(map(lax.add, a, b)), (1, 2))
  return jnp.sum(jnp.stack(sums), 1).reshape(k, k, -1).astype(g.dtype)


def _depthwise_bwd(stride, dilation, residuals, g):
  x, w = residuals
  dx = depthwise_plain(dilate(g, stride, *x.shape[1:3]), w[::-1, ::-1], 1, dilation)
  return dx, _depthwise_weight_gradient(x, g, w.shape[0], stride, dilation)


depthwise.defvjp(_depthwise_fwd, _depthwise_bwd)
