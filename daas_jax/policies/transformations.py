"""DiffAutoML's distribution over augmentations: tau, over transformations of K operations in
sequence (3.1, Eq. 2).

A transformation T is a tuple of K of the N operations; every image draws its own from softmax(tau),
and for every operation a magnitude, uniform over its range. There are no application probabilities:
Identity is an operation.

The file, with the distribution at the end of every epoch of the search, the index of (o_1, .., o_K)
being o_1 the slowest:

  {"format": "daas_jax.policy_transformations", "version": 1, "K": 2, "ops": ["AutoContrast", ...],
   "epochs": [[0.0051, ...], ...]}
"""

from collections.abc import Callable
import functools
import itertools
import reprlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import apply, inputs
from daas_jax.augment.ops import OPS
from daas_jax.config.key import all_of, Key
from daas_jax.errors import BadInput
from daas_jax.files import atomic, metrics as metrics_lib
from daas_jax.policies import choices, contract, file, registry, table as policy_table

FORMAT = 'daas_jax.policy_transformations'
VERSION = 1

OPERATIONS = ('AutoContrast', 'Equalize', 'Rotate', 'Posterize', 'Solarize', 'Color', 'Contrast',
              'Brightness', 'Sharpness', 'ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Identity')
"""The 14 of DiffAutoML 4.1."""


class Space(NamedTuple):
  """A space of transformations: names of the N operations, and K of them in sequence."""
  ops: tuple = OPERATIONS
  K: int = 2

  @property
  def shape(self) -> tuple[int, ...]:
    """(N,) * K: a transformation is an index into the flattened array of this shape."""
    return (len(self.ops),) * self.K


class Drawn(NamedTuple):
  """What every image of a batch draws: index int32 [B] in [0, N ** K), strength float [B, K] in [0,
  1]."""
  index: jax.Array  # type: ignore[assignment]  # tuple.index has no use here
  strength: jax.Array


class Transformations(NamedTuple):
  """A file's content: the `Space`, and probability float64 [T, N ** K] of T epochs, rows of sum
  1."""
  space: Space
  probability: np.ndarray


def init(key: jax.Array, space: Space) -> jax.Array:
  """tau at the start: zeros [N ** K], the uniform distribution."""
  del key
  return jnp.zeros(len(space.ops)**space.K)


def sample(key: jax.Array, tau: jax.Array, n: int, space: Space) -> Drawn:
  """Draws a transformation and magnitudes for each of n images: `Drawn` (line 3 of Alg. 1)."""
  key_index, key_strength = jax.random.split(key)
  index = jax.random.categorical(key_index, tau, shape=(n,)).astype(jnp.int32)
  return Drawn(index, jax.random.uniform(key_strength, (n, space.K)))


def probability(tau: jax.Array, drawn: Drawn) -> jax.Array:
  """p_k(tau), the probability of each image's transformation: [B]."""
  return jax.nn.softmax(tau)[drawn.index]


def augment(images: jax.Array, drawn: Drawn, key: jax.Array, space: Space) -> jax.Array:
  """Every image under its own transformation: float [B, H, W, C] in [0, 1] -> the same."""
  o = jnp.stack(jnp.unravel_index(drawn.index, space.shape), -1)
  return apply.apply_each(images, o, jnp.ones_like(o), drawn.strength, key, ops=space.ops)


def marginals(probability: Any, space: Space) -> np.ndarray:
  """Probability of every operation in every place, [K, N], of [N ** K]."""
  table = np.asarray(probability, np.float64).reshape(space.shape)
  return np.stack([table.sum(tuple(j for j in range(space.K) if j != k)) for k in range(space.K)])


# --- the file -------------------------------------------------------------------------------------


def to_text(found: Transformations) -> str:
  """The content of the file; the same `Transformations` give the same bytes."""
  return contract.laid_out({
      'format': FORMAT, 'version': VERSION, 'K': found.space.K, 'ops': list(found.space.ops),
      'epochs': [[float(f'{x:.6g}') for x in row] for row in found.probability]})


def save(path: str, found: Transformations) -> None:
  """Writes the file, whole or not at all."""
  atomic.write(path, to_text(found))


def from_json(content: Any, path: str) -> Transformations:
  """The `Transformations` in a file's content.

  Raises:
    BadInput: it is malformed; one line that names the file and the place.
  """
  where = f'{path}: '
  file.check_version(content, (VERSION,), where)
  K, ops, epochs = (content.get(key) for key in ('K', 'ops', 'epochs'))
  if type(K) is not int or not 1 <= K <= 3:
    raise BadInput(f'{where}"K" must be 1, 2 or 3, not {reprlib.repr(K)}')
  if not isinstance(ops, list) or not ops or not all(isinstance(o, str) for o in ops) or len(
      set(ops)) < len(ops):
    raise BadInput(f'{where}"ops" must be a list of different names of operations')
  unknown = [name for name in ops if name not in OPS]
  if unknown:
    raise BadInput(
        f'{where}unknown operation {reprlib.repr(unknown[0])}; known are {", ".join(OPS)}')
  if not isinstance(epochs, list) or not epochs:
    raise BadInput(f'{where}"epochs" must be a list of at least one epoch')
  for i, row in enumerate(epochs):
    if not isinstance(row, list) or len(row) != len(ops)**K or not all(
        map(file.is_probability, row)):
      raise BadInput(
          f'{where}epochs[{i}] must be a list of {len(ops)**K} numbers from 0 to 1, one a '
          'transformation'
      )
    if abs(sum(row) - 1) > file.SUM_TOLERANCE:
      raise BadInput(f'{where}epochs[{i}] sums to {sum(row):.6g}; make it sum to 1')
  p = np.array(epochs, np.float64)
  return Transformations(Space(tuple(ops), K), p / p.sum(-1, keepdims=True))


# --- its use --------------------------------------------------------------------------------------


def augmenter(found: Transformations, smoothing: int = 1, per: str = '') -> Callable:
  """The distributions as one function of images and of the training's progress, which chooses the
  epoch.

  A draw is a transformation and its magnitudes.

  Args:
    found: `Transformations`.
    smoothing: of other forms.
    per: which images share a draw, see `contract.drawn`; '': each draws its own (DiffAutoML 3.1).

  Returns:
    augment(key, images, progress=1.0) -> images, pure and fit for `jit`; see `contract.of`.
  """
  del smoothing
  epochs = len(found.probability)
  with np.errstate(divide='ignore'):
    log_p = np.log(found.probability).astype(np.float32)

  def changed(key, images, progress, n):
    key_draw, key_apply = jax.random.split(key)
    tau = jnp.asarray(log_p)[contract.epoch_at(progress, epochs)]
    drawn = jax.tree.map(lambda x: jnp.repeat(x, len(images) // n, 0),
                         sample(key_draw, tau, n, found.space))
    return augment(images, drawn, key_apply, found.space)

  return contract.drawn(
      per or 'image', lambda key, images, progress: changed(key, images, progress, 1),
      lambda key, images, progress: changed(key, images, progress, len(images)), scheduled=True)


def table(found: Transformations) -> policy_table.PolicyTable:
  """The last epoch's transformations as a `policy_table.PolicyTable`, likeliest first; strengths
  are their mean, 1/2."""
  space, p = found.space, found.probability[-1]
  o = np.array(list(itertools.product(range(len(space.ops)), repeat=space.K)), np.int32)
  order = np.argsort(-p, kind='stable')
  return policy_table.PolicyTable(space.ops, space.K, 1, o[order], p[order], np.ones(o.shape),
                                  np.full(o.shape, 0.5))


def describe(found: Transformations, top: int = 10) -> str:
  """The likeliest transformations of the last epoch, as lines of aligned text."""
  likeliest = table(found)
  lines = [f'{"probability":13} operations, magnitudes uniform']
  for o, p in zip(likeliest.o[:top], likeliest.probability):
    lines.append(f'{p:<13.4f} {", ".join(found.space.ops[i] for i in o)}')
  return '\n'.join(lines)


# --- as a space of a search -----------------------------------------------------------------------


class Policies(NamedTuple):
  """The distribution in a `daas_jax.types.Problem`: every image draws its own transformation.

  Attributes:
    init: key -> tau.
    sample: (key, tau) -> `Drawn` for the images of a batch.
    probability: (tau, `Drawn`) -> p_k(tau) of each image's transformation [B].
  """
  init: Callable
  sample: Callable
  probability: Callable


def _measures(tau, space):
  del space
  log_p = np.asarray(jax.nn.log_softmax(tau), np.float64)
  return {'entropy_tau': float(-np.sum(np.exp(log_p) * log_p))}


def _record(tau, space):
  """The marginals of the K places, and the whole distribution, [N ** K]."""
  p = jax.nn.softmax(tau)
  return {'candidates': list(space.ops), 'probability': metrics_lib.plain(marginals(p, space)),
          'transformations': metrics_lib.plain(p)}


def _write(path, tau, space, records):
  records = records or [_record(tau, space)]
  p = np.array([r['transformations'] for r in records])
  found = Transformations(space, p / p.sum(-1, keepdims=True))
  save(path, found)
  return describe(found)


registry.register_format(
    FORMAT, registry.Format(from_json, augmenter, table, lambda found: 'image'))
registry.register('transformations', registry.PolicySpace(
    'transformations of two operations',
    keys={
        'policy.K': registry.K_KEY,
        'policy.ops': Key(OPERATIONS, all_of(OPS),
                          'candidate image operations: 14, or the 4 of Table 3'),
    },
    space=lambda config: Space(tuple(config.policy.ops), config.policy.K),
    candidates=registry.ops_of,
    distribution=lambda config, space: Policies(
        functools.partial(init, space=space),
        lambda key, tau: sample(key, tau, config.search.batch, space), probability),
    train_input=lambda config, data, space, given: inputs.make_input(
        config, data, lambda images, drawn, key: augment(images, drawn, key, space)),
    measures=_measures, record=_record, write=_write, evidence=choices.of_transformations,
    choices=choices.transformations, effective=choices.effective_transformations))
