"""One signature for every operation, (image, magnitude, key) -> image, of functions that take
less."""

from collections.abc import Callable
import functools

import chex
import jax
import jax.numpy as jnp

from daas_jax.arrays import wide_type


def random_sign(magnitude: chex.Array, key: chex.PRNGKey) -> chex.Array:
  """`magnitude` [] or -`magnitude`, each with probability 1/2: what a `signed` operation does with
  its key."""
  return jnp.where(jax.random.bernoulli(key), magnitude, -magnitude)


def signed(fn: Callable) -> Callable:
  """Of fn(image, magnitude), whose sign the key draws."""
  @functools.wraps(fn)
  def keyed(image, magnitude, key):
    return fn(image, random_sign(jnp.asarray(magnitude, wide_type(image.dtype)), key))

  return keyed


def no_key(fn: Callable) -> Callable:
  """Of fn(image, magnitude)."""
  @functools.wraps(fn)
  def keyed(image, magnitude, key):
    del key
    return fn(image, jnp.asarray(magnitude, wide_type(image.dtype)))

  return keyed


def no_magnitude(fn: Callable) -> Callable:
  """Of fn(image)."""
  @functools.wraps(fn)
  def keyed(image, magnitude, key):
    del magnitude, key
    return fn(image)

  return keyed
