"""The standard preprocessing around a policy: crop and flip before it, normalisation and Cutout
after it.

Every function takes a batch [B, H, W, C], is pure and works under `jit`; what is random is drawn
for each image from the key. Typed and raw PRNG keys both do.

Images are floating with values in [0, 1], or uint8 of 0 to 255 where a function says so. That holds
for every public function of the package that takes images, and `check` is how those outside of this
file see to it.
"""

import math
from typing import Any, Sequence

import chex
import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import beside, floating, wide

_ROUNDING = 0.01
"""How far beyond [0, 1] values may be: a filter of bfloat16 images overshoots by less, images of 0
to 255 by more."""


def check(images: chex.Array, uint8: bool = False,
          shape: tuple[int, int, int] | None = None) -> jax.Array:
  """The images as an array, held against the rule for images: floating with values in [0, 1].

  A dtype says nothing of what values mean, so a wrong one is refused and not converted. Values are
  looked at where there are any: under `jit`, `vmap` or `grad` there are none yet, and a wrong range
  passes there.

  Args:
    images: [B, H, W, C], B >= 0.
    uint8: whether uint8 images of 0 to 255 are good as well.
    shape: (H, W, C) that they must have; None: any with H, W >= 1 and C = 1 or 3.

  Raises:
    TypeError: another dtype.
    ValueError: another shape, or a value that is not a number or outside of [0, 1].
  """
  given, images = images, jnp.asarray(images)
  bytes_too = uint8 and images.dtype == jnp.uint8
  if not bytes_too and not jnp.issubdtype(images.dtype, jnp.floating):
    raise TypeError(
        f'images must be {"uint8, or " if uint8 else ""}floating with values in [0, 1], got '
        f'{images.dtype}'
        + ('' if uint8 else '; daas_jax.augment.preprocess.to_float makes them of uint8'))
  fits = images.shape[-1:] in (
      (1,), (3,)) and 0 not in images.shape[1:] if shape is None else images.shape[1:] == shape
  if images.ndim != 4 or not fits:
    wanted = ('[B, H, W, C] with C = 1 or 3' if shape is None else
              f'[B, {", ".join(map(str, shape))}]')
    raise ValueError(f'images must be {wanted}, got {images.shape}')
  if not bytes_too and images.size and not isinstance(
      images, jax.core.Tracer) and images.is_fully_addressable:
    values = np.asarray(images if isinstance(given, jax.Array) else given)
    low, high = float(values.min()), float(values.max())
    if not -_ROUNDING <= low <= high <= 1 + _ROUNDING:  # nor NaN
      raise ValueError(
          f'floating images must have values in [0, 1], got {low:g} to {high:g}; divide by 255 '
          'what has 0 to 255')
  return images


def to_float(images: chex.Array, dtype: Any = float) -> chex.Array:
  """uint8 images 0..255 as floats in [0, 1], same shape; float32, or float64 where that is enabled.

  Raises:
    TypeError: if the images are not uint8.
  """
  if images.dtype != jnp.uint8:
    raise TypeError(f'to_float takes uint8 images, got {images.dtype}')
  return images.astype(dtype) / 255


def random_crop(images: chex.Array, key: chex.PRNGKey, padding: int = 4) -> chex.Array:
  """Pads each side by `padding` zeros and crops back to H x W at an offset drawn uniformly for each
  image.

  Args:
    images: [B, H, W, C].
    key: PRNG key.
    padding: pixels, >= 0.

  Returns:
    [B, H, W, C].
  """
  padded = jnp.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
  keys = jax.random.split(key, images.shape[0])
  return jax.vmap(lambda k, image: dm_pix.random_crop(k, image, images.shape[1:]))(keys, padded)


def random_flip(images: chex.Array, key: chex.PRNGKey) -> chex.Array:
  """Mirrors each image [H, W, C] of [B, H, W, C] left to right with probability 1/2."""
  # One select, where a vmap of dm_pix.random_flip_left_right would be a batched cond: the same
  # work.
  flip = jax.random.bernoulli(key, shape=images.shape[:1])
  return jnp.where(flip[:, None, None, None], dm_pix.flip_left_right(images), images)


def cutout(images: chex.Array, key: chex.PRNGKey, size: int = 16) -> chex.Array:
  """Sets a square of each image to zero (Cutout, arXiv:1708.04552, as in the code of DARTS).

  The centre is a pixel drawn uniformly from the image; what lies outside of the image is clipped.
  Meant for normalised images, where zero is the mean colour.

  Args:
    images: [B, H, W, C].
    key: PRNG key.
    size: side of the square in pixels, >= 0; 0 changes nothing.

  Returns:
    [B, H, W, C].
  """
  batch, height, width, _ = images.shape
  key_y, key_x = jax.random.split(key)

  def covered(key, length):  # [B, length]
    first = jax.random.randint(key, (batch, 1), 0, length) - size // 2
    place = jnp.arange(length)[None]
    return (place >= first) & (place < first + size)

  box = covered(key_y, height)[:, :, None] & covered(key_x, width)[:, None, :]
  return jnp.where(box[..., None], 0, images)


def normalise(images: chex.Array, mean: Sequence[float], std: Sequence[float]) -> chex.Array:
  """(images - mean) / std, with one mean and one standard deviation a channel, in the images'
  dtype.

  Raises:
    TypeError: if the images are not floating.
  """
  floating(images)
  mean, std = (beside(jnp.asarray(x, images.dtype), images) for x in (mean, std))
  return (images - mean) / std


def for_network(images: chex.Array, mean: Sequence[float], std: Sequence[float],
                shape: tuple[int, int, int]) -> chex.Array:
  """Anyone's images as a trained network takes them: normalised, float32, as its weights are.

  Args:
    images: uint8, or floating in [0, 1], [B, H, W, C].
    mean, std: one number a channel, on the scale [0, 1].
    shape: (H, W, C) that the network was trained on.

  Raises:
    TypeError, ValueError: as `check`.
  """
  images = check(images, uint8=True, shape=shape)
  is_bytes = images.dtype == jnp.uint8
  return normalise(to_float(images, jnp.float32) if is_bytes else images.astype(jnp.float32), mean,
                   std)


def random_resized_crop(
    images: chex.Array, key: chex.PRNGKey, size: int, scale: tuple[float, float] = (0.08, 1.),
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
) -> chex.Array:
  """Crops a random box out of each image and resizes it to size x size (as torchvision's
  RandomResizedCrop).

  Ten boxes are drawn: the area uniform in `scale` times the image's, width / height log-uniform in
  `ratio`; the first that fits is taken, at a uniform place. If none fits it is the largest centred
  box with an allowed ratio. Bilinear with antialiasing; like Pillow's `resize(box=...)` the filter
  may reach beyond the box.

  Args:
    images: [B, H, W, C], float.
    key: PRNG key.
    size: pixels.
    scale: least and greatest area of the box over the area of the image.
    ratio: least and greatest width / height of the box.

  Returns:
    [B, size, size, C], of the dtype of `images`.

  Raises:
    TypeError: if the images are not floating.
  """
  floating(images)
  _, height, width, channels = images.shape

  def one(image, key):
    dtype, image = image.dtype, wide(image)
    top, left, box_height, box_width = random_box(key, height, width, scale, ratio).astype(
        image.dtype)
    factor = size / jnp.stack([box_height, box_width])
    resized = jax.image.scale_and_translate(image, (size, size, channels), (0, 1), factor,
                                            -jnp.stack([top, left]) * factor, method='linear',
                                            antialias=True)
    return resized.astype(dtype)

  return jax.vmap(one)(images, jax.random.split(key, images.shape[0]))


def random_box(key: chex.PRNGKey, height: int, width: int, scale: tuple[float, float],
               ratio: tuple[float, float]) -> chex.Array:
  """The box of `random_resized_crop`: [4] integers, top, left, height, width, within height x
  width."""
  # All draws in one, in float32 whatever the images are: the same key is the same box.
  draws = jax.random.uniform(key, (22,), jnp.float32)
  area = height * width * (scale[0] + draws[:10] * (scale[1] - scale[0]))
  log_ratio = math.log(ratio[0]) + draws[10:20] * math.log(ratio[1] / ratio[0])
  drawn_height = jnp.round(jnp.sqrt(area * jnp.exp(-log_ratio))).astype(jnp.int32)
  drawn_width = jnp.round(jnp.sqrt(area * jnp.exp(log_ratio))).astype(jnp.int32)
  fits = (drawn_height > 0) & (drawn_height <= height) & (drawn_width > 0) & (drawn_width <= width)
  first, found = jnp.argmax(fits), jnp.any(fits)
  box_height = jnp.where(found, drawn_height[first], min(height, round(width / ratio[0])))
  box_width = jnp.where(found, drawn_width[first], min(width, round(height * ratio[1])))
  box = jnp.stack([box_height, box_width])
  free = jnp.array([height, width]) - box
  corner = jnp.where(found,
                     jnp.floor(draws[20:] * (free + 1).astype(jnp.float32)).astype(jnp.int32),
                     free // 2)
  return jnp.concatenate([corner, box])


def resize_center_crop(images: chex.Array, size: int, resize: int) -> chex.Array:
  """Resizes the shorter side to `resize` pixels and takes the middle: the usual test view of
  ImageNet.

  Args:
    images: [B, H, W, C], float.
    size: side of the result, in pixels, at most `resize`.
    resize: shorter side after the resize (bilinear, antialiased), in pixels.

  Returns:
    [B, size, size, C], of the dtype of `images`.

  Raises:
    TypeError: if the images are not floating.
    ValueError: if `size` is greater than `resize`.
  """
  floating(images)
  if size > resize:
    raise ValueError(f'size must be at most resize, got size {size} and resize {resize}')
  batch, height, width, channels = images.shape
  shorter = min(height, width)
  shape = (batch, height * resize // shorter, width * resize // shorter, channels)
  resized = jax.image.resize(wide(images), shape, 'linear', antialias=True).astype(images.dtype)
  return dm_pix.center_crop(resized, size, size)
