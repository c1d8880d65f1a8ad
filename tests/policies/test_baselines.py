"""The policies without a search: what can be drawn, as torchvision and the papers have it, how it is drawn, and Pillow's
pixels.

What can be drawn is a list (`published.Rows`), so it is enumerated; only `published.draw` is sampled. Pixels are held
against the calls of Pillow that torchvision makes of its images, for every operation and magnitude of every policy; where
torchvision is installed, those calls against torchvision's own.
"""

import collections
import fractions
import functools
import hashlib
import math

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageEnhance, ImageOps
import pytest

from daas_jax.augment import camera, levels
from daas_jax.augment.ops import DAAS_OPS
from daas_jax.policies import baselines, categorical, published, published_spaces
from daas_jax.policies.baselines import BASELINES

HEIGHT, WIDTH = 17, 13
BLENDS = {name: getattr(ImageEnhance, name) for name in ('Color', 'Contrast', 'Brightness', 'Sharpness')}
POLICIES = {
    'trivial_augment': baselines.trivial_augment(), 'trivial_augment_ra': baselines.trivial_augment_ra(),
    'rand_augment': baselines.rand_augment(), 'rand_augment_torchvision': baselines.rand_augment_torchvision(),
    **{f'auto_augment_{name}': baselines.auto_augment(name) for name in ('cifar10', 'imagenet', 'svhn')}}

# torchvision 0.29's _augmentation_space: {operations: (signed, magnitudes)} of TrivialAugmentWide(), and for images of
# HEIGHT x WIDTH of RandAugment() (31 bins) and AutoAugment() (10). Written by the test below that reads it.
WIDE = {
    'Identity AutoContrast Equalize': (False, (0,)),
    'ShearX ShearY Brightness Color Contrast Sharpness': (True, (0, 0.0329999998, 0.0659999996, 0.0989999995,
        0.131999999, 0.164999992, 0.197999999, 0.231000006, 0.263999999, 0.296999991, 0.329999983, 0.363000005,
        0.395999998, 0.42899999, 0.462000012, 0.495000005, 0.527999997, 0.56099999, 0.593999982, 0.627000034,
        0.660000026, 0.693000019, 0.726000011, 0.759000003, 0.791999996, 0.824999988, 0.85800004, 0.891000032,
        0.924000025, 0.957000017, 0.99000001)),
    'TranslateX TranslateY': (True, (0, 1.06666672, 2.13333344, 3.20000029, 4.26666689, 5.33333349, 6.40000057,
        7.46666718, 8.53333378, 9.60000038, 10.666667, 11.7333336, 12.8000011, 13.8666677, 14.9333344, 15.999999,
        17.0666656, 18.1333332, 19.1999989, 20.2666664, 21.3333321, 22.3999996, 23.4666672, 24.5333328, 25.6000004,
        26.666666, 27.7333336, 28.7999992, 29.8666668, 30.9333324, 32)),
    'Rotate': (True, (0, 4.5, 9, 13.5, 18, 22.5, 27, 31.5, 36, 40.5, 45, 49.5, 54, 58.5, 63, 67.5, 72, 76.5, 81, 85.5,
        90, 94.5, 99, 103.5, 108, 112.5, 117, 121.5, 126, 130.5, 135)),
    'Posterize': (False, (8, 8, 8, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 4, 4, 4, 4, 4, 3, 3, 3, 3, 3, 2, 2,
        2)),
    'Solarize': (False, (255, 246.5, 238, 229.5, 221, 212.5, 204, 195.5, 187, 178.5, 170, 161.5, 153, 144.5, 136,
        127.5, 119, 110.5, 102, 93.5, 85, 76.5, 68, 59.5, 51, 42.5, 34, 25.5, 17, 8.5, 0)),
}
RAND = {
    'Identity AutoContrast Equalize': (False, (0,)),
    'ShearX ShearY': (True, (0, 0.0100000007, 0.0200000014, 0.0300000012, 0.0400000028, 0.0500000045, 0.0600000024,
        0.0700000077, 0.0800000057, 0.0900000036, 0.100000009, 0.110000007, 0.120000005, 0.13000001, 0.140000015,
        0.150000006, 0.159999996, 0.170000002, 0.180000007, 0.189999998, 0.200000003, 0.210000008, 0.219999999,
        0.230000004, 0.24000001, 0.25, 0.26000002, 0.270000011, 0.280000001, 0.290000021, 0.300000012)),
    'TranslateX': (True, (0, 0.196374625, 0.39274925, 0.589123845, 0.7854985, 0.981873155, 1.17824769, 1.37462234,
        1.570997, 1.76737165, 1.96374631, 2.16012096, 2.35649538, 2.55287004, 2.74924469, 2.94561934, 3.141994,
        3.33836865, 3.53474331, 3.73111773, 3.92749238, 4.12386703, 4.32024193, 4.51661634, 4.71299076, 4.90936565,
        5.10574007, 5.30211496, 5.49848938, 5.69486427, 5.89123869)),
    'TranslateY': (True, (0, 0.256797582, 0.513595164, 0.770392776, 1.02719033, 1.28398788, 1.54078555, 1.7975831,
        2.05438066, 2.31117821, 2.56797576, 2.82477331, 3.0815711, 3.33836865, 3.59516621, 3.85196376, 4.10876131,
        4.3655591, 4.62235641, 4.87915421, 5.13595152, 5.39274931, 5.64954662, 5.90634441, 6.1631422, 6.41993952,
        6.67673731, 6.93353462, 7.19033241, 7.44712973, 7.70392752)),
    'Rotate': (True, (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
        26, 27, 28, 29, 30)),
    'Brightness Color Contrast Sharpness': (True, (0, 0.0299999993, 0.0599999987, 0.0899999961, 0.119999997,
        0.149999991, 0.179999992, 0.209999993, 0.239999995, 0.269999981, 0.299999982, 0.329999983, 0.359999985,
        0.389999986, 0.419999987, 0.449999988, 0.479999989, 0.50999999, 0.539999962, 0.569999993, 0.599999964,
        0.629999995, 0.659999967, 0.689999998, 0.719999969, 0.75, 0.779999971, 0.810000002, 0.839999974, 0.870000005,
        0.899999976)),
    'Posterize': (False, (8, 8, 8, 8, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 6, 6, 6, 6, 6, 5, 5, 5, 5, 5, 5, 5, 5, 4, 4, 4,
        4)),
    'Solarize': (False, (255, 246.5, 238, 229.5, 221, 212.5, 204, 195.5, 187, 178.5, 170, 161.5, 153, 144.5, 136,
        127.5, 119, 110.5, 102, 93.5, 85, 76.5, 68, 59.5, 51, 42.5, 34, 25.5, 17, 8.5, 0)),
}
AUTO = {
    'ShearX ShearY': (True, (0, 0.0333333351, 0.0666666701, 0.100000009, 0.13333334, 0.166666672, 0.200000003,
        0.233333349, 0.266666681, 0.300000012)),
    'TranslateX': (True, (0, 0.654582083, 1.30916417, 1.96374631, 2.61832833, 3.27291036, 3.92749238, 4.58207464,
        5.23665667, 5.89123869)),
    'TranslateY': (True, (0, 0.85599196, 1.71198392, 2.567976, 3.42396784, 4.27995968, 5.13595152, 5.99194336,
        6.84793568, 7.70392752)),
    'Rotate': (True, (0, 3.33333325, 6.66666651, 10, 13.333333, 16.6666679, 20, 23.333334, 26.666666, 30)),
    'Brightness Color Contrast Sharpness': (True, (0, 0.099999994, 0.199999988, 0.299999982, 0.399999976, 0.5,
        0.600000024, 0.699999988, 0.799999952, 0.899999976)),
    'Posterize': (False, (8, 8, 7, 7, 6, 6, 5, 5, 4, 4)),
    'Solarize': (False, (255, 226.666672, 198.333328, 170, 141.666656, 113.333336, 85, 56.6666679, 28.333334, 0)),
    'AutoContrast Equalize Invert': (False, (0,)),
}


def spread(stored):
  """{operation: (signed, magnitudes)}; the numbers are of float32."""
  return {op: (signed, np.float32(values).tolist()) for ops, (signed, values) in stored.items() for op in ops.split()}


def _magnitude(op, value):
  """torchvision's magnitude as `daas_jax.augment.levels` has it."""
  if op in BLENDS:
    return 1 + value
  if op.startswith('Translate'):
    return -int(value)
  return int(value) if op == 'Posterize' else value


def _likely(op, row, level=None):
  """{change: probability} of an operation that torchvision draws, at a level or at any."""
  signed, values = row
  values = values if level is None or len(values) == 1 else values[level:level + 1]
  out = collections.Counter()
  for value in values:
    for sign in (1, -1) if signed else (1,):
      out[op, _magnitude(op, sign * value)] += fractions.Fraction(1, len(values) * (2 if signed else 1))
  return out


def _of_step(step):
  out = collections.Counter()
  for magnitude in step.magnitudes:
    out[step.op, magnitude] += fractions.Fraction(1, len(step.magnitudes))
  return out


def _rows(name):
  return POLICIES[name].rows(HEIGHT, WIDTH)


# --- which operation, at which magnitude ---


@pytest.mark.parametrize('name, stored, level, times', [('trivial_augment', WIDE, None, 1),
                                                        ('rand_augment_torchvision', RAND, 9, 2)])
def test_one_of_fourteen_operations_as_torchvision_draws_it(name, stored, level, times):
  assert POLICIES[name].times == times and (POLICIES[name].fill, POLICIES[name].corner) == (0, 0)
  rows = _rows(name)
  assert all(len(row) == 1 and row[0].probability == 1 for row in rows) and len(rows) == 14
  stored = spread(stored)
  assert {row[0].op for row in rows} == set(stored) == set(published_spaces.OPERATIONS)
  for step, in rows:
    assert _of_step(step) == _likely(step.op, stored[step.op], level)


POLICY_DIGESTS = {'cifar10': '395fec8f39327c7c', 'imagenet': '5904df0f42df54ec', 'svhn': '6c914229669269dc'}
"""Of torchvision's AutoAugment._get_policies, as `digest` makes it."""


def digest(policies):
  """Of ((operation, probability, level or None), ...) in sequence, rows in any order."""
  lines = sorted(' '.join(f'{op} {p:.1f} {level}' for op, p, level in row) for row in policies)
  return hashlib.sha256('\n'.join(lines).encode()).hexdigest()[:16]


def _policies(name):
  """`published_spaces.SUB_POLICIES` as torchvision writes them."""
  def step(op, tenths, level=None):
    return op, int(tenths) / 10, None if level is None else int(level)
  return [[step(*text.split()) for text in row.split(',')] for row in published_spaces.SUB_POLICIES[name].split(';')]


@pytest.mark.parametrize('name', POLICY_DIGESTS)
def test_auto_augment_has_the_published_sub_policies(name):
  policies, rows = _policies(name), _rows(f'auto_augment_{name}')
  assert digest(policies) == POLICY_DIGESTS[name] and len(rows) == 25
  stored = spread(AUTO)
  for row, wanted in zip(rows, policies, strict=True):
    for step, (op, probability, level) in zip(row, wanted, strict=True):
      assert step.probability == probability
      assert _of_step(step) == _likely(op, stored[op], level)


def test_trivial_augment_ra_is_its_code_s_fixed_standard():
  rows = {step.op: step.magnitudes for step, in _rows('trivial_augment_ra')}
  k, both = range(31), lambda values: [sign * x for x in values for sign in (1., -1.)]
  wanted = {
      **dict.fromkeys(('Identity', 'AutoContrast', 'Equalize'), [0]),
      **dict.fromkeys(('ShearX', 'ShearY'), both([x * 0.01 for x in k])),
      'Rotate': both(k), 'TranslateX': both([int(x * 10 * WIDTH / 960) for x in k]),
      'TranslateY': both([int(x * 10 * HEIGHT / 960) for x in k]),
      'Posterize': [8 - int(x * 4 / 30) for x in k], 'Solarize': [256 - int(x * 256 / 30) for x in k],
      **dict.fromkeys(BLENDS, [0.1 + x * 0.06 for x in k])}
  assert set(rows) == set(wanted) and len(rows) == 14
  for op, magnitudes in wanted.items():
    np.testing.assert_allclose(rows[op], magnitudes, rtol=1e-12, atol=1e-12, err_msg=op)
  of_32 = {step.op: step.magnitudes for step, in POLICIES['trivial_augment_ra'].rows(32, 224)}
  assert max(of_32['TranslateY']) == 10 and max(of_32['TranslateX']) == 70


def test_rand_augment_is_its_paper_s_at_any_magnitude():
  def rows(m, height=224, width=224):
    return {step.op: step.magnitudes for step, in baselines.rand_augment(3, m).rows(height, width)}

  nine, none = rows(9), rows(0)
  wanted = {
      'Identity': 0, 'AutoContrast': 0, 'Equalize': 0, 'ShearX': 0.27, 'ShearY': 0.27, 'TranslateX': 90,
      'TranslateY': 90, 'Rotate': 27, 'Posterize': 3, 'Solarize': 230, **dict.fromkeys(BLENDS, 1.72)}
  signed = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate')
  assert {op: pytest.approx([x, -x] if op in signed else [x]) for op, x in wanted.items()} == nine
  assert all(none[op] == (0, 0) for op in signed) and none['Color'] == (0.1,) and none['Posterize'] == (0,)
  assert rows(9, 56, 112)['TranslateY'] == pytest.approx((22.5, -22.5))
  assert baselines.rand_augment(3, 5.5).times == 3 and (POLICIES['rand_augment'].times,
                                                        POLICIES['rand_augment'].fill) == (2, 128)


@pytest.mark.parametrize('n,m', ((0, 9), (1.5, 9), (2, -1), (2, 10.5), (2, float('nan'))))
def test_rand_augment_refuses_other_numbers(n, m):
  with pytest.raises(ValueError, match='n must be a whole number'):
    baselines.rand_augment(n, m)


@pytest.mark.parametrize('n,magnitude', ((0, 9), (2, -1), (2, 31), (2, 8.5)))
def test_torchvision_s_refuses_other_numbers(n, magnitude):
  with pytest.raises(ValueError, match='n must be a whole number'):
    baselines.rand_augment_torchvision(n, magnitude)


# --- drawing ---


@pytest.mark.parametrize('name', POLICIES)
def test_an_index_is_what_was_drawn(name):
  """For every row, every magnitude of its steps, applied or not."""
  rows = _rows(name)
  changes, steps = published.changes(rows), len(rows[0])
  cases = [(r, s, i, y) for r, row in enumerate(rows) for s in range(steps) for i in range(len(row[s].magnitudes))
           for y in (True, False)]
  r, s, i, y = map(np.array, zip(*cases))
  place, applied = (np.zeros((len(cases), 1, steps), dtype) for dtype in (np.int32, bool))
  place[np.arange(len(cases)), 0, s], applied[np.arange(len(cases)), 0, s] = i, y
  index = np.asarray(published.index(rows, published.Drawn(r[:, None], place, applied)))
  assert index.shape == (len(cases), steps)
  for found, (r, s, i, y) in zip(index, cases):
    step = rows[r][s]
    assert changes[found[s]] == (levels.Change(step.op, step.magnitudes[i]) if y else ('Identity', 0))
    assert all(changes[f] == ('Identity', 0) for k, f in enumerate(found) if k != s)


def _uniform(values, n):
  """Whether counts are uniform over range(n): chi-square within five deviations of its mean (1 in 10^4 fails)."""
  counts, expected = np.bincount(values.ravel(), minlength=n), values.size / n
  return ((counts - expected) ** 2 / expected).sum() <= n - 1 + 5 * np.sqrt(2 * (n - 1))


@pytest.mark.parametrize('name', ('trivial_augment', 'rand_augment_torchvision', 'auto_augment_cifar10'))
def test_draws_are_uniform_and_of_each_image(name):
  rows, times = _rows(name), POLICIES[name].times
  drawn = jax.jit(lambda key: published.draw(key, rows, 60_000, times))(jax.random.key(0))
  row, place, applied = map(np.asarray, drawn)
  assert row.shape == (60_000, times) and place.shape == applied.shape == (60_000, times, len(rows[0]))
  assert all(_uniform(row[:, k], len(rows)) for k in range(times))
  if times == 2:
    assert _uniform(row[:, 0] * len(rows) + row[:, 1], len(rows) ** 2)
  for r, steps in enumerate(rows):
    for s, step in enumerate(steps):
      here = row == r
      assert _uniform(place[here][:, s], len(step.magnitudes)) and place[here][:, s].max() < len(step.magnitudes)
      n, p = here.sum(), step.probability
      assert abs(applied[here][:, s].sum() - n * p) <= 5 * math.sqrt(n * p * (1 - p))


# --- pixels ---


def _images(channels):
  """[3, HEIGHT, WIDTH, C] uint8: noise, smooth, a narrow range."""
  rng = np.random.default_rng(channels)
  shape = (HEIGHT, WIDTH, channels)
  y, x, c = np.meshgrid(*(np.linspace(0, 1, n) for n in shape), indexing='ij')
  return np.stack([rng.integers(0, 256, shape), 255 * (0.5 + 0.5 * np.sin(5 * x + 3 * y + c)),
                   rng.integers(71, 140, shape)]).astype(np.uint8)


def pillow(img, op, magnitude):
  """What torchvision asks of Pillow for an image, at a magnitude of `daas_jax.augment.levels`."""
  affine = lambda *matrix: img.transform(img.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST,
                                         fillcolor=0 if img.mode == 'L' else (0, 0, 0))
  if op in BLENDS:
    return BLENDS[op](img).enhance(magnitude)
  return {
      'ShearX': lambda: affine(1, magnitude, 0, 0, 1, 0), 'ShearY': lambda: affine(1, 0, 0, magnitude, 1, 0),
      'TranslateX': lambda: affine(1, 0, magnitude, 0, 1, 0), 'TranslateY': lambda: affine(1, 0, 0, 0, 1, magnitude),
      'Rotate': lambda: img.rotate(magnitude, Image.Resampling.NEAREST),
      'Posterize': lambda: ImageOps.posterize(img, int(magnitude)),
      'Solarize': lambda: ImageOps.solarize(img, magnitude), 'AutoContrast': lambda: ImageOps.autocontrast(img),
      'Equalize': lambda: ImageOps.equalize(img), 'Invert': lambda: ImageOps.invert(img), 'Identity': lambda: img,
  }[op]()


def to_pillow(image):
  return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _nearest(image, op, magnitude):
  """TensorFlow's contrib.image.transform, as RandAugment's code calls it: places are of pixel centres, (0, 0) the
  first, and rounded; 128 outside."""
  height, width, _ = image.shape
  y, x = np.meshgrid(np.arange(height), np.arange(width), indexing='ij')
  if op == 'Rotate':
    cos, sin = math.cos(math.radians(magnitude)), math.sin(math.radians(magnitude))
    dy, dx = y - (height - 1) / 2, x - (width - 1) / 2
    y, x = (height - 1) / 2 + sin * dx + cos * dy, (width - 1) / 2 + cos * dx - sin * dy
  else:
    y, x = {'ShearX': (y, x + magnitude * y), 'ShearY': (y + magnitude * x, x),
            'TranslateX': (y, x + magnitude), 'TranslateY': (y + magnitude, x)}[op]
  y, x = (np.floor(a + 0.5).astype(int) for a in (y, x))
  inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
  return np.where(inside[..., None], image[np.where(inside, y, 0), np.where(inside, x, 0)], 128)


@functools.cache
def _changed(name, channels):
  """(the changes of a policy, each once; [changes, 3, HEIGHT, WIDTH, C] levels)."""
  policy = POLICIES[name]
  changes = tuple(dict.fromkeys(published.changes(_rows(name))))
  table = levels.table(changes, HEIGHT, WIDTH, policy.corner)
  index = jnp.repeat(jnp.arange(len(changes)), 3)[:, None]
  images = jnp.tile(_images(channels), (len(changes), 1, 1, 1)) / jnp.float32(255)
  found = np.asarray(jax.jit(lambda images: levels.apply(images, index, table, policy.fill))(images)) * 255
  np.testing.assert_allclose(found, np.round(found), atol=1e-4)
  return changes, np.round(found).astype(int).reshape(-1, 3, HEIGHT, WIDTH, channels)


def _falls_short(image, found, wanted):
  """Whether AutoContrast differs by what Pillow's double precision lacks: one level, where Pillow's entry is a whole
  number (a tenth of the levels of an image at most, as it is)."""
  image = image.astype(int)
  low, high = image.min((0, 1)), image.max((0, 1))
  whole = (255 * (image - low)) % np.maximum(high - low, 1) == 0
  return np.isin(found - wanted, (0, 1)).all() and not (found != wanted)[~whole].any()


@pytest.mark.parametrize('channels', (1, 3))
@pytest.mark.parametrize('name', POLICIES)
def test_every_change_is_pillow_s(name, channels):
  """Exactly, to the pixel and the level; AutoContrast as `_falls_short` says."""
  own = POLICIES[name].corner  # of TensorFlow's geometry
  for change, results in zip(*_changed(name, channels)):
    for image, found in zip(_images(channels), results):
      if own and change.op in ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate'):
        wanted = _nearest(image, *change)
      else:
        wanted = np.asarray(pillow(to_pillow(image), *change)).reshape(image.shape).astype(int)
      same = np.array_equal(found, wanted)
      assert same or change.op == 'AutoContrast' and _falls_short(image, found, wanted), change


def test_a_blend_is_pillow_s_for_every_pair_of_levels():
  """All 256 x 256, at every factor of every policy: the compiler fuses no product with its sum."""
  start, image = np.meshgrid(np.arange(256), np.arange(256), indexing='ij')
  blend = jax.jit(lambda image, start, factor: levels._blend(lambda _: start)(image, None, factor, 0))
  factors = {step.magnitudes for name in POLICIES for row in _rows(name) for step in row if step.op in BLENDS}
  for factor in sorted(set(sum(factors, ()))):
    wanted = Image.blend(*(to_pillow(x[..., None].astype(np.uint8)) for x in (start, image)), factor)
    np.testing.assert_array_equal(blend(image, start, np.float32(factor)), np.asarray(wanted), err_msg=str(factor))


def test_changes_follow_one_another_and_bytes_stay_bytes():
  image = _images(3)[:1]
  changes = (('Equalize', 0.), ('Rotate', 13.), ('Color', 0.3), ('Posterize', 3.))
  table = levels.table([levels.Change(*c) for c in changes], HEIGHT, WIDTH)
  img = to_pillow(image[0])
  for change in changes:
    img = pillow(img, *change)
  for dtype in (np.float32, jnp.bfloat16):
    found = levels.apply(jnp.asarray(image / 255, dtype), jnp.arange(4)[None], table)
    assert found.dtype == dtype
    np.testing.assert_array_equal(np.round(np.asarray(found, np.float32) * 255)[0], np.asarray(img))
  none = levels.table([levels.Change('Posterize', 0.)], HEIGHT, WIDTH)  # RandAugment's at a magnitude below 2.5
  assert not levels.apply(jnp.float32(image / 255), jnp.zeros((1, 1), int), none).any()
  with pytest.raises(ValueError, match="unknown operation 'Cutout'"):
    levels.table([levels.Change('Cutout')], HEIGHT, WIDTH)


# --- torchvision's own, where it is installed ---


@pytest.fixture(name='torchvision', scope='module')
def torchvision_fixture():
  return pytest.importorskip('torchvision', reason='torchvision is not installed: its tables are those stored here')


def test_the_stored_tables_are_torchvision_s(torchvision):
  of = torchvision.transforms
  for stored, space in ((WIDE, of.TrivialAugmentWide()._augmentation_space(31)),
                        (RAND, of.RandAugment()._augmentation_space(31, (HEIGHT, WIDTH))),
                        (AUTO, of.AutoAugment()._augmentation_space(10, (HEIGHT, WIDTH)))):
    assert spread(stored) == {op: (signed, values.reshape(-1).tolist()) for op, (values, signed) in space.items()}
  for name, known in POLICY_DIGESTS.items():
    assert digest(of.AutoAugment(of.AutoAugmentPolicy(name)).policies) == known


@pytest.mark.parametrize('channels', (1, 3))
def test_torchvision_asks_this_of_pillow(torchvision, channels):
  from torchvision.transforms import autoaugment
  image = _images(channels)[0]
  img = to_pillow(image)
  for stored in (WIDE, RAND, AUTO):
    for op, (signed, values) in spread(stored).items():
      for value in [sign * x for x in values for sign in ((1, -1) if signed else (1,))]:
        wanted = autoaugment._apply_op(img, op, value, torchvision.transforms.InterpolationMode.NEAREST, None)
        np.testing.assert_array_equal(pillow(img, op, _magnitude(op, value)), wanted, err_msg=f'{op} {value}')


# --- the table ---

BATCH = 16
IMAGES = np.broadcast_to(np.random.default_rng(0).integers(20, 240, (24, 24, 3), dtype=np.uint8), (BATCH, 24, 24, 3))


@pytest.mark.parametrize('name', BASELINES)
def test_every_row_keeps_to_the_contract(name):
  augment = jax.jit(BASELINES[name].make())
  results = [augment(jax.random.key(i), IMAGES / np.float32(255)) for i in (0, 0, 1)]
  for result in results:
    assert result.shape == IMAGES.shape and result.dtype == jnp.float32
    assert result.min() >= 0 and result.max() <= 1
  np.testing.assert_array_equal(results[0], results[1])
  changes = name not in ('none', 'standard')
  assert (results[0] != results[2]).any() == changes
  assert (len(np.unique(results[0], axis=0)) >= BATCH // 2) == changes  # of one image, so the operations differ
  as_bytes = jax.jit(BASELINES[name].make())(jax.random.key(0), IMAGES)
  differ = np.mean(as_bytes != np.round(np.asarray(results[0]) * 255).astype(np.uint8))
  # Of published policies values are levels. Those of a search's space lie between them, and two programs may round one
  # that is half-way, or at Posterize's edge, to either side.
  assert differ == 0 or name == 'uniform' and differ < 0.01
  with pytest.raises(TypeError):
    augment(jax.random.key(0), IMAGES.astype(np.int32))


def test_identity_keeps_every_byte():
  every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
  result = baselines.identity()(jax.random.key(0), every)
  assert result.dtype == jnp.uint8
  np.testing.assert_array_equal(result, every)


def test_only_none_goes_without_standard_preprocessing():
  assert {name for name, row in BASELINES.items() if not row.standard_preprocessing} == {'none'}
  assert set(BASELINES) == {'none', 'standard', 'uniform', 'camera', *POLICIES}


def test_uniform_draws_operations_application_and_levels_uniformly():
  ops = tuple(categorical.Space().ops)
  images = jnp.broadcast_to(jnp.linspace(0.1, 0.9, 8 * 8 * 3).reshape(8, 8, 3), (200, 8, 8, 3))
  found = BASELINES['uniform'].make()(jax.random.key(0), images)
  same = np.all(np.asarray(found == images), axis=(1, 2, 3)).mean()
  assert 0.25 <= same < 0.45  # neither slot applied, or what was did nothing here
  assert len({image.tobytes() for image in np.asarray(found)}) > 50
  assert ops == DAAS_OPS


def test_uniform_leaves_out_what_does_nothing():
  space = categorical.Space(('Color', 'Invert'), 1)
  counts = []
  for channels in (1, 3):
    images = jnp.full((400, 2, 2, channels), 0.25)
    counts.append(float(np.mean(baselines.uniform(space)(jax.random.key(0), images)[:, 0, 0, 0] == 0.75)))
  assert counts == [pytest.approx(1 / 2, abs=0.1), pytest.approx(1 / 4, abs=0.1)]


def test_camera_is_that_of_the_field():
  images = jax.random.uniform(jax.random.key(1), (4, 8, 8, 1))
  assert BASELINES['camera'].standard_preprocessing
  assert np.array_equal(BASELINES['camera'].make()(jax.random.key(0), images), camera.augment(jax.random.key(0), images))
