"""Operations that move pixels: where content comes from, and bilinear sampling from there.

Images are [H, W, C], floating in [0, 1]. dm_pix's affine warp samples between floor and ceil, which
are the same pixel at whole-pixel shifts, so that the derivative with respect to the magnitude is
exactly zero at the identity: here `_bilinear` gathers floor and floor + 1. Places are computed in
float32 at least.
"""

import chex
import dm_pix
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import wide_type


def shear_x(image: chex.Array, slope: chex.Numeric) -> chex.Array:
  """Output (y, x) is input (y, x + slope * y), with the origin at the top-left corner; outside is
  0."""
  return _warp(image, shear_x_source, slope)


def shear_y(image: chex.Array, slope: chex.Numeric) -> chex.Array:
  """Output (y, x) is input (y + slope * x, x), with the origin at the top-left corner; outside is
  0."""
  return _warp(image, shear_y_source, slope)


def translate_x(image: chex.Array, fraction: chex.Numeric) -> chex.Array:
  """Moves the content to the left by `fraction` of the width (to the right if negative); outside is
  0."""
  return _warp(image, translate_x_source, fraction)


def translate_y(image: chex.Array, fraction: chex.Numeric) -> chex.Array:
  """Moves the content up by `fraction` of the height (down if negative); outside is 0."""
  return _warp(image, translate_y_source, fraction)


def rotate(image: chex.Array, degrees: chex.Numeric) -> chex.Array:
  """Turns the content counter-clockwise by `degrees` about the centre of the image; outside is
  0."""
  return _warp(image, rotate_source, degrees)


def rotate90(image: chex.Array) -> chex.Array:
  """Turns the image counter-clockwise by 90 degrees; one that is not square is cropped and padded
  with 0."""
  return dm_pix.resize_with_crop_or_pad(dm_pix.rot90(image), image.shape[0], image.shape[1])


def shear_x_source(y: chex.Array, x: chex.Array, slope: chex.Numeric, height: int,
                   width: int) -> tuple[chex.Array, chex.Array]:
  del height, width
  return y, x + slope * y


def shear_y_source(y: chex.Array, x: chex.Array, slope: chex.Numeric, height: int,
                   width: int) -> tuple[chex.Array, chex.Array]:
  del height, width
  return y + slope * x, x


def translate_x_source(y: chex.Array, x: chex.Array, fraction: chex.Numeric, height: int,
                       width: int) -> tuple[chex.Array, chex.Array]:
  del height
  return y, x + fraction * width


def translate_y_source(y: chex.Array, x: chex.Array, fraction: chex.Numeric, height: int,
                       width: int) -> tuple[chex.Array, chex.Array]:
  del width
  return y + fraction * height, x


def rotate_source(y: chex.Array, x: chex.Array, degrees: chex.Numeric, height: int,
                  width: int) -> tuple[chex.Array, chex.Array]:
  angle = degrees * (np.pi / 180)
  cos, sin = jnp.cos(angle), jnp.sin(angle)
  middle_y, middle_x = height / 2, width / 2
  dy, dx = y - middle_y, x - middle_x
  return middle_y + sin * dx + cos * dy, middle_x + cos * dx - sin * dy


# dm_pix moves the pixels of these three, so here only a test (of boxes against pixels) holds the
# two together.


def rotate90_source(y: chex.Array, x: chex.Array, magnitude: chex.Numeric, height: int,
                    width: int) -> tuple[chex.Array, chex.Array]:
  del magnitude
  turned_y, turned_x = y + _kept_from(width, height), x + _kept_from(height, width)
  return turned_x, width - turned_y


def _kept_from(before, after):
  """Where dm_pix begins to keep a side of `before` pixels that it crops or pads to `after`, in
  pixels."""
  return before // 2 - after // 2 if before > after else -((after - before) // 2)


def horizontal_flip_source(y: chex.Array, x: chex.Array, magnitude: chex.Numeric, height: int,
                           width: int) -> tuple[chex.Array, chex.Array]:
  del magnitude, height
  return y, width - x


def vertical_flip_source(y: chex.Array, x: chex.Array, magnitude: chex.Numeric, height: int,
                         width: int) -> tuple[chex.Array, chex.Array]:
  del magnitude, width
  return height - y, x


def _warp(image, source, magnitude):
  """The image whose point (y, x) is the input's at `source(y, x, magnitude, height, width)`."""
  magnitude = jnp.asarray(magnitude, wide_type(image.dtype))
  return _bilinear(image, *source(*centres(image), magnitude, *image.shape[:2]))


def centres(image: chex.Array) -> tuple[chex.Array, chex.Array]:
  """Coordinates of the pixel centres, as Pillow counts them (0.5, 1.5, ...): y [H, 1] and x [1,
  W]."""
  height, width, _ = image.shape
  y, x = (jnp.arange(side, dtype=wide_type(image.dtype)) + 0.5 for side in (height, width))
  return y[:, None], x[None, :]


def _bilinear(image, y, x):
  """Values of `image` at the points (y, x), each broadcastable to [H, W]: bilinear, 0 outside of
  the image.

  Within half a pixel of the border the border pixel is repeated, as in Pillow. The two neighbours
  of a coordinate are floor and floor + 1 even where it is whole, which gives the derivative towards
  larger coordinates there.
  """
  height, width, channels = image.shape
  y, x = jnp.broadcast_arrays(y, x)
  inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
  y, x = y - 0.5, x - 0.5
  floor_y, floor_x = jnp.floor(y), jnp.floor(x)
  weight_y, weight_x = (
      (a - floor).astype(image.dtype)[..., None] for a, floor in ((y, floor_y), (x, floor_x)))
  top, left = floor_y.astype(jnp.int32), floor_x.astype(jnp.int32)
  pixels = jnp.asarray(image).reshape(height * width, channels)

  def row(row_index):
    start = jnp.clip(row_index, 0, height - 1) * width
    near = pixels.at[start + jnp.clip(left, 0, width - 1)].get(mode='promise_in_bounds')
    far = pixels.at[start + jnp.clip(left + 1, 0, width - 1)].get(mode='promise_in_bounds')
    return near + weight_x * (far - near)

  upper, lower = row(top), row(top + 1)
  return jnp.where(inside[..., None], unit(upper + weight_y * (lower - upper)), 0)


def unit(values: chex.Array) -> chex.Array:
  """Clips to [0, 1]; unlike jnp.clip it keeps the whole derivative where a value is exactly 0 or
  1."""
  return jnp.where(values < 0, 0, jnp.where(values > 1, 1, values))
