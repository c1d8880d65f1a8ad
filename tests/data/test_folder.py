"""A user's own images in folders: which are read, as what pixels, and the line where they cannot be."""

import os

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest

import commands
import folders
from folders import content, plain, smooth, write
from daas_jax import config as config_lib
from daas_jax.data import dataset, pictures, select, sources, splits
from daas_jax.errors import BadInput
from test_decode import COLOURS, RAMP, png

Reading = pictures.Reading


def one(folder, files, reading=Reading()):
  """The image of each of some files, {name: array}, read as one set."""
  places = 'train/x', 'train/x/again', 'train/y', 'train/y/again', 'test/x'
  write(folder, {f'{place}/{name}': what for place in places for name, what in files.items()})
  data = sources.load(f'folder:{folder}', None, reading)
  return dict(zip(sorted(files), data.test_images))


# Which files are which.

def test_train_and_test(tmp_path, capsys):
  files = plain(classes=('cat', 'Dog'))
  data = sources.load(write(tmp_path, files))
  assert data.class_names == ('Dog', 'cat') and data.halves is None
  assert data.train_labels.tolist() == data.test_labels.tolist() == [0, 0, 0, 1, 1, 1]
  for split in ('train', 'test'):
    want = [files[f'{split}/{name}/{i}.png'] for name in ('Dog', 'cat') for i in range(3)]
    np.testing.assert_array_equal(getattr(data, f'{split}_images'), want)
  assert (data.mean, data.std) == dataset.mean_std(data.train_images)
  assert capsys.readouterr().err == ''


@pytest.mark.parametrize('name', ['val', 'Validation', 'valid'])
def test_validation_images_beside_a_test_set_are_d_val(tmp_path, name):
  files = plain(('train', name, 'test'), each=4)
  data = sources.load(write(tmp_path, files))
  rows, val_rows = splits.of(data, 1, 0.5)
  assert len(rows) == len(val_rows) == 8
  np.testing.assert_array_equal(data.train_images[val_rows],
                                [files[f'{name}/{c}/{i}.png'] for c in ('cat', 'dog') for i in range(4)])
  assert (data.mean, data.std) == dataset.mean_std(data.train_images[rows])


def test_validation_images_alone_are_the_test_set(tmp_path, capsys):
  files = plain(('train', 'val'))
  data = sources.load(write(tmp_path, files))
  assert data.halves is None
  np.testing.assert_array_equal(data.test_images[0], files['val/cat/0.png'])
  said = capsys.readouterr().err
  assert 'the validation images are the test set, and D_val is split from the training' in said and said.count('\n') == 1


@pytest.mark.parametrize('split', ['', 'train'])
def test_a_fifth_of_each_class_is_the_test_set_where_there_is_none(tmp_path, capsys, split):
  files = plain((split,), each=10)
  name = write(tmp_path, files)
  data = sources.load(name)
  assert np.bincount(data.test_labels).tolist() == [2, 2] and np.bincount(data.train_labels).tolist() == [8, 8]
  found = [image.tobytes() for image in (*data.train_images, *data.test_images)]
  assert sorted(found) == sorted(image.tobytes() for image in files.values())
  assert 'note: ' + name + ' has no test images: 4 of its 20' in capsys.readouterr().err
  again = sources.load(name)
  np.testing.assert_array_equal(data.test_images, again.test_images)


def test_a_folder_of_a_class_may_be_called_train(tmp_path):
  assert sources.load(write(tmp_path, plain(('',), ('plane', 'train')))).class_names == ('plane', 'train')


def test_what_is_no_image_is_left_out_and_counted(tmp_path, capsys):
  files = plain(('train', 'test'))
  files |= {'train/cat/sub/deep.PNG': files['train/cat/0.png'], 'train/cat/x.JPEG': content(smooth(np.random.default_rng(1)), 'JPEG'),
            'train/cat/notes.txt': b'', 'train/cat/.0.png': b'', 'train/dog/a.gif': b'', 'train/readme.md': b'',
            'train/.hidden/0.png': b'', 'labels.csv': b'', 'test/cat/.DS_Store': b''}
  name = write(tmp_path, files)
  data = sources.load(name)
  assert np.bincount(data.train_labels).tolist() == [5, 3]
  said = capsys.readouterr().err
  assert said.count('\n') == 1 and f'note: {name}: 6 files that are no images' in said


# Pixels.

def test_the_container_does_not_matter(tmp_path):
  pixels = smooth(np.random.default_rng(0), 21, 17)
  found = one(tmp_path, {
      'a.png': pixels, 'b.bmp': content(pixels, 'BMP'), 'c.webp': content(pixels, 'WEBP', lossless=True),
      'd.png': png(pixels.astype(np.uint16) * 256 + 77, 2),  # 16 bits
      'e.png': content(np.dstack([pixels, pixels[..., 0]])),  # transparent
      'f.webp': content(np.dstack([pixels, pixels[..., 0] | 1]), 'WEBP', lossless=True, exact=True)})
  assert len(found) == 6
  for image in found.values():
    np.testing.assert_array_equal(image, pixels)


def test_one_channel_where_every_image_is_grey(tmp_path):
  grey = smooth(np.random.default_rng(0), 16, 16, 1)
  palette = PIL.Image.fromarray(255 - grey).convert('P')
  palette.putpalette(np.repeat(np.arange(256)[::-1], 3).astype(np.uint8).tobytes())
  files = {'a.png': grey, 'b.png': png(grey[..., None].astype(np.uint16) * 256 + 9, 0),
           'c.bmp': content(grey, 'BMP'), 'd.png': content(palette),
           'e.png': content(PIL.Image.fromarray(np.dstack([grey, grey]), 'LA'))}
  found = one(tmp_path / 'grey', files)
  for image in found.values():
    np.testing.assert_array_equal(image, grey[..., None])
  found = one(tmp_path / 'both', files | {'f.png': COLOURS[:16, :16].astype(np.uint8)})
  for name in files:
    np.testing.assert_array_equal(found[name], np.repeat(grey[..., None], 3, -1))


def test_files_of_every_mode(tmp_path):
  level = PIL.Image.fromarray(np.full((16, 16), 77, np.uint8))
  files = {'a.jpg': content(level, 'JPEG'), 'b.jpg': content(level, 'JPEG', 'CMYK'), 'c.jpg': content(level, 'JPEG', 'RGB'),
           'd.png': content(level, mode='P'), 'e.png': content(level, mode='RGBA'), 'f.png': content(level.point(lambda v: 255), mode='1')}
  for name, image in one(tmp_path, files).items():
    assert image.shape == (16, 16, 3) and np.abs(image.astype(int) - (255 if name == 'f.png' else 77)).max() <= 2, name


@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP'])
@pytest.mark.parametrize('side', [0, 12])
def test_images_are_turned_as_their_exif_says(tmp_path, kind, side):
  upright = smooth(np.random.default_rng(0), 24, 16)
  options = {'quality': 95, 'subsampling': 0} if kind == 'JPEG' else {'lossless': True} if kind == 'WEBP' else {}
  suffix = kind.lower()
  files = {f'a.{suffix}': content(upright, kind, **options)}
  undo = {2: 2, 3: 3, 4: 4, 5: 5, 6: 8, 7: 7, 8: 6}
  for orientation, inverse in undo.items():
    stored = PIL.Image.fromarray(upright)
    stored.getexif()[0x0112] = inverse
    stored = PIL.ImageOps.exif_transpose(stored)
    stored = PIL.Image.fromarray(np.asarray(stored))
    assert stored.size == ((24, 16) if orientation > 4 else (16, 24))
    files[f'b{orientation}.{suffix}'] = content(stored, kind, orientation=orientation, **options)
  found = one(tmp_path, files, Reading(side))
  first = found[f'a.{suffix}']
  assert first.shape == ((12, 12, 3) if side else (24, 16, 3))
  if kind != 'JPEG' and not side:
    np.testing.assert_array_equal(first, upright)
  for name, image in found.items():
    away = np.abs(image.astype(int) - first)
    if kind == 'JPEG':
      assert away.mean() < 2, name
    else:  # the middle of an image lies between pixels: turned, it is rounded the other way
      assert away.max() <= (1 if side else 0), name


@pytest.mark.parametrize('exif', [b'Exif\0\0garbage', b'Exif\0\0II*\0' + b'\xff' * 40, 9],
                         ids=['no', 'short', 'of no turn'])
def test_a_damaged_exif_is_no_damage(tmp_path, exif):
  pixels = smooth(np.random.default_rng(0), 16, 20)
  file = content(pixels, 'JPEG', orientation=exif) if isinstance(exif, int) else content(pixels, 'JPEG', exif=exif)
  found = one(tmp_path, {'a.jpg': file, 'b.jpg': content(pixels, 'JPEG')})
  np.testing.assert_array_equal(found['a.jpg'], found['b.jpg'])


def test_the_chunk_of_a_png_may_lie_behind_its_pixels(tmp_path):
  pixels = smooth(np.random.default_rng(0), 16, 16)
  whole = content(PIL.Image.fromarray(np.rot90(pixels)), orientation=6)
  start = whole.index(b'eXIf') - 4
  length = int.from_bytes(whole[start:start + 4], 'big') + 12
  end = whole.index(b'IEND') - 4
  moved = whole[:start] + whole[start + length:end] + whole[start:start + length] + whole[end:]
  assert moved.index(b'eXIf') > moved.index(b'IDAT')
  np.testing.assert_array_equal(one(tmp_path, {'a.png': moved, 'b.png': pixels})['a.png'], pixels)


def test_a_side_takes_the_middle_or_all_of_it(tmp_path):
  rng = np.random.default_rng(0)
  wide = smooth(rng, 20, 40)
  files = {'a.png': wide, 'b.png': smooth(rng, 31, 17), 'c.jpg': content(smooth(rng, 200, 333), 'JPEG')}
  crop = one(tmp_path, files, Reading(20))
  np.testing.assert_array_equal(crop['a.png'], wide[:, 10:30])
  pad = one(tmp_path, files, Reading(40, 'pad'))
  np.testing.assert_array_equal(pad['a.png'][10:30], wide)
  assert not pad['a.png'][:10].any() and not pad['a.png'][30:].any()
  assert not pad['b.png'][:, :8].any() and pad['b.png'][:, 20].any(-1).all()
  rows = np.flatnonzero(pad['c.jpg'].any((1, 2)))
  assert (rows[0], rows[-1]) == (8, 31) and pad['c.jpg'][20].any(-1).all()  # 24 of 40 rows
  stretch = one(tmp_path, files, Reading(20, 'stretch'))
  want = PIL.Image.fromarray(wide).resize((20, 20), PIL.Image.Resampling.BILINEAR)
  np.testing.assert_array_equal(stretch['a.png'], want)
  # A JPEG that is much larger is decoded at a part of its size: the picture is the same.
  big = PIL.Image.fromarray(smooth(rng, 400, 600))
  same = one(tmp_path / 'big', {'a.png': content(big), 'b.jpg': content(big, 'JPEG', quality=97)}, Reading(40))
  assert np.abs(same['a.png'].astype(int) - same['b.jpg']).mean() < 2


def test_images_of_one_size_stay_as_they_are_and_others_need_a_side(tmp_path):
  files = plain(each=2, height=9, width=14)
  assert sources.load(write(tmp_path, files)).train_images.shape == (4, 9, 14, 3)
  name = write(tmp_path, {'test/dog/odd.png': smooth(np.random.default_rng(0), 10, 14)})
  with pytest.raises(BadInput) as info:
    sources.load(name)
  line = str(info.value)
  assert '9x14 of' in line and '10x14 of' in line and 'odd.png: set data.side' in line and '\n' not in line
  assert sources.load(name, None, Reading(8)).test_images.shape == (5, 8, 8, 3)


@pytest.mark.parametrize('reading, want', [(Reading(), (9, 14, 3)), (Reading(12, 'pad'), (12, 12, 3))])
def test_the_facts_are_those_of_the_set(tmp_path, reading, want):
  name = write(tmp_path, plain(height=9, width=14))
  assert sources.facts(name, None, reading) == (want, 2)
  assert sources.load(name, None, reading).train_images.shape[1:] == want


# What cannot be read.

def damaged():
  good = plain(('train', 'test'), each=4)
  whole = content(smooth(np.random.default_rng(0), 40, 40), 'JPEG')
  return good | {'train/cat/b.jpg': whole[:len(whole) // 2], 'train/dog/c.png': b'no image', 'train/dog/d.png': b'',
                 'test/cat/e.png': content(smooth(np.random.default_rng(0)))[:60]}


def test_damaged_files_are_counted_and_the_first_is_named(tmp_path):
  name = write(tmp_path, damaged())
  with pytest.raises(BadInput) as info:
    sources.load(name, None, Reading(20))
  line = str(info.value)
  assert f'4 of 20 image files cannot be decoded, the first is {tmp_path}/train/cat/b.jpg (' in line
  assert 'set data.skip_damaged to True' in line and '\n' not in line


def test_damaged_files_can_be_left_out(tmp_path, capsys):
  files = damaged()
  data = sources.load(write(tmp_path, files), None, Reading(20, skip_damaged=True))
  assert np.bincount(data.train_labels).tolist() == [4, 4] and np.bincount(data.test_labels).tolist() == [4, 4]
  for split in ('train', 'test'):
    want = [files[f'{split}/{name}/{i}.png'] for name in ('cat', 'dog') for i in range(4)]
    np.testing.assert_array_equal(getattr(data, f'{split}_images'), want)
  said = capsys.readouterr().err
  assert said.count('\n') == 1 and '4 of 20 image files' in said and 'b.jpg' in said and 'they are left out' in said


def test_a_class_that_is_damaged_whole_is_named(tmp_path):
  name = write(tmp_path, plain(each=2) | {f'train/cat/{i}.png': b'' for i in range(2)})
  with pytest.raises(BadInput, match="class 'cat' has no training images") as info:
    sources.load(name, None, Reading(skip_damaged=True))
  assert '\n' not in str(info.value)


def test_more_than_the_memory_holds_is_refused(tmp_path, monkeypatch):
  name = write(tmp_path, plain())
  monkeypatch.setattr(pictures, 'free_memory', lambda: 12 * 20 * 20 * 3 - 1)
  with pytest.raises(BadInput, match='12 images of 20x20x3 need .* of memory and .* are free: set data.side') as info:
    sources.load(name)
  assert '\n' not in str(info.value)
  assert len(sources.load(name, None, Reading(19)).train_labels) == 6


def test_the_memory_that_is_free_is_that_of_the_container(tmp_path, monkeypatch):
  free = pictures.free_memory()
  if free is None:
    pytest.skip('this system does not say how much memory is free')
  assert 1e6 < free < 1e14
  monkeypatch.setattr(pictures, '_CGROUP', str(tmp_path))
  assert pictures.free_memory() > 1e6  # no limit is known
  for name, text in (('max', '5000'), ('current', '4000'), ('stat', 'anon 900\nactive_file 20\ninactive_file 300\n')):
    (tmp_path / f'memory.{name}').write_text(text)
  assert pictures.free_memory() == 1320
  (tmp_path / 'memory.max').write_text('max\n')
  assert pictures.free_memory() > 1e6


def test_large_sets_tell_how_far_they_are(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(pictures, '_EVERY', -1.0)
  sources.load(write(tmp_path, plain(each=10)))
  said = capsys.readouterr().err.splitlines()
  assert said[0].endswith('looked at 32 of 40 images') and said[-1].endswith('decoded 40 of 40 images')


@pytest.mark.parametrize('files, says', [
    (None, 'does not exist; give a folder'),
    ({}, 'no folders of classes: put the images of each class'),
    ({'a.png': b'', 'b.png': b''}, 'no folders of classes'),
    ({'train/cat/a.txt': b'', 'train/dog/0.png': b''}, "the folder of class 'cat' has no image (.jpg"),
    (plain(classes=('cat',)), "has the single class 'cat'"),
    (plain(each=1), "class 'cat' has 1 training image, and D_train and D_val must have one each: give it at least 2"),
    (plain(('',), each=2), "class 'cat' has 2 training images, and D_train, D_val and the test set must have one each"),
    (plain(('test',)), 'has test and no train'),
    (plain(('val', 'testing')), 'has val and testing and no train'),
    (plain() | plain(('val', 'valid')), 'has the folders val and valid: leave one'),
    (plain() | plain(('test',), ('cow',)), "test has the class 'cow' and train has not"),
    ({'cat/0.png': b'', 'cat/1.png': b'', 'cat/2.png': b'', 'dog/0.png': b'', 'dog/1.png': b'', 'dog/2.png': b''},
     'has no image file that can be read, the first is'),
])
def test_folders_that_cannot_be_a_set_are_one_line(tmp_path, files, says):
  folder = tmp_path / 'set'
  if files is not None:
    folder.mkdir()
    write(folder, files)
  with pytest.raises(BadInput) as info:
    sources.load(f'folder:{folder}')
  line = str(info.value)
  assert says in line and '\n' not in line and line.startswith(f'folder:{folder}')


def test_a_file_is_no_folder(tmp_path):
  (tmp_path / 'a').write_bytes(b'')
  with pytest.raises(BadInput, match='is a file; give a folder'):
    sources.load(f'folder:{tmp_path}/a')


@pytest.mark.skipif(os.geteuid() == 0, reason='root may read every file')
def test_a_file_that_may_not_be_read(tmp_path):
  name = write(tmp_path, plain())
  (tmp_path / 'train/cat/0.png').chmod(0)
  with pytest.raises(BadInput, match='1 of 12 image files .* Permission denied'):
    sources.load(name)


# Through a config.

def config_of(name, kind='search', **data):
  config = config_lib.train_config() if kind == 'train' else config_lib.search_config('ddas')
  config.data.update({'name': name} | data)
  if kind == 'search':
    config.network.name = 'small_cnn'
  return config


def test_a_config_reads_it_with_its_keys(tmp_path, capsys):
  files = plain(('train', 'val', 'test'), ('ant', 'bee', 'cat'), 4, 31, 22)
  config = config_of(write(tmp_path, files), side=16, fit='stretch', classes=2, n_train=4)
  config_lib.check(config, 'search')
  data = select.from_config(config)
  assert data.train_images.shape == (4 + 8, 16, 16, 3) and [len(half) for half in data.halves] == [4, 8]
  assert len(data.class_names) == 2 and len(data.test_labels) == 8
  assert 'has 8 validation images of its own: they are D_val, and data.val_fraction is not used' in capsys.readouterr().err


@pytest.mark.parametrize('name, data, says', [
    ('embedded', dict(fit='pad'), "'data.fit' is for images to classify of folder: and hf: sets"),
    ('arrays:a.npz', dict(skip_damaged=True), "'data.skip_damaged' is for"),
    ('folder:a', dict(val_split='validation'), "'data.val_split' is for images to classify of tfds: and hf: sets"),
    ('folder:a', dict(hf_label='fine'), "'data.hf_label' is for"),
    ('folder:a', dict(fit='zoom'), "'data.fit' must be one of crop, pad, stretch"),
])
def test_keys_of_another_kind_of_set(name, data, says):
  for kind in ('search', 'train'):
    with pytest.raises(BadInput) as info:
      config_lib.check(config_of(name, kind, **data), kind)
    assert says in str(info.value) and '\n' not in str(info.value)


TRAIN = """
from daas_jax.config import train_config

def get_config():
  config = train_config()
  config.policy = config.genotype = 'none'
  config.network.name, config.network.depth, config.network.width = 'wrn_40_2', 10, 1
  config.train.auxiliary, config.train.drop_path = 0.0, 0.0
  config.train.epochs, config.train.batch = 1, 4
  config.preprocess.cutout, config.preprocess.padding = 0, 0
  config.data.name, config.data.side = NAME, 8
  return config
"""


def test_a_training_on_ones_own_images(tmp_path):
  """JPEGs of odd sizes, through the command; and how large its network is."""
  rng = np.random.default_rng(0)
  files = {f'{split}/{name}/{i}.jpg': content(smooth(rng, *rng.integers(9, 40, 2)), 'JPEG')
           for split in ('train', 'val', 'test') for name in ('cat', 'dog') for i in range(4)}
  name = write(tmp_path / 'set', files)
  config = commands.config_file(tmp_path, TRAIN.replace('NAME', repr(name)))
  words = 'train', f'--config={config}'
  done = commands.run(*words, f'--workdir={tmp_path}/run')
  assert done.returncode == 0, done.stderr
  assert 'has 8 validation images of its own' in done.stderr and 'test accuracy' in done.stdout
  assert (tmp_path / 'run' / 'results.json').exists()
  done = commands.run(*words, '--count')
  assert done.returncode == 0 and '8 x 8 x 3 images, 2 classes' in done.stdout, done.stderr


def test_folders_are_written_where_they_are_asked_for(tmp_path):
  assert folders.write(tmp_path, {'a/b.png': RAMP[:4, :4].astype(np.uint8)}) == f'folder:{tmp_path}'
  assert PIL.Image.open(tmp_path / 'a' / 'b.png').size == (4, 4)
