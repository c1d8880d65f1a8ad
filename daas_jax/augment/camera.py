"""A camera whose faults are known: what it does to an image is in the space of policies.

Photographs of the field differ from those of a studio: each is turned, darker, and off the middle.
The operations are those of `daas_jax.augment.ops`, in the order Rotate, Brightness, TranslateX or
TranslateY, so that a policy can imitate the camera, and it can be seen whether a search finds that.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import wide_type
from daas_jax.augment import geometry, ops
from daas_jax.augment.preprocess import check, to_float

ROTATION = 25.0
"""Degrees: an image is turned by an angle drawn uniformly from [-ROTATION, ROTATION]."""
BRIGHTNESS = 0.6
"""What every image's values are multiplied by."""
SHIFT = 3 / 28
"""Of the side: an image is moved by it to the left, to the right, up or down, each with probability
1/4. Of 28 pixels it is 3; where it is no whole number of them, pixels are mixed bilinearly."""

_AT_ONCE = 500  # images in floating point


def photograph(image: chex.Array, key: chex.PRNGKey) -> chex.Array:
  """One photograph of an image.

  Args:
    image: [H, W, C], float in [0, 1].
    key: PRNG key: of the angle and the direction.

  Returns:
    [H, W, C], of the dtype of `image`, in [0, 1]; black where nothing comes from.
  """
  key_angle, key_direction = jax.random.split(key)
  dtype = wide_type(image.dtype)
  angle = jax.random.uniform(key_angle, (), dtype, -ROTATION, ROTATION)
  x, y = SHIFT * jnp.asarray([(1, 0), (-1, 0), (0, 1), (0, -1)], dtype)[
      jax.random.randint(key_direction, (), 0, 4)]
  image = ops.brightness(geometry.rotate(image, angle), BRIGHTNESS)
  # one of x and y is 0, which changes nothing
  return geometry.translate_y(geometry.translate_x(image, x), y)


def augment(key: chex.PRNGKey, images: chex.Array) -> chex.Array:
  """Photographs of images [B, H, W, C], float in [0, 1]; image b draws from fold_in(key, b)."""
  return jax.vmap(photograph)(check(images), _keys(key, jnp.arange(images.shape[0])))


def photographs(images: np.ndarray, seed: int) -> np.ndarray:
  """Photographs of a data set; what image i draws does not depend on how many there are.

  Args:
    images: numpy's, uint8 [N, H, W, C], N from 0 on.
    seed: whole number from 0 on, of the N draws.

  Returns:
    uint8 [N, H, W, C], rounded to the nearest of 256 levels.
  """
  out, key = np.empty_like(images), jax.random.key(seed)
  for start in range(0, len(images), _AT_ONCE):
    rows = np.arange(start, start + _AT_ONCE)  # the last are filled up: one program for all
    part = _photographs(images[np.minimum(rows, len(images) - 1)], key, rows)
    out[start:start + _AT_ONCE] = part[:len(images) - start]
  return out


@jax.jit
def _photographs(images, key, rows):
  taken = jax.vmap(photograph)(to_float(images, jnp.float32), _keys(key, rows))
  return jnp.round(taken * 255).astype(jnp.uint8)


def _keys(key, rows):
  return jax.vmap(functools.partial(jax.random.fold_in, key))(rows)
