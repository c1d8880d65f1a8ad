"""Colour jitter, against Pillow's ImageEnhance, of which torchvision's ColorJitter is made."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
from PIL import ImageEnhance

from daas_jax.augment import jitter

ENHANCE = ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color


def _images(n, channels=3):
  return np.random.default_rng(0).integers(0, 256, (n, 9, 7, channels), np.uint8)


def test_an_image_is_one_that_torchvision_could_have_made():
  """By the factors that were drawn, in one of the six orders (some of which give nearly the same); not always in one."""
  images, seen = _images(24), set()
  found = np.asarray(jitter.color_jitter(jnp.asarray(images, jnp.float32) / 255, jax.random.key(0), 0.4))
  assert 0 <= found.min() and found.max() <= 1
  for key, image, ours in zip(jax.random.split(jax.random.key(0), 24), images, found):
    factors = np.asarray(jax.random.uniform(jax.random.split(key)[0], (3,), jnp.float32, 0.6, 1.4))
    orders = []
    for order in itertools.permutations(range(3)):
      theirs = PIL.Image.fromarray(image)
      for i in order:
        theirs = ENHANCE[i](theirs).enhance(float(factors[i]))
      if np.abs(np.asarray(theirs) - 255 * ours).max() < 4:  # Pillow rounds three times
        orders.append(order)
    assert orders
    seen.add(tuple(orders))
  assert not set.intersection(*map(set, seen))


def test_no_strength_changes_nothing_and_grey_images_are_taken():
  images = jnp.asarray(_images(3, 1), jnp.float32) / 255
  np.testing.assert_allclose(jitter.color_jitter(images, jax.random.key(0), 0.0), images, atol=1e-6)
  changed = jax.jit(lambda x: jitter.color_jitter(x, jax.random.key(1), 0.4))(images.astype(jnp.bfloat16))
  assert changed.shape == images.shape and changed.dtype == jnp.bfloat16 and float(changed.max()) <= 1
