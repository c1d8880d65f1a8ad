"""Whether a search is about to collapse: the dominant eigenvalue of grad2_alpha L_val, and rules
that stop on it.

Zela et al., Understanding and Robustifying Differentiable Architecture Search (RobustDARTS): the
eigenvalue grows before a DARTS search ends in skip_connects. Amended-DARTS is meant as a search
that need not be stopped; why its paper expects that, does not hold in general
(`daas_jax.estimators.curvature`).
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from daas_jax.data import batches, splits
from daas_jax.estimators import curvature
from daas_jax.types import Problem

WINDOW = 5
"""Measurements whose mean is compared with that of the same number before them (RobustDARTS: k =
5)."""


def measure(problem: Problem, config: Any, data: Any) -> Callable:
  """Builds the measurement of the dominant eigenvalue: (state, epoch) -> {'dominant_eigenvalue':
  float}, {} in epochs that are not its turn.

  It is that of the relaxed network's loss on one batch of D_val, the same at every epoch: nats per
  unit of alpha squared. 20 power iterations, each about three gradients of the dense network.

  Args:
    problem: a `daas_jax.types.Problem`.
    config: a checked search config; 'arch.eigenvalue_every' is used.
    data: a `daas_jax.data.dataset.Dataset`.
  """
  every = config.arch.get('eigenvalue_every', 0) if 'arch' in config else 0
  if not every or getattr(problem, 'relaxed_loss', None) is None:
    return lambda state, epoch: {}
  rows = splits.of(data, config.seed, 1 - config.data.val_fraction)[1][:config.search.batch]
  images, labels = data.train_images[rows], data.train_labels[rows]
  images = batches.turned(images,
                          config.data.validation_turns) if config.data.validation_turns else images

  @jax.jit
  def eigenvalue(theta, arch, images):
    key = jax.random.key(config.seed)
    images = problem.val_input(images)
    loss = lambda alpha: problem.relaxed_loss(theta, arch | {'alpha': alpha}, images, labels, key)
    return curvature.dominant_eigenvalue(loss, arch['alpha'],
                                         jax.random.normal(key, arch['alpha'].shape))[0]

  def measured(state, epoch):
    if (epoch + 1) % every:
      return {}
    return {'dominant_eigenvalue': float(eigenvalue(state.theta, state.arch, images))}

  return measured


def rule(config: Any) -> Callable | None:
  """The `loop.Job.stop` of a search config: rows of metrics.jsonl -> why the search ends after
  them, or None."""
  if 'arch' not in config or 'stop_skip' not in config.arch:
    return None
  most, share = config.arch.stop_skip, config.arch.stop_eigenvalue

  def stop(rows):
    skips = [row['skip_share'] for row in rows if 'skip_share' in row]
    if skips and skips[-1] > most:
      return (f'{skips[-1]:.2f} of the derived edges are skip_connect, more than '
              f'arch.stop_skip={most:g}')
    values = [row['dominant_eigenvalue'] for row in rows if 'dominant_eigenvalue' in row]
    if share and len(values) >= 2 * WINDOW:
      before, now = np.mean(values[-2 * WINDOW:-WINDOW]), np.mean(values[-WINDOW:])
      if 0 < before < share * now:  # signed: from below 0 it has not grown, it has changed its sign
        return (
            f'the dominant eigenvalue rose from {before:.3g} to {now:.3g} in {WINDOW} '
            'measurements, by more than '
            f'1 / arch.stop_eigenvalue={share:g}')
    return None

  return stop
