"""Image files of any size and mode as arrays of one shape in memory, decoded by threads: what
folders and sets of Hugging Face share."""

from collections.abc import Callable, Mapping, Sequence
import concurrent.futures
import os
import time
from typing import Any, NamedTuple

import numpy as np

from daas_jax.data import dataset as dataset_lib, decode, splits
from daas_jax.data.raw import say, short
from daas_jax.errors import BadInput

TEST_SHARE = 0.2
"""Of the training images, class by class, that are the test set where there is none. It is drawn
by SPLIT_SEED and not by the config's: a training of another seed has the test set of its search."""
SPLIT_SEED = 0
SPLITS = {'train': ('train', 'training'), 'val': ('val', 'valid', 'validation'),
          'test': ('test', 'testing')}
"""{split: how it may be called, in lower case}."""
_EVERY = 10.0  # seconds between two lines of progress
_CGROUP = '/sys/fs/cgroup'
_CHUNK = 32  # images that a thread takes at once


class Reading(NamedTuple):
  """How image files become arrays.

  Attributes:
    side: of the squares in pixels; 0: the images are of one size and stay as they are.
    fit: how an image becomes a square, one of `daas_jax.data.decode.FITS`.
    skip_damaged: whether files that cannot be decoded are left out; else they are refused.
  """
  side: int = 0
  fit: str = 'crop'
  skip_damaged: bool = False


class Picture(NamedTuple):
  """One image file.

  Attributes:
    name: for messages.
    read: () -> its bytes.
  """
  name: str
  read: Callable[[], bytes]


Part = tuple[Sequence[Picture], np.ndarray]
"""(pictures, their classes int [N])."""


def reading_of(group: Any) -> Reading:
  """The `Reading` that a config's group `data` asks for."""
  return Reading(*(group.get(name, default) for name, default in Reading()._asdict().items()))


def assemble(name: str, parts: Mapping[str, Part], class_names: Sequence[str],
             reading: Reading) -> dataset_lib.Dataset:
  """The Dataset of the pictures of its splits, all decoded to one shape.

  Args:
    name: of the set, also the beginning of every message.
    parts: {'train', and 'val', 'test' where there are such: `Part`}. 'val' alone is the test set;
      with 'test' it is D_val. Without either, `TEST_SHARE` of each class is the test set. A line
      to stderr says what is not as in the files.
    class_names: sequence of str.
    reading: see there.

  Raises:
    BadInput: no image; images of several sizes and no side; damaged files; more than the memory
      holds; what `daas_jax.data.dataset.assemble` refuses.
  """
  parts = with_test(name, parts)
  pictures = [picture for part in parts.values() for picture in part[0]]
  owner = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts.values()])
  labels = np.concatenate([part[1] for part in parts.values()])
  images, kept = decoded(name, pictures, reading)
  counts = np.bincount(owner[kept], minlength=len(parts))
  empty = [split for split, count in zip(parts, counts) if not count]
  if empty:
    raise BadInput(f'{name}: split {empty[0]} is empty; give at least one image that can be read')
  n_test, labels = int(counts[-1]), labels[kept]
  first = len(labels) - n_test
  return dataset_lib.assemble(name, images[:first], labels[:first], images[first:], labels[first:],
                              class_names, n_val=int(counts[1]) if 'val' in parts else 0)


def with_test(name: str, parts: Mapping[str, Part]) -> dict[str, Part]:
  """{'train', maybe 'val', 'test'} of `assemble`'s parts, in this order: there is a test set."""
  train = parts['train']
  if 'test' in parts:
    return {split: parts[split] for split in ('train', 'val', 'test') if split in parts}
  if 'val' in parts:
    say(f'note: {name} has validation images and no test images: the validation images are the '
        'test set, and D_val is split from the training images')
    return {'train': train, 'test': parts['val']}
  rows = splits.halves(train[1], SPLIT_SEED, 1 - TEST_SHARE)
  say(f'note: {name} has no test images: {len(rows[1])} of its {len(train[1])} images, '
      f'{TEST_SHARE:.0%} of each class, are the test set, the same for every seed')
  return dict(zip(('train', 'test'), (
      ([train[0][i] for i in part], train[1][part]) for part in rows)))


def shape_of(name: str, pictures: Sequence[Picture], reading: Reading) -> tuple[int, int, int]:
  """(H, W, C) of the arrays, from the files' headers alone; arguments and BadInput as `decoded`."""
  return _shape(name, pictures, each(name, 'looked at', _header, pictures), reading)


def decoded(name: str, pictures: Sequence[Picture],
            reading: Reading) -> tuple[np.ndarray, np.ndarray]:
  """Decodes files, in threads, with a line of progress every ten seconds.

  Args:
    name: of the set, for messages.
    pictures: the files.
    reading: see there.

  Returns:
    (uint8 [n, H, W, C], int64 [n], which of the pictures they are: all but the damaged ones). C is
    1 where every file is grey and 3 otherwise.

  Raises:
    BadInput: as `assemble`.
  """
  headers = each(name, 'looked at', _header, pictures)
  shape = _shape(name, pictures, headers, reading)
  _check_memory(name, len(pictures), shape)
  images = np.empty((len(pictures), *shape), np.uint8)

  def decode_one(row):
    if isinstance(headers[row], Exception):
      return headers[row]
    try:
      images[row] = decode.fitted(pictures[row].read(), shape[-1], reading.side, reading.fit)
    except Exception as e:  # a damaged image raises whatever its decoder raises
      return e
    return None

  failed = each(name, 'decoded', decode_one, range(len(pictures)))
  kept = np.flatnonzero([error is None for error in failed])
  if len(kept) < len(failed):
    first = next(row for row, error in enumerate(failed) if error is not None)
    damaged = (f'{len(failed) - len(kept)} of {len(failed)} image files cannot be decoded, the '
               f'first is {pictures[first].name} ({short(failed[first])})')
    if not reading.skip_damaged:
      raise BadInput(f'{name}: {damaged}: mend or remove them, or set data.skip_damaged to True')
    say(f'note: {name}: {damaged}: they are left out')
    for place, row in enumerate(kept):  # in place: a copy would need the memory twice
      images[place] = images[row]
  return images[:len(kept)], kept


def _header(picture):
  """A picture's `decode.Header`, or what was raised."""
  try:
    return decode.header(picture.read())
  except Exception as e:  # no image raises whatever Pillow raises
    return e


def _shape(name, pictures, headers, reading):
  found = [(row, header) for row, header in enumerate(headers) if not isinstance(header, Exception)]
  if not found:
    first = f', the first is {pictures[0].name} ({short(headers[0])})' if headers else ''
    raise BadInput(f'{name} has no image file that can be read{first}')
  channels = 1 if all(header.grey for _, header in found) else 3
  if reading.side:
    return reading.side, reading.side, channels
  (row, first), size = found[0], found[0][1][:2]
  for other, header in found:
    if header[:2] != size:
      raise BadInput(
          f'{name} has images of several sizes, {first.height}x{first.width} of '
          f'{pictures[row].name} and {header.height}x{header.width} of {pictures[other].name}: set '
          'data.side to the side of the squares that they become')
  return *size, channels


def _check_memory(name, n, shape):
  needed, free = n * int(np.prod(shape)), free_memory()
  if free is not None and needed > free:
    raise BadInput(
        f'{name}: {n:,} images of {"x".join(map(str, shape))} need {needed / 1e9:.1f} GB of memory '
        f'and {free / 1e9:.1f} GB are free: set data.side to less than {shape[0]}, or use fewer '
        'images')


def free_memory() -> int | None:
  """Bytes of memory that this process may still take; None where the system does not say (it is
  Linux that does)."""
  free = []
  try:
    free.append(1024 * _numbers('/proc/meminfo')['MemAvailable'])
    with open(f'{_CGROUP}/memory.max', encoding='ascii') as file:  # of a container
      most = int(file.read())
    with open(f'{_CGROUP}/memory.current', encoding='ascii') as file:
      taken = int(file.read())
    found = _numbers(f'{_CGROUP}/memory.stat')  # files that were read are let go when need be
    free.append(most - taken + found['active_file'] + found['inactive_file'])
  except (OSError, ValueError, KeyError):
    pass  # no such file; 'max' where there is no limit
  return min(free, default=None)


def _numbers(path):
  """{name: number} of the lines 'name: number ...' or 'name number' of a file."""
  with open(path, encoding='ascii') as file:
    lines = [line.replace(':', ' ').split() for line in file]
  return {line[0]: int(line[1]) for line in lines}


def each(name: str, done: str, function: Callable, items: Sequence) -> list:
  """[function(item)] in order, in threads; a line of progress every ten seconds.

  Args:
    name: of what the items are, for that line.
    done: what is done with them, in its words.
    function, items: see above.
  """
  found: list = []
  chunks = [items[start:start + _CHUNK] for start in range(0, len(items), _CHUNK)]
  said = time.monotonic()
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for results in pool.map(lambda chunk: [function(item) for item in chunk], chunks):
      found += results
      if time.monotonic() - said > _EVERY:
        said = time.monotonic()
        say(f'{name}: {done} {len(found):,} of {len(items):,} images')
  return found
