"""The camera against Pillow's bilinear rotation in floating point, a product and whole pixels."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from daas_jax.augment import camera, ops

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (24, 28, 28, 1), np.uint8)


def drawn(seed, i):
  """(degrees, (pixels down, pixels to the right)) of image i."""
  angle, direction = jax.random.split(jax.random.fold_in(jax.random.key(seed), i))
  where = int(jax.random.randint(direction, (), 0, 4))
  return float(jax.random.uniform(angle, (), jnp.float32, -25, 25)), [(0, -3), (0, 3), (-3, 0), (3, 0)][where]


def by_hand(image, degrees, moved):
  turned = Image.fromarray(image[..., 0].astype(np.float32)).rotate(degrees, Image.Resampling.BILINEAR)
  wide = np.pad(0.6 * np.asarray(turned), 3)
  return wide[3 - moved[0]:31 - moved[0], 3 - moved[1]:31 - moved[1], None]


def test_photographs_are_turned_darkened_and_moved():
  found = camera.photographs(IMAGES, 7)
  draws = [drawn(7, i) for i in range(len(IMAGES))]
  expected = np.stack([by_hand(image, *draw) for image, draw in zip(IMAGES, draws)])
  assert found.dtype == np.uint8 and found.shape == IMAGES.shape
  assert np.abs(found - expected).max() < 0.51  # half a level of rounding
  assert {moved for _, moved in draws} == {(0, -3), (0, 3), (-3, 0), (3, 0)}


def test_its_faults_are_within_the_range_of_a_policy():
  for name, value in (('Rotate', camera.ROTATION), ('Brightness', camera.BRIGHTNESS), ('TranslateX', camera.SHIFT),
                      ('TranslateY', camera.SHIFT)):
    assert ops.OPS[name].low < value < ops.OPS[name].high


def test_a_photograph_depends_on_image_seed_and_place_alone():
  found = camera.photographs(IMAGES, 0)
  assert np.array_equal(found, camera.photographs(IMAGES, 0))
  assert np.array_equal(found[:5], camera.photographs(IMAGES[:5], 0))
  assert not np.array_equal(found, camera.photographs(IMAGES, 1))
  assert not np.array_equal(found[0], camera.photographs(IMAGES[[1, 0]], 0)[1])
  assert camera.photographs(IMAGES[:0], 0).shape == (0, 28, 28, 1)


def test_more_images_than_are_taken_at_once(monkeypatch):
  whole = camera.photographs(IMAGES, 0)
  monkeypatch.setattr(camera, '_AT_ONCE', 10)
  assert np.array_equal(whole, camera.photographs(IMAGES, 0))


@pytest.mark.parametrize('dtype', (jnp.float32, jnp.bfloat16))
def test_as_an_augmentation_it_draws_for_every_image(dtype):
  images = jnp.broadcast_to(jnp.asarray(IMAGES[:1], dtype) / 255, (6, 28, 28, 1))
  found = camera.augment(jax.random.key(0), images)
  assert found.dtype == dtype and found.shape == images.shape
  assert len({np.asarray(image, np.float32).tobytes() for image in found}) == 6
  if dtype == jnp.float32:
    levels = np.asarray(jnp.round(found * 255))
    assert np.array_equal(levels, camera.photographs(np.repeat(IMAGES[:1], 6, 0), 0))
