"""What a search leaves of its policy, for each space: numbers of every epoch, rows of history.jsonl, policy.json."""

import os
from typing import Callable, NamedTuple

import jax
import numpy as np

from daas_jax.augment.ops import OPS
from daas_jax.policies import categorical, files, relaxed, schedule, total, transformations


class Results(NamedTuple):
  """A row a kind of space; gamma as that space's `init` returns it.

  Attributes:
    measures: (gamma, space) -> {name: float}, logged every epoch.
    record: (gamma, space) -> JSON values that history.jsonl keeps: {'candidates': N names, 'probability': [K, N], and
      where the distribution has them 'applied' and 'strength': [K, N], a strength None where there is none}.
    write: (path, gamma, space, records) -> summary, as text; writes policy.json. `records` is what `record` returned
      at the end of every epoch.
  """
  measures: Callable
  record: Callable
  write: Callable


def plain(array):
  """Nested lists of floats of 6 significant digits: as fine as float32, and a third of its length as text."""
  return [plain(x) for x in array] if np.ndim(array) else float(f'{float(array):.6g}')


def _record(marginals, space):
  """A record of numpy {'probability', 'applied', 'strength'}: [K, N] each."""
  found = {name: plain(x) for name, x in marginals.items()}
  found['strength'] = [[x if OPS[op].graded else None for op, x in zip(space.ops, row)] for row in found['strength']]
  return {'candidates': list(space.ops)} | found


def _write(path, table, space):
  files.save(path, table, space)
  return files.describe(table, space)


def _total_measures(gamma, space):
  del space
  log_p = np.asarray(jax.nn.log_softmax(gamma['alpha_o']), np.float64)
  return {'p_tp': float(total.total_probability(gamma)), 'entropy_p_o': float(-np.sum(np.exp(log_p) * log_p))}


def _total_record(gamma, space):
  """One distribution for all K places, and one probability for all candidates."""
  p_o = plain(jax.nn.softmax(gamma['alpha_o']))
  p_tp = plain(total.total_probability(gamma))
  return {'candidates': [str(c) for c in space.candidates], 'probability': [p_o], 'applied': [[p_tp] * len(p_o)]}


def _total_write(path, gamma, space, records):
  records = records or [_total_record(gamma, space)]
  p_o = np.array([r['probability'][0] for r in records])
  found = schedule.Schedule(space, np.array([r['applied'][0][0] for r in records]), p_o / p_o.sum(-1, keepdims=True))
  schedule.save(path, found)
  return _describe(found)


def _describe(found, top=10):
  """The likeliest candidates at the end, and p_tp over the epochs, as lines of aligned text."""
  lines = [f'{"probability":13} {"candidate":16} magnitude']
  for i in np.argsort(-found.p_o[-1], kind='stable')[:top]:
    c = found.space.candidates[i]
    value = total.values(c)
    lines.append(f'{found.p_o[-1][i]:<13.4f} {c.op:16} {"-" if value is None else files.shown(c.op, value)}')
  shown = found.p_tp if len(found.p_tp) <= 8 else found.p_tp[np.linspace(0, len(found.p_tp) - 1, 8).astype(int)]
  numbers = ' '.join(f'{p:.3f}' for p in shown)
  return '\n'.join([*lines, '', f'p_tp at {len(shown)} of {len(found.p_tp)} epochs: {numbers}'])


def _transformations_measures(tau, space):
  del space
  log_p = np.asarray(jax.nn.log_softmax(tau), np.float64)
  return {'entropy_tau': float(-np.sum(np.exp(log_p) * log_p))}


def _transformations_record(tau, space):
  """The marginals of the K places, and the whole distribution, [N ** K]."""
  p = jax.nn.softmax(tau)
  return {'candidates': list(space.ops), 'probability': plain(transformations.marginals(p, space)),
          'transformations': plain(p)}


def _transformations_write(path, tau, space, records):
  records = records or [_transformations_record(tau, space)]
  p = np.array([r['transformations'] for r in records])
  found = transformations.Transformations(space, p / p.sum(-1, keepdims=True))
  transformations.save(path, found)
  return transformations.describe(found)


CATEGORICAL = Results(
    lambda gamma, space: {f'entropy_pi_{k}': float(h) for k, h in enumerate(categorical.entropy_pi(gamma))},
    lambda gamma, space: _record(categorical.marginals(gamma, space), space),
    lambda path, gamma, space, records: _write(path, categorical.table(jax.device_get(gamma), space), space))
TOTAL = Results(_total_measures, _total_record, _total_write)
RELAXED = Results(
    relaxed.measures, lambda gamma, space: _record(relaxed.marginals(gamma, space), space),
    lambda path, gamma, space, records: _write(path, relaxed.table(gamma, space), relaxed.table_space(space)))
TRANSFORMATIONS = Results(_transformations_measures, _transformations_record, _transformations_write)


def of(space):
  """The `Results` of a space.

  Args:
    space: a `categorical.Space`, `total.Space`, `relaxed.Space` or `transformations.Space`.
  """
  return {categorical.Space: CATEGORICAL, total.Space: TOTAL, relaxed.Space: RELAXED,
          transformations.Space: TRANSFORMATIONS}[type(space)]


def write(workdir, gamma, space, records):
  """Writes policy.json into a workdir; returns the summary."""
  return of(space).write(os.path.join(workdir, 'policy.json'), gamma, space, records)
