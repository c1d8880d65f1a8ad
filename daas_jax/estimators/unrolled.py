"""Inner steps and what the one-step unrolled gradient of policy parameters is made of (DAAS Eq.
10-13).

Everything takes and returns arrays; a loss is any function of (theta, ...) and a policy any pytree.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
from jax import lax
import jax.numpy as jnp
import optax

from daas_jax import trees
from daas_jax.arrays import foreign
from daas_jax.estimators import score


def inner_step(theta: Any, gradient: Any, xi: chex.Numeric) -> Any:
  """theta' = theta - xi * gradient: one step of plain SGD (DAAS Eq. 10); writes no optimizer
  state."""
  return trees.axpy(-xi, gradient, theta)


def update(optimizer: optax.GradientTransformation, gradient: Any, opt_state: Any,
           parameters: Any, **told: Any) -> tuple[Any, Any]:
  """(new parameters, new optimizer state) of one step.

  Args:
    optimizer: an optax transformation.
    gradient, parameters: pytrees of one structure.
    opt_state: the optimizer's state.
    **told: what else the optimizer takes, of one that takes more.
  """
  with foreign():
    updates, opt_state = optimizer.update(gradient, opt_state, parameters, **told)
    return optax.apply_updates(parameters, updates), opt_state


def unroll(theta: Any, gradient: Callable, optimizer: optax.GradientTransformation, steps: int = 1,
           opt_state: Any = None) -> Any:
  """theta after inner steps of any optax transformation (SGD, momentum, Adam, ...), differentiable
  through them.

  Args:
    theta: pytree.
    gradient: theta -> a pytree like theta.
    optimizer: an optax transformation. Adam's square root has no derivative at 0: give it eps_root
      > 0 (1e-12), or a weight whose gradient is zero (an operation that was not sampled) makes the
      derivative NaN.
    steps: number of steps >= 1.
    opt_state: its state before the first step; `optimizer.init(theta)` by default.

  Returns:
    theta after the steps. Differentiate it with respect to anything that gradient or optimizer
    close over. Several steps are one compiled loop whose backward pass computes each step again:
    memory for `steps` copies of theta and of the optimizer's state, and the inside of one step.
  """
  def step(carry, _):
    theta, state = carry
    g = gradient(theta)
    with foreign():
      updates, state = optimizer.update(g, state, theta)
    return (jax.tree.map(lambda t, u: t + u.astype(t.dtype), theta, updates), state), None

  start = theta, optimizer.init(theta) if opt_state is None else opt_state
  if steps == 1:
    return step(start, None)[0][0]
  return lax.scan(jax.checkpoint(step), start, length=steps)[0][0]


def alignments(g_val: Any, train_gradients: Any) -> jax.Array:
  """s_j = <g_val, g_j> (the inner products of DAAS Eq. 13).

  Args:
    g_val: pytree like theta, the gradient of the validation loss at theta'.
    train_gradients: the same pytree with a leading axis [n], gradients of the training loss at
      theta, a policy each.

  Returns:
    [n]; of none, [0].
  """
  n = len(jax.tree.leaves(train_gradients)[0])
  rows = [trees.dot(g_val, jax.tree.map(lambda g, j=j: g[j], train_gradients)) for j in range(n)]
  return jnp.stack(rows) if rows else jnp.zeros(0)


def across(v: Any, g: Any) -> Any:
  """v without its part along g: what a step in the direction of g, of fixed length, can still gain.

  d L(theta - rho g / |g|) = -rho / |g| <v - <v, g> g / |g|^2, dg>, v the gradient of L there.

  Args:
    v, g: pytrees of one structure, g not zero.
  """
  return trees.axpy(-trees.dot(v, g) / trees.dot(g, g), g, v)


def finite_difference(f: Callable, theta: Any, v: Any, r: float = 0.01) -> Any:
  """df(theta + eps v)/d eps at 0, as (f(theta + eps v) - f(theta - eps v)) / (2 eps), eps = r / |v|
  (DARTS, DADA).

  Args:
    f: theta -> pytree of arrays: a loss, for an alignment; a gradient, for a row of a mixed second
      derivative.
    theta, v: pytrees of one structure.
    r: length of the step in weight space; 0.01 in DARTS's and in DADA's code. The error is of order
      r^2 plus rounding of order 1e-7 |f| |v| / r in float32.
  """
  eps = r / trees.norm(v)
  plus, minus = f(trees.axpy(eps, v, theta)), f(trees.axpy(-eps, v, theta))
  return jax.tree.map(lambda a, b: (a - b) / (2 * eps), plus, minus)


def policy_gradient(log_prob: Callable, gamma: Any, policies: Any, s: jax.Array, b: jax.Array,
                    xi: chex.Numeric) -> Any:
  """DAAS Eq. 13: -xi * mean_ij (s_ij - b_ij) * grad_gamma log p(Gamma_ij).

  Args:
    log_prob: (gamma, policy) -> scalar.
    gamma: policy parameters, a pytree.
    policies: pytree with leading axes [n_arch, n_aug].
    s: [n_arch, n_aug], s_ij = <grad L_val(theta'_i, z_i), grad_theta L_train(theta, z_i,
      Gamma_ij(D))>.
    b: [n_arch, n_aug], baselines; see `daas_jax.estimators.score`.
    xi: step of the inner update.

  Returns:
    A pytree like gamma. (The paper writes sums over i and j; means differ by a constant.)
  """
  chex.assert_rank(s, 2)
  chex.assert_equal_shape([s, b])
  chex.assert_tree_shape_prefix(policies, s.shape)
  coefficients = (-xi / s.size) * (s - b)
  flat = jax.tree.map(lambda a: a.reshape(s.size, *a.shape[2:]), policies)
  return score.score_gradient(log_prob, gamma, flat, coefficients.reshape(-1))
