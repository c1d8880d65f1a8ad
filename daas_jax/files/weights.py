"""Arrays in files: nested dicts of them as safetensors, which holds numbers alone and runs no code.

An array of {'params': {'stem': x}} is called 'params/stem' in the file.
"""

from collections.abc import Mapping
import io
import os
from typing import Any

import flax.traverse_util
import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy

from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage

_SEPARATOR = '/'
_NPZ = '.npz'  # what was written before
_TYPES = {
    'BOOL': np.bool_, 'BF16': ml_dtypes.bfloat16, 'F16': np.float16, 'F32': np.float32,
    'F64': np.float64, 'I8': np.int8, 'I16': np.int16, 'I32': np.int32, 'I64': np.int64,
    'U8': np.uint8, 'U16': np.uint16, 'U32': np.uint32, 'U64': np.uint64,
}
"""safetensors' names of types; its own numpy table has no bfloat16."""


def _flat(tree):
  """{name: leaf} of a nested dict. Dicts without arrays are left out."""
  for names in flax.traverse_util.flatten_dict(tree):
    wrong = [n for n in names if not isinstance(n, str) or not n or _SEPARATOR in n]
    if wrong:
      raise ValueError(f'{wrong[0]!r} names an array or a dict of them, and is not a text without '
                       f'{_SEPARATOR!r}')
  return flax.traverse_util.flatten_dict(tree, sep=_SEPARATOR)


def save(path: str, tree: Mapping[str, Any]) -> None:
  """Writes a .safetensors file: the same bytes for the same arrays, whole or not at all.

  Args:
    path: file to write or replace; its folder must exist.
    tree: nested dict of arrays of any shape, NumPy's or JAX's: boolean, integer, float16, bfloat16,
      float32 or float64. Names are texts without '/'. A dict without arrays leaves no trace:
      `check` gives it back.

  Raises:
    OSError: it cannot be written.
    ValueError: a name or a type is none of these.
  """
  # The library is given addresses: a transposed array would be written as it lies in memory.
  arrays = {name: np.asarray(x, order='C') for name, x in _flat(tree).items()}
  known = {np.dtype(t) for t in _TYPES.values()}
  for name, x in arrays.items():
    if x.dtype.newbyteorder('=') not in known:
      raise ValueError(f'the array {name!r} is {x.dtype}, which safetensors has no type for')
  atomic.write(path, safetensors.numpy.save(arrays))


def load(path: str) -> dict[str, Any]:
  """Reads what `save` wrote, or the arrays of a .npz file that are called in the same way.

  Args:
    path: the file, local or in a store.

  Returns:
    Nested dict of NumPy arrays.

  Raises:
    BadInput: it cannot be read, or is damaged.
  """
  try:
    content = storage.read_bytes(path)
    found = (_of_npz if os.fspath(path).endswith(_NPZ) else _of_safetensors)(content)
    tree = flax.traverse_util.unflatten_dict(found, sep=_SEPARATOR)
    if _flat(tree).keys() != found.keys():
      raise ValueError('a name is that of an array and of a group of them')
  except OSError as error:
    raise BadInput(f'{path} cannot be read ({error.strerror or error})') from None
  # pylint: disable=broad-except (zipfile and numpy raise many kinds for damaged files)
  except Exception as error:
    raise BadInput(f'{path} is damaged ({" ".join(str(error).split())[:100]})') from None
  return tree


def _of_safetensors(content):
  found = {}
  for name, x in safetensors.deserialize(content):
    if x['dtype'] not in _TYPES:
      raise ValueError(f'{name!r} is of type {x["dtype"]}')
    found[name] = np.frombuffer(x['data'], _TYPES[x['dtype']]).reshape(x['shape'])
  return found


def _of_npz(content):
  with np.load(io.BytesIO(content), allow_pickle=False) as file:
    return {name: file[name] for name in file.files}


def check(tree: Mapping[str, Any], shapes: Mapping[str, Any], path: str) -> dict[str, Any]:
  """The arrays of a file, held against those that a network has.

  Args:
    tree: nested dict of arrays, as `load` gives it.
    shapes: nested dict of whatever has a shape and a dtype, such as `jax.eval_shape` gives.
    path: the file, for messages.

  Returns:
    `tree`, with the dicts of `shapes` that hold no array.

  Raises:
    BadInput: an array is missing, is none of this network, or has another shape or type.
  """
  found, wanted = _flat(tree), _flat(shapes)
  for name in sorted({*wanted, *found}):
    if name not in wanted or name not in found:
      raise BadInput(
          f'{path}: the array {name!r} is {"missing" if name in wanted else "not of this network"}')
    if found[name].shape != wanted[name].shape or found[name].dtype != wanted[name].dtype:
      raise BadInput(f'{path}: the array {name!r} is {found[name].dtype} {found[name].shape}, not '
                     f'{wanted[name].dtype} {wanted[name].shape}')
  whole = flax.traverse_util.flatten_dict(shapes, sep=_SEPARATOR, keep_empty_nodes=True)
  return flax.traverse_util.unflatten_dict({name: found.get(name, leaf)
                                            for name, leaf in whole.items()}, sep=_SEPARATOR)
