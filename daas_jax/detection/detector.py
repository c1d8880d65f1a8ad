"""A small anchor-free detector, after FCOS (Tian et al. 2019): every cell says what is there and
how far its edges are.

One level of stride 4. Against FCOS: no pyramid and no centre-ness branch (only cells near the
middle of a box are positive, as in its later code), distances by softplus instead of exp, group
normalisation, so that there is no running state and no image depends on its batch.

Boxes are rows (y0, x0, y1, x1) in pixels, those with y1 <= y0 padding. Cells are h = H / 4 by w = W
/ 4.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from daas_jax.arrays import beside
from daas_jax.augment import boxes as boxes_lib
from daas_jax.detection import overlap, suppression

STRIDE = 4
RADIUS = 1.5  # strides from the middle of a box within which a cell is positive (FCOS code)
ALPHA, GAMMA = 0.25, 2.0  # of the focal loss (Lin et al. 2017, 5.1)
PRIOR = 0.01  # probability of every class at the start (Lin et al. 2017, 4.1)


class Maps(NamedTuple):
  """What the network gives.

  Attributes:
    logits: [B, h, w, n], of each class being there, not exclusive.
    distances: [B, h, w, 4], pixels > 0 from the cell's middle to the upper, left, lower and right
      edge.
  """
  logits: jax.Array
  distances: jax.Array


class Detector(nn.Module):
  """Two convolutions of stride 2, `blocks` residual ones of dilation 1, 2, 1, 2, ..., and two
  heads.

  Call: images float [B, H, W, C], H and W multiples of 4 -> `Maps`.

  Attributes:
    num_classes: n.
    channels: width, a multiple of 4; groups of four are normalised together.
    blocks: residual convolutions.
  """
  num_classes: int
  channels: int = 32
  blocks: int = 4

  @nn.compact
  def __call__(self, images):
    c = self.channels
    conv = lambda c, x, **kw: nn.relu(
        nn.GroupNorm(c // 4)(nn.Conv(c, (3, 3), use_bias=False, **kw)(x)))
    x = conv(c, conv(c, images, strides=2), strides=2)
    for block in range(self.blocks):
      x = x + conv(c, x, kernel_dilation=1 + block % 2)
    start = nn.initializers.constant(-math.log((1 - PRIOR) / PRIOR))
    logits = nn.Conv(self.num_classes, (3, 3), bias_init=start,
                     kernel_init=nn.initializers.normal(0.01), name='classes')(conv(c, x))
    wide = nn.initializers.constant(2.0)  # boxes of about 17 pixels at the start
    distances = nn.Conv(4, (3, 3), bias_init=wide, kernel_init=nn.initializers.normal(0.01),
                        name='edges')(conv(c, x))
    return Maps(logits, STRIDE * nn.softplus(distances))


def centres(h, w):
  """The middles of the cells in pixels: y [h, 1] and x [1, w]."""
  middle = lambda n: (jnp.arange(n, dtype=jnp.float32) + 0.5) * STRIDE
  return middle(h)[:, None], middle(w)[None, :]


def boxes_at(distances):
  """The boxes [..., h, w, 4] that `distances` [..., h, w, 4] from the cells' middles describe."""
  y, x = (beside(c, distances[..., 0]) for c in centres(*distances.shape[-3:-1]))
  up, left, down, right = jnp.moveaxis(distances, -1, 0)
  return jnp.stack([y - up, x - left, y + down, x + right], -1)


# --- targets and loss -----------------------------------------------------------------------------


def assign(boxes, h, w):
  """Which box each cell is to find (FCOS 3.1, with its code's centre sampling).

  A cell is positive if its middle is inside of a box and less than `RADIUS` strides from the box's
  middle, both vertically and horizontally; of several boxes it takes the smallest. A box with no
  such cell is not learned.

  Args:
    boxes: [N, 4].
    h, w: cells.

  Returns:
    (index int32 [h, w] of the box, 0 where there is none; positive bool [h, w]).
  """
  y, x = (c[..., None] for c in centres(h, w))
  y0, x0, y1, x1 = boxes.T[:, None, None]
  inside = (y > y0) & (y < y1) & (x > x0) & (x < x1)
  near = (jnp.abs(y - (y0 + y1) / 2) < RADIUS * STRIDE) & (jnp.abs(x - (x0 + x1) / 2)
                                                           < RADIUS * STRIDE)
  valid, area = (of(boxes)[None, None] for of in (boxes_lib.valid, boxes_lib.area))
  size = jnp.where(inside & near & valid, area, jnp.inf)
  return jnp.argmin(size, -1).astype(jnp.int32), jnp.any(jnp.isfinite(size), -1)


def loss(maps, boxes, labels):
  """Focal loss of the classes plus 1 - GIoU of the boxes, each over the number of positive cells of
  the batch.

  Lin et al. 2017 (arXiv:1708.02002) Eq. 5 summed over all cells and classes; Rezatofighi et al.
  2019 (arXiv:1902.09630) over positive cells.

  Args:
    maps: `Maps`.
    boxes: [B, N, 4]; all may be padding.
    labels: int [B, N].

  Returns:
    (loss [], mean IoU of the positive cells' boxes with their targets [], 0 if there is none).
  """
  _, h, w, n = maps.logits.shape
  index, positive = jax.vmap(assign, (0, None, None))(boxes, h, w)
  of_cell = jax.vmap(lambda rows, index: rows[index])
  count = jnp.maximum(jnp.sum(positive), 1).astype(jnp.float32)
  target = jax.nn.one_hot(of_cell(labels, index), n) * positive[..., None].astype(jnp.float32)
  focal = jnp.sum(optax.sigmoid_focal_loss(maps.logits, target, alpha=ALPHA, gamma=GAMMA))
  found, wanted = boxes_at(maps.distances), of_cell(boxes, index)
  mean = lambda x: jnp.sum(jnp.where(positive, x, 0)) / count
  return focal / count + mean(1 - overlap.giou(found, wanted)), mean(overlap.iou(found, wanted))


# --- decoding -------------------------------------------------------------------------------------


def decode(maps, K=50, threshold=0.5, least=0.01):
  """The detections in each image, clipped to it.

  Args:
    maps: `Maps`.
    K: cells and classes with the highest scores that are looked at, at most h * w * n.
    threshold: of `suppression.keep`.
    least: scores below are left out.

  Returns:
    `suppression.Detections` of K rows.
  """
  B, h, w, n = maps.logits.shape
  return suppression.best(maps.logits.reshape(B, h * w, n),
                          boxes_at(maps.distances).reshape(B, h * w, 4), h * STRIDE, w * STRIDE, K,
                          threshold, least)
