"""One step of DAAS against Alg. 1 written out pass by pass, on a problem small enough to read."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import traced

from daas_jax import trees
from daas_jax.estimators import control, gumbel, passes, score
from daas_jax.methods import daas, daas_passes
from daas_jax.policies import categorical
from daas_jax.types import Architectures, Batch, Problem

SPACE = categorical.Space(('Rotate', 'Invert', 'Color'), K=2, levels=3)
N_ARCH, N_AUG, N_W, WARMUP = 3, 2, 4, 2


def _loss(theta, z, images, labels, key):
  """Three 'operations' on one 'edge', of which z picks one."""
  del key
  logits = jnp.einsum('o,oij,bi->bj', z['A'], theta['w'], jnp.tanh(images @ theta['v']))
  loss = optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()
  return loss, jnp.mean(jnp.argmax(logits, -1) == labels)


def _train_input(images, policy, key):
  shift = jnp.sum(policy.y * (1.0 + policy.o + 0.3 * policy.m) * jnp.array([1.0, -0.5]))
  return images.astype(jnp.float32) * (1 + 0.2 * shift) + 0.01 * jax.random.normal(key, images.shape)


PROBLEM = Problem(
    init_theta=lambda key: {'v': jax.random.normal(key, (4, 5)) / 2, 'w': jax.random.normal(key, (3, 5, 3)) / 2},
    arch=Architectures(lambda key: {'alpha': jax.random.normal(key, (3,))},
                       lambda key, arch, tau: {'A': gumbel.one_hot(key, arch['alpha'], tau)}),
    loss=_loss,
    policies=categorical.Policies(
        init=functools.partial(categorical.init, space=SPACE),
        sample=functools.partial(categorical.sample, space=SPACE),
        log_prob=functools.partial(categorical.log_prob, space=SPACE),
        identity=lambda policy: policy._replace(y=jnp.zeros_like(policy.y))),
    train_input=_train_input,
    val_input=lambda images: images.astype(jnp.float32))


def _settings(**changes):
  sgd = {name: optax.sgd(1.0) for name in ('theta', 'arch', 'gamma')}  # so that an update is minus the gradient
  base = daas.Settings(N_ARCH, N_AUG, N_W, WARMUP, lambda step: 0.3, None, lambda step: 0.7, sgd)
  return base._replace(**changes)


@pytest.fixture(scope='module')
def batch():
  rng = np.random.default_rng(0)
  images = lambda: jnp.asarray(rng.integers(0, 4, (6, 4)), jnp.uint8)
  labels = lambda: jnp.asarray(rng.integers(0, 3, 6))
  return Batch(images(), labels(), images(), labels())


def _state(settings, step):
  state = daas.make(PROBLEM, settings).init(jax.random.key(0))
  gamma = jax.tree.map(lambda a: a + jax.random.normal(jax.random.key(9), a.shape), state.gamma)
  return state._replace(step=jnp.int32(step), gamma=gamma)


def _written_out(settings, state, batch, joint, xi=0.3):
  """Eq. 9, 10, 13 and 14 with plain `jax.grad`, from the samples that the step draws."""
  key = jax.random.fold_in(state.key, state.step)
  z, pullback, policies, _, keys = daas_passes.sample(PROBLEM, settings, state, 0.7, key, joint)
  pick = lambda tree, i: jax.tree.map(lambda a: a[i], tree)
  val = PROBLEM.val_input(batch.val_images), batch.val_labels
  train = lambda n: (PROBLEM.train_input(batch.train_images, pick(policies, n), keys[n]),
                     batch.train_labels)
  g_theta = lambda theta, i, data: jax.grad(_loss, has_aux=True)(theta, pick(z, i), *data, key)[0]
  g_z = [jax.grad(_loss, argnums=1, has_aux=True)(state.theta, pick(z, i), *val, key)[0]['A'] for i in range(N_ARCH)]
  spread = jnp.stack([g / N_ARCH for g in g_z] + [jnp.zeros(3)] * N_W)
  out = {'arch': pullback({'A': spread})[0]}
  s = np.zeros((N_ARCH, N_AUG))
  for i in range(N_ARCH):
    g = [g_theta(state.theta, i, train(i * N_AUG + j)) for j in range(N_AUG)]
    theta_prime = jax.tree.map(lambda t, *gs: t - xi * sum(gs) / N_AUG, state.theta, *g)
    at_prime = g_theta(theta_prime, i, val)
    s[i] = [trees.dot(at_prime, gj) for gj in g]
  b = np.asarray({'none': score.no_baseline, 'leave_one_out': score.leave_one_out}[settings.baseline](jnp.asarray(s)))
  total = jax.tree.map(jnp.zeros_like, state.gamma)
  for i in range(N_ARCH):
    for j in range(N_AUG):
      d_log_p = jax.grad(PROBLEM.policies.log_prob)(state.gamma, pick(policies, i * N_AUG + j))
      total = trees.axpy(-xi * (s[i, j] - b[i, j]) / s.size, d_log_p, total)
  out['gamma'] = total
  weights = [g_theta(state.theta, N_ARCH + i, train(N_ARCH * N_AUG)) for i in range(N_W)]
  out['theta'] = jax.tree.map(lambda *gs: sum(gs) / (N_W if settings.accumulate == 'mean' else 1), *weights)
  return out, s


def _assert_same(step, expected):
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), step, expected)


@pytest.mark.parametrize('changes', [{}, {'baseline': 'none', 'accumulate': 'sum', 'xi': 0.05}])
def test_a_joint_step_is_alg_1(batch, changes):
  settings = _settings(**changes)
  state = _state(settings, WARMUP)
  new, metrics = jax.jit(daas.make(PROBLEM, settings).step)(state, batch)
  expected, s = _written_out(settings, state, batch, True, changes.get('xi', 0.3))
  for name in ('theta', 'arch', 'gamma'):
    moved = jax.tree.map(jnp.subtract, getattr(state, name), getattr(new, name))
    assert float(trees.norm(moved)) > 1e-4
    _assert_same(moved, expected[name])
  np.testing.assert_allclose(metrics['alignment'], s.mean(), rtol=1e-4)
  assert int(new.step) == WARMUP + 1


def test_warm_up_leaves_gamma_alone_and_applies_no_policy(batch):
  settings = _settings(optimizers={name: optax.adam(0.1) for name in ('theta', 'arch', 'gamma')})
  state = _state(settings, WARMUP - 1)
  new, metrics = jax.jit(daas.make(PROBLEM, settings).step)(state, batch)
  jax.tree.map(np.testing.assert_array_equal, (new.gamma, new.opt_gamma, new.extra),
               (state.gamma, state.opt_gamma, state.extra))
  assert float(metrics['grad_norm_gamma']) == 0
  plain = _settings()
  expected, _ = _written_out(plain, state, batch, False)
  moved = jax.jit(daas.make(PROBLEM, plain).step)(_state(plain, WARMUP - 1), batch)[0]
  _assert_same(jax.tree.map(jnp.subtract, state.theta, moved.theta), expected['theta'])
  _assert_same(jax.tree.map(jnp.subtract, state.arch, moved.arch), expected['arch'])


def test_alpha_waits_for_theta(batch):
  """Everything else moves as it does without a warm-up of alpha."""
  settings = _settings(arch_warmup_steps=WARMUP + 1)
  step, other = (jax.jit(daas.make(PROBLEM, x).step) for x in (settings, _settings()))
  state = _state(settings, WARMUP)
  (first, _), (moved, _) = step(state, batch), other(state, batch)
  jax.tree.map(np.testing.assert_array_equal, (first.arch, first.opt_arch), (state.arch, state.opt_arch))
  jax.tree.map(np.testing.assert_array_equal, (first.theta, first.gamma), (moved.theta, moved.gamma))
  later = first._replace(step=jnp.int32(WARMUP + 1))
  jax.tree.map(np.testing.assert_array_equal, step(later, batch)[0].arch, other(later, batch)[0].arch)
  assert float(trees.norm(jax.tree.map(jnp.subtract, step(later, batch)[0].arch, state.arch))) > 1e-4


def test_a_fixed_network_has_no_passes_of_eq_9(batch, monkeypatch):
  """Its validation loss is reported, from a forward pass; gamma and theta move as Alg. 1 has it."""
  fixed = PROBLEM._replace(arch=Architectures(sample=lambda key, arch, tau: {'A': jnp.array([0.0, 1.0, 0.0])}))
  settings, tables = _settings(), []
  run = passes.run
  monkeypatch.setattr(passes, 'run', lambda *rest: tables.append(rest[2]) or run(*rest))
  state = _state(settings, WARMUP)._replace(arch={}, opt_arch=settings.optimizers['arch'].init({}))
  new, metrics = jax.jit(daas.make(fixed, settings).step)(state, batch)
  assert len(tables[0].point) == N_W + N_ARCH * (N_AUG + 1)
  loss, accuracy = _loss(state.theta, {'A': jnp.array([0.0, 1.0, 0.0])}, fixed.val_input(batch.val_images),
                         batch.val_labels, None)
  assert metrics['val_loss'] == pytest.approx(float(loss), rel=1e-5)
  assert metrics['val_accuracy'] == pytest.approx(float(accuracy)) and new.arch == {}

  # The same step where an architecture is searched that comes out as this one every time.
  certain = {'alpha': jnp.array([-1e4, 0.0, -1e4])}
  other = state._replace(arch=certain, opt_arch=settings.optimizers['arch'].init(certain))
  expected, said = jax.jit(daas.make(PROBLEM, settings).step)(other, batch)
  assert len(tables[-1].point) == len(tables[0].point) + N_ARCH
  for name in ('theta', 'gamma'):
    _assert_same(getattr(new, name), getattr(expected, name))
  assert metrics['train_loss'] == pytest.approx(float(said['train_loss']), rel=1e-5)


def test_the_virtual_step_leaves_no_trace(batch):
  """With no weight passes' gradient (lr 0), a joint step changes neither theta nor its optimizer's momentum."""
  settings = _settings(optimizers={'theta': optax.sgd(0.0), 'arch': optax.sgd(0.0), 'gamma': optax.sgd(1.0)}, xi=5.0)
  state = _state(settings, WARMUP)
  new, _ = jax.jit(daas.make(PROBLEM, settings).step)(state, batch)
  jax.tree.map(np.testing.assert_array_equal, (new.theta, new.arch), (state.theta, state.arch))
  assert float(trees.norm(jax.tree.map(jnp.subtract, new.gamma, state.gamma))) > 0


def test_moving_average_baseline_is_the_past_and_not_the_present(batch):
  settings = _settings(baseline='moving_average')
  step = jax.jit(daas.make(PROBLEM, settings).step)
  state = _state(settings, WARMUP)
  first, metrics = step(state, batch)
  none, _ = jax.jit(daas.make(PROBLEM, _settings(baseline='none')).step)(state, batch)
  _assert_same(first.gamma, none.gamma)  # no past yet: baseline 0
  assert float(score.moving_average_value(**first.extra)) == pytest.approx(float(metrics['alignment']), rel=1e-5)


def _additive(**changes):
  """The settings and problem of a search with outcome scores and the learned control variate."""
  problem = PROBLEM._replace(policies=PROBLEM.policies._replace(
      log_prob=functools.partial(categorical.outcome_log_prob, space=SPACE), n_features=categorical.n_features(SPACE),
      features=functools.partial(categorical.features, space=SPACE),
      expected_features=functools.partial(categorical.expected_features, space=SPACE)))
  return problem, _settings(control='additive', **changes)


@pytest.mark.parametrize('baseline', ['leave_one_out', 'step_mean'])
def test_the_additive_control_variate_is_its_formula_and_learns_from_the_step(batch, baseline):
  problem, settings = _additive(baseline=baseline)
  rng = np.random.default_rng(4)
  phi = jnp.asarray(rng.normal(size=(1, 60, problem.policies.n_features)), jnp.float32)
  learned = control.update(control.init(problem.policies.n_features), phi, jnp.asarray(rng.normal(size=(1, 60)), jnp.float32))
  state = _state(settings, WARMUP)
  state = state._replace(extra={'average': jnp.zeros(()), 'count': jnp.zeros(()), 'past': learned})
  new, _ = jax.jit(daas.make(problem, settings).step)(state, batch)

  _, s = _written_out(_settings(), state, batch, True)
  policies = daas_passes.sample(problem, settings, state, 0.7, jax.random.fold_in(state.key, state.step), True).policies
  searched = jax.tree.map(lambda a: a[: N_ARCH * N_AUG], policies)
  w = control.coefficients(learned)
  phi = jax.vmap(problem.policies.features)(searched).reshape(N_ARCH, N_AUG, -1)
  left = s - phi @ w
  b = {'leave_one_out': score.leave_one_out, 'step_mean': score.step_mean}[baseline](left)

  def surrogate(gamma):
    log_p = jax.vmap(lambda p: problem.policies.log_prob(gamma, p))(searched).reshape(N_ARCH, N_AUG)
    return -0.3 * (jnp.mean((left - b) * log_p) + problem.policies.expected_features(gamma, w))

  _assert_same(jax.tree.map(jnp.subtract, state.gamma, new.gamma), jax.grad(surrogate)(state.gamma))
  _assert_same(new.extra['past'], control.update(learned, phi, jnp.asarray(s, jnp.float32)))


def test_the_control_variate_does_not_learn_in_warm_up(batch):
  problem, settings = _additive()
  state = daas.make(problem, settings).init(jax.random.key(0))
  new, _ = jax.jit(daas.make(problem, settings).step)(state, batch)
  jax.tree.map(np.testing.assert_array_equal, new.extra, state.extra)


def test_both_phases_are_one_program_and_samples_do_not_repeat(batch):
  settings = _settings()
  counted = traced.counted(daas.make(PROBLEM, settings).step)
  step = jax.jit(counted)
  state, losses = daas.make(PROBLEM, settings).init(jax.random.key(0)), []
  for _ in range(5):
    state, metrics = step(state, batch)
    losses.append(float(metrics['train_loss']))
  assert counted.times == 1
  assert len(set(losses)) == 5


def test_samples_must_divide_among_devices():
  with pytest.raises(ValueError, match='n_arch=3'):
    daas.make(PROBLEM, _settings(devices=2, axis='devices'))
