"""One batch on several devices: what is the same on all of them, and what each has its rows of.

Inside of a pmapped function of axis `AXIS`. A value is either whole, the same on every device, or
split: device d of N has rows d B / N to (d + 1) B / N of a batch of B. A cotangent is whole or
split as its value is, so that gradients of whole values are those of the whole batch: they may
enter inner products and updates as they are.

  rows    whole -> split    backwards: whole
  whole   split -> whole    backwards: rows
  shared  whole -> used by every device for its own rows; backwards: the sum over the devices
"""

from collections.abc import Callable
from typing import Any

import jax
from jax import lax
from jax.custom_derivatives import linear_call
import jax.numpy as jnp

AXIS = 'devices'


def own_rows(x: jax.Array, axis: int = 0) -> jax.Array:
  """This device's rows of an array [..., B, ...], B at `axis` a multiple of the number of
  devices."""
  b = x.shape[axis] // lax.axis_size(AXIS)
  return lax.dynamic_slice_in_dim(x, lax.axis_index(AXIS) * b, b, axis)


def all_rows(x: jax.Array) -> jax.Array:
  """All devices' rows of an array [b, ...], one after the other: [N b, ...]."""
  return lax.all_gather(x, AXIS, tiled=True)


# Linear functions with transposes of our own, so that they can be differentiated in any mode and to
# any order (an inner gradient, a Hessian's product). JAX's transposes under pmap are for values of
# which no two devices' are the same: that of a sum would be N times too large. One array at a time:
# XLA joins the sums of many where that is faster.


def _linear(forward, transpose, tree):
  """A linear function of each float array of a pytree, with the transpose that is given; of the
  others `forward`."""
  def leaf(x):
    if not jnp.issubdtype(x.dtype, jnp.floating):
      return forward(x)
    return linear_call(lambda _, x: forward(x), lambda _, g: transpose(g), (), x)
  return jax.tree.map(leaf, tree)


def shared(tree: Any) -> Any:
  """A pytree as it is; its gradient is summed over the devices."""
  return _linear(lambda x: x, lambda g: lax.psum(g, AXIS), tree)


def rows(tree: Any) -> Any:
  """This device's rows of a pytree of arrays [B, ...]."""
  return _linear(own_rows, all_rows, tree)


def whole(tree: Any) -> Any:
  """The whole batch [B, ...] of a pytree of every device's rows [B / N, ...]."""
  return _linear(all_rows, own_rows, tree)


def watched(tree: Any, saw: Callable) -> Any:
  """A pytree as it is; where a gradient that comes back for it is not finite, calls saw(number of
  the device)."""
  def look(g):
    jax.debug.callback(lambda device, bad: saw(int(device)) if bad else None, lax.axis_index(AXIS),
                       ~jnp.all(jnp.isfinite(g)))
    return g
  return _linear(lambda x: x, look, tree)


def split(network: Callable) -> Callable:
  """A network that every device runs on its rows of the batch.

  Args:
    network: (given, batch) -> outputs: pytrees of which `batch` and the outputs have a leading axis
      of images. Moments of the batch inside of it have to be those of all devices
      (`daas_jax.nets.kernels`, the sets named *_shared).

  Returns:
    The same function of whole arguments, with whole outputs and whole gradients.
  """
  return lambda given, batch: whole(network(shared(given), rows(batch)))
