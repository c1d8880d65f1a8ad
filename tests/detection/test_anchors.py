"""RetinaNet's anchors against closed forms and a loop."""

import jax
import numpy as np
import pytest

from daas_jax.detection import anchors, overlap

RNG = np.random.default_rng(0)
assign, encode, decode = jax.jit(anchors.assign), jax.jit(anchors.encode), jax.jit(anchors.decode)


def _boxes(n, height, width):
  corners = np.sort(RNG.uniform(0, 1, (n, 2, 2)), 1).reshape(n, 4)
  return (corners * [height, width, height, width]).astype(np.float32)


def test_places_and_shapes_in_closed_form():
  """Lin et al. 2017, section 4: areas of 32^2 to 512^2 on P3 to P7, three octave steps, ratios 1:2, 1:1 and 2:1."""
  grid = anchors.grid(100, 72)
  levels = [(13, 9), (7, 5), (4, 3), (2, 2), (1, 1)]
  assert anchors.sizes(100, 72) == levels and grid.shape == (9 * sum(h * w for h, w in levels), 4)
  rows = iter(grid.astype(np.float64))
  for level, (h, w) in zip(range(3, 8), levels):
    for y in range(h):
      for x in range(w):
        for octave in range(3):
          for ratio in (0.5, 1, 2):
            y0, x0, y1, x1 = next(rows)
            assert (y0 + y1) / 2 == pytest.approx((y + 0.5) * 2**level, abs=1e-4)
            assert (x0 + x1) / 2 == pytest.approx((x + 0.5) * 2**level, abs=1e-4)
            assert (y1 - y0) * (x1 - x0) == pytest.approx((2 ** (level + 2) * 2 ** (octave / 3)) ** 2, rel=1e-5)
            assert (y1 - y0) / (x1 - x0) == pytest.approx(ratio, rel=1e-5)
  assert len(anchors.grid(640, 640)) == 9 * (80**2 + 40**2 + 20**2 + 10**2 + 5**2)


def test_encode_by_hand_and_back():
  anchor, box = np.float32([10, 20, 30, 60]), np.float32([20, 20, 30, 100])
  np.testing.assert_allclose(encode(box, anchor), [5 / 20, 20 / 40, np.log(1 / 2), np.log(2)], rtol=1e-6)
  grid = anchors.grid(64, 64)
  boxes = _boxes(len(grid), 64, 64)
  np.testing.assert_allclose(decode(encode(boxes, grid), grid), boxes, atol=1e-4)
  deltas = RNG.normal(size=grid.shape).astype(np.float32)
  np.testing.assert_allclose(encode(decode(deltas, grid), grid), deltas, atol=1e-4)
  assert np.all(np.isfinite(decode(np.full_like(grid, 1e4), grid)))


def test_assignment_equals_a_loop():
  grid = anchors.grid(96, 64)
  boxes = np.concatenate([_boxes(4, 96, 64), np.zeros((1, 4)), [[40, 30, 46, 35], [0, 0, 60, 60]]]).astype(np.float32)
  index, positive, counted = jax.device_get(assign(boxes, grid))
  shared = np.array([[overlap.iou(a, b, np) for b in boxes] for a in grid.astype(np.float64)])
  kinds = {'positive': 0, 'low': 0, 'between': 0}
  for a, row in enumerate(shared):
    best_of = [n for n in range(len(boxes)) if row[n] > 0 and row[n] >= (1 - 1e-5) * shared[:, n].max()]
    assert positive[a] == (row.max() >= 0.5 or bool(best_of))
    assert counted[a] == (positive[a] or row.max() < 0.4)
    if positive[a]:
      assert row[index[a]] == pytest.approx(row.max(), rel=1e-5)
    kinds['positive'] += positive[a]
    kinds['low'] += positive[a] and row.max() < 0.4
    kinds['between'] += not counted[a]
  assert kinds['positive'] > kinds['low'] > 0 and kinds['between'] > 0  # the box of 6 x 5 pixels has its anchor, too


def test_nothing_is_assigned_where_there_is_nothing():
  _, positive, counted = assign(np.zeros((7, 4), np.float32), anchors.grid(96, 64))
  assert not np.any(positive) and np.all(counted)
