"""A folder of a user's own images, a folder a class, as a data set.

  DIR/train/CLASS/*.jpg, with val/ and test/ beside train/ or without, or DIR/CLASS/*.jpg

PNG, JPEG, WebP and BMP files are read, by their suffix in any case; GIFs are not, as one may be an
animation. Hidden files and files of other kinds are left out, and a line says how many.
"""

import functools
import os

import numpy as np

from daas_jax.data import dataset as dataset_lib, pictures as pictures_lib
from daas_jax.data.raw import read_bytes, say
from daas_jax.errors import BadInput

SUFFIXES = '.jpg', '.jpeg', '.png', '.webp', '.bmp'


def load(folder: str, reading: pictures_lib.Reading = pictures_lib.Reading()
        ) -> dataset_lib.Dataset:
  """Loads a folder whole.

  Args:
    folder: see above. Class names are the folders' names, sorted; images may lie in folders of a
      class's folder. What D_val and the test set are: `daas_jax.data.pictures.assemble`.
    reading: how the files become arrays.

  Raises:
    BadInput: no such folder, or without folders of classes; a class without images, a single class,
      one with fewer images than parts; what `daas_jax.data.pictures.assemble` refuses.
  """
  name, class_names, parts = _found(folder)
  own = {'val', 'test'} <= set(parts)
  least = 1 if own else 2 if len(parts) > 1 else 3
  dataset_lib.enough(name, class_names, parts['train'][1], least)
  data = pictures_lib.assemble(name, parts, class_names, reading)
  if reading.skip_damaged:  # what is left
    labels = data.train_labels[data.halves[0]] if data.halves else data.train_labels
    dataset_lib.enough(name, class_names, labels, min(least, 2))
  return data


def facts(folder: str, reading: pictures_lib.Reading = pictures_lib.Reading()
         ) -> tuple[tuple[int, int, int], int]:
  """((H, W, C), number of classes), without decoding; arguments and BadInput as for `load`."""
  name, class_names, parts = _found(folder)
  every = [picture for part in parts.values() for picture in part[0]]
  return pictures_lib.shape_of(name, every, reading), len(class_names)


def _found(folder):
  """(name, class names, {split: (pictures, labels)}) of a folder."""
  name, root = f'folder:{folder}', os.path.expanduser(folder)
  if not os.path.isdir(root):
    kind = 'is a file' if os.path.exists(root) else 'does not exist'
    raise BadInput(f'{name}: {root} {kind}; give a folder with a folder of images for each class')
  left_out: list[str] = []
  files = {split: _classes(os.path.join(root, at) if at else root, left_out)
           for split, at in _layout(name, root, left_out).items()}
  class_names = tuple(sorted(files['train']))
  if not class_names:
    raise BadInput(f'{name} has no folders of classes: put the images of each class into a folder '
                   'of its own, DIR/CLASS/*.jpg or DIR/train/CLASS/*.jpg')
  for split, found in files.items():
    foreign = sorted(set(found) - set(class_names))
    if foreign:
      raise BadInput(f'{name}: {split} has the class {foreign[0]!r} and train has not: give train '
                     'images of it, or remove that folder')
  empty = [c for c in class_names if not files['train'][c]]
  if empty:
    raise BadInput(f'{name}: the folder of class {empty[0]!r} has no image '
                   f'({", ".join(SUFFIXES)}): fill or remove it')
  if left_out:
    say(f'note: {name}: {len(left_out)} files that are no images by their names '
        f'({", ".join(SUFFIXES)}) are left out, the first is {left_out[0]}')
  return name, class_names, {split: _part(found, class_names) for split, found in files.items()}


def _layout(name, root, left_out):
  """{split: its folder in root}; {'train': ''} where the folders of root are the classes."""
  names = _folders(root)
  found = {split: [n for n in names if n.lower() in called]
           for split, called in pictures_lib.SPLITS.items()}
  doubled = next((same for same in found.values() if len(same) > 1), None)
  holds = {split: at[0] for split, at in found.items()
           if at and _folders(os.path.join(root, at[0]))}
  if 'train' not in holds:
    if holds:
      raise BadInput(f'{name} has {" and ".join(holds.values())} and no train: put the training '
                     'images into train/CLASS/')
    return {'train': ''}
  if doubled:
    raise BadInput(f'{name} has the folders {" and ".join(doubled)}: leave one of them')
  left_out += [os.path.join(root, n) for n in _entries(root) if n not in holds.values()]
  return holds


def _entries(folder):
  return sorted(os.listdir(folder))


def _folders(folder):
  """Names of the folders in one, hidden ones left out, sorted."""
  return [n for n in _entries(folder)
          if not n.startswith('.') and os.path.isdir(os.path.join(folder, n))]


def _classes(folder, left_out):
  """{class: its image files, sorted}; other files are added to left_out."""
  names = _folders(folder)
  left_out += [os.path.join(folder, n) for n in _entries(folder)
               if not os.path.isdir(os.path.join(folder, n))]
  found: dict[str, list[str]] = {}
  for name in names:
    found[name] = files_of(os.path.join(folder, name), left_out)
  return found


def files_of(folder: str, left_out: list[str] | None = None) -> list[str]:
  """Paths of all image files in a folder and its folders, sorted; those of other files are added to
  left_out."""
  found: list[str] = []
  other = [] if left_out is None else left_out
  for at, folders, files in os.walk(folder, followlinks=True):
    folders[:] = sorted(f for f in folders if not f.startswith('.'))
    for file in sorted(files):
      good = not file.startswith('.') and file.lower().endswith(SUFFIXES)
      (found if good else other).append(os.path.join(at, file))
  return found


def _part(found, class_names):
  """(pictures, labels int32 [N]) of the files of one split, class by class."""
  files = [(file, label) for label, name in enumerate(class_names) for file in found.get(name, ())]
  pictures = [pictures_lib.Picture(file, functools.partial(read_bytes, file)) for file, _ in files]
  return pictures, np.array([label for _, label in files], np.int32)
