"""A set of made-up photographs in array_record files, for the benchmark of the streamed input."""

import io
import os

import numpy as np
import PIL.Image

from daas_jax.data import images, records

SIZE = 400, 350  # width and height in pixels: ImageNet's photographs are about as large
SIDE = 224
_QUALITY = 92  # with the grain below, 60 KB to 80 KB a file


def photograph(rng, size=SIZE):
  """Bytes of a JPEG: smooth colours with noise on them, which is what makes a photograph's file
  large."""
  coarse = PIL.Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize(
      size, PIL.Image.BICUBIC)
  noisy = np.asarray(coarse, np.int16) + rng.normal(0, 8, (size[1], size[0], 1)).astype(np.int16)
  content = io.BytesIO()
  PIL.Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)).save(content, 'JPEG',
                                                                    quality=_QUALITY)
  return content.getvalue()


def write(folder, contents, labels, files=4):
  """Writes records as TFDS does; returns their `daas_jax.data.records.Split`.

  Args:
    folder: where to, one that is there.
    contents: list of bytes of image files.
    labels: as many ints.
    files: how many array_record files.
  """
  from array_record.python import array_record_module
  from tensorflow_datasets.proto import tf_example_pb2
  paths, lengths = [], []
  for file, rows in enumerate(np.array_split(np.arange(len(contents)), files)):
    paths.append(os.path.join(folder, f'made_up-train.array_record-{file:05d}-of-{files:05d}'))
    lengths.append(len(rows))
    writer = array_record_module.ArrayRecordWriter(paths[-1], 'group_size:1')
    for row in rows:
      example = tf_example_pb2.Example()
      example.features.feature['image'].bytes_list.value.append(contents[row])
      example.features.feature['label'].int64_list.value.append(int(labels[row]))
      writer.write(example.SerializeToString())
    writer.close()
  return records.Split('made up, split train', tuple(paths), tuple(lengths), 'image', 'label', 3)


def streamed(folder, n=256, workers=0, classes=10):
  """(`daas_jax.data.images.Streamed` of n made-up photographs as squares of SIDE pixels, their
  classes int32 [n])."""
  rng = np.random.default_rng(0)
  labels = rng.integers(classes, size=n).astype(np.int32)
  split = write(folder, [photograph(rng) for _ in range(n)], labels)
  return images.Streamed(split, np.arange(n), labels, SIDE, SIDE, workers), labels
