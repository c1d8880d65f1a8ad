"""Sets with ':field' behind their name: which images are photographs, and which are never."""

import numpy as np
import pytest

from daas_jax.augment import camera
from daas_jax.config import search_config, schema, train_config
from daas_jax.data import dataset, field, select, sources, splits
from daas_jax.errors import BadInput

STUDIO = splits.take(sources.load('embedded'), 200, 30, 0)


@pytest.fixture(scope='module')
def small(tmp_path_factory):
  """The name of a set of the images of STUDIO."""
  path = tmp_path_factory.mktemp('sets') / 'small.npz'
  np.savez(path, **{key: getattr(STUDIO, key) for key in ('train_images', 'train_labels', 'test_images', 'test_labels')})
  return f'arrays:{path}:field'


def selected(name, make=search_config, **changes):
  config = make()
  config.data.update({'name': name, **changes})
  return select.from_config(config)


def test_d_val_and_the_test_images_are_photographs_and_d_train_is_not(small, capsys):
  data = selected(small)
  train, val = data.halves
  assert data.name == small
  assert len(train) == len(val) == 100
  assert np.array_equal(np.bincount(data.train_labels[train]), [10] * 10)
  assert np.array_equal(np.sort(np.concatenate(data.halves)), np.arange(200))
  assert np.array_equal(data.train_labels, STUDIO.train_labels)
  assert np.array_equal(data.train_images[train], STUDIO.train_images[train])
  assert np.array_equal(data.train_images[val], camera.photographs(STUDIO.train_images, 0)[val])
  assert np.array_equal(data.test_images, camera.photographs(STUDIO.test_images, 1))
  assert (data.mean, data.std) == dataset.mean_std(STUDIO.train_images[train])
  assert 'photographs' in capsys.readouterr().err


def test_another_seed_is_another_split_of_the_same_photographs():
  one, other = (field.validated(STUDIO, seed, 0.5) for seed in (0, 1))
  assert not np.array_equal(one.halves[1], other.halves[1])
  both = np.intersect1d(one.halves[1], other.halves[1])
  assert len(both) and np.array_equal(one.train_images[both], other.train_images[both])


def test_d_val_of_a_training_is_part_of_the_search_s(small):
  search, train = selected(small), selected(small, train_config)
  assert [len(rows) for rows in train.halves] == [180, 20]
  assert np.isin(train.halves[1], search.halves[1]).all()


def test_fewer_images_and_classes(small):
  data = selected(small, n_train=30, n_test=6, classes=3)
  assert len(data.train_labels) == 30 and [len(rows) for rows in data.halves] == [15, 15]
  whole = {image.tobytes() for image in sources.load(small).test_images}
  assert all(image.tobytes() in whole for image in data.test_images)  # those of the whole set


def test_a_set_with_validation_images_of_its_own(tmp_path):
  images, labels = STUDIO.train_images[:30], np.arange(30) % 3
  np.savez(tmp_path / 'set.npz', train_images=images[:12], train_labels=labels[:12], val_images=images[12:21],
           val_labels=labels[12:21], test_images=images[21:], test_labels=labels[21:])
  data = selected(f'arrays:{tmp_path}/set.npz:field')
  assert np.array_equal(data.train_images[:12], images[:12])
  assert np.array_equal(data.train_images[12:], camera.photographs(images[:21], 0)[12:])


def test_size_and_classes_are_the_set_s():
  assert sources.facts('embedded:field') == sources.facts('embedded')


@pytest.mark.parametrize('changes', [{'data.stream': True, 'data.name': 'tfds:cifar10:field'},
                                     {'data.name': 'scenes:embedded:field', 'network.name': 'anchor_free',
                                      'method': 'ddas'}])
def test_neither_streamed_nor_of_scenes(changes):
  config = search_config(changes.pop('method', 'daas'))
  for key, value in changes.items():
    group, leaf = key.split('.')
    config[group][leaf] = value
  with pytest.raises(BadInput, match="':field' is for sets in memory") as info:
    schema.check(config, 'search')
  assert '\n' not in str(info.value)


def test_an_unknown_set_is_refused_as_without_it():
  with pytest.raises(BadInput, match='nearest: embedded'):
    sources.load('embeded:field')
