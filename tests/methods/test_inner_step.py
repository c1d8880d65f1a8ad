"""The inner step of theta's own optimizer: against the exact gradient, and a step of DAAS written out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import test_daas
import toy

from daas_jax import config as config_lib, trees
from daas_jax.config import schema
from daas_jax.errors import BadInput
from daas_jax.estimators import exact, passes, score, unrolled
from daas_jax.methods import daas, daas_passes, inner_step, optimizers
from daas_jax.policies import categorical

SPACE, XI = toy.SPACE, 0.3
batch, numbers = toy.batch, test_daas.batch
OPTIMIZERS = {
    'plain': optax.sgd(XI),
    'momentum, decay and a clipped norm': optimizers.make('sgd', XI, 0.1, 0.9, True, clip=0.05),
    'adam': optimizers.make('adam', XI, b1=0.5),
}


def _used(optimizer, theta):
  """Its state after two steps."""
  state = optimizer.init(theta)
  for i in range(2):
    g = jax.tree.map(lambda a: jax.random.normal(jax.random.key(i), a.shape), theta)
    _, state = unrolled.update(optimizer, g, state, theta)
  return state


@pytest.mark.parametrize('name', OPTIMIZERS)
@pytest.mark.parametrize('objective', ['step', 'direction'])
def test_the_enumerated_estimator_is_the_exact_gradient(batch, name, objective):
  """dL_val(theta + u(g)) / dgamma by autodiff through the optimizer: -xi sum_Gamma p <pull(v), g_Gamma> grad log p."""
  problem = toy.problem_of(categorical.policies(SPACE))
  theta = problem.init_theta(jax.random.key(1))
  gamma = jax.tree.map(lambda a: a + jax.random.normal(jax.random.key(2), a.shape), categorical.init(jax.random.key(0), SPACE))
  every = categorical.enumerate_policies(SPACE)
  log_prob = functools.partial(categorical.log_prob, space=SPACE)
  of_all = lambda policy: toy.images_of(batch.train_images, jax.tree.map(lambda a: jnp.repeat(a[None], 6, 0), policy),
                                        jax.random.key(5))
  train = lambda theta, policy: problem.loss(theta, {}, of_all(policy), batch.train_labels, None)[0]
  val = lambda theta: problem.loss(theta, {}, batch.val_images, batch.val_labels, None)[0]
  optimizer = OPTIMIZERS[name]
  state = _used(optimizer, theta)
  p = jnp.exp(jax.vmap(log_prob, (None, 0))(gamma, every))
  g = exact.expected_gradient(train, theta, p, every)
  length = trees.norm(optimizer.update(g, state, theta)[0])
  fixed = optax.chain(optimizer, optax.stateless(lambda u, _: trees.scale(length / trees.norm(u), u)))
  stepped, kept = (optimizer, state) if objective == 'step' else (fixed, (state, optax.EmptyState()))
  reference, theta_prime = exact.policy_gradient(val, train, log_prob, theta, gamma, every, stepped, opt_state=kept)

  inner = inner_step.of_optimizer(optimizer, state, theta, XI, objective)
  only = jax.tree.map(lambda a: a[None], g)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), inner.point(theta, jnp.ones(1), only), theta_prime)
  w = inner.pull(jax.grad(val)(theta_prime), g)
  s = jax.vmap(lambda policy: trees.dot(w, jax.grad(train)(theta, policy)))(every)
  grads = jax.vmap(jax.grad(log_prob), (None, 0))(gamma, every)
  found = jax.tree.map(lambda d: -XI * jnp.tensordot(p * s, d, 1), grads)
  assert trees.norm(reference) > 1e-6
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), found, reference)


def test_of_plain_sgd_it_is_the_plain_step(batch):
  theta = toy.problem_of(None).init_theta(jax.random.key(1))
  v, g = (jax.tree.map(lambda a: jax.random.normal(jax.random.key(n), a.shape), theta) for n in (2, 3))
  kept = jax.tree.map(lambda a: a[None], g)
  for objective in ('step', 'direction'):
    plain, own = inner_step.plain(XI, objective), inner_step.of_optimizer(
        optax.sgd(XI), optax.sgd(XI).init(theta), theta, XI, objective)
    for a, b in ((plain.pull(v, g), own.pull(v, g)),
                 (plain.point(theta, jnp.full(1, plain.factor), kept), own.point(theta, jnp.full(1, own.factor), kept))):
      jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), a, b)


def test_a_row_without_inner_gradients_is_at_theta():
  """Momentum and decay move theta without a gradient, and must not in the other passes."""
  theta = {'w': jnp.arange(3.0)}
  optimizer = optimizers.make('sgd', XI, 0.1, 0.9)
  inner = inner_step.of_optimizer(optimizer, _used(optimizer, theta), theta, XI, 'step')
  np.testing.assert_array_equal(inner.point(theta, jnp.zeros(2), {'w': jnp.ones((2, 3))})['w'], theta['w'])
  assert np.abs(inner.point(theta, jnp.ones(2) / 2, {'w': jnp.zeros((2, 3))})['w'] - theta['w']).max() > 0.01


def test_a_weight_without_a_gradient_stays_out_of_adam_s_derivative():
  theta = {'used': jnp.ones(2), 'unused': jnp.ones(2)}
  g = {'used': jnp.array([0.3, -0.2]), 'unused': jnp.zeros(2)}
  adam = optax.adam(XI)
  w = inner_step.of_optimizer(adam, adam.init(theta), theta, XI, 'step').pull(theta, g)
  assert np.all(np.isfinite(w['used'])) and not np.any(np.asarray(w['unused']))
  w = inner_step.of_optimizer(adam, adam.init(theta), theta, XI, 'step').pull({**theta, 'used': jnp.array([jnp.nan, 1.0])}, g)
  assert np.isnan(w['used'][0])  # a NaN of the network's stays to be seen


def test_a_step_of_daas_with_a_policy_a_batch(numbers):
  """test_daas's problem: theta'_i by SGD with momentum, and s of what its derivative makes of v."""
  n_arch, n_aug, problem = test_daas.N_ARCH, test_daas.N_AUG, test_daas.PROBLEM
  optimizer = optimizers.make('sgd', 0.3, 0.1, 0.9, True)
  settings = test_daas._settings(inner='theta', optimizers={
      'theta': optimizer, 'arch': optax.sgd(1.0), 'gamma': optax.sgd(1.0)})
  state = test_daas._state(settings, test_daas.WARMUP)
  state = state._replace(opt_theta=_used(optimizer, state.theta))
  z, _, policies, _, keys = daas_passes.sample(problem, settings, state, 0.7, jax.random.fold_in(state.key, state.step), True)
  pick = lambda tree, i: jax.tree.map(lambda a: a[i], tree)
  gradient = jax.grad(lambda theta, i, images, labels: problem.loss(theta, pick(z, i), images, labels, None)[0])
  s = np.zeros((n_arch, n_aug))
  for i in range(n_arch):
    images = [problem.train_input(numbers.train_images, pick(policies, n), keys[n]) for n in range(i * n_aug, (i + 1) * n_aug)]
    g = [gradient(state.theta, i, x, numbers.train_labels) for x in images]
    change = lambda mean: optimizer.update(mean, state.opt_theta, state.theta)[0]
    u, back = jax.vjp(change, trees.scale(1 / n_aug, trees.axpy(1, *g)))
    v = gradient(trees.axpy(1, u, state.theta), i, problem.val_input(numbers.val_images), numbers.val_labels)
    s[i] = [-trees.dot(back(v)[0], gj) / 0.3 for gj in g]
  new, metrics = jax.jit(daas.make(problem, settings).step)(state, numbers)
  np.testing.assert_allclose(metrics['alignment'], s.mean(), rtol=1e-4)
  searched = jax.tree.map(lambda a: a[:-1].reshape(n_arch, n_aug, *a.shape[1:]), policies)
  s = jnp.asarray(s, jnp.float32)
  expected = unrolled.policy_gradient(problem.policies.log_prob, state.gamma, searched, s, score.leave_one_out(s), 0.3)
  test_daas._assert_same(jax.tree.map(jnp.subtract, state.gamma, new.gamma), expected)


@pytest.mark.parametrize('objective', ['step', 'direction'])
def test_with_a_policy_an_image_it_differs_by_the_pullback_alone(batch, objective, monkeypatch):
  """Plain SGD as theta's optimizer is the paper's step; with a momentum the alignments are of what `pull` gives."""
  problem = toy.problem_of(categorical.policies(SPACE, scored='outcome'))
  plain = daas.Settings(2, 1, 3, 0, lambda step: XI, None, lambda step: 1.0, toy.SGD | {'theta': optax.sgd(XI)},
                        policy_per='image', objective=objective)
  state = daas.make(problem, plain).init(jax.random.key(0))
  own, moved = (daas.make(problem, plain._replace(inner=inner)).step(state, batch)[0].gamma for inner in ('theta', 'sgd'))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-7), own, moved)
  heavy = plain._replace(inner='theta', optimizers=toy.SGD | {'theta': optax.sgd(XI, 0.9)})
  state = state._replace(opt_theta=_used(heavy.optimizers['theta'], state.theta))
  seen = []
  monkeypatch.setattr(passes, 'run', lambda *args, run=passes.run: seen.append(run(*args)) or seen[0])
  with_momentum = daas.make(problem, heavy).step(state, batch)[0].gamma
  assert max(jax.tree.leaves(jax.tree.map(lambda a, b: float(jnp.max(jnp.abs(a - b))), with_momentum, moved))) > 1e-4
  inner = inner_step.of_optimizer(heavy.optimizers['theta'], state.opt_theta, state.theta, XI, objective)
  at = inner.point(state.theta, jnp.ones(1), jax.tree.map(lambda a: a[:1], seen[0].kept))
  v = jax.grad(lambda t: problem.loss(t, {}, batch.val_images, batch.val_labels, None)[0])(at)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a[2], b, atol=1e-6), seen[0].kept, v)


def test_a_length_of_its_own_is_refused():
  config = config_lib.search_config('daas')
  for key, value in (('search.inner', 'theta'), ('search.xi', 0.1)):
    schema.put(config, key, value)
  with pytest.raises(BadInput, match=r"^config key 'search.xi' = 0.1 is of search.inner = 'sgd': set it to 0, [^\n]*$"):
    schema.check(config, 'search')
