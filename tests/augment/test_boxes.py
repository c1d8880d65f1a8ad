"""Moved boxes against the pixels of a drawn rectangle, for every operation of OPS."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment import boxes as boxes_lib
from daas_jax.augment.apply import apply_policy
from daas_jax.augment.ops import OPS

NAMES = tuple(OPS)
HEIGHT, WIDTH = 40, 47
# (y0, x0, y1, x1), all larger than Cutout's square: one that no shear or turn moves over the border, others near it.
DRAWN = np.float32([[14, 20, 26, 33], [2, 3, 15, 16], [25, 30, 39, 46], [0, 18, 14, 47]])
BRIGHT = 0.9  # so that Solarize does not make it black
STRENGTHS = (0.0, 0.25, 0.5, 0.8, 1.0)
BENDS = ('ShearX', 'ShearY', 'Rotate')  # a rectangle is no longer one
# Where the two levels of brightness may be close or the other way round: everything that is not the background counts.
RELATIVE = ('Invert', 'Solarize', 'Brightness', 'Contrast')
KEYS = range(6)


def _draw(boxes, height=HEIGHT, width=WIDTH):
  images = np.zeros((len(boxes), height, width, 1), np.float32)
  for image, (y0, x0, y1, x1) in zip(images, boxes.astype(int)):
    image[y0:y1, x0:x1] = BRIGHT
  return images


IMAGES = _draw(DRAWN)
BOXES = np.stack([np.zeros_like(DRAWN), DRAWN], 1)  # a row of padding first


def _seen(image, relative):
  """(y0, x0, y1, x1) of the pixels above half brightness, or None; and how many there are."""
  if relative:
    image = np.abs(image - np.median(image))
  bright = image[..., 0] > (0.5 * image.max() if relative else 0.5)
  y, x = np.nonzero(bright)
  return (np.array([y.min(), x.min(), y.max() + 1, x.max() + 1]) if len(y) else None), len(y)


def _check(images, moved, names, indices=range(len(DRAWN))):
  bends = sum(name in BENDS for name in names)
  relative = any(name in RELATIVE for name in names)
  for i in indices:
    image, box, where = images[i], moved[i, 1], f'{names}, image {i}'
    seen, n = _seen(image, relative)
    np.testing.assert_array_equal(moved[i, 0], 0)
    if not boxes_lib.valid(box):
      np.testing.assert_array_equal(box, 0)
      # Of a bent rectangle the box around it may be nearly all outside with more than that of its pixels inside.
      assert n <= (0.6 if bends else boxes_lib.MIN_SHARE) * boxes_lib.area(DRAWN[i]) + 15, where
    elif bends < 2 and (not bends or i == 0):
      # The outermost corner of a turned rectangle is narrower than a pixel and may fall between pixels.
      np.testing.assert_allclose(box, seen, atol=1.6 if bends else 1.0, err_msg=where)
    else:
      assert np.all(box[:2] <= seen[:2] + 1) and np.all(box[2:] >= seen[2:] - 1), where


def _compiled(per):
  return jax.jit(functools.partial(apply_policy, ops=NAMES, per=per))


per_batch, per_image = _compiled('batch'), _compiled('image')


def _run(names, strengths, i, per, applied=(1, 1)):
  o = np.array([NAMES.index(name) for name in names])
  y = np.array(applied) if per == 'batch' else np.tile(applied, (len(IMAGES), 1))
  run = per_batch if per == 'batch' else per_image
  return jax.device_get(run(IMAGES, o, y, np.float32(strengths), jax.random.key(i), boxes=BOXES))


@pytest.mark.parametrize('per', ['batch', 'image'])
@pytest.mark.parametrize('name', NAMES)
def test_the_box_is_where_the_rectangle_is(name, per):
  row, places = OPS[name], set()
  for strength in STRENGTHS if row.graded else (0.0,):
    for i in KEYS if row.signed else (0,):
      images, moved = _run((name, 'Identity'), (strength, 0), i, per, (1, 0))
      _check(images, moved, (name,))
      if strength == 1.0:
        places.add(tuple(np.round(moved[0, 1], 2)))
  if row.signed:  # both signs were there, and go different ways
    assert len(places) == 2


@pytest.mark.parametrize('per', ['batch', 'image'])
def test_sequences_of_two(per):
  moving = [name for name in NAMES if OPS[name].source is not None]
  pairs = [(a, b) for a in moving for b in moving] + [('Rotate', 'Invert'), ('Blur', 'TranslateX')]
  for i, pair in enumerate(pairs):
    strengths = [(i % 5) / 4, (3 * i % 7) / 6]
    images, moved = _run(pair, strengths, i, per)
    _check(images, moved, pair)


def test_turning_twice_keeps_a_box_around():
  images, moved = _run(('Rotate', 'ShearX'), (0.9, 0.8), 0, 'batch')
  (y0, x0, y1, x1), (seen, _) = moved[0, 1], _seen(images[0], False)
  assert boxes_lib.area(moved[0, 1]) > (seen[2] - seen[0]) * (seen[3] - seen[1])
  assert y0 <= seen[0] + 1 and x0 <= seen[1] + 1 and y1 >= seen[2] - 1 and x1 >= seen[3] - 1


def test_only_images_where_it_is_applied_move():
  y = np.array([[1, 0], [0, 0], [1, 0], [0, 0]])
  o, strength = np.array([NAMES.index('HorizontalFlip'), 0]), np.float32([0, 0])
  images, moved = jax.device_get(per_image(IMAGES, o, y, strength, jax.random.key(0), boxes=BOXES))
  mirrored = DRAWN.copy()
  mirrored[:, 1], mirrored[:, 3] = WIDTH - DRAWN[:, 3], WIDTH - DRAWN[:, 1]
  np.testing.assert_array_equal(moved[:, 1], np.where(y[:, :1], mirrored, DRAWN))
  _check(images, moved, ('HorizontalFlip',))
  images, moved = _run(('Rotate', 'ShearX'), (1, 1), 0, 'batch', (0, 0))
  np.testing.assert_array_equal(images, IMAGES)
  np.testing.assert_array_equal(moved, BOXES)


@pytest.mark.parametrize('per, run', [('batch', per_batch), ('image', per_image)])
def test_images_are_those_without_boxes(per, run):
  """Two programs: a coordinate of 47 pixels, rounded otherwise by half a unit of the last place (2e-6) where one
  program fuses a product and a sum, moves a pixel by as much of a step of brightness 0.9. Equalize, which would make a
  grey level of it, follows an operation that interpolates nothing."""
  for i, pair in enumerate([('Rotate', 'Cutout'), ('TranslateX', 'SamplePairing'), ('HorizontalFlip', 'Equalize')]):
    o, strength = np.array([NAMES.index(name) for name in pair]), np.float32([0.9, 0.7])
    y = np.ones(2, int) if per == 'batch' else np.ones((len(IMAGES), 2), int)
    alone = run(IMAGES, o, y, strength, jax.random.key(i))
    np.testing.assert_allclose(alone, _run(pair, strength, i, per)[0], rtol=0, atol=2e-5, err_msg=str(pair))


@pytest.mark.parametrize('height, width', [(31, 44), (44, 31), (30, 45), (45, 30), (32, 32)])
def test_a_quarter_turn_of_any_shape(height, width):
  """Its crop or padding is dm_pix's, by whole pixels: the box is exact."""
  drawn = np.float32([[height // 2 - 4, width // 2 - 5, height // 2 + 6, width // 2 + 4]])
  turned = OPS['Rotate90'].fn(_draw(drawn, height, width)[0], 0.0, jax.random.key(0))
  moved = boxes_lib.move('Rotate90', jnp.asarray(drawn), 0.0, jax.random.key(0), height, width)
  np.testing.assert_array_equal(moved[0], _seen(np.asarray(turned), False)[0])


def test_the_stated_share_decides():
  """A box of 10 x 10 that moves to the left by 4.5 of 10 columns from x = 2, and by all but a little more."""
  height, width = 10, 10
  shift = lambda x0: boxes_lib.move('TranslateX', jnp.float32([[0, x0, 10, x0 + 4]]), 0.45, _key(True), height, width)
  np.testing.assert_allclose(shift(1.6), [[0, 0, 10, 1.1]], atol=1e-5)  # 27.5 % inside
  np.testing.assert_array_equal(shift(1.4), [[0, 0, 0, 0]])  # 22.5 %


def _key(positive):
  return next(key for key in map(jax.random.key, range(50)) if bool(jax.random.bernoulli(key)) == positive)


def test_a_box_is_differentiable_in_the_magnitude():
  """d x0 / d fraction of TranslateX is -WIDTH, d y1 / d slope of ShearY -x of the corner that decides."""
  def moved(name, value):
    return boxes_lib.move(name, jnp.asarray(DRAWN[:1]), value, _key(True), HEIGHT, WIDTH)[0]
  slope = jax.jacfwd(functools.partial(moved, 'TranslateX'))(0.1)
  np.testing.assert_allclose(slope, [0, -WIDTH, 0, -WIDTH], atol=1e-4)
  slope = jax.jacfwd(functools.partial(moved, 'ShearY'))(0.1)
  np.testing.assert_allclose(slope, [-DRAWN[0, 3], 0, -DRAWN[0, 1], 0], atol=1e-4)


def test_bad_boxes_say_what_is_allowed():
  o, y, strength, key = np.zeros(2, int), np.ones(2, int), np.ones(2, np.float32), jax.random.key(0)
  for bad in (BOXES[:2], BOXES[0], BOXES[..., :3], BOXES.astype(int)):
    with pytest.raises(ValueError, match=r'^boxes must be float \[4, N, 4\], got [^\n]*$'):
      apply_policy(IMAGES, o, y, strength, key, ops=NAMES, boxes=bad)


@pytest.mark.parametrize('name', ['TranslateX', 'Rotate', 'HorizontalFlip'])
def test_half_precision_boxes_are_moved_in_float32(name):
  """The places are those of float32, rounded once: by whole pixels a box of bfloat16 is 2 pixels off beyond 256."""
  boxes = jnp.asarray([[100, 260, 300, 420], [2, 130, 250, 384]], jnp.bfloat16)
  moved = lambda boxes: boxes_lib.move(name, boxes, jnp.float32(0.0313), jax.random.key(0), 400, 501)
  out, wanted = moved(boxes), moved(boxes.astype(jnp.float32))
  assert out.dtype == jnp.bfloat16
  np.testing.assert_array_equal(out, wanted.astype(jnp.bfloat16))
