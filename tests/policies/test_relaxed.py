"""Relaxed policies against `apply_policy` where they are not relaxed, and against finite differences where they are."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment.apply import apply_policy
from daas_jax.augment.ops import magnitude, OPS
from daas_jax.errors import BadInput
from daas_jax.policies import found, relaxed
from daas_jax.policies import table as policy_table

# Kashima et al., Experiments: the names as the paper prints them.
PRINTED = {'shear X': 'ShearX', 'shear Y': 'ShearY', 'translate X': 'TranslateX', 'translate Y': 'TranslateY',
           'rotate': 'Rotate', 'auto contrast': 'AutoContrast', 'horizontal flip': 'HorizontalFlip', 'invert': 'Invert',
           'equalize': 'Equalize', 'solarize': 'Solarize', 'posterize': 'Posterize', 'contrast': 'Contrast',
           'color': 'Color', 'brightness': 'Brightness', 'sharpness': 'Sharpness', 'sample pairing': 'SamplePairing'}
LISTED = {'AutoContrast', 'HorizontalFlip', 'Invert', 'Equalize', 'Solarize', 'Posterize'}  # as the docstring has them
SATURATED = relaxed.Space(L=1)
# Inside another program XLA fuses differently: float32 rounding, in values of [0, 1].
FUSION = 2e-6
WARM = 0.7  # of the relaxed Bernoulli variables where derivatives are tested: at 0.1 most of them are nearly 0


def _images(batch=4, height=9, width=12, dtype=np.float32):
  return jnp.asarray(np.random.default_rng(0).uniform(size=(batch, height, width, 3)), dtype)


def _value_and_grad(space, readout, key):
  """(gamma, images) -> (sum of readout * images out, its gradients by gamma and images), compiled."""
  def value(gamma, images):
    return jnp.sum(readout * relaxed.apply(gamma, space, images, key))
  return jax.jit(jax.value_and_grad(value, (0, 1)))


@functools.cache
def _apply(space):
  return jax.jit(lambda gamma, images, key: relaxed.apply(gamma, space, images, key))


def test_operations_are_the_papers_and_in_the_table():
  assert relaxed.OPERATIONS == tuple(PRINTED.values())
  assert len(set(relaxed.OPERATIONS)) == 16 and set(relaxed.OPERATIONS) <= set(OPS)
  assert 'TranslateX' in relaxed.OPERATIONS and 'Cutout' not in relaxed.OPERATIONS


def test_straight_through_are_those_without_a_derivative():
  image, partner = _images(2)

  def total(strengths):
    pair = lambda name: (partner,) * OPS[name].pairs
    return sum(jnp.sum(OPS[name].fn(image, magnitude(name, strengths[name]), jax.random.key(0), *pair(name)))
               for name in OPS)

  slopes = jax.jit(jax.grad(total))({name: 0.63 for name in OPS})
  assert {name for name in OPS if relaxed.straight_through(name)} == {name for name in OPS if slopes[name] == 0}
  assert {name for name in relaxed.OPERATIONS if relaxed.straight_through(name)} == LISTED
  assert all(name in relaxed.__doc__ for name in LISTED)


def test_a_saturated_policy_is_that_policy():
  per_image = jax.jit(functools.partial(apply_policy, ops=SATURATED.ops, per='image'))
  images = _images()
  for i in range(16):
    o, y, key = np.array([i, (7 * i + 3) % 16]), np.array([i % 4 > 0, i % 3 > 0]), jax.random.key(i)
    mu = np.random.default_rng(i).uniform(size=(1, 2, 16)).astype(np.float32)
    p = np.full((1, 2, 16), 0.5, np.float32)  # of the operations that are not chosen
    p[0, [0, 1], o] = y
    z = 20 * np.eye(16, dtype=np.float32)[o][None]
    wanted = per_image(images, o, np.tile(y, (len(images), 1)), mu[0, [0, 1], o], jax.random.split(key, 3)[2])
    found = _apply(SATURATED)({'z': z, 'p': p, 'mu': mu}, images, key)
    np.testing.assert_allclose(found, wanted, atol=FUSION, err_msg=str(o))


def test_nothing_applied_is_the_identity():
  gamma = relaxed.init(jax.random.key(0), SATURATED)
  gamma['p'] = jnp.zeros_like(gamma['p'])
  images = _images()
  found = _apply(SATURATED)(gamma, images, jax.random.key(1))
  np.testing.assert_allclose(found, images, atol=1e-7)
  assert np.abs(_apply(SATURATED)(gamma | {'p': gamma['p'] + 0.5}, images, jax.random.key(1)) - images).max() > 0.1


def test_every_image_draws_a_sub_policy():
  space = relaxed.Space(('Invert',), K=1, L=3)
  gamma = {'z': jnp.zeros((3, 1, 1)), 'p': jnp.array([0.0, 1.0, 0.0])[:, None, None], 'mu': jnp.zeros((3, 1, 1))}
  images = jnp.zeros((3000, 1, 1, 1))
  run = jax.jit(lambda key: relaxed.apply(gamma, space, images, key))
  inverted = np.asarray(run(jax.random.key(0))).ravel()
  assert set(inverted) == {0.0, 1.0}
  assert abs(inverted.mean() - 1 / 3) < 4 * np.sqrt(2 / 9 / 3000)
  assert not np.array_equal(inverted, np.asarray(run(jax.random.key(1))).ravel())


# --- gradients ----------------------------------------------------------------------------------------------


def _numeric(value, gamma, name, step=1e-6):
  """Central differences of value(gamma) in every entry of one leaf."""
  out, x = np.zeros(gamma[name].shape), np.array(gamma[name])
  for at in itertools.product(*map(range, out.shape)):
    for s in (step, -step):
      moved = x.copy()
      moved[at] += s
      out[at] += value(gamma | {name: moved}) / (2 * s)
  return out


def _point(space, seed, *size):
  """gamma away from 0 and 1, a readout, a key; logits so near to each other that every operation counts."""
  rng = np.random.default_rng(seed)
  images = _images(3, *size, dtype=np.float64)
  draw = lambda low, high: rng.uniform(low, high, (space.L, space.K, len(space.ops)))
  gamma = {'z': draw(0, 0.05), 'p': draw(0.3, 0.7), 'mu': draw(0.1, 0.9)}
  return gamma, images, rng.normal(size=images.shape), jax.random.key(seed)


def test_gradients_of_all_operations_in_one_slot(x64):
  space = relaxed.Space(K=1, L=2, bernoulli_temperature=WARM)
  gamma, images, readout, key = _point(space, 1, 16, 17)  # smaller ones Equalize leaves as they are
  run = _value_and_grad(space, readout, key)
  found = run(gamma, images)[1][0]
  true = np.array([not relaxed.straight_through(name) for name in space.ops])
  for name in ('z', 'p', 'mu'):
    numeric = _numeric(lambda g: run(g, images)[0], gamma, name)
    columns = true if name == 'mu' else np.ones(16, bool)
    np.testing.assert_allclose(found[name][..., columns], numeric[..., columns], rtol=1e-5, atol=1e-7, err_msg=name)
    assert (np.abs(numeric[..., columns]).max((0, 1)) > 1e-4).all(), name
    assert name != 'mu' or (numeric[..., ~true] == 0).all()
  # What the docstring says of the others: dO / dmu = 1 for every value of the image.
  key_l, key_b, _ = jax.random.split(key, 3)
  l = np.asarray(jax.random.randint(key_l, (3,), 0, 2))
  b = relaxed.relaxed_bernoulli(key_b, gamma['p'][l], WARM)
  weight = np.asarray(jax.nn.softmax(gamma['z'] / 0.05)[l] * b)[:, 0]
  wanted = np.zeros((2, 16))
  for i in range(3):
    wanted[l[i]] += weight[i] * np.sum(readout[i])
  np.testing.assert_allclose(found['mu'][:, 0, ~true], wanted[:, ~true], rtol=1e-9)
  assert (np.abs(wanted[:, ~true]).max(0) > 1e-4).all()


def test_gradients_through_both_slots_and_by_the_image(x64):
  smooth = ('Rotate', 'TranslateX', 'Contrast', 'Sharpness', 'SamplePairing')
  names = (*smooth, 'Invert', 'HorizontalFlip')
  space = relaxed.Space(names, L=2, bernoulli_temperature=WARM)
  gamma, images, readout, key = _point(space, 2)
  run = _value_and_grad(space, readout, key)
  found, by_image = run(gamma, images)[1]
  for name in gamma:
    numeric = _numeric(lambda g: run(g, images)[0], gamma, name)
    columns = slice(len(smooth)) if name == 'mu' else slice(None)
    np.testing.assert_allclose(found[name][..., columns], numeric[..., columns], rtol=1e-5, atol=1e-7, err_msg=name)
    assert (np.abs(numeric[..., columns]).max(0) > 1e-4).all()
  direction = np.random.default_rng(3).normal(size=images.shape)
  move = lambda s: run(gamma, images + s * direction)[0]
  numeric = (move(1e-6) - move(-1e-6)) / 2e-6
  np.testing.assert_allclose(np.sum(by_image * direction), numeric, rtol=1e-6)


def test_relaxed_bernoulli():
  p = jnp.tile(jnp.array([0.0, 1e-3, 0.2, 0.7, 1.0]), (20_000, 1))
  run = lambda p: relaxed.relaxed_bernoulli(jax.random.key(0), p, 0.1)
  b, slope = jax.jit(lambda p: (run(p), jax.grad(lambda p: jnp.sum(run(p)))(p)))(p)
  above = np.mean(np.asarray(b) > 0.5, 0)  # with probability p, whatever the temperature
  assert (np.abs(above - p[0]) <= 4 * np.sqrt(p[0] * (1 - p[0]) / len(p))).all()
  assert (b[:, 0] == 0).all() and (b[:, 4] == 1).all() and (b >= 0).all() and (b <= 1).all()
  assert np.isfinite(slope).all() and (slope[:, [0, 4]] == 0).all() and (slope[:, 1:4] >= 0).all()
  assert (slope.max(0)[1:4] > 0).all()
  with jax.enable_x64(True):
    g, p = jax.random.logistic(jax.random.key(1), (), jnp.float64), 0.3
    wanted = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + g) / 0.5))
    np.testing.assert_allclose(relaxed.relaxed_bernoulli(jax.random.key(1), jnp.asarray(p), 0.5), wanted, rtol=1e-12)


# --- parameters and tables ----------------------------------------------------------------------------------


def test_start_and_projection():
  gamma = relaxed.init(jax.random.key(0), relaxed.Space())
  assert {name: x.shape for name, x in gamma.items()} == {name: (10, 2, 16) for name in ('z', 'p', 'mu')}
  for x in gamma.values():
    assert 0 <= x.min() < 0.02 and 0.98 < x.max() < 1 and abs(x.mean() - 0.5) < 4 / np.sqrt(12 * 320)
  assert not np.array_equal(gamma['p'], gamma['mu'])
  moved = relaxed.project({name: jnp.array([-3.0, 0.4, 7.0]) for name in gamma})
  np.testing.assert_allclose(moved['z'], [-3, 0.4, 7])
  np.testing.assert_allclose(moved['p'], [1e-3, 0.4, 0.999])
  np.testing.assert_allclose(moved['mu'], [0, 0.4, 1])


SMALL = relaxed.Space(('Rotate', 'Invert', 'Solarize'), K=2, L=2, selection_temperature=0.5)


def _small_gamma():
  rng = np.random.default_rng(4)
  gamma = {name: jnp.asarray(rng.uniform(size=(2, 2, 3)), jnp.float32) for name in ('z', 'p', 'mu')}
  gamma['z'] = gamma['z'].at[0, 0, 1].set(-9.0)  # e^-18 or so: its three rows are left out
  return gamma


def test_table_is_the_distribution_and_reloads(tmp_path):
  gamma = _small_gamma()
  g = {name: np.asarray(x, np.float64) for name, x in gamma.items()}
  rows = {}
  for l, a, b in itertools.product(range(2), range(3), range(3)):
    q = [np.exp(z / 0.5) / np.sum(np.exp(z / 0.5)) for z in g['z'][l]]
    rows[l, a, b] = q[0][a] * q[1][b] / 2
  kept = {at: x for at, x in rows.items() if x >= 1e-6}
  assert len(kept) == 15 and set(rows) - set(kept) == {(0, 1, b) for b in range(3)}
  table = relaxed.table(gamma, SMALL)
  order = sorted(kept, key=lambda at: -kept[at])
  total = sum(kept.values())
  np.testing.assert_allclose(table['probability'], [kept[at] / total for at in order], rtol=1e-6)
  np.testing.assert_array_equal(table['o'], [at[1:] for at in order])
  pick = lambda name: np.array([[g[name][l, 0, a], g[name][l, 1, b]] for l, a, b in order])
  np.testing.assert_allclose(table['p'], pick('p'), rtol=1e-6)
  np.testing.assert_array_equal(table['m'], np.rint(1000 * pick('mu')))
  path = str(tmp_path / 'policy.json')
  policy_table.save(path, table, relaxed.table_space(SMALL))
  loaded = policy_table.load(path, SMALL.ops)
  assert loaded.ops == SMALL.ops and loaded.K == 2 and loaded.levels == 1001
  np.testing.assert_allclose(loaded.probability.sum(), 1, rtol=1e-12)
  np.testing.assert_allclose(loaded.strength, pick('mu'), atol=5.1e-4)
  np.testing.assert_allclose(loaded.p, table['p'], atol=1e-8)
  np.testing.assert_array_equal(loaded.o, table['o'])


def test_table_of_the_paper_sums_to_one():
  space = relaxed.Space()
  table = relaxed.table(relaxed.init(jax.random.key(3), space), space)
  assert 100 < len(table['probability']) <= 10 * 16 ** 2
  np.testing.assert_allclose(table['probability'].sum(), 1, rtol=1e-12)
  assert table['probability'].min() >= 1e-6 and (np.diff(table['probability']) <= 0).all()
  assert isinstance(relaxed.table_space(space), policy_table.Header)


def test_marginals_are_those_of_the_table():
  gamma, space = _small_gamma(), SMALL
  found, table = relaxed.marginals(gamma, space), relaxed.table(gamma, space)
  for k in range(2):
    by_table = [table['probability'][table['o'][:, k] == n].sum() for n in range(3)]
    np.testing.assert_allclose(found['probability'][k], by_table, atol=1e-6)
  np.testing.assert_allclose(found['applied'], np.mean(gamma['p'], 0), rtol=1e-6)
  np.testing.assert_allclose(found['strength'], np.mean(gamma['mu'], 0), rtol=1e-6)


def test_measures():
  even = {'z': jnp.zeros((2, 2, 3)), 'p': jnp.full((2, 2, 3), 0.25), 'mu': jnp.full((2, 2, 3), 0.75)}
  found = relaxed.measures(even, SMALL)
  assert found == {'entropy_z': pytest.approx(np.log(3)), 'p': pytest.approx(0.25), 'mu': pytest.approx(0.75)}
  certain = even | {'z': even['z'].at[0, :, 1].set(1e4)}  # of one of the two sub-policies
  assert relaxed.measures(certain, SMALL)['entropy_z'] == pytest.approx(np.log(3) / 2)
  assert all(type(x) is float for x in found.values())


@pytest.mark.parametrize('space, word', [
    (relaxed.Space(('Rotate', 'Twist')), "'Twist'"), (relaxed.Space(()), 'at least one'),
    (relaxed.Space(('Rotate', 'Rotate')), 'once'), (relaxed.Space(K=0), 'K = 0'), (relaxed.Space(L=0), 'L = 0'),
    (relaxed.Space(selection_temperature=0.0), 'selection_temperature'),
    (relaxed.Space(bernoulli_temperature=float('nan')), 'bernoulli_temperature')])
def test_a_wrong_space_is_refused_in_one_line(space, word):
  with pytest.raises(BadInput, match=word) as caught:
    relaxed.init(jax.random.key(0), space)
  assert '\n' not in str(caught.value)


def test_a_training_draws_for_eight_images(tmp_path):
  """16 chunks of a batch of 128, as Faster AutoAugment's code does."""
  space = relaxed.Space(('Invert', 'Brightness'), 1, 2)
  relaxed._write(str(tmp_path / 'policy.json'), relaxed.init(jax.random.key(0), space), space, [])
  assert found.load_policy(tmp_path / 'policy.json').per == 'chunk:8'
