"""Which classes of a set are used: a seeded choice, a list of this package, or a list in a file."""

import difflib
import os

import numpy as np

from daas_jax.data import splits
from daas_jax.data.raw import short
from daas_jax.errors import BadInput
from daas_jax.files import storage

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lists')
LISTS = {'imagenet120': (120, 0)}
"""{list of this package: (how many of ImageNet's 1,000 classes, the seed that chose them)}.

DAAS 5 and DDAS 4.3 search on 120 classes that they do not list: these are 120 drawn with seed 0.
"""


def chosen(config, name, class_names):
  """The classes that a config's set is reduced to.

  Args:
    config: its `data` group and `seed` are used.
    name: of the set, for messages.
    class_names: of the whole set.

  Returns:
    Sorted int64 [n] of indices into class_names, or None where all are used.

  Raises:
    BadInput: more classes than there are, or a list that cannot be read, names no class or is of
      another length.
  """
  asked = config.data.class_list
  if not asked:
    n = config.data.classes
    return splits.chosen_classes(name, len(class_names), n, config.seed) if n else None
  wanted = read(asked)
  if len(wanted) != config.data.classes:
    raise BadInput(
        f'data.class_list={asked} names {len(wanted)} classes and data.classes is '
        f'{config.data.classes}: '
        f"set data.classes={len(wanted)}, or data.class_list='' for a seeded choice")
  index = {class_name: i for i, class_name in enumerate(class_names)}
  missing = [class_name for class_name in wanted if class_name not in index]
  if missing:
    raise BadInput(
        f'data.class_list={asked}: {name} has no class {missing[0]!r}, but {class_names[0]!r} and '
        'others: '
        "give a list of its own, or data.class_list='' for a seeded choice")
  return np.sort([index[class_name] for class_name in wanted])


def read(asked):
  """The class names of a list: a word of LISTS, or a file with a name a line; lines that begin with
  # are left out.

  Raises:
    BadInput: no such list, an empty one, or one that names a class twice.
  """
  path = os.path.join(FOLDER, f'{asked}.txt') if asked in LISTS else asked
  try:
    lines = [line.strip() for line in storage.read_text(path).split('\n')]
  except (OSError, ValueError) as e:
    near = difflib.get_close_matches(asked, LISTS, 1)
    hint = (f'; did you mean {near[0]!r}?' if near else
            f'; give one of {", ".join(LISTS)}, or a file')
    raise BadInput(f'data.class_list={asked} cannot be read ({short(e)}){hint}') from None
  names = [line for line in lines if line and not line.startswith('#')]
  if not names or len(set(names)) != len(names):
    raise BadInput(
        f'data.class_list={asked} names {"a class twice" if names else "no class"}: give each on a '
        'line of '
        'its own, once')
  return names


def text(word, class_names):
  """What the file of a list of LISTS holds, chosen again from all class names of ImageNet in their
  order."""
  n, seed = LISTS[word]
  rows = splits.chosen_classes(word, len(class_names), n, seed)
  return (
      f'# {n} of the {len(class_names)} classes of imagenet2012, WordNet ids, drawn with seed '
      f'{seed}:\n'
      f'# daas_jax.data.splits.chosen_classes(name, {len(class_names)}, {n}, {seed}); tests choose '
      'them again.\n'
      + ''.join(f'{class_names[i]}\n' for i in rows))
