"""Files that are whole or not there."""

import os


def write(path, content):
  """Writes a file whole or not at all: beside the target first, then renamed over it.

  Args:
    path: the file, made or replaced; its folder must exist. ~ at its start is a home folder.
    content: str (written as UTF-8, newlines as they are) or bytes.

  Raises:
    OSError: if it cannot be written; what was there before is untouched and nothing is left behind.
  """
  path = os.path.expanduser(path)
  temporary = f'{path}.tmp'
  try:
    with open(temporary, 'wb') as file:
      file.write(content.encode() if isinstance(content, str) else content)
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    if os.path.isfile(temporary):
      os.remove(temporary)
    raise
