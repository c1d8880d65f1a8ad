"""The classes of every record of a split, which halves and subsets are chosen by, kept in a file
beside the records.

A class lies inside its record, behind the image: to learn all of ImageNet's, 144 GB are read once.
The file is written by `python -m daas_jax.prepare NAME`, or by the first run that needs it.
"""

import concurrent.futures
import io
import os
import zipfile
import zlib

import numpy as np

from daas_jax.data import raw, records
from daas_jax.data.raw import short
from daas_jax.errors import BadInput
from daas_jax.files import atomic

_CHUNK = 256  # records at once: 28 MB of ImageNet
_THREADS = 8
_HEAD = 65536  # bytes; sizes alone do not differ, array_record fills up its blocks
_WORTH_A_LINE = 20_000  # records; fewer take a second


def path(split):
  """The file of a split's classes."""
  return os.path.join(os.path.dirname(split.paths[0]),
                      f"daas_jax-labels-{split.name.rsplit(' ', 1)[1]}.npz")


def of(split, report=None):
  """The class of every record: int32 [N], from the file if it is there and is of these records.

  Args:
    split: a `records.Split`.
    report: called with each line of progress; None prints to stderr what takes long.

  Raises:
    BadInput: a record cannot be read.
  """
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    marks = np.array(list(pool.map(_mark, split.paths)), np.int64)
  found = _kept(path(split), split, marks)
  if found is not None:
    return found
  say = report or (raw.say if split.count >= _WORTH_A_LINE else lambda line: None)
  say(f'{split.name}: reading the classes of {split.count:,} records '
      f'({marks[:, 0].sum() / 1e9:.1f} GB), once'
     )
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    parts = list(pool.map(lambda file: _of_file(split, file), range(len(split.paths))))
  labels = np.concatenate(parts)
  content = io.BytesIO()
  np.savez(content, labels=labels, marks=marks)
  try:
    atomic.write(path(split), content.getvalue())
    say(f'wrote {path(split)}')
  except OSError as e:
    (report or raw.say)(f'{path(split)} cannot be written ({short(e)}): every run will read the '
                        'classes again; let someone who may write there run '
                        'python -m daas_jax.prepare')
  return labels


def _mark(file):
  """(size in bytes, checksum of the first of them): what tells a file from another, wherever it is
  copied to."""
  with open(file, 'rb') as opened:
    return os.path.getsize(file), zlib.crc32(opened.read(_HEAD))


def _kept(file, split, marks):
  try:
    with np.load(file, allow_pickle=False) as kept:
      labels = kept['labels']
      if np.array_equal(kept['marks'],
                        marks) and labels.shape == (split.count,) and labels.dtype == np.int32:
        return labels
  except (OSError, EOFError, ValueError, KeyError, AttributeError, TypeError, RuntimeError,
          NotImplementedError,
          zipfile.BadZipFile, zlib.error):
    pass  # none, a damaged one, or one of other records: read anew
  return None


def _of_file(split, file):
  from array_record.python import array_record_module
  labels = np.empty(split.lengths[file], np.int32)
  done = 0
  try:
    reader = array_record_module.ArrayRecordReader(split.paths[file])
    for done in range(0, len(labels), _CHUNK):
      contents = reader.read(done, min(done + _CHUNK, len(labels)))
      labels[done:done + len(contents)] = [records.parse(content, split)[1] for content in contents]
    reader.close()
  except Exception as e:  # array_record and protobuf each raise their own
    raise BadInput(
        f'{split.name}: of {split.paths[file]}, records {done} and on cannot be read ({short(e)}); '
        'prepare the set again') from None
  return labels


def check(name, labels, total=None, unit='row'):
  """Refuses labels that are no index of a class: TFDS writes -1 where there is none.

  Args:
    name: what holds them, for the message.
    labels: integers [N].
    total: the number of classes; None: only negative ones are refused.
    unit: what each label is of, for the message.

  Raises:
    BadInput: a label outside 0 to total - 1; the line names the first.
  """
  labels = np.asarray(labels)
  wrong = np.flatnonzero((labels < 0) | (labels >= (np.inf if total is None else total)))
  if wrong.size:
    known, most = ('', 'or more') if total is None else (
        f' and there are {total} classes', f'to {total - 1}')
    raise BadInput(f'{name} holds {labels[wrong[0]]}{known}; labels must be 0 {most}: {unit} '
                   f'{wrong[0]} is the first that is not')
