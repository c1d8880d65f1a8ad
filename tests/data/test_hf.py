"""Sets of Hugging Face `datasets`, from folders: the same pixels and splits as from a folder of images."""

import os
import sys

import numpy as np
import PIL.Image
import pytest

from folders import content, plain, smooth, write
from daas_jax.data import dataset, pictures, sources, splits
from daas_jax.errors import BadInput

Reading = pictures.Reading


@pytest.fixture(name='hub', scope='module')
def hub_fixture(tmp_path_factory):
  """`datasets`, that keeps what it converts in a folder of the test and asks no network."""
  os.environ.setdefault('HF_HUB_OFFLINE', '1')
  hub = pytest.importorskip('datasets', reason='the package datasets is not installed')
  hub.disable_progress_bars()
  return hub


def made(hub, files, names=('cat', 'dog'), column='image', **more):
  """A DatasetDict of {split/class/file: pixels}, `more` its other columns: [(name, feature, values)]."""
  found = {}
  for path, pixels in files.items():
    split, name, _ = path.split('/')
    row = found.setdefault(split, {column: [], 'label': []})
    row[column].append({'bytes': pixels if isinstance(pixels, bytes) else content(pixels), 'path': None})
    row['label'].append(names.index(name))
  features = hub.Features({column: hub.Image(), 'label': hub.ClassLabel(names=list(names))})
  return hub.DatasetDict({split: hub.Dataset.from_dict(rows, features=features) for split, rows in found.items()})


def loaded(folder, tmp_path, reading=Reading(), **options):
  return sources.load(f'hf:{folder}', str(tmp_path / 'cache'), reading, **options)


def same(data, other):
  for field in ('train_images', 'train_labels', 'test_images', 'test_labels', 'class_names', 'mean', 'std'):
    np.testing.assert_array_equal(getattr(data, field), getattr(other, field))
  for half, others in zip(data.halves or (), other.halves or (), strict=True):
    np.testing.assert_array_equal(half, others)


@pytest.mark.parametrize('kind', ['saved', 'parquet', 'imagefolder'])
def test_every_folder_of_theirs_is_the_set_of_the_folder_of_images(hub, tmp_path, kind):
  """Odd sizes, JPEGs that are turned, and a validation set of its own."""
  files = {}
  rng = np.random.default_rng(0)
  for split in ('train', 'validation', 'test'):
    for name in ('cat', 'dog'):
      for i in range(3):
        pixels = smooth(rng, *rng.integers(10, 40, 2))
        files[f'{split}/{name}/{i}.jpg'] = content(pixels, 'JPEG', orientation=6 if i == 1 else None)
  want = sources.load(write(tmp_path / 'images', files), None, Reading(12))
  where = tmp_path / ('images' if kind == 'imagefolder' else 'set')
  if kind == 'saved':
    made(hub, files).save_to_disk(where)
  elif kind == 'parquet':
    (where / 'data').mkdir(parents=True)
    for split, rows in made(hub, files).items():
      rows.to_parquet(where / 'data' / f'{split}-00000-of-00001.parquet')
  data = loaded(where, tmp_path, Reading(12))
  assert data.name == f'hf:{where}' and [len(half) for half in data.halves] == [6, 6]
  same(data, want)
  assert sources.facts(f'hf:{where}', str(tmp_path / 'cache'), Reading(12)) == ((12, 12, 3), 2)


def test_a_validation_split_alone_is_the_test_set(hub, tmp_path, capsys):
  files = plain(('train', 'validation'))
  made(hub, files).save_to_disk(tmp_path / 'set')
  data = loaded(tmp_path / 'set', tmp_path)
  assert data.halves is None and len(data.test_labels) == 6
  np.testing.assert_array_equal(data.test_images[0], files['validation/cat/0.png'])
  assert 'the validation images are the test set' in capsys.readouterr().err


def test_train_alone_gives_a_fifth(hub, tmp_path):
  made(hub, plain(('train',), each=10))['train'].save_to_disk(tmp_path / 'set')  # one split, without a dict
  data = loaded(tmp_path / 'set', tmp_path)
  assert np.bincount(data.test_labels).tolist() == [2, 2] and np.bincount(data.train_labels).tolist() == [8, 8]


def test_another_split_may_be_the_validation_set(hub, tmp_path):
  files = plain(('train', 'validation', 'extra'))
  made(hub, files).save_to_disk(tmp_path / 'set')
  data = loaded(tmp_path / 'set', tmp_path, val_split='extra')
  _, rows = splits.of(data, 0, 0.5)
  np.testing.assert_array_equal(data.train_images[rows][3], files['extra/dog/0.png'])
  np.testing.assert_array_equal(data.test_images[3], files['validation/dog/0.png'])
  for wrong in ('train', 'none'):
    with pytest.raises(BadInput, match="set data.val_split to 'validation' or 'extra' or ''") as info:
      loaded(tmp_path / 'set', tmp_path, val_split=wrong)
    assert '\n' not in str(info.value)


def test_a_test_split_without_classes_is_passed_over(hub, tmp_path, capsys):
  files = made(hub, plain(('train', 'validation', 'test')))
  files['test'] = files['test'].map(lambda row: {'label': -1}, load_from_cache_file=False)
  files.save_to_disk(tmp_path / 'set')
  data = loaded(tmp_path / 'set', tmp_path)
  assert data.halves is None and np.bincount(data.test_labels).tolist() == [3, 3]
  assert 'split test is unlabelled' in capsys.readouterr().err


def test_the_columns_are_found_by_their_features(hub, tmp_path):
  files = plain(('train', 'test'))
  found = made(hub, files, column='picture')
  fine = hub.ClassLabel(names=list('abc'))
  more = hub.DatasetDict({split: rows.add_column('fine', [0, 1, 2] * 2).cast_column('fine', fine)
                          for split, rows in found.items()})
  more.save_to_disk(tmp_path / 'more')
  assert loaded(tmp_path / 'more', tmp_path).class_names == ('cat', 'dog')
  assert loaded(tmp_path / 'more', tmp_path, label='fine').class_names == ('a', 'b', 'c')
  more.rename_column('label', 'coarse').save_to_disk(tmp_path / 'both')
  for label, says in (('', 'several columns of classes: set data.hf_label to one of coarse, fine'),
                      ('picture', "'picture' is no column of classes: set data.hf_label to one of coarse, fine")):
    with pytest.raises(BadInput, match=says):
      loaded(tmp_path / 'both', tmp_path, label=label)
  for left, says in (('picture', r'none of images \(datasets.Image\)'), ('label', 'none of classes .*class_encode_column')):
    found.remove_columns([left]).save_to_disk(tmp_path / left)
    with pytest.raises(BadInput, match=says) as info:
      loaded(tmp_path / left, tmp_path)
    assert '\n' not in str(info.value)


def test_damaged_images_are_named_by_their_row(hub, tmp_path):
  made(hub, plain() | {'train/cat/2.png': b'no image'}).save_to_disk(tmp_path / 'set')
  with pytest.raises(BadInput, match='1 of 12 image files cannot be decoded, the first is row 2 of split train'):
    loaded(tmp_path / 'set', tmp_path)
  data = loaded(tmp_path / 'set', tmp_path, Reading(skip_damaged=True))
  assert np.bincount(data.train_labels).tolist() == [2, 3]


def test_a_set_without_train(hub, tmp_path):
  made(hub, plain(('test',))).save_to_disk(tmp_path / 'set')
  with pytest.raises(BadInput, match='has the splits test; choose a set with train'):
    loaded(tmp_path / 'set', tmp_path)


@pytest.mark.parametrize('name', ['/no/such/folder', 'no_such_set_of_anybody', 'no_such/set:configuration'])
def test_what_cannot_be_loaded_is_one_line(hub, tmp_path, name):
  with pytest.raises(BadInput) as info:
    loaded(name, tmp_path)
  line = str(info.value)
  assert line.startswith(f'hf:{name}: ') and '\n' not in line and len(line) < 400


def test_a_file_is_no_set(hub, tmp_path):
  (tmp_path / 'a.parquet').write_bytes(b'')
  with pytest.raises(BadInput, match='is a file: give the folder that holds it'):
    loaded(tmp_path / 'a.parquet', tmp_path)


def test_pixels_are_those_of_the_file(hub, tmp_path):
  """Not of what `datasets` decodes."""
  grey = np.asarray(PIL.Image.fromarray(smooth(np.random.default_rng(0))).convert('L'))
  files = {f'{split}/{name}/{i}.png': grey for split in ('train', 'test') for name in ('cat', 'dog') for i in range(2)}
  made(hub, files).save_to_disk(tmp_path / 'set')
  data = loaded(tmp_path / 'set', tmp_path)
  assert data.train_images.shape == (4, 20, 20, 1) and data.mean == dataset.mean_std(grey[None, ..., None])[0]


def test_the_package_that_is_missing_is_one_line(monkeypatch):
  monkeypatch.setitem(sys.modules, 'datasets', None)
  with pytest.raises(BadInput, match=r"needs the package datasets: run pip install .*\[hf\]'") as info:
    sources.load('hf:mnist')
  assert '\n' not in str(info.value)
