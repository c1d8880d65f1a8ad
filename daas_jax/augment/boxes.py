"""How the operations of `ops.OPS` move boxes: by the map of their pixels, `Operation.source`,
turned around.

Boxes are float [N, 4], rows (y0, x0, y1, x1): the edges in pixels, so that the whole image is (0,
0, H, W). A row with y1 <= y0 is padding. A moved box is the axis-aligned one around the four moved
corners, clipped to the image. That is exact for shifts, flips and turns by 90 degrees. After a
shear or a turn it is the box of the moved rectangle, which may be wider than that of the object
inside, and each such operation of a sequence adds to it.
"""

import chex
import jax
import jax.numpy as jnp

from daas_jax.arrays import wide
from daas_jax.augment import keyed, ops

MIN_SHARE = 0.25
"""A moved box of which less than this share of the area is inside the image becomes padding: too
little to name."""


def valid(boxes: chex.Array) -> chex.Array:
  """Which boxes [..., 4] are not padding: bool [...]."""
  return boxes[..., 2] > boxes[..., 0]


def area(boxes: chex.Array) -> chex.Array:
  """Area of boxes [..., 4] in square pixels, 0 where a side is not positive: [...]."""
  return jnp.maximum(boxes[..., 2] - boxes[..., 0], 0) * jnp.maximum(boxes[..., 3] - boxes[..., 1],
                                                                     0)


def move(name: str, boxes: chex.Array, magnitude: chex.Numeric, key: chex.PRNGKey, height: int,
         width: int) -> chex.Array:
  """The boxes of one image after the operation `name`, with the random sign that its pixels get
  from the same key.

  Args:
    name: a key of `ops.OPS`.
    boxes: [N, 4], float.
    magnitude: [], in the operation's own unit (`ops.magnitude`).
    key: the PRNG key that the operation's `fn` gets.
    height, width: of the image, in pixels.

  Returns:
    [N, 4], of the dtype of `boxes`, clipped to the image; zeros where a box was padding or less
    than `MIN_SHARE` of it is inside. An operation that leaves content where it is returns the boxes
    as they are.
  """
  row = ops.OPS[name]
  if row.source is None:
    return boxes
  dtype, boxes = boxes.dtype, wide(boxes)
  magnitude = jnp.asarray(magnitude, boxes.dtype)
  if row.signed:
    magnitude = keyed.random_sign(magnitude, key)
  y, x = _forward(lambda p: jnp.stack(row.source(p[0], p[1], magnitude, height, width)),
                  boxes[:, (0, 0, 2, 2)], boxes[:, (1, 3, 1, 3)])
  around = jnp.stack([jnp.min(y, 1), jnp.min(x, 1), jnp.max(y, 1), jnp.max(x, 1)], 1)
  clipped = jnp.clip(around, 0, jnp.array([[height, width, height, width]], boxes.dtype))
  kept = valid(boxes) & (area(clipped) > 0) & (area(clipped) >= MIN_SHARE * area(around))
  return jnp.where(kept[:, None], clipped, 0).astype(dtype)


def _forward(source, y, x):
  """Where the affine map `source` (output point [2] -> input point [2]) takes input points y, x
  from: its inverse."""
  origin = jnp.zeros(2, y.dtype)
  b, ((a_yy, a_yx), (a_xy, a_xx)) = source(origin), jax.jacfwd(source)(origin)
  dy, dx = y - b[0], x - b[1]
  determinant = a_yy * a_xx - a_yx * a_xy
  return (a_xx * dy - a_yx * dx) / determinant, (a_yy * dx - a_xy * dy) / determinant
