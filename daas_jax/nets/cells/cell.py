"""A cell of the supernet as a directed acyclic graph: 2 inputs, 4 intermediate nodes, 14 edges
(DAAS 3.2).

Two evaluations of the same function of (weights, A, B): `dense_cell` computes every operation on
every edge and is the definition; `single_path_cell` computes only the 8 sampled (edge, operation)
pairs and is what a search runs.
"""

from collections.abc import Iterator, Sequence
import functools
import operator
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from daas_jax.nets import slots
from daas_jax.nets.cells.primitives import PRIMITIVES
from daas_jax.nets.kernels import FORWARD, KERNELS

INPUTS, STEPS = 2, 4
EDGES = tuple((i, j) for j in range(INPUTS, INPUTS + STEPS) for i in range(j))
"""Edge e runs from node i to node j: ((0, 2), (1, 2), (0, 3), ...), E = 14."""
NODE_EDGES = tuple(
    tuple(e for e, (_, j) in enumerate(EDGES) if j == n) for n in range(INPUTS, INPUTS + STEPS))
"""The edges that end in each intermediate node, by their number."""
ALL_EDGES = tuple(range(len(EDGES)))
"""Every edge, by number."""
CHAIN_EDGES = tuple(e for e, (i, j) in enumerate(EDGES) if i in (0, j - 1))
"""The 8 edges of a cell whose edges are fixed: into every node from the node before it and from the
first input (Amended-DARTS 4.1.2)."""
_FIRST_EDGE = np.array([edges[0] for edges in NODE_EDGES], np.int32)
_SLOTS = 2 * STEPS
_SOURCE, _TARGET = (np.array(ends, np.int32) for ends in zip(*EDGES))


def reduction_layers(layers: int) -> tuple[int, int]:
  """Which cells halve the image: those at 1/3 and 2/3 of the depth."""
  return (layers // 3, 2 * layers // 3)


def places(layers: int, channels: int) -> Iterator[tuple[int, bool, int]]:
  """(its number, whether it halves the image, its channels) of each cell of a network.

  Args:
    layers: number of cells.
    channels: of the first; each reduction doubles them.
  """
  for layer in range(layers):
    reduction = layer in reduction_layers(layers)
    channels *= 2 if reduction else 1
    yield layer, reduction, channels


def source_stride(source: int, reduction: bool) -> int:
  """2 for what leaves one of the 2 inputs of a reduction cell, else 1."""
  return 2 if reduction and source < INPUTS else 1


def edge_stride(edge: int, reduction: bool) -> int:
  """`source_stride` of the node that an edge, by its number, leaves."""
  return source_stride(EDGES[edge][0], reduction)


def weight_shapes(primitives: Sequence[str], channels: int, reduction: bool,
                  edges: Sequence[int] = ALL_EDGES) -> dict[str, tuple]:
  """Shapes of one cell's stacked operation weights.

  Args:
    primitives: names of the O candidate operations.
    channels: C.
    reduction: whether the cell halves the image.
    edges: numbers of the edges that the cell has, in order.

  Returns:
    {'primitive.weight': ((n_edges, *shape), fan_in, stacked edges)}; a weight that exists on some
    edges only (the factorised reduction of skip_connect) is stacked over those.
  """
  shapes = {}
  for name in primitives:
    by_stride = {s: PRIMITIVES[name].shapes(channels, s) for s in (1, 2)}
    for weight in sorted({w for s in by_stride.values() for w in s}):
      stacked = tuple(e for e in edges if weight in by_stride[edge_stride(e, reduction)])
      if stacked:
        shape, fan_in = next(s[weight] for s in by_stride.values() if weight in s)
        shapes[f'{name}.{weight}'] = ((len(stacked), *shape), fan_in, stacked)
  return shapes


def _weights_of(name, weights):
  return {key.split('.')[1]: value for key, value in weights.items() if key.split('.')[0] == name}


def _operation(name, stride, kernels, plan):
  """(x, own weights) -> array: one primitive, with the slot's key and its drop-path factors where
  it has any."""
  key = jax.random.wrap_key_data(plan['key']) if 'key' in plan else None
  run = lambda x, w: PRIMITIVES[name].apply(x, w, stride, key, KERNELS[kernels])
  if 'keep' not in plan or (name == 'skip_connect' and stride == 1):
    return run
  return lambda x, w: plan['keep'].astype(x.dtype)[:, None, None, None] * run(x, w)


def _pull(operation, x, w, scale, g):
  """Cotangents of (scale, x, w) in scale * operation(x, w) for the cotangent g.

  The inner product is summed by channel first: that sum the backward pass of batch normalisation
  takes as well.
  """
  out, pull = jax.vjp(operation, x, w)
  g_x, g_w = jax.tree.map(lambda a: scale.astype(a.dtype) * a, pull(g))
  return jnp.sum(jnp.sum(out.astype(scale.dtype) * g.astype(scale.dtype), (0, 1, 2))), g_x, g_w


def _named(name, weights):
  return {f'{name}.{key}': value for key, value in weights.items()}


@functools.lru_cache(maxsize=None)
def _mixture(primitives, stride, kernels):
  """The rule of a dense edge, sum_o a_o o(x): params {'a': [O], 'w': the edge's weights}."""

  def apply(x, params, plan):
    x, = x()
    a = params['a'].astype(x.dtype)
    return sum(
        a[o] * _operation(name, stride, FORWARD[kernels], plan)(x, _weights_of(name, params['w']))
        for o, name in enumerate(primitives))

  def pullback(x, params, plan, g):
    (x,), g = x(), g()
    g_a, g_x, g_w = zip(*[
        _pull(_operation(name, stride, kernels, plan), x, _weights_of(name, params['w']),
              params['a'][o], g) for o, name in enumerate(primitives)
    ])
    named = [_named(name, w) for name, w in zip(primitives, g_w)]
    return (sum(g_x),), {'a': jnp.stack(g_a), 'w': functools.reduce(operator.or_, named)}

  return slots.Rule(apply, pullback)


@functools.lru_cache(maxsize=None)
def _choice(primitives, reduction, kernels):
  """The rule of a sampled slot, a * o(x) of the one operation that its plan's 'index' names: params
  {'a': [], 'w'}.

  A branch an operation, and in a reduction cell two: of stride 2, reading the input, then of stride
  1, reading the node. Only the branch that is taken runs, backward as well as forward.
  """
  branches = [(name, stride, part)
              for part, stride in (((0, 2), (1, 1)) if reduction else ((0, 1),))
              for name in primitives]

  def apply(x, params, plan):
    def branch(name, stride, part):
      return lambda: _operation(name, stride, FORWARD[kernels], plan)(x()[
          part], _weights_of(name, params['w']))
    out = lax.switch(plan['index'], [branch(*b) for b in branches])
    return params['a'].astype(out.dtype) * out

  def pullback(x, params, plan, g):
    def branch(name, stride, part):
      def run():
        read, w = list(x()), _weights_of(name, params['w'])
        g_a, g_x, g_w = _pull(_operation(name, stride, kernels, plan), read[part], w, params['a'],
                              g())
        zeros = jax.tree.map(jnp.zeros_like, params['w'])
        return (tuple(g_x if i == part else jnp.zeros_like(r) for i, r in enumerate(read)),
                {'a': g_a, 'w': zeros | _named(name, g_w)})
      return run
    return lax.switch(plan['index'], [branch(*b) for b in branches])

  return slots.Rule(apply, pullback)


def _accumulate(kernels):
  return slots.accumulate_plain if kernels.startswith('plain') else slots.accumulate


def _start(s0, s1, reduction):
  """(inputs, nodes) of a cell. The nodes begin with the inputs, but for a reduction's, which are of
  half the size."""
  b, h, width, c = s0.shape
  inputs = jnp.stack([s0, s1])
  if reduction:
    return inputs, jnp.zeros((STEPS, b, -(-h // 2), -(-width // 2), c), s0.dtype)
  return inputs[:0], jnp.concatenate([inputs, jnp.zeros((STEPS, *s0.shape), s0.dtype)])


def _keys(key, edge):
  """{'key': raw key data [slots, ...]} of the operations that draw, or {}."""
  return {} if key is None else {
      'key': jax.vmap(lambda e: jax.random.key_data(jax.random.fold_in(key, e)))(edge)
  }


def dense_cell(s0: jax.Array, s1: jax.Array, weights: Any, A: jax.Array, B: jax.Array, *,
               primitives: Sequence[str], reduction: bool, kernels: str = 'fast',
               key: jax.Array | None = None, edges: Sequence[int] = ALL_EDGES,
               keep: jax.Array | None = None) -> jax.Array:
  """The cell's definition: x_j = sum_i B_ij sum_o A^o_ij o(x_i), every operation computed.

  A slot an edge, in the order of their targets, so XLA compiles each operation once a stride and
  not once an edge. (tests/nets/cells/test_cell.py holds it against the sum written out.)

  Args:
    s0, s1: the two inputs [B, H, W, C].
    weights: as `weight_shapes` says.
    A: [E, O], weight of each operation; any real numbers. E edges: those of `edges`.
    B: [E], weight of each edge.
    primitives: names of the O operations.
    reduction: whether the edges from s0 and s1 have stride 2.
    kernels: a name in `kernels.KERNELS`. With 'plain' nothing has a backward rule of its own, so
      that the cell can be differentiated in forward mode; reverse mode then keeps the residuals of
      every operation.
    key: PRNG key for operations that draw (noise); may be None where none does.
    edges: numbers of the E edges that the cell has, in order; `CHAIN_EDGES`, say.
    keep: [E, B] drop-path factors, with which what an operation other than the identity gives is
      multiplied for each image; or None.

  Returns:
    [B, H', W', 4 C]: the 4 intermediate nodes side by side.
  """
  stacks = weight_shapes(primitives, s0.shape[-1], reduction, edges)
  inputs, nodes = _start(s0, s1, reduction)
  # In a reduction cell the edges that leave an input come first, as they have another stride.
  for stride in (2, 1) if reduction else (1,):
    own = tuple(e for e in edges if edge_stride(e, reduction) == stride)
    row, edge, first = np.array([edges.index(e) for e in own]), np.array(
        own, np.int32), 0 if reduction else INPUTS
    plan = {'target': jnp.asarray(_TARGET[edge] - INPUTS + first), **_keys(key, jnp.asarray(edge))}
    if stride == 2:
      plan['input'] = jnp.asarray(_SOURCE[edge])
    else:
      plan['node'] = jnp.asarray(_SOURCE[edge] - INPUTS + first)
    if keep is not None:
      plan['keep'] = keep[row]
    w = {
        n: weights[n][np.array([of.index(e) for e in own])] for n, (_, _, of) in stacks.items()
        if {*own} <= {*of}
    }
    params = {'a': B[row, None] * A[row], 'w': w}
    nodes = _accumulate(kernels)(_mixture(primitives, stride, kernels), inputs, nodes, params, plan)
  return jnp.concatenate(list(nodes[-STEPS:]), -1)


def sampled_slots(A: jax.Array, B: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
  """The 8 sampled (edge, operation) pairs of one cell type.

  Args:
    A: [E, O], one-hot rows (straight-through: hard values).
    B: [E], two ones among the edges of each node.

  Returns:
    edge int32 [8], operation int32 [8], and their weight A * B [8], through which the gradient
    flows back to the sampled entries of A and B and to no other. Slots 2 n and 2 n + 1 end in
    intermediate node n.
  """
  hard_a, hard_b = lax.stop_gradient(A), lax.stop_gradient(B)
  pairs = [
      first + lax.top_k(hard_b[jnp.array(edges)], 2)[1]
      for first, edges in zip(_FIRST_EDGE, NODE_EDGES)
  ]
  edge = jnp.sort(jnp.stack(pairs), -1).reshape(_SLOTS).astype(jnp.int32)
  operation = jnp.argmax(hard_a, -1).astype(jnp.int32)[edge]
  return edge, operation, A[edge, operation] * B[edge]


# cells of a shape: traced once
@functools.partial(jax.jit, static_argnames=('primitives', 'reduction', 'kernels'))
def single_path_cell(s0: jax.Array, s1: jax.Array, weights: Any, A: jax.Array, B: jax.Array, *,
                     primitives: Sequence[str], reduction: bool, kernels: str = 'fast',
                     key: jax.Array | None = None) -> jax.Array:
  """`dense_cell` at one-hot A and two-hot B, computing only the 8 sampled operations, forward and
  backward.

  One program serves every sample. Arguments and result are those of `dense_cell`; A and B must be
  hard (straight-through) samples. The gradient with respect to A and B is the true one at the
  sampled entries and zero elsewhere.
  """
  edge, operation, scale = sampled_slots(A, B)
  source, target = jnp.asarray(_SOURCE)[edge], jnp.repeat(jnp.arange(STEPS, dtype=jnp.int32), 2)
  if reduction:
    index = jnp.where(source < INPUTS, operation, operation + len(primitives))
    plan = {
        'target': target,
        'input': jnp.minimum(source, INPUTS - 1),
        'node': jnp.maximum(source - INPUTS, 0)
    }
  else:
    index, plan = operation, {'target': target + INPUTS, 'node': source}
  plan |= {'index': index, **_keys(key, edge)}
  place = {n: np.array([of.index(e) if e in of else 0 for e in range(len(EDGES))], np.int32)
           for n, (_, _, of) in weight_shapes(primitives, s0.shape[-1], reduction).items()}
  w = {n: v[jnp.asarray(place[n])[edge]] for n, v in weights.items()}
  inputs, nodes = _start(s0, s1, reduction)
  nodes = _accumulate(kernels)(_choice(primitives, reduction, kernels), inputs, nodes, {
      'a': scale,
      'w': w
  }, plan)
  return jnp.concatenate(list(nodes[-STEPS:]), -1)
