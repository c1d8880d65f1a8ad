"""The policies without a search: what they draw, how it varies over images, and that strength 0 is nothing."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment.apply import apply_each
from daas_jax.augment.ops import magnitude
from daas_jax.policies import baselines
from daas_jax.policies.baselines import BASELINES, outward, RAND_AUGMENT_OPS

BATCH = 14
NO_MAGNITUDE = ('Identity', 'AutoContrast', 'Equalize')
IMAGES = np.broadcast_to(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8), (BATCH, 8, 8, 3))
ALL = jnp.arange(14)[:, None]  # every operation once, each on an image of its own

each = jax.jit(lambda strength: apply_each(IMAGES / np.float32(255), ALL, jnp.ones_like(ALL), strength,
                                           jax.random.key(0), ops=RAND_AUGMENT_OPS))


def _magnitudes(u, upwards):
  strength = outward(jnp.arange(14), jnp.full(14, u), jnp.full(14, upwards))
  assert ((0 <= strength) & (strength <= 1)).all()
  return {name: float(magnitude(name, s)) for name, s in zip(RAND_AUGMENT_OPS, strength)}


@pytest.mark.parametrize('upwards', (False, True))
def test_no_operation_changes_anything_at_strength_zero(upwards):
  images = IMAGES / np.float32(255)
  result = each(outward(ALL, jnp.zeros((14, 1)), jnp.full((14, 1), upwards)))
  for name, image, changed in zip(RAND_AUGMENT_OPS, images, result):
    if name in NO_MAGNITUDE[1:]:  # these have no strength at all
      continue
    # Posterize rounds to 256 levels. Elsewhere float32: 0.1 + 0.5 * 1.8 need not be 1.
    np.testing.assert_allclose(changed, image, atol=1e-6, err_msg=name)


def test_every_operation_changes_images_at_full_strength():
  result = each(outward(ALL, jnp.ones((14, 1)), jnp.ones((14, 1), bool)))
  difference = np.abs(result - IMAGES / np.float32(255)).max(axis=(1, 2, 3))
  assert {name for name, d in zip(RAND_AUGMENT_OPS, difference) if d < 0.02} <= {*NO_MAGNITUDE}


def test_full_strength_is_the_end_of_the_range():
  ends = {'Rotate': 30, 'Solarize': 0, 'Posterize': 4, 'ShearX': 0.3, 'ShearY': 0.3, 'TranslateX': 0.45,
          'TranslateY': 0.45}
  blends = ('Color', 'Contrast', 'Brightness', 'Sharpness')
  for upwards, blend in ((False, 0.1), (True, 1.9)):
    found = _magnitudes(1., upwards)
    for name, value in {**ends, **dict.fromkeys(blends, blend)}.items():
      assert abs(found[name]) == pytest.approx(value, abs=1e-6), name
    assert {*ends, *blends, *NO_MAGNITUDE} == set(RAND_AUGMENT_OPS)


def test_strength_between():
  found = _magnitudes(0.9, False)
  # Posterize: int(0.9 * 4) = 3 of 8 bits go.
  wanted = {'Rotate': -27, 'Solarize': 25.6, 'Posterize': 5, 'ShearX': -0.27, 'TranslateY': -0.405, 'Color': 0.19}
  assert {name: found[name] for name in wanted} == pytest.approx(wanted, rel=1e-5)
  assert _magnitudes(0.24, True)['Posterize'] == 8
  assert _magnitudes(0.5, True)['Sharpness'] == pytest.approx(1.45)


@pytest.fixture(name='drawn')
def drawn_fixture(monkeypatch):
  """A function that calls an augmenter on many images and returns what it would apply: o, y, strength [B, K]."""
  @functools.partial(jax.jit, static_argnums=0)
  def draw(augment):
    seen = []

    def record(images, o, y, strength, key, *, ops):
      assert ops == RAND_AUGMENT_OPS
      seen.extend((o, y, strength))
      return images

    monkeypatch.setattr(baselines, 'apply_each', record)
    augment(jax.random.key(0), jnp.zeros((28_000, 1, 1, 1)))
    return seen

  return lambda augment: [np.asarray(x) for x in draw(augment)]


def _uniform(values, n):
  """Whether counts are uniform over range(n): chi-square within five deviations of its mean (1 in 10^4 fails)."""
  counts, expected = np.bincount(values.ravel(), minlength=n), values.size / n
  return ((counts - expected) ** 2 / expected).sum() < n - 1 + 5 * np.sqrt(2 * (n - 1))


def test_trivial_augment_draws_one_operation_and_one_of_31_strengths(drawn):
  o, y, strength = drawn(baselines.trivial_augment())
  assert o.shape == (28_000, 1) and (y == 1).all() and _uniform(o, 14)
  level = strength[o == RAND_AUGMENT_OPS.index('Solarize')] * 30
  np.testing.assert_allclose(level, np.round(level), atol=1e-4)
  assert _uniform(np.round(level).astype(int), 31)
  blend = strength[o == RAND_AUGMENT_OPS.index('Color')]
  assert len(np.unique(np.round(blend, 5))) == 61 and 0.45 < (blend > 0.5).mean() < 0.55
  assert set(np.unique(strength[o == RAND_AUGMENT_OPS.index('Posterize')])) == {0, 0.25, 0.5, 0.75, 1}


def test_rand_augment_draws_n_operations_at_one_magnitude(drawn):
  o, y, strength = drawn(baselines.rand_augment(3, 5))
  assert o.shape == (28_000, 3) and (y == 1).all()
  assert all(_uniform(o[:, k], 14) for k in range(3)) and _uniform(o[:, 0] * 14 + o[:, 1], 196)
  np.testing.assert_allclose(np.unique(np.abs(strength[o == RAND_AUGMENT_OPS.index('Brightness')] - 0.5)), 0.25)
  np.testing.assert_allclose(strength[o == RAND_AUGMENT_OPS.index('Solarize')], 0.5)
  assert drawn(baselines.rand_augment())[0].shape == (28_000, 2)


@pytest.mark.parametrize('n,m', ((0, 9), (1.5, 9), (2, -1), (2, 10.5), (2, float('nan'))))
def test_rand_augment_refuses_other_numbers(n, m):
  with pytest.raises(ValueError, match='n must be a whole number'):
    baselines.rand_augment(n, m)


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
  assert (len(np.unique(results[0], axis=0)) > BATCH // 2) == changes  # of one image, so the operations differ
  with pytest.raises(TypeError):
    augment(jax.random.key(0), IMAGES.astype(np.int32))


def test_identity_keeps_every_byte():
  every = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
  result = baselines.identity()(jax.random.key(0), every)
  assert result.dtype == jnp.uint8
  np.testing.assert_array_equal(result, every)


def test_only_none_goes_without_standard_preprocessing():
  assert {name for name, row in BASELINES.items() if not row.standard_preprocessing} == {'none'}
