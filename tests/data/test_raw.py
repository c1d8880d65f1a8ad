import gzip
import os
import struct
import tarfile

import numpy as np
import pytest

from fake_sets import FILES, fake_cifar, fake_fashion, idx, sha

from daas_jax.data import prepare, raw
from daas_jax.errors import BadInput

DEBIAN = '/usr/share/datasets/fashion-mnist'


def silent(line):
  del line


def one_line(info):
  message = str(info.value)
  assert '\n' not in message and message
  return message


@pytest.mark.parametrize('zipped', [False, True])
@pytest.mark.parametrize('shape', [(5,), (3, 4), (2, 3, 4)])
def test_read_idx(tmp_path, zipped, shape):
  array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
  path = tmp_path / 'file'
  path.write_bytes(gzip.compress(idx(array), mtime=0) if zipped else idx(array))
  got, digest = raw.read_idx(str(path))
  assert np.array_equal(got, array) and got.dtype == np.uint8 and digest == sha(idx(array))


GOOD = idx(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize('content, words', [
    (GOOD[:-1], 'holds 23 bytes and announces [2, 3, 4]'),
    (GOOD + b'x', 'holds 25 bytes'),
    (GOOD[:9], 'no IDX file'),
    (b'', 'no IDX file'),
    (b'\0\0\x0d\x01' + GOOD[4:], 'no IDX file'),
    (b'\0\0\x08\0', 'no IDX file'),
    (b'<html>', 'no IDX file'),
    (b'\0\0\x08\x03' + b'\xff' * 12, 'announces [4294967295, 4294967295, 4294967295]'),
    (gzip.compress(GOOD, mtime=0)[:-9], 'cannot be read'),
    (gzip.compress(GOOD, mtime=0)[:12] + b'\xff\xff' + gzip.compress(GOOD, mtime=0)[14:], 'cannot be read'),
    (b'\x1f\x8b', 'cannot be read'),
])
def test_bad_idx(tmp_path, content, words):
  path = tmp_path / 'file'
  path.write_bytes(content)
  with pytest.raises(BadInput) as info:
    raw.read_idx(str(path))
  assert words in one_line(info) and one_line(info).startswith(str(path))


def test_cifar_records_are_planes_of_red_green_and_blue():
  record = bytes([3, 77]) + bytes(range(256)) * 12
  images, labels = raw.read_cifar_records(record * 2, 2)
  assert images.shape == (2, 32, 32, 3) and labels.tolist() == [[3, 77]] * 2
  for channel, row, column in ((0, 0, 0), (1, 5, 9), (2, 31, 31)):
    assert images[1, row, column, channel] == (channel * 1024 + row * 32 + column) % 256


@pytest.mark.parametrize('content', [b'', bytes(3072), bytes(3073 * 2 - 1), bytes(3074)])
def test_truncated_cifar_records(content):
  with pytest.raises(BadInput, match='not a whole number of 3073-byte records'):
    raw.read_cifar_records(content, 1)


def test_digests_are_those_that_tfds_registers():
  import tensorflow_datasets as tfds
  for name in ('cifar10', 'cifar100'):
    registered = {info.filename: info.checksum for info in tfds.builder_cls(name).url_infos.values()}
    assert registered == raw.RECIPES[name].sha256


@pytest.mark.skipif(not os.path.isdir(DEBIAN), reason=f'no {DEBIAN}: install dataset-fashion-mnist')
def test_fashion_digests_follow_from_those_that_tfds_registers():
  # Debian repacked the files: with the names and times back in their gzip headers they are the originals,
  # whose SHA-256 TFDS knows; the recipe holds that of the same bytes decompressed.
  import tensorflow_datasets as tfds
  registered = {info.filename: info.checksum for info in tfds.builder_cls('fashion_mnist').url_infos.values()}
  for name in FILES:
    with open(os.path.join(DEBIAN, name + '.gz'), 'rb') as file:
      content = file.read()
    time = 1504176606 if name.startswith('train') else 1504176627
    original = (content[:3] + b'\x08' + struct.pack('<I', time) + content[8:10] + name.encode() + b'\0' +
                content[10:])
    assert sha(original) == registered[name + '.gz']
    assert sha(gzip.decompress(content)) == raw.RECIPES['fashion_mnist'].sha256[name]


def test_the_archive_itself_or_its_folder_is_a_source(tmp_path):
  _, recipe = fake_cifar('cifar10', tmp_path)
  by_file = recipe.read(recipe, str(tmp_path / 'cifar-10-binary.tar.gz'), silent)
  with tarfile.open(tmp_path / 'cifar-10-binary.tar.gz') as tar:
    tar.extractall(tmp_path / 'x', filter='data')
  by_folder = recipe.read(recipe, str(tmp_path / 'x' / recipe.folder), silent)
  assert np.array_equal(by_file.images['train'], by_folder.images['train'])
  assert by_file.names == by_folder.names


def test_damaged_sources_are_refused(tmp_path):
  _, recipe = fake_fashion(tmp_path, False)
  path = tmp_path / FILES[2]
  whole = path.read_bytes()
  for content, words in ((whole[:-5] + b'01234', 'its SHA-256 is'), (whole[:-5], 'truncated')):
    path.write_bytes(content)
    with pytest.raises(BadInput, match=words):
      prepare.prepare_tfds('fashion_mnist', str(tmp_path), str(tmp_path / 'data'), recipe, silent)
  path.unlink()
  with pytest.raises(BadInput, match=f'holds neither {FILES[2]} nor'):
    prepare.prepare_tfds('fashion_mnist', str(tmp_path), str(tmp_path / 'data'), recipe, silent)
  assert not os.path.exists(tmp_path / 'data')


def test_damaged_archives_are_refused(tmp_path):
  _, recipe = fake_cifar('cifar10', tmp_path)
  path = tmp_path / 'cifar-10-binary.tar.gz'
  whole = path.read_bytes()
  path.write_bytes(whole[:-100])
  with pytest.raises(BadInput, match='its SHA-256 is'):
    recipe.read(recipe, str(tmp_path), silent)
  for content in (whole[:-100], b'no archive', whole[:5000]):
    path.write_bytes(content)
    with pytest.raises(BadInput, match='cannot be unpacked'):
      forged = recipe._replace(sha256={path.name: sha(content)})
      forged.read(forged, str(tmp_path), silent)


def test_names_of_classes_after_a_byte_order_mark(tmp_path):
  _, recipe = fake_cifar('cifar10', tmp_path, packed=False)
  path = tmp_path / recipe.folder / recipe.names[0]
  names = path.read_text().split()
  path.write_bytes('\ufeff'.encode() + path.read_bytes())
  assert recipe.read(recipe, str(tmp_path), silent).names == {'label': names}


@pytest.mark.parametrize('file, change, words', [
    ('data_batch_3.bin', lambda content: content[:-1], 'not a whole number'),
    ('data_batch_3.bin', lambda content: content[3073:], '49 train images where 50 belong'),
    ('test_batch.bin', lambda content: b'\x0a' + content[1:], 'as many images of each label'),
    ('test_batch.bin', lambda content: bytes([content[3073]]) + content[1:], 'as many images of each label'),
    ('batches.meta.txt', lambda content: b'one\ntwo\n', 'as many images of each label'),
    ('batches.meta.txt', None, 'cannot be read'),
])
def test_damaged_unpacked_folders_are_refused(tmp_path, file, change, words):
  _, recipe = fake_cifar('cifar10', tmp_path, packed=False)
  path = tmp_path / recipe.folder / file
  if change:
    path.write_bytes(change(path.read_bytes()))
  else:
    path.unlink()
  with pytest.raises(BadInput) as info:
    recipe.read(recipe, str(tmp_path), silent)
  assert words in one_line(info)
