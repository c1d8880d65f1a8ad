"""Colours changed at random, as in ImageNet's training images (torchvision's ColorJitter)."""

import chex
import jax
import jax.numpy as jnp

from daas_jax.augment import ops

_CHANGES = ops.brightness, ops.contrast, ops.color


def color_jitter(images: chex.Array, key: chex.PRNGKey, strength: float) -> chex.Array:
  """Brightness, contrast and colour of each image changed, in an order of its own.

  Args:
    images: [B, H, W, C], float in [0, 1].
    key: PRNG key.
    strength: in [0, 1]: each factor is uniform in [1 - strength, 1 + strength].

  Returns:
    [B, H, W, C], of the dtype of `images`.
  """

  def one(image, key):
    key_factors, key_order = jax.random.split(key)
    factors = jax.random.uniform(key_factors, (len(_CHANGES),), jnp.float32, 1 - strength,
                                 1 + strength)
    for i in jax.random.permutation(key_order, len(_CHANGES)):
      image = jax.lax.switch(i, [lambda image, change=change, factor=factors[n]: change(
          image, factor.astype(image.dtype)) for n, change in enumerate(_CHANGES)], image)
    return image

  return jax.vmap(one)(images, jax.random.split(key, images.shape[0]))
