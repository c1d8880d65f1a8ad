"""A policy for each image: against exact gradients, and a step of both methods against its parts written out."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import config as config_lib, trees
from daas_jax.config import schema
from daas_jax.errors import BadInput
from daas_jax.estimators import control, exact, unrolled
from daas_jax.methods import daas, daas_passes, ddas, policy_gradients
from daas_jax.nets import kernels
from daas_jax.policies import candidates, categorical, total
from daas_jax.types import SearchState
from toy import batch, image_losses, images_of, problem_of, SGD, SPACE

TOTAL = total.Space(candidates.parse(('Rotate:0.2', 'Invert', 'Solarize:0.5')), 2)
XI = 0.3


@pytest.mark.parametrize('objective', ['step', 'direction'])
def test_the_enumerated_estimator_is_the_exact_gradient(batch, objective):
  """Every image draws a policy: L_val(theta - xi / B sum_b sum_Gamma p(Gamma) grad l_b(theta, Gamma)), autodiff
  through the step; without moments of a batch, 1e-8."""
  plain = lambda theta, images, labels: optax.softmax_cross_entropy_with_integer_labels(
      jnp.tanh(images @ theta['v']) @ theta['w'], labels)
  problem = problem_of(categorical.policies(SPACE))
  theta = problem.init_theta(jax.random.key(1))
  gamma = jax.tree.map(lambda a: a + jax.random.normal(jax.random.key(2), a.shape), categorical.init(jax.random.key(0), SPACE))
  every = categorical.enumerate_policies(SPACE)
  log_prob = functools.partial(categorical.log_prob, space=SPACE)
  key = jax.random.key(5)
  of_all = lambda policy: images_of(batch.train_images, jax.tree.map(lambda a: jnp.repeat(a[None], 6, 0), policy), key)
  train = lambda theta, policy: jnp.mean(plain(theta, of_all(policy), batch.train_labels))
  val = lambda theta: jnp.mean(plain(theta, batch.val_images, batch.val_labels))
  p = jnp.exp(jax.vmap(log_prob, (None, 0))(gamma, every))
  g = exact.expected_gradient(train, theta, p, every)
  length = XI * trees.norm(g)
  fixed = optax.stateless(lambda g, _: jax.tree.map(lambda x: -length * x / trees.norm(g), g))
  optimizer = optax.sgd(XI) if objective == 'step' else fixed
  reference, theta_prime = exact.policy_gradient(val, train, log_prob, theta, gamma, every, optimizer)

  v = jax.grad(val)(theta_prime)
  v = unrolled.across(v, g) if objective == 'direction' else v
  along = lambda policy: jax.jvp(lambda theta: plain(theta, of_all(policy), batch.train_labels), (theta,), (v,))[1]
  s = jax.vmap(along)(every)  # [policies, B]
  grads = jax.vmap(jax.grad(log_prob), (None, 0))(gamma, every)
  found = jax.tree.map(lambda d: -XI * jnp.tensordot(p * s.mean(1), d, 1), grads)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), found, reference)


@pytest.mark.parametrize('val_moments', ['own', 'train'])
@pytest.mark.parametrize('objective', ['step', 'direction'])
def test_a_step_of_daas_with_a_policy_an_image(batch, val_moments, objective):
  problem = problem_of(categorical.policies(SPACE, scored='outcome'))
  m = 2 if objective == 'step' else 1  # policies an image
  settings = daas.Settings(2, m, 3, 0, lambda step: XI, None, lambda step: 1.0, SGD, policy_per='image',
                           val_moments=val_moments, objective=objective)
  method = daas.make(problem, settings)
  state = method.init(jax.random.key(0))
  new, _ = method.step(state, batch)
  drawn = daas_passes.sample(problem, settings, state, 1.0, jax.random.fold_in(state.key, 0), True, 6)
  pick = lambda tree, i: jax.tree.map(lambda a: a[i], tree)
  beside = val_moments == 'train'

  def val(theta, images):
    if beside:
      both = jnp.concatenate([images, batch.val_images]), jnp.concatenate([batch.train_labels, batch.val_labels])
      return jnp.mean(image_losses(theta, {}, *both, None, True)[0][6:])
    return jnp.mean(image_losses(theta, {}, batch.val_images, batch.val_labels, None)[0])

  s = []
  for i in range(2):
    pair = lambda n: [images_of(batch.train_images, policies, drawn.image_keys[n]) for policies in (
        pick(drawn.policies, n), problem.policies.identity(pick(drawn.policies, n)))]
    images, _ = pair(i * m)
    g = jax.grad(lambda t: jnp.mean(image_losses(t, {}, images, batch.train_labels, None)[0]))(state.theta)
    v = jax.grad(val)(unrolled.inner_step(state.theta, g, XI), images)
    v = unrolled.across(v, g) if objective == 'direction' else v

    def one(images, clean, b, which):
      def loss(theta):
        if beside:
          both = jnp.concatenate([images, clean]), jnp.concatenate([batch.train_labels] * 2)
          return image_losses(theta, {}, *both, None, True)[0][b + 6 * which]
        return image_losses(theta, {}, (images, clean)[which], batch.train_labels, None)[0][b]
      return trees.dot(v, jax.grad(loss)(state.theta))

    s.append([one(*pair(i * m + j), b, 0) - one(*pair(i * m + j), b, 1) for j in range(m) for b in range(6)])
  s = np.array(s)
  assert s.std() > 1e-4
  b = np.broadcast_to(s.mean(1)[::-1, None], s.shape)  # of the other architecture
  log_prob = lambda gamma, policy: categorical.outcome_log_prob(gamma, policy, SPACE)
  searched = jax.tree.map(lambda a: a[:-1].reshape(2, -1, *a.shape[2:]), drawn.policies)
  expected = unrolled.policy_gradient(log_prob, state.gamma, searched, jnp.asarray(s), jnp.asarray(b), XI)
  got = jax.tree.map(lambda a, b: a - b, state.gamma, new.gamma)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, expected)
  # Eq. 14: one batch, each image under its policy, for all n_w architectures (of which there is one here)
  last = images_of(batch.train_images, pick(drawn.policies, -1), drawn.image_keys[-1])
  g = jax.grad(lambda t: jnp.mean(image_losses(t, {}, last, batch.train_labels, None)[0]))(state.theta)
  jax.tree.map(lambda a, b, g: np.testing.assert_allclose(a - b, g, atol=1e-6), state.theta, new.theta, g)


def test_without_architectures_of_eq_14_theta_moves_by_the_gradients_of_eq_10(batch):
  problem, base = problem_of(categorical.policies(SPACE)), dict(
      n_arch=2, n_aug=3, lr=lambda step: XI, optimizers=SGD, policy_per='image')
  state = daas.make(problem, daas.Settings(n_w=1, **base)).init(jax.random.key(0))
  new, metrics = daas.make(problem, daas.Settings(n_w=0, **base)).step(state, batch)
  drawn = daas_passes.sample(problem, daas.Settings(n_w=0, **base), state, 1.0, jax.random.fold_in(state.key, 0), True, 6)
  losses, g = [], []
  for i in range(2):
    images = images_of(batch.train_images, jax.tree.map(lambda a: a[3 * i], drawn.policies), drawn.image_keys[3 * i])
    loss = lambda t: jnp.mean(image_losses(t, {}, images, batch.train_labels, None)[0])
    losses.append(loss(state.theta))
    g.append(jax.grad(loss)(state.theta))
  jax.tree.map(lambda a, b, *g: np.testing.assert_allclose(a - b, sum(g) / 2, atol=1e-6), state.theta, new.theta, *g)
  np.testing.assert_allclose(metrics['train_loss'], np.mean(losses), rtol=1e-5)


@pytest.mark.parametrize('val_moments', ['own', 'train'])
def test_a_step_of_ddas_with_a_policy_an_image(batch, val_moments):
  problem = problem_of(total.policies(TOTAL, 0.35))
  settings = ddas.Settings(lr=lambda step: XI, optimizers=SGD, normalise=False, policy_per='image',
                           val_moments=val_moments)
  method = ddas.make(problem, settings)
  state = method.init(jax.random.key(0))
  new, _ = jax.jit(method.step)(state, batch)
  key_policy, key_image, *_ = jax.random.split(jax.random.fold_in(state.key, 0), 4)
  phi = jax.vmap(problem.policies.sample, (0, None))(jax.random.split(key_policy, 6), state.gamma)
  images, clean = (images_of(batch.train_images, p, key_image) for p in (phi, problem.policies.identity(phi)))
  labels = jnp.concatenate([batch.train_labels] * 2)
  p = np.exp(jax.vmap(total.log_prob, (None, 0))(state.gamma, phi))
  weights = np.concatenate([0.35 * p / p.sum(), np.full(6, 0.65 / 6)])
  train = lambda t: weights @ image_losses(t, {}, jnp.concatenate([images, clean]), labels, None)[0]
  g = jax.grad(train)(state.theta)
  jax.tree.map(lambda a, b, g: np.testing.assert_allclose(a - b, g, atol=1e-6), state.theta, new.theta, g)
  beside = val_moments == 'train'
  val_images = jnp.concatenate([images, batch.val_images]) if beside else batch.val_images
  val_labels = jnp.concatenate([batch.train_labels, batch.val_labels]) if beside else batch.val_labels
  v = jax.grad(lambda t: jnp.mean(image_losses(t, {}, val_images, val_labels, None, beside)[0][-6:]))(new.theta)
  losses = (lambda t: image_losses(t, {}, jnp.concatenate([images, clean]), labels, None, True)[0]) if beside else (
      lambda t: jnp.concatenate([image_losses(t, {}, x, batch.train_labels, None)[0] for x in (images, clean)]))
  s, s_clean = np.split(np.asarray(jax.jvp(losses, (state.theta,), (v,))[1]), 2)
  of = lambda gamma: jnp.vdot(s_clean - s, total.total_probability(gamma) * jnp.exp(
      jax.vmap(total.log_prob, (None, 0))(gamma, phi)) / p.sum())
  expected = jax.tree.map(lambda x: XI * x, jax.grad(of)(state.gamma))
  got = jax.tree.map(lambda a, b: a - b, state.gamma, new.gamma)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), got, expected)


def test_the_regression_of_alignments_has_the_exact_gradient_of_an_additive_one():
  """s = w . phi(Gamma) + noise: many policies, and E[s] by enumeration; what is decided is told by the unbiased one."""
  with jax.enable_x64(True):
    space = categorical.Space(('Rotate', 'Invert', 'Cutout'), 2, 2, 'slot')
    policies = categorical.policies(space, scored='outcome')
    gamma = jax.tree.map(lambda a: a + jax.random.normal(jax.random.key(3), a.shape), policies.init(jax.random.key(0)))
    w = jax.random.normal(jax.random.key(1), (policies.n_features,))
    every = categorical.enumerate_policies(space)

    def mean(gamma):
      p = jnp.exp(jax.vmap(lambda policy: categorical.log_prob(gamma, policy, space))(every))
      return jnp.vdot(p, jax.vmap(policies.features)(every) @ w)

    n = 40_000
    drawn = jax.vmap(policies.sample, (0, None))(jax.random.split(jax.random.key(2), n), gamma)
    s = jax.vmap(policies.features)(drawn) @ w + jax.random.normal(jax.random.key(4), (n,))
    drawn, s = jax.tree.map(lambda a: a[None], drawn), s[None] + 5.0
    extra = {'average': jnp.zeros(()), 'count': jnp.zeros(()), 'past': control.init(policies.n_features)}
    state = SearchState(0, None, None, {}, gamma, None, None, None, extra)
    problem = problem_of(policies)
    of = lambda kind, **more: policy_gradients.of_alignments(
        problem, daas.Settings(baseline='step_mean', control=kind, **more), state, drawn, s, XI)
    regression, additive = of('regression'), of('additive')
    flat = lambda tree: np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
    exact_gradient = -XI * flat(jax.grad(mean)(gamma))
    scale = np.linalg.norm(exact_gradient)
    errors = [np.linalg.norm(flat(found.gradient) - exact_gradient) for found in (regression, additive)]
    assert errors[0] < 0.02 * scale and errors[0] < errors[1], np.array(errors) / scale
    np.testing.assert_array_equal(flat(regression.evidence), flat(additive.gradient))
    jax.tree.map(np.testing.assert_array_equal, regression.extra, additive.extra)
    model = control.coefficients(regression.extra['past'])
    kl = flat(of('regression', kl=0.5).gradient) - flat(regression.gradient)
    np.testing.assert_allclose(kl, XI * 0.5 * policies.spread(model) * flat(jax.grad(policies.divergence)(gamma)), atol=1e-12)
    assert np.linalg.norm(flat(of('regression', ridge=1e6).gradient)) < 0.1 * scale


@pytest.mark.parametrize('share', ['slot', 'op'])
def test_outcomes_of_slots_are_those_of_tuples(share):
  """Slot by slot, or all tuples of operations with the same effect summed: one probability."""
  with jax.enable_x64(True):
    space = categorical.Space(('Rotate', 'Invert', 'Solarize'), 2, 2, share)
    gamma = jax.tree.map(lambda a: a + jax.random.normal(jax.random.key(3), a.shape), categorical.init(jax.random.key(0), space))
    every = categorical.enumerate_policies(space)
    event = jax.vmap(lambda policy: categorical.log_prob(gamma, policy, space))(every)
    outcome = jax.vmap(lambda policy: categorical.outcome_log_prob(gamma, policy, space))(every)
    graded = np.asarray(categorical.graded(space))
    name = lambda o, y, m: tuple((int(a), int(c) if graded[a] else 0) if b else None for a, b, c in zip(o, y, m))
    names = [name(*row) for row in zip(*map(np.asarray, every))]
    for i, which in enumerate(names):
      same = [e for e, other in zip(np.asarray(event), names) if other == which]
      np.testing.assert_allclose(np.exp(outcome[i]), np.sum(np.exp(same)), rtol=1e-10)


def test_normalised_by_the_moments_of_the_first_half():
  with jax.enable_x64(True):
    x = jax.random.normal(jax.random.key(0), (6, 3, 2, 4)) * 2 + 1
    g = jax.random.normal(jax.random.key(1), x.shape)
    y, pull = jax.vjp(kernels.batch_norm_first, x)
    plain, pull_plain = jax.vjp(kernels.batch_norm_first_plain, x)
    mean, variance = np.mean(x[:3], (0, 1, 2)), np.var(x[:3], (0, 1, 2))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), atol=1e-12)
    np.testing.assert_allclose(y, plain, atol=1e-12)
    np.testing.assert_allclose(pull(g)[0], pull_plain(g)[0], atol=1e-12)


@pytest.mark.parametrize('method, changes, said', [
    ('daas', {'search.objective': 'direction'}, "'search.objective' = 'direction' needs search.policy_per = 'image'"),
    ('ddas', {'search.val_moments': 'train'}, "'search.val_moments' = 'train' needs search.policy_per = 'image'"),
    ('daas', {'search.policy_per': 'image', 'parallel.over': 'data', 'parallel.devices': 2}, 'parallel.over'),
    ('ddas', {'search.policy_per': 'image', 'parallel.devices': 2}, 'parallel.devices = 1'),
    ('daas', {'search.n_w': 0, 'search.warmup_epochs': 0}, "'search.n_w' = 0 needs search.policy_per = 'image'"),
    ('daas', {'search.n_w': 0, 'search.policy_per': 'image'}, 'and no warm-up'),
])
def test_settings_that_do_not_go_together_are_one_line(method, changes, said):
  config = config_lib.search_config(method)
  for key, value in changes.items():
    schema.put(config, key, value)
  with pytest.raises(BadInput) as error:
    schema.check(config, 'search')
  assert said in str(error.value) and '\n' not in str(error.value)
