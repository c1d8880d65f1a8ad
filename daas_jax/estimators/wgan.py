"""Wasserstein distance by a critic with gradient penalty, WGAN-GP (Gulrajani et al. 2017, Eq. 3 and
Alg. 1)."""

from collections.abc import Callable

import chex
import jax
import jax.numpy as jnp


def critic_loss(real: jax.Array, fake: jax.Array) -> jax.Array:
  """E[D(fake)] - E[D(real)], []: what the critic minimises; minus the distance that it estimates.

  Args:
    real, fake: the critic's values, any shape.
  """
  return jnp.mean(fake) - jnp.mean(real)


def interpolate(eps: jax.Array, real: jax.Array, fake: jax.Array) -> jax.Array:
  """x_hat = eps x + (1 - eps) x', one eps an image.

  Args:
    eps: [B], in [0, 1].
    real, fake: x and x', [B, ...].
  """
  chex.assert_equal_shape([real, fake])
  chex.assert_shape(eps, real.shape[:1])
  eps = jnp.reshape(eps, eps.shape + (1,) * (real.ndim - 1)).astype(real.dtype)
  return eps * real + (1 - eps) * fake


def gradient_penalty(critic: Callable, x_hat: jax.Array, weight: float = 10.0) -> jax.Array:
  """weight * E[(||grad D(x_hat)||_2 - 1)^2], []; differentiable in what `critic` is made of.

  The norm is over the whole image, all axes but the first. (The public Faster AutoAugment code has
  it over the channels alone, and asks for a gradient of norm 1 in every pixel.)

  Args:
    critic: x [B, ...] -> values [B]. One that normalises over the batch ties its images together:
      an image's gradient is then that of the sum of all values, as in the public code.
    x_hat: [B, ...], see `interpolate`.
    weight: lambda.
  """
  g = jax.grad(lambda x: jnp.sum(critic(x)))(x_hat)
  squares = jnp.sum(jnp.square(g), tuple(range(1, g.ndim)))
  # The derivative of the norm at a gradient of zero is taken to be zero: sqrt would make it NaN.
  norm = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
  return weight * jnp.mean(jnp.square(norm - 1))
