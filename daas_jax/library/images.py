"""Image files and arrays in files as a network takes them, a part at a time."""

from collections.abc import Callable, Iterator
import functools
import os
from typing import Any, NamedTuple

import numpy as np

from daas_jax.data import decode, folder as folder_lib, pictures as pictures_lib, raw
from daas_jax.errors import BadInput

_PART = 1024
_KEYS = ('images', 'labels'), ('test_images', 'test_labels')


class Part(NamedTuple):
  """Some of the images.

  Attributes:
    names: of each: the path of its file, or its row.
    images: uint8 [n, H, W, C].
    labels: int [n], numbers of their classes; None where they are not known.
  """
  names: list[str]
  images: np.ndarray
  labels: np.ndarray | None


def parts(path: str, shape: tuple[int, int, int], fit: str, classes: tuple[str, ...] | None = None,
          skip_damaged: bool = False, say: Callable[[str], Any] = raw.say) -> Iterator[Part]:
  """The images of a path.

  Args:
    path: an image file; a folder, all of whose image files are taken, those of its folders too; or
      an .npz file with `images` uint8 [N, H, W, C] (or test_images).
    shape: (H, W, C) that they become: files are fitted, arrays have to have it.
    fit: how, see `daas_jax.data.decode.fitted`.
    classes: names of the classes: a folder then has a folder of images for each, and an .npz file
      has `labels` (or test_labels). None: classes are not looked for.
    skip_damaged: whether files that cannot be decoded are left out, with a line.
    say: receives that line.

  Yields:
    `Part`s of at most 1,024 images.

  Raises:
    BadInput: no such path, no images, a file that cannot be decoded, a class that is not among
      them, images that are not square where they would have to be fitted.
  """
  path = os.path.expanduser(path)
  if path.endswith('.npz'):
    yield from _of_arrays(path, shape, classes)
    return
  files, labels = _files(path, classes)
  side = shape[0] if shape[0] == shape[1] else 0  # one that is not square has to fit as it is
  for start in range(0, len(files), _PART):
    names = files[start:start + _PART]
    read = [pictures_lib.Picture(file, functools.partial(raw.read_bytes, file)) for file in names]
    found = pictures_lib.each('images', 'decoded',
                              lambda picture: _decoded(picture, shape, side, fit), read)
    good = [i for i, image in enumerate(found) if not isinstance(image, Exception)]
    if len(good) < len(found):
      bad = next(i for i in range(len(found)) if i not in good)
      line = f'{names[bad]} is no image that can be read ({raw.short(found[bad])})'
      if not skip_damaged:
        raise BadInput(f'{line}: mend or remove it, or give --skip_damaged')
      say(f'note: {len(found) - len(good)} of {len(found)} files are left out: {line}')
    if good:
      yield Part([names[i] for i in good], np.stack([found[i] for i in good]),
                 None if labels is None else labels[start:start + _PART][good])


def _decoded(picture, shape, side, fit):
  """An image of this shape, or what was raised."""
  try:
    image = decode.fitted(picture.read(), shape[-1], side, fit)
  except Exception as error:  # a damaged image raises whatever its decoder raises
    return error
  if image.shape != shape:
    return BadInput(f'it is {image.shape[0]}x{image.shape[1]}, and the network takes '
                    f'{shape[0]}x{shape[1]}')
  return image


def _files(path, classes):
  """(paths of image files, their classes int [N] or None)."""
  if os.path.isfile(path) and classes is None:
    return [path], None
  if not os.path.isdir(path):
    what = 'is a file' if os.path.exists(path) else 'does not exist'
    raise BadInput(f'{path} {what}: give a folder'
                   + (' with a folder of images for each class' if classes else ' of images')
                   + ', or an .npz file')
  if classes is None:
    files = folder_lib.files_of(path)
    if not files:
      raise BadInput(f'{path} holds no image file ({", ".join(folder_lib.SUFFIXES)})')
    return files, None
  there = sorted(name for name in os.listdir(path)
                 if os.path.isdir(os.path.join(path, name)) and not name.startswith('.'))
  foreign = [name for name in there if name not in classes]
  if foreign or not there:
    raise BadInput(f'{path} has '
                   + (f'the folder {foreign[0]!r}, which is' if foreign else 'no folder that is')
                   + f' no class of the network: its classes are {", ".join(classes[:8])}'
                   + (', ...' if len(classes) > 8 else ''))
  files, labels = [], []
  for name in there:
    found = folder_lib.files_of(os.path.join(path, name))
    files += found
    labels += [classes.index(name)] * len(found)
  if not files:
    raise BadInput(f'{path} holds no image file ({", ".join(folder_lib.SUFFIXES)})')
  return files, np.array(labels, np.int32)


def _of_arrays(path, shape, classes):
  try:
    with np.load(path, allow_pickle=False) as file:
      keys = next((keys for keys in _KEYS if keys[0] in file.files), None)
      wanted = keys[:2 if classes else 1] if keys else ()
      missing = [key for key in wanted or ('images',) if key not in file.files]
      if missing:
        raise BadInput(f'{path} has no {missing[0]!r} among its keys ({", ".join(file.files)})')
      arrays = [file[key] for key in wanted]
  except BadInput:
    raise
  except Exception as error:  # zipfile and numpy raise many kinds for damaged files
    raise BadInput(f'{path} is no .npz file that can be read ({raw.short(error)})') from None
  images = arrays[0][..., None] if arrays[0].ndim == 3 else arrays[0]
  if images.dtype != np.uint8 or images.shape[1:] != shape or not len(images):
    raise BadInput(f'{path}: its images are {images.dtype} {list(images.shape)}, and the network '
                   f'takes uint8 [N, {", ".join(map(str, shape))}], at least one')
  labels = arrays[1] if classes else None
  if labels is not None and (labels.shape != (len(images),)
                             or not np.issubdtype(labels.dtype, np.integer)):
    raise BadInput(f'{path}: its labels are {labels.dtype} {list(labels.shape)}, and must be '
                   f'integers [{len(images)}]')
  for start in range(0, len(images), _PART):
    rows = slice(start, start + _PART)
    part = images[rows]
    yield Part([str(start + i) for i in range(len(part))], part,
               None if labels is None else labels[rows])
