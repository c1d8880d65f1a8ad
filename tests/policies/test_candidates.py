"""DDAS's candidates: the published list, their names, and what one does to an image."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment import apply
from daas_jax.augment.ops import magnitude, OPS
from daas_jax.data import sources
from daas_jax.errors import BadInput
from daas_jax.policies import candidates
from daas_jax.policies.candidates import Candidate, Space

LEVELS_OF = {Candidate(op, candidates.strength_of(op, level)): level for op in OPS for level in candidates.LEVELS}
SPACE = Space((Candidate('Rotate', 0.6), Candidate('Rotate', 1.0), Candidate('Equalize', 0.0)), K=2)


def test_the_published_list_has_8_operations_without_and_11_at_4_levels():
  by_op = {}
  for c in candidates.published():
    by_op.setdefault(c.op, []).append(c.strength)
  assert len(candidates.published()) == 52 == len(set(candidates.published())) and len(by_op) == 19
  assert sorted(len(levels) for levels in by_op.values()) == [1] * 8 + [4] * 11
  assert all(OPS[op].graded == (len(levels) == 4) for op, levels in by_op.items())
  assert 'Cutout' not in by_op and {'VerticalFlip', 'Blur', 'Smooth'} <= set(by_op)


def _level(fraction, most):
  """The code's int_parameter on levels of 10."""
  return int(fraction * most / 10)


@pytest.mark.parametrize('level', candidates.LEVELS)
def test_levels_are_those_of_the_code(level):
  """augmentations.py of DDAS's code, a formula an operation; translations in pixels of 32."""
  wanted = dict.fromkeys(('Contrast', 'Color', 'Brightness', 'Sharpness'), level * 1.8 / 10 + .1) | {
      'Rotate': _level(level, 30), 'ShearX': level * 0.3 / 10, 'ShearY': level * 0.3 / 10,
      'TranslateX': _level(level, 10) / 32, 'TranslateY': _level(level, 10) / 32, 'Solarize': 256 - _level(level, 256)}
  for op, value in wanted.items():
    assert magnitude(op, candidates.strength_of(op, level)) == pytest.approx(value, abs=1e-9), op
  bits = magnitude('Posterize', candidates.strength_of('Posterize', level))
  assert int(np.floor(bits)) == 4 - _level(level, 4)


def test_levels_give_the_images_of_the_code():
  """On a real image, without the sign that some draw: all differ, but for what the code's formulas have twice."""
  space = Space(candidates.published(), K=1)
  pixels = jnp.asarray(sources.load('embedded').train_images[:1] / 255, jnp.float32)
  images = jnp.concatenate([pixels, pixels[:, ::-1], jnp.roll(pixels, 5, 2)], -1)  # in colours, for Color

  @jax.jit
  def turn(i, key):
    o, strength = space.operations(i[None])
    return apply.apply_policy(images, o, jnp.ones(1, jnp.int32), strength, key, ops=space.ops)

  key = jax.random.key(1)
  made = {c: np.asarray(turn(i, key)) for i, c in enumerate(space.candidates)}
  for a, b in itertools.combinations(space.candidates, 2):
    if a.op == b.op:
      levels = tuple(LEVELS_OF[c] for c in (a, b))
      twice = levels in {'Posterize': [(0, 2), (10, 14)], 'Solarize': [(10, 14)]}.get(a.op, ())
      assert (np.abs(made[a] - made[b]).max() < 1e-6) == twice, (a, b)
  black = made[Candidate('Posterize', candidates.strength_of('Posterize', 14))]
  np.testing.assert_array_equal(black, 0)
  assert all(image.min() >= 0 and image.max() <= 1 for image in made.values())


def test_operations_of_candidates():
  assert SPACE.ops == ('Rotate', 'Equalize')
  o, strength = SPACE.operations(jnp.array([[2, 0], [1, 1]]))
  np.testing.assert_array_equal(o, [[1, 0], [0, 0]])
  np.testing.assert_allclose(strength, [[0, 0.6], [1, 1]], rtol=1e-6)


def test_names_are_read_back():
  names = tuple(map(str, candidates.published()))
  for a, b in zip(candidates.parse(names), candidates.published(), strict=True):
    assert a.op == b.op and a.strength == pytest.approx(b.strength, abs=1e-6)


@pytest.mark.parametrize('names, said', [
    (('Rotat:1',), 'no known operation'), (('Rotate',), 'write Rotate:0.5'), (('Equalize:1',), 'write Equalize'),
    (('Rotate:x',), r'\[-2, 2\]'), (('Rotate:2.1',), r'\[-2, 2\]'), (('Rotate:nan',), r'\[-2, 2\]'),
    (('Rotate:1', 'Rotate:1.0'), 'twice'), (('',), 'no known operation')])
def test_wrong_names_say_what_is_wrong(names, said):
  with pytest.raises(BadInput, match=said):
    candidates.parse(names)
