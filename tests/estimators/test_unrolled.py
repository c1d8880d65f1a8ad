"""Inner steps, and the sampled Eq. 13 against the enumerated one: its rate, its bias, errors planted in it."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import small

from daas_jax import trees
from daas_jax.estimators import score, unrolled

XI = small.XI


def _draws(n, repeats, baseline, xi=XI, alignments=None):
  """`repeats` estimates of Eq. 13 at the exact theta', each from n policies sampled from p(Gamma): [repeats, |gamma|]."""
  known = small.enumerated()
  s = known.s if alignments is None else alignments

  def one(key):
    i = known.draw(key, 1, (n,))
    return small.flat(unrolled.policy_gradient(small.log_prob(), known.gamma, known.pick(i), s[i], baseline(s[i]), xi))

  return small.repeat(one, repeats, seed=n)


@pytest.mark.parametrize('baseline', [score.no_baseline, score.leave_one_out])
def test_the_sampled_mean_converges_at_rate_one_over_root_n(x64, baseline):
  exact = small.enumerated().exact
  sizes = np.array([8, 32, 128, 512])
  errors = [np.sqrt(np.mean(np.sum((_draws(int(n), 200, baseline) - exact) ** 2, 1))) for n in sizes]
  slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
  assert -0.56 < slope < -0.44  # -1/2; 200 repeats fix each error to 5 %


def test_the_sampled_estimator_is_unbiased_and_planted_errors_are_caught(x64):
  """z-test over 4,000 draws of 4 policies; each error that public codes had, planted, fails it."""
  known = small.enumerated()
  z = lambda draws: small.worst_z(draws, known.exact)
  assert z(_draws(4, 4000, score.leave_one_out)) < small.THRESHOLD
  assert z(_draws(4, 4000, score.leave_one_out, xi=-XI)) > small.THRESHOLD  # a wrong sign
  assert z(_draws(4, 4000, score.leave_one_out, xi=1.0)) > small.THRESHOLD  # xi forgotten
  # An eps^2 factor: the difference multiplied by eps instead of divided; and divided by it twice.
  v, loss = known.g_val(_theta_prime(known)), lambda i: lambda t: known.train_loss(t, known.pick(i))
  quotient = jax.jit(lambda: jax.lax.map(
      lambda i: unrolled.finite_difference(loss(i), known.theta, v), jnp.arange(len(known.s))))()
  assert z(_draws(4, 4000, score.leave_one_out, alignments=quotient)) < small.THRESHOLD
  eps = 0.01 / jnp.linalg.norm(v)
  for wrong in (quotient * eps**2, quotient / eps):
    assert z(_draws(4, 4000, score.leave_one_out, alignments=wrong)) > small.THRESHOLD


def _theta_prime(known):
  return unrolled.inner_step(known.theta, jnp.exp(known.log_p) @ known.gradients, XI)


def test_a_mean_of_products_for_a_product_of_means_is_caught(x64):
  """Two devices, each with its half of both batches: <g, h> of each averaged is not <mean g, mean h>."""
  known = small.enumerated()
  # Halves whose mean is the gradient: g +- d. Their products' mean has the extra term <d_val, d_train>.
  d_train = known.gradients - jnp.exp(known.log_p) @ known.gradients
  v = known.g_val(_theta_prime(known))
  planted = known.s + d_train @ (0.5 * v)
  assert small.worst_z(_draws(4, 4000, score.leave_one_out, alignments=planted), known.exact) > small.THRESHOLD


def test_the_baseline_reduces_the_variance(x64):
  variance = [_draws(4, 2000, b).var(0).sum() for b in (score.no_baseline, score.leave_one_out)]
  assert variance[1] < variance[0]


@pytest.mark.parametrize('steps', [1, 3])
@pytest.mark.parametrize('optimizer', [optax.sgd(0.1), optax.sgd(0.1, 0.9), optax.adam(0.01)],
                         ids=['sgd', 'momentum', 'adam'])
def test_unroll_is_the_optimizer_run_step_by_step(x64, optimizer, steps):
  theta, gradient = {'w': jnp.array([1.0, -2.0])}, jax.grad(lambda t: jnp.sum(t['w'] ** 4))
  state, by_hand = optimizer.init(theta), theta
  for _ in range(steps):
    updates, state = optimizer.update(gradient(by_hand), state, by_hand)
    by_hand = optax.apply_updates(by_hand, updates)
  np.testing.assert_allclose(unrolled.unroll(theta, gradient, optimizer, steps)['w'], by_hand['w'], rtol=1e-12)


def test_unroll_takes_the_momentum_of_a_running_search():
  optimizer, theta = optax.sgd(0.1, 0.9), jnp.array([1.0])
  _, state = optimizer.update(jnp.array([2.0]), optimizer.init(theta), theta)
  moved = unrolled.unroll(theta, lambda t: jnp.zeros_like(t), optimizer, 1, state)
  np.testing.assert_allclose(moved, 1.0 - 0.1 * 0.9 * 2.0, rtol=1e-6)


def test_the_finite_difference_is_of_second_order(x64):
  """The error falls by 4 when r is halved, and the step is r long, whatever the length of v."""
  theta, v = jnp.array([0.3, -0.7]), jnp.array([20.0, 5.0])
  f = lambda t: jnp.sum(jnp.sin(3 * t))
  true = jax.jvp(f, (theta,), (v,))[1]
  error = [abs(unrolled.finite_difference(f, theta, v, r) - true) for r in (0.02, 0.01)]
  assert 3.9 < error[0] / error[1] < 4.1


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
  xi = 1.0  # large, so that the bias stands out from the noise of the draws
  known = small.enumerated(xi)
  exact = known.exact

  def mean_of_draws(n_aug, draws=40_000, n_arch=2):
    def one(key):
      i = known.draw(key, n_aug, (n_arch,))
      def row(i):
        g = known.gradients[i]
        theta_prime = unrolled.inner_step(known.theta, trees.mean(g), xi)
        return unrolled.alignments(jax.grad(known.val_loss)(theta_prime), g)
      s = jax.vmap(row)(i)
      return small.flat(unrolled.policy_gradient(small.log_prob(), known.gamma, known.pick(i), s,
                                                 score.leave_one_out(s), xi))
    sums = jax.jit(lambda keys: jax.lax.map(lambda k: jnp.sum(jax.vmap(one)(k), 0), keys))
    keys = jax.random.split(jax.random.key(n_aug), draws).reshape(100, -1)
    return np.asarray(jnp.sum(sums(keys), 0)) / draws

  bias = {n: np.linalg.norm(mean_of_draws(n) - exact) / np.linalg.norm(exact) for n in (1, 2, 4, 8)}
  print('relative bias by n_aug:', {n: round(float(b), 4) for n, b in bias.items()})
  assert bias[1] > 0.02
  slope = np.polyfit(np.log([1, 2, 4]), np.log([bias[n] for n in (1, 2, 4)]), 1)[0]
  assert -1.3 < slope < -0.7
  assert bias[8] < bias[2]


def test_theta_prime_from_other_samples_is_unbiased_where_the_validation_gradient_is_linear(x64):
  """Independent policies leave the bias of a curved validation gradient alone; the same policies have their own."""
  known, n_aug, xi = small.enumerated(), 2, 1.0
  H = jnp.asarray(np.random.default_rng(3).normal(size=(len(known.theta),) * 2))
  H = H @ H.T / len(H)
  g_val = lambda t: H @ t  # of a quadratic validation loss
  p = jnp.exp(known.log_p)
  s = known.gradients @ g_val(known.theta - xi * p @ known.gradients)
  exact = small.flat(score.score_gradient(small.log_prob(), known.gamma, known.policies, -xi * p * s))

  def one(key, same):
    keys = jax.random.split(key)
    i = known.draw(keys[0], n_aug)
    others = i if same else known.draw(keys[1], n_aug)
    theta_prime = known.theta - xi * known.gradients[others[0]].mean(0)
    s = known.gradients[i] @ g_val(theta_prime)
    return small.flat(unrolled.policy_gradient(small.log_prob(), known.gamma, known.pick(i), s, jnp.zeros_like(s), xi))

  assert small.worst_z(small.repeat(lambda key: one(key, False), 20_000), exact) < small.THRESHOLD
  assert small.worst_z(small.repeat(lambda key: one(key, True), 20_000), exact) > small.THRESHOLD
