"""A full disk: what tells it from other errors, and what a run does about it."""

import contextlib
import errno
import os

# EFBIG: the limit of a process on the size of its files (ulimit -f) is a disk that is full for it.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

ACTIONS = ('stop', 'go_on')


def full(error, path):
  """The OSError of a full disk that an error is, was caused by, or (of a C++ library) only speaks
  of; else None.

  Args:
    error: an exception.
    path: what was written, for an error that does not name a file.
  """
  while error is not None:
    if isinstance(error, OSError) and error.errno in _FULL:
      return error if error.filename else OSError(error.errno, error.strerror, path)
    for number in _FULL:
      if os.strerror(number) in str(error):
        return OSError(number, os.strerror(number), path)
    error = error.__cause__ or error.__context__
  return None


def guard(action, warn):
  """`checkpoint.on_full_disk` as a context: with 'go_on' a full disk ends what is in it with a
  warning.

  Args:
    action: one of `ACTIONS`.
    warn: receives the line.

  Returns:
    A function (what, path) -> context; `what` was not written and `path` is where.
  """
  @contextlib.contextmanager
  def guarded(what, path):
    try:
      yield
    except Exception as error:
      found = full(error, path)
      if found is None or action == 'stop':
        raise found or error  # noqa: B904 (of the error that there was)
      warn(
          f'warning: {what} could not be written ({found.strerror}: {found.filename}); the run '
          'goes on, as checkpoint.on_full_disk=go_on says')
  return guarded
