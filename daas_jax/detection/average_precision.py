"""Average precision of detections, as COCO computes it (Lin et al. 2014; cocodataset.org,
"Detection Evaluation").

Without its crowd regions, its ranges of object size and its limit of 100 detections an image. Boxes
are rows (y0, x0, y1, x1); those with y1 <= y0 are padding and do not exist, among detections and in
the truth.
"""

from typing import NamedTuple

import numpy as np

from daas_jax.detection import overlap

THRESHOLDS = tuple(0.5 + 0.05 * i for i in range(10))
"""COCO's: IoU 0.5, 0.55, ..., 0.95."""
_RECALLS = np.linspace(0, 1, 101)


class AveragePrecision(NamedTuple):
  """Average precision, in [0, 1]; NaN where there is nothing to find.

  Attributes:
    mean: over classes that have objects and over thresholds, COCO's AP.
    ap50: over classes at the first threshold, 0.5.
    table: float64 [num_classes, thresholds]; rows of classes without objects are NaN.
  """
  mean: float
  ap50: float
  table: np.ndarray


def evaluate(detections, boxes, labels, num_classes, thresholds=THRESHOLDS):
  """Average precision of all detections in n images.

  Args:
    detections: (boxes [n, K, 4], scores [n, K], labels [n, K]), a `detector.Detections` of arrays,
      say.
    boxes: [n, N, 4], the truth.
    labels: [n, N].
    num_classes: classes 0 to num_classes - 1; other labels are left out.
    thresholds: least IoU of a detection with its object, in (0, 1].

  Returns:
    `AveragePrecision`.
  """
  found, scores, found_labels = (np.asarray(x) for x in detections)
  boxes, labels, thresholds = np.asarray(boxes), np.asarray(labels), np.asarray(thresholds)
  exists = lambda boxes: boxes[..., 2] > boxes[..., 0]
  table = np.full((num_classes, len(thresholds)), np.nan)
  for c in range(num_classes):
    wanted = exists(boxes) & (labels == c)
    hits, total = _hits(found, scores,
                        exists(found) & (found_labels == c), boxes, wanted,
                        thresholds), wanted.sum()
    if total:
      table[c] = [interpolated(row, total) for row in hits.T]
  known = table[~np.isnan(table[:, 0])]
  return AveragePrecision(
      *((float(known.mean()), float(known[:, 0].mean())) if len(known) else (np.nan,) * 2), table)


def _hits(found, scores, counts, boxes, wanted, thresholds):
  """Whether each detection of one class, by falling score, finds an object: bool [detections,
  thresholds].

  It takes the object of its image that it overlaps most among those that no detection of a higher
  score has taken, so a second detection of an object is a miss.
  """
  image, row = np.nonzero(counts)
  order = np.argsort(-scores[image, row], kind='stable')
  free = {i: np.tile(wanted[i], (len(thresholds), 1)) for i in set(image.tolist())}
  hits = np.zeros((len(order), len(thresholds)), bool)
  for n, (i, k) in enumerate(zip(image[order], row[order])):
    shared = np.where(free[i],
                      overlap.iou(found[i, k].astype(np.float64), boxes[i].astype(np.float64), np),
                      -1.0)
    best = np.argmax(shared, -1)
    levels = np.arange(len(thresholds))
    hits[n] = shared[levels, best] >= thresholds
    free[i][levels[hits[n]], best[hits[n]]] = False
  return hits


def interpolated(hits, total):
  """Mean over the recalls 0, 0.01, ..., 1 of the greatest precision at that recall or above; 0
  where none is reached.

  Args:
    hits: bool [detections], by falling score.
    total: objects, >= 1.
  """
  found = np.cumsum(hits)
  precision = found / np.arange(1, len(hits) + 1)
  highest = np.maximum.accumulate(precision[::-1])[::-1]
  place = np.searchsorted(found / total, _RECALLS, 'left')
  return float(np.mean(np.append(highest, 0.0)[place]))
