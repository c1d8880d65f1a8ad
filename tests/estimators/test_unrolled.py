"""Eq. 13 against autodiff through the inner step: on a small network and on a supernet with real operations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import problem as problem_lib, trees
from daas_jax.augment import apply
from daas_jax.estimators import score, unrolled
from daas_jax.nets import architecture
from daas_jax.nets.supernet import SuperNet
from daas_jax.policies import categorical

OPS = ('Rotate', 'Invert', 'Brightness')
SPACE = categorical.Space(OPS, K=2, levels=2)  # (3 (1 + 2)) ** 2 = 81 policies
XI = 0.1


def _data(seed=0, n=3, size=8):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.uniform(size=(n, size, size, 1))), jnp.asarray(rng.integers(3, size=n))


def _losses(logits_of, policies=SPACE):
  """(train_loss(theta, policy), val_loss(theta)) of a network on fixed batches, in float64."""
  train, val = _data(0), _data(1)

  def train_loss(theta, policy):
    images = apply.apply_policy(train[0], policy.o, policy.y, categorical.strength(policy.m, policies),
                                jax.random.key(7), ops=policies.ops)
    return problem_lib.cross_entropy(logits_of(theta, images), train[1])

  return train_loss, lambda theta: problem_lib.cross_entropy(logits_of(theta, val[0]), val[1])


def _gamma(space, seed=0):
  gamma = categorical.init(jax.random.key(0), space)
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), gamma)


def _mlp():
  rng = np.random.default_rng(2)
  theta = {'a': jnp.asarray(rng.normal(size=(64, 5)) / 8), 'b': jnp.asarray(rng.normal(size=(5, 3)))}
  return theta, lambda theta, x: jnp.tanh(x.reshape(len(x), -1) @ theta['a']) @ theta['b']


def _supernet():
  net = SuperNet(3, layers=3, channels=2, primitives=('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_3x3'))
  z = architecture.sample(jax.random.key(5), architecture.init(jax.random.key(4), net.primitives), 1.0)
  theta = jax.jit(net.init)(jax.random.key(3), z, jnp.zeros((1, 8, 8, 1)))['params']
  theta = jax.tree.map(lambda a: a.astype(jnp.float64), theta)
  return theta, lambda theta, x: net.apply({'params': theta}, z, x)


def _relative(a, b):
  return float(trees.norm(jax.tree.map(jnp.subtract, a, b)) / trees.norm(b))


def _log_prob(space):
  return lambda gamma, policy: categorical.log_prob(gamma, policy, space)


@pytest.mark.parametrize('network', [_mlp, _supernet])
def test_eq_13_enumerated_equals_autodiff_through_the_inner_step(x64, network):
  theta, logits_of = network()
  space = SPACE if network is _mlp else categorical.Space(OPS[:2], K=2, levels=2, share='slot')  # 36 policies
  train_loss, val_loss = _losses(logits_of, space)
  gamma, policies = _gamma(space), categorical.enumerate_policies(space)
  args = (val_loss, train_loss, _log_prob(space), theta, gamma, policies, XI)
  exact, theta_prime = jax.jit(lambda: unrolled.exact_policy_gradient(*args))()
  by_eq_13, theta_prime_13 = jax.jit(lambda: unrolled.enumerated_policy_gradient(*args))()
  for group in ('pi', 'p', 'delta'):
    assert float(trees.norm(exact[group])) > 1e-7
    assert _relative(by_eq_13[group], exact[group]) < 1e-8, group
  assert _relative(theta_prime, theta_prime_13) < 1e-12


@pytest.fixture(scope='module')
def enumerated():
  """The alignments of all 81 policies of the small network at the exact theta', the gradient, log p and gamma."""
  jax.config.update('jax_enable_x64', True)
  theta, logits_of = _mlp()
  train_loss, val_loss = _losses(logits_of)
  gamma, policies = _gamma(SPACE), categorical.enumerate_policies(SPACE)
  exact, theta_prime = unrolled.exact_policy_gradient(
      val_loss, train_loss, _log_prob(SPACE), theta, gamma, policies, XI)
  gradients = jax.lax.map(lambda policy: jax.grad(train_loss)(theta, policy), policies)
  s = unrolled.alignments(jax.grad(val_loss)(theta_prime), gradients)
  yield gamma, policies, s, exact
  jax.config.update('jax_enable_x64', False)


def _flat(tree):
  return jnp.concatenate([jnp.ravel(a) for a in jax.tree.leaves(tree)])


def _draws(enumerated, n, repeats, baseline, xi=XI):
  """`repeats` estimates of Eq. 13, each from n policies sampled from p(Gamma): [repeats, |gamma|]."""
  gamma, policies, s, _ = enumerated
  log_p = jax.vmap(lambda p: categorical.log_prob(gamma, p, SPACE))(policies)

  def one(key):
    i = jax.random.categorical(key, log_p, shape=(n, 1))
    picked = jax.tree.map(lambda a: a[i], policies)
    return _flat(unrolled.policy_gradient(_log_prob(SPACE), gamma, picked, s[i], baseline(s[i]), xi))

  return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(n), repeats)))


@pytest.mark.parametrize('baseline', [score.no_baseline, score.leave_one_out])
def test_the_sampled_mean_converges_at_rate_one_over_root_n(enumerated, baseline):
  exact = np.asarray(_flat(enumerated[-1]))
  sizes = np.array([8, 32, 128, 512])
  errors = [np.sqrt(np.mean(np.sum((_draws(enumerated, int(n), 200, baseline) - exact) ** 2, 1))) for n in sizes]
  slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
  assert -0.56 < slope < -0.44  # -1/2; 200 repeats fix each error to 5 %


def test_the_sampled_estimator_is_unbiased_and_a_planted_error_is_caught(enumerated):
  """z-test over 4,000 draws of 4 policies at 5 standard errors; a wrong sign and a missing xi fail it."""
  exact = np.asarray(_flat(enumerated[-1]))

  def z(draws):
    return np.abs((draws.mean(0) - exact) / (draws.std(0) / np.sqrt(len(draws)) + 1e-12)).max()

  assert z(_draws(enumerated, 4, 4000, score.leave_one_out)) < 5
  assert z(_draws(enumerated, 4, 4000, score.leave_one_out, xi=-XI)) > 5
  assert z(_draws(enumerated, 4, 4000, score.leave_one_out, xi=1.0)) > 5


def test_the_baseline_reduces_the_variance(enumerated):
  variance = [_draws(enumerated, 4, 2000, b).var(0).sum() for b in (score.no_baseline, score.leave_one_out)]
  assert variance[1] < variance[0]


def test_inner_step_and_alignments_by_hand():
  theta = unrolled.inner_step({'w': jnp.array([1.0, 2.0])}, {'w': jnp.array([10.0, -20.0])}, 0.1)
  np.testing.assert_allclose(theta['w'], [0.0, 4.0])
  s = unrolled.alignments({'w': jnp.array([1.0, 2.0])}, {'w': jnp.array([[3.0, 4.0], [-1.0, 1.0]])})
  np.testing.assert_allclose(s, [11.0, 1.0])


def test_theta_prime_from_the_same_samples_has_a_bias_that_falls_like_one_over_n_aug(x64):
  """What a search runs: theta'_i built from its own n_aug policies. The baseline comes from the other rows.

  The bias is E[s_ij grad log p] against the exact theta': it comes from the row's own share, xi / n_aug, of theta'.
  README quotes the figures that this test prints (`pytest -s`).
  """
  theta, logits_of = _mlp()
  train_loss, val_loss = _losses(logits_of)
  gamma, policies, log_prob = _gamma(SPACE), categorical.enumerate_policies(SPACE), _log_prob(SPACE)
  xi = 1.0  # large, so that the bias stands out from the noise of the draws
  exact, _ = unrolled.exact_policy_gradient(val_loss, train_loss, log_prob, theta, gamma, policies, xi)
  exact = np.asarray(_flat(exact))
  log_p = jax.vmap(lambda p: log_prob(gamma, p))(policies)
  gradients = jax.lax.map(lambda policy: jax.grad(train_loss)(theta, policy), policies)

  def mean_of_draws(n_aug, draws=40_000, n_arch=2):
    def one(key):
      i = jax.random.categorical(key, log_p, shape=(n_arch, n_aug))
      def row(i):
        g = jax.tree.map(lambda a: a[i], gradients)
        theta_prime = unrolled.inner_step(theta, trees.mean(g), xi)
        return unrolled.alignments(jax.grad(val_loss)(theta_prime), g)
      s = jax.vmap(row)(i)
      picked = jax.tree.map(lambda a: a[i], policies)
      return _flat(unrolled.policy_gradient(log_prob, gamma, picked, s, score.leave_one_out(s), xi))
    sums = jax.jit(lambda keys: jax.lax.map(lambda k: jnp.sum(jax.vmap(one)(k), 0), keys))
    keys = jax.random.split(jax.random.key(n_aug), draws).reshape(100, -1)
    return np.asarray(jnp.sum(sums(keys), 0)) / draws

  bias = {n: np.linalg.norm(mean_of_draws(n) - exact) / np.linalg.norm(exact) for n in (1, 2, 4, 8)}
  print('relative bias by n_aug:', {n: round(float(b), 4) for n, b in bias.items()})
  assert bias[1] > 0.02
  slope = np.polyfit(np.log([1, 2, 4]), np.log([bias[n] for n in (1, 2, 4)]), 1)[0]
  assert -1.3 < slope < -0.7
  assert bias[8] < bias[2]
