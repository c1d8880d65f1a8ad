"""From scored boxes to detections: the best of them, without those that say the same again.

Boxes are rows (y0, x0, y1, x1) in pixels.
"""

from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp

from daas_jax.detection import overlap


class Detections(NamedTuple):
  """What was found, the best first.

  Attributes:
    boxes: [B, K, 4]; zeros in padding.
    scores: [B, K] in [0, 1]; 0 in padding.
    labels: int32 [B, K].
  """
  boxes: jax.Array
  scores: jax.Array
  labels: jax.Array


def keep(boxes, scores, labels, threshold=0.5):
  """Non-maximum suppression: a box goes if a kept one of its class and of a higher score overlaps
  it.

  Args:
    boxes: [K, 4].
    scores: [K], falling.
    labels: int [K].
    threshold: greatest IoU that is still allowed.

  Returns:
    bool [K].
  """
  rivals = (overlap.iou(boxes[:, None], boxes[None]) > threshold) & (labels[:, None]
                                                                     == labels[None])
  earlier = jnp.tril(rivals, -1)  # [i, j]: j comes before i and overlaps it
  return lax.fori_loop(0, len(scores), lambda i, kept: kept.at[i].set(~jnp.any(earlier[i] & kept)),
                       jnp.ones(len(scores), bool))


def best(logits, boxes, height, width, K, threshold, least):
  """The detections in each image, clipped to it.

  Args:
    logits: [B, M, n] of n classes that do not exclude each other, at M places.
    boxes: [B, M, 4].
    height, width: of the images, in pixels.
    K: places and classes with the highest scores that are looked at, at most M * n.
    threshold: of `keep`.
    least: scores below are left out.

  Returns:
    `Detections` of K rows.
  """
  n = logits.shape[-1]
  edges = jnp.array([[height, width, height, width]], jnp.float32)

  def one(logits, boxes):
    scores, place = lax.top_k(jax.nn.sigmoid(logits).reshape(-1), min(K, logits.size))
    boxes, labels = jnp.clip(boxes[place // n], 0, edges), (place % n).astype(jnp.int32)
    kept = keep(boxes, scores, labels, threshold) & (scores >= least)
    order = jnp.argsort(~kept, stable=True)  # padding last
    kept = kept[order]
    return Detections(jnp.where(kept[:, None], boxes[order], 0), jnp.where(kept, scores[order], 0),
                      labels[order])

  return jax.vmap(one)(logits, boxes)
