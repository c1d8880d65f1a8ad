"""Sets of random images in the file formats of Fashion-MNIST and CIFAR."""

import collections
import gzip
import hashlib
import io
import os
import struct
import tarfile

import numpy as np
import PIL.Image

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


def photograph(rng, width, height, quality=85):
  """Bytes of a JPEG of smooth random colours."""
  coarse = PIL.Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8))
  content = io.BytesIO()
  coarse.resize((width, height), PIL.Image.BICUBIC).save(content, 'JPEG', quality=quality)
  return content.getvalue()


def prepared(folder, examples, splits=('train', 'test'), channels=3, dtype=np.uint8,
             file_format='array_record'):
  """Prepares a set named 'tiny' of two classes, without stock code.

  Args:
    folder: the TFDS data folder.
    examples: [(uint8 image or bytes of an image file, label)] of every split, or for each split
      in a dict.
    splits: their names, where they are all the same.
    channels, dtype: that the set declares.
    file_format: as TFDS takes it.

  Returns:
    The folder of the prepared set.
  """
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import registered
  if not isinstance(examples, dict):
    examples = {split: examples for split in splits}
  with registered.skip_registration():
    class Tiny(tfds.core.GeneratorBasedBuilder):
      VERSION = tfds.core.Version('1.0.0')
      pkg_dir_path = None

      def _info(self):
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict({
                'image': tfds.features.Image(shape=(None, None, channels), dtype=dtype),
                'label': tfds.features.ClassLabel(names=['a', 'b'])}),
            supervised_keys=('image', 'label'), disable_shuffling=True)

      def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in examples}

      def _generate_examples(self, split):
        for i, (image, label) in enumerate(examples[split]):
          image = io.BytesIO(image) if isinstance(image, bytes) else PIL.Image.fromarray(image)
          yield i, {'image': image, 'label': label}

  tfds.disable_progress_bar()
  builder = Tiny(data_dir=str(folder), file_format=file_format)
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
  return str(builder.data_path)


def fake_imagenet(data_dir, classes, train=3, validation=1, shards=2, side=40, test=0):
  """Prepares a made-up imagenet2012 for TFDS, as array_record: photographs of several sizes.

  Args:
    data_dir: the TFDS data folder.
    classes: labels int [C] that occur.
    train, validation: images of each.
    shards: files of each split.
    side: shortest side of a photograph, in pixels.
    test: images of the split test for each class, unlabelled as TFDS has them; 0: no such split.

  Returns:
    The folder of the prepared set.
  """
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import registered
  rng = np.random.default_rng(2)
  with registered.skip_registration():
    stock = tfds.builder_cls('imagenet2012')

    class Imagenet2012(stock):  # TFDS takes the set's name from the class's
      pkg_dir_path = stock._get_pkg_dir_path()

      def _split_generators(self, dl_manager):
        del dl_manager
        secret = {'test': self._generate_examples(test, [-1] * len(classes))} if test else {}
        return {'train': self._generate_examples(train),
                'validation': self._generate_examples(validation)} | secret

      def _generate_examples(self, count, labels=classes):
        for i, label in enumerate(np.repeat(labels, count)):
          size = side + rng.integers(0, side // 2, 2)
          yield i, {'image': io.BytesIO(photograph(rng, *size)), 'label': int(label), 'file_name': f'{label}_{i}.JPEG'}

  tfds.disable_progress_bar()
  builder = Imagenet2012(data_dir=str(data_dir), file_format='array_record')
  builder.download_and_prepare(
      download_config=tfds.download.DownloadConfig(try_download_gcs=False, num_shards=shards))
  return str(builder.data_path)
