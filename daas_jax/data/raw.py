"""Reads the original files of image sets, IDX and CIFAR's binary format, with numpy alone.

Every file is held against its known SHA-256, so that a damaged one is refused and not prepared.
"""

import gzip
import hashlib
import os
import sys
import tarfile
from typing import Callable, NamedTuple
import zlib

import numpy as np

from daas_jax.errors import BadInput

_IDX_FILES = ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte',
              't10k-labels-idx1-ubyte')
# Of the decompressed files: those whose .gz files have the SHA-256 that TFDS registers (the tests
# follow that chain). So a raw file, or one that was compressed again, is checked as well as the
# original download.
_FASHION_SHA256 = (
    'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
    'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
    '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
    '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
)


class Raw(NamedTuple):
  """What was read from a set's original files.

  Attributes:
    images: dict split -> uint8 [N, H, W, C], splits 'train' and 'test'.
    labels: dict split -> dict TFDS feature -> int64 [N].
    names: dict TFDS feature -> list of str; the class names that the files carry, if any.
  """
  images: dict
  labels: dict
  names: dict


class Recipe(NamedTuple):
  """How the original files of a set are found, checked and read.

  Attributes:
    read: (recipe, source, report) -> Raw.
    sha256: dict file -> SHA-256 in hexadecimal; for IDX of the decompressed file, for CIFAR of the
      archive.
    counts: (training images, test images).
    train, test, names: file names in a CIFAR archive; unused by IDX.
    features: the TFDS features that the label bytes of a CIFAR record are.
    folder: the folder in a CIFAR archive.
  """
  read: Callable
  sha256: dict
  counts: tuple
  train: tuple = ()
  test: tuple = ()
  names: tuple = ()
  features: tuple = ()
  folder: str = ''


def read_idx(path):
  """Reads an IDX file of bytes, raw or (by its first bytes) gzip.

  Args:
    path: the file.

  Returns:
    (uint8 array of the file's shape, the SHA-256 of the decompressed file in hexadecimal).

  Raises:
    BadInput: missing, truncated or of another format.
  """
  try:
    with open(path, 'rb') as file:
      content = file.read()
    if content[:2] == b'\x1f\x8b':
      content = gzip.decompress(content)
  except (OSError, EOFError, zlib.error) as e:
    raise BadInput(f'{path} cannot be read ({short(e)}); fetch it again') from None
  rank = content[3] if len(content) >= 4 else 0
  if content[:3] != b'\0\0\x08' or not rank or len(content) < 4 + 4 * rank:
    raise BadInput(f'{path} is no IDX file of bytes; give the original file, raw or .gz')
  shape = np.frombuffer(content, '>u4', rank, 4).tolist()
  body = content[4 + 4 * rank:]
  if len(body) != int(np.prod(shape, dtype=object)):
    raise BadInput(
        f'{path} holds {len(body)} bytes and announces {shape}; it is truncated or damaged: '
        'fetch it again')
  return np.frombuffer(body, np.uint8).reshape(shape), hashlib.sha256(content).hexdigest()


def _read_idx_set(recipe, source, report):
  # The digests leave nothing more to check: lengths and labels are the original's.
  images, labels = {}, {}
  for split, (image_file, label_file) in zip(('train', 'test'), (_IDX_FILES[:2], _IDX_FILES[2:])):
    pair = []
    for name in (image_file, label_file):
      path = _find_idx(name, source)
      array, digest = read_idx(path)
      _check_digest(path, digest, recipe.sha256[name])
      pair.append(array)
    images[split], labels[split] = pair[0][..., None], {'label': pair[1].astype(np.int64)}
    report(f'read {len(pair[0])} {split} images')
  return Raw(images, labels, {})


def _find_idx(name, source):
  """The path of one IDX file; source is a folder, or a dict file -> path from the download
  manager."""
  if isinstance(source, dict):
    return source[name + '.gz']
  for path in (os.path.join(source, name), os.path.join(source, name + '.gz')):
    if os.path.isfile(path):
      return path
  raise BadInput(
      f'{source} holds neither {name} nor {name}.gz; give the folder of the four IDX files')


def read_cifar_records(content, n_labels, name='records'):
  """Decodes CIFAR's binary format: a record is n_labels bytes, then 32 x 32 red, green and blue
  bytes.

  Args:
    content: bytes.
    n_labels: 1 for CIFAR-10, 2 (coarse, fine) for CIFAR-100.
    name: for the error message.

  Returns:
    (images uint8 [N, 32, 32, 3], labels int64 [N, n_labels]).

  Raises:
    BadInput: content is empty or not a whole number of records.
  """
  size = n_labels + 3072
  if not content or len(content) % size:
    raise BadInput(
        f'{name} holds {len(content)} bytes, not a whole number of {size}-byte records; it is '
        'truncated or another version: give the binary version, and fetch it again')
  records = np.frombuffer(content, np.uint8).reshape(-1, size)
  images = records[:, n_labels:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
  return np.ascontiguousarray(images), records[:, :n_labels].astype(np.int64)


def _read_cifar_set(recipe, source, report):
  if isinstance(source, dict):
    source = source[next(iter(recipe.sha256))]
  files = _cifar_files(recipe, source, report)
  names = {feature: files[file].decode('utf-8-sig', 'replace').split()
           for feature, file in zip(recipe.features, recipe.names)}
  images, labels = {}, {}
  for split, members, count in zip(('train', 'test'), (recipe.train, recipe.test), recipe.counts):
    parts = [read_cifar_records(files[m], len(recipe.features), f'{source}: {m}') for m in members]
    images[split] = np.concatenate([part[0] for part in parts])
    both = np.concatenate([part[1] for part in parts])
    labels[split] = {feature: both[:, i] for i, feature in enumerate(recipe.features)}
    if len(both) != count:
      raise BadInput(
          f'{source}: {len(both)} {split} images where {count} belong; fetch the archive again')
    for feature, values in labels[split].items():
      # CIFAR has as many images of every class: the one check of content where there is no digest.
      counts = np.bincount(values, minlength=len(names[feature]))
      if len(counts) != len(names[feature]) or counts.min() != counts.max():
        raise BadInput(
            f'{source}: {split} has not as many images of each {feature} named in the file of '
            'names; fetch the archive again')
    report(f'read {count} {split} images')
  return Raw(images, labels, names)


def _cifar_files(recipe, source, report):
  """dict member -> bytes, from the archive (its digest checked) or from the folder that it unpacks
  to."""
  archive, = recipe.sha256
  path = os.path.join(source, archive) if os.path.isdir(source) else source
  wanted = recipe.train + recipe.test + recipe.names
  if os.path.isfile(path):
    report(f'checking {path}')
    with open(path, 'rb') as file:
      _check_digest(path, hashlib.file_digest(file, 'sha256').hexdigest(), recipe.sha256[archive])
    try:
      with tarfile.open(path) as tar:
        return {name: tar.extractfile(f'{recipe.folder}/{name}').read() for name in wanted}
    except (OSError, EOFError, KeyError, AttributeError, tarfile.TarError, zlib.error) as e:
      raise BadInput(f'{path} cannot be unpacked ({short(e)}); fetch it again') from None
  for folder in (source, os.path.join(source, recipe.folder)):
    if os.path.isfile(os.path.join(folder, recipe.train[0])):
      report(
          f'note: {folder} has no known SHA-256 (the archive has); only its sizes and counts are '
          'checked'
      )
      return {name: read_bytes(os.path.join(folder, name)) for name in wanted}
  raise BadInput(
      f'{source} holds neither {archive} nor {recipe.folder}/{recipe.train[0]}; give the folder '
      'of one of them (the binary version)')


RECIPES = {
    'fashion_mnist': Recipe(_read_idx_set, dict(zip(_IDX_FILES, _FASHION_SHA256)),
                            (60_000, 10_000)),
    'cifar10': Recipe(
        _read_cifar_set, {
            'cifar-10-binary.tar.gz':
                'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd'
        }, (50_000, 10_000), tuple(f'data_batch_{i}.bin' for i in range(1, 6)), ('test_batch.bin',),
        ('batches.meta.txt',), ('label',), 'cifar-10-batches-bin'),
    'cifar100': Recipe(
        _read_cifar_set, {
            'cifar-100-binary.tar.gz':
                '58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec'
        }, (50_000, 10_000), ('train.bin',), ('test.bin',),
        ('coarse_label_names.txt', 'fine_label_names.txt'), ('coarse_label', 'label'),
        'cifar-100-binary'),
}


def read_bytes(path):
  """The bytes of a file; BadInput where it cannot be read."""
  try:
    with open(path, 'rb') as file:
      return file.read()
  except OSError as e:
    raise BadInput(f'{path} cannot be read ({short(e)})') from None


def _check_digest(path, digest, wanted):
  if digest != wanted:
    raise BadInput(
        f'{path} is damaged or another version: its SHA-256 is {digest}, not {wanted}; fetch it '
        'again')


def say(line):
  """Prints a line to stderr, at once."""
  print(line, file=sys.stderr, flush=True)


def short(error):
  """An exception as a piece of one line."""
  return (' '.join(str(error).split()) or type(error).__name__)[:160]
