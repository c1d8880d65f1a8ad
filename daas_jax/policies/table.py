"""policy.json: the table of derived policies (DAAS 4.3) as a file, and as a function for a training
loop.

  {"format": "daas_jax.policy", "version": 3, "ops": ["Rotate", "Invert", ...], "K": 2, "levels":
   10, "policies": [{"ops": ["Rotate", "Invert"], "probability": 0.0123, "p": [0.5, 0.61], "level":
                 [3, 9], "magnitude": [10.0, 1.0]}, ...]}

A policy applies its K operations in order, operation k to each image with probability p[k] and at
level[k] of 0 to levels - 1, which is spread evenly over the operation's range. The magnitude is
that level in the operation's own unit (an operation with a sign turns it at random): it is there to
be read, and `load` passes over it and over every key it does not know. So a file of a few policies
can be written by hand.

Of version 3 a batch draws a policy, as the paper's training does. Of version 4 every image draws
one of its own, and the levels too: each policy has "level_probability", [K][levels], beside its
likeliest "level" ('policy.drawn'). A file may say "per": "chunk:8" (or "batch", or "image") of how
a training draws that says nothing else. Versions 1 and 2 are the same, but that the levels of an
operation with a sign run there from -high to high, so that each is there twice: they are read as
what they mean.
"""

from collections.abc import Callable, Iterable, Mapping
import math
import reprlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment.apply import apply_each, apply_policy
from daas_jax.augment.ops import magnitude, OPS
from daas_jax.errors import BadInput
from daas_jax.files import atomic
from daas_jax.policies import contract, file, registry

FORMAT = 'daas_jax.policy'
VERSIONS = {'batch': 3, 'image': 4}
"""{what draws a policy in a training: version of its file}."""

_MOST_K = 10  # compiling takes the longer, the more operations there are in sequence


class Header(NamedTuple):
  """What a table's policies are made of: names of the operations, K of them in sequence, and
  magnitude levels."""
  ops: tuple
  K: int
  levels: int


def strength(m: Any, levels: int) -> Any:
  """Level m in [0, M) as strength in [0, 1], the unit of `daas_jax.augment.apply`: m / (M - 1)."""
  return m / max(levels - 1, 1)


class PolicyTable(NamedTuple):
  """A distribution over n policies of K operations; arrays are numpy's.

  Attributes:
    ops: names of the operations of the space, keys of `daas_jax.augment.ops.OPS`.
    K: operations in sequence.
    levels: magnitude levels.
    o: int32 [n, K], positions in `ops`.
    probability: float64 [n], sum 1.
    p: float64 [n, K], probability in [0, 1] that an image gets the operation.
    strength: float64 [n, K], in [0, 1], from the low to the high end of the operation's range.
    level_probability: float64 [n, K, levels], sum 1, where each image draws a policy and levels;
      None where a batch draws a policy, at `strength`.
    per: what shares a drawn policy in a training, see `contract.drawn`; '': an image has its own
      where there is a `level_probability`, else a batch.
  """
  ops: tuple
  K: int
  levels: int
  o: np.ndarray
  probability: np.ndarray
  p: np.ndarray
  strength: np.ndarray
  level_probability: np.ndarray | None = None
  per: str = ''


# --- the file -------------------------------------------------------------------------------------


def to_json(table: Mapping[str, Any], space: Any) -> dict[str, Any]:
  """The content of policy.json.

  Args:
    table: as `categorical.table` returns; of version 4 where it has 'level_probability' [n, K,
      levels]; 'per' where the form of the file does not say it.
    space: its `Header`, or a space that has these attributes.

  Returns:
    A dict of str, int, float and lists, as at the top of this file; the policies in the order of
    the table. Floats have 9 significant digits, so that the same table gives the same bytes
    everywhere.
  """
  rows = [_row(space, *row) for row in zip(*(table[key] for key in ('o', 'probability', 'p', 'm')))]
  for row, weights in zip(rows, table.get('level_probability', ())):
    row['level_probability'] = [[_digits(x) for x in w] for w in weights]
  drawn = 'image' if 'level_probability' in table else 'batch'
  per = {'per': table['per']} if 'per' in table else {}
  return {'format': FORMAT, 'version': VERSIONS[drawn], **per, 'ops': list(space.ops),
          'K': space.K, 'levels': space.levels, 'policies': rows}


def _row(space, o, probability, p, m):
  names = [space.ops[i] for i in o]
  values = [magnitude(name, strength(int(level), space.levels)) for name, level in zip(names, m)]
  return {'ops': names, 'probability': _digits(probability), 'p': [_digits(x) for x in p],
          'level': [int(level) for level in m], 'magnitude': [_digits(x) for x in values]}


def _digits(x):
  return float(f'{x:.9g}')


def save(path: str, table: Mapping[str, Any], space: Any) -> None:
  """Writes policy.json, whole or not at all; the same table gives the same bytes.

  Args:
    path: the file; its folder must exist.
    table: as `categorical.table` returns.
    space: its `Header`, or a space that has these attributes.

  Raises:
    OSError: it cannot be written.
    ValueError: the table holds NaN or an infinite number.
  """
  atomic.write(path, contract.laid_out(to_json(table, space)))


def load(path: str, ops: Iterable[str] | None = None) -> PolicyTable:
  """Reads policy.json; see `from_json`.

  Raises:
    BadInput: also where the file is missing.
  """
  return from_json(file.read(path), path, ops)


def from_json(content: Any, path: str, ops: Iterable[str] | None = None) -> PolicyTable:
  """The `PolicyTable` in a file's content.

  Args:
    content: what `file.read` returns.
    path: the file, for what is said of it.
    ops: names of the operations of the space that the policies have to belong to; None for any.

  Returns:
    `PolicyTable`, policies in the order of the file, probabilities divided by their sum.

  Raises:
    BadInput: the content is malformed, names an operation that there is not, or one outside of
      `ops`.
  """
  where = f'{path}: '
  if not isinstance(content, dict) or content.get('format') != FORMAT:
    raise BadInput(
        f'{where}"format" is not "{FORMAT}"; give a policy.json that a search has written')
  file.check_version(content, (*file.EARLIER[FORMAT], *VERSIONS.values()), where)
  space = _header(content, where, ops)
  rows = file.get(content, 'policies', where)
  if not isinstance(rows, list) or not rows:
    raise BadInput(f'{where}"policies" must be a list of at least one policy')
  each = content['version'] % 2 == 0  # as every second one
  per = content.get('per', '')
  if wrong := contract.not_per(per):
    raise BadInput(f'{where}"per" {wrong}')
  rows = [_check_row(row, f'{where}policies[{i}]: ', space, each) for i, row in enumerate(rows)]
  if space.K > _MOST_K:
    raise BadInput(f'{where}"K" must be at most {_MOST_K}, not {space.K}')
  o, probability, p, level, weights = zip(*rows)
  total = math.fsum(probability)
  if abs(total - 1) > file.SUM_TOLERANCE:
    raise BadInput(
        f'{where}the probabilities of the policies sum to {total:.6g}; make them sum to 1')
  if content['version'] in file.EARLIER[FORMAT]:
    return from_json(file.newest(content), path, ops)
  return PolicyTable(space.ops, space.K, space.levels, np.array(o, np.int32),
                     np.array(probability, np.float64) / total, np.array(p, np.float64),
                     strength(np.array(level, np.float64), space.levels),
                     _shares(weights) if each else None, per)


def _header(content, where, ops):
  """The space that the file is of; how parameters were shared is not in it."""
  names = file.get(content, 'ops', where)
  if not file.is_list(names, lambda name: isinstance(name, str)) or not names or len(
      set(names)) < len(names):
    raise BadInput(f'{where}"ops" must be a list of different names of operations')
  for name in names:
    if name not in OPS:
      raise BadInput(f'{where}unknown operation {reprlib.repr(name)}; known are {", ".join(OPS)}')
    if ops is not None and name not in ops:
      raise BadInput(
          f'{where}it belongs to another space: {name!r} is not among the operations '
          f'{", ".join(ops)}; '
          'give a policy of this space')
  for key in ('K', 'levels'):
    if not file.is_int(file.get(content, key, where)) or content[key] < 1:
      raise BadInput(
          f'{where}"{key}" must be a whole number from 1 on, not {reprlib.repr(content[key])}')
  return Header(tuple(names), content['K'], content['levels'])


def _check_row(row, where, space, each):
  """One policy of the file as (o, probability, p, level, level_probability or None)."""
  if not isinstance(row, dict):
    raise BadInput(f'{where}must be an object with "ops", "probability", "p" and "level"')
  wanted = {
      'ops': (
          lambda x: isinstance(x, str) and x in space.ops, 'names of "ops" at the top of the file'),
      'p': (lambda x: file.is_number(x) and 0 <= x <= 1, 'numbers from 0 to 1'),
      'level': (lambda x: file.is_int(x) and 0 <= x < space.levels,
                f'whole numbers from 0 to {reprlib.repr(space.levels - 1)}'),
  }
  if each:
    wanted['level_probability'] = (
        lambda x: file.is_list(x, file.is_probability) and len(x) == space.levels and abs(
            math.fsum(x) - 1) <= file.SUM_TOLERANCE,
        f'lists of {reprlib.repr(space.levels)} numbers from 0 to 1 that sum to 1')
  for key, (good, what) in wanted.items():
    if not file.is_list(file.get(row, key, where), good) or len(row[key]) != space.K:
      raise BadInput(f'{where}"{key}" must be a list of {reprlib.repr(space.K)} {what}, not '
                     f'{reprlib.repr(row[key])}')
  probability = file.get(row, 'probability', where)
  # More than 1 cannot sum to 1; told here, because the sum of huge integers is no float.
  if not file.is_number(probability) or not 0 <= probability <= 1 + file.SUM_TOLERANCE:
    raise BadInput(
        f'{where}"probability" must be a number from 0 to 1, not {reprlib.repr(probability)}')
  return ([space.ops.index(name) for name in row['ops']], probability, row['p'], row['level'],
          row['level_probability'] if each else None)


def _shares(weights):
  weights = np.array(weights, np.float64)
  return weights / weights.sum(-1, keepdims=True)


# --- its use --------------------------------------------------------------------------------------


def augmenter(table: PolicyTable, smoothing: int = 1, per: str = '') -> Callable:
  """The policies as one function of images (DAAS 4.3, 5).

  A draw is a policy by its probability and, with `level_probability`, its levels. Its operations
  are applied in order, each to an image with probability p; whether, with which sign and where is
  drawn for every image.

  Args:
    table: `PolicyTable`.
    smoothing: of other forms.
    per: which images share a draw, see `contract.drawn`; '': as the table says.

  Returns:
    augment(key, images, progress=1.0) -> images, pure and fit for `jit`; see `contract.of`.
  """
  del smoothing
  # A switch compiles all its branches: only those that some policy takes.
  used, o = np.unique(table.o, return_inverse=True)
  o = o.reshape(table.o.shape)
  ops = tuple(table.ops[i] for i in used)
  with np.errstate(divide='ignore'):
    log_probability = np.log(table.probability)
    log_level = None if table.level_probability is None else np.log(table.level_probability)

  def strengths(key, i):
    if log_level is None:
      return jnp.asarray(table.strength)[i]
    return strength(jax.random.categorical(key, jnp.asarray(log_level)[i]), table.levels)

  def of_image(key, images):
    key_policy, key_y, key_m, key_apply = jax.random.split(key, 4)
    i = jax.random.categorical(key_policy, jnp.asarray(log_probability), shape=images.shape[:1])
    y = jax.random.bernoulli(key_y, jnp.asarray(table.p)[i])
    return apply_each(images, jnp.asarray(o)[i], y, strengths(key_m, i), key_apply, ops=ops)

  def of_batch(key, images):
    key_policy, key_y, key_apply = jax.random.split(key, 3)
    i = jax.random.categorical(key_policy, jnp.asarray(log_probability))
    shape = images.shape[0], table.K
    y = jax.random.bernoulli(key_y, jnp.broadcast_to(jnp.asarray(table.p)[i], shape), shape)
    at = strengths(jax.random.fold_in(key_policy, 1), i)
    return apply_policy(images, jnp.asarray(o)[i], y, at, key_apply, ops=ops, per='image')

  return contract.drawn(per or _per(table), of_batch, of_image)


def _per(table):
  return table.per or ('batch' if table.level_probability is None else 'image')


def describe(table: Mapping[str, Any], space: Any, top: int = 10) -> str:
  """The likeliest policies as lines of aligned text.

  Args:
    table: as `categorical.table` returns.
    space: its `Header`, or a space that has these attributes.
    top: how many policies.

  Returns:
    str, a heading and a line for each policy: its probability, operations, their application
    probabilities and their magnitudes, each in the operation's own unit: '+-' before one with a
    random sign, '-' for none.
  """
  cells = [('probability', 'operations', 'applied', 'magnitude')]
  for row in to_json({key: values[:top] for key, values in table.items()}, space)['policies']:
    cells.append((f'{row["probability"]:.4f}', ', '.join(
        row['ops']), ', '.join(f'{p:.2f}' for p in row['p']), ', '.join(
            map(contract.shown, row['ops'], row['magnitude']))))
  widths = [max(map(len, column)) for column in zip(*cells)]
  return '\n'.join('  '.join(map(str.ljust, line, widths)).rstrip() for line in cells)


registry.register_format(
    FORMAT,
    registry.Format(from_json, augmenter, lambda found: found, _per))
