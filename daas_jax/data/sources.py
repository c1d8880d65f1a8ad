"""Image classification sets as arrays in memory: packaged with the library, from a folder of
images, from TFDS or Hugging Face, or from one .npz file.

Everything is uint8 until it is on the device: a set of CIFAR's size is 154 MB, and is indexed
there.
"""

import os
import zipfile
import zlib

import numpy as np

from daas_jax.data import dataset, field, folder, hf, pictures, tfds
from daas_jax.data.raw import short
from daas_jax.errors import BadInput

EMBEDDED_DIR = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'embedded')
EMBEDDED_FILE = 'fashion_mnist.npz'
EMBEDDED_SIDE = 28
# Over the decoded bytes (`dataset.content_digest`), so it does not depend on how they are packed.
EMBEDDED_SHA256 = 'f506cd216b21fb0d4649a6cf4f38f5f90b62246d1c0871120c4eb31c862db9ef'

FASHION_CLASSES = ('T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt',
                   'Sneaker', 'Bag', 'Ankle boot')

_KEYS = ('train_images', 'train_labels', 'test_images', 'test_labels')
_OWN = 'val_images', 'val_labels'


def load(name, data_dir=None, reading=pictures.Reading(), val_split='', label=''):
  """Loads a data set whole.

  Args:
    name: 'embedded' (4,000 + 2,000 images of Fashion-MNIST, in the package), 'folder:DIR' (a folder
      of images for each class, `daas_jax.data.folder`), 'tfds:NAME' (an image classification set
      that TFDS has prepared, NAME as TFDS takes it: 'cifar10', 'emnist/letters'), 'hf:NAME' (one of
      Hugging Face's, or a folder of theirs, `daas_jax.data.hf`), or 'arrays:FILE.npz' (keys
      train_images, train_labels, test_images, test_labels and optionally val_images with
      val_labels, and class_names; images uint8 [N, H, W, C] or [N, H, W]). Each with ':field'
      behind it: its test images are photographs of the field, and those of D_val become such when
      they are chosen (`daas_jax.data.field`).
    data_dir: the TFDS data folder, or Hugging Face's cache; None for their own default. The other
      kinds do not use it.
    reading: how the image files of a folder and of Hugging Face become arrays.
    val_split: the split that is D_val, of TFDS and Hugging Face; '' of TFDS: none.
    label: the column of the classes, of Hugging Face; '' finds it.

  Returns:
    `daas_jax.data.dataset.Dataset`. The test images are TFDS's split 'test', or else 'validation'
    (`tfds.find_test_split`). Its images become 1 or 3 channels of 8 bits, whatever the files are
    (`daas_jax.data.decode`).

  Raises:
    BadInput: unknown, missing, unprepared or damaged data; nothing is ever downloaded here, but by
      Hugging Face, for 'hf:NAME'.
  """
  name, shifted = field.named(str(name))
  data = _load(name, data_dir, reading, val_split, label)
  return field.tested(data) if shifted else data


def _load(name, data_dir, reading, val_split, label):
  kind, _, rest = name.partition(':')
  if name == 'embedded':
    return _load_embedded()
  if kind == 'folder' and rest:
    return folder.load(rest, reading)
  if kind == 'tfds' and rest:
    return tfds.load(rest, data_dir, val_split)
  if kind == 'hf' and rest:
    return hf.load(rest, data_dir, reading, val_split, label)
  if kind == 'arrays' and rest:
    return _load_arrays(rest)
  if kind == 'scenes':
    raise BadInput(
        f'{name!r} are images to find objects in, for the networks anchor_free and retinanet of '
        'method '
        "'ddas': set network.name, or data.name to a set of classified images such as embedded")
  raise BadInput(tfds.unknown(name))


def facts(name, data_dir=None, reading=pictures.Reading(), val_split='', label=''):
  """What is known of a data set without its images where TFDS knows it, prepared or not.

  Args:
    name, data_dir, reading, val_split, label: as for `load`.

  Returns:
    ((H, W, C), number of classes). A TFDS set of images of several sizes counts as one of 224 x
    224, ImageNet's size.

  Raises:
    BadInput: as `load`, but not for a TFDS set that is not prepared.
  """
  name = field.named(str(name))[0]
  kind, _, rest = name.partition(':')
  if kind == 'folder' and rest:
    return folder.facts(rest, reading)
  if kind == 'hf' and rest:
    return hf.facts(rest, data_dir, reading, val_split, label)
  if kind != 'tfds' or not rest:
    data = load(name, data_dir)
    return data.train_images.shape[1:], len(data.class_names)
  info = tfds.find_tfds(rest, data_dir)[0].info
  image_key, label_key = tfds.supervised_keys(rest, info)
  height, width, channels = info.features[image_key].shape
  return (height or 224, width or 224, channels or 3), info.features[label_key].num_classes


def _load_embedded():
  path = os.path.join(EMBEDDED_DIR, EMBEDDED_FILE)
  remake = 'install daas_jax again, or run: python -m daas_jax.prepare embedded --source=DIR'
  arrays = _read_npz(path, 'embedded', remake)
  try:
    splits = unpack(arrays)
  except (KeyError, ValueError) as e:
    raise BadInput(f'embedded: {path} is damaged ({short(e)}); {remake}') from None
  if dataset.content_digest(*splits) != EMBEDDED_SHA256:
    raise BadInput(f'embedded: {path} does not hold the images of this version; {remake}')
  return dataset.assemble('embedded', *splits, class_names=FASHION_CLASSES)


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
  given = {key: arrays[key] for key in _KEYS}
  own = [key for key in _OWN if key in arrays]
  if len(own) == 1:
    raise BadInput(f'{name}: it has {own[0]} and no {(set(_OWN) - set(own)).pop()}: give both or '
                   'neither')
  n_val = 0
  if own:
    given['train_images'], given['train_labels'], n_val = dataset.joined(
        name, *(arrays[key] for key in (*_KEYS[:2], *_OWN)))
  return dataset.assemble(name, *given.values(), class_names=arrays.get('class_names'), n_val=n_val)


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
