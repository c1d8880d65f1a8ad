"""Non-maximum suppression and the choice of the best against loops."""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.detection import overlap, suppression

RNG = np.random.default_rng(0)


def _boxes(n, side):
  return np.sort(RNG.uniform(0, side, (n, 2, 2)), 1).reshape(n, 4).astype(np.float32)


def test_suppression_equals_a_loop():
  boxes, labels = _boxes(40, 20), RNG.integers(0, 2, 40)
  scores = np.sort(RNG.uniform(size=40))[::-1]
  kept = []
  for i in range(40):
    if all(labels[j] != labels[i] or overlap.iou(boxes[i], boxes[j], np) <= 0.3 for j in kept):
      kept.append(i)
  assert 5 < len(kept) < 35
  mask = jax.jit(suppression.keep)(boxes, scores.copy(), labels, 0.3)
  np.testing.assert_array_equal(np.flatnonzero(mask), kept)


def test_the_best_are_taken_over_places_and_classes():
  """Places far apart: nothing is suppressed, and the order is that of all scores of an image."""
  corner = np.arange(6, dtype=np.float32)[:, None] * 10
  boxes = np.concatenate([corner, corner, corner + 8, corner + 8], 1)
  logits = RNG.normal(size=(2, 6, 3)).astype(np.float32)
  best = jax.jit(suppression.best, static_argnames=('K',))
  found = jax.device_get(best(logits, jnp.stack([boxes, boxes]), 60.0, 55.0, K=4, threshold=0.5, least=0.0))
  for b in range(2):
    order = np.argsort(-logits[b].ravel())[:4]
    np.testing.assert_array_equal(found.labels[b], order % 3)
    np.testing.assert_array_equal(found.boxes[b], np.minimum(boxes[order // 3], [60, 55, 60, 55]))
    np.testing.assert_allclose(found.scores[b], 1 / (1 + np.exp(-logits[b].ravel()[order])), rtol=1e-5)
