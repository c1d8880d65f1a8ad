"""Image classification sets as arrays in memory: packaged with the library, from TFDS, or from one
.npz file.

Everything is uint8 until it is on the device: a set of CIFAR's size is 154 MB, and is indexed
there.
"""

import difflib
import hashlib
import math
import os
import re
import shlex
from typing import NamedTuple
import zipfile
import zlib

import numpy as np

from daas_jax.data import decode, labels as labels_lib, raw, records
from daas_jax.data.raw import short
from daas_jax.errors import BadInput

# What `python -m daas_jax.prepare` prepares; every other TFDS set has to be prepared with
# TensorFlow.
PREPARABLE = ('fashion_mnist', 'cifar10', 'cifar100')

EMBEDDED_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'embedded')
EMBEDDED_FILE = 'fashion_mnist.npz'
EMBEDDED_SIDE = 28
# Over the decoded bytes (`content_digest`), so it does not depend on how they are packed.
EMBEDDED_SHA256 = 'f506cd216b21fb0d4649a6cf4f38f5f90b62246d1c0871120c4eb31c862db9ef'

FASHION_CLASSES = ('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt',
                   'Sneaker', 'Bag', 'Ankle boot')

_KEYS = ('train_images', 'train_labels', 'test_images', 'test_labels')
_TFDS_NAME = re.compile(r'[A-Za-z]\w*(/[\w.\-]+)?(:[\d.*]+)?')
_TEST_SPLITS = 'test', 'validation'
_BATCH = 1024  # records a read: three times as fast as one by one, and small beside the whole set


class Dataset(NamedTuple):
  """One image classification set.

  Attributes:
    name: the name it was loaded by.
    train_images: uint8 [N, H, W, C], 0 to 255.
    train_labels: int32 [N], 0 to len(class_names) - 1.
    test_images: uint8 [M, H, W, C].
    test_labels: int32 [M].
    class_names: tuple of str.
    mean: tuple of C floats, of the training images on the scale [0, 1].
    std: tuple of C floats, likewise (1.0 where a channel is constant, so that dividing by it is
      safe).
  """
  name: str
  train_images: np.ndarray
  train_labels: np.ndarray
  test_images: np.ndarray
  test_labels: np.ndarray
  class_names: tuple[str, ...]
  mean: tuple[float, ...]
  std: tuple[float, ...]


def load(name, data_dir=None):
  """Loads a data set whole.

  Args:
    name: 'embedded' (4,000 + 2,000 images of Fashion-MNIST, in the package), 'tfds:NAME' (an image
      classification set that TFDS has prepared, NAME as TFDS takes it: 'cifar10',
      'emnist/letters'), or 'arrays:FILE.npz' (keys train_images, train_labels, test_images,
      test_labels and optionally class_names; images uint8 [N, H, W, C] or [N, H, W]).
    data_dir: the TFDS data folder; None for TFDS's own default. The other kinds do not use it.

  Returns:
    Dataset. The test images are TFDS's split 'test', or else 'validation' (`find_test_split`). Its
    images become 1 or 3 channels of 8 bits, whatever the files are (`daas_jax.data.decode`).

  Raises:
    BadInput: unknown, missing, unprepared or damaged data; nothing is ever downloaded here.
  """
  kind, _, rest = str(name).partition(':')
  if name == 'embedded':
    return _load_embedded()
  if kind == 'tfds' and rest:
    return _load_tfds(rest, data_dir)
  if kind == 'arrays' and rest:
    return _load_arrays(rest)
  if kind == 'scenes':
    raise BadInput(
        f'{name!r} are images to find objects in, for the networks anchor_free and retinanet of '
        'method '
        "'ddas': set network.name, or data.name to a set of classified images such as embedded")
  raise BadInput(_unknown(str(name)))


def assemble(name, train_images, train_labels, test_images, test_labels, class_names=None):
  """Checks arrays and makes a Dataset of them, with the exact mean and std of its training images.

  Args:
    name: str, also the beginning of every error message.
    train_images, test_images: uint8 [N, H, W, C] or [N, H, W], at least one image, C at most 4.
    train_labels, test_labels: integers [N].
    class_names: sequence of str; None names the classes '0', '1', ..., and then every class from 0
      to the largest label must occur among the training labels.

  Returns:
    Dataset.

  Raises:
    BadInput: a wrong type, shape, length or label, or an empty split.
  """
  train_images, train_labels = _checked_split(name, 'train', train_images, train_labels)
  test_images, test_labels = _checked_split(name, 'test', test_images, test_labels)
  if train_images.shape[1:] != test_images.shape[1:]:
    raise BadInput(f'{name}: training images are {_shape(train_images)} and test images '
                   f'{_shape(test_images)}; give both the same height, width and channels')
  class_names = _names(name, class_names, train_labels)
  for split, labels in (('train', train_labels), ('test', test_labels)):
    labels_lib.check(f'{name}: {split}_labels', labels, len(class_names))
  mean, std = mean_std(train_images)
  return Dataset(name, train_images, train_labels.astype(np.int32), test_images,
                 test_labels.astype(np.int32), class_names, mean, std)


def mean_std(images):
  """Exact per-channel mean and standard deviation on the scale [0, 1].

  Args:
    images: uint8 [N, H, W, C].

  Returns:
    Two tuples of C floats; std is 1.0 for a constant channel.
  """
  means, stds = [], []
  for channel in range(images.shape[-1]):
    flat = images[..., channel].reshape(-1)
    counts = np.zeros(256, np.int64)
    # bincount widens to int64: not the whole set at once
    for start in range(0, flat.size, 1 << 20):
      counts += np.bincount(flat[start:start + (1 << 20)], minlength=256)
    # Python integers: no rounding before the last division.
    total = sum(value * int(count) for value, count in enumerate(counts))
    squares = sum(value * value * int(count) for value, count in enumerate(counts))
    variance = flat.size * squares - total * total
    means.append(total / (255 * flat.size))
    stds.append(math.sqrt(variance) / (255 * flat.size) if variance else 1.0)
  return tuple(means), tuple(stds)


def content_digest(train_images, train_labels, test_images, test_labels):
  """SHA-256 in hexadecimal of the bytes of two splits: images, then labels as uint8; train, then
  test."""
  digest = hashlib.sha256()
  for array in (train_images, train_labels, test_images, test_labels):
    digest.update(np.ascontiguousarray(array, np.uint8).tobytes())
  return digest.hexdigest()


def find_tfds(name, data_dir=None):
  """Finds a TFDS builder without downloading anything.

  Args:
    name: as TFDS takes it, 'cifar10' or 'emnist/letters'.
    data_dir: the TFDS data folder, None for TFDS's default.

  Returns:
    (builder, prepared): whether the set lies under data_dir in a format that is read without
      TensorFlow.

  Raises:
    BadInput: an unknown name, or a prepared set that is damaged or in a format that needs
      TensorFlow.
  """
  import tensorflow_datasets as tfds  # slow to import, and needed for this kind alone
  data_dir = os.path.expanduser(data_dir) if data_dir else None
  known = tfds.list_builders(with_community_datasets=False)
  if not _TFDS_NAME.fullmatch(name):
    raise BadInput(_unknown(f'tfds:{name}', known))
  try:
    builder = tfds.builder(name, data_dir=data_dir)
  except tfds.core.DatasetNotFoundError:
    raise BadInput(_unknown(f'tfds:{name}', known)) from None
  # the stock code of some sets, COCO's for one, is TensorFlow's: their files are enough
  except ModuleNotFoundError:
    builder = _from_files(name, data_dir)
  except Exception as e:  # TFDS raises anything from AssertionError to JSON errors here
    raise BadInput(
        f'tfds:{name}: TFDS cannot open it ({short(e)}); check its name, configuration and '
        'version, or remove its folder and prepare it again') from None
  if not builder.data_path.exists():
    return builder, False
  formats = {f.value for f in builder.info.available_file_formats()}
  files = [path for split in builder.info.splits.values() for path in split.filepaths]
  if not files or not all(path.exists() for path in files):
    raise BadInput(
        f'tfds:{name}: {builder.data_path} lacks files of a prepared set; remove that folder and '
        f'run: {prepare_command(name, data_dir)}')
  if not formats & {'array_record', 'parquet'}:
    raise BadInput(
        f'tfds:{name}: {builder.data_path} was prepared as {", ".join(sorted(formats))}, which '
        f'needs TensorFlow; with another data folder run: {prepare_command(name, "OTHER")}')
  return builder, True


def _from_files(name, data_dir):
  import tensorflow_datasets as tfds
  try:
    return tfds.core.read_only_builder.builder_from_files(name, data_dir=data_dir)
  except tfds.core.DatasetNotFoundError:
    raise BadInput(
        f'tfds:{name} is not prepared under {data_dir or "the data folder of TFDS"}; run: '
        f'{prepare_command(name, data_dir)}') from None


def facts(name, data_dir=None):
  """What is known of a data set without its images where TFDS knows it, prepared or not.

  Args:
    name, data_dir: as for `load`.

  Returns:
    ((H, W, C), number of classes). A TFDS set of images of several sizes counts as one of 224 x
    224, ImageNet's size.

  Raises:
    BadInput: as `load`, but not for a TFDS set that is not prepared.
  """
  kind, _, rest = str(name).partition(':')
  if kind != 'tfds' or not rest:
    data = load(name, data_dir)
    return data.train_images.shape[1:], len(data.class_names)
  info = find_tfds(rest, data_dir)[0].info
  image_key, label_key = _supervised_keys(rest, info)
  height, width, channels = info.features[image_key].shape
  return (height or 224, width or 224, channels or 3), info.features[label_key].num_classes


def prepare_command(name, data_dir=None):
  """The shell line that prepares TFDS set `name`: ours where we can, TFDS's with TensorFlow
  elsewhere."""
  if name in PREPARABLE:
    return f'python -m daas_jax.prepare {name}' + (f' --data_dir={shlex.quote(data_dir)}'
                                                   if data_dir else '')
  return ' && '.join(tensorflow_lines(name, data_dir))


def tensorflow_lines(name, data_dir=None):
  """The shell lines, a list of str, that prepare TFDS set `name` in another environment, with
  TensorFlow."""
  folder = f', data_dir={data_dir!r}' if data_dir else ''
  code = ('import tensorflow_datasets as tfds; '
          f"tfds.builder({name!r}, file_format='array_record'{folder}).download_and_prepare()")
  # importlib_resources: TFDS 4.9.10 needs it to prepare a set and does not ask for it.
  packages = 'tensorflow-cpu tensorflow-datasets array_record importlib_resources'
  return ['python -m venv tf_env', f'tf_env/bin/pip install {packages}',
          f'tf_env/bin/python -c {_double_quoted(code)}']


def _load_embedded():
  path = os.path.join(EMBEDDED_DIR, EMBEDDED_FILE)
  remake = 'install daas_jax again, or run: python -m daas_jax.prepare embedded --source=DIR'
  arrays = _read_npz(path, 'embedded', remake)
  try:
    splits = unpack(arrays)
  except (KeyError, ValueError) as e:
    raise BadInput(f'embedded: {path} is damaged ({short(e)}); {remake}') from None
  if content_digest(*splits) != EMBEDDED_SHA256:
    raise BadInput(f'embedded: {path} does not hold the images of this version; {remake}')
  return assemble('embedded', *splits, class_names=FASHION_CLASSES)


def unpack(arrays):
  """Decodes the embedded form: half of the pixels are zero, so it holds a bit a pixel and the
  non-zero bytes.

  Args:
    arrays: dict with train_mask (uint8, packed bits), train_values (uint8), train_labels (uint8
      [N]), and the same for test.

  Returns:
    (train_images uint8 [N, 28, 28, 1], train_labels int32 [N], test_images, test_labels).
  """
  out = []
  for split in ('train', 'test'):
    labels = arrays[f'{split}_labels'].astype(np.int32)
    size = len(labels) * EMBEDDED_SIDE**2
    mask = np.unpackbits(arrays[f'{split}_mask'], count=size).astype(bool)
    images = np.zeros(size, np.uint8)
    images[mask] = arrays[f'{split}_values']
    out += [images.reshape(len(labels), EMBEDDED_SIDE, EMBEDDED_SIDE, 1), labels]
  return tuple(out)


def _load_arrays(file):
  name = f'arrays:{file}'
  arrays = _read_npz(os.path.expanduser(file), name,
                     'give the path of an .npz file that numpy.savez wrote')
  missing = [key for key in _KEYS if key not in arrays]
  if missing:
    raise BadInput(
        f'{name}: no {", ".join(missing)} among its keys ({", ".join(sorted(arrays)) or "none"}); '
        f'it needs {", ".join(_KEYS)} and may have class_names')
  return assemble(name, *(arrays[key] for key in _KEYS), class_names=arrays.get('class_names'))


def _read_npz(path, name, remedy):
  """All arrays of an .npz file as a dict; BadInput, which ends in `remedy`, where it cannot be
  read."""
  if not os.path.isfile(path):
    raise BadInput(f'{name}: no file {path}; {remedy}')
  try:
    with np.load(path, allow_pickle=False) as file:
      return {key: file[key] for key in file.files}
  except (OSError, EOFError, ValueError, AttributeError, TypeError, NotImplementedError,
          RuntimeError,
          zipfile.BadZipFile, zlib.error) as e:
    # AttributeError, TypeError: a plain .npy file loads as an array, which is no context manager.
    raise BadInput(f'{name}: {path} is no readable .npz file ({short(e)}); {remedy}') from None


def _load_tfds(name, data_dir):
  builder, *keys = prepared_tfds(name, data_dir)
  names, arrays = builder.info.features[keys[1]].names, []
  for split in ('train', find_test_split(name, builder, *keys)):
    found = records.described(f'tfds:{name}', builder, split, *keys)
    images, labels = _read_split(name, builder, split, found)
    labels_lib.check(found.name, labels, len(names))
    arrays += images, labels
  return assemble(f'tfds:{name}', *arrays, class_names=names)


def prepared_tfds(name, data_dir=None):
  """A prepared image classification set: (builder, key of the image, key of the class).

  Args:
    name, data_dir: as for `find_tfds`.

  Raises:
    BadInput: as `find_tfds`; a set that is not prepared, classifies no images, or lacks a split.
  """
  builder, prepared = find_tfds(name, data_dir)
  image_key, label_key = _supervised_keys(name, builder.info)
  if not prepared:
    raise BadInput(f'tfds:{name} is not prepared under {builder.data_dir}; run: '
                   f'{prepare_command(name, data_dir)}')
  if 'train' not in builder.info.splits or not set(_TEST_SPLITS) & set(builder.info.splits):
    raise BadInput(
        f'tfds:{name} has the splits {", ".join(builder.info.splits)}; choose a set with train '
        'and test or validation')
  return builder, image_key, label_key


def find_test_split(name, builder, image_key, label_key, say=raw.say):
  """The split that a set is tested on: the first of 'test' and 'validation' that is labelled.

  What the images of some test splits show, imagenet2012's for one, is kept secret, and TFDS gives
  them the class -1. The first record tells.

  Args:
    name: of the set, for messages: 'imagenet2012'.
    builder, image_key, label_key: as `prepared_tfds` finds them.
    say: called with a line where a split is passed over.

  Raises:
    BadInput: there is none, or the first record cannot be read.
  """
  passed = []
  for split in _TEST_SPLITS:
    if split not in builder.info.splits:
      continue
    found = records.described(f'tfds:{name}', builder, split, image_key, label_key)
    _, label = next(_examples(name, builder, split, found, min(1, found.count)), (None, 0))
    if label >= 0:
      if passed:
        say(f'note: tfds:{name}: split {passed[0]} is unlabelled (its first class is negative); '
            f'the test images are those of split {split}')
      return split
    passed.append(split)
  raise BadInput(f'tfds:{name} has no labelled test images (unlabelled: {" and ".join(passed)}); '
                 'choose a set with a labelled test or validation')


def _supervised_keys(name, info):
  import tensorflow_datasets as tfds
  keys = info.supervised_keys
  if keys and len(keys) == 2 and all(isinstance(key, str) and key in info.features for key in keys):
    image, label = (info.features[key] for key in keys)
    if isinstance(image, tfds.features.Image) and isinstance(label, tfds.features.ClassLabel):
      if label.num_classes:  # a label may be declared without saying of what
        return keys
  raise BadInput(
      f'tfds:{name} is no image classification set; choose one with an image and a class label')


def _read_split(name, builder, split, found):
  """(images uint8 [N, H, W, C], labels int64 [N]) of one split, in the order in which TFDS holds
  them."""
  images, labels = None, np.empty(found.count, np.int64)
  for i, (content, label) in enumerate(_examples(name, builder, split, found, found.count)):
    image = decode.whole(content, found.channels, f'{found.name}, row {i}')
    if images is None:
      images = np.empty((found.count, *image.shape), np.uint8)
    if image.shape != images.shape[1:]:
      raise BadInput(f'tfds:{name}: split {split} has images of several sizes ({_shape(images)}, '
                     f'{_shape(image[None])}); set data.stream to True and data.side to a size, '
                     'choose a set of one size, or resize it into an .npz file for arrays:FILE.npz')
    images[i], labels[i] = image, label
  return (np.zeros((0, 1, 1, 1), np.uint8) if images is None else images), labels


def _examples(name, builder, split, found, total):
  """Yields (bytes of the image file, class int) of the first `total` records of a split.

  TFDS only reads them: its decoder needs OpenCV for some, and ours is the one of streamed sets.
  """
  import tensorflow_datasets as tfds
  try:
    as_they_are = tfds.decode.DeserializeMethod.RAW_BYTES
    source = builder.as_data_source(split, deserialize_method=as_they_are)
    for start in range(0, total, _BATCH):
      for record in source.__getitems__(list(range(start, min(start + _BATCH, total)))):
        yield records.parse(bytes(record), found)
  except Exception as e:  # a damaged record raises whatever its decoder raises
    raise BadInput(
        f'tfds:{name}: split {split} under {builder.data_path} cannot be read ({short(e)}); '
        'remove that folder and prepare the set again') from None


def _checked_split(name, split, images, labels):
  images, labels = np.asarray(images), np.asarray(labels)
  if images.dtype != np.uint8:
    raise BadInput(f'{name}: {split}_images has type {images.dtype}; give uint8, 0 to 255')
  if images.ndim == 3:
    images = images[..., None]
  if images.ndim != 4 or min(images.shape[1:]) < 1 or images.shape[-1] > 4:
    raise BadInput(
        f'{name}: {split}_images has shape {list(images.shape)}; give [N, H, W, C] with C at most '
        '4, or [N, H, W]')
  if not np.issubdtype(labels.dtype, np.integer) or labels.ndim != 1:
    raise BadInput(
        f'{name}: {split}_labels has type {labels.dtype} and shape {list(labels.shape)}; give '
        'integers [N]')
  if len(images) != len(labels):
    raise BadInput(
        f'{name}: {len(images)} {split}_images and {len(labels)} {split}_labels; give as many of '
        'each')
  if not len(images):
    raise BadInput(f'{name}: split {split} is empty; give at least one image')
  labels_lib.check(f'{name}: {split}_labels', labels)
  return np.ascontiguousarray(images), labels


def _names(name, class_names, train_labels):
  """class_names as a tuple of str; without any, the labels themselves have to be 0, 1, ... with no
  gap."""
  if class_names is None:
    found = np.unique(train_labels)
    gap = np.flatnonzero(found != np.arange(len(found), dtype=found.dtype))
    if gap.size:
      raise BadInput(
          f'{name}: no training image has label {gap[0]} and the largest is {found[-1]}; number '
          'the classes from 0 without gaps, or give class_names')
    return tuple(str(label) for label in found)
  class_names = np.asarray(class_names)
  if class_names.ndim != 1 or not class_names.size or class_names.dtype.kind not in 'US':
    raise BadInput(
        f'{name}: class_names has type {class_names.dtype} and shape {list(class_names.shape)}; '
        'give one string a class')
  return tuple(
      n.decode('utf-8', 'replace') if isinstance(n, bytes) else str(n) for n in class_names)


def _unknown(name, tfds_names=None):
  """The message for a name that nothing answers to, with the nearest names that something does."""
  candidates = {'embedded': 'embedded', 'arrays': 'arrays:FILE.npz'}
  names = PREPARABLE + ('svhn_cropped', 'imagenet2012') if tfds_names is None else tuple(tfds_names)
  candidates.update({n: f'tfds:{n}' for n in names})
  asked = name.partition(':')[2] or name.partition(':')[0]
  near = difflib.get_close_matches(asked.lower(), candidates, n=3, cutoff=0.6)
  hint = ', '.join(candidates[n] for n in near) or 'embedded, tfds:NAME or arrays:FILE.npz'
  return f'unknown data set {name!r}; nearest: {hint}'


def _shape(images):
  return 'x'.join(str(n) for n in images.shape[1:])


def _double_quoted(code):
  return '"' + re.sub(r'([\\"$`])', r'\\\1', code) + '"'
