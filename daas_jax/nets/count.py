"""How much a network computes, read off the program that it is."""

from collections.abc import Mapping
import math
from typing import Any

import jax
from jax.extend import core
import jax.numpy as jnp

AUXILIARY = 'auxiliary'
"""Every variable of an auxiliary head is called so."""


def parameters(params: Mapping[str, Any], auxiliary: bool = False) -> int:
  """Number of weights.

  Args:
    params: the 'params' of a DerivedNet, arrays or shapes.
    auxiliary: whether to count the auxiliary head, which papers leave out.

  Returns:
    int.
  """
  counted = {n: p for n, p in params.items() if auxiliary or not n.startswith(AUXILIARY)}
  return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(counted))


def multiply_adds(net: Any, image_shape: tuple) -> int:
  """Multiply-adds of all convolutions and linear layers for one image: what the DARTS paper calls
  FLOPs.

  Of the evaluation: without the auxiliary head. Padding is counted as if it were image, additions
  of biases, batch normalisation and pooling are not counted.

  Args:
    net: a linen module with the call (images, train) and an attribute `kernels`.
    image_shape: (H, W, C).

  Returns:
    int.
  """
  net = net.clone(kernels='counted') if hasattr(net, 'kernels') else net
  images = jnp.zeros((1, *image_shape))
  variables = jax.eval_shape(lambda: net.init(jax.random.key(0), images, False))
  return _of(jax.make_jaxpr(lambda v: net.apply(v, images, False)[0])(variables).jaxpr)


def _of(jaxpr):
  return sum(_of_equation(e) for e in jaxpr.eqns)


def _of_equation(e):
  """Multiply-adds of one equation, those of the programs inside it included."""
  name, out = e.primitive.name, math.prod(e.outvars[0].aval.shape) if e.outvars else 0
  if name == 'dot_general':
    (contracted, _), _ = e.params['dimension_numbers']
    return out * math.prod(e.invars[0].aval.shape[axis] for axis in contracted)
  if name == 'conv_general_dilated':
    kernel = e.invars[1].aval.shape  # its input channels are those of one group
    return out * math.prod(kernel) // kernel[e.params['dimension_numbers'].rhs_spec[0]]
  inside = [_of(p) for p in _programs(e.params.values())]
  if name == 'cond':  # one branch is taken
    return max(inside)
  return (e.params['length'] if name == 'scan' else 1) * sum(inside)


def _programs(values):
  for value in values:
    if isinstance(value, core.ClosedJaxpr):
      yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
      yield value
    elif isinstance(value, (tuple, list)):
      yield from _programs(value)
