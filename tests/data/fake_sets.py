"""Sets of random images in the file formats of Fashion-MNIST and CIFAR."""

import collections
import gzip
import hashlib
import io
import os
import struct
import tarfile

import numpy as np

from daas_jax.data import raw

FILES = tuple(raw.RECIPES['fashion_mnist'].sha256)


def sha(content):
  return hashlib.sha256(content).hexdigest()


def idx(array):
  return struct.pack(f'>BBBB{array.ndim}I', 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def fake_fashion(folder, zipped, train=60, test=20):
  """Writes four IDX files of random images; returns (arrays in sources' order, their recipe)."""
  rng = np.random.default_rng(0)
  arrays = []
  for n in (train, test):
    images = rng.integers(0, 256, (n, 28, 28), np.uint8) * rng.integers(0, 2, (n, 28, 28), np.uint8)
    arrays += [images, (np.arange(n) * 7 % 10).astype(np.uint8)]
  os.makedirs(folder, exist_ok=True)
  digests = {}
  for name, array in zip(FILES, arrays):
    digests[name] = sha(idx(array))
    path = os.path.join(folder, name + '.gz' * zipped)
    with open(path, 'wb') as file:
      file.write(gzip.compress(idx(array)) if zipped else idx(array))
  return arrays, raw.RECIPES['fashion_mnist']._replace(sha256=digests, counts=(train, test))


def fake_cifar(name, folder, packed=True):
  """Writes CIFAR's archive, or the folder it unpacks to; returns (records by file, recipe)."""
  recipe = raw.RECIPES[name]
  rng = np.random.default_rng(1)
  classes, n = (10, 10) if name == 'cifar10' else (100, 100)
  files = {}
  for file in recipe.train + recipe.test:
    fine = rng.permutation(classes)
    heads = [fine] if name == 'cifar10' else [fine // 5, fine]
    files[file] = np.concatenate(
        [np.stack(heads, 1), rng.integers(0, 256, (n, 3072))], 1).astype(np.uint8)
  contents = {file: records.tobytes() for file, records in files.items()}
  for file in recipe.names:
    count = 20 if file.startswith('coarse') else classes
    contents[file] = ''.join(f'{file[:4]}_{i}\n' for i in range(count)).encode() + b'\n'
  archive, = recipe.sha256
  if packed:
    with tarfile.open(os.path.join(folder, archive), 'w:gz') as tar:
      for file, content in contents.items():
        info = tarfile.TarInfo(f'{recipe.folder}/{file}')
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
    with open(os.path.join(folder, archive), 'rb') as file:
      digest = sha(file.read())
  else:
    os.mkdir(os.path.join(folder, recipe.folder))
    for file, content in contents.items():
      with open(os.path.join(folder, recipe.folder, file), 'wb') as out:
        out.write(content)
    digest = ''
  counts = (n * len(recipe.train), n * len(recipe.test))
  return files, recipe._replace(sha256={archive: digest}, counts=counts)


def same_examples(images, labels, want_images, want_labels):
  """Whether two splits hold the same examples; TFDS shuffles what it writes."""
  count = lambda x, y: collections.Counter((a.tobytes(), int(b)) for a, b in zip(x, y))
  return count(images, labels) == count(want_images, want_labels)
