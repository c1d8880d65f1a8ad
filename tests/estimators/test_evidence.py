"""Evidence in blocks, z and verdicts against closed forms; how often chance is taken for a decision."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from daas_jax import config as config_lib
from daas_jax.estimators import evidence, score, unrolled
from daas_jax.methods import optimizers
from daas_jax.policies import categorical, choices


@pytest.mark.parametrize('updates', [1, 255, 256, 257, 512, 513, 1200, 4000])
def test_blocks_are_sums_of_consecutive_updates(updates):
  """Numpy's sums, of whole blocks; 128 to 256 of them from 128 updates on. Each update by the size of those before."""
  x = np.random.default_rng(updates).normal(size=(updates, 3)).astype(np.float32)
  blocks, _ = jax.lax.scan(lambda b, row: (evidence.add(b, {'a': row}), None),
                           evidence.init({'a': jnp.zeros(3)}), jnp.asarray(x))
  sums, length = evidence.whole(blocks)['a'], int(blocks.length)
  n = updates // length
  assert int(blocks.updates) == updates and len(sums) == n and min(updates, 128) <= n <= 256
  sizes = [np.sqrt(np.average((x[:i]**2).mean(1), weights=0.9**np.arange(i)[::-1])) for i in range(1, updates)]
  x = x / np.array([np.inf, *sizes])[:, None]
  np.testing.assert_allclose(sums, x[:n * length].reshape(n, length, 3).sum(1), rtol=1e-3, atol=1e-4)


def test_gradients_of_nothing_leave_nothing():
  """Not even where others follow: what never moved has no size."""
  blocks = evidence.init({'a': jnp.zeros(2)})
  for x in ([0.0, 0.0], [0.0, 0.0], [3.0, -3.0], [1.0, 2.0]):
    blocks = evidence.add(blocks, {'a': jnp.array(x)})
  sums = evidence.whole(blocks)['a']
  assert not sums[:3].any() and np.isfinite(sums).all() and sums[3].all()


def test_z_has_the_probability_of_students_t():
  x = np.random.default_rng(0).normal(0.3, 1.0, (20, 5))
  found = evidence.z_of(x)
  np.testing.assert_allclose(stats.norm.sf(found), stats.ttest_1samp(x, 0, alternative='greater').pvalue, rtol=1e-9)
  np.testing.assert_allclose(evidence.z_of(-x), -found, rtol=1e-9)


def test_z_of_what_never_varies_is_nothing_and_none_is_infinite():
  assert evidence.z_of(np.zeros((20, 2))).tolist() == [0, 0]
  assert evidence.z_of(np.ones((20, 1))).tolist() == [0]
  assert np.isfinite(evidence.z_of(1 + 1e-14 * np.random.default_rng(0).normal(size=(64, 1)))).all()


def test_the_bound_is_bonferronis():
  one = evidence.Choice('', 'abc', np.ones(3) / 3, np.zeros((20, 3)))
  tests, bound = evidence.bound([one, one._replace(never=('a',))])
  assert tests == 3 * 5 and stats.norm.sf(bound) == pytest.approx(0.05 / 15)


def _sums(*means):
  """Block sums of unit spread, exactly, with these means in units of their standard errors."""
  x = np.random.default_rng(0).normal(size=(32, len(means)))
  x = (x - x.mean(0)) / x.std(0, ddof=1)
  return x + np.array(means) / np.sqrt(32)


def _decide(p, helps=None, **rest):
  """Options a, b, c of which b has all the evidence."""
  choice = evidence.Choice('', 'abc', np.array(p), _sums(-9, 18, -9), helps, **rest)
  return evidence.decide(choice, 3.0)


def test_an_option_is_decided_by_evidence_and_probability_together():
  assert _decide([0.2, 0.6, 0.2]).decided == ('b',)
  slight = _decide([0.32, 0.36, 0.32])
  assert slight.decided == () and slight.slight == ('b',)
  assert _decide([0.6, 0.2, 0.2]).decided == ()
  # it gains on the others, which hurt more than nothing does
  assert _decide([0.2, 0.6, 0.2], _sums(-12, -6, -12)).decided == ()
  # all help, and what loses to the others is not found
  assert _decide([0.2, 0.6, 0.2], _sums(12, 12, 12)).decided == ('b',)
  assert _decide([0.6, 0.6, 0.2], _sums(12, 12, 12)).decided == ('b',)


def test_of_an_edge_one_option_is_decided_the_likeliest_that_is_ever_taken():
  assert _decide([0.1, 0.5, 0.4], single=True).decided == ('b',)
  assert _decide([0.55, 0.45, 0.0], single=True).decided == ()
  assert _decide([0.51, 0.49, 0.0], single=True, never=('a',)).slight == ('b',)
  assert _decide([0.49, 0.51, 0.0], single=True, never=('a',)).decided == ('b',)


def test_too_few_blocks_tell_nothing():
  choice = evidence.Choice('', 'ab', np.array([0.9, 0.1]), np.ones((15, 2)) + np.random.default_rng(0).normal(
      scale=1e-3, size=(15, 2)))
  assert evidence.decide(choice, 3.0).z.tolist() == [0, 0]


def test_effective_numbers():
  assert evidence.effective(np.array([[0.25] * 4, [1, 0, 0, 0]])) == pytest.approx([4, 1])
  p = np.array([0.5, 0.3, 0.2])
  assert evidence.effective(p) == pytest.approx(np.exp(stats.entropy(p)))


# --- how often chance is taken for a decision -----------------------------------------------------

SPACE = categorical.Space(('Rotate', 'Invert', 'Solarize', 'Color', 'Contrast', 'Equalize'), 2, 3, 'slot')
STEPS, DRAWN, SEARCHES = 300, (2, 2), 300


def _alignment(key, policy, good):
  """What a policy is rewarded with: skewed noise, and where `good`, more for operation 0 in slot 0."""
  noise = jnp.exp(jax.random.normal(key, policy.y.shape[:-1]))
  return noise + good * ((policy.o[..., 0] == 0) & (policy.y[..., 0] == 1))


@jax.jit
def _program(good, rate):
  """(gamma, `Blocks`) of many searches that see noise, moved by Adam: gradients as the real ones of DAAS."""
  config = config_lib.search_config('daas')
  config.policy.ops, config.policy.share, config.policy.K = SPACE.ops, SPACE.share, SPACE.K
  optimizer = optimizers.keeping(optax.adam(rate, 0.5), choices.of_slots(config))
  log_prob = functools.partial(categorical.log_prob, space=SPACE)

  def step(state, key):
    gamma, opt = state
    key_policy, key_noise = jax.random.split(key)
    keys = jax.random.split(key_policy, DRAWN)
    drawn = jax.vmap(jax.vmap(lambda k: categorical.sample(k, gamma, SPACE)))(keys)
    s = _alignment(key_noise, drawn, good)
    g = unrolled.policy_gradient(log_prob, gamma, drawn, s, score.leave_one_out(s), 1.0)
    return unrolled.update(optimizer, g, opt, gamma), None

  def search(key):
    gamma = categorical.init(key, SPACE)
    return jax.lax.scan(step, (gamma, optimizer.init(gamma)), jax.random.split(key, STEPS))[0]

  gamma, opt = jax.vmap(search)(jax.random.split(jax.random.key(1), SEARCHES))
  return gamma, opt.blocks


@functools.cache
def _searches(good, rate):
  return jax.device_get(_program(good, rate))


def _decided(good, rate):
  """For every search, the (slot, operation) that are decided."""
  out, (gamma, blocks) = [], _searches(good, rate)
  for i in range(SEARCHES):
    mine, kept = jax.tree.map(lambda x: x[i], (gamma, blocks))
    found = choices.slots(mine, evidence.whole(kept), SPACE)
    beyond = evidence.bound(found)[1]
    out.append({(c.where, name) for c in found for name in evidence.decide(c, beyond).decided})
  return out


@pytest.mark.parametrize('rate', [0.005, 0.1])
def test_noise_is_decided_in_five_percent_of_searches_at_most(rate):
  """Also where it has driven the distribution far from uniform; as many alarms as 5 % give with 0.1 %, at most."""
  gamma, _ = _searches(0.0, rate)
  most = np.asarray(jax.nn.softmax(gamma['pi'])).max((1, 2))
  alarms = sum(map(bool, _decided(0.0, rate)))
  print(f'rate {rate}: {alarms} of {SEARCHES} searches decide on noise; likeliest operation '
        f'{np.median(most):.2f} in the median search')
  assert (np.median(most) > 0.4) == (rate == 0.1)
  assert alarms <= stats.binom.ppf(0.999, SEARCHES, evidence.LEVEL)


def test_what_is_planted_is_found_and_hardly_anything_else():
  found = _decided(2.0, 0.03)
  print(sum(('slot 1', 'Rotate') in one for one in found), sum(bool(one - {('slot 1', 'Rotate')}) for one in found))
  assert np.mean([('slot 1', 'Rotate') in one for one in found]) > 0.9
  assert sum(bool(one - {('slot 1', 'Rotate')}) for one in found) <= stats.binom.ppf(0.999, SEARCHES, evidence.LEVEL)
