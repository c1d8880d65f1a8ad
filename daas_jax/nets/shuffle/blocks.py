"""blocks.json: a path through the ShuffleNetV2 supernet, as a file.

  {"format": "daas_jax.blocks", "version": 1, "size": "cifar", "choices": ["k3", "xception", ...]}
"""

import json
import reprlib
from typing import Any, NamedTuple

from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.nets.shuffle import layers

FORMAT = 'daas_jax.blocks'
VERSION = 1
_REMEDY = 'give the blocks.json that a search of the ShuffleNetV2 space wrote'


class Blocks(NamedTuple):
  """A path: a key of `layers.SIZES`, and the name of the choice of each of its blocks."""
  size: str
  choices: tuple


def to_text(blocks: Blocks) -> str:
  """The content of the file: the same bytes for the same path."""
  return json.dumps(
      {
          'format': FORMAT,
          'version': VERSION,
          'size': blocks.size,
          'choices': list(blocks.choices)
      }, indent=2) + '\n'


def save(path: str, blocks: Blocks) -> None:
  """Writes the file, whole or not at all."""
  atomic.write(path, to_text(blocks))


def from_json(content: Any, source: str = 'blocks') -> Blocks:
  """The `Blocks` in a file's content.

  Raises:
    BadInput: it is malformed; one line.
  """
  def fail(what):
    raise BadInput(f'{source} is no usable path: {what}; {_REMEDY}')

  if not isinstance(content, dict) or content.get('format') != FORMAT:
    fail(f'its format is not {FORMAT!r}')
  if type(content.get('version')) is not int or content['version'] != VERSION:  # True is 1
    fail(f'its version is {reprlib.repr(content.get("version"))}, and this program reads {VERSION}')
  size, choices = content.get('size'), content.get('choices')
  if not isinstance(size, str) or size not in layers.SIZES:
    fail(f'its size is {reprlib.repr(size)}, not one of {", ".join(layers.SIZES)}')
  n = layers.SIZES[size].blocks
  if not isinstance(choices, list) or len(choices) != n:
    fail(f'"choices" is not a list of the {n} blocks of size {size!r}')
  for i, name in enumerate(choices):
    if not isinstance(name, str) or name not in layers.CHOICES:
      fail(f'block {i} is {reprlib.repr(name)}, not one of {", ".join(layers.CHOICES)}')
  return Blocks(size, tuple(choices))


def load(path: str) -> Blocks:
  """Reads a blocks.json.

  Raises:
    BadInput: it is missing, or malformed.
  """
  try:
    content = storage.read_json(path)
  except OSError as e:
    raise BadInput(f'{path} cannot be read ({e.strerror or e}); {_REMEDY}') from None
  except ValueError as e:
    raise BadInput(f'{path} is not JSON ({storage.reason(e)}); {_REMEDY}') from None
  return from_json(content, path)


def describe(blocks: Blocks) -> str:
  """The choices stage by stage, as lines of aligned text."""
  lines, at = [], 0
  for i, (n, channels, _) in enumerate(layers.SIZES[blocks.size].stages):
    lines.append(f'stage {i + 1}, {channels:3} channels: '
                 + ' '.join(f'{c:8}' for c in blocks.choices[at:at + n]))
    at += n
  return '\n'.join(line.rstrip() for line in lines)
