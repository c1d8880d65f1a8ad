"""Image classification sets of TFDS: found, read where they are prepared, and how to prepare them.

Nothing is downloaded here, and TensorFlow is not needed.
"""

import difflib
import os
import re
import shlex

import numpy as np

from daas_jax.data import dataset, decode, labels as labels_lib, raw, records
from daas_jax.data.raw import short
from daas_jax.errors import BadInput

# What `python -m daas_jax.prepare` prepares; every other TFDS set has to be prepared with
# TensorFlow.
PREPARABLE = ('fashion_mnist', 'cifar10', 'cifar100')

_TFDS_NAME = re.compile(r'[A-Za-z]\w*(/[\w.\-]+)?(:[\d.*]+)?')
_TEST_SPLITS = 'test', 'validation'
_BATCH = 1024  # records a read: three times as fast as one by one, and small beside the whole set


def load(name, data_dir=None, val_split=''):
  """Loads a prepared set whole: a `daas_jax.data.dataset.Dataset`.

  Args:
    name, data_dir: as for `find_tfds`.
    val_split: the split that is D_val; '': it is to be split from the training images.

  Raises:
    BadInput: as `prepared_tfds` and `find_splits`; damaged records, or images of several sizes.
  """
  builder, *keys = prepared_tfds(name, data_dir)
  names, parts = builder.info.features[keys[1]].names, []
  for split in find_splits(name, builder, *keys, val_split):
    found = records.described(f'tfds:{name}', builder, split, *keys)
    parts.append(_read_split(name, builder, split, found))
    labels_lib.check(found.name, parts[-1][1], len(names))
  *parts, test = parts
  train = dataset.joined(f'tfds:{name}', *parts[0], *parts[1]) if val_split else (*parts[0], 0)
  return dataset.assemble(f'tfds:{name}', *train[:2], *test, names, train[2])


def find_splits(name, builder, image_key, label_key, val_split='', say=raw.say):
  """The splits of a set that are used: ['train', maybe val_split, that of the test].

  Args:
    name, builder, image_key, label_key, say: as for `find_test_split`.
    val_split: the split that is D_val; '': none.

  Raises:
    BadInput: as `find_test_split`; val_split is no split of the set, or one of the other two.
  """
  test = find_test_split(name, builder, image_key, label_key, say)
  if not val_split:
    return ['train', test]
  free = [split for split in builder.info.splits if split not in ('train', test)]
  if val_split not in free:
    used = {'train': 'the training images', test: 'the test set'}.get(val_split)
    raise BadInput(
        f'tfds:{name}: the split {val_split!r} ' + (f'is {used}' if used else 'does not exist')
        + f": set data.val_split to {' or '.join(map(repr, (*free, '')))}")
  return ['train', val_split, test]


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
    raise BadInput(unknown(f'tfds:{name}', known))
  try:
    builder = tfds.builder(name, data_dir=data_dir)
  except tfds.core.DatasetNotFoundError:
    raise BadInput(unknown(f'tfds:{name}', known)) from None
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


def prepared_tfds(name, data_dir=None):
  """A prepared image classification set: (builder, key of the image, key of the class).

  Args:
    name, data_dir: as for `find_tfds`.

  Raises:
    BadInput: as `find_tfds`; a set that is not prepared, classifies no images, or lacks a split.
  """
  builder, prepared = find_tfds(name, data_dir)
  image_key, label_key = supervised_keys(name, builder.info)
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


def supervised_keys(name, info):
  """(key of the image, key of the class) by a builder's `info`; BadInput where a set has others."""
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
      raise BadInput(f'tfds:{name}: split {split} has images of several sizes '
                     f'({dataset.shape(images)}, {dataset.shape(image[None])}); set data.stream to '
                     'True and data.side to a size, choose a set of one size, or resize it into an '
                     '.npz file for arrays:FILE.npz')
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


def _double_quoted(code):
  return '"' + re.sub(r'([\\"$`])', r'\\\1', code) + '"'


def unknown(name, tfds_names=None):
  """The message for a name that nothing answers to, with the nearest names that something does."""
  candidates = {'embedded': 'embedded', 'folder': 'folder:DIR', 'hf': 'hf:NAME',
                'arrays': 'arrays:FILE.npz'}
  names = PREPARABLE + ('svhn_cropped', 'imagenet2012') if tfds_names is None else tuple(tfds_names)
  candidates.update({n: f'tfds:{n}' for n in names})
  asked = name.partition(':')[2] or name.partition(':')[0]
  near = difflib.get_close_matches(asked.lower(), candidates, n=3, cutoff=0.6)
  hint = ', '.join(candidates[n] for n in near) or (
      'embedded, folder:DIR, tfds:NAME, hf:NAME or arrays:FILE.npz')
  return f'unknown data set {name!r}; nearest: {hint}'
