"""A step of a bilevel search as a list of gradient passes, run by ONE compiled gradient program.

All the systems here spend their time in the same computation, the gradient of a loss with respect
to (theta, z) at some weights, architecture and batch. Compiling it once for each place where an
algorithm mentions a gradient would take minutes. So a step is written as data: a table of passes,
in which each row says at which point it is evaluated, whether its gradient is kept for later rows,
and with which weight it enters a sum. A loop runs the rows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
from jax import lax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.estimators import unrolled


class Passes(NamedTuple):
  """A table of P passes, of whose gradients R are kept.

  Attributes:
    inputs: pytree with a leading axis [P], what the gradient function needs to know of each row
      (indices of samples, policies, batches).
    point: [P, R]; row p is evaluated at theta + sum_r point[p, r] * kept_r, or at what else `run`
      makes of it.
    store: int32 [P]; the r as which the row's gradient is kept, or R (or more) for not at all.
    weight: [P]; the factor with which the row's gradient enters `Results.total`.
  """
  inputs: Any
  point: Any
  store: Any
  weight: Any


class Results(NamedTuple):
  """What a table of passes gives.

  Attributes:
    outputs: pytree [P, ...], the gradient function's first result, row by row; zeros for rows that
      were not run.
    dots: [P, R], <gradient of row p, kept gradient r>, of those kept before the row's own; 0 for an
      r that nothing was kept as.
    total: pytree like theta, sum_p weight[p] * gradient_p.
    kept: pytree like theta with a leading axis [R], the gradients that were kept, at the end.
  """
  outputs: Any
  dots: jax.Array
  total: Any
  kept: Any = None


def linear(theta: Any, coefficients: jax.Array, kept: Any) -> Any:
  """theta + sum_r coefficients[r] * kept_r."""
  return jax.tree.map(lambda t, r: t + jnp.tensordot(coefficients.astype(r.dtype), r, 1), theta,
                      kept)


def run(gradient: Callable, theta: Any, passes: Passes, count: Any = None, point: Callable = linear,
        unroll: bool = False) -> Results:
  """Runs the first `count` rows of a table of passes, one after the other.

  Args:
    gradient: (theta, inputs of one row) -> (outputs, gradient with respect to theta).
    theta: pytree of weights.
    passes: the table.
    count: int32 [] (may be traced), number of rows to run; all of them by default. Rows that are
      not run cost nothing: phases of an algorithm that need different numbers of passes share one
      compiled program.
    point: (theta, row of passes.point, kept gradients [R, ...]) -> where the row is evaluated: an
      optimizer's step, say.
    unroll: compile every row anew instead of one loop of them all; takes no `count`. On CPU XLA's
      convolutions are several times slower inside a loop.

  Returns:
    `Results`. Memory: R + 2 copies of theta and one gradient program, however many rows there are.
    Not differentiable in reverse mode (a loop of traced length).
  """
  chex.assert_rank([passes.point, passes.store, passes.weight], [2, 1, 1])
  chex.assert_tree_shape_prefix(passes, passes.point.shape[:1])
  n_passes, n_kept = passes.point.shape
  count = n_passes if count is None else count
  row = lambda p: jax.tree.map(lambda a: a[p], passes)
  gradient = jax.jit(gradient)  # traced once, here and in the loop
  shapes = jax.eval_shape(gradient, theta, jax.tree.map(lambda a: a[0], passes.inputs))[0]
  outputs = jax.tree.map(lambda s: jnp.zeros((n_passes, *s.shape), s.dtype), shapes)
  kept = jax.tree.map(lambda a: jnp.zeros((n_kept, *a.shape), a.dtype), theta)
  dots = jnp.zeros((n_passes, n_kept))

  def body(carry):
    p, kept, outputs, dots, total = carry
    this = row(p)
    out, g = gradient(point(theta, this.point, kept), this.inputs)
    outputs = jax.tree.map(lambda a, o: a.at[p].set(o), outputs, out)
    dots = dots.at[p].set(unrolled.alignments(g, kept))
    kept = jax.tree.map(lambda r, a: r.at[this.store].set(a, mode='drop'), kept, g)
    return p + 1, kept, outputs, dots, trees.axpy(this.weight, g, total)

  start = (jnp.int32(0), kept, outputs, dots, trees.scale(0, theta))
  if unroll:
    carry = start
    for _ in range(n_passes):
      carry = body(carry)
  else:
    carry = lax.while_loop(lambda c: c[0] < count, body, start)
  _, kept, outputs, dots, total = carry
  return Results(outputs, dots, total, kept)
