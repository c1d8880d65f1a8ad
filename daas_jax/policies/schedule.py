"""A policy for every epoch of a search, DDAS's dynamic offline policy (DDAS 3.5.4): its file, and its use.

  {"format": "daas_jax.policy_schedule", "version": 1, "K": 2,
   "candidates": [{"op": "Rotate", "strength": 0.6, "magnitude": 6.0}, {"op": "Equalize"}, ...],
   "epochs": [{"p_tp": 0.35, "p_o": [0.0192, ...]}, ...]}

The magnitude is there to be read; the strength is what counts, and runs from 0 to 1 through an operation's range.
"""

import itertools
import json
import reprlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax import atomic
from daas_jax.arrays import wide
from daas_jax.augment.apply import apply_policy
from daas_jax.errors import BadInput
from daas_jax.policies import files, total

FORMAT = 'daas_jax.policy_schedule'
VERSION = 1
_SUM_TOLERANCE = 1e-3  # of the probabilities of an epoch, which are rounded
_MOST_POLICIES = 10**6  # K candidates in sequence: `table` has a row for each


class Schedule(NamedTuple):
  """The policies of T epochs.

  Attributes:
    space: `total.Space` of N candidates.
    p_tp: float64 [T], total probability.
    p_o: float64 [T, N], probability of each candidate, rows of sum 1.
  """
  space: total.Space
  p_tp: np.ndarray
  p_o: np.ndarray


# --- the file -----------------------------------------------------------------------------------------------


def to_text(schedule):
  """The content of the file; the same schedule gives the same bytes."""
  digits = lambda x: float(f'{x:.9g}')
  candidates = []
  for c in schedule.space.candidates:
    value = total.values(c)
    candidates.append({'op': c.op} | ({} if value is None else {'strength': digits(c.strength),
                                                                'magnitude': digits(value)}))
  epochs = [{'p_tp': digits(tp), 'p_o': [digits(x) for x in o]} for tp, o in zip(schedule.p_tp, schedule.p_o)]
  rows = lambda name, content: f'"{name}": [\n' + ',\n'.join(
      '  ' + json.dumps(row, allow_nan=False) for row in content) + '\n ]'
  return ('{"format": %s,\n "version": %d,\n "K": %d,\n ' % (json.dumps(FORMAT), VERSION, schedule.space.K)
          + rows('candidates', candidates) + ',\n ' + rows('epochs', epochs) + '}\n')


def save(path, schedule):
  """Writes the file, whole or not at all.

  Raises:
    OSError: it cannot be written.
    ValueError: the schedule holds NaN or an infinite number.
  """
  atomic.write(path, to_text(schedule))


def from_json(content, path):
  """The `Schedule` in a file's content.

  Raises:
    BadInput: it is malformed; one line that names the file and the place.
  """
  where = f'{path}: '
  if type(content.get('version')) is not int or content['version'] != VERSION:  # True is 1
    raise BadInput(f'{where}version {reprlib.repr(content.get("version"))} is not the one that this daas_jax reads, '
                   f'{VERSION}; use the daas_jax that wrote it')
  K = content.get('K')
  if type(K) is not int or not 1 <= K <= 3:
    raise BadInput(f'{where}"K" must be 1, 2 or 3, not {reprlib.repr(K)}')
  candidates = _candidates(content.get('candidates'), where)
  if len(candidates)**K > _MOST_POLICIES:
    raise BadInput(f'{where}{len(candidates)} candidates make more than {_MOST_POLICIES:,} policies of K = {K}')
  epochs = content.get('epochs')
  if not isinstance(epochs, list) or not epochs:
    raise BadInput(f'{where}"epochs" must be a list of at least one epoch')
  rows = [_epoch(row, f'{where}epochs[{i}]: ', len(candidates)) for i, row in enumerate(epochs)]
  p_tp, p_o = (np.array(column, np.float64) for column in zip(*rows))
  return Schedule(total.Space(candidates, K), p_tp, p_o / p_o.sum(-1, keepdims=True))


def _candidates(given, where):
  if not isinstance(given, list) or not given or not all(isinstance(c, dict) for c in given):
    raise BadInput(f'{where}"candidates" must be a list of at least one object with "op" and "strength"')
  for i, c in enumerate(given):  # before they are made text, in which a "0.5" looks like a 0.5
    if not isinstance(c.get('op'), str) or type(c.get('strength', 0)) not in (int, float):
      raise BadInput(f'{where}candidates[{i}] must have the name of an operation as "op" and, where that has a '
                     f'magnitude, a number as "strength", not {reprlib.repr(c)}')
  names = [c['op'] + (f':{c["strength"]}' if 'strength' in c else '') for c in given]
  try:
    return total.parse(names)
  except BadInput as error:
    raise BadInput(f'{where}{error}') from None


def is_probability(x):
  """Whether a value out of a JSON file is a number from 0 to 1."""
  return isinstance(x, (int, float)) and not isinstance(x, bool) and 0 <= x <= 1


def _epoch(row, where, n):
  """(p_tp, p_o) of one epoch of the file."""
  if not isinstance(row, dict) or not is_probability(row.get('p_tp')):
    raise BadInput(f'{where}"p_tp" must be a number from 0 to 1')
  p_o = row.get('p_o')
  if not isinstance(p_o, list) or len(p_o) != n or not all(map(is_probability, p_o)):
    raise BadInput(f'{where}"p_o" must be a list of {n} numbers from 0 to 1, one a candidate')
  if abs(sum(p_o) - 1) > _SUM_TOLERANCE:
    raise BadInput(f'{where}"p_o" sums to {sum(p_o):.6g}; make it sum to 1')
  return row['p_tp'], p_o


# --- its use ------------------------------------------------------------------------------------------------


def check_smoothing(width):
  """Refuses the width of a mean filter that is not an odd whole number from 1 on.

  Raises:
    BadInput: it is not.
  """
  if isinstance(width, bool) or not isinstance(width, (int, np.integer)) or width < 1 or width % 2 == 0:
    raise BadInput(f'smoothing must be an odd whole number of epochs, 1 for none, not {reprlib.repr(width)}')


def smoothed(p_tp, width):
  """p_tp [T] under a mean filter of odd width (DDAS 3.5.4); at both ends the mean of the epochs that there are.

  Raises:
    BadInput: another width.
  """
  check_smoothing(width)
  sums = lambda x: np.convolve(x, np.ones(width), 'same')[:len(x)] if width <= len(x) else np.array(
      [np.sum(x[max(0, t - width // 2):t + width // 2 + 1]) for t in range(len(x))])
  return sums(np.asarray(p_tp, np.float64)) / sums(np.ones(len(p_tp)))


def epoch_at(progress, epochs):
  """The epoch of the search whose policy a training uses: nearest neighbour (DDAS 3.5.4).

  Args:
    progress: [] share of the training that is done, in [0, 1]; may be traced.
    epochs: T.

  Returns:
    int32 [] in [0, T).
  """
  progress = jnp.asarray(progress)
  progress = wide(progress) if jnp.issubdtype(progress.dtype, jnp.floating) else progress.astype(jnp.float32)
  return jnp.clip(jnp.floor(progress * epochs), 0, epochs - 1).astype(jnp.int32)


def augmenter(schedule, smoothing=1):
  """The policies as one function of images and of the training's progress.

  Every call draws one policy from the epoch's p_o; each image gets it, all K candidates, with probability p_tp.

  Args:
    schedule: `Schedule`.
    smoothing: width of the mean filter over p_tp, odd; 1 is none.

  Returns:
    augment(key, images, progress=1.0) -> images, pure and fit for `jit`; see `files.contract`.

  Raises:
    BadInput: another smoothing.
  """
  space, epochs = schedule.space, len(schedule.p_tp)
  p_tp = smoothed(schedule.p_tp, smoothing)
  with np.errstate(divide='ignore'):
    log_p_o = np.log(schedule.p_o)

  def augment(key, images, progress):
    key_policy, key_y, key_apply = jax.random.split(key, 3)
    t = epoch_at(progress, epochs)
    o, strength = space.operations(jax.random.categorical(key_policy, jnp.asarray(log_p_o)[t], shape=(space.K,)))
    y = jax.random.bernoulli(key_y, jnp.asarray(p_tp)[t], (images.shape[0], 1))
    return apply_policy(images, o, jnp.broadcast_to(y, (images.shape[0], space.K)), strength, key_apply, ops=space.ops,
                        per='image')

  return files.contract(augment, scheduled=True)


def table(schedule):
  """The last epoch's policies as a `files.PolicyTable`, likeliest first: every tuple, applied with p_tp.

  The K application probabilities of a row are one event, not K: a training applies all of a policy or nothing.
  """
  space, n = schedule.space, len(schedule.space.candidates)
  phi = np.array(list(itertools.product(range(n), repeat=space.K)), np.int32)
  probability = np.prod(schedule.p_o[-1][phi], -1)
  phi = phi[np.argsort(-probability, kind='stable')]
  o, strength = (np.asarray(x) for x in space.operations(phi))
  return files.PolicyTable(space.ops, space.K, 1, o, np.prod(schedule.p_o[-1][phi], -1),
                           np.full(phi.shape, schedule.p_tp[-1]), strength.astype(np.float64))
