"""D_val's accuracy by the moments of augmented images, as an objective: against enumeration, and a step written out."""

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.config import schema
from daas_jax.data import sources
from daas_jax.errors import BadInput
from daas_jax.methods import daas, daas_passes, moments, policy_gradients, problem as problem_lib
from daas_jax.nets import linen, losses, registry as nets
from daas_jax.policies import categorical
from toy import batch, batch_of, image_losses, images_of, problem_of, SGD, SPACE


def _settings(policy_per='image', **more):
  return daas.Settings(**dict(n_arch=1, n_aug=2, n_w=2, optimizers=SGD, policy_per=policy_per, objective='moments',
                               classification=0.3) | more)


def _right(theta, batch, policy, key):
  """The share of D_val by the moments of training images that all have one policy; and of these, at 0.3."""
  images = images_of(batch.train_images, jax.tree.map(lambda a: jnp.repeat(a[None], len(batch.train_labels), 0), policy), key)

  def of(others, labels):
    logits = jnp.tanh((others - jnp.mean(images, 0)) @ theta['v']) @ theta['w']
    return jnp.mean(jnp.argmax(logits, -1) == labels)

  return of(batch.val_images, batch.val_labels) + 0.3 * of(images, batch.train_labels)


@pytest.mark.parametrize('policy_per', ['batch', 'image'])
def test_the_mean_over_all_draws_is_the_exact_gradient(batch, policy_per):
  """E over every pair of policies of what a step of two says: minus the gradient of sum_Gamma p(Gamma) s, 1e-8."""
  problem, settings = problem_of(categorical.policies(SPACE)), _settings(policy_per)
  state = daas.make(problem, settings).init(jax.random.key(0))
  gamma = jax.tree.map(lambda a: a + jax.random.normal(jax.random.key(2), a.shape), state.gamma)
  state, keys = state._replace(gamma=gamma), jax.random.split(jax.random.key(5), 1)
  every = categorical.enumerate_policies(SPACE)
  n = len(every.y)
  log_prob = lambda gamma: jax.vmap(lambda policy: categorical.log_prob(gamma, policy, SPACE))(every)

  def objective(gamma):
    values = jax.vmap(lambda policy: _right(state.theta, batch, policy, keys[0]))(every)
    return -jnp.vdot(jnp.exp(log_prob(gamma)), values)

  s = moments.gains(problem, state.theta, jnp.zeros((1, 0)), keys, batch, moments.Drawn(every, keys), 0.3)
  few = batch_of(3)._replace(**{name: value[:3] for name, value in batch._asdict().items()})
  np.testing.assert_array_equal(
      moments.gains(problem, state.theta, jnp.zeros((1, 0)), keys, batch, moments.Drawn(every, keys), 0.3, 3),
      moments.gains(problem, state.theta, jnp.zeros((1, 0)), keys, few, moments.Drawn(every, keys), 0.3))
  assert s.shape == (1, n) and s.std() > 1e-3
  pairs = np.stack(np.meshgrid(np.arange(n), np.arange(n)), -1).reshape(-1, 2)
  p = jnp.exp(log_prob(gamma))
  np.testing.assert_allclose(p.sum(), 1, atol=1e-12)

  def said(pair):
    policies = jax.tree.map(lambda a: a[pair][None], every)
    return policy_gradients.of_alignments(problem, settings, state, policies, s[:, pair], 1.0).gradient

  mean = jax.tree.map(lambda g: jnp.tensordot(p[pairs].prod(1), g, 1), jax.vmap(said)(pairs))
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), mean, jax.grad(objective)(gamma))


def test_a_step_written_out(batch):
  problem, settings = problem_of(categorical.policies(SPACE)), _settings(n_arch=2, n_aug=3)
  method = daas.make(problem, settings)
  state = method.init(jax.random.key(0))
  new, metrics = jax.jit(method.step)(state, batch)
  key = jax.random.fold_in(state.key, 0)
  tried = moments.draw(problem, settings, state.gamma, jax.random.fold_in(key, 5))
  s = np.array([_right(state.theta, batch, jax.tree.map(lambda a, i=i: a[i], tried.policies), tried.image_keys[i // 3])
                for i in range(6)]).reshape(2, 3)
  np.testing.assert_allclose(metrics['alignment'], s.mean(), rtol=1e-6)
  log_prob = lambda gamma: jax.vmap(lambda policy: categorical.log_prob(gamma, policy, SPACE))(tried.policies)
  less = s - s.mean(1)[::-1, None]  # less the mean of the other architecture
  expected = jax.grad(lambda gamma: -jnp.vdot(less.reshape(-1), log_prob(gamma)) / 6)(state.gamma)
  jax.tree.map(lambda a, b, g: np.testing.assert_allclose(a - b, g, atol=1e-6), state.gamma, new.gamma, expected)
  drawn = daas_passes.sample(problem, settings, state, 1.0, key, True, 6)
  assert drawn.policies.y.shape == (1, 6, 1)  # Eq. 14's alone
  last = images_of(batch.train_images, jax.tree.map(lambda a: a[0], drawn.policies), drawn.image_keys[0])
  g = jax.grad(lambda t: jnp.mean(image_losses(t, {}, last, batch.train_labels, None)[0]))(state.theta)
  jax.tree.map(lambda a, b, g: np.testing.assert_allclose(a - b, g, atol=1e-6), state.theta, new.theta, g)


def test_theta_is_trained_without_policies(batch):
  """As in warm-up, while gamma moves; the gradients of Eq. 10 of another objective keep theirs."""
  method = daas.make(problem_of(categorical.policies(SPACE)), _settings(n_aug=6, theta_policies=False))
  state = method.init(jax.random.key(0))
  new, _ = jax.jit(method.step)(state, batch)
  assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (new.gamma, state.gamma))))
  drawn = daas_passes.sample(problem_of(categorical.policies(SPACE)), _settings(theta_policies=False), state, 1.0,
                             jax.random.fold_in(state.key, 0), True, 6)
  plain = images_of(batch.train_images, jax.tree.map(lambda a: jnp.zeros_like(a[0]), drawn.policies), drawn.image_keys[0])
  g = jax.grad(lambda t: jnp.mean(image_losses(t, {}, plain, batch.train_labels, None)[0]))(state.theta)
  jax.tree.map(lambda a, b, g: np.testing.assert_allclose(a - b, g, atol=1e-6), state.theta, new.theta, g)
  step = _settings('batch', objective='step', n_aug=40, theta_policies=False)
  drawn = daas_passes.sample(problem_of(categorical.policies(SPACE)), step, state, 1.0, state.key, True)
  assert not drawn.policies.y[-1].any() and drawn.policies.y[:-1].any()


def test_two_that_share_the_architectures_say_what_one_says(batch):
  """The mapped axis of two stands for that of two devices."""
  problem = problem_of(categorical.policies(SPACE))
  settings = _settings(n_arch=4, n_aug=3, control='additive')
  one, two = (daas.make(problem, settings._replace(**more)) for more in ({}, {'devices': 2, 'axis': 'devices'}))
  state = one.init(jax.random.key(0))
  alone, _ = jax.jit(one.step)(state, batch)
  shared, _ = jax.jit(jax.vmap(two.step, in_axes=(None, None), axis_name='devices', axis_size=2))(state, batch)
  for device in range(2):
    for x in ('gamma', 'theta', 'extra'):
      jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b[device], atol=1e-6), getattr(alone, x), getattr(shared, x))


@pytest.mark.parametrize('changes', [{'n_w': 0}, {'n_w': 0, 'objective': 'step', 'theta_policies': False},
                                     {'xi': 0.1}, {'inner': 'theta'}])
def test_settings_by_hand_are_refused_as_well(changes):
  with pytest.raises(ValueError, match='objective=moments'):
    daas.make(problem_of(categorical.policies(SPACE)), _settings(**changes))


def test_a_problem_without_losses_of_images_is_refused():
  with pytest.raises(ValueError, match='Problem.image_losses'):
    daas.make(problem_of(categorical.policies(SPACE))._replace(image_losses=None), _settings())


def test_a_network_or_a_loss_of_ones_own_is_refused(monkeypatch):
  monkeypatch.setattr(nets.NETWORKS, '_rows', dict(nets.networks()))  # this one's is nobody else's

  class Own(nn.Module):
    num_classes: int

    @nn.compact
    def __call__(self, images):
      return nn.Dense(self.num_classes)(images.reshape(len(images), -1))

  linen.register_network('own_of_moments', Own)
  config = config_lib.search_config()
  config.search.objective, config.network.name = 'moments', 'own_of_moments'
  with pytest.raises(BadInput, match="needs a network of the package, which 'own_of_moments' is not"):
    schema.check(config, 'search')
  for method in ('daas', 'ddas'):  # nor are D_val's images by the moments of others
    beside = config_lib.search_config(method)
    beside.search.policy_per, beside.search.val_moments = 'image', 'train'
    beside.network.name = 'own_of_moments'
    with pytest.raises(BadInput, match="'search.val_moments' = 'train' needs a network of the package.* own$"):
      schema.check(beside, 'search')
  config.network.name = 'small_cnn'
  criterion = losses.own(lambda outputs, labels: jnp.mean(outputs))
  with pytest.raises(BadInput, match='counts labels of classes'):
    problem_lib.build(config, sources.load('embedded'), criterion=criterion)


def test_warm_up_leaves_gamma(batch):
  method = daas.make(problem_of(categorical.policies(SPACE)), _settings(warmup_steps=1, n_aug=6))
  state = method.init(jax.random.key(0))
  step = jax.jit(method.step)
  new, metrics = step(state, batch)
  jax.tree.map(np.testing.assert_array_equal, new.gamma, state.gamma)
  assert metrics['alignment'] == 0
  assert any(np.any(a != b) for a, b in zip(*map(jax.tree.leaves, (step(new, batch)[0].gamma, state.gamma))))


@pytest.mark.parametrize('changes, said', [
    ({'search.n_w': 0}, "set search.n_w to at least 1"),
    ({'search.objective': 'direction', 'search.theta_policies': False, 'search.n_w': 0}, 'needs search.n_w of at least 1'),
    ({'search.n_aug': 1, 'search.control': 'regression'}, 'needs search.n_aug of at least 2'),
    ({'search.n_arch': 1, 'search.n_aug': 1, 'search.baseline': 'step_mean'}, 'leaves nothing of a single policy'),
    ({'search.objective': 'step', 'search.classification': 0.5}, "'search.classification' = 0.5 needs search.objective"),
    ({'search.inner': 'theta'}, "set search.inner to 'sgd'"),
    ({'search.xi': 0.1}, 'set search.xi to 0'),
    ({'search.policy_per': 'batch', 'parallel.over': 'data', 'parallel.devices': 2}, "set parallel.over to 'samples'"),
])
def test_what_has_no_place_without_a_step_is_refused(changes, said):
  config = config_lib.search_config()
  config.search.policy_per, config.search.warmup_epochs = 'image', 0
  for key, value in ({'search.objective': 'moments'} | changes).items():
    schema.put(config, key, value)
  with pytest.raises(BadInput) as raised:
    schema.check(config, 'search')
  assert said in str(raised.value)
