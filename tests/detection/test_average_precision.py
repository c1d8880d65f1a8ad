"""Average precision against cases worked out by hand."""

import numpy as np
import pytest

from daas_jax.detection import average_precision as ap

A, B, FAR = (0, 0, 10, 10), (20, 20, 30, 30), (40, 40, 50, 50)
NONE = (0, 0, 0, 0)
FIRST = (0.5,)


def _columns(images, *kinds):
  return tuple(np.array([[row[i] for row in image] for image in images], kind) for i, kind in enumerate(kinds))


def _found(*images):
  """Images of rows (box, score, label), filled up with padding: what `evaluate` takes."""
  K = max(1, *map(len, images))
  rows = [list(image) + [(NONE, 0.99, 0)] * (K - len(image)) for image in images]
  return _columns(rows, float, float, int)


def _truth(*images):
  """Images of rows (box, label), filled up with padding."""
  N = max(1, *map(len, images))
  rows = [list(image) + [(NONE, 0)] * (N - len(image)) for image in images]
  return _columns(rows, float, int)


def test_perfect_detections():
  found = _found([(A, 0.9, 0), (B, 0.8, 1)], [(B, 0.3, 0)])
  result = ap.evaluate(found, *_truth([(A, 0), (B, 1)], [(B, 0)]), num_classes=3)
  assert result.mean == 1 and result.ap50 == 1
  np.testing.assert_array_equal(result.table[:2], np.ones((2, 10)))
  assert np.all(np.isnan(result.table[2]))  # a class without objects is in no mean


def test_hit_miss_hit():
  """Precision 1, 1/2, 2/3 at recall 1/2, 1/2, 1: 51 recalls with 1 and 50 with 2/3."""
  found = _found([(A, 0.9, 0), (FAR, 0.8, 0), (B, 0.7, 0)])
  result = ap.evaluate(found, *_truth([(A, 0), (B, 0)]), num_classes=1, thresholds=FIRST)
  assert result.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_a_recall_that_is_not_reached_counts_as_0():
  found = _found([(A, 0.9, 0)])
  result = ap.evaluate(found, *_truth([(A, 0), (B, 0)]), num_classes=1, thresholds=FIRST)
  assert result.ap50 == pytest.approx(51 / 101)


def test_a_second_detection_of_an_object_is_a_miss():
  """Over all images by score: A, A again, B of another image: as hit, miss, hit."""
  found = _found([(A, 0.9, 0), (A, 0.8, 0)], [(B, 0.7, 0)])
  result = ap.evaluate(found, *_truth([(A, 0)], [(B, 0)]), num_classes=1, thresholds=FIRST)
  assert result.ap50 == pytest.approx((51 + 50 * 2 / 3) / 101)


def test_the_detection_of_the_higher_score_takes_the_object_even_if_it_fits_worse():
  shifted = (0, 2, 10, 12)  # IoU 8 / 12 with A
  result = ap.evaluate(_found([(shifted, 0.9, 0), (A, 0.8, 0)]), *_truth([(A, 0)]), num_classes=1)
  np.testing.assert_allclose(result.table[0], [1.0] * 4 + [0.5] * 6)  # 0.7 and above only the second fits
  assert result.mean == pytest.approx(0.7) and result.ap50 == 1


def test_a_detection_takes_the_object_it_overlaps_most_among_the_free_ones():
  """Both objects overlap both detections by more than 1/2; the second one gets what is left."""
  near = (0, 2, 10, 12)
  found = _found([(A, 0.9, 0), (A, 0.8, 0)])
  result = ap.evaluate(found, *_truth([(near, 0), (A, 0)]), num_classes=1, thresholds=(0.5, 0.7))
  np.testing.assert_allclose(result.table[0], [1, 51 / 101])


def test_classes_and_images_are_kept_apart():
  found = _found([(A, 0.9, 1)], [(B, 0.8, 0)])
  result = ap.evaluate(found, *_truth([(A, 0), (B, 0)], []), num_classes=2, thresholds=FIRST)
  assert result.table[0, 0] == 0 and np.isnan(result.table[1, 0]) and result.mean == 0


def test_nothing_found_and_nothing_to_find():
  nothing = (np.zeros((2, 0, 4)), np.zeros((2, 0)), np.zeros((2, 0), int))
  truth = _truth([(A, 0)], [])
  assert ap.evaluate(nothing, *truth, num_classes=1).mean == 0
  assert ap.evaluate(_found([], []), *truth, num_classes=1).mean == 0
  empty = ap.evaluate(_found([(A, 0.9, 0)]), *_truth([]), num_classes=1)
  assert np.isnan(empty.mean) and np.isnan(empty.ap50)


def test_padding_is_ignored_among_detections_and_objects():
  """Rows of padding have the highest score and the class 0 here; the other padding has its bottom above its top."""
  found = _found([(A, 0.5, 0)], [(B, 0.4, 0), ((9, 0, 5, 9), 1.0, 0)])
  truth = _truth([(A, 0), ((8, 3, 8, 9), 0)], [(B, 0)])
  assert ap.evaluate(found, *truth, num_classes=1).mean == 1


def test_the_thresholds_are_cocos():
  assert ap.THRESHOLDS == pytest.approx(np.arange(0.5, 0.96, 0.05))
