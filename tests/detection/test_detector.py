"""Overlap, targets, loss and decoding of the detector against cases by hand and loops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.detection import detector, overlap
from daas_jax.detection.detector import STRIDE

RNG = np.random.default_rng(0)


loss_and_slope = jax.jit(jax.value_and_grad(detector.loss, has_aux=True))
assign = jax.jit(detector.assign, static_argnums=(1, 2))
decode = jax.jit(detector.decode, static_argnames='K')


def _boxes(n, side=40):
  corners = np.sort(RNG.uniform(0, side, (n, 2, 2)), 1)
  return corners.reshape(n, 4).astype(np.float32)


def test_overlap_by_hand():
  a = jnp.float32([0, 0, 4, 4])
  boxes = jnp.float32([[0, 0, 4, 4], [0, 2, 4, 6], [4, 0, 8, 4], [4, 4, 8, 8], [1, 1, 3, 3], [0, 0, 0, 0]])
  iou, giou = jax.jit(overlap.iou), jax.jit(overlap.giou)
  np.testing.assert_allclose(iou(a, boxes), [1, 8 / 24, 0, 0, 4 / 16, 0], atol=1e-6)
  np.testing.assert_allclose(giou(a, boxes), [1, 8 / 24, 0, -(64 - 32) / 64, 4 / 16, 0], atol=1e-6)
  np.testing.assert_allclose(overlap.iou(np.asarray(a), np.asarray(boxes), np), iou(a, boxes))
  assert overlap.iou(np.zeros(4), np.zeros(4), np) == 0


def test_giou_pulls_distant_boxes_together():
  slope = jax.jit(jax.grad(lambda b: overlap.giou(jnp.float32([0, 0, 4, 4]), b)))(jnp.float32([10, 10, 14, 14]))
  assert slope[0] < 0 and slope[1] < 0  # moving the near corner nearer raises it


def test_assignment_equals_a_loop():
  boxes = np.concatenate([_boxes(5), np.zeros((1, 4), np.float32), np.float32([[10, 10, 22, 22]])])
  index, positive = assign(boxes, 10, 9)
  count = 0
  for i in range(10):
    for j in range(9):
      y, x = (i + 0.5) * STRIDE, (j + 0.5) * STRIDE
      fits = [n for n, (y0, x0, y1, x1) in enumerate(boxes) if y0 < y < y1 and x0 < x < x1
              and max(abs(y - (y0 + y1) / 2), abs(x - (x0 + x1) / 2)) < detector.RADIUS * STRIDE]
      assert positive[i, j] == bool(fits)
      if fits:
        size = lambda n: (boxes[n, 2] - boxes[n, 0]) * (boxes[n, 3] - boxes[n, 1])
        assert index[i, j] == min(fits, key=size)
        count += 1
  assert count > 9


def _maps_of(boxes, labels, h, w, n):
  """The maps that say just these boxes [B, N, 4] in all positive cells."""
  index, positive = (np.stack(x) for x in zip(*(assign(b, h, w) for b in boxes)))
  box, label = np.stack([b[i] for b, i in zip(boxes, index)]), np.stack([c[i] for c, i in zip(labels, index)])
  y, x = (np.arange(k) * STRIDE + STRIDE / 2 for k in (h, w))
  y = y[:, None]
  distances = np.stack([y - box[..., 0], x - box[..., 1], box[..., 2] - y, box[..., 3] - x], -1)
  logits = np.where((label[..., None] == np.arange(n)) & positive[..., None], 12.0, -12.0)
  return detector.Maps(np.float32(logits), np.float32(np.where(positive[..., None], distances, 4.0)))


SCENES = np.float32([[[4, 6, 21, 18], [20, 20, 36, 34], [0, 0, 0, 0]], [[8, 8, 30, 30], [0, 0, 0, 0], [0, 0, 0, 0]]])
CLASSES = np.int32([[1, 0, -1], [2, -1, -1]])


def test_maps_that_are_right_have_no_loss_and_decode_to_the_truth():
  maps = _maps_of(SCENES, CLASSES, 10, 10, 3)
  (loss, accuracy), _ = loss_and_slope(maps, SCENES, CLASSES)
  assert loss < 1e-5 and accuracy == pytest.approx(1, abs=1e-5)
  found = jax.device_get(decode(maps, K=20, least=0.01))
  for b, n in enumerate((2, 1)):
    there = found.scores[b] > 0
    assert list(there) == [True] * n + [False] * (20 - n)  # nine cells and more say the same box
    np.testing.assert_array_equal(found.boxes[b][~there], 0)
    order = np.argsort(found.boxes[b][there][:, 0])
    np.testing.assert_allclose(found.boxes[b][there][order], SCENES[b, :n], atol=1e-4)
    np.testing.assert_array_equal(found.labels[b][there][order], CLASSES[b, :n])


def test_loss_by_hand():
  """One cell is positive, every probability is 1/2, the box found is a quarter of the object's."""
  boxes, labels = jnp.float32([[[1, 1, 5, 5]]]), jnp.int32([[1]])  # around the cell middle (2, 2); (6, 6) is outside
  maps = detector.Maps(jnp.zeros((1, 2, 2, 3)), jnp.ones((1, 2, 2, 4)))
  (loss, accuracy), _ = loss_and_slope(maps, boxes, labels)
  focal = (0.25 + 11 * 0.75) * 0.25 * np.log(2)
  assert accuracy == pytest.approx(4 / 16) and loss == pytest.approx(focal + 1 - 4 / 16, rel=1e-5)


def test_a_batch_without_objects_has_a_finite_loss_and_gradient():
  maps = detector.Maps(np.zeros((2, 10, 10, 3), np.float32), np.ones((2, 10, 10, 4), np.float32))
  (loss, accuracy), slope = loss_and_slope(maps, np.zeros_like(SCENES), np.full_like(CLASSES, -1))
  assert np.isfinite(loss) and accuracy == 0
  assert np.all(np.isfinite(slope.logits)) and not np.any(slope.distances)
  assert np.all(slope.logits > 0)


def test_detections_are_clipped_and_faint_ones_left_out():
  logits = jnp.full((1, 2, 2, 1), -12.0).at[0, 0, 0, 0].set(3.0).at[0, 1, 1, 0].set(-3.0)
  found = decode(detector.Maps(logits, jnp.full((1, 2, 2, 4), 5.0)), least=0.2)
  np.testing.assert_array_equal(found.boxes[0], [[0, 0, 7, 7]] + [[0, 0, 0, 0]] * 3)
  np.testing.assert_allclose(found.scores[0], [jax.nn.sigmoid(3.0), 0, 0, 0], rtol=1e-6)


def test_an_image_does_not_depend_on_its_batch():
  net = detector.Detector(2, channels=4, blocks=1)
  images = jnp.asarray(RNG.uniform(size=(2, 12, 16, 1)), jnp.float32)
  params = jax.jit(net.init)(jax.random.key(0), images)
  apply = jax.jit(net.apply)
  both, one = apply(params, images), apply(params, images[:1])
  assert both.logits.shape == (2, 3, 4, 2) and both.distances.shape == (2, 3, 4, 4)
  np.testing.assert_allclose(both.logits[:1], one.logits, atol=1e-5)
  assert np.all(both.distances > 0)
  scores = jax.nn.sigmoid(both.logits)
  np.testing.assert_allclose(jnp.mean(scores), detector.PRIOR, rtol=0.5)
