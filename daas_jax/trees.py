"""Linear algebra of pytrees: the vectors of the papers' equations are pytrees of arrays here."""

from typing import Any

import jax
import jax.numpy as jnp

from daas_jax.arrays import wide


def dot(a: Any, b: Any) -> Any:
  """<a, b>: the sum of elementwise products of two pytrees of one structure, a scalar [].

  Accumulated in float32 or wider.
  """
  return sum(jax.tree.leaves(jax.tree.map(lambda x, y: jnp.sum(wide(x) * wide(y)), a, b)))


def axpy(scalar: Any, x: Any, y: Any) -> Any:
  """scalar * x + y, leaf by leaf."""
  return jax.tree.map(lambda a, b: scalar * a + b, x, y)


def scale(scalar: Any, x: Any) -> Any:
  """scalar * x, leaf by leaf."""
  return jax.tree.map(lambda a: scalar * a, x)


def norm(x: Any) -> jax.Array:
  """Euclidean norm of a pytree, a scalar []."""
  return jnp.sqrt(dot(x, x))


def select(condition: Any, x: Any, y: Any) -> Any:
  """x where the scalar condition holds, else y, leaf by leaf (PRNG keys included)."""
  return jax.tree.map(lambda a, b: jnp.where(condition, a, b), x, y)


def mean(x: Any) -> Any:
  """Mean over the leading axis of every leaf."""
  return jax.tree.map(lambda a: jnp.mean(a, 0), x)


def pmean(x: Any, axis: str | None) -> Any:
  """Mean over the devices of a pmapped axis, leaf by leaf; x itself where axis is None (one
  device)."""
  return x if axis is None else jax.lax.pmean(x, axis)


def psum(x: Any, axis: str | None) -> Any:
  """Sum over the devices of a pmapped axis, leaf by leaf; x itself where axis is None (one
  device)."""
  return x if axis is None else jax.lax.psum(x, axis)


def all_gather(x: jax.Array, axis: str | None) -> jax.Array:
  """Every device's x, stacked in front [devices, ...]; [1, ...] where axis is None."""
  return x[None] if axis is None else jax.lax.all_gather(x, axis)


def device_index(axis: str | None) -> Any:
  """This device's number along a pmapped axis []; 0 where axis is None."""
  return 0 if axis is None else jax.lax.axis_index(axis)


def strongly_typed(x: Any) -> Any:
  """x without JAX's weak types, leaf by leaf: a state that starts weak makes its step compile a
  second time."""
  return jax.tree.map(
      lambda a: a
      if jax.dtypes.issubdtype(a.dtype, jax.dtypes.prng_key) else jnp.asarray(a, a.dtype), x)
