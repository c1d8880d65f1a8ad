"""Folders of small images that tests write."""

import io

import numpy as np
import PIL.Image


def smooth(rng, height=20, width=20, channels=3):
  """uint8 [height, width, channels], or without channels [height, width]: smooth, as photographs are."""
  coarse = PIL.Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
  pixels = np.asarray(coarse.resize((width, height), PIL.Image.Resampling.BICUBIC))
  return pixels if channels == 3 else pixels[..., 0]


def content(pixels, kind='PNG', mode=None, orientation=None, **options):
  """Bytes of an image file of an array, or of a Pillow image."""
  image = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
  image = image.convert(mode) if mode else image
  if orientation:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options['exif'] = exif
  file = io.BytesIO()
  image.save(file, kind, **options)
  return file.getvalue()


def write(folder, files):
  """Writes {path below folder: bytes, or pixels that become a PNG}; returns the folder's name as a set."""
  for path, what in files.items():
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(what if isinstance(what, bytes) else content(what))
  return f'folder:{folder}'


def plain(splits=('train', 'test'), classes=('cat', 'dog'), each=3, height=20, width=20, seed=0):
  """{path: pixels} of a set of one size: '' for a split leaves its folder out."""
  rng = np.random.default_rng(seed)
  return {'/'.join(filter(None, (split, name, f'{i}.png'))): smooth(rng, height, width)
          for split in splits for name in classes for i in range(each)}
