import fractions
import math
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from fake_sets import prepared
from daas_jax.data import dataset, sources
from daas_jax.errors import BadInput


def arrays(n=12, classes=3, shape=(5, 4, 3)):
  rng = np.random.default_rng(0)
  return {'train_images': rng.integers(0, 256, (n, *shape), np.uint8),
          'train_labels': np.arange(n) % classes,
          'test_images': rng.integers(0, 256, (4, *shape), np.uint8),
          'test_labels': np.arange(4) % classes}


def saved(tmp_path, **changes):
  """The name of an .npz file of arrays() with changes; a key whose change is None is left out."""
  path = tmp_path / 'set.npz'
  np.savez(path, **{k: v for k, v in {**arrays(), **changes}.items() if v is not None})
  return f'arrays:{path}'


def one_line(info):
  message = str(info.value)
  assert '\n' not in message and message
  return message


def test_embedded_is_the_packaged_one():
  data = sources.load('embedded')
  assert data.name == 'embedded'
  assert data.train_images.shape == (4000, 28, 28, 1) and data.test_images.shape == (2000, 28, 28, 1)
  assert data.train_images.dtype == np.uint8 and data.train_labels.dtype == np.int32
  assert np.array_equal(np.bincount(data.train_labels), [400] * 10)
  assert np.array_equal(np.bincount(data.test_labels), [200] * 10)
  assert dataset.content_digest(*data[1:5]) == sources.EMBEDDED_SHA256
  assert data.class_names == sources.FASHION_CLASSES
  pixels = data.train_images.astype(np.float64) / 255
  assert data.mean == pytest.approx((pixels.mean(),), rel=1e-12)
  assert data.std == pytest.approx((pixels.std(),), rel=1e-12)


def test_embedded_folder_is_small_and_names_its_licence():
  sizes = [entry.stat().st_size for entry in os.scandir(sources.EMBEDDED_DIR)]
  assert sum(sizes) <= 4e6
  with open(os.path.join(sources.EMBEDDED_DIR, 'LICENSE'), encoding='utf-8') as file:
    text = file.read()
  assert 'MIT License' in text and 'Zalando SE' in text and '2017' in text


def truncate(path):
  os.truncate(path, os.path.getsize(path) // 2)


def change_one_pixel(path):
  with np.load(path) as file:
    content = dict(file)
  content['train_values'][0] ^= 1
  np.savez(path, **content)


def drop_values(path):
  with np.load(path) as file:
    np.savez(path, **{k: v for k, v in dict(file).items() if k != 'test_values'})


def shorten_values(path):
  with np.load(path) as file:
    content = dict(file)
  np.savez(path, **{**content, 'test_values': content['test_values'][:-1]})


@pytest.mark.parametrize('damage', [os.remove, truncate, change_one_pixel, drop_values, shorten_values])
def test_damaged_embedded_files(tmp_path, monkeypatch, damage):
  shutil.copy(os.path.join(sources.EMBEDDED_DIR, sources.EMBEDDED_FILE), tmp_path)
  monkeypatch.setattr(sources, 'EMBEDDED_DIR', str(tmp_path))
  damage(str(tmp_path / sources.EMBEDDED_FILE))
  with pytest.raises(BadInput) as info:
    sources.load('embedded')
  assert 'python -m daas_jax.prepare embedded --source=DIR' in one_line(info)


def test_import_is_light():
  code = 'import sys, daas_jax.data.sources; sys.exit(bool({"tensorflow_datasets", "jax"} & {*sys.modules}))'
  assert subprocess.run([sys.executable, '-c', code], check=False, timeout=60).returncode == 0


def test_arrays_come_back_as_they_are(tmp_path):
  want = arrays()
  data = sources.load(saved(tmp_path, class_names=np.array(['a', 'b', 'ç'])))
  for key, value in want.items():
    assert np.array_equal(getattr(data, key), value)
  assert data.class_names == ('a', 'b', 'ç')
  assert data.train_labels.dtype == data.test_labels.dtype == np.int32
  pixels = want['train_images'].astype(np.float64).reshape(-1, 3) / 255
  assert data.mean == pytest.approx(tuple(pixels.mean(0)), rel=1e-13)
  assert data.std == pytest.approx(tuple(pixels.std(0)), rel=1e-13)


def test_arrays_without_channels_or_names(tmp_path):
  want = arrays(shape=(5, 4))
  data = sources.load(saved(tmp_path, train_images=want['train_images'], test_images=want['test_images'],
                            class_names=np.array([b'x', b'y', b'z'])))
  assert data.train_images.shape == (12, 5, 4, 1) and data.class_names == ('x', 'y', 'z')
  assert sources.load(saved(tmp_path)).class_names == ('0', '1', '2')


def test_mean_std_against_exact_fractions():
  images = np.random.default_rng(3).integers(0, 256, (3, 700, 701, 2), np.uint8)  # more than one piece
  images[..., 1] = 7
  mean, std = dataset.mean_std(images)
  values = [int(v) for v in images[..., 0].reshape(-1)[:]]
  exact = fractions.Fraction(sum(values), 255 * len(values))
  variance = fractions.Fraction(sum(v * v for v in values), 255**2 * len(values)) - exact**2
  assert mean[0] == float(exact)
  assert std[0] == pytest.approx(math.sqrt(variance), rel=1e-15)
  assert (mean[1], std[1]) == (7 / 255, 1.0)


def test_arrays_may_have_a_validation_set(tmp_path):
  want, val = arrays(), {'val_images': arrays()['train_images'][::-1][:5], 'val_labels': np.arange(5) % 3}
  data = sources.load(saved(tmp_path, **val))
  rows, val_rows = data.halves
  np.testing.assert_array_equal(data.train_images[rows], want['train_images'])
  np.testing.assert_array_equal(data.train_labels[val_rows], val['val_labels'])
  np.testing.assert_array_equal(data.train_images[val_rows], val['val_images'])
  assert (data.mean, data.std) == dataset.mean_std(want['train_images'])


VAL = {'val_images': arrays()['train_images'], 'val_labels': arrays()['train_labels']}


@pytest.mark.parametrize('changes, words', [
    (dict(val_images=VAL['val_images']), 'it has val_images and no val_labels: give both or neither'),
    (VAL | dict(val_labels=np.arange(11)), '12 val_images and 11 val_labels'),
    (VAL | dict(val_labels=np.arange(12) % 4), 'val_labels holds 3 and there are 3 classes'),
    (VAL | dict(val_images=np.zeros((12, 5, 5, 3), np.uint8)), '5x4x3 and validation images 5x5x3'),
    (dict(train_images=None), 'no train_images among its keys'),
    (dict(train_labels=None, test_labels=None), 'no train_labels, test_labels among'),
    (dict(train_images=arrays()['train_images'] / 255), 'train_images has type float64; give uint8'),
    (dict(test_images=arrays()['test_images'].astype(np.int32)), 'test_images has type int32'),
    (dict(train_images=np.zeros((12, 5), np.uint8)), r'shape [12, 5]'),
    (dict(train_images=np.zeros((12, 3, 32, 32), np.uint8)), 'C at most 4'),
    (dict(train_images=np.zeros((12, 0, 4, 3), np.uint8)), r'shape [12, 0, 4, 3]'),
    (dict(train_images=np.zeros((0, 5, 4, 3), np.uint8), train_labels=np.zeros(0, int)), 'train is empty'),
    (dict(test_images=np.zeros((0, 5, 4, 3), np.uint8), test_labels=np.zeros(0, int)), 'test is empty'),
    (dict(test_images=np.zeros((4, 5, 5, 3), np.uint8)), '5x4x3 and test images 5x5x3'),
    (dict(train_labels=np.arange(11)), '12 train_images and 11 train_labels'),
    (dict(train_labels=np.arange(12) % 3 / 1), 'train_labels has type float64'),
    (dict(train_labels=np.arange(12) % 2 == 0), 'train_labels has type bool'),
    (dict(train_labels=np.eye(12, dtype=int)), 'shape [12, 12]'),
    (dict(train_labels=np.arange(12) % 3 - 1), 'train_labels holds -1'),
    (dict(train_labels=np.arange(12) % 3 + 1), 'no training image has label 0'),
    (dict(train_labels=np.array([0, 1, 3] * 4, np.uint64)), 'no training image has label 2'),
    (dict(test_labels=np.array([0, 1, 2, 3])), 'test_labels holds 3 and there are 3 classes'),
    (dict(class_names=np.array(['a', 'b'])), 'train_labels holds 2 and there are 2 classes'),
    (dict(class_names=np.array([1, 2, 3])), 'class_names has type int64'),
    (dict(class_names=np.array(['a', 'b', None], object)), 'no readable .npz file'),
])
def test_bad_arrays(tmp_path, changes, words):
  name = saved(tmp_path, **changes)
  with pytest.raises(BadInput) as info:
    sources.load(name)
  assert words in one_line(info) and one_line(info).startswith(name)


def write_npy(path):
  np.save(path, np.zeros(3))
  os.replace(str(path) + '.npy', path)


@pytest.mark.parametrize('write', [
    lambda path: None,
    os.mkdir,
    lambda path: open(path, 'wb').close(),
    lambda path: open(path, 'wb').write(b'text\n' * 9),
    write_npy,
])
def test_no_npz_file(tmp_path, write):
  path = tmp_path / 'file'
  write(path)
  with pytest.raises(BadInput) as info:
    sources.load(f'arrays:{path}')
  assert 'numpy.savez' in one_line(info)


@pytest.mark.parametrize('compressed', [False, True])
def test_truncated_or_damaged_npz(tmp_path, compressed):
  path = tmp_path / 'set.npz'
  (np.savez_compressed if compressed else np.savez)(path, **arrays())
  whole = path.read_bytes()
  for content in (whole[:len(whole) // 2], whole[:-1], whole[:300] + bytes(40) + whole[340:]):
    path.write_bytes(content)
    with pytest.raises(BadInput, match='no readable .npz file'):
      sources.load(f'arrays:{path}')


@pytest.mark.parametrize('name, near', [
    ('embeded', 'embedded'), ('Embedded', 'embedded'), ('cifar10', 'tfds:cifar10'),
    ('fashion-mnist', 'tfds:fashion_mnist'),
    ('tfds:cifr10', 'tfds:cifar10'), ('tfds:', 'tfds:NAME'), ('arrays:', 'arrays:FILE.npz'), ('', 'embedded'),
    (None, 'embedded'), ('tfds:../secret', 'tfds:NAME'), ('tfds:huggingface:mnist', 'tfds:'),
])
def test_unknown_names(name, near, tmp_path):
  with pytest.raises(BadInput) as info:
    sources.load(name, str(tmp_path))
  assert one_line(info).startswith('unknown data set') and near in one_line(info).partition('nearest: ')[2]


def test_unprepared_sets_name_their_command(tmp_path):
  folder = str(tmp_path / 'my data')
  with pytest.raises(BadInput) as info:
    sources.load('tfds:cifar10', folder)
  assert f"run: python -m daas_jax.prepare cifar10 --data_dir='{folder}'" in one_line(info)
  with pytest.raises(BadInput) as info:
    sources.load('tfds:svhn_cropped', folder)
  assert "tfds.builder('svhn_cropped', file_format='array_record'" in one_line(info)
  assert not os.path.exists(folder)


@pytest.mark.parametrize('name, words', [('tfds:emnist/foo', 'cannot open it'),
                                         ('tfds:cifar10:9.9.9', 'cannot open it'),
                                         ('tfds:ag_news_subset', 'no image classification set')])
def test_tfds_names_that_cannot_serve(name, words, tmp_path):
  with pytest.raises(BadInput) as info:
    sources.load(name, str(tmp_path))
  assert words in one_line(info)


def pictures(*sizes):
  rng = np.random.default_rng(0)
  return [(rng.integers(0, 256, (h, w, 3), np.uint8), i % 2) for i, (h, w) in enumerate(sizes)]


def test_a_set_that_tfds_has_no_code_of(tmp_path):
  examples = pictures((4, 5), (4, 5), (4, 5))
  prepared(tmp_path, examples, splits=('train', 'validation'))
  data = sources.load('tfds:tiny', str(tmp_path))
  got = {image.tobytes(): label for image, label in zip(data.train_images, data.train_labels)}
  assert got == {image.tobytes(): label for image, label in examples}
  assert data.class_names == ('a', 'b') and data.test_images.shape == (3, 4, 5, 3)


def test_images_of_several_sizes(tmp_path):
  prepared(tmp_path, pictures((4, 5), (4, 6)))
  with pytest.raises(BadInput, match='several sizes'):
    sources.load('tfds:tiny', str(tmp_path))


def test_a_set_without_test_images(tmp_path):
  prepared(tmp_path, pictures((4, 5)), splits=('train',))
  with pytest.raises(BadInput, match='has the splits train; choose'):
    sources.load('tfds:tiny', str(tmp_path))


@pytest.mark.parametrize('file, change, words', [
    ('dataset_info.json', truncate, 'cannot open it'),
    ('dataset_info.json', os.remove, ''),
    ('tiny-test.array_record-00000-of-00001', os.remove, 'lacks files'),
    ('tiny-train.array_record-00000-of-00001', truncate, 'split train under'),
    ('tiny-train.array_record-00000-of-00001', lambda path: os.truncate(path, 0), 'split train under'),
])
def test_damaged_prepared_sets(tmp_path, file, change, words):
  folder = prepared(tmp_path, pictures((4, 5), (4, 5)))
  change(os.path.join(folder, file))
  with pytest.raises(BadInput) as info:
    sources.load('tfds:tiny', str(tmp_path))
  assert words in one_line(info)


def test_a_format_that_needs_tensorflow(tmp_path):
  folder = prepared(tmp_path, pictures((4, 5)))
  path = os.path.join(folder, 'dataset_info.json')
  with open(path, encoding='utf-8') as file:
    text = file.read()
  with open(path, 'w', encoding='utf-8') as file:
    file.write(text.replace('array_record', 'tfrecord'))
  for name in os.listdir(folder):
    os.rename(os.path.join(folder, name), os.path.join(folder, name.replace('array_record', 'tfrecord')))
  with pytest.raises(BadInput, match='was prepared as tfrecord, which needs TensorFlow'):
    sources.load('tfds:tiny', str(tmp_path))
