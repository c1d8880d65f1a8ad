"""What JAX does implicitly by default, written out: types that are widened, ranks that are made
equal.

So the package also runs where `jax_numpy_rank_promotion` is 'raise' and `jax_numpy_dtype_promotion`
is 'strict'.
"""

from collections.abc import Iterator
import contextlib

import chex
import jax
from jax import lax
import jax.numpy as jnp


def wide_type(dtype: jnp.dtype) -> jnp.dtype:
  """The floating type, or float32 where it is narrower: of coordinates, indices, levels and long
  sums.

  Half precision has no pixel between 128 and 129 (bfloat16), or between 1,024 and 1,025 (float16).

  Raises:
    TypeError: if it is no floating type, with a message about images, whose coordinates or levels
      they mostly are.
  """
  _check_floating(dtype)
  return jnp.dtype(jnp.float32) if jnp.finfo(dtype).bits < 32 else jnp.dtype(dtype)


def wide(x: chex.Array) -> chex.Array:
  """x [...], floating, in its `wide_type`."""
  return x.astype(wide_type(x.dtype))


def beside(a: chex.Array, x: chex.Array) -> chex.Array:
  """a with as many axes as x, those that it lacks in front and of length 1: a number a channel
  beside [B, H, W, C]."""
  return lax.expand_dims(a, range(jnp.ndim(x) - jnp.ndim(a)))


def floating(images: chex.Array) -> chex.Array:
  """The images themselves, held to have a floating type: what is meant for [0, 1] has silent
  results for 0 to 255.

  Raises:
    TypeError: another dtype.
  """
  _check_floating(jnp.result_type(images))
  return images


def _check_floating(dtype):
  if not jnp.issubdtype(dtype, jnp.floating):
    raise TypeError(
        f'images must be floating here, got {jnp.dtype(dtype)}; '
        'daas_jax.augment.preprocess.to_float makes '
        'them of uint8')


@contextlib.contextmanager
def foreign() -> Iterator[None]:
  """The promotion that JAX has by default, for calls of other libraries, which count on it; a
  decorator as well.

  optax (Adam's powers, the cosine of a schedule) and flax (mean pooling) mix floating numbers with
  whole ones.
  """
  with jax.numpy_dtype_promotion('standard'), jax.numpy_rank_promotion('allow'):
    yield
