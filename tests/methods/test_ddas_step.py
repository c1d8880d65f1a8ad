"""One step of DDAS against Alg. 1 written out, and its policy gradient against autodiff through the whole step."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import trees
from daas_jax.methods import ddas
from daas_jax.policies import candidates, total
from daas_jax.types import Batch, Problem

SPACE = candidates.Space(tuple(candidates.Candidate('Rotate', s) for s in (0.2, 0.4, 0.9)), K=2)
LR, N = 0.3, 4


def _loss(theta, z, images, labels, key):
  del z, key
  logits = jnp.tanh(images @ theta['v']) @ theta['w']
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(), jnp.mean(logits)


def _train_input(images, policy, key):
  shift = policy.y * jnp.sum((1.0 + policy.phi) * jnp.array([1.0, -0.4]))
  return images * (1 + 0.2 * shift) + 0.01 * jax.random.normal(key, images.shape)


PROBLEM = Problem(
    init_theta=lambda key: {'v': jax.random.normal(key, (4, 5)) / 2, 'w': jax.random.normal(key, (5, 3)) / 2},
    loss=_loss,
    policies=total.Policies(
        init=functools.partial(total.init, space=SPACE), sample=lambda key, gamma: total.sample(key, SPACE),
        log_prob=total.log_prob, identity=lambda policy: policy._replace(y=jnp.zeros_like(policy.y)),
        total_probability=total.total_probability),
    train_input=_train_input, val_input=lambda images: images)


def _settings(**changes):
  sgd = {'theta': optax.sgd(LR, momentum=0.5), 'gamma': optax.sgd(1.0)}  # an update of gamma is minus the gradient
  return ddas.Settings(N, 2, lambda step: LR, sgd)._replace(**changes)


@pytest.fixture
def batch(x64):
  rng = np.random.default_rng(0)
  images, labels = (lambda n: jnp.asarray(rng.normal(size=(n, 4)))), (lambda n: jnp.asarray(rng.integers(0, 3, n)))
  return Batch(images(6), labels(6), images(12), labels(12))


def _state(settings):
  """In mid-search: with momentum, and gamma away from its start."""
  state = ddas.make(PROBLEM, settings).init(jax.random.key(0))
  double = lambda tree: jax.tree.map(
      lambda a: a.astype(jnp.float64) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)
  momentum = jax.tree.map(lambda a: 0.1 * jax.random.normal(jax.random.key(5), a.shape, a.dtype), state.opt_theta)
  gamma = {'alpha_o': jnp.array([0.3, -0.6, 0.9]), 'alpha_tp': jnp.asarray(-0.2)}
  return double(state._replace(gamma=gamma, opt_theta=momentum))


def _drawn(settings, state):
  return ddas._sample(PROBLEM, settings.n_policies, state, jax.random.fold_in(state.key, state.step))


def _losses(settings, state, batch):
  """(theta -> training losses [1 + N] of the clean and the augmented batches, theta -> validation loss)."""
  policies, _, key, _ = _drawn(settings, state)
  pick = lambda i: jax.tree.map(lambda a: a[i], policies)
  def train(theta):
    return jnp.stack([_loss(theta, {}, _train_input(batch.train_images, pick(i), key), batch.train_labels, key)[0]
                      for i in range(settings.n_policies + 1)])
  def val(theta):
    return jnp.mean(jnp.stack([_loss(theta, {}, batch.val_images[i:i + 6], batch.val_labels[i:i + 6], key)[0]
                               for i in range(0, 6 * settings.val_batches, 6)]))
  return train, val


def _expected(settings, state, batch, normalise):
  """Alg. 1 by autodiff through the step: d L_val(theta(gamma)) / d gamma, Z a constant."""
  train, val = _losses(settings, state, batch)
  policies = jax.tree.map(lambda a: a[1:], _drawn(settings, state)[0])
  phi = lambda gamma: jnp.exp(jax.vmap(total.log_prob, (None, 0))(gamma, policies))
  Z = jnp.sum(phi(state.gamma))

  def theta_prime(gamma):
    p = total.total_probability(gamma) * phi(gamma) / Z
    loss = lambda theta: jnp.vdot(jnp.concatenate([1 - jnp.sum(p)[None], p]), train(theta))  # Eq. 12
    updates, _ = settings.optimizers['theta'].update(jax.grad(loss)(state.theta), state.opt_theta, state.theta)
    return optax.apply_updates(state.theta, updates)

  g_gamma = jax.grad(lambda gamma: val(theta_prime(gamma)))(state.gamma)
  theta = theta_prime(state.gamma)
  g_val, jacobian = jax.grad(val)(theta), jax.jacobian(train)(state.theta)
  a = jnp.stack([trees.dot(g_val, jax.tree.map(lambda j, i=i: j[0] - j[i], jacobian)) for i in range(1, N + 1)])
  return theta, trees.scale(1 / jnp.sum(jnp.abs(a)) if normalise else 1.0, g_gamma)


@pytest.mark.parametrize('normalise, unroll', [(False, False), (True, False), (True, True)])
def test_a_step_is_alg_1_and_its_gradient_that_of_autodiff_through_it(batch, normalise, unroll):
  settings = _settings(normalise=normalise, unroll=unroll)
  state = _state(settings)
  new, metrics = jax.jit(ddas.make(PROBLEM, settings).step)(state, batch)
  theta, g_gamma = _expected(settings, state, batch, normalise)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-12), new.theta, theta)
  for name in g_gamma:
    moved = state.gamma[name] - new.gamma[name]
    assert float(jnp.max(jnp.abs(moved))) > 1e-5
    np.testing.assert_allclose(moved, g_gamma[name], rtol=1e-8, atol=1e-12)
  train, val = _losses(settings, state, batch)
  np.testing.assert_allclose(metrics['train_loss'], train(state.theta)[0], rtol=1e-10)
  np.testing.assert_allclose(metrics['val_loss'], val(theta), rtol=1e-10)
  assert int(new.step) == 1


def test_a_clipped_step_weighs_gamma_by_what_it_left_of_the_gradient(batch):
  """eta times the factor of the clipping: against the same step without, where the new theta is the same."""
  free = _settings(normalise=False)
  state = _state(free)
  norm = float(jax.jit(ddas.make(PROBLEM, free).step)(state, batch)[1]['grad_norm_theta'])
  lr = float(free.lr(state.step))
  for share in (0.5, 2.0):
    sgd = lambda rate: optax.chain(optax.clip_by_global_norm(share * norm), optax.sgd(rate))
    given = free._replace(clip=share * norm, optimizers=free.optimizers | {'theta': sgd(lr)})
    factor = min(1.0, share)
    wanted = free._replace(lr=lambda step: factor * lr, optimizers=free.optimizers | {'theta': optax.sgd(factor * lr)})
    runs = [s._replace(opt_theta=settings.optimizers['theta'].init(s.theta)) for s, settings in (
        (state, given), (state, wanted))]
    new, other = (jax.jit(ddas.make(PROBLEM, settings).step)(s, batch)[0] for s, settings in zip(runs, (given, wanted)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-14), new.theta, other.theta)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14), new.gamma, other.gamma)
    assert any(np.any(new.gamma[name] != state.gamma[name]) for name in state.gamma)


def test_a_total_probability_is_kept_where_its_rate_is_0(batch):
  """Of Table 5: whatever it is, 1 included."""
  for p_tp in (0.2, 1.0):
    gamma = total.init(None, SPACE, p_tp)
    assert float(total.total_probability(gamma)) == pytest.approx(p_tp, abs=1e-6)
    optimizer = optax.partition({'alpha_o': optax.adam(0.1), 'alpha_tp': optax.adam(0.0)},
                                {'alpha_o': 'alpha_o', 'alpha_tp': 'alpha_tp'})
    settings = _settings(normalise=True)
    settings = settings._replace(optimizers=settings.optimizers | {'gamma': optimizer})
    state = _state(settings)
    state = state._replace(gamma=state.gamma | {'alpha_tp': jnp.asarray(gamma['alpha_tp'], state.gamma['alpha_tp'].dtype)})
    state = state._replace(opt_gamma=optimizer.init(state.gamma))
    new = jax.jit(ddas.make(PROBLEM, settings).step)(state, batch)[0]
    assert new.gamma['alpha_tp'] == state.gamma['alpha_tp'] and np.any(new.gamma['alpha_o'] != state.gamma['alpha_o'])


def test_a_fault_in_the_alignment_would_be_seen(batch, monkeypatch):
  """g_val at theta and not at the new theta, the shortcut that the comparison above has to catch."""
  settings = _settings(normalise=False)
  state = _state(settings)
  whole = ddas.schedule
  def at_theta(*arguments):
    table = whole(*arguments)
    return table._replace(point=jnp.zeros_like(table.point))
  monkeypatch.setattr(ddas, 'schedule', at_theta)
  new, _ = jax.jit(ddas.make(PROBLEM, settings).step)(state, batch)
  _, g_gamma = _expected(settings, state, batch, False)
  moved = trees.axpy(-1, new.gamma, state.gamma)
  assert float(trees.norm(trees.axpy(-1, moved, g_gamma))) > 1e-3 * float(trees.norm(g_gamma))


@pytest.mark.parametrize('n_policies, val_batches', [(1, 1), (3, 1), (3, 8)])
def test_a_step_costs_two_passes_more_than_policies(n_policies, val_batches):
  """With a validation batch of the training batch's size; a larger one costs its images."""
  table = ddas.schedule(n_policies, val_batches, jnp.ones(1 + n_policies))
  assert table.store.shape == (n_policies + 1 + val_batches,)
  assert (np.asarray(table.inputs.val) >= 0).sum() == val_batches


def test_policies_of_equal_effect_leave_gamma_alone(batch):
  """All alignments 0 also where Z_g divides by their sum."""
  problem = PROBLEM._replace(train_input=lambda images, policy, key: images)
  state = _state(_settings())
  new, _ = jax.jit(ddas.make(problem, _settings()).step)(state, batch)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), new.gamma, state.gamma)
