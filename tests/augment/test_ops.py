"""Every row of OPS at every level against Pillow, and what Pillow cannot say: dtypes, keys, derivatives."""

import functools
import re
from typing import Callable, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageOps
import pytest

from daas_jax.augment import geometry, ops as ops_lib
from daas_jax.augment.ops import DAAS_OPS, magnitude, OPS

HEIGHT, WIDTH = 24, 32
STRENGTHS = np.arange(10) / 9
BOTH_SIGNS = np.linspace(-1, 1, 10)
# float32 rounding of coordinates near 32 moves a value by less than this many levels of 255.
ROUNDING = 0.01
GREY = (125, 123, 114)


def _affine(img, *coefficients):
  return img.transform(img.size, Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR)


def _box(img, fraction, centre):
  if fraction <= 0:
    return img
  side, (y, x) = fraction * img.size[0], centre
  first_x, first_y = int(np.floor(x - side / 2)), int(np.floor(y - side / 2))
  img = img.copy()
  fill = GREY if img.mode == 'RGB' else round(np.mean(GREY))
  last_x, last_y = first_x + int(side), first_y + int(side)
  if min(last_x, last_y) >= 0:
    ImageDraw.Draw(img).rectangle((max(first_x, 0), max(first_y, 0), last_x, last_y), fill)
  return img


class Row(NamedTuple):
  """How Pillow does it, and by how many levels of 255 the float result may differ."""
  pillow: Callable
  tolerance: float
  reason: str
  fn: Callable | None = None  # the deterministic function, where the row of OPS draws something


TRUNCATES = "Pillow's bilinear filter and blends truncate to whole levels, less than one"
ROUNDS = "Pillow's filters round to whole levels"
EXACT = 'a table over 256 levels, or pixels moved as they are'
REFERENCE = {
    'ShearX': Row(lambda i, v, _: _affine(i, 1, v, 0, 0, 1, 0), 1, TRUNCATES, geometry.shear_x),
    'ShearY': Row(lambda i, v, _: _affine(i, 1, 0, 0, v, 1, 0), 1, TRUNCATES, geometry.shear_y),
    'TranslateX': Row(lambda i, v, _: _affine(i, 1, 0, v * WIDTH, 0, 1, 0), 1, TRUNCATES,
                      geometry.translate_x),
    'TranslateY': Row(lambda i, v, _: _affine(i, 1, 0, 0, 0, 1, v * HEIGHT), 1, TRUNCATES,
                      geometry.translate_y),
    'Rotate': Row(lambda i, v, _: i.rotate(v, Image.Resampling.BILINEAR), 1, TRUNCATES, geometry.rotate),
    'AutoContrast': Row(lambda i, v, _: ImageOps.autocontrast(i), 1,
                        '0.4 % of the entries of its tables are whole numbers that fall short in double'),
    'Invert': Row(lambda i, v, _: ImageOps.invert(i), 0, EXACT),
    'Equalize': Row(lambda i, v, _: ImageOps.equalize(i), 0, EXACT),
    'Solarize': Row(lambda i, v, _: ImageOps.solarize(i, v), 0, EXACT),
    'Posterize': Row(lambda i, v, _: ImageOps.posterize(i, int(v)), 0, EXACT),
    'Contrast': Row(lambda i, v, _: ImageEnhance.Contrast(i).enhance(v), 1 + 0.9 * (0.5 + 0.5 + 0.03),
                    'truncation, and 0.9 of: grey and its mean rounded to levels, weights of four digits'),
    'Color': Row(lambda i, v, _: ImageEnhance.Color(i).enhance(v), 1 + 0.9 * (0.5 + 0.03),
                 'truncation, and 0.9 of: grey rounded to levels, weights of four digits'),
    'Brightness': Row(lambda i, v, _: ImageEnhance.Brightness(i).enhance(v), 1, TRUNCATES),
    'Sharpness': Row(lambda i, v, _: ImageEnhance.Sharpness(i).enhance(v), 1 + 0.9 * 0.5,
                     'truncation, and 0.9 of: the smoothed image rounded to levels'),
    'Cutout': Row(_box, 1 / 3, "for C = 1 the mean grey is 120 2/3, Pillow's fill 121", ops_lib.cutout),
    'Identity': Row(lambda i, v, _: i, 0, EXACT),
    'HorizontalFlip': Row(lambda i, v, _: ImageOps.mirror(i), 0, EXACT),
    'SamplePairing': Row(Image.blend, 1, TRUNCATES, ops_lib.sample_pairing),
    'Rotate90': Row(lambda i, v, _: i.rotate(90), 0, EXACT),
    'VerticalFlip': Row(lambda i, v, _: ImageOps.flip(i), 0, EXACT),
    'Blur': Row(lambda i, v, _: i.filter(ImageFilter.BLUR), 0.5, ROUNDS),
    'Smooth': Row(lambda i, v, _: i.filter(ImageFilter.SMOOTH), 0.5, ROUNDS),
}


def _images(channels):
  """[5, HEIGHT, WIDTH, C] uint8: noise, smooth, constant, few levels, a narrow range."""
  rng = np.random.default_rng(0)
  shape = (HEIGHT, WIDTH, channels)
  y, x, c = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing='ij')
  smooth = 255 * (0.5 + 0.5 * np.sin(3 * x + 2 * y + c))
  return np.stack([rng.integers(0, 256, shape), smooth, np.broadcast_to([200, 90, 17][:channels], shape),
                   rng.choice([3, 64, 65, 201], shape, p=[0.6, 0.2, 0.1, 0.1]),
                   rng.integers(71, 140, shape)]).astype(np.uint8)


# For each image what else the operation needs: Cutout's centre (y, x), among them all four borders.
CENTRES = np.array([[12.4, 15.7], [0.3, 0.9], [23.8, 31.6], [2.6, 20.2], [17.1, 0.2]], np.float32)


def magnitudes(name):
  """[10]: every level, and of an operation with a random sign some of either sign."""
  return np.asarray(magnitude(name, BOTH_SIGNS if OPS[name].signed else STRENGTHS))


def _deterministic(name):
  row, extra = OPS[name], name in ('Cutout', 'SamplePairing')
  fn = REFERENCE[name].fn or (lambda image, value: row.fn(image, value, jax.random.key(0)))
  return fn if extra else lambda image, value, _: fn(image, value)


@functools.cache
def _results(name, channels):
  """[10, 6, H, W, C]: every level on the five images, and on one whose values are no multiples of 1/255."""
  images = _images(channels).astype(np.float32) / 255
  free = np.random.default_rng(1).uniform(size=(1,) + images.shape[1:]).astype(np.float32)
  free[0, :4] = np.round(free[0, :4])
  images = np.concatenate([images, free])
  extra = np.roll(images, 1, 0) if name == 'SamplePairing' else CENTRES[[0, 1, 2, 3, 4, 0]]
  levels = jnp.asarray(magnitudes(name), jnp.float32)
  over_images = jax.vmap(_deterministic(name), in_axes=(0, None, 0))
  return np.asarray(jax.jit(jax.vmap(over_images, in_axes=(None, 0, None)))(images, levels, extra))


def test_table_is_complete():
  missing = set(OPS) ^ set(REFERENCE)
  assert not missing, f'rows of OPS and of REFERENCE differ: {missing}'
  assert all(key == row.name and row.low < row.high for key, row in OPS.items())
  assert DAAS_OPS == ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'AutoContrast', 'Invert',
                      'Equalize', 'Solarize', 'Posterize', 'Contrast', 'Color', 'Brightness', 'Sharpness',
                      'Cutout')


@pytest.mark.parametrize('channels', [3, 1])
@pytest.mark.parametrize('name', OPS)
def test_matches_pillow(name, channels):
  images = [Image.fromarray(i if channels == 3 else i[..., 0]) for i in _images(channels)]
  tolerance = REFERENCE[name].tolerance + ROUNDING
  for level, result in enumerate(_results(name, channels)):
    value = float(magnitudes(name)[level])
    for index, image in enumerate(images):
      if name == 'SamplePairing':
        # Index 0 is paired with the image that Pillow cannot hold; that pair is checked by its range alone.
        if index == 0:
          continue
        wanted = REFERENCE[name].pillow(image, images[index - 1], value)
      else:
        wanted = REFERENCE[name].pillow(image, value, CENTRES[index])
      difference = np.abs(255 * result[index] - np.asarray(wanted, np.float32).reshape(result[index].shape))
      assert difference.max() <= tolerance, (level, index, difference.max())


@pytest.mark.parametrize('channels', [3, 1])
@pytest.mark.parametrize('name', OPS)
def test_stays_in_range(name, channels):
  result = _results(name, channels)
  assert result.dtype == np.float32 and np.isfinite(result).all()
  assert result.min() >= 0 and result.max() <= 1


def test_solarize_inverts_the_threshold_itself():
  levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
  run = jax.jit(jax.vmap(ops_lib.solarize, in_axes=(None, 0)))
  results = run(jnp.asarray(levels[..., None] / 255, jnp.float32), jnp.arange(257, dtype=jnp.float32))
  for threshold, result in enumerate(np.asarray(results)[..., 0]):
    wanted = np.asarray(ImageOps.solarize(Image.fromarray(levels), threshold))
    np.testing.assert_allclose(255 * result, wanted, atol=ROUNDING)


@pytest.mark.parametrize('name', ['AutoContrast', 'Equalize', 'Posterize'])
def test_bins_are_rounded_levels(name):
  image = jnp.asarray(np.random.default_rng(2).uniform(0.1, 0.9, (HEIGHT, WIDTH, 3)), jnp.float32)
  run = jax.jit(lambda image: OPS[name].fn(image, 5., None))
  np.testing.assert_array_equal(run(image), run(jnp.round(image * 255) / 255))


@pytest.mark.parametrize('name', OPS)
def test_keeps_shape_and_dtype(name):
  with jax.enable_x64(True):
    for dtype in (jnp.float32, jnp.float64):
      for shape in ((5, 8, 3), (8, 5, 1), (2, 2, 3)):
        image = jax.ShapeDtypeStruct(shape, dtype)
        pair = (image,) * OPS[name].pairs
        for key in (jax.random.key(0), jax.random.PRNGKey(0)):
          out = jax.eval_shape(OPS[name].fn, image, jax.ShapeDtypeStruct((), jnp.float32), key, *pair)
          assert out.shape == shape and out.dtype == dtype


@pytest.mark.parametrize('name', [name for name, row in OPS.items() if row.signed])
def test_keyed_twin_draws_both_signs(name):
  image, value = jnp.asarray(_images(1)[0] / 255, jnp.float32), jnp.float32(0.7 * OPS[name].high)
  keys = jax.random.split(jax.random.key(3), 100)
  drawn = jax.jit(jax.vmap(lambda key: OPS[name].fn(image, value, key)))(keys)
  fixed = jax.jit(jax.vmap(lambda value: REFERENCE[name].fn(image, value)))(jnp.stack([value, -value]))
  positive, negative = (np.abs(drawn - one).max(axis=(1, 2, 3)) < 1e-6 for one in fixed)
  assert np.all(positive ^ negative)
  assert 30 <= positive.sum() <= 70  # four standard deviations


def test_unsigned_rows_need_no_key():
  image = jax.ShapeDtypeStruct((HEIGHT, WIDTH, 3), jnp.float32)
  for name, row in OPS.items():
    if not row.signed and name != 'Cutout':
      jax.eval_shape(lambda image, *pair: row.fn(image, row.high, None, *pair), image, *(image,) * row.pairs)


def test_cutout_box_and_place():
  """A box of 7 = int(0.2 * 32) + 1 pixels with a uniform centre: clipped boxes come at their due rate."""
  draws, side, length = 4000, 7, 32
  keys = jax.random.split(jax.random.key(4), draws)
  image = jnp.ones((length, length, 1), jnp.float32)
  holes = np.asarray(jax.jit(jax.vmap(lambda key: OPS['Cutout'].fn(image, 0.2, key)))(keys))[..., 0] < 1
  rows, columns = holes.any(2), holes.any(1)
  np.testing.assert_array_equal(holes, rows[:, :, None] & columns[:, None, :])
  # first = floor(c - 3.2), c uniform in [0, 32): its probabilities, and those of covering each pixel.
  first = np.floor((np.arange(320000) + 0.5) / 10000 - 3.2)
  covered = np.array([np.mean((first <= p) & (p < first + side)) for p in range(length)])
  for marginal in (rows, columns):
    assert marginal.sum(1).max() == side
    assert np.all(np.abs(marginal.mean(0) - covered) < 4 * np.sqrt(covered * (1 - covered) / draws))
    inner = marginal[~marginal[:, 0] & ~marginal[:, -1]]
    np.testing.assert_array_equal(inner.sum(1), side)


# Magnitudes away from kinks: no source coordinate is whole, no blended value is exactly 0 or 1.
SMOOTH_AT = {'ShearX': (0.137, -0.21), 'ShearY': (0.137, -0.21), 'TranslateX': (0.113, -0.27),
             'TranslateY': (0.113, -0.27), 'Rotate': (11.3, -23.7), 'Contrast': (0.4, 1.37),
             'Color': (0.4, 1.37), 'Brightness': (0.4, 1.37), 'Sharpness': (0.4, 1.37),
             'SamplePairing': (0.1, 0.33)}
GEOMETRIC = [name for name, row in OPS.items() if row.signed]


def _readout(name, image, partner=None, inner=0):
  """Magnitude -> a weighted sum of the result, with its derivative; the outer `inner` pixels weigh 0."""
  weights = np.random.default_rng(5).normal(size=image.shape)
  mask = np.zeros(image.shape)
  mask[inner:image.shape[0] - inner, inner:image.shape[1] - inner] = 1
  fn = _deterministic(name)
  return jax.jit(jax.value_and_grad(lambda value: jnp.sum(fn(image, value, partner) * weights * mask)))


@pytest.mark.parametrize('name', SMOOTH_AT)
def test_derivative_by_magnitude(name):
  with jax.enable_x64(True):
    image, partner = np.random.default_rng(6).uniform(size=(2, 9, 11, 3))
    run, step = _readout(name, image, partner), 1e-6
    for value in SMOOTH_AT[name]:
      numeric = (run(value + step)[0] - run(value - step)[0]) / (2 * step)
      np.testing.assert_allclose(run(value)[1], numeric, rtol=1e-6, atol=1e-7)
      assert abs(numeric) > 1e-3


@pytest.mark.parametrize('name', GEOMETRIC)
def test_one_sided_derivative_at_identity(name):
  with jax.enable_x64(True):
    step = 1e-7
    # Coordinates grow with the magnitude, so on any image floor and floor + 1 give the derivative from
    # above; a rotation moves pixels both ways and has that only where both sides agree: on a plane, off the
    # border.
    image = np.random.default_rng(7).uniform(size=(8, 10, 3))
    plane = np.arange(8)[:, None, None] / 30 + np.arange(10)[None, :, None] / 20 + np.zeros((8, 10, 3))
    run = _readout(name, plane, inner=1) if name == 'Rotate' else _readout(name, image)
    numeric = (run(step)[0] - run(0.)[0]) / step
    np.testing.assert_allclose(run(0.)[1], numeric, rtol=1e-5)
    assert abs(_readout(name, image)(0.)[1]) > 1e-3


def test_no_derivative_by_magnitude_elsewhere():
  image = jnp.asarray(_images(3)[0][:8, :8] / 255, jnp.float32)
  key, names = jax.random.key(0), sorted(set(OPS) - set(SMOOTH_AT))

  def total(strengths):
    return sum(jnp.sum(OPS[name].fn(image, magnitude(name, strengths[name]), key)) for name in names)

  slopes = jax.jit(jax.grad(total))({name: 0.6 for name in names})
  assert all(slopes[name] == 0 for name in names), slopes


def test_rounding_passes_the_image_derivative():
  image = jnp.asarray(np.random.default_rng(8).uniform(0.2, 0.8, (16, 16, 3)), jnp.float32)
  slope = lambda fn: jax.jit(jax.grad(lambda image: jnp.sum(fn(image))))(image)
  np.testing.assert_array_equal(slope(lambda i: ops_lib.posterize(i, 4.)), 1)
  np.testing.assert_array_equal(slope(ops_lib.equalize), 1)
  level = np.round(np.asarray(image) * 255)
  spread = np.ptp(level, axis=(0, 1))
  inside = (np.asarray(image) * 255 > level.min((0, 1))) & (np.asarray(image) * 255 < level.max((0, 1)))
  np.testing.assert_allclose(slope(ops_lib.autocontrast), inside * 255 / spread, rtol=1e-5)


def test_ranges():
  """Fast AutoAugment's (code), from the identity on where there is a sign; those without a magnitude have (0, 1)."""
  wanted = {'ShearX': (0, 0.3), 'ShearY': (0, 0.3), 'TranslateX': (0, 0.45),
            'TranslateY': (0, 0.45), 'Rotate': (0, 30), 'Solarize': (0, 256), 'Posterize': (4, 8),
            'Contrast': (0.1, 1.9), 'Color': (0.1, 1.9), 'Brightness': (0.1, 1.9), 'Sharpness': (0.1, 1.9),
            'Cutout': (0, 0.2), 'SamplePairing': (0, 0.4)}
  assert {name: (row.low, row.high) for name, row in OPS.items()} == {name: (0, 1) for name in OPS} | wanted


@pytest.mark.parametrize('name', [name for name, row in OPS.items() if row.signed])
def test_no_two_levels_of_an_operation_with_a_sign_mean_the_same(name):
  """Whatever signs are drawn: level m and level 9 - m used to be one."""
  assert len({round(abs(float(v)), 9) for v in magnitude(name, STRENGTHS)}) == 10 and magnitude(name, 0.) == 0


def test_magnitude():
  assert magnitude('Rotate', 0.) == 0 and magnitude('Rotate', 1.) == 30
  assert magnitude('Posterize', 1.) == 8 and magnitude('Solarize', 0.5) == 128
  assert magnitude('SamplePairing', 0.5) == pytest.approx(0.2)
  known = re.escape(', '.join(OPS))  # all, on one line
  with pytest.raises(ValueError, match=f'^unknown operation .Bluur.; known are {known}$'):
    magnitude('Bluur', 0.5)


HALF_ROUNDING = 2**-7  # two roundings of bfloat16 near 1


@pytest.fixture(name='half', scope='module')
def half_fixture():
  """(every operation's result on a bfloat16 image, the same of float32); on levels of 0 to 255, larger than 256."""
  # Smooth, so that a coordinate's rounding in float32 does not show, and a wrong pixel does.
  ramp = (np.arange(262)[:, None, None] // 3 + np.arange(270)[:, None] // 3 + np.zeros(3, int)) % 256
  image, key = jnp.asarray(ramp / 255, jnp.bfloat16), jax.random.key(3)

  @jax.jit
  def run(image, partner):
    return {name: row.fn(image, magnitude(name, 0.83), key, *((partner,) if row.pairs else ()))
            for name, row in OPS.items()}

  wide = image.astype(jnp.float32)
  return run(image, image[::-1]), run(wide, wide[::-1]), run(jnp.asarray(ramp / 255, jnp.float32), wide[::-1])


@pytest.mark.parametrize('name', OPS)
def test_half_precision_has_the_places_and_levels_of_float32(half, name):
  out, wanted, of_levels = (np.asarray(tree[name].astype(jnp.float32)) for tree in half)
  assert half[0][name].dtype == jnp.bfloat16
  np.testing.assert_allclose(out, wanted, atol=HALF_ROUNDING)
  if name in ('Equalize', 'Posterize', 'AutoContrast'):  # by the level that a value was rounded from
    np.testing.assert_allclose(out, of_levels, atol=HALF_ROUNDING)


@pytest.mark.parametrize('dtype', [jnp.bfloat16, jnp.float16])
def test_no_turn_no_shear_and_no_shift_change_no_pixel_in_half_precision(dtype):
  image = jax.random.uniform(jax.random.key(0), (2, 2300, 1)).astype(dtype)
  for fn in (geometry.rotate, geometry.shear_x, geometry.translate_x):
    np.testing.assert_array_equal(jax.jit(fn)(image, jnp.zeros((), dtype)), image)


@pytest.mark.parametrize('name', [name for name in OPS if name not in (
    'Identity', 'HorizontalFlip', 'VerticalFlip', 'Rotate90')])
def test_operations_refuse_images_that_are_not_floating(name):
  image = jnp.zeros((6, 6, 3), jnp.uint8)
  with pytest.raises(TypeError, match='^images must be floating here, got uint8'):
    OPS[name].fn(image, 0.5, jax.random.key(0), *((image,) if OPS[name].pairs else ()))
