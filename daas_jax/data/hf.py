"""Image classification sets of Hugging Face `datasets`: by name, or a folder of theirs.

A set that is asked for by name may be downloaded, as everybody expects of that library; what it
decodes is decoded here, so that the same file gives the same pixels wherever it comes from.
"""

import os
import threading

import numpy as np

from daas_jax.config import installed
from daas_jax.data import dataset as dataset_lib, labels as labels_lib, pictures as pictures_lib
from daas_jax.data.raw import read_bytes, say, short
from daas_jax.errors import BadInput

_PATHS = '/', './', '../', '~'  # what a path begins with and no name does


def load(name: str, cache_dir: str | None = None,
         reading: pictures_lib.Reading = pictures_lib.Reading(), val_split: str = '',
         label: str = '') -> dataset_lib.Dataset:
  """Loads a set whole.

  Args:
    name: 'mnist', 'OWNER/NAME', 'NAME:CONFIGURATION', or a folder: what `save_to_disk` wrote, or of
      parquet files, or whatever else `datasets.load_dataset` takes.
    cache_dir: where `datasets` keeps what it downloads and converts; None for its default.
    reading: how the image files become arrays.
    val_split: the split that is D_val; '': validation, where there is such a one and a test too.
    label: the column of the classes; '': the only one, or the one called label.

  Returns:
    Dataset. What D_val and the test set are: `daas_jax.data.pictures.assemble`; a split test
    without classes, which are all -1, is passed over.

  Raises:
    BadInput: `datasets` is not installed; a set that it cannot load or that has no train split, no
      images or no classes; what `daas_jax.data.pictures.assemble` refuses.
  """
  class_names, parts = _found(name, cache_dir, val_split, label)
  return pictures_lib.assemble(f'hf:{name}', parts, class_names, reading)


def facts(name: str, cache_dir: str | None = None,
          reading: pictures_lib.Reading = pictures_lib.Reading(), val_split: str = '',
          label: str = '') -> tuple[tuple[int, int, int], int]:
  """((H, W, C), number of classes), without decoding; arguments and BadInput as for `load`."""
  class_names, parts = _found(name, cache_dir, val_split, label)
  every = [picture for part in parts.values() for picture in part[0]]
  return pictures_lib.shape_of(f'hf:{name}', every, reading), len(class_names)


def _require():
  try:
    import datasets
  except ImportError:
    raise BadInput('data.name=hf:NAME needs the package datasets: run '
                   f"{installed.extra('hf')}") from None
  return datasets


def _found(name, cache_dir, val_split, label):
  """(class names, {split: (pictures, labels)})."""
  found = _opened(name, cache_dir)
  if 'train' not in found:
    raise BadInput(f'hf:{name} has the splits {", ".join(found)}; choose a set with train')
  image, label = _columns(name, found['train'].features, label)
  class_names = tuple(found['train'].features[label].names)
  parts = {}
  for part, split in _splits(name, found, val_split).items():
    labels = np.array([-1 if c is None else c for c in found[split][label][:]], np.int64)
    if part != 'train' and len(labels) and np.all(labels < 0):
      say(f'note: hf:{name}: split {split} is unlabelled (its classes are all negative): it is not '
          'used')
      continue
    labels_lib.check(f'hf:{name}: split {split}', labels, len(class_names))
    parts[part] = _pictures(found[split], split, image), labels
  return class_names, parts


def _opened(name, cache_dir):
  """{split: `datasets.Dataset`}."""
  datasets, path = _require(), os.path.expanduser(name)
  if os.path.isfile(path):
    raise BadInput(f'hf:{name} is a file: give the folder that holds it, or the name of a set')
  if not os.path.isdir(path) and name.startswith(_PATHS):
    raise BadInput(f'hf:{name}: no folder {path}; give a folder, or the name of a set')
  cache = os.path.expanduser(cache_dir) if cache_dir else None
  try:
    if any(os.path.exists(os.path.join(path, file)) for file in ('dataset_dict.json',
                                                                 'state.json')):
      found = datasets.load_from_disk(path)
    elif os.path.isdir(path):
      found = datasets.load_dataset(path, cache_dir=cache)
    else:
      repository, _, configuration = name.partition(':')
      found = datasets.load_dataset(repository, configuration or None, cache_dir=cache)
  except Exception as e:  # of many kinds: of the network, of files, of a name that is not there
    raise BadInput(
        f'hf:{name}: datasets cannot load it ({type(e).__name__}: {short(e)}); check its name, the '
        'network, or the folder') from None
  return found if isinstance(found, dict) else {'train': found}


def _splits(name, found, val_split):
  """{'train', and 'val', 'test' where there are such: the split of the set}."""
  called = {part: next((split for split in names if split in found), None)
            for part, names in pictures_lib.SPLITS.items()}
  if val_split:
    free = [split for split in found if split not in (called['train'], called['test'])]
    if val_split not in free:
      raise BadInput(f'hf:{name}: {val_split!r} is no split that could be D_val: set '
                     f"data.val_split to {' or '.join(map(repr, (*free, '')))}")
    if not called['test'] and called['val'] not in (None, val_split):
      called['test'] = called['val']
    called['val'] = val_split
  return {part: split for part, split in called.items() if split}


def _columns(name, features, label):
  """(column of the images, column of the classes)."""
  datasets = _require()
  images = [key for key, kind in features.items() if isinstance(kind, datasets.Image)]
  classes = [key for key, kind in features.items() if isinstance(kind, datasets.ClassLabel)]
  if label and label not in classes:
    raise BadInput(f'hf:{name}: {label!r} is no column of classes: set data.hf_label to one of '
                   f'{", ".join(classes) or "none: there is none"}')
  if not images or not classes:
    raise BadInput(
        f'hf:{name} has the columns {", ".join(features)}, and none of '
        + ('images (datasets.Image)' if not images else 'classes (datasets.ClassLabel): make one '
           "by class_encode_column('NAME'), and save_to_disk, in a program of yours"))
  image = next((key for key in ('image', 'img') if key in images), images[0])
  if not label and len(classes) > 1 and 'label' not in classes:
    raise BadInput(f'hf:{name} has several columns of classes: set data.hf_label to one of '
                   f'{", ".join(classes)}')
  return image, label or ('label' if 'label' in classes else classes[0])


def _pictures(split, name, image):
  rows = split.select_columns([image]).cast_column(image, _require().Image(decode=False))
  lock = threading.Lock()  # nothing is said of what threads may do with its tables

  def read(row):
    with lock:
      found = rows[row][image]
    return found['bytes'] if found['bytes'] is not None else read_bytes(found['path'])

  return [pictures_lib.Picture(f'row {row} of split {name}', lambda row=row: read(row))
          for row in range(len(rows))]
