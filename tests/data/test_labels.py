"""Labels that are no class: a split of them is no test set, and the first among others is named."""

import numpy as np
import pytest

from fake_sets import fake_imagenet, prepared
from daas_jax import config as config_lib
from daas_jax.prepare import command as prepare_command
from daas_jax.benchmark import synthetic as made_up
from daas_jax.data import dataset, labels, select, splits, streaming, tfds
from daas_jax.errors import BadInput
from test_splits import small_set

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)


def from_config(name, folder, stream, **data):
  config = config_lib.search_config()
  data |= dict(name=f'tfds:{name}', dir=str(folder), stream=stream, side=16 if stream else 0)
  config.data.update(data)
  return select.from_config(config)


def write(folder, **split_labels):
  """Prepares tiny: each split has PICTURES with these labels, in this order."""
  prepared(folder, {split: list(zip(PICTURES, own)) for split, own in split_labels.items()})


def line(function, *arguments, **options):
  with pytest.raises(BadInput) as info:
    function(*arguments, **options)
  assert '\n' not in str(info.value)
  return str(info.value)


# Splits without labels.

@pytest.mark.parametrize('stream', [False, True])
def test_an_unlabelled_test_split_gives_way_to_validation(stream, tmp_path, capsys):
  write(tmp_path, train=[0, 1, 0, 1], test=[-1] * 4, validation=[1, 1, 0, 1])
  data = from_config('tiny', tmp_path, stream)
  assert data.test_labels.tolist() == [1, 1, 0, 1] and data.train_labels.tolist() == [0, 1, 0, 1]
  assert capsys.readouterr().err == (
      'note: tfds:tiny: split test is unlabelled (its first class is negative); '
      'the test images are those of split validation\n')


def test_imagenet_with_its_test_archive(tmp_path, capsys):
  folder = fake_imagenet(tmp_path, (3, 999), 3, 2, 1, test=2)
  assert prepare_command.main(['imagenet2012', f'--data_dir={tmp_path}']) == 0
  out, err = capsys.readouterr()
  assert 'split test is unlabelled' in out and err == ''
  assert f'wrote {folder}/daas_jax-labels-validation.npz' in out and 'labels-test' not in out
  data = from_config('imagenet2012', tmp_path, True)
  assert sorted(data.test_labels.tolist()) == [3, 3, 999, 999] and len(data.train_labels) == 6
  assert capsys.readouterr().err.count('split test is unlabelled') == 1


@pytest.mark.parametrize('stream', [False, True])
def test_a_labelled_test_split_is_the_test_set_without_a_word(stream, tmp_path, capsys):
  write(tmp_path, train=[0, 1, 0, 1], test=[1, 0, 0, 0], validation=[1, 1, 1, 1])
  assert from_config('tiny', tmp_path, stream).test_labels.tolist() == [1, 0, 0, 0]
  assert capsys.readouterr().err == ''


# TFDS itself refuses to write a label above the last class, so those are made up below.
@pytest.mark.parametrize('found, said', [
    (dict(train=[0, 1, 0, 1], test=[-1] * 4), 'no labelled test images (unlabelled: test); choose'),
    (dict(train=[0, 1] * 2, test=[-1] * 4, validation=[-1] * 4), 'unlabelled: test and validation'),
    (dict(train=[0, 1, -1, -1], test=[0, 1, 0, 1]),
     'split train holds -1 and there are 2 classes; labels must be 0 to 1: row 2 is the first'),
    (dict(train=[-1] * 4, test=[0, 1, 0, 1]), 'row 0 is the first'),
    (dict(train=[0, 1, 0, 1], test=[0, 1, 0, -1]),
     'split test holds -1 and there are 2 classes; labels must be 0 to 1: row 3 is the first'),
])
def test_images_without_a_class_are_the_same_line_in_memory_and_streamed(found, said, tmp_path):
  write(tmp_path, **found)
  memory, streamed = (line(from_config, 'tiny', tmp_path, stream) for stream in (False, True))
  assert memory == streamed and said in memory and memory.startswith('tfds:tiny')
  # Whatever classes are asked for: a label is not read as the last class first.
  assert line(from_config, 'tiny', tmp_path, True, classes=2, n_train=2) == memory


def test_a_file_of_classes_that_was_kept_is_looked_through_too(tmp_path):
  """Runs of a version that took -1 for a class have left such files."""
  write(tmp_path, train=[0, 1, -1, 1], test=[0, 1, 0, 1])
  builder, *keys = tfds.prepared_tfds('tiny', str(tmp_path))
  labels.of(streaming.records.find('tfds:tiny', builder, 'train', *keys))
  assert (tmp_path / 'tiny' / '1.0.0' / 'daas_jax-labels-train.npz').exists()
  assert 'row 2 is the first' in line(from_config, 'tiny', tmp_path, True)


# Whatever indexes by a label.

@pytest.mark.parametrize('wrong, first', [([-1, 0], 0), ([0, 999, 1000], 2), ([0, 2**40], 1)])
@pytest.mark.parametrize('chosen', [None, np.array([0, 999])])
def test_of_classes_takes_no_label_of_another_class(wrong, first, chosen):
  said = line(splits.of_classes, np.array(wrong), 1000, chosen)
  assert f'holds {wrong[first]} and there are 1000 classes' in said and f'row {first} is' in said


def test_of_classes_as_before():
  rows, new = splits.of_classes(np.array([2, 0, 1, 2]), 3, np.array([0, 2]))
  assert rows.tolist() == [0, 1, 3] and new.tolist() == [1, 0, 1] and new.dtype == np.int32
  assert splits.of_classes(np.array([2, 0]), 3, None)[1].tolist() == [2, 0]


@pytest.mark.parametrize('chosen, said', [
    ([-1, 0], 'chosen holds -1'), ([0, 3], 'chosen holds 3 and there are 3 classes'),
    ([2, 0], 'in rising order'), ([1, 1], 'each chosen class once')])
def test_classes_that_are_chosen_are_some_of_the_set(chosen, said):
  assert said in line(splits.keep_classes, small_set(), chosen)


@pytest.mark.parametrize('n', [0, 2])
@pytest.mark.parametrize('wrong', [-1, 3])
def test_a_balanced_choice_takes_no_label_of_another_class(n, wrong):
  assert f'train_labels of x holds {wrong} and there are 3 classes' in line(
      splits.balanced, 'x', ('a', 'b', 'c'), 'train', np.array([0, 1, wrong]), n, 0)


@pytest.mark.parametrize('split', ['train', 'test'])
@pytest.mark.parametrize('wrong', [-1, 3])
def test_a_set_made_by_hand_is_looked_through(split, wrong):
  data = small_set()
  own = getattr(data, f'{split}_labels').copy()
  own[1] = wrong
  data = data._replace(**{f'{split}_labels': own})
  for make in (lambda: splits.take(data, 3, 3, 0), lambda: splits.keep_classes(data, [0, 1])):
    assert f'holds {wrong}' in line(make)
  assert 'row 1 is the first' in line(dataset.assemble, *data[:6])


def test_streamed_records_of_a_class_that_is_not_there(tmp_path):
  """As `streaming.load` has them: the class of a record, from its file."""
  split = made_up.write(str(tmp_path), [b'x'] * 4, [0, 1, 7, 1], 2)
  found = labels.of(split)
  assert line(splits.of_classes, found, 2, None, split.name) == (
      'made up, split train holds 7 and there are 2 classes; labels must be 0 to 1: '
      'row 2 is the first that is not')


def test_check_takes_what_are_classes():
  for total in (None, 3):
    labels.check('x', np.array([0, 2, 1], np.uint64), total)
    labels.check('x', np.zeros(0, np.int32), total)
    assert 'object 1 is the first' in line(labels.check, 'x', [0, -2], total, 'object')
