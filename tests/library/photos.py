"""Makes a folder of JPEGs of several sizes: `python tests/library/photos.py FOLDER`.

They are the packaged images of three kinds of clothes, enlarged, each on a ground of its own colour.
"""

import os
import sys

import numpy as np
import PIL.Image

from daas_jax.data import sources

CLASSES = ('Trouser', 'Bag', 'Ankle boot')


def make(folder: str, each: tuple[int, int] = (80, 20)) -> None:
  """FOLDER/train/CLASS/*.jpg and FOLDER/test/CLASS/*.jpg, `each` = (training, test) images a class."""
  data, rng = sources.load('embedded'), np.random.default_rng(0)
  for split, n, images, labels in (('train', each[0], data.train_images, data.train_labels),
                                   ('test', each[1], data.test_images, data.test_labels)):
    for name in CLASSES:
      os.makedirs(os.path.join(folder, split, name), exist_ok=True)
      for i, row in enumerate(np.flatnonzero(labels == data.class_names.index(name))[:n]):
        PIL.Image.fromarray(_photo(images[row, ..., 0], rng)).save(
            os.path.join(folder, split, name, f'{i:03}.jpg'), quality=95)


def _photo(clothes, rng):
  """uint8 [H, W, 3], 40 to 70 pixels a side: the picture on a coloured ground."""
  size = rng.integers(40, 71, 2)
  grey = np.asarray(PIL.Image.fromarray(clothes).resize(tuple(size), PIL.Image.BILINEAR), np.float32)[..., None]
  ground = rng.integers(0, 160, 3)
  return np.clip(ground + (255 - ground) * grey / 255, 0, 255).astype(np.uint8)


if __name__ == '__main__':
  make(sys.argv[1])
