"""Hyper-gradient: of the validation loss with respect to an optimizer's settings, through one of
its steps.

DiffAutoML Eq. 6-7: theta' = OP(theta, eta, grad L_train), eta <- eta - beta grad_eta
L_val(theta'(eta)), theta being held independent of eta. The settings are positive numbers, kept as
their logarithms.
"""

from collections.abc import Callable, Mapping
import math
from typing import Any

import jax
import jax.numpy as jnp

from daas_jax.estimators.unrolled import update


def init(values: Mapping[str, float]) -> dict[str, jax.Array]:
  """eta, {name: log value [] float32}, of {name: value > 0}."""
  return {name: jnp.log(jnp.float32(value)) for name, value in values.items()}


def values(eta: dict[str, jax.Array]) -> dict[str, jax.Array]:
  """{name: value > 0} of eta."""
  return jax.tree.map(jnp.exp, eta)


def within(eta: dict[str, jax.Array],
           bounds: Mapping[str, tuple[float, float]]) -> dict[str, jax.Array]:
  """eta whose values are kept within bounds.

  Args:
    eta: {name: logarithm of the value []}.
    bounds: {name: (least, most) value, above 0}; what is not named has none.
  """
  return {name: jnp.clip(x, *map(math.log, bounds[name])) if name in bounds else x
          for name, x in eta.items()}


def at_bound(eta: Mapping[str, Any], bounds: Mapping[str, tuple[float, float]]) -> dict[str, float]:
  """{name: the bound} of what `within` holds at one of them; arguments as there, of numbers."""
  return {name: bound for name, both in bounds.items() for bound in both
          if abs(float(eta[name]) - math.log(bound)) < 1e-5}


def step(make: Callable, eta: dict[str, jax.Array], gradient: Any, opt_state: Any,
         theta: Any) -> tuple[Any, Any, Callable]:
  """One step of an optimizer, and the way back through it (Eq. 6).

  Args:
    make: {name: value []} -> optax transformation, such as lambda v: optax.sgd(v['lr'], 0.9). The
      structure of its state must not depend on the values.
    eta: {name: logarithm of the value []}.
    gradient: of the training loss at theta.
    opt_state: the optimizer's state.
    theta: parameters.

  Returns:
    (theta', the optimizer's new state, pullback) with pullback: gradient of a loss at theta' -> its
    gradient with respect to eta (Eq. 7), that is through the logarithms.
  """
  def after(eta):
    return update(make(values(eta)), gradient, opt_state, theta)

  theta, pullback, opt_state = jax.vjp(after, eta, has_aux=True)
  return theta, opt_state, lambda g: pullback(g)[0]
