"""The distribution over policies against enumeration, hand-derived values and gradients, and sampled frequencies."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.policies import categorical
from daas_jax.policies.categorical import Policy, SHARES, Space

OPS = ('Rotate', 'Invert', 'Solarize')


@pytest.fixture(autouse=True)
def float64():
  with jax.enable_x64(True):
    yield


def _space(share, K=2):
  return Space(OPS, K, 4, share)


def _gamma(space, scale=1.5):
  """Far from the start, where every entry is nearly the same and an error in an index would hide."""
  rng = np.random.default_rng(7)
  zeros = categorical.init(jax.random.key(0), space)
  return jax.tree.map(lambda x: jnp.asarray(scale * rng.normal(size=x.shape)), zeros)


@functools.partial(jax.jit, static_argnums=2)
def _log_probs(gamma, policies, space):
  return jax.vmap(lambda policy: categorical.log_prob(gamma, policy, space))(policies)


def _softmax(x):
  e = np.exp(x - x.max())
  return e / e.sum()


def _index(space, o, k):
  """Where p of slot k is in its table: written out, not taken from the module."""
  return {'policy': (*o, k), 'slot': (k, o[k]), 'op': (o[k],)}[space.share]


def _by_hand(gamma, space, o, y, m):
  """log p(Gamma) and its gradient, slot by slot (DAAS Eq. 4)."""
  gamma = {key: np.asarray(value) for key, value in gamma.items()}
  value, grad = 0., {key: np.zeros_like(array) for key, array in gamma.items()}
  for k in range(space.K):
    at = _index(space, o, k)
    pi, p, delta = _softmax(gamma['pi'][k]), 1 / (1 + np.exp(-gamma['p'][at])), _softmax(gamma['delta'][at])
    value += np.log(pi[o[k]]) + (np.log(p * delta[m[k]]) if y[k] else np.log(1 - p))
    grad['pi'][k] += np.eye(len(pi))[o[k]] - pi
    grad['p'][at] += y[k] - p
    grad['delta'][at] += y[k] * (np.eye(len(delta))[m[k]] - delta)
  return value, grad


@pytest.mark.parametrize('K', (1, 2, 3))
@pytest.mark.parametrize('share', SHARES)
def test_probabilities_of_all_policies_sum_to_one(share, K):
  space = _space(share, K)
  gamma, policies = _gamma(space), categorical.enumerate_policies(space)
  log_p = _log_probs(gamma, policies, space)
  assert policies.o.shape == ((3 * (1 + 4)) ** K, K)
  assert len(np.unique(np.concatenate(policies, axis=1), axis=0)) == len(log_p)
  np.testing.assert_allclose(np.exp(log_p).sum(), 1, atol=1e-12)


@pytest.mark.parametrize('share', SHARES)
def test_log_prob_and_its_gradient_are_those_derived_by_hand(share):
  space = _space(share)
  gamma, policies = _gamma(space), categorical.enumerate_policies(space)
  value_and_grad = jax.value_and_grad(categorical.log_prob)
  values, grads = jax.jit(jax.vmap(lambda policy: value_and_grad(gamma, policy, space)))(policies)
  wanted = [_by_hand(gamma, space, *row) for row in zip(*map(np.asarray, policies))]
  np.testing.assert_allclose(values, [value for value, _ in wanted], rtol=1e-12)
  for key in gamma:
    np.testing.assert_allclose(grads[key], [grad[key] for _, grad in wanted], atol=1e-12, err_msg=key)


@pytest.mark.parametrize('share', SHARES)
def test_level_matters_only_where_the_operation_is_applied(share):
  space = _space(share)
  gamma = _gamma(space)

  @jax.jit
  def value_and_grad(policy):
    return jax.value_and_grad(categorical.log_prob)(gamma, policy, space)

  def at(y, m):
    return value_and_grad(Policy(np.array([2, 0]), np.array(y), np.array(m)))

  value, grad = at([0, 1], [0, 1])
  other, other_grad = at([0, 1], [3, 1])
  assert value == other
  jax.tree.map(np.testing.assert_array_equal, grad, other_grad)
  assert at([0, 1], [0, 2])[0] != value


@pytest.mark.parametrize('logit', (-800., 800.))
def test_certain_choices_have_finite_gradients(logit):
  space = _space('policy')
  gamma = {**_gamma(space), 'p': jnp.full((3, 3, 2), logit)}
  for y in (0, 1):
    grad = jax.grad(categorical.log_prob)(gamma, Policy(*jnp.array([[0, 1], [y, y], [2, 3]])), space)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(grad))


@pytest.mark.parametrize('share', SHARES)
def test_samples_are_as_frequent_as_log_prob_says(share):
  space, draws = _space(share), 100_000
  gamma, policies = _gamma(space, 0.5), categorical.enumerate_policies(space)

  def number(policy):  # of the event, counted by slot and then o, y, m; m is part of it only where y = 1
    of_slot = policy.o * (1 + space.levels) + policy.y * (1 + policy.m)
    return of_slot[..., 0] * len(OPS) * (1 + space.levels) + of_slot[..., 1]

  np.testing.assert_array_equal(np.sort(number(policies)), np.arange(225))
  with jax.enable_x64(False):  # as in use
    keys = jax.random.split(jax.random.key(1), draws)
    samples = jax.jit(jax.vmap(lambda key: categorical.sample(key, jax.tree.map(jnp.float32, gamma), space)))(keys)
  assert {x.dtype for x in samples} == {np.dtype('int32')}
  counts = np.bincount(number(samples), minlength=225)[number(policies)]
  expected = draws * np.exp(_log_probs(gamma, policies, space))
  assert expected.min() > 5  # else the statistic is not chi-square
  # Chi-square with 224 degrees of freedom: mean 224, standard deviation 21; beyond five of them, 1 in 10^5.
  assert ((counts - expected) ** 2 / expected).sum() < 224 + 5 * np.sqrt(2 * 224)


def test_sample_depends_on_the_key_alone():
  space = _space('policy')
  gamma = _gamma(space)
  sample = jax.jit(lambda key: categorical.sample(key, gamma, space))
  one, same = (sample(jax.random.key(3)) for _ in range(2))
  jax.tree.map(np.testing.assert_array_equal, one, same)
  assert len({str(sample(jax.random.key(i))) for i in range(8)}) > 4


@pytest.mark.parametrize('share,shape', (('policy', (15, 15, 2)), ('slot', (2, 15)), ('op', (15,))))
def test_init(share, shape):
  gamma = jax.jit(lambda key: categorical.init(key, Space(share=share), p0=0.35))(jax.random.key(0))
  assert {key: value.shape for key, value in gamma.items()} == {
      'pi': (2, 15), 'p': shape, 'delta': (*shape, 10)}
  np.testing.assert_allclose(jax.nn.sigmoid(gamma['p']), 0.35, rtol=1e-12)
  for key in ('pi', 'delta'):
    # The deviation of n >= 30 normals is within 1 +- 5 / sqrt(2 n) but for 1 in 10^6.
    assert abs(np.std(gamma[key]) / 1e-3 - 1) < 5 / np.sqrt(2 * gamma[key].size)
  assert len(np.unique(np.concatenate([gamma['pi'].ravel(), gamma['delta'].ravel()]))) == (
      gamma['pi'].size + gamma['delta'].size)


def test_init_starts_at_one_half():
  np.testing.assert_array_equal(categorical.init(jax.random.key(0), _space('op'))['p'], 0)


@pytest.mark.parametrize('share', SHARES)
def test_table_holds_every_tuple_of_operations_likeliest_first(share):
  space = _space(share)
  gamma = _gamma(space)
  table = categorical.table(gamma, space)
  assert sorted(map(tuple, table['o'])) == list(itertools.product(range(3), repeat=2))
  assert (np.diff(table['probability']) <= 0).all()
  np.testing.assert_allclose(table['probability'].sum(), 1, atol=1e-12)
  # Its probability is that of all events with these operations, whether applied and at whatever level.
  policies = categorical.enumerate_policies(space)
  event = np.exp(_log_probs(gamma, policies, space))
  for o, probability, p, m in zip(*(table[key] for key in ('o', 'probability', 'p', 'm'))):
    np.testing.assert_allclose(probability, event[(np.asarray(policies.o) == o).all(1)].sum(), rtol=1e-12)
    for k in range(2):
      at = _index(space, o, k)
      np.testing.assert_allclose(p[k], 1 / (1 + np.exp(-gamma['p'][at])), rtol=1e-12)
      assert m[k] == np.argmax(gamma['delta'][at])


def test_strength_runs_from_zero_to_one():
  assert [categorical.strength(m, Space(levels=3)) for m in range(3)] == [0, 0.5, 1]
  assert categorical.strength(0, Space(levels=1)) == 0


def test_entropy_of_the_operations():
  gamma = {'pi': jnp.array([[0., 0., 0.], [np.log(2.), 0., 0.], [800., 0., 0.]])}
  np.testing.assert_allclose(categorical.entropy_pi(gamma), [np.log(3), 1.5 * np.log(2), 0], atol=1e-12)


@pytest.mark.parametrize('share', SHARES)
@pytest.mark.parametrize('K', [1, 2, 3])
def test_marginals_are_sums_over_the_enumerated_space(share, K):
  space = _space(share, K)
  gamma = _gamma(space)
  events = categorical.enumerate_policies(space)
  p = np.exp(jax.vmap(lambda policy: categorical.log_prob(gamma, policy, space))(events))
  delta = jax.vmap(lambda o: jax.nn.softmax(categorical.rows(gamma, o, space)[1]))(events.o)  # [events, K, M]
  mean = np.asarray(delta @ (jnp.arange(4) / 3))
  found = categorical.marginals(gamma, space)
  for k, n in itertools.product(range(K), range(3)):
    of = np.asarray(events.o[:, k] == n)
    chosen, applied = p[of].sum(), p[of & np.asarray(events.y[:, k] == 1)].sum()
    wanted = chosen, applied / chosen, (p * mean[:, k])[of].sum() / chosen
    np.testing.assert_allclose([found[x][k, n] for x in ('probability', 'applied', 'strength')], wanted, rtol=1e-9)


def test_one_policy_for_all_is_each_images_own_when_all_are_alike():
  """Signs and places are of each image either way."""
  space = Space(('Rotate', 'ShearX', 'Brightness'), K=2, levels=5)
  images = jax.random.uniform(jax.random.key(0), (4, 8, 8, 1))
  augment = jax.jit(functools.partial(categorical.augment_each, space=space))
  for y in ((1, 1), (0, 1), (0, 0)):
    one = Policy(jnp.array([0, 2]), jnp.array(y), jnp.array([3, 4]))
    alike = jax.tree.map(lambda a: jnp.broadcast_to(a, (4, 2)), one)
    got, expected = (augment(images, policy, jax.random.key(1)) for policy in (one, alike))
    np.testing.assert_allclose(got, expected, atol=1e-6)
    assert bool(jnp.any(got != images)) == any(y)
