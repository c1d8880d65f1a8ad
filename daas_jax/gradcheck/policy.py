"""Every estimator of the policy gradient at a point of a search: draws, kept in files, and a
report's rows."""

import io
import os
import time
import zipfile

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.errors import BadInput
from daas_jax.estimators import summary
from daas_jax.files import atomic
from daas_jax.gradcheck import draws as draws_lib, estimators
from daas_jax.gradcheck.point import in_parallel
from daas_jax.policies import categorical

GROUPS = ('pi', 'p', 'delta', 'all')
# of the whole gradient: a group below it is rounding (one operation, one level, no magnitudes)
_NOTHING = 1e-5


def exact_gradient(point):
  """grad_gamma L_val(theta'(gamma)), all policies enumerated: {'pi', 'p', 'delta'}.

  `jax.grad` through theta'(gamma) = theta - xi * sum p(Gamma; gamma) grad L_train(theta, Gamma);
  the gradients at theta, which do not depend on gamma, come from the point's table.
  """
  p = _probabilities(point)
  g_val = np.asarray(point.val(_theta_prime(point, p(point.gamma)))[1])
  s = jnp.asarray((point.gradients @ g_val)[point.outcome], jnp.float32)
  return jax.grad(lambda gamma: -point.xi * jnp.vdot(p(gamma), s))(point.gamma)


def _probabilities(point):
  log_p = jax.vmap(lambda gamma, policy: categorical.log_prob(gamma, policy, point.space),
                   (None, 0))
  return lambda gamma: jnp.exp(log_p(gamma, point.policies))


def _theta_prime(point, p):
  p = np.bincount(point.outcome, np.asarray(p), len(point.gradients))
  return point.theta - point.xi * jnp.asarray(p.astype(np.float32) @ point.gradients)


def check_exact(point, gradient, step=0.1):
  """(change of L_val along the gradient by two passes, what the gradient says): an independent look
  at it.

  gamma moves by +-step along the gradient's direction; theta' and L_val are computed anew. They
  differ by rounding of order 1e-7 L_val / step and by the curvature over the step.
  """
  norm = float(np.linalg.norm(flat(gradient)))
  p = _probabilities(point)
  def value(sign):
    moved = jax.tree.map(lambda g, d: g + sign * step / norm * d, point.gamma, gradient)
    return float(point.val(_theta_prime(point, p(moved)))[0])
  return value(1) - value(-1), 2 * step * norm


def flat(gradient):
  """A gradient, or draws of one, as float64 [..., |gamma|], pi before p before delta."""
  lead = np.ndim(gradient['pi']) - 2
  return np.concatenate([
      np.asarray(gradient[name], np.float64).reshape(*np.shape(gradient[name])[:lead], -1)
      for name in GROUPS[:3]
  ], -1)


def columns(gamma):
  """{group: slice of `flat`}."""
  ends = np.cumsum([0] + [gamma[name].size for name in GROUPS[:3]])
  return {
      name: slice(a, b) for name, a, b in zip(GROUPS, ends, ends[1:])
  } | {
      'all': slice(0, ends[-1])
  }


def _read(path):
  """The arrays of a file, or None where it is not there or damaged."""
  try:
    with np.load(path) as file:
      return dict(file)
  except (FileNotFoundError, ValueError, EOFError, zipfile.BadZipFile):
    return None


def _kept(folder, name, make):
  """The arrays of draws/NAME.npz; made, and written at once, where they cannot be read."""
  path = os.path.join(folder, 'draws', f'{name}.npz')
  arrays = _read(path)
  if arrays is None:
    arrays = make()
    os.makedirs(os.path.dirname(path), exist_ok=True)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    atomic.write(path, buffer.getvalue())
  return arrays


def _stacked(rows):
  return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def draw(point, config, folder, kinds, reporter):
  """{kind: {name: [draws, ...]}} of every kind that is asked for, and 'past'; done work is read
  from the folder.

  'same' holds half as many draws again, at its end, to fit RELAX's surrogate.
  """
  key = jax.random.fold_in(jax.random.key(config.seed), 4)
  out = {}
  for number, kind in enumerate(draws_lib.KINDS):
    if kind not in kinds:
      continue
    n = config.lab.draws + (config.lab.draws // 2 if kind == 'same' else 0)
    keys = jax.random.split(jax.random.fold_in(key, number), n)
    begun = time.perf_counter()
    function = draws_lib.KINDS[kind]
    out[kind] = _kept(folder, kind,
                      lambda: _stacked(in_parallel(lambda k: function(point, k), keys)))
    reporter.note(f'{n} draws of {kind}: {time.perf_counter() - begun:.0f} s')
  keys = jax.random.split(jax.random.fold_in(key, len(draws_lib.KINDS)), max(config.lab.history, 1))
  nothing = {'index': np.zeros((0, point.n_aug), int), 's': np.zeros((0, point.n_aug))}

  def past():
    steps = [point.other_step(i) for i in range(config.lab.history)]
    return _stacked(
        in_parallel(lambda i: draws_lib.past(point, steps[i], keys[i]), range(len(steps))))

  out['past'] = _kept(folder, 'past', past) if config.lab.history else nothing
  return out


def seconds_per_program(point, repeats=5):
  """Median seconds of a gradient, of a loss and of a forward-mode derivative on one batch: (3
  floats)."""
  calls = (lambda: point.value_and_gradients(point.theta, point.images[0], point.labels),
           lambda: point.image_losses(point.theta, point.images[0], point.labels),
           lambda: point.image_tangents(point.theta, point.theta, point.images[0], point.labels))
  def seconds(call):
    begun = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begun
  return tuple(float(np.median([seconds(call) for _ in range(repeats + 1)][1:])) for call in calls)


def _row(name, group, found, cost, seconds):
  return {'estimator': name, 'group': group, **found._asdict(), 'passes': cost.passes,
          'seconds': float(np.dot((cost.gradients, cost.losses, cost.tangents), seconds))}


def compare(point, config, folder, reporter):
  """Runs every estimator at a point.

  Args:
    point: a `Point`.
    config: a gradcheck config.
    folder: the workdir; draws/KIND.npz are kept there.
    reporter: a `progress.Reporter`.

  Returns:
    Rows, one for each estimator and group, the exact gradient's first (see README for their
    meaning); a group whose exact gradient is zero is left out.

  Raises:
    BadInput: where the exact gradient is zero.
  """
  table = {name: row for name, row in estimators.TABLE.items() if name in config.lab.estimators}
  exact = exact_gradient(point)
  found, said = check_exact(point, exact)
  reporter.note(
      f'the exact gradient: |gradient| {np.linalg.norm(flat(exact)):.3e}; moving gamma along it '
      f'changes L_val by {found:.4e}, the gradient says {said:.4e}')
  drawn = draw(point, config, folder, {row.kind for row in table.values()} | {'same'}, reporter)
  n = config.lab.draws
  memory = estimators.remember(point, drawn['past'], jax.tree.map(lambda a: a[n:], drawn['same']))
  seconds = seconds_per_program(point)
  reporter.note(
      'seconds a pass: gradient {:.3f}, loss {:.3f}, forward-mode derivative {:.3f}'.format(
          *seconds))

  one = summary.Summary(0.0, 0.0, 0.0, 1.0, 1.0, 1.0)
  exact, where = flat(exact), columns(point.gamma)
  if not np.linalg.norm(exact) > 0:
    raise BadInput(
        'the exact policy gradient is zero: there is nothing to compare with; choose operations '
        'that change the images (policy.ops), or another lab.step')
  groups = [g for g in GROUPS if np.linalg.norm(exact[where[g]]) > _NOTHING * np.linalg.norm(exact)]
  if len(groups) < len(GROUPS):
    reporter.note(
        f'left out, as its exact gradient is zero: {", ".join(sorted(set(GROUPS) - set(groups)))}')
  rows = [
      _row('exact', group, one, estimators.Cost(len(point.gradients) + 1), seconds)
      for group in groups
  ]
  keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 5), n)
  for name, estimator in table.items():
    combine = jax.jit(jax.vmap(lambda draw, key: estimator.combine(point, memory, draw, key)))
    gradients = flat(combine(jax.tree.map(lambda a: a[:n], drawn[estimator.kind]), keys))
    rows += [_row(name, group, summary.summarise(gradients[:, where[group]], exact[where[group]]),
                  estimator.cost(point.n_aug), seconds) for group in groups]
  return rows
