"""How long a run took, from the images/s of its metrics."""

from typing import NamedTuple

import numpy as np

from daas_jax.methods import registry
from daas_jax.report import runs as runs_lib


class Timings(NamedTuple):
  """Seconds.

  Attributes:
    phases: [(name, seconds a step (median over the lines), seconds an epoch or None)].
    total: of all lines.
    compiling: what the first line took longer than a median step of its phase: compilation, mostly.
  """
  phases: list
  total: float
  compiling: float


def timings(run):
  """`Timings` of a `runs.Run`, or None where its metrics do not tell."""
  images = _images_per_step(run)
  rows = [row for row in run.metrics if runs_lib.is_number(row.get('images_per_second'))]
  rows = [row for row in rows if row['images_per_second'] > 0]
  if not rows or not images:
    return None
  steps = np.diff([0] + [row['step'] for row in rows])
  seconds = steps * images / np.array([row['images_per_second'] for row in rows], np.float64)
  names = [str(row.get('phase', '')) for row in rows]
  per_epoch, phases = runs_lib.steps_per_epoch(run), []
  for name in dict.fromkeys(names):
    own = np.array([n == name for n in names])
    step = float(np.median(seconds[own] / steps[own]))
    phases.append((name, step, step * per_epoch if per_epoch else None))
  compiling = max(0.0, float(seconds[0] - steps[0] * phases[0][1]))
  return Timings(phases, float(seconds.sum()), compiling)


def _images_per_step(run):
  """As the commands count them: a search's method says how many images a step looks at."""
  if run.kind == 'search':
    images = registry.images_of(run.config)
  else:
    images = run.config.get('train.batch')
  return images if runs_lib.is_number(images) and images > 0 else None
