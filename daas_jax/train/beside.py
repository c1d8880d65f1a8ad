"""What other runs of the same budget were worth, printed beside this one's.

They are kept in the table.json of a study (`daas_jax.study.table`), that of a user or one that
comes with the package's configs.
"""

from collections.abc import Iterator
import os

import numpy as np

from daas_jax.config import installed
from daas_jax.config.key import nearest
from daas_jax.errors import BadInput
from daas_jax.files import storage
from daas_jax.runtime import workdir

_STUDIES = 'studies'  # of the package's configs
_OURS = 'this training'


def find(asked: str) -> str:
  """The path of a table.json.

  Args:
    asked: FILE.json, or the NAME of one in the package's configs/studies. A file comes first.

  Raises:
    BadInput: there is none.
  """
  path = os.path.expanduser(asked)
  if os.path.isfile(path):
    return path
  folder = os.path.join(installed.configs(), _STUDIES)
  names = sorted(name.removesuffix('.json') for name in os.listdir(folder)
                 if name.endswith('.json'))
  if asked in names:
    return os.path.join(folder, f'{asked}.json')
  raise BadInput(f"config key 'beside': no file {asked!r}: it must be the table.json of a study"
                 + (f', or {" or ".join(names)}' if names else '')
                 + nearest(asked, names))


def read(asked: str) -> dict[str, np.ndarray]:
  """{label: accuracies in [0, 1], one a seed} of the rows of a study's table.json, of its first
  part where it has several.

  Args:
    asked: see `find`; '' is no table.

  Raises:
    BadInput: there is no such file, or it holds no such table.
  """
  if not asked:
    return {}
  path = find(asked)
  try:
    content = storage.read_json(path)
    rows = {row['row']: 1 - np.array(list(row['values'].values()), float) / 100
            for row in content['rows'] if row.get('part') == content['rows'][0].get('part')}
    good = all(isinstance(label, str) and np.ndim(x) == 1 and np.all((x >= 0) & (x <= 1))
               for label, x in rows.items())
  except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError):
    good = False
  if not good:
    raise BadInput(f'{workdir.shown(path)} is no table.json of a study: it holds no rows of test '
                   'errors')
  return {label: x for label, x in rows.items() if len(x)}


def lines(kept: dict[str, np.ndarray], accuracy: float) -> Iterator[str]:
  """What is printed: this run's test accuracy, and each row's mean, least and most.

  Args:
    kept: as `read` returns it.
    accuracy: this run's, in [0, 1].
  """
  if not kept:
    return
  width = max(map(len, (*kept, _OURS)))
  yield f"{'the same budget':{width}}  test accuracy, mean of so many seeds (least to most)"
  yield f'{_OURS:{width}}  {accuracy:.4f}'
  for label, x in kept.items():
    yield f'{label:{width}}  {x.mean():.4f} of {len(x)} ({x.min():.4f} to {x.max():.4f})'
