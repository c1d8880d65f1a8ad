"""RetinaNet (Lin et al. 2017, arXiv:1708.02002): a pyramid of features, and two small networks at
each of its levels.

Against the paper: group normalisation instead of the backbone's frozen batch normalisation, and in
the two networks, which have none there, so that it learns from nothing in a search. Images may be
of any size.
"""

import math
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from daas_jax.detection import anchors as anchors_lib, overlap, suppression
from daas_jax.detection.backbone import conv, Normalised, ResNet

# of the focal loss, this paper's (5.1, 4.1)
from daas_jax.detection.detector import ALPHA, GAMMA, PRIOR

BETA = 1 / 9  # where the smooth L1 loss turns from a square into a line (Detectron code)
LAYERS = 4  # convolutions of a head before the last
_small = nn.initializers.normal(0.01)  # (4.1)


class Outputs(NamedTuple):
  """What the network gives for A anchors.

  Attributes:
    logits: [B, A, n], of each class being there, not exclusive.
    deltas: [B, A, 4], the box as `anchors.encode` describes it.
    anchors: [A, 4].
  """
  logits: jax.Array
  deltas: jax.Array
  anchors: jax.Array


class Pyramid(nn.Module):
  """P3 to P7 of C3 to C5 (Lin et al. 2017, section 4, footnote 2: P6 from C5, P7 from P6), all of
  `channels`."""
  channels: int

  @nn.compact
  def __call__(self, c3, c4, c5):
    xavier = nn.initializers.xavier_uniform()
    lateral = lambda x: conv(self.channels, 1, kernel_init=xavier)(x)
    smooth = lambda x: conv(self.channels, 3, kernel_init=xavier)(x)
    halve = lambda x: conv(self.channels, 3, 2, kernel_init=xavier)(x)
    p5 = lateral(c5)
    p4 = lateral(c4) + _doubled(p5, c4)
    p3 = lateral(c3) + _doubled(p4, c3)
    p6 = halve(c5)
    return smooth(p3), smooth(p4), smooth(p5), p6, halve(nn.relu(p6))


def _doubled(x, like):
  """x with every pixel four times, cut to the height and width of `like`."""
  return jnp.repeat(jnp.repeat(x, 2, 1), 2, 2)[:, :like.shape[1], :like.shape[2]]


class Head(nn.Module):
  """`LAYERS` convolutions and a last one: [B, h, w, C] -> [B, h * w * 9, out]; `bias` is where the
  last starts."""
  out: int
  bias: float = 0.0

  @nn.compact
  def __call__(self, x):
    for _ in range(LAYERS):
      x = nn.relu(Normalised(x.shape[-1], 3, kernel_init=_small)(x))
    x = conv(anchors_lib.PER_CELL * self.out, 3, kernel_init=_small,
             bias_init=nn.initializers.constant(self.bias))(x)
    return x.reshape(len(x), math.prod(x.shape[1:]) // self.out, self.out)


class RetinaNet(nn.Module):
  """Call: images float [B, H, W, C] -> `Outputs`.

  Attributes:
    num_classes: n.
    depth: of the `backbone.ResNet`.
    width: of the backbone, 64 as published; the pyramid and the heads have four times as many
      channels.
  """
  num_classes: int
  depth: int = 50
  width: int = 64

  @nn.compact
  def __call__(self, images):
    levels = Pyramid(4 * self.width)(*ResNet(self.depth, self.width)(images))
    # shared by all levels
    classes = Head(self.num_classes, -math.log((1 - PRIOR) / PRIOR), name='classes')
    edges = Head(4, name='edges')
    return Outputs(jnp.concatenate([classes(p) for p in levels], 1),
                   jnp.concatenate([edges(p) for p in levels], 1),
                   jnp.asarray(anchors_lib.grid(*images.shape[1:3])))


def loss(outputs, boxes, labels):
  """Focal loss of the classes plus smooth L1 loss of the boxes, each over the number of positive
  anchors of the batch.

  Lin et al. 2017, Eq. 5 and 4.1: the first summed over the anchors that count and all classes, the
  second over the positive ones and the four numbers of a box.

  Args:
    outputs: `Outputs`.
    boxes: [B, N, 4]; all may be padding.
    labels: int [B, N].

  Returns:
    (loss [], mean IoU of the positive anchors' boxes with their targets [], 0 if there is none).
  """
  logits, deltas, anchors = outputs
  index, positive, counted = jax.vmap(anchors_lib.assign, (0, None))(boxes, anchors)
  of_anchor = jax.vmap(lambda rows, index: rows[index])
  over = lambda x, where: jnp.sum(jnp.where(where, x, 0)) / jnp.maximum(jnp.sum(positive), 1
                                                                       ).astype(x.dtype)
  target = jax.nn.one_hot(of_anchor(labels, index), logits.shape[-1]) * positive[..., None].astype(
      jnp.float32)
  focal = optax.sigmoid_focal_loss(logits, target, alpha=ALPHA, gamma=GAMMA)
  # padding has no logarithm
  wanted = jnp.where(positive[..., None], of_anchor(boxes, index), anchors)
  distance = optax.huber_loss(deltas, anchors_lib.encode(wanted, anchors), delta=BETA) / BETA
  shared = overlap.iou(anchors_lib.decode(jax.lax.stop_gradient(deltas), anchors), wanted)
  return over(focal, counted[..., None]) + over(distance, positive[..., None]), over(
      shared, positive)


def decode(outputs, height, width, K=1000, threshold=0.5, least=0.05, most=100):
  """The detections in each image, clipped to it (Lin et al. 2017, 4.1).

  Args:
    outputs: `Outputs`.
    height, width: of the images, in pixels.
    K: anchors and classes with the highest scores that are looked at, over all levels (in the
      paper: of each level).
    threshold: of `suppression.keep`.
    least: scores below are left out.
    most: detections of an image, as COCO counts them.

  Returns:
    `Detections` of at most `most` rows.
  """
  boxes = anchors_lib.decode(outputs.deltas, outputs.anchors)
  found = suppression.best(outputs.logits, boxes, height, width, K, threshold, least)
  return jax.tree.map(lambda rows: rows[:, :most], found)
