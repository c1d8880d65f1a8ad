"""Crop, flip, Cutout and resizing against NumPy and Pillow, and the distribution of what they draw."""

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

from daas_jax.augment import preprocess


@pytest.fixture(name='images', scope='module')
def images_fixture():
  return np.random.default_rng(0).uniform(0.1, 1, (200, 6, 9, 3)).astype(np.float32)


def test_to_float_and_normalise():
  raw = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
  images = preprocess.to_float(jnp.asarray(raw))
  assert images.dtype == jnp.float32
  np.testing.assert_allclose(images, raw / 255, atol=1e-7)
  mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
  np.testing.assert_allclose(preprocess.normalise(images, mean, std), (raw / 255 - mean) / std, atol=2e-6)
  assert preprocess.to_float(raw, jnp.bfloat16).dtype == jnp.bfloat16
  with pytest.raises(TypeError, match='^to_float takes uint8 images, got float32$'):
    preprocess.to_float(images)
  for wrong in (lambda: preprocess.normalise(raw, mean, std), lambda: preprocess.resize_center_crop(raw, 8, 8),
                lambda: preprocess.random_resized_crop(raw, jax.random.key(0), 8)):
    with pytest.raises(TypeError, match='^images must be floating here, got uint8'):
      wrong()


GOOD = np.full((2, 3, 4, 3), 0.5, np.float32)


@pytest.mark.parametrize('images, kind, words', [
    (GOOD.astype(np.int32), TypeError, 'got int32'), (GOOD.astype(np.uint16), TypeError, 'got uint16'),
    (GOOD > 1, TypeError, 'got bool'), (GOOD.astype(np.uint8), TypeError, 'to_float makes them of uint8'),
    (GOOD * 255, ValueError, r'in \[0, 1\], got 127.5 to 127.5; divide by 255'), (GOOD - 1, ValueError, 'got -0.5'),
    (jnp.asarray(GOOD * 4, jnp.bfloat16), ValueError, 'got 2 to 2'), (GOOD * np.nan, ValueError, 'got nan'),
    (GOOD[0], ValueError, r'\[B, H, W, C\]'), (GOOD[..., :2], ValueError, 'C = 1 or 3'), (GOOD[:, :0], ValueError, 'B, H')])
def test_images_of_another_type_shape_or_range_are_refused(images, kind, words):
  with pytest.raises(kind, match=words):
    preprocess.check(images)


def test_good_images_pass_and_values_are_looked_at_where_there_are_any():
  for good in (GOOD, GOOD[:0], GOOD.astype(float), jnp.asarray(GOOD, jnp.bfloat16), GOOD * 2.01):
    assert preprocess.check(good).shape == np.shape(good)
  assert preprocess.check(GOOD.astype(np.uint8), uint8=True).dtype == np.uint8
  jax.eval_shape(preprocess.check, GOOD * 255)
  with pytest.raises(ValueError, match=r'must be \[B, 3, 4, 1\]'):
    preprocess.check(GOOD, shape=(3, 4, 1))


def test_boxes_of_half_precision_images_are_those_of_float32():
  images = jax.random.uniform(jax.random.key(0), (3, 300, 290, 1))
  for crop in (lambda x: preprocess.random_resized_crop(x, jax.random.key(1), 96),
               lambda x: preprocess.resize_center_crop(x, 64, 90)):
    out = jax.jit(crop)(images.astype(jnp.bfloat16))
    assert out.dtype == jnp.bfloat16
    wanted = jax.jit(crop)(images.astype(jnp.bfloat16).astype(jnp.float32))
    np.testing.assert_allclose(out.astype(jnp.float32), wanted, atol=2**-8)


@pytest.mark.parametrize('raw', [False, True])
def test_random_crop(images, raw):
  key = jax.random.PRNGKey(1) if raw else jax.random.key(1)
  crops = np.asarray(jax.jit(preprocess.random_crop, static_argnames='padding')(images, key, padding=2))
  counts = np.zeros((5, 5), int)
  for image, crop in zip(images, crops):
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)))
    match = [(y, x) for y in range(5) for x in range(5) if np.array_equal(padded[y:y + 6, x:x + 9], crop)]
    assert len(match) == 1
    counts[match[0]] += 1
  # 200 draws of 5 places on each axis: 40 +- 4 standard deviations of 5.7.
  assert np.all(np.abs(counts.sum(0) - 40) < 23) and np.all(np.abs(counts.sum(1) - 40) < 23)


def test_random_flip(images):
  flips = np.asarray(jax.jit(preprocess.random_flip)(images, jax.random.key(2)))
  flipped = np.array([np.array_equal(out, image[:, ::-1]) for out, image in zip(flips, images)])
  same = np.array([np.array_equal(out, image) for out, image in zip(flips, images)])
  assert np.all(flipped ^ same)
  assert 72 <= flipped.sum() <= 128  # four standard deviations


@pytest.mark.parametrize('size', [0, 3, 4, 20])
def test_cutout(images, size):
  """Each result is the square around one pixel, as DARTS cuts it, and nearly every pixel gets its turn."""
  outs = np.asarray(jax.jit(preprocess.cutout, static_argnames='size')(images, jax.random.key(3), size=size))
  squares = {}
  for y in range(6):
    for x in range(9):
      mask = np.ones((6, 9, 1), np.float32)
      first_y, first_x = y - size // 2, x - size // 2
      mask[max(first_y, 0):max(first_y + size, 0), max(first_x, 0):max(first_x + size, 0)] = 0
      squares.setdefault(mask.tobytes(), set()).add((y, x))
  drawn = {(out != 0).any(-1, keepdims=True).astype(np.float32).tobytes() for out in outs}
  assert drawn <= set(squares)
  assert len(drawn) >= 0.8 * len(squares)  # 200 draws of 54 places miss 2.4 % of them on average
  kept = (outs != 0).any(-1, keepdims=True)
  np.testing.assert_array_equal(outs, images * kept)


def _pillow_resize(image, size, box=None):
  """Each channel in Pillow's float mode, which does not round; `size` (width, height)."""
  channels = [Image.fromarray(image[..., c]).resize(size, Image.Resampling.BILINEAR, box)
              for c in range(image.shape[-1])]
  return np.stack([np.asarray(c) for c in channels], axis=-1)


def test_random_resized_crop():
  images = np.random.default_rng(1).uniform(size=(12, 20, 26, 3)).astype(np.float32)
  key = jax.random.key(4)
  draw = jax.jit(jax.vmap(lambda key: preprocess.random_box(key, 20, 26, (0.08, 1.), (3 / 4, 4 / 3))))
  boxes = np.asarray(draw(jax.random.split(key, 12)))
  for size in (5, 24):  # smaller than most boxes, and larger
    outs = np.asarray(jax.jit(preprocess.random_resized_crop, static_argnums=2)(images, key, size))
    assert outs.shape == (12, size, size, 3) and outs.dtype == np.float32
    for image, out, (top, left, height, width) in zip(images, outs, boxes):
      wanted = _pillow_resize(image, (size, size), (left, top, left + width, top + height))
      np.testing.assert_allclose(out, wanted, atol=2e-5)


def _numpy_box(rng, height, width):
  """The box as torchvision draws it: one candidate after the other; None where ten do not fit."""
  for _ in range(10):
    area = height * width * rng.uniform(0.08, 1)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
    if 0 < w <= width and 0 < h <= height:
      return rng.integers(0, height - h + 1), rng.integers(0, width - w + 1), h, w
  return None


def test_random_box_is_distributed_as_torchvision_draws_it():
  draws = 2000
  draw = jax.jit(jax.vmap(lambda key: preprocess.random_box(key, 200, 300, (0.08, 1.), (3 / 4, 4 / 3))))
  boxes = np.asarray(draw(jax.random.split(jax.random.key(5), draws)))
  assert np.all((boxes[:, :2] >= 0) & (boxes[:, :2] + boxes[:, 2:] <= [200, 300]))
  rng = np.random.default_rng(3)
  wanted = np.array([_numpy_box(rng, 200, 300) for _ in range(draws)])
  features = [(top, left, height * width, width / height) for top, left, height, width in (boxes.T, wanted.T)]
  for one, other in zip(*features):
    grid = np.sort(np.concatenate([one, other]))
    cdf, other_cdf = (np.searchsorted(np.sort(v), grid, side='right') / draws for v in (one, other))
    # Kolmogorov-Smirnov for two samples, at one in a thousand.
    assert np.abs(cdf - other_cdf).max() < 1.95 * np.sqrt(2 / draws)


def test_random_box_reaches_every_place():
  draw = jax.jit(jax.vmap(lambda key: preprocess.random_box(key, 4, 5, (0.2, 0.22), (1., 1.))))
  boxes = np.asarray(draw(jax.random.split(jax.random.key(6), 400)))
  counts = np.zeros((3, 4), int)
  np.add.at(counts, (boxes[:, 0], boxes[:, 1]), 1)
  np.testing.assert_array_equal(boxes[:, 2:], 2)
  assert np.all(np.abs(counts - 400 / 12) < 4 * np.sqrt(400 / 12))


def test_random_box_without_a_fit_is_central():
  box = preprocess.random_box(jax.random.key(0), 8, 40, (0.9, 1.), (3 / 4, 4 / 3))
  np.testing.assert_array_equal(box, [0, 14, 8, 11])
  box = preprocess.random_box(jax.random.key(0), 40, 8, (0.9, 1.), (3 / 4, 4 / 3))
  np.testing.assert_array_equal(box, [14, 0, 11, 8])


def test_resize_center_crop():
  images = np.random.default_rng(2).uniform(size=(2, 20, 30, 3)).astype(np.float32)
  outs = preprocess.resize_center_crop(jnp.asarray(images), 8, 12)
  for image, out in zip(images, outs):
    np.testing.assert_allclose(out, _pillow_resize(image, (18, 12))[2:10, 5:13], atol=2e-5)
  with pytest.raises(ValueError, match='^size must be at most resize, got size 9 and resize 8$'):
    preprocess.resize_center_crop(images, 9, 8)
