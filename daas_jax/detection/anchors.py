"""RetinaNet's anchors: where they are, which box each is to find, and how it says so (Lin et al.
2017, section 4).

Lin et al. 2017 is arXiv:1708.02002. Boxes and anchors are rows (y0, x0, y1, x1) in pixels; boxes
with y1 <= y0 are padding.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import beside
from daas_jax.detection import overlap

STRIDES = (8, 16, 32, 64, 128)
"""Of P3 to P7."""
SIZE = 4
"""Side of a level's smallest square anchor, in strides: 32 pixels on P3, 512 on P7."""
SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))
RATIOS = (0.5, 1.0, 2.0)
"""Height over width."""
PER_CELL = len(SCALES) * len(RATIOS)
FOREGROUND, BACKGROUND = 0.5, 0.4
"""An anchor of an IoU of 0.5 and more has an object, one below 0.4 has none; between, it is left
out of the loss."""
_ROUNDING = 1e-5  # IoUs that differ by less, relatively, are the same: compilers round as they like
_STEEPEST = math.log(1000 / 16)  # of a predicted log-ratio: exp must not overflow (Detectron code)


def sizes(height, width):
  """[(h, w), ...] of P3 to P7 for images of height x width pixels: each level halves the one
  before, rounding up."""
  return [(-(-height // stride), -(-width // stride)) for stride in STRIDES]


def grid(height, width):
  """All anchors of an image, float32 [A, 4]: level by level, cell by cell, scale by scale, ratio by
  ratio.

  Each lies around the middle of its cell. That of scale s and ratio r on a level of stride t has
  the area (4 t s)^2 and r times as much height as width.
  """
  shapes = np.array([(s * math.sqrt(r), s / math.sqrt(r)) for s in SCALES for r in RATIOS])
  levels = []
  for stride, (h, w) in zip(STRIDES, sizes(height, width)):
    middle = (np.stack(np.meshgrid(np.arange(h), np.arange(w), indexing='ij'), -1) + 0.5) * stride
    half = SIZE * stride * shapes / 2
    levels.append(
        np.concatenate([middle[:, :, None] - half, middle[:, :, None] + half], -1).reshape(-1, 4))
  return np.concatenate(levels).astype(np.float32)


def _middle_and_sides(boxes):
  return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]


def encode(boxes, anchors):
  """How boxes lie to anchors: both [..., 4] with sides > 0 -> [..., 4], (dy / h, dx / w, log h' /
  h, log w' / w)."""
  (middle, sides), (middle_0, sides_0) = _middle_and_sides(boxes), _middle_and_sides(
      beside(anchors, boxes))
  return jnp.concatenate([(middle - middle_0) / sides_0, jnp.log(sides / sides_0)], -1)


def decode(deltas, anchors):
  """The boxes of `encode`d deltas; a box is at most 1000 / 16 times as high or wide as its
  anchor."""
  middle, sides = _middle_and_sides(beside(anchors, deltas))
  middle = middle + deltas[..., :2] * sides
  half = sides * jnp.exp(jnp.minimum(deltas[..., 2:], _STEEPEST)) / 2
  return jnp.concatenate([middle - half, middle + half], -1)


def assign(boxes, anchors):
  """Which box each anchor is to find (Lin et al. 2017, 4.1).

  The anchors that overlap a box most are positive however little that is, as in the public codes
  (MMDetection, with which DDAS searched): else objects smaller than the smallest anchors would
  never be learned. An anchor takes the box that it overlaps most itself.

  Args:
    boxes: [N, 4].
    anchors: [A, 4].

  Returns:
    (index int32 [A] of the box; positive bool [A]; counted bool [A]: positive or background).
  """
  # [A, N], 0 for padding
  shared = jax.vmap(lambda box: overlap.iou(anchors, box[None]), out_axes=1)(boxes)
  most = jnp.max(shared, 0, keepdims=True)
  best = jnp.any((shared >= (1 - _ROUNDING) * most) & (most > 0), -1)
  highest = jnp.max(shared, -1)
  positive = best | (highest >= FOREGROUND)
  return jnp.argmax(shared, -1).astype(jnp.int32), positive, positive | (highest < BACKGROUND)
