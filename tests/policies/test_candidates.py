"""DDAS's candidates: the published list, their names, and what one does to an image."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment import apply
from daas_jax.augment.ops import OPS
from daas_jax.data import sources
from daas_jax.errors import BadInput
from daas_jax.policies import candidates
from daas_jax.policies.candidates import Candidate, Space

SPACE = Space((Candidate('Rotate', 0.6), Candidate('Rotate', 1.0), Candidate('Equalize', 0.0)), K=2)


def test_the_published_list_has_8_operations_without_and_11_at_4_levels():
  by_op = {}
  for c in candidates.published():
    by_op.setdefault(c.op, []).append(c.strength)
  assert len(candidates.published()) == 52 == len(set(candidates.published())) and len(by_op) == 19
  assert sorted(len(levels) for levels in by_op.values()) == [1] * 8 + [4] * 11
  assert all(OPS[op].graded == (len(levels) == 4) for op, levels in by_op.items())
  assert 'Cutout' not in by_op and {'VerticalFlip', 'Blur', 'Smooth'} <= set(by_op)


def test_no_two_levels_of_an_operation_give_one_image():
  """The published code gave all four the same. On a real image, without the sign that some draw."""
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
      assert np.abs(made[a] - made[b]).max() > 1 / 255, (a, b)
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
    (('Rotate:x',), r'\[0, 1.5\]'), (('Rotate:1.6',), r'\[0, 1.5\]'), (('Rotate:nan',), r'\[0, 1.5\]'),
    (('Rotate:1', 'Rotate:1.0'), 'twice'), (('',), 'no known operation')])
def test_wrong_names_say_what_is_wrong(names, said):
  with pytest.raises(BadInput, match=said):
    candidates.parse(names)
