"""Batch normalisation without scale and offset: by the moments of the batch, or of its first half.

The second is for images that are to be seen as a network in use sees them: trained on others, it
normalises by the others' moments. Images of another brightness, say, are as all others by moments
of their own, and darker by those of the images that were trained on.
"""

import functools

import jax
from jax import lax
import jax.numpy as jnp

from daas_jax.arrays import beside, wide as _wide
from daas_jax.nets import devices

BN_EPSILON = 1e-5  # PyTorch's default, which DARTS and all its heirs use

# By the moments of the batch (the search's form).
# Where the batch is split (daas_jax.nets.devices) they are the moments of all devices' rows: one
# collective forward, one backward.


def batch_norm_plain(x: jax.Array, split: bool = False) -> jax.Array:
  """(x - mean) / sqrt(variance + 1e-5) over [B, H, W] of each channel: [B, H, W, C] -> the same
  shape."""
  return _batch_norm_fwd(x, split)[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def batch_norm(x: jax.Array, split: bool = False) -> jax.Array:
  """`batch_norm_plain` with the closed-form backward pass."""
  return batch_norm_plain(x, split)


def moments(x: jax.Array, split: bool = False) -> tuple[jax.Array, jax.Array]:
  """(mean, variance), each [C], that `batch_norm` normalises x [B, H, W, C] by: at least float32.

  What a network keeps as running averages: the same sums, which XLA computes once.
  """
  wide = _wide(x)
  mean = jnp.mean(wide, (0, 1, 2))
  variance = jnp.mean(jnp.square(wide - beside(mean, x)), (0, 1, 2))
  return _moments_of_all(mean, variance) if split else (mean, variance)


def _batch_norm_fwd(x, split):
  return _normalised(x, *moments(x, split))


def _moments_of_all(mean, variance):
  """Mean and variance over all devices' rows, of those over each device's; as exact as if taken at
  once."""
  # Side by side: on CPU XLA joins sums that belong together, and no gathers.
  means, variances = jnp.moveaxis(lax.all_gather(jnp.stack([mean, variance]), devices.AXIS), 1, 0)
  mean = jnp.mean(means, 0)
  return mean, jnp.mean(variances, 0) + jnp.mean(jnp.square(means - mean[None]), 0)


def _normalised(x, mean, variance):
  inverse = lax.rsqrt(variance + BN_EPSILON)
  y = ((_wide(x) - beside(mean, x)) * beside(inverse, x)).astype(x.dtype)
  return y, (y, inverse)


def _batch_norm_bwd(split, residuals, g):
  (y, inverse), dtype, g = residuals, g.dtype, _wide(g)
  y = _wide(y)
  means = jnp.mean(g, (0, 1, 2)), jnp.mean(g * y, (0, 1, 2))
  mean, along = lax.pmean(means, devices.AXIS) if split else means
  return ((beside(inverse, g) * (g - beside(mean, g) - y * beside(along, g))).astype(dtype),)


batch_norm.defvjp(_batch_norm_fwd, _batch_norm_bwd)


def batch_norm_first_plain(x: jax.Array) -> jax.Array:
  """(x - mean) / sqrt(variance + 1e-5), [B, H, W, C] -> the same shape, with the moments of the
  first B / 2 rows for all of them; B even."""
  return _first_fwd(x)[0]


@jax.custom_vjp
def batch_norm_first(x: jax.Array) -> jax.Array:
  """`batch_norm_first_plain` with the closed-form backward pass."""
  return batch_norm_first_plain(x)


def _first_fwd(x):
  wide = _wide(x[: len(x) // 2])
  mean = jnp.mean(wide, (0, 1, 2))
  variance = jnp.mean(jnp.square(wide - beside(mean, x)), (0, 1, 2))
  return _normalised(x, mean, variance)


def _first_bwd(residuals, g):
  (y, inverse), dtype, g = residuals, g.dtype, _wide(g)
  y, half = _wide(y), len(g) // 2
  # What the moments pass on comes from all rows and goes to the first ones: twice a mean over all.
  mean, along = 2 * jnp.mean(g, (0, 1, 2)), 2 * jnp.mean(g * y, (0, 1, 2))
  first = g[:half] - beside(mean, g) - y[:half] * beside(along, g)
  return ((beside(inverse, g) * jnp.concatenate([first, g[half:]])).astype(dtype),)


batch_norm_first.defvjp(_first_fwd, _first_bwd)
