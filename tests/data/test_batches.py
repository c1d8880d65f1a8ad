"""Which images a step sees: by (seed, step) alone, every image once an epoch, every test image once."""

import numpy as np
import pytest

from daas_jax.data import batches, dataset
from daas_jax.errors import BadInput


def _dataset(n=40):
  """Images whose pixels are their own number."""
  images = np.arange(n, dtype=np.uint8)[:, None, None, None] * np.ones((1, 8, 8, 1), np.uint8)
  labels = np.arange(n, dtype=np.int32) % 2
  return dataset.assemble('numbers', images, labels, images[:5], labels[:5], ('even', 'odd'))


def _numbers(images):
  return [int(i) for i in np.asarray(images)[:, 0, 0, 0]]


def test_an_epoch_sees_every_image_of_both_halves_once_and_in_new_order():
  take = batches.SearchBatches(_dataset(), 0, 5, 0.5)
  assert take.steps_per_epoch == 4
  epochs = [[take(epoch * 4 + i) for i in range(4)] for epoch in range(2)]
  seen = [[sum((_numbers(getattr(b, f'{half}_images')) for b in epoch), []) for half in ('train', 'val')]
          for epoch in epochs]
  for train, val in seen:
    assert len(set(train)) == len(set(val)) == 20 and not set(train) & set(val)
  assert seen[0][0] != seen[1][0] and set(seen[0][0]) == set(seen[1][0])
  for batch in epochs[0]:
    assert [n % 2 for n in _numbers(batch.train_images)] == list(np.asarray(batch.train_labels))


def test_a_step_does_not_depend_on_what_was_asked_before():
  one, other = (batches.SearchBatches(_dataset(), 3, 5, 0.5) for _ in range(2))
  for step in (7, 2, 5):
    one(step)
  for a, b in zip(one(6), other(6)):
    np.testing.assert_array_equal(a, b)


def test_a_small_validation_half_is_begun_again():
  take = batches.SearchBatches(_dataset(), 0, 4, 0.2)
  assert take.steps_per_epoch == 8
  val = sum((_numbers(take(i).val_images) for i in range(8)), [])
  assert len(set(val)) == 8 and {val.count(n) for n in set(val)} == {4}


def test_evaluation_sees_every_image_once_also_when_the_last_batch_is_short():
  images, labels = np.arange(7), np.arange(7)
  parts = list(batches.evaluation_batches(images, labels, 3))
  assert [len(p[0]) for p in parts] == [3, 3, 3]
  assert [int(i) for p in parts for i, m in zip(p[0], p[2]) if m] == list(range(7))


@pytest.mark.parametrize('make', [lambda: batches.SearchBatches(_dataset(), 0, 21, 0.5),
                                  lambda: batches.TrainBatches(np.zeros((4, 8, 8, 1)), np.zeros(4), 0, 5)])
def test_a_batch_larger_than_its_split_is_refused(make):
  with pytest.raises(BadInput, match='choose a smaller batch'):
    make()


def test_training_batches_see_every_image_once():
  take = batches.TrainBatches(np.arange(12), np.arange(12), 0, 4)
  assert sorted(int(i) for step in range(3) for i in take(step)[0]) == list(range(12))
