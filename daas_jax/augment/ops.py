"""The image operations that a policy can choose, and the table OPS of them.

Images are float arrays [H, W, C] with values in [0, 1] and C = 1 or 3; every operation returns the
shape and dtype it was given, with values in [0, 1]. The meaning of each is Pillow's, as Fast
AutoAugment (arXiv:1905.00397, its public code) calls it. Two choices differ from that code and are
meant: geometric operations interpolate bilinearly (there: nearest neighbour), and Cutout's box is
clipped at all four borders (there: pushed inwards at the top and the left).

A deterministic function (`shear_x`, ...) takes the image and its magnitude in the operation's own
unit; it raises TypeError for an image that is not floating, where that changes the result. Where an
operation is random, a thin keyed twin draws the sign or the place. All of them are pure and work
under `jit`, `vmap` and `grad`.

dm_pix does the work wherever its function means what Pillow means. It does not in four places. Its
brightness is additive, its contrast uses a mean per channel and its saturation works in HSV: here
these are blends, as in Pillow. Its affine warp has no derivative at the identity
(`daas_jax.augment.geometry`). Posterize, Equalize, AutoContrast, Sharpness, Cutout and
SamplePairing dm_pix does not have.

Places, magnitudes, levels 0..255 and sums over pixels are computed in float32 at least, values in
the image's own type: in half precision the pixels of a large image have no numbers of their own.

Derivatives with respect to the magnitude: the geometric operations, the four blends and
SamplePairing have a true one; where a source coordinate is whole (so at the identity) it is that
towards larger coordinates. Solarize, Posterize and Cutout are piecewise constant in it, and the
operations that are not `graded` ignore it: theirs is zero. Derivatives with respect to the image:
Posterize and Equalize pass them straight through and AutoContrast has those of its linear stretch,
so that an earlier operation of the same policy still learns its magnitude; these are estimates, not
derivatives of the rounded values.
"""

from typing import Callable, NamedTuple

import chex
import dm_pix
import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import beside, floating, wide, wide_type
from daas_jax.augment import geometry, keyed
from daas_jax.augment.geometry import unit

CUTOUT_GREY = (125 / 255, 123 / 255, 114 / 255)  # Fast AutoAugment (code)


class Operation(NamedTuple):
  """One row of OPS.

  Attributes:
    name: the key of the row.
    low: the magnitude at strength 0, in the operation's own unit; 0 where it is `signed`.
    high: the magnitude at strength 1.
    fn: `fn(image [H, W, C], magnitude scalar, key) -> image [H, W, C]`; with `pairs` it takes a
      fourth argument, the second image [H, W, C].
    signed: whether `fn` gives the magnitude a random sign drawn from the key.
    pairs: whether `fn` needs a second image.
    graded: whether the magnitude changes anything.
    source: where content comes from, `source(y, x, magnitude, height, width) -> (y, x)`: the affine
      map, in pixels, from points of the output to points of the input; None where content stays
      where it is.
    unit: of the magnitude; '' where it is not `graded`.
    colour_only: whether it changes nothing on images of one channel.
  """
  name: str
  low: float
  high: float
  fn: Callable[..., chex.Array]
  signed: bool = False
  pairs: bool = False
  graded: bool = True
  source: Callable[..., tuple[chex.Array, chex.Array]] | None = None
  unit: str = ''
  colour_only: bool = False


# --- values ---------------------------------------------------------------------------------------


def autocontrast(image: chex.Array) -> chex.Array:
  """Stretches each channel so that its darkest value becomes 0 and its brightest 1, in Pillow's 256
  levels.

  A constant channel is left alone. The values are those of Pillow's table, floor(255 * (v - low) /
  (high - low)); the derivative with respect to the image is that without the floor.
  """
  values = wide(image) * 255
  level = jnp.round(values)
  low, high = jnp.min(level, axis=(0, 1), keepdims=True), jnp.max(level, axis=(0, 1), keepdims=True)
  spread = jnp.where(high > low, high - low, 1)
  stretched = jnp.floor((level - low) * 255 / spread) / 255
  smooth = unit((values - low) / spread)
  return jnp.where(high > low, _straight_through(stretched, smooth).astype(image.dtype), image)


def invert(image: chex.Array) -> chex.Array:
  """1 - image."""
  return 1 - floating(image)


def equalize(image: chex.Array) -> chex.Array:
  """Equalises the 256-bin histogram of each channel by Pillow's integer rule, on values rounded to
  bins.

  A channel of one value, or with fewer than 255 pixels below its brightest value, is left alone.
  """
  height, width, channels = image.shape
  level = _level(image).reshape(height * width, channels)
  bins = level + beside(256 * jnp.arange(channels, dtype=jnp.int32), level)
  counts = jnp.zeros(256 * channels, jnp.int32).at[bins].add(1, mode='promise_in_bounds')
  counts = counts.reshape(channels, 256)
  # pixels in the darker bins of the channel
  below = (jnp.cumsum(counts, axis=1) - counts).reshape(-1)
  # Pillow's step: the number of pixels below the brightest occupied bin, shared out over 255.
  step = below[jnp.max(bins, axis=0)] // 255
  # (n + 1/2) / step is at least 1 / (2 step) away from a whole number, so the floor is exact in
  # float32 up to images of some 8 million pixels, and ten times as fast as an integer division per
  # pixel.
  count = below.at[bins].get(mode='promise_in_bounds') + beside(step // 2, bins)
  divisor = beside(jnp.maximum(step, 1), bins).astype(jnp.float32)
  table = jnp.minimum(jnp.floor((count.astype(jnp.float32) + 0.5) / divisor), 255)
  equal = (table.astype(image.dtype) / 255).reshape(image.shape)
  return jnp.where(beside(step, image) > 0, _straight_through(equal, image), image)


def solarize(image: chex.Array, threshold: chex.Numeric) -> chex.Array:
  """Inverts the values >= `threshold`, a number in [0, 256] on the scale of 0..255; 256 inverts
  none."""
  # A thousandth of a level less: where k = threshold, k / 255 and threshold / 255 may differ in the
  # last bit.
  return dm_pix.solarize(wide(image), (threshold - 1e-3) / 255).astype(image.dtype)


def posterize(image: chex.Array, bits: chex.Numeric) -> chex.Array:
  """Keeps the upper int(`bits`) of the 8 bits of every value (rounded to 0..255); `bits` from 1 on,
  from 8 on all."""
  # A candidate beyond the range asks for more than 8; a shift by less than 0 would leave black.
  dropped = jnp.maximum(8 - jnp.floor(bits).astype(jnp.int32), 0)
  kept = jnp.left_shift(jnp.right_shift(_level(image), dropped), dropped)
  return _straight_through(kept.astype(image.dtype) / 255, image)


def contrast(image: chex.Array, factor: chex.Numeric) -> chex.Array:
  """Blends with the mean of the grey image: 0 is flat grey, 1 the image, above 1 more contrast;
  clipped."""
  return _blend(image, jnp.mean(_grey(image)), factor)


def color(image: chex.Array, factor: chex.Numeric) -> chex.Array:
  """Blends with the grey image: 0 is grey, 1 the image, above 1 more colour; clipped. Nothing if C
  = 1."""
  return _blend(image, _grey(image), factor)


def brightness(image: chex.Array, factor: chex.Numeric) -> chex.Array:
  """Blends with black: 0 is black, 1 the image, above 1 brighter; clipped."""
  return _blend(image, jnp.zeros((), image.dtype), factor)


def sharpness(image: chex.Array, factor: chex.Numeric) -> chex.Array:
  """Blends with the smoothed image: 0 is smooth, 1 the image, above 1 sharper; clipped.

  Smooth is Pillow's filter SMOOTH (see `smooth`).
  """
  return _blend(image, smooth(image), factor)


def smooth(image: chex.Array) -> chex.Array:
  """Pillow's filter SMOOTH, 3x3 ones with 5 in the middle, over 13; the border pixels stay."""
  if min(floating(image).shape[:2]) < 3:
    return image
  values = wide(image)
  centre = values[1:-1, 1:-1]
  change = jnp.pad((_box_sum(values, 3) + 4 * centre) / 13 - centre, ((1, 1), (1, 1), (0, 0)))
  return unit(values + change).astype(image.dtype)


def blur(image: chex.Array) -> chex.Array:
  """Pillow's filter BLUR, the mean of the 16 pixels on the border of a 5x5 box; the two outermost
  rows stay."""
  if min(floating(image).shape[:2]) < 5:
    return image
  values = wide(image)
  ring = _box_sum(values, 5) - _box_sum(values[1:-1, 1:-1], 3)
  return unit(values + jnp.pad(ring / 16 - values[2:-2, 2:-2], ((2, 2), (2, 2), (0, 0)))).astype(
      image.dtype)


def _box_sum(image, size):
  """Sums over every whole size x size box: [H - size + 1, W - size + 1, C].

  Shifted slices: on a CPU a depthwise convolution of this size is many times slower.
  """
  height, width, _ = image.shape
  columns = sum(image[:, i : width - size + 1 + i] for i in range(size))
  return sum(columns[i : height - size + 1 + i] for i in range(size))


def cutout(image: chex.Array, fraction: chex.Numeric, centre: chex.Array) -> chex.Array:
  """Fills a square with grey.

  The square is Fast AutoAugment's (code), whose last row and column are part of the box: with side
  = `fraction` * W it covers the int(side) + 1 pixels from floor(centre - side / 2) on, and what
  lies outside of the image is clipped. A fraction of 0 changes nothing.

  Args:
    image: [H, W, C].
    fraction: scalar, side of the square over the width of the image.
    centre: [2], its centre (y, x) in pixels, in [0, H) and [0, W).
  """
  height, width, channels = image.shape
  side = fraction * width
  first = jnp.floor(centre - side / 2)
  last = first + jnp.floor(side)
  y, x = geometry.centres(image)
  y, x = y - 0.5, x - 0.5
  box = (y >= first[0]) & (y <= last[0]) & (x >= first[1]) & (x <= last[1]) & (side > 0)
  grey = jnp.asarray(CUTOUT_GREY if channels == 3 else np.mean(CUTOUT_GREY), image.dtype)
  return jnp.where(box[..., None], grey, image)


def sample_pairing(image: chex.Array, weight: chex.Numeric, partner: chex.Array) -> chex.Array:
  """(1 - weight) * image + weight * partner; `weight` in [0, 1], both images [H, W, C]."""
  return unit(image + jnp.asarray(weight, floating(image).dtype) * (partner - image))


def _level(image):
  """The values as whole numbers 0..255, int32: those that a half-precision image was rounded from,
  too."""
  return jnp.round(wide(image) * 255).astype(jnp.int32)


def _grey(image):
  """[H, W, 1]; Pillow's weights (ITU-R 601) to four digits, without its rounding to whole
  levels."""
  return image if image.shape[-1] == 1 else dm_pix.rgb_to_grayscale(image)


def _blend(image, degenerate, factor):
  """degenerate + factor * (image - degenerate), clipped; factor 1 gives the image exactly."""
  return unit(image + jnp.asarray(factor - 1, floating(image).dtype) * (image - degenerate))


@jax.custom_jvp
def _straight_through(values, smooth):
  """`values`, with the derivative of `smooth`."""
  del smooth
  return values


@_straight_through.defjvp
def _straight_through_jvp(primals, tangents):
  return primals[0], tangents[1]


# --- keyed twins and the table --------------------------------------------------------------------


def _random_cutout(image, magnitude, key):
  height, width, _ = image.shape
  dtype = wide_type(image.dtype)
  centre = jax.random.uniform(key, (2,), dtype) * jnp.array((height, width), dtype)
  return cutout(image, jnp.asarray(magnitude, dtype), centre)


def _sample_pairing(image, magnitude, key, partner):
  del key
  return sample_pairing(image, magnitude, partner)


_FACTOR = 'factor, 1 changes nothing'

OPS: dict[str, Operation] = {
    row.name: row for row in (
        Operation('ShearX', 0., 0.3, keyed.signed(geometry.shear_x), signed=True,
                  source=geometry.shear_x_source, unit='pixels per pixel'),
        Operation('ShearY', 0., 0.3, keyed.signed(geometry.shear_y), signed=True,
                  source=geometry.shear_y_source, unit='pixels per pixel'),
        Operation('TranslateX', 0., 0.45, keyed.signed(geometry.translate_x), signed=True,
                  source=geometry.translate_x_source, unit='of the width'),
        Operation('TranslateY', 0., 0.45, keyed.signed(geometry.translate_y), signed=True,
                  source=geometry.translate_y_source, unit='of the height'),
        Operation('Rotate', 0., 30., keyed.signed(geometry.rotate), signed=True,
                  source=geometry.rotate_source, unit='degrees'),
        Operation('AutoContrast', 0., 1., keyed.no_magnitude(autocontrast), graded=False),
        Operation('Invert', 0., 1., keyed.no_magnitude(invert), graded=False),
        Operation('Equalize', 0., 1., keyed.no_magnitude(equalize), graded=False),
        Operation('Solarize', 0., 256., keyed.no_key(solarize), unit='threshold, of 0 to 255'),
        Operation('Posterize', 4., 8., keyed.no_key(posterize), unit='bits kept'),
        Operation('Contrast', 0.1, 1.9, keyed.no_key(contrast), unit=_FACTOR),
        Operation('Color', 0.1, 1.9, keyed.no_key(color), unit=_FACTOR,
                  colour_only=True),
        Operation('Brightness', 0.1, 1.9, keyed.no_key(brightness), unit=_FACTOR),
        Operation('Sharpness', 0.1, 1.9, keyed.no_key(sharpness), unit=_FACTOR),
        Operation('Cutout', 0., 0.2, _random_cutout, unit='side, of the width'),
        Operation('Identity', 0., 1., keyed.no_magnitude(lambda image: image), graded=False),
        Operation('HorizontalFlip', 0., 1., keyed.no_magnitude(dm_pix.flip_left_right),
                  graded=False, source=geometry.horizontal_flip_source),
        Operation('SamplePairing', 0., 0.4, _sample_pairing, pairs=True,
                  unit='weight of the second image'),
        Operation('Rotate90', 0., 1., keyed.no_magnitude(geometry.rotate90), graded=False,
                  source=geometry.rotate90_source),
        Operation('VerticalFlip', 0., 1., keyed.no_magnitude(dm_pix.flip_up_down), graded=False,
                  source=geometry.vertical_flip_source),
        Operation('Blur', 0., 1., keyed.no_magnitude(blur), graded=False),
        Operation('Smooth', 0., 1., keyed.no_magnitude(smooth), graded=False),
    )}
"""{name: `Operation`} of every operation on images; DAAS's 15 come first."""

DAAS_OPS: tuple[str, ...] = tuple(OPS)[:15]


def magnitude(name: str, strength: chex.Numeric) -> chex.Numeric:
  """low + strength * (high - low): the magnitude of operation `name`, in its own unit; strength in
  [0, 1].

  Level m of the ten levels of DAAS is strength m / 9. An operation with a random sign has its
  identity at strength 0, as in RandAugment and in Faster AutoAugment's code; Fast AutoAugment's
  range from -high to high has every level twice, as the sign is drawn anyway.

  Raises:
    ValueError: if OPS has no operation of that name.
  """
  if name not in OPS:
    raise ValueError(f'unknown operation {name!r}; known are {", ".join(OPS)}')
  row = OPS[name]
  return row.low + strength * (row.high - row.low)
