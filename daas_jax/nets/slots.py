"""A cell as a sequence of slots, each of which reads earlier nodes and adds to a later one: one
scan, forward and back.

Knows nothing of operations: what a slot computes is a `Rule`.
"""

import functools
from typing import Any, Callable, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp


class Rule(NamedTuple):
  """What a slot computes. Static: make each once (`functools.lru_cache`), or XLA compiles it again.

  Attributes:
    apply: (x, params, plan) -> array [B, H', W', C]; x() is the tuple of what the slot reads.
    pullback: (x, params, plan, g) -> (cotangents of x(), a tuple; cotangents of params); g() is the
      output's cotangent. It is x and g that are called, not their values that are passed, so that a
      branch of a `lax.switch` can call them: XLA then fuses the reading with what the branch does.
  """
  apply: Callable
  pullback: Callable


def _row(rows, index):
  return lax.dynamic_index_in_dim(rows, index, keepdims=False, allow_negative_indices=False)


def _read(inputs, nodes, plan):
  return tuple(
      _row(rows, plan[which]) for which, rows in (('input', inputs), ('node', nodes))
      if which in plan)


def _add(rows, index, x):
  return rows.at[index].add(x, mode='promise_in_bounds')


def accumulate_plain(rule: Rule, inputs: jax.Array, nodes: jax.Array, params: Any,
                     plan: Any) -> jax.Array:
  """Adds to the nodes of a cell, slot by slot: nodes[target] += rule.apply(what the slot reads, its
  params).

  Args:
    rule: `Rule`.
    inputs: [n, B, H, W, C], the cell's inputs, which no slot changes.
    nodes: [m, B, H', W', C], the nodes as they start.
    params: pytree of [slots, ...], a row a slot.
    plan: dict of [slots, ...] without gradient: 'target' and at least one of 'input' and 'node',
      int32, the rows of nodes, inputs and nodes; whatever else the rule wants.

  Returns:
    The nodes as they end.
  """
  def slot(nodes, operands):
    params, plan = operands
    return _add(nodes, plan['target'], rule.apply(lambda: _read(inputs, nodes, plan), params,
                                                  plan)), None

  return lax.scan(slot, nodes, (params, plan))[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def accumulate(rule: Rule, inputs: jax.Array, nodes: jax.Array, params: Any,
               plan: Any) -> jax.Array:
  """`accumulate_plain` with a backward pass of its own: the same scan backwards, of the rule's
  pullbacks.

  `jax.grad` of the scan keeps the residuals of every slot, and writes an array of zeros for each
  node that is read. Here the nodes alone are kept, each slot is computed again, and each cotangent
  is added in place. That is right as long as no slot reads a node to which it or a later slot adds.
  Differentiable in reverse and forward over reverse.
  """
  return accumulate_plain(rule, inputs, nodes, params, plan)


def _forward(rule, inputs, nodes, params, plan):
  nodes = accumulate_plain(rule, inputs, nodes, params, plan)
  return nodes, (inputs, nodes, params, plan)


def _backward(rule, residuals, g_nodes):
  inputs, nodes, params, plan = residuals

  def slot(g, operands):
    params, plan = operands
    g_read, g_params = rule.pullback(lambda: _read(inputs, nodes, plan), params, plan,
                                     lambda: _row(g['node'], plan['target']))
    places = [which for which in ('input', 'node') if which in plan]
    return g | {
        which: _add(g[which], plan[which], x) for which, x in zip(places, g_read, strict=True)
    }, g_params

  g, g_params = lax.scan(slot, {
      'input': jnp.zeros_like(inputs),
      'node': g_nodes
  }, (params, plan), reverse=True)
  return g['input'], g['node'], g_params, None


accumulate.defvjp(_forward, _backward)
