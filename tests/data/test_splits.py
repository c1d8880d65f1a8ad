from typing import NamedTuple

import numpy as np
import pytest

from daas_jax.data import dataset, sources, splits
from daas_jax.errors import BadInput


def small_set(per_class=(6, 6, 6), test_per_class=(3, 3, 3)):
  """A set whose every image is told apart by its pixels: train image i is all i, test image i all 100 + i."""
  rng = np.random.default_rng(0)
  train = rng.permutation(np.repeat(np.arange(len(per_class)), per_class))
  test = rng.permutation(np.repeat(np.arange(len(per_class)), test_per_class))
  images = lambda n, start: np.tile(np.arange(start, start + n, dtype=np.uint8)[:, None, None], (1, 2, 2))
  return dataset.assemble('small', images(len(train), 0), train, images(len(test), 100), test,
                          [f'c{i}' for i in range(len(per_class))])


@pytest.mark.parametrize('fraction', [0.5, 0.1, 0.29, 0.8, 1 / 3])
@pytest.mark.parametrize('sizes', [(10, 10), (7, 1, 12, 5), (1, 1, 1, 1), (100, 3)])
def test_halves_cover_everything_and_keep_the_shares(sizes, fraction):
  labels = np.random.default_rng(1).permutation(np.repeat(np.arange(len(sizes)), sizes))
  if fraction * len(labels) < 0.5:
    with pytest.raises(BadInput, match='leaves a part empty'):
      splits.halves(labels, 3, fraction)
    return
  train, val = splits.halves(labels, 3, fraction)
  assert train.dtype == val.dtype == np.int64
  assert np.array_equal(np.sort(np.concatenate([train, val])), np.arange(len(labels)))
  assert np.array_equal(train, np.sort(train)) and np.array_equal(val, np.sort(val))
  assert len(train) == int(np.floor(fraction * len(labels) + 0.5))
  counts = np.bincount(labels[train], minlength=len(sizes))
  assert np.all(np.abs(counts - fraction * np.array(sizes)) < 1)


def test_halves_of_even_classes_are_exactly_even():
  labels = sources.load('embedded').train_labels
  train, val = splits.halves(labels, 0)
  assert np.array_equal(np.bincount(labels[train]), [200] * 10)
  assert np.array_equal(np.bincount(labels[val]), [200] * 10)


def test_halves_depend_on_the_seed_alone():
  labels = np.arange(60) % 3
  first, again, other = (splits.halves(labels, seed)[0] for seed in (5, 5, 6))
  assert np.array_equal(first, again)
  assert not np.array_equal(first, other)


def test_streams_are_the_pinned_ones():
  # Written down once: a change here changes every published run.
  assert splits.epoch_order(8, 0, 0).tolist() == [3, 1, 6, 5, 7, 2, 0, 4]
  assert splits.epoch_order(8, 0, 1).tolist() == [4, 3, 6, 1, 7, 2, 5, 0]
  assert splits.halves(np.arange(12) % 2, 0)[0].tolist() == [0, 1, 3, 6, 9, 10]


@pytest.mark.parametrize('labels', [[], [[1, 2]], [0.5, 1.0], [-1, 0], [True, False]])
def test_halves_refuse_bad_labels(labels):
  with pytest.raises(BadInput, match='halves: labels'):
    splits.halves(labels, 0)


@pytest.mark.parametrize('fraction', [0, 1, -0.1, 1.5, float('nan'), '0.5', None])
def test_halves_refuse_bad_fractions(fraction):
  with pytest.raises(BadInput, match='fraction'):
    splits.halves([0, 1, 0, 1], 0, fraction)


def test_halves_refuse_to_leave_a_part_empty():
  with pytest.raises(BadInput, match='leaves a part empty'):
    splits.halves([0, 1], 0, 0.1)


@pytest.mark.parametrize('seed', [-1, 0.5, None, 'a'])
def test_bad_seeds(seed):
  with pytest.raises(BadInput, match='seed'):
    splits.epoch_order(4, seed, 0)


def test_epoch_order_is_a_permutation_of_seed_and_epoch():
  orders = {(seed, epoch): splits.epoch_order(50, seed, epoch) for seed in (0, 1) for epoch in (0, 1, 2)}
  for order in orders.values():
    assert order.dtype == np.int64 and np.array_equal(np.sort(order), np.arange(50))
  assert len({order.tobytes() for order in orders.values()}) == len(orders)
  assert np.array_equal(splits.epoch_order(50, 1, 2), orders[1, 2])


@pytest.mark.parametrize('n, epoch', [(0, 0), (-3, 0), (4, -1), (2.5, 0), (4, None)])
def test_epoch_order_refuses(n, epoch):
  with pytest.raises(BadInput):
    splits.epoch_order(n, 0, epoch)


def test_every_place_of_an_epoch_is_as_likely():
  # 3,000 orders of 5: each example stands first 600 times, with a deviation of 22.
  first = np.array([splits.epoch_order(5, seed, 7)[0] for seed in range(3000)])
  assert np.all(np.abs(np.bincount(first, minlength=5) - 600) < 5 * 22)


def test_subset_classes_relabels_and_keeps_order():
  data = small_set((4, 5, 6, 7), (1, 2, 3, 4))
  part = splits.subset_classes(data, 2, 11)
  kept = [data.class_names.index(name) for name in part.class_names]
  assert kept == sorted(kept) and len(kept) == 2
  for images, labels, old_images, old_labels in (
      (part.train_images, part.train_labels, data.train_images, data.train_labels),
      (part.test_images, part.test_labels, data.test_images, data.test_labels)):
    keep = np.isin(old_labels, kept)
    assert np.array_equal(images, old_images[keep])
    assert np.array_equal(np.array(kept)[labels], old_labels[keep])
    assert labels.dtype == np.int32
  assert part.mean == pytest.approx((part.train_images.mean(dtype=np.float64) / 255,), rel=1e-14)


def test_subset_classes_is_seeded_and_whole_set_is_itself():
  data = small_set((2,) * 8, (1,) * 8)
  chosen = {splits.subset_classes(data, 3, seed).class_names for seed in range(20)}
  assert len(chosen) > 5
  assert splits.subset_classes(data, 3, 4).class_names == splits.subset_classes(data, 3, 4).class_names
  whole = splits.subset_classes(data, 8, 0)
  assert np.array_equal(whole.train_labels, data.train_labels) and whole.class_names == data.class_names


@pytest.mark.parametrize('n', [0, 4, -1, 1.5])
def test_subset_classes_refuses(n):
  with pytest.raises(BadInput, match='subset_classes'):
    splits.subset_classes(small_set(), n, 0)


@pytest.mark.parametrize('n_train, n_test', [(9, 3), (10, 4), (18, 9), (1, 1)])
def test_take_is_balanced_and_a_subset(n_train, n_test):
  data = small_set()
  part = splits.take(data, n_train, n_test, 2)
  assert (len(part.train_images), len(part.test_images)) == (n_train, n_test)
  for images, labels, old_labels, start in ((part.train_images, part.train_labels, data.train_labels, 0),
                                            (part.test_images, part.test_labels, data.test_labels, 100)):
    index = images[:, 0, 0, 0].astype(int) - start
    assert np.all(np.diff(index) > 0)  # old order, none twice
    assert np.array_equal(labels, old_labels[index])
    counts = np.bincount(labels, minlength=3)
    assert counts.max() - counts.min() <= 1
  assert part.class_names == data.class_names


def test_take_refuses_more_than_there_is():
  with pytest.raises(BadInput, match="'c1', which has 2; ask for fewer"):
    splits.take(small_set((6, 2, 6)), 12, 3, 0)
  with pytest.raises(BadInput, match='n_test'):
    splits.take(small_set(), 3, -1, 0)


def test_take_of_nothing_keeps_the_split_whole_however_uneven():
  data = small_set((6, 2, 6))
  part = splits.take(data, 0, 3, 0)
  np.testing.assert_array_equal(part.train_labels, data.train_labels)
  assert len(part.test_labels) == 3


def test_all_is_trained_on_where_nothing_is_held_out():
  rows, none = splits.of(_Labelled(np.array([0, 1, 1, 0, 2])), 3, 1)
  assert rows.tolist() == [0, 1, 2, 3, 4] and not len(none)


class _Labelled(NamedTuple):
  train_labels: np.ndarray
