"""The table of policy-gradient estimators: each a kind of draw, a few lines that combine it, and
what it costs."""

from typing import Callable, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.estimators import control, ddas, relax, score, unrolled
from daas_jax.policies import categorical


class Cost(NamedTuple):
  """Programs run on one batch: gradients (a forward and a backward pass), losses, forward-mode
  derivatives."""
  gradients: int
  losses: int = 0
  tangents: int = 0

  @property
  def passes(self):
    """Forward and backward passes; a forward-mode derivative is a forward pass and another one
    beside it."""
    return 2 * self.gradients + self.losses + 2 * self.tangents


class Memory(NamedTuple):
  """What an estimator may know from before its draw.

  Attributes:
    average: [] of past alignments, the moving average.
    w: [D], coefficients of the additive control variate.
    gradient: pytree like gamma, the mean of Eq. 13 over all past steps.
    surrogate: [n], RELAX's value of every policy, fitted to draws that are not compared.
  """
  average: jax.Array
  w: jax.Array
  gradient: dict
  surrogate: jax.Array


class Estimator(NamedTuple):
  """One row of the table.

  Attributes:
    kind: a key of `draws.KINDS`.
    combine: (point, memory, one draw, key) -> gradient, a pytree like gamma.
    cost: n_aug -> `Cost`.
    about: a line for the reader.
  """
  kind: str
  combine: Callable
  cost: Callable
  about: str


def _log_prob(point, log_prob=categorical.log_prob):
  return lambda gamma, policy: log_prob(gamma, policy, point.space)


def _pick(point, index):
  return jax.tree.map(lambda a: a[index], point.policies)


def _eq_13(point, index, s, b, log_prob=categorical.log_prob):
  """Eq. 13 of one architecture: index, s and b are [n]."""
  row = lambda a: jax.tree.map(lambda a: a[None], a)
  return unrolled.policy_gradient(_log_prob(point, log_prob), point.gamma, row(_pick(point, index)),
                                  row(s), row(b), point.xi)


def _with(baseline, log_prob=categorical.log_prob, alignments='s'):
  """Eq. 13 with baseline (memory, s [n]) -> b [n]."""
  def combine(point, memory, draw, key):
    del key
    s = draw[alignments]
    return _eq_13(point, draw['index'], s, baseline(memory, s), log_prob)
  return combine


def _of_draw(baseline):
  """A baseline of `score`, which takes rows [n_arch, n_aug], for the one row of a draw."""
  return lambda memory, s: baseline(s[None])[0]


_none, _leave_one_out, _step_mean = map(_of_draw,
                                        (score.no_baseline, score.leave_one_out, score.step_mean))


def _moving_average(memory, s):
  return jnp.full_like(s, memory.average)


def _add_expectation(point, memory, gradient):
  expected = lambda gamma: categorical.expected_features(gamma, memory.w, point.space)
  return control.add_expectation(gradient, expected, point.gamma, point.xi)


def _additive(baseline):
  """Outcome scores of what the learned model leaves over, and the exact gradient of the model's
  expectation."""
  def combine(point, memory, draw, key):
    del key
    phi = jax.vmap(lambda policy: categorical.features(policy, point.space))(_pick(
        point, draw['index']))
    left = draw['s'] - phi @ memory.w
    gradient = _eq_13(point, draw['index'], left, baseline(memory, left),
                      categorical.outcome_log_prob)
    return _add_expectation(point, memory, gradient)
  return combine


def _paired(combine):
  """The same of s less that of the image without policy: what it aligns with anyway."""
  return lambda point, memory, draw, key: combine(point, memory,
                                                  draw | {'s': draw['s'] - draw['clean']}, key)


def _relax(point, memory, draw, key):
  """RELAX over the enumerated policies as one categorical variable, f = -xi s, averaged over the
  draw's policies."""
  log_p = lambda gamma: jax.vmap(_log_prob(point), (None, 0))(gamma, point.policies)
  surrogate = lambda z: jnp.vdot(memory.surrogate, jax.nn.softmax(z / point.tau))
  one = lambda key, b, s: relax.gradient(key, log_p, point.gamma, b, -point.xi * s, surrogate)
  gradients = jax.vmap(one)(jax.random.split(key, draw['index'].shape[0]), draw['index'], draw['s'])
  return jax.tree.map(lambda a: jnp.mean(a, 0), gradients)


def _ddas(normalise):
  def combine(point, memory, draw, key):
    del memory, key
    probability = lambda gamma, policy: jnp.exp(_log_prob(point)(gamma, policy))
    return ddas.gradient(probability, point.gamma, _pick(point, draw['index']), draw['a'], point.xi,
                         draw['Z'], normalise)
  return combine


def _dada_code(point, memory, draw, key):
  """DADA's code: the plain score function of one sample, without xi."""
  del memory, key
  gradient = _eq_13(point, draw['index'], draw['finite'], jnp.zeros(1))
  return jax.tree.map(lambda a: a / point.xi, gradient)


def _past_additive(point, memory, draw, key):
  del draw, key
  zero = jax.tree.map(jnp.zeros_like, point.gamma)
  return _add_expectation(point, memory, zero)


def _past_eq_13(point, memory, draw, key):
  del point, draw, key
  return memory.gradient


def _as_drawn(point, memory, draw, key):
  del memory, key
  return {name: draw[name] for name in point.gamma}


_SAME = lambda n: Cost(n + 1)
_OTHERS = lambda n: Cost(2 * n + 1)
_WITH_CLEAN = lambda n: Cost(n + 2)
_NOTHING = lambda n: Cost(0)


TABLE = {
    'eq13': Estimator('same', _with(_none), _SAME,
                      'DAAS Eq. 13, no baseline, theta\' from the same policies'),
    'eq13_leave_one_out': Estimator('same', _with(_leave_one_out), _SAME,
                                    'the other policies\' mean as baseline'),
    'eq13_moving_average': Estimator('same', _with(_moving_average), _SAME,
                                     'past alignments\' mean as baseline'),
    'eq13_independent': Estimator('independent', _with(_none), _OTHERS,
                                  'theta\' from other policies'),
    'eq13_independent_loo': Estimator('independent', _with(_leave_one_out), _OTHERS, 'both'),
    'ddas': Estimator('uniform', _ddas(False), _WITH_CLEAN,
                      'DDAS Eq. 12-14: uniform draws, weights P / Z'),
    'ddas_normalised': Estimator('uniform', _ddas(True), _WITH_CLEAN,
                                 'DDAS Eq. 15-17: divided by Z_g as well'),
    'straight_through': Estimator(
        'straight_through', _as_drawn, lambda n: Cost(4),
        'DADA\'s paper: one relaxed sample, mixed derivative by differences'),
    'relax': Estimator(
        'same', _relax, _SAME,
        'Eq. 13 with RELAX\'s control variate, fitted to further draws that are not in its passes'),
    'finite_difference': Estimator('same', _with(
        _none, alignments='finite'), lambda n: Cost(n + 1, losses=2 * n),
                                   'Eq. 13, alignments by DARTS\'s step 0.01 / |g_val|'),
    'dada_code': Estimator('single', _dada_code, lambda n: Cost(2, losses=2),
                           'DADA\'s code: one sample, same step, no xi'),
    'per_image': Estimator('per_image', _with(
        _step_mean, categorical.outcome_log_prob), lambda n: Cost(2, tangents=1),
                           'a policy an image, all alignments by one forward-mode pass'),
    'per_image_paired': Estimator(
        'per_image', _paired(_with(_step_mean, categorical.outcome_log_prob)),
        lambda n: Cost(2, tangents=2), 'the same, less the clean image\'s own alignment'),
    'per_image_additive': Estimator(
        'per_image', _paired(_additive(_step_mean)), lambda n: Cost(2, tangents=2),
        'and the learned control variate'),
    'outcome': Estimator('same', _with(_none, categorical.outcome_log_prob), _SAME,
                         'Eq. 13, what was not applied summed out'),
    'outcome_systematic': Estimator('systematic', _with(_none, categorical.outcome_log_prob), _SAME,
                                    'and policies drawn apart'),
    'additive_loo': Estimator('same', _additive(_leave_one_out), _SAME,
                              'outcome scores, learned control variate, leave-one-out'),
    'additive': Estimator('same', _additive(_step_mean), _SAME,
                          'the same, the step\'s mean as baseline: (n - 1) / n of the correction'),
    'past_additive': Estimator('same', _past_additive, _NOTHING,
                               'the learned model alone: what \'additive\' starts from'),
    'past_eq13': Estimator('same', _past_eq_13, _NOTHING,
                           'the mean of Eq. 13 over the same past steps'),
}
"""The rows of the report, in its order."""


def remember(point, past, training, decay=0.99):
  """The `Memory` of past steps, in their order.

  Args:
    point: the `Point`.
    past: {'index', 's': [H, n_aug]} of earlier steps on other batches.
    training: the same of draws at this point that are not compared.
    decay: of a past step's weight, as in `control.update`.
  """
  average, count, learned = jnp.zeros(()), jnp.zeros(()), control.init(
      categorical.n_features(point.space))
  features = jax.jit(jax.vmap(lambda policy: categorical.features(policy, point.space)))
  for index, s in zip(past['index'], past['s']):
    average, count = score.update_moving_average(average, count, s)
    learned = control.update(learned,
                             features(_pick(point, index))[None],
                             jnp.asarray(s)[None], decay)
  flat, s = past['index'].reshape(-1), jnp.asarray(past['s'].reshape(-1), jnp.float32)
  gradient = _eq_13(point, flat, s, jnp.zeros_like(s)) if len(flat) else jax.tree.map(
      jnp.zeros_like, point.gamma)
  return Memory(score.moving_average_value(average, count), control.coefficients(learned), gradient,
                fit_surrogate(point, training))


def fit_surrogate(point, draws, ridge=1.0):
  """RELAX's value of every policy [n]: f = -xi s regressed on the additive features and a constant,
  over draws."""
  phi = jax.vmap(lambda policy: categorical.features(policy, point.space))(point.policies)
  phi = np.concatenate([np.ones((len(phi), 1)), np.asarray(phi)], 1)
  x, f = phi[draws['index'].reshape(-1)], -point.xi * draws['s'].reshape(-1)
  penalty = ridge * np.eye(phi.shape[1])
  penalty[0, 0] = 0
  return jnp.asarray(phi @ np.linalg.solve(x.T @ x + penalty, x.T @ f), jnp.float32)
