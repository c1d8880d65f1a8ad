"""A policy on a batch against a loop over slots and images; only the operation that is taken is computed."""

import functools

import jax
from jax.extend import core
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment.apply import apply_each, apply_mixture, apply_policy
from daas_jax.augment.ops import magnitude, OPS

NAMES = tuple(OPS)
BATCH, SLOTS = 4, 2
# Inside a switch XLA fuses differently than around one operation: float32 rounding, in values of [0, 1].
FUSION = 2e-6


@pytest.fixture(name='images', scope='module')
def images_fixture():
  return jnp.asarray(np.random.default_rng(0).integers(0, 256, (BATCH, 12, 16, 3)) / 255, jnp.float32)


@functools.cache
def _compiled(name):
  return jax.jit(OPS[name].fn)


def _loop(images, o, y, strength, keys):
  """o, y, strength [B, K], keys [K][B]: every image and slot on its own."""
  images = list(images)
  for k in range(o.shape[1]):
    before = images
    images = []
    for b, image in enumerate(before):
      name = NAMES[o[b, k]]
      pair = (before[b - 1],) * OPS[name].pairs
      value = np.float32(magnitude(name, strength[b, k]))
      images.append(_compiled(name)(image, value, keys[k][b], *pair) if y[b, k] else image)
  return np.stack(images)


def _tile(values):
  return np.tile(np.asarray(values), (BATCH, 1))


def _image_keys(key):
  return [jax.random.split(jax.random.fold_in(key, k), BATCH) for k in range(SLOTS)]


per_batch = jax.jit(functools.partial(apply_policy, ops=NAMES))
per_image = jax.jit(functools.partial(apply_policy, ops=NAMES, per='image'))
each = jax.jit(functools.partial(apply_each, ops=NAMES))


def _pairs_of_operations():
  """Every operation once in each slot, with varying strengths."""
  for i in range(len(NAMES)):
    yield np.array([i, (7 * i + 3) % len(NAMES)]), np.float32([(i % 10) / 9, ((3 * i + 4) % 10) / 9])


def test_per_batch_equals_a_loop(images):
  for i, (o, strength) in enumerate(_pairs_of_operations()):
    key, y = jax.random.key(i), np.array([1, i % 3 > 0])
    keys = [[jax.random.fold_in(key, k)] * BATCH for k in range(SLOTS)]
    wanted = _loop(images, _tile(o), _tile(y), _tile(strength), keys)
    np.testing.assert_allclose(per_batch(images, o, y, strength, key), wanted, atol=FUSION)


def test_per_image_equals_a_loop(images):
  for i, (o, strength) in enumerate(_pairs_of_operations()):
    key, y = jax.random.key(i), np.random.default_rng(i).integers(0, 2, (BATCH, SLOTS))
    wanted = _loop(images, _tile(o), y, _tile(strength), _image_keys(key))
    np.testing.assert_allclose(per_image(images, o, y, strength, key), wanted, atol=FUSION)


def test_each_equals_a_loop(images):
  for i in range(8):
    rng, key = np.random.default_rng(i), jax.random.key(i)
    o, y = rng.integers(0, len(NAMES), (BATCH, SLOTS)), rng.integers(0, 4, (BATCH, SLOTS)) > 0
    strength = rng.uniform(size=(BATCH, SLOTS)).astype(np.float32)
    wanted = _loop(images, o, y, strength, _image_keys(key))
    np.testing.assert_allclose(each(images, o, y, strength, key), wanted, atol=FUSION)


def test_nothing_applied_is_the_identity(images):
  key, o, strength = jax.random.key(0), np.array([4, 7]), np.float32([1, 1])
  np.testing.assert_array_equal(per_batch(images, o, np.zeros(2, int), strength, key), images)
  np.testing.assert_array_equal(per_image(images, o, np.zeros((BATCH, 2), int), strength, key), images)
  out = each(images, _tile(o), np.zeros((BATCH, 2), int), _tile(strength), key)
  np.testing.assert_array_equal(out, images)


def test_signs_are_shared_per_batch_and_drawn_per_image():
  ramp = jnp.tile(jnp.linspace(0, 1, 16, dtype=jnp.float32)[None, None, :, None], (BATCH, 12, 1, 3))
  o, strength = np.array([NAMES.index('TranslateX'), NAMES.index('Identity')]), np.float32([1, 1])
  shared, own = 0, 0
  for i in range(10):
    batch = np.asarray(per_batch(ramp, o, np.ones(2, int), strength, jax.random.key(i)))
    image = np.asarray(per_image(ramp, o, np.ones((BATCH, 2), int), strength, jax.random.key(i)))
    shared += all(np.array_equal(one, batch[0]) for one in batch)
    own += not all(np.array_equal(one, image[0]) for one in image)
  assert shared == 10
  assert own >= 6  # four images share a sign with probability 1/8


def _primitives(jaxpr):
  """(name, equation) of every equation, those of inner programs included."""
  for eqn in jaxpr.eqns:
    yield eqn.primitive.name, eqn
    for inner in core.jaxprs_in_params(eqn.params):
      yield from _primitives(inner)


def test_only_the_taken_operation_is_computed(images):
  o, strength, key = jnp.zeros(2, int), jnp.ones(2), jax.random.key(0)
  ones = jnp.ones((BATCH, 2))
  for per, y, branches in (('batch', ones[0], len(NAMES) + 1), ('image', ones, len(NAMES))):
    run = functools.partial(apply_policy, ops=NAMES, per=per)
    found = list(_primitives(jax.make_jaxpr(run)(images, o, y, strength, key).jaxpr))
    switches = [eqn for name, eqn in found if name == 'cond']
    assert [len(eqn.params['branches']) for eqn in switches] == [branches] * SLOTS
    assert all(eqn.invars[0].aval.shape == () for eqn in switches)
    assert not [eqn for name, eqn in found if name == 'select_n' and len(eqn.invars) > 3]
  # The same test sees the batched switch of apply_each, which does compute every branch.
  run = functools.partial(apply_each, ops=NAMES)
  wide = jax.make_jaxpr(run)(images, jnp.zeros((BATCH, 2), int), ones, ones, key)
  assert [eqn for name, eqn in _primitives(wide.jaxpr) if name == 'select_n' and len(eqn.invars) > 3]


def test_strength_has_a_derivative(images):
  names = ('Rotate', 'Posterize', 'Brightness')

  def loss(strength, o):
    return jnp.sum(apply_policy(images, o, jnp.ones(2), strength, jax.random.key(0), ops=names) ** 2)

  slope = jax.jit(jax.grad(loss))
  strength = jnp.float32([0.7, 0.3])
  assert np.all(np.abs(slope(strength, jnp.array([0, 2]))) > 1e-3)
  # A later operation that rounds passes the derivative on to an earlier one, and has none by its own
  # magnitude.
  first, second = slope(strength, jnp.array([2, 1]))
  assert abs(first) > 1e-3 and second == 0


@pytest.mark.parametrize('per', ['batch', 'image'])
def test_keeps_dtype_with_either_kind_of_key(images, per):
  with jax.enable_x64(True):
    wide = jnp.asarray(images[..., :1], jnp.float64)
    y = jnp.ones(2 if per == 'batch' else (BATCH, 2), int)
    for key in (jax.random.key(0), jax.random.PRNGKey(0)):
      out = jax.eval_shape(functools.partial(apply_policy, ops=NAMES, per=per), wide, jnp.zeros(2, int), y,
                           jnp.ones(2, jnp.float32), key)
      assert out.dtype == jnp.float64 and out.shape == wide.shape


def test_bad_arguments_say_what_is_allowed(images):
  o, y, strength, key = np.zeros(2, int), np.ones(2, int), np.ones(2, np.float32), jax.random.key(0)
  one_line = '[^\n]*$'
  with pytest.raises(ValueError, match="^per must be 'batch' or 'image', got 'pixel'$"):
    apply_policy(images, o, y, strength, key, ops=NAMES, per='pixel')
  with pytest.raises(ValueError, match="^unknown operations 'Bluur'; known are ShearX" + one_line):
    apply_policy(images, o, y, strength, key, ops=('Rotate', 'Bluur'))
  with pytest.raises(ValueError, match='^ops is empty; known are ShearX' + one_line):
    apply_each(images, _tile(o), _tile(y), _tile(strength), key, ops=())
  with pytest.raises(ValueError, match=r'^y must have shape \(4, 2\), got \(2,\)$'):
    apply_policy(images, o, y, strength, key, ops=NAMES, per='image')
  with pytest.raises(TypeError, match=r'^images must be floating with values in \[0, 1\], got uint8' + one_line):
    apply_policy((255 * images).astype(jnp.uint8), o, y, strength, key, ops=NAMES)
  with pytest.raises(ValueError, match=r'must have values in \[0, 1\], got 0 to ' + one_line):
    apply_each(images * np.float32(255), _tile(o), _tile(y), _tile(strength), key, ops=NAMES)
  with pytest.raises(TypeError, match='got int32'):
    apply_mixture((255 * images).astype(jnp.int32), jnp.ones((1, 1)), jnp.ones(1), jnp.ones((1, 2)), key, ops=('Rotate',))


def test_a_mixture_at_one_hot_weights_is_the_policy(images):
  names, levels = ('Rotate', 'Invert', 'Solarize', 'Cutout'), 3
  mixture = jax.jit(functools.partial(apply_mixture, ops=names))
  policy = jax.jit(functools.partial(apply_policy, ops=names))
  for i, (o, y, m) in enumerate([([0, 2], [1, 1], [2, 0]), ([3, 1], [1, 0], [1, 1]), ([1, 0], [0, 1], [0, 1])]):
    o, y, m, key = np.array(o), np.array(y), np.array(m), jax.random.key(i)
    wanted = policy(images, o, y, np.float32(m / (levels - 1)), key)
    found = mixture(images, jnp.eye(4)[o], jnp.asarray(y, jnp.float32), jnp.eye(levels)[m], key)
    np.testing.assert_allclose(found, wanted, atol=FUSION)


def test_the_derivative_in_a_weight_of_a_mixture_is_the_image_it_brings_in(images):
  names, key = ('Rotate', 'Invert'), jax.random.key(0)
  one = lambda o, m: apply_policy(images, np.array([o]), np.array([1]), np.float32([m]), key, ops=names)
  f = lambda w: apply_mixture(images, w, jnp.ones(1), jnp.array([[0.0, 1.0]]), key, ops=names)
  slope = jax.jvp(f, (jnp.array([[1.0, 0.0]]),), (jnp.array([[0.0, 1.0]]),))[1]
  np.testing.assert_allclose(slope, one(1, 1.0), atol=FUSION)
