"""The records of one split of a prepared TFDS set, as array_record files; no JAX here: worker
processes use it."""

import bisect
import itertools
import os
from typing import NamedTuple

import numpy as np

from daas_jax.data.raw import short
from daas_jax.errors import BadInput


class Split(NamedTuple):
  """Where a split's records lie.

  Attributes:
    name: for messages: 'tfds:imagenet2012, split train'.
    paths: tuple of array_record files, in order.
    lengths: tuple of their numbers of records.
    image_key, label_key: features of a record (a `tf.train.Example`): bytes of an image file, and a
      class.
    channels: of the images, 1 or 3.
  """
  name: str
  paths: tuple[str, ...]
  lengths: tuple[int, ...]
  image_key: str
  label_key: str
  channels: int

  @property
  def count(self):
    """The number of records."""
    return sum(self.lengths)


def find(name, builder, split, image_key, label_key):
  """The `Split` of a prepared set that is to be streamed: `described`, of array_record files alone.

  Raises:
    BadInput: as `described`; its files are no array_record files.
  """
  found = described(name, builder, split, image_key, label_key)
  if not all('.array_record' in os.path.basename(path) for path in found.paths):
    raise BadInput(f'{name}: {builder.data_path} holds no array_record files, which data.stream '
                   "reads: prepare the set with file_format='array_record', or set data.stream to "
                   'False')
  return found


def described(name, builder, split, image_key, label_key):
  """The `Split` of a prepared set.

  Args:
    name: of the set, for messages: 'tfds:imagenet2012'.
    builder: its TFDS builder.
    split: 'train', 'test' or 'validation'.
    image_key, label_key: as in `Split`.

  Raises:
    BadInput: images that cannot be used: of another number of channels, or of floats.
  """
  info, image = builder.info.splits[split], builder.info.features[image_key]
  paths = tuple(os.fspath(path) for path in info.filepaths)
  channels = image.shape[-1] or 3
  if channels not in (1, 3):
    raise BadInput(f'{name} has images of {channels} channels: the image operations need 1 or 3')
  if np.dtype(image.np_dtype).kind == 'f':  # TFDS keeps a float's bytes as four channels of a PNG
    raise BadInput(f'{name} has images of floats: choose a set of images of 8 or 16 bits, or make '
                   'an .npz file of uint8 of it and use arrays:FILE.npz')
  return Split(f'{name}, split {split}', paths, tuple(map(int, info.shard_lengths)), image_key,
               label_key, channels)


def joined(name, first, second):
  """Two splits of a set as one: the records of the second come after those of the first.

  Args:
    name: of the set, for messages: 'tfds:imagenet2012'.
    first, second: `Split` of one set.
  """
  names = ' and '.join(split.name.rsplit(' ', 1)[1] for split in (first, second))
  return first._replace(name=f'{name}, splits {names}', paths=first.paths + second.paths,
                        lengths=first.lengths + second.lengths)


def parse(record, split):
  """(bytes of the image file, class int) of one record, bytes.

  Raises:
    Exception: of any kind, where it is no such record.
  """
  from tensorflow_datasets.proto import tf_example_pb2
  features = tf_example_pb2.Example.FromString(record).features.feature
  image, = features[split.image_key].bytes_list.value
  label, = features[split.label_key].int64_list.value
  return image, label


class Reader:
  """Reads records of a split by their rows: 0 to count - 1, file after file. Files are opened when
  first needed."""

  def __init__(self, split):
    self._split, self._starts = split, [0, *itertools.accumulate(split.lengths)]
    self._open = {}

  def __getstate__(self):
    return self.__dict__ | {'_open': {}}  # open files stay in their process

  def place(self, row):
    """(number of the file, record in it) of a row."""
    file = bisect.bisect_right(self._starts, row) - 1
    return file, int(row) - self._starts[file]

  def name(self, row):
    """What a message calls a row's record."""
    file, record = self.place(row)
    return f'{self._split.name}, row {row}: record {record} of {self._split.paths[file]}'

  def __call__(self, row):
    """(bytes of the image file, class int) of a row.

    Raises:
      BadInput: the record cannot be read; the line names it.
    """
    file, record = self.place(row)
    try:
      content, = self._file(file).read([record])
      return parse(content, self._split)
    except Exception as e:  # array_record and protobuf each raise their own
      raise BadInput(
          f'{self.name(row)} cannot be read ({short(e)}); prepare the set again') from None

  def _file(self, file):
    from array_record.python import array_record_module
    if file not in self._open:
      if not self._open:
        _many_open_files()
      # Rows come in random order: what lies behind one is not read ahead.
      self._open[file] = array_record_module.ArrayRecordReader(
          self._split.paths[file], options='readahead_buffer_size:0', file_reader_buffer_size=32768)
    return self._open[file]


def _many_open_files():
  """ImageNet has 1,024 files, as many as a process may usually open: the limit is raised as far as
  it goes."""
  try:
    import resource
  except ImportError:  # native Windows has no such limit
    return
  soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
  if soft != hard:
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
