"""What a search left in its workdir, and files that a flag names: found, or one line that says what
to give."""

from collections.abc import Iterable
import difflib
import os

from daas_jax.errors import BadInput
from daas_jax.files import storage


def of_search(folder: str | None, name: str) -> str:
  """The path of NAME.json in a search's workdir.

  Args:
    folder: the workdir, or None where no search was given.
    name: 'policy', 'genotype' or another result.

  Raises:
    BadInput: it is not there.
  """
  if not folder:
    raise BadInput(
        f'the searched {name} is asked for, but no search is given: add --search=WORKDIR')
  path = os.path.join(folder, f'{name}.json')
  if not storage.is_file(path):
    raise BadInput(f'{folder} holds no {name}.json: give the workdir of a finished search '
                   'that found one')
  return path


def require(asked: str, flag: str, words: Iterable[str]) -> None:
  """Refuses what is no file.

  Args:
    asked: what the flag was given.
    flag: its name.
    words: what it takes besides files.

  Raises:
    BadInput: there is no such file; the line names the nearest word.
  """
  if not storage.exists(asked):
    words = list(words)
    near = difflib.get_close_matches(asked, words, 1)
    raise BadInput(f'--{flag}={asked!r} is neither a file nor one of {", ".join(words)}'
                   + (f'; did you mean {near[0]!r}?' if near else ''))
