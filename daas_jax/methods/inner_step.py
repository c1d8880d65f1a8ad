"""The inner step of DAAS (Eq. 10), and the validation gradient as its inner gradient sees it.

The papers' is a plain one, theta' = theta - xi g, of which dL_val(theta') / dg = -xi v, v the
validation gradient there. What theta really takes is a step of its optimizer, with a momentum, a
decay, a clipped norm: theta' = theta + u(g). Then dL_val(theta') / dg = (du / dg)^T v, and Eq. 13
holds with -1 / xi of that in the place of v.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from daas_jax import trees
from daas_jax.arrays import foreign
from daas_jax.config.key import at_least, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import passes, unrolled

KEYS = {
    'search.inner': Key(
        'sgd', one_of('sgd', 'theta'), 'inner step (Eq. 10): sgd, a plain one of xi (the papers), '
        "or the one that theta's optimizer would take, with its momentum"),
    'search.xi': Key(0.0, at_least(0),
                     'step of the inner update (Eq. 10); 0 is the current learning rate of theta'),
}


def check(flat: Mapping[str, Any]) -> None:
  """Refuses a step of theta's optimizer that has another length than this has.

  Raises:
    BadInput: of a config {'group.key': value}.
  """
  if flat['search.inner'] == 'theta' and flat['search.xi']:
    raise BadInput(f"config key 'search.xi' = {flat['search.xi']} is of search.inner = 'sgd': set "
                   "it to 0, theta's optimizer has theta.lr")


class Inner(NamedTuple):
  """An inner step.

  Attributes:
    factor: of the mean gradient in `daas_jax.estimators.passes.Passes.point`.
    point: (theta, a row of that, kept gradients [R, ...]) -> theta'; theta where the row is zero.
    pull: (v, g) -> what the alignments of Eq. 13 are with: v the gradient of L_val at theta', g the
      mean of the inner gradients that made it.
  """
  factor: Any
  point: Callable
  pull: Callable


def plain(xi: Any, objective: str) -> Inner:
  """Eq. 10's own.

  Args:
    xi: [] its length.
    objective: step or direction.
  """
  pull = unrolled.across if objective == 'direction' else lambda v, g: v
  return Inner(-xi, passes.linear, pull)


def of_optimizer(optimizer: optax.GradientTransformation, opt_state: Any, theta: Any, xi: Any,
                 objective: str) -> Inner:
  """The step that an optax transformation would take; writes no state of its.

  Args:
    optimizer, opt_state: the transformation and its state before the step.
    theta: where it starts from.
    xi: [] learning rate, which Eq. 13 is divided by.
    objective: step or direction.
  """
  def change(g):
    with foreign():
      return optimizer.update(g, opt_state, theta)[0]

  def point(theta, shares, kept):
    mean = jax.tree.map(lambda r: jnp.tensordot(shares.astype(r.dtype), r, 1), kept)
    return jax.lax.cond(jnp.any(shares != 0), lambda: trees.axpy(1, change(mean), theta),
                        lambda: theta)

  def pull(v, g):
    u, back = jax.vjp(change, g)
    w, = back(unrolled.across(v, u) if objective == 'direction' else v)
    # a square root as in Adam has no derivative where a weight never had a gradient
    finite = lambda w, g: jnp.where((g == 0) & ~jnp.isfinite(w), 0, -w / xi)
    return jax.tree.map(finite, w, g)

  return Inner(1.0, point, pull)
