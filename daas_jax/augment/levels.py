"""Operations on whole levels, as Pillow has them pixel for pixel: what published policies are made
of.

`daas_jax.augment.ops` is made to be searched: its geometric operations are bilinear and its blends
are not rounded, which gives derivatives. Policies that others published were measured with Pillow's
8-bit images, nearest neighbours and blends that truncate. Here are those, without derivatives.

An operation with its magnitude is a `Change`; a policy has a fixed number of them, so that whatever
depends on a magnitude (the affine map, in Pillow's fixed point) is computed once in double
precision, and an image is told by an index which change is its own.

  operation                               magnitude
  ShearX, ShearY                          pixels per pixel: the input's x is x + magnitude * y
  TranslateX, TranslateY                  pixels: the input's x is x + magnitude
  Rotate                                  degrees, counter-clockwise about the centre
  Posterize, Solarize                     bits; threshold, on the scale of 0..255
  Brightness, Color, Contrast, Sharpness  factor, 1 changes nothing
  Identity, AutoContrast, Equalize, Invert    none

All are Pillow's to the level, but AutoContrast: an entry of Pillow's table that is a whole number
may fall short of it in double precision, and is then one level less there.
"""

from collections.abc import Sequence
import functools
import math
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import wide
from daas_jax.augment import ops
from daas_jax.augment.preprocess import check


class Change(NamedTuple):
  """An operation and its magnitude, in its own unit (see the top of this file)."""
  op: str
  magnitude: float = 0.


class Table(NamedTuple):
  """The N changes of a policy on images of one size.

  Attributes:
    kinds: names of the functions that they need.
    kind: int32 [N], positions in `kinds`.
    matrix: int32 [N, 6], where content comes from: 65536 times the affine map from pixels (x, y) of
      the output to those of the input, (x a + y b + c, x d + y e + f), rounded; zeros where it
      stays.
    number: float32 [N], the magnitude of what is not geometric.
  """
  kinds: tuple[str, ...]
  kind: np.ndarray
  matrix: np.ndarray
  number: np.ndarray


def table(changes: Sequence[Change], height: int, width: int, corner: float = 0.) -> Table:
  """The `Table` of some changes.

  Args:
    changes: N of them.
    height, width: of the images, in pixels.
    corner: the point (corner, corner), in pixels from the top-left corner, that a shear leaves
      where it is; 0.5 is the centre of the first pixel.

  Raises:
    ValueError: a change names an unknown operation.
  """
  unknown = [change.op for change in changes if change.op not in (*_FUNCTIONS, *_GEOMETRIC)]
  if unknown:
    raise ValueError(f'unknown operation {unknown[0]!r}')
  names = [_AFFINE if change.op in _GEOMETRIC else change.op for change in changes]
  kinds = tuple(dict.fromkeys(names))
  return Table(
      kinds, np.array([kinds.index(name) for name in names], np.int32),
      np.array([_fixed_point(change, height, width, corner) for change in changes], np.int32),
      np.array([change.magnitude for change in changes], np.float32))


def apply(images: jax.Array, index: jax.Array, changes: Table, fill: int = 0) -> jax.Array:
  """Applies to every image changes of its own, in sequence.

  Every function of `changes.kinds` is computed for every image, as by
  `daas_jax.augment.apply.apply_each`.

  Args:
    images: [B, H, W, C], float in [0, 1], C = 1 or 3; taken as the nearest of 256 levels.
    index: int [B, K], positions in `changes`, which is of images of this size.
    changes: a `Table`.
    fill: level in 0..255 of what comes from outside of the image.

  Returns:
    [B, H, W, C], of the dtype of `images`: levels / 255.
  """
  images = check(images)
  functions = [functools.partial(_FUNCTIONS[kind], fill=fill) for kind in changes.kinds]
  of = [jnp.asarray(column)[index.T] for column in (changes.kind, changes.matrix, changes.number)]

  def one(levels, kind, matrix, number):
    return lax.switch(kind, functions, levels, matrix, number)

  levels = jnp.round(wide(images) * 255).astype(jnp.int32)
  levels, _ = lax.scan(lambda levels, slot: (jax.vmap(one)(levels, *slot), None), levels, of)
  return levels.astype(images.dtype) / 255


# --- where content comes from ---------------------------------------------------------------------


def _shear_x(slope, height, width, corner):
  del height, width
  return 1., slope, -slope * corner, 0., 1., 0.


def _shear_y(slope, height, width, corner):
  del height, width
  return 1., 0., 0., slope, 1., -slope * corner


def _rotate(degrees, height, width, corner):
  del corner
  angle = -math.radians(degrees % 360)
  # As Pillow rounds them: at right angles they are whole.
  cos, sin = round(math.cos(angle), 15), round(math.sin(angle), 15)
  return (cos, sin, width / 2 - cos * (width / 2) - sin * (height / 2), -sin, cos,
          height / 2 + sin * (width / 2) - cos * (height / 2))


_GEOMETRIC = {
    'ShearX': _shear_x,
    'ShearY': _shear_y,
    'TranslateX': lambda pixels, *_: (1., 0., pixels, 0., 1., 0.),
    'TranslateY': lambda pixels, *_: (1., 0., 0., 0., 1., pixels),
    'Rotate': _rotate,
}
"""{name: (magnitude, height, width, corner) -> (a, b, c, d, e, f)}: the point (x, y) of the output
is the input's (a x + b y + c, d x + e y + f), in pixels from the top-left corner."""
_AFFINE = 'affine'


def _fixed_point(change, height, width, corner):
  """A row of `Table.matrix`, from pixel centre to pixel, with 16 binary digits behind the point as
  in Pillow."""
  if change.op not in _GEOMETRIC:
    return (0,) * 6
  a, b, c, d, e, f = _GEOMETRIC[change.op](change.magnitude, height, width, corner)
  centred = a, b, c + a * 0.5 + b * 0.5, d, e, f + d * 0.5 + e * 0.5
  return [math.floor(v * 65536 + 0.5) for v in centred]


def _affine(levels, matrix, number, fill):
  """The nearest pixel, and `fill` outside of the image."""
  del number
  height, width, channels = levels.shape
  y, x = jnp.arange(height, dtype=jnp.int32)[:, None], jnp.arange(width, dtype=jnp.int32)[None]
  from_x, from_y = ((matrix[i] * x + matrix[i + 1] * y + matrix[i + 2]) >> 16 for i in (0, 3))
  inside = (from_x >= 0) & (from_x < width) & (from_y >= 0) & (from_y < height)
  place = jnp.where(inside, from_y * width + from_x, 0)
  moved = levels.reshape(height * width, channels).at[place].get(mode='promise_in_bounds')
  return jnp.where(inside[..., None], moved, fill)


# --- values ---------------------------------------------------------------------------------------


def _grey(levels):
  """[H, W, 1], Pillow's: its weights have 16 binary digits."""
  if levels.shape[-1] == 1:
    return levels
  red, green, blue = (levels[..., i:i + 1] for i in range(3))
  return (19595 * red + 38470 * green + 7471 * blue + 32768) >> 16


def _mean(levels):
  """The mean of the grey image, to the nearest level."""
  grey = _grey(levels)
  return (jnp.sum(grey, dtype=jnp.int32) + grey.size // 2) // grey.size


def _of_ops(name):
  """An operation of `ops.OPS` on levels; none of these draws anything."""
  def change(levels, matrix, number, fill):
    del matrix, fill
    image = ops.OPS[name].fn(levels.astype(jnp.float32) / 255, number, None)
    return jnp.round(image * 255).astype(jnp.int32)
  return change


def _smooth(levels):
  # A sum of levels over 13 is never half-way between two.
  return _of_ops('Smooth')(levels, None, jnp.float32(0), None)


def _blend(degenerate):
  """Of degenerate(levels) -> levels: what factor 0 gives."""
  def change(levels, matrix, number, fill):
    del matrix, fill
    start = degenerate(levels)
    # Bounds that are never met: they keep the compiler from fusing product and sum into one
    # operation that rounds once, where Pillow rounds twice and truncates.
    way = jnp.clip(number * (levels - start).astype(jnp.float32), -1e3, 1e3)
    return jnp.clip(start.astype(jnp.float32) + way, 0, 255).astype(jnp.int32)
  return change


_FUNCTIONS = {
    'Identity': lambda levels, matrix, number, fill: levels,
    _AFFINE: _affine,
    'Brightness': _blend(jnp.zeros_like),
    'Color': _blend(_grey),
    'Contrast': _blend(_mean),
    'Sharpness': _blend(_smooth),
    **{name: _of_ops(name)
       for name in ('Posterize', 'Solarize', 'AutoContrast', 'Equalize', 'Invert')},
}
"""{name: (levels int32 [H, W, C], matrix int32 [6], number [], fill) -> levels}."""
