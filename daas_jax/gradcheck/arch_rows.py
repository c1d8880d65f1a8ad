"""The table of estimators of the architecture gradient, and what their draws are worth on a tiny
cell."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from daas_jax.estimators import architecture, control, exact, score, summary
from daas_jax.gradcheck import arch

DRAWS = 2
"""Architectures whose loss alone is taken, as many passes as one forward and backward pass; so many
of each past step too."""
_BATCH = 100  # estimates computed at once


class Estimator(NamedTuple):
  """One row of the table.

  Attributes:
    estimate: (cell, tau, key) -> gradient like alpha.
    passes: forward and backward passes of an estimate.
    about: a line for the reader.
  """
  estimate: Callable
  passes: int
  about: str


def _through(estimator, rule):
  return lambda cell, tau, key: estimator(arch.tabulated(cell, rule), key, cell.alpha, tau)


def _dsnas(cell, tau, key):
  del tau
  return architecture.dsnas(arch.tabulated(cell, 'all'), key, cell.alpha)


def _score(baseline):
  def estimate(cell, tau, key):
    del tau
    loss = arch.tabulated(cell, 'all')
    return architecture.score_function(loss, key, cell.alpha, DRAWS, baseline)
  return estimate


def past(cell, key):
  """(Z [H, n, E, O], values [H, n]): n = `DRAWS` of the draws that are known of each earlier
  step."""
  steps, m = cell.past.values.shape
  # the first places of a random order, of each step its own
  pick = jnp.argsort(jax.random.uniform(key, (steps, m)), -1)[:, :DRAWS]
  return (jnp.take_along_axis(cell.past.Z, pick[:, :, None, None], 1),
          jnp.take_along_axis(cell.past.values, pick, 1))


def _coefficients(learned, cell):
  return control.coefficients(learned).reshape(cell.alpha.shape)


def _additive(baseline, n=DRAWS):
  def estimate(cell, tau, key):
    del tau
    key_past, key = jax.random.split(key)
    w = _coefficients(architecture.learn(*past(cell, key_past)), cell)
    return architecture.additive(arch.tabulated(cell, 'all'), key, cell.alpha, n, w, baseline)
  return estimate


def _regression(cell, tau, key):
  del tau
  key_past, key = jax.random.split(key)
  Z = jax.vmap(architecture.sample, (0, None))(jax.random.split(key, DRAWS), cell.alpha)
  learned = control.update(
      architecture.learn(*past(cell, key_past)), Z.reshape(1, DRAWS, -1),
      lax.map(arch.tabulated(cell, 'all'), Z)[None])
  w = _coefficients(learned, cell)
  return architecture.additive(arch.tabulated(cell, 'all'), key, cell.alpha, 0, w)


TABLE = {
    'straight_through': Estimator(_through(architecture.straight_through, 'all'), 2,
                                  'DAAS Eq. 9, where all operations are computed'),
    'straight_through_sampled': Estimator(
        _through(architecture.straight_through, 'sampled'), 2,
        'DAAS Eq. 9 in a single path: no derivative by operations that were not drawn'),
    'gdas_ones': Estimator(_through(architecture.straight_through, 'ones'), 2,
                           'GDAS\'s code: as if those gave ones'),
    'reinmax': Estimator(_through(architecture.reinmax, 'all'), 2,
                         'ReinMax, second order, where all operations are computed'),
    'reinmax_sampled': Estimator(_through(architecture.reinmax, 'sampled'), 2,
                                 'ReinMax in a single path'),
    'dsnas': Estimator(_dsnas, 2, 'DSNAS: the score of each edge by the derivative of its own'),
    'score_function': Estimator(_score(score.no_baseline), DRAWS, 'two losses, no baseline'),
    'score_leave_one_out': Estimator(_score(score.leave_one_out), DRAWS,
                                     'two losses, each the other\'s baseline'),
    'score_additive': Estimator(
        _additive(score.leave_one_out), DRAWS,
        'the same of what an additive model leaves over, and the gradient of its expectation; '
        'learned from two losses of each earlier step: other batches, the weights of then, this '
        'alpha'),
    'score_additive_mean': Estimator(
        _additive(score.step_mean), DRAWS,
        'the two losses\' mean as baseline: half of the correction'),
    'regression': Estimator(
        _regression, DRAWS,
        'the gradient of the model\'s expectation alone, learned from the earlier steps and these '
        'two losses'),
    'past_additive': Estimator(_additive(score.leave_one_out, 0), 0,
                               'the same without these two: what score_additive starts from'),
}
"""The rows of the report, in its order."""


def compare(config, data, name='small'):
  """Rows of the estimators on a cell of `arch.EDGES`, the exact gradient's first; group 'alpha',
  without seconds."""
  return measure(arch.build_cell(config, data, name), config)


def measure(cell, config):
  """The rows of a cell that is built."""
  gradient, _ = exact.expected_loss_gradient(
      arch.tabulated(cell, 'all'), architecture.log_prob, cell.alpha, cell.Z)
  exact_flat = np.asarray(gradient).reshape(-1)
  keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 7), config.lab.arch_draws)
  rows = [{
      'estimator': 'exact',
      'group': 'alpha',
      **summary.Summary(0.0, 0.0, 0.0, 1.0, 1.0, 1.0)._asdict(), 'passes': len(cell.values)
  }]
  for label, row in TABLE.items():
    estimate = lambda keys, row=row: lax.map(
        lambda key: row.estimate(cell, config.lab.tau, key), keys, batch_size=_BATCH)
    draws = np.asarray(jax.jit(estimate)(keys)).reshape(len(keys), -1)
    rows.append({
        'estimator': label,
        'group': 'alpha',
        **summary.summarise(draws, exact_flat)._asdict(), 'passes': row.passes
    })
  return rows
