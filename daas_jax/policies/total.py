"""DDAS's distribution over augmentation policies: a total probability, and one distribution over
candidates (DDAS 3.1).

A candidate is an operation at one strength (`daas_jax.policies.candidates`). A policy phi is K
candidates in sequence; with probability p_tp it is applied, P(phi) = prod_k p_o[phi_k], and with 1
- p_tp nothing is (DDAS Eq. 3).

A search leaves a policy for every epoch, DDAS's dynamic offline policy (DDAS 3.5.4), as
policy.json:

  {"format": "daas_jax.policy_schedule", "version": 2, "K": 2,
   "candidates": [{"op": "Rotate", "strength": 0.2, "magnitude": 6.0}, {"op": "Equalize"}, ...],
   "epochs": [{"p_tp": 0.35, "p_o": [0.0192, ...]}, ...]}

The magnitude is there to be read; the strength is what counts, and runs from 0 to 1 through an
operation's range. Of version 1 that range is from -high to high where there is a random sign: it is
read as what it means.
"""

from collections.abc import Callable
import functools
import itertools
import math
import reprlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import apply, inputs
from daas_jax.augment.apply import apply_policy
from daas_jax.config.key import between, Key
from daas_jax.errors import BadInput
from daas_jax.files import atomic, metrics as metrics_lib
from daas_jax.policies import (
  candidates as candidates_lib,
  choices,
  contract,
  file,
  registry,
  table as policy_table,
)
from daas_jax.policies.candidates import parse, published, Space, values

_CERTAIN = 40.0  # a logit that weight decay and Adam can handle, where infinity makes NaN


class Policy(NamedTuple):
  """One policy: phi int32 [K] in [0, N), and whether it is applied, y int32 [] in {0, 1}."""
  phi: jax.Array
  y: jax.Array


def init(key: jax.Array, space: Space, p_tp: float = 0.35) -> dict[str, jax.Array]:
  """The parameters at the start: {'alpha_o': [N] zeros, 'alpha_tp': []} with sigmoid(alpha_tp) =
  p_tp (DDAS 4.2), which may be 1 (Table 5): the largest logit is one whose sigmoid rounds to 1."""
  del key
  logit = math.log(p_tp) - math.log1p(-p_tp) if p_tp < 1 else math.inf
  return {'alpha_o': jnp.zeros(len(space.candidates)),
          'alpha_tp': jnp.float32(min(logit, _CERTAIN))}


def sample(key: jax.Array, space: Space) -> Policy:
  """One policy, uniform over the space whatever the parameters are (DDAS 3.5.1)."""
  phi = jax.random.randint(key, (space.K,), 0, len(space.candidates))
  return Policy(phi.astype(jnp.int32), jnp.int32(1))


def log_prob(gamma: Any, policy: Policy) -> jax.Array:
  """log P(phi) = sum_k log softmax(alpha_o)[phi_k], []: without the total probability (DDAS Eq.
  3)."""
  return jnp.sum(jax.nn.log_softmax(gamma['alpha_o'])[policy.phi])


def total_probability(gamma: Any) -> jax.Array:
  """p_tp = sigmoid(alpha_tp), []."""
  return jax.nn.sigmoid(gamma['alpha_tp'])


def augment(images: jax.Array, policy: Policy, key: jax.Array, space: Space,
            boxes: Any = None) -> Any:
  """Applies one policy to a batch: images float [B, H, W, C] -> the same; with boxes [B, N, 4] ->
  (images, boxes)."""
  o, strength = space.operations(policy.phi)
  return apply.apply_policy(images, o, jnp.broadcast_to(policy.y, o.shape), strength, key,
                            ops=space.ops, per='batch', boxes=boxes)


def augment_each(images: jax.Array, policies: Policy, key: jax.Array, space: Space) -> jax.Array:
  """Applies to each image a policy of its own: phi [B, K], y [B]; otherwise as `augment`."""
  o, strength = space.operations(policies.phi)
  y = jnp.broadcast_to(policies.y[:, None], o.shape)
  return apply.apply_each(images, o, y, strength, key, ops=space.ops)


# --- a policy for every epoch: the file -----------------------------------------------------------

FORMAT = 'daas_jax.policy_schedule'
VERSION = 2
_MOST_POLICIES = 10**6  # K candidates in sequence: `table` has a row for each


class Schedule(NamedTuple):
  """The policies of T epochs.

  Attributes:
    space: `Space` of N candidates.
    p_tp: float64 [T], total probability.
    p_o: float64 [T, N], probability of each candidate, rows of sum 1.
  """
  space: Space
  p_tp: np.ndarray
  p_o: np.ndarray


def to_text(schedule: Schedule) -> str:
  """The content of the file; the same schedule gives the same bytes."""
  digits, candidates = lambda x: float(f'{x:.9g}'), []
  for c in schedule.space.candidates:
    value = values(c)
    candidates.append({'op': c.op} | ({} if value is None else {'strength': digits(c.strength),
                                                                'magnitude': digits(value)}))
  epochs = [{'p_tp': digits(tp), 'p_o': [digits(x) for x in o]}
            for tp, o in zip(schedule.p_tp, schedule.p_o)]
  return contract.laid_out({'format': FORMAT, 'version': VERSION, 'K': schedule.space.K,
                            'candidates': candidates, 'epochs': epochs})


def save(path: str, schedule: Schedule) -> None:
  """Writes the file, whole or not at all.

  Raises:
    OSError: it cannot be written.
    ValueError: the schedule holds NaN or an infinite number.
  """
  atomic.write(path, to_text(schedule))


def from_json(content: Any, path: str) -> Schedule:
  """The `Schedule` in a file's content.

  Raises:
    BadInput: it is malformed; one line that names the file and the place.
  """
  where = f'{path}: '
  file.check_version(content, (*file.EARLIER[FORMAT], VERSION), where)
  K = content.get('K')
  if type(K) is not int or not 1 <= K <= 3:
    raise BadInput(f'{where}"K" must be 1, 2 or 3, not {reprlib.repr(K)}')
  candidates = _candidates(content.get('candidates'), where)
  if len(candidates)**K > _MOST_POLICIES:
    raise BadInput(
        f'{where}{len(candidates)} candidates make more than {_MOST_POLICIES:,} policies of K = {K}'
    )
  epochs = content.get('epochs')
  if not isinstance(epochs, list) or not epochs:
    raise BadInput(f'{where}"epochs" must be a list of at least one epoch')
  rows = [_epoch(row, f'{where}epochs[{i}]: ', len(candidates)) for i, row in enumerate(epochs)]
  p_tp, p_o = (np.array(column, np.float64) for column in zip(*rows))
  if content['version'] in file.EARLIER[FORMAT]:
    return from_json(file.newest(content), path)
  return Schedule(Space(candidates, K), p_tp, p_o / p_o.sum(-1, keepdims=True))


def _candidates(given, where):
  if not isinstance(given, list) or not given or not all(isinstance(c, dict) for c in given):
    raise BadInput(
        f'{where}"candidates" must be a list of at least one object with "op" and "strength"')
  for i, c in enumerate(given):  # before they are made text, in which a "0.5" looks like a 0.5
    if not isinstance(c.get('op'), str) or type(c.get('strength', 0)) not in (int, float):
      raise BadInput(
          f'{where}candidates[{i}] must have the name of an operation as "op" and, where that has '
          f'a magnitude, a number as "strength", not {reprlib.repr(c)}')
  names = [c['op'] + (f':{c["strength"]}' if 'strength' in c else '') for c in given]
  try:
    return parse(names)
  except BadInput as error:
    raise BadInput(f'{where}{error}') from None


def _epoch(row, where, n):
  """(p_tp, p_o) of one epoch of the file."""
  if not isinstance(row, dict) or not file.is_probability(row.get('p_tp')):
    raise BadInput(f'{where}"p_tp" must be a number from 0 to 1')
  p_o = row.get('p_o')
  if not isinstance(p_o, list) or len(p_o) != n or not all(map(file.is_probability, p_o)):
    raise BadInput(f'{where}"p_o" must be a list of {n} numbers from 0 to 1, one a candidate')
  if abs(sum(p_o) - 1) > file.SUM_TOLERANCE:
    raise BadInput(f'{where}"p_o" sums to {sum(p_o):.6g}; make it sum to 1')
  return row['p_tp'], p_o


# --- its use --------------------------------------------------------------------------------------


def smoothed(p_tp: Any, width: int) -> np.ndarray:
  """p_tp [T] under a mean filter of odd width (DDAS 3.5.4); at both ends the mean of the epochs
  that there are.

  Raises:
    BadInput: another width.
  """
  contract.check_smoothing(width)
  sums = lambda x: np.convolve(x, np.ones(width), 'same')[:len(x)] if width <= len(x) else np.array(
      [np.sum(x[max(0, t - width // 2):t + width // 2 + 1]) for t in range(len(x))])
  return sums(np.asarray(p_tp, np.float64)) / sums(np.ones(len(p_tp)))


def augmenter(schedule: Schedule, smoothing: int = 1, per: str = '') -> Callable:
  """The policies as one function of images and of the training's progress.

  A draw is one policy from the epoch's p_o; each image gets it, all K candidates, with probability
  p_tp.

  Args:
    schedule: `Schedule`.
    smoothing: width of the mean filter over p_tp, odd; 1 is none.
    per: which images share a draw, see `contract.drawn`; '': each draws its own (DDAS's code).

  Returns:
    augment(key, images, progress=1.0) -> images, pure and fit for `jit`; see `contract.of`.
  """
  space, epochs = schedule.space, len(schedule.p_tp)
  p_tp = smoothed(schedule.p_tp, smoothing)
  with np.errstate(divide='ignore'):
    log_p_o = np.log(schedule.p_o)

  def draw(key, images, progress, shape):
    """(positions and strengths of `shape` + [K], applied [B, K], key)."""
    key_policy, key_y, key_apply = jax.random.split(key, 3)
    t = contract.epoch_at(progress, epochs)
    o, strength = space.operations(
        jax.random.categorical(key_policy, jnp.asarray(log_p_o)[t], shape=(*shape, space.K)))
    y = jax.random.bernoulli(key_y, jnp.asarray(p_tp)[t], (images.shape[0], 1))
    return o, jnp.broadcast_to(y, (images.shape[0], space.K)), strength, key_apply

  def of_batch(key, images, progress):
    return apply_policy(images, *draw(key, images, progress, ()), ops=space.ops, per='image')

  def of_image(key, images, progress):
    return apply.apply_each(images, *draw(key, images, progress, images.shape[:1]), ops=space.ops)

  return contract.drawn(per or 'image', of_batch, of_image, scheduled=True)


def table(schedule: Schedule) -> policy_table.PolicyTable:
  """The last epoch's policies as a `policy_table.PolicyTable`, likeliest first: every tuple,
  applied with p_tp.

  The K application probabilities of a row are one event, not K: a training applies all of a policy
  or nothing.
  """
  space, n = schedule.space, len(schedule.space.candidates)
  phi = np.array(list(itertools.product(range(n), repeat=space.K)), np.int32)
  probability = np.prod(schedule.p_o[-1][phi], -1)
  phi = phi[np.argsort(-probability, kind='stable')]
  o, strength = (np.asarray(x) for x in space.operations(phi))
  return policy_table.PolicyTable(space.ops, space.K, 1, o, np.prod(schedule.p_o[-1][phi], -1),
                           np.full(phi.shape, schedule.p_tp[-1]), strength.astype(np.float64))


# --- as a space of a search -----------------------------------------------------------------------


class Policies(NamedTuple):
  """The distribution in a `daas_jax.types.Problem`.

  Attributes:
    init: key -> gamma.
    sample: (key, gamma) -> policy, uniform whatever gamma is.
    log_prob: (gamma, policy) -> log P(phi) [], without the total probability.
    identity: policy -> the same policy with nothing applied.
    total_probability: gamma -> p_tp [].
  """
  init: Callable
  sample: Callable
  log_prob: Callable
  identity: Callable
  total_probability: Callable


def policies(space: Space, p_tp: float) -> Policies:
  """The `Policies` of a space that start at a total probability."""
  return Policies(functools.partial(init, space=space,
                                    p_tp=p_tp), lambda key, gamma: sample(key, space), log_prob,
                  registry.not_applied, total_probability)


def _measures(gamma, space):
  del space
  log_p = np.asarray(jax.nn.log_softmax(gamma['alpha_o']), np.float64)
  return {'p_tp': float(total_probability(gamma)),
          'entropy_p_o': float(-np.sum(np.exp(log_p) * log_p))}


def _record(gamma, space):
  """One distribution for all K places, and one probability for all candidates."""
  p_o = metrics_lib.plain(jax.nn.softmax(gamma['alpha_o']))
  p_tp = metrics_lib.plain(total_probability(gamma))
  return {'candidates': [str(c) for c in space.candidates], 'probability': [p_o],
          'applied': [[p_tp] * len(p_o)]}


def _write(path, gamma, space, records):
  records = records or [_record(gamma, space)]
  p_o = np.array([r['probability'][0] for r in records])
  found = Schedule(space, np.array([r['applied'][0][0] for r in records]),
                   p_o / p_o.sum(-1, keepdims=True))
  save(path, found)
  return _describe(found)


def _describe(found, top=10):
  """The likeliest candidates at the end, and p_tp over the epochs, as lines of aligned text."""
  lines = [f'{"probability":13} {"candidate":16} magnitude']
  for i in np.argsort(-found.p_o[-1], kind='stable')[:top]:
    c = found.space.candidates[i]
    value = values(c)
    lines.append(
        f'{found.p_o[-1][i]:<13.4f} {c.op:16} '
        f'{"-" if value is None else contract.shown(c.op, value)}'
    )
  last = len(found.p_tp) - 1
  shown = found.p_tp[np.unique(np.linspace(0, last, 8).astype(int))]
  numbers = ' '.join(f'{p:.3f}' for p in shown)
  return '\n'.join([*lines, '', f'p_tp at {len(shown)} of {len(found.p_tp)} epochs: {numbers}'])


registry.register_format(FORMAT, registry.Format(from_json, augmenter, table,
                                                 lambda schedule: 'image'))
registry.register('total', registry.PolicySpace(
    'candidates and a total probability',
    keys={
        'policy.K': registry.K_KEY,
        'policy.candidates': Key((), candidates_lib.wrong, "operations with their strengths, "
                                 "('Rotate:0.2', 'Equalize', ...); () is the published list of 52"),
        'policy.p_tp': Key(0.35, between(0, 1, True, False),
                           'total probability at the start (DDAS 4.2)'),
    },
    space=lambda config: Space(parse(config.policy.candidates) or published(), config.policy.K),
    candidates=lambda config: (
        'policy.candidates', tuple(config.policy.candidates) or candidates_lib.published_names()),
    distribution=lambda config, space: policies(space, config.policy.p_tp),
    train_input=lambda config, data, space, given: inputs.make_input(
        config, data, functools.partial(
            augment_each if config.search.get('policy_per') == 'image' else augment, space=space)),
    measures=_measures, record=_record, write=_write, evidence=choices.of_candidates,
    choices=choices.candidates, effective=choices.effective_candidates))
