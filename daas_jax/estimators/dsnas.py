"""DSNAS's gradient of a single-path supernet's distribution, and paths within a budget (DiffAutoML
Eq. 1, 3, 5).

alpha [B, N] are the logits of B independent one-hot variables Z_b: one choice of N a block.
"""

from typing import Any, NamedTuple

import chex
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np


class Budget(NamedTuple):
  """What paths cost, and may cost (Eq. 1).

  Attributes:
    costs: int [B, N], of each choice; numpy.
    rest: int, what every path costs besides.
    limit: C, the largest cost of a path as a whole; None: any.
  """
  costs: np.ndarray
  rest: int
  limit: Any = None

  @property
  def left(self) -> Any:
    """What the choices may cost together, None: anything."""
    return None if self.limit is None else self.limit - self.rest


def gradient(alpha: jax.Array, choice: jax.Array, g_gate: jax.Array) -> jax.Array:
  """Eq. 5 for one draw: grad_alpha log p(Z_b) * dL/dZ_b^s, block by block.

  Its mean over draws is the gradient of E[L] exactly where L is linear in every Z_b, such as for a
  sum of what the blocks give; through further layers dL/dZ_b^s is the first-order credit of what
  was chosen, and so is its mean.

  Args:
    alpha: [B, N] logits.
    choice: int [B], drawn from softmax(alpha): s of Eq. 5.
    g_gate: [B], derivative of the loss with respect to the factor 1 = Z_b^s of the chosen branch.

  Returns:
    [B, N]; (one_hot(s) - softmax(alpha_b)) * g_gate_b.
  """
  chex.assert_rank(alpha, 2)
  chex.assert_shape([choice, g_gate], alpha.shape[:1])
  one_hot = jax.nn.one_hot(choice, alpha.shape[-1], dtype=alpha.dtype)
  return (one_hot - jax.nn.softmax(alpha)) * g_gate[:, None]


def decided(alpha: jax.Array, margin: chex.Numeric) -> jax.Array:
  """Blocks whose two likeliest choices differ by `margin` or more in probability: bool [B] (DSNAS's
  early stop).

  A margin of 0 means never.
  """
  chex.assert_rank(alpha, 2)
  best = lax.top_k(jax.nn.softmax(alpha), 2)[0]
  return (best[:, 0] - best[:, 1] >= margin) & (margin > 0)


def sample(key: chex.PRNGKey, alpha: jax.Array, fixed: jax.Array) -> jax.Array:
  """A path: int32 [B]. A block that is `fixed` (bool [B]) has its likeliest choice, another draws
  from softmax."""
  chex.assert_rank(alpha, 2)
  chex.assert_shape(fixed, alpha.shape[:1])
  drawn = jax.random.categorical(key, alpha)
  return jnp.where(fixed, jnp.argmax(alpha, -1), drawn).astype(jnp.int32)


def cost(costs: jax.Array, path: jax.Array) -> jax.Array:
  """sum_b costs[b, path_b] of a path int [B] and costs [B, N]: []."""
  chex.assert_rank(costs, 2)
  chex.assert_shape(path, costs.shape[:1])
  return jnp.sum(jnp.take_along_axis(costs, path[:, None], 1))


def sample_within(key: chex.PRNGKey, alpha: jax.Array, fixed: jax.Array, costs: jax.Array,
                  budget: chex.Numeric, otherwise: jax.Array, tries: int = 100) -> jax.Array:
  """`sample` given that the path costs at most `budget`, by rejection (Eq. 1).

  The gradient of `gradient` is that of the distribution without a budget: its mean over these draws
  is not that of E[L | within the budget], whose score has a mean of its own.

  Args:
    key: PRNG key; draw i uses fold_in(key, i).
    alpha, fixed: as of `sample`.
    costs: float [B, N].
    budget: largest sum of costs.
    otherwise: int [B], the path that is taken after `tries` draws beyond the budget, such as where
      the choices that are fixed leave nothing within it.
    tries: draws.

  Returns:
    int32 [B].
  """
  chex.assert_shape(costs, alpha.shape)
  chex.assert_shape(otherwise, alpha.shape[:1])
  draw = lambda i: sample(jax.random.fold_in(key, i), alpha, fixed)
  too_much = lambda path: cost(costs, path) > budget
  path = lax.while_loop(lambda x: too_much(x[1]) & (x[0] < tries), lambda x: (x[0] + 1, draw(x[0])),
                        (1, draw(0)))[1]
  return jnp.where(too_much(path), otherwise, path).astype(jnp.int32)


def expected_cost(alpha: jax.Array, costs: chex.Array) -> jax.Array:
  """E[cost] = sum_b softmax(alpha_b) . costs_b: [], the exact mean over paths, differentiable in
  alpha."""
  chex.assert_equal_shape([alpha, costs])
  return jnp.sum(jax.nn.softmax(alpha) * jnp.asarray(costs, alpha.dtype))


def penalty(alpha: jax.Array, budget: Budget) -> jax.Array:
  """max(0, E[c] / C - 1) of a `Budget`, c what a path costs as a whole: [], 0 within it (Eq. 1 as a
  penalty)."""
  return jax.nn.relu(expected_cost(alpha, budget.costs) - budget.left) / budget.limit


def likeliest_path(alpha: chex.Array, costs: chex.Array | None = None,
                   budget: int | None = None) -> np.ndarray:
  """The path of the largest probability, among those within a budget where there is one. Numpy,
  exact.

  Args:
    alpha: [B, N] logits.
    costs: [B, N] whole numbers >= 0, with a budget.
    budget: largest sum of costs.

  Returns:
    int32 [B].

  Raises:
    ValueError: no path is within the budget.
  """
  alpha = np.asarray(alpha, np.float64)
  chex.assert_rank(alpha, 2)
  if budget is None:
    return np.argmax(alpha, -1).astype(np.int32)
  log_p = alpha - np.logaddexp.reduce(alpha, -1, keepdims=True)
  costs = np.asarray(costs, np.int64)
  chex.assert_equal_shape([alpha, costs])
  # What the blocks to come cost at least.
  least = np.append(np.cumsum(costs.min(-1)[::-1])[::-1], 0)
  # Of the beginnings of paths, those of which no other is both cheaper and likelier: (cost, log p),
  # and how they came.
  spent, score, trail = np.zeros(1, np.int64), np.zeros(1), []
  for b in range(len(alpha)):
    new_cost, new_score = (spent[:, None] + costs[b]).ravel(), (score[:, None] + log_p[b]).ravel()
    kept = np.flatnonzero(new_cost + least[b + 1] <= budget)
    if not kept.size:
      raise ValueError(f'no path costs {budget} or less: the cheapest costs {least[0]}')
    order = kept[np.lexsort((-new_score[kept], new_cost[kept]))]
    best = np.maximum.accumulate(np.concatenate([[-np.inf], new_score[order][:-1]]))
    order = order[new_score[order] > best]
    spent, score = new_cost[order], new_score[order]
    trail.append(order)
  path, at = [], int(np.argmax(score))
  for order in trail[::-1]:
    at, choice = divmod(int(order[at]), alpha.shape[-1])
    path.append(choice)
  return np.array(path[::-1], np.int32)
