"""The dense cell written out, operation by operation: the definition that the library's scans are held against."""

import functools

import jax
import jax.numpy as jnp

from daas_jax.nets.cells import cell as cells
from daas_jax.nets.kernels import KERNELS
from daas_jax.nets.cells.primitives import PRIMITIVES


@functools.partial(jax.jit, static_argnames=('name', 'stride'))
def _apply(x, w, key, *, name, stride):
  """One operation as a program of its own, traced once for all the edges that share its shapes."""
  return PRIMITIVES[name].apply(x, w, stride, key, KERNELS['plain'])


def dense_cell(s0, s1, weights, A, B, *, primitives, reduction, key=None, edges=cells.ALL_EDGES, keep=None):
  """x_j = sum_i B_ij sum_o A^o_ij o(x_i); arguments and result of `cells.dense_cell`, plain kernels."""
  stacks = cells.weight_shapes(primitives, s0.shape[-1], reduction, edges)
  nodes = [s0, s1]
  for incoming in cells.NODE_EDGES:
    total = 0.0
    for e in sorted({*incoming} & {*edges}):
      row = edges.index(e)
      x, stride = nodes[cells.EDGES[e][0]], cells.edge_stride(e, reduction)
      edge_key = None if key is None else jax.random.fold_in(key, e)
      for o, name in enumerate(primitives):
        w = {n.split('.')[1]: v[stacks[n][2].index(e)] for n, v in weights.items()
             if n.split('.')[0] == name and e in stacks[n][2]}
        out = _apply(x, w, edge_key, name=name, stride=stride)
        if keep is not None and (name != 'skip_connect' or stride == 2):
          out = keep[row][:, None, None, None] * out
        total += B[row] * A[row, o] * out
    nodes.append(total)
  return jnp.concatenate(nodes[cells.INPUTS:], -1)
