"""What a user's files are read through, and the one room that knows of object stores.

A path with a scheme, such as gs://bucket/run, is of a file system of etils.epath: gs, s3, az and
hf, which need fsspec and its package for that store (gcsfs, s3fs, adlfs, huggingface_hub), and
whatever else a config file registers with `etils.epath.register_path_cls('scheme://')`. All other
paths are local, and ~ at their start is a home folder: a shell leaves --flag=~/x as it is. A
byte-order mark at the start of a text is no part of it.
"""

import contextlib
import errno
import io
import json
import os
import re
import shutil
import stat

from daas_jax.errors import BadInput

_MOST_BYTES = 32 * 2**20  # parsed as JSON, some take fifty times as much memory
_ENCODING = 'utf-8-sig'  # without the byte-order mark, where there is one
_SCHEME = re.compile('[a-z][a-z0-9+.-]*://', re.IGNORECASE)
# lists and objects inside of each other: recursion over what is read ends long before Python's
# limit
_MOST_DEEP = 32


def read_text(path, errors='strict'):
  """The content of a text file that anybody may have written: str, every end of a line as a
  newline.

  Args:
    path: the file.
    errors: what becomes of bytes that are not UTF-8, as `bytes.decode` takes it.

  Raises:
    OSError: it cannot be read.
    ValueError: it is no regular file, larger than 32 MiB, or not UTF-8.
  """
  if is_remote(path):
    text = read_bytes(path, _MOST_BYTES).decode(_ENCODING, errors)
    return text.replace('\r\n', '\n').replace('\r', '\n')
  with open(os.path.expanduser(path), 'rb', opener=_without_waiting) as file:
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):  # a pipe waits for ever, a device may have no end
      raise ValueError('it is no regular file')
    if status.st_size > _MOST_BYTES:
      raise ValueError(f'it is larger than {_MOST_BYTES >> 20} MiB')
    text = file.read().decode(_ENCODING, errors)
  return text.replace('\r\n', '\n').replace('\r', '\n')


def read_json(path, finite=True):
  """The content of a JSON file that anybody may have written.

  Args:
    path: the file.
    finite: refuse NaN, Infinity and -Infinity, which are no JSON.

  Returns:
    dict, list, str, int, float, bool or None.

  Raises:
    OSError: it cannot be read.
    ValueError: it is no regular file, larger than 32 MiB, not UTF-8, not JSON, or nested more than
      32 deep.
  """
  return parse_json(read_text(path), finite)


def parse_json(text, finite=True):
  """`read_json` of a text; ValueError where it is not JSON, or nested more than 32 deep."""
  def refuse(word):
    raise ValueError(f'{word} is not a JSON number')

  try:
    content = json.loads(text, parse_constant=refuse if finite else None)
  except RecursionError:
    raise _too_deep() from None
  _check_depth(content)
  return content


def _without_waiting(path, how):
  return os.open(path, how | getattr(os, 'O_NONBLOCK', 0))  # native Windows has none


def _too_deep():
  return ValueError(f'it is nested more than {_MOST_DEEP} deep')


def _check_depth(content):
  level = [[content]]  # all lists and objects of one depth
  for _ in range(_MOST_DEEP + 1):
    inside = (x for outer in level for x in (outer.values() if isinstance(outer, dict) else outer))
    level = [x for x in inside if isinstance(x, (dict, list))]
    if not level:
      return
  raise _too_deep()


def reason(error):
  """What an exception says, on one line of at most 160 characters."""
  return ' '.join(str(error).split())[:160]


def require_utf8(path, what):
  """BadInput where the C++ under JAX, which takes UTF-8 alone, cannot be given a path.

  Args:
    path: str.
    what: what the message calls it, such as '--compilation_cache'.
  """
  try:
    path.encode()
  except UnicodeEncodeError:
    raise BadInput(
        f'{what}={path!a} is not UTF-8, as what writes compiled programs needs it: choose another, '
        'or set PYTHONUTF8=1 where only the locale is not UTF-8'
    ) from None


# --- object stores --------------------------------------------------------------------------------


def is_remote(path):
  """Whether a path begins with a scheme."""
  return _SCHEME.match(os.fspath(path)) is not None


@contextlib.contextmanager
def _at(url):
  """The `epath.Path` of a URL; whatever its file system raises in the context as OSError or, for
  good, BadInput."""
  from etils import epath  # pylint: disable=g-import-not-at-top (local paths do not need it)
  try:
    path = epath.Path(url)
  except KeyError:
    scheme = url.split('://', 1)[0]
    raise BadInput(
        f'{url}: no file system is known for {scheme}://; give gs://, s3://, az:// or a local '
        'folder'
    ) from None
  try:
    yield path
  except ImportError as error:
    raise BadInput(
        f'{url} needs a package that is not installed ({reason(error)}): install it, or give a '
        'local folder'
    ) from None
  except (OSError, BadInput):
    raise
  except Exception as error:  # every file system has errors of its own
    raise OSError(errno.EIO, reason(error) or type(error).__name__, url) from error


def exists(path):
  """Whether there is a file or a folder, local or in a store."""
  if not is_remote(path):
    return os.path.exists(os.path.expanduser(path))
  with _at(path) as at:
    return at.exists()


def is_file(path):
  """Whether there is a file, local or in a store."""
  if not is_remote(path):
    return os.path.isfile(os.path.expanduser(path))
  with _at(path) as at:
    return at.exists() and not at.is_dir()


def read_bytes(path, most=None):
  """The content of a file, local or in a store; ValueError where it has more than `most` bytes."""
  with _at(path) if is_remote(path) else contextlib.nullcontext() as at:
    with open(os.path.expanduser(path), 'rb') if at is None else at.open('rb') as file:
      content = file.read() if most is None else file.read(most + 1)
  if most is not None and len(content) > most:
    raise ValueError(f'it is larger than {most >> 20} MiB')
  return content


def opened(path):
  """A text file, local or in a store, open for reading; bytes that are not UTF-8 are replaced."""
  if is_remote(path):
    return io.StringIO(read_bytes(path).decode(_ENCODING, 'replace'))
  return open(os.path.expanduser(path), encoding=_ENCODING, errors='replace')


def names(url):
  """Names of what is in a folder of a store; [] where there is none."""
  with _at(url) as at:
    try:
      return sorted(entry.name for entry in at.iterdir())
    except (FileNotFoundError, NotADirectoryError):
      return []


def put(url, source):
  """Makes or replaces one object of a store: what a binary file holds; whole or not at all, as the
  store does it."""
  with _at(url) as at:
    try:
      _copy(source, at)
    # of a file system that has folders; to make one asks an object store for more rights
    except FileNotFoundError:
      at.parent.mkdir(parents=True, exist_ok=True)
      _copy(source, at)


def _copy(source, at):
  source.seek(0)
  with at.open('wb') as target:
    shutil.copyfileobj(source, target, 2**22)


def remove(url):
  """Removes an object; nothing where there is none."""
  with _at(url) as at:
    at.unlink(missing_ok=True)
