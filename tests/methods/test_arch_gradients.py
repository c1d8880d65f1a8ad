"""The gradient of alpha and beta from validation losses: its formula, its mean, devices, and a search's use of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib, trees
from daas_jax.config import schema
from daas_jax.errors import BadInput
from daas_jax.estimators import control, evidence, score, summary
from daas_jax.methods import arch_gradients, daas, daas_passes, optimizers
from daas_jax.nets import registry as nets
from daas_jax.types import Architectures
import test_daas

N = 2


class _Arch:
  """test_daas's one edge of three operations, with what a gradient out of losses needs."""
  init, sample = staticmethod(test_daas.PROBLEM.arch.init), staticmethod(test_daas.PROBLEM.arch.sample)
  n_features = 3
  features = staticmethod(lambda z: z['A'])
  log_prob = staticmethod(lambda arch, z: jax.nn.log_softmax(arch['alpha']) @ z['A'])
  expected_features = staticmethod(lambda arch, w: jax.nn.softmax(arch['alpha']) @ w)


PROBLEM = test_daas.PROBLEM._replace(arch=_Arch())
batch = test_daas.batch


@functools.cache
def _start():
  theta, arch = PROBLEM.init_theta(jax.random.key(0)), PROBLEM.arch.init(jax.random.key(1))
  rng = np.random.default_rng(2)
  learned = control.update(control.init(3), jnp.asarray(rng.normal(size=(1, 9, 3)), jnp.float32),
                           jnp.asarray(rng.normal(size=(1, 9)), jnp.float32))
  return theta, arch, {'arch_past': learned}


def _losses(theta, batch):
  """The validation loss of each operation [3]."""
  loss = lambda z: PROBLEM.loss(theta, {'A': z}, PROBLEM.val_input(batch.val_images), batch.val_labels, None)[0]
  return jnp.stack([loss(z) for z in jnp.eye(3)])


@functools.partial(jax.jit, static_argnums=(0, 1))
def _one(which, n, key, batch):
  return arch_gradients.of_losses(PROBLEM, which, *_start(), key, batch, 2 * n)


@pytest.mark.parametrize('which', ['additive', 'regression'])
def test_it_is_its_formula(batch, which):
  theta, arch, extra = _start()
  key = jax.random.key(4)
  found = _one(which, N, key, batch)
  z = arch_gradients.draw(PROBLEM, arch_gradients.keys(key, 0, 2 * N), arch, 1.0).z
  values = z['A'] @ _losses(theta, batch)
  np.testing.assert_allclose(found.loss, values, rtol=1e-5)
  past = control.update(extra['arch_past'], z['A'][None], values[None])
  jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), found.extra['arch_past'], past)
  w = control.coefficients(extra['arch_past'] if which == 'additive' else past)
  left = values - z['A'] @ w
  left = (left - score.leave_one_out(left[None])[0]) * (which == 'additive')

  def surrogate(arch):
    return jnp.mean(left * jax.vmap(PROBLEM.arch.log_prob, (None, 0))(arch, z)) + PROBLEM.arch.expected_features(arch, w)

  expected = jax.grad(surrogate)(arch)
  np.testing.assert_allclose(found.gradient['alpha'], expected['alpha'], rtol=1e-4, atol=1e-6)
  unbiased = _one('additive', N, key, batch).gradient['alpha']
  np.testing.assert_allclose(found.evidence['alpha'], unbiased, rtol=1e-4, atol=1e-6)


def test_losses_of_fewer_images_are_of_the_first_ones(batch):
  key, few = jax.random.key(9), batch._replace(val_images=batch.val_images[:3], val_labels=batch.val_labels[:3])
  some = arch_gradients.of_losses(PROBLEM, 'additive', *_start(), key, batch, 4, images=3)
  alone = arch_gradients.of_losses(PROBLEM, 'additive', *_start(), key, few, 4)
  jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), some, alone)
  assert np.abs(some.loss - _one('additive', 2, key, batch).loss).max() > 1e-3


def test_what_is_decided_is_told_by_the_unbiased_gradient(batch):
  """That of the regression is that of a hundred steps: sums of it are no independent ones."""
  settings = test_daas._settings(arch_gradient='regression', n_losses=3)
  keeping = optimizers.keeping(settings.optimizers['arch'], lambda arch, gradient: gradient)
  method = daas.make(PROBLEM, settings._replace(optimizers=settings.optimizers | {'arch': keeping}))
  state = method.init(jax.random.key(0))
  extra = state.extra | {'arch_past': _start()[2]['arch_past']}
  state = state._replace(step=jnp.int32(test_daas.WARMUP), extra=extra)
  new, _ = jax.jit(method.step)(state, batch)
  key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), 4)
  found = jax.jit(lambda: arch_gradients.of_losses(
      PROBLEM, 'regression', state.theta, state.arch, extra, key, batch, 3 * test_daas.N_ARCH))()
  gradient, evidence = (float(jnp.mean(x['alpha']**2)) for x in (found.gradient, found.evidence))
  assert abs(gradient / evidence - 1) > 2e-3  # twenty times what the next line can see
  np.testing.assert_allclose(new.opt_arch.blocks.square['alpha'], 0.1 * evidence, rtol=1e-4)


def test_additive_has_the_exact_gradient_on_average_and_regression_is_near_it(batch):
  theta, arch, _ = _start()
  exact = jax.grad(lambda alpha: jax.nn.softmax(alpha) @ _losses(theta, batch))(arch['alpha'])
  keys = jax.random.split(jax.random.key(6), 20_000)
  draws = jax.lax.map(lambda key: _one('additive', 1, key, batch).gradient['alpha'], keys, batch_size=500)
  assert np.abs(summary.z_scores(draws, exact)).max() < 5
  extra = {'arch_past': control.init(3)}
  for key in keys[:60]:
    found = arch_gradients.of_losses(PROBLEM, 'regression', theta, arch, extra, key, batch, 2 * N)
    extra = found.extra
  np.testing.assert_allclose(found.gradient['alpha'], exact, atol=0.1 * float(jnp.linalg.norm(exact)))


@pytest.mark.parametrize('which', ['additive', 'regression'])
def test_devices_that_share_the_architectures_get_the_gradient_of_one(batch, which):
  key = jax.random.key(7)
  one = _one(which, 2, key, batch)
  shared = jax.vmap(lambda _: arch_gradients.of_losses(PROBLEM, which, *_start(), key, batch, 2, 'devices'),
                    axis_name='devices')(jnp.arange(2))
  for device in range(2):
    mine = jax.tree.map(lambda a, d=device: a[d], (shared.gradient, shared.extra))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6), mine, (one.gradient, one.extra))
  np.testing.assert_allclose(shared.loss.reshape(-1), one.loss, rtol=1e-6)


@pytest.mark.parametrize('which', ['additive', 'regression'])
def test_a_step_of_daas_takes_it_and_changes_nothing_else(batch, which):
  plain, settings = test_daas._settings(), test_daas._settings(arch_gradient=which)
  state = daas.make(PROBLEM, settings).init(jax.random.key(0))._replace(step=jnp.int32(test_daas.WARMUP))
  new, metrics = jax.jit(daas.make(PROBLEM, settings).step)(state, batch)
  before = {name: state.extra[name] for name in ('average', 'count')}
  other, _ = jax.jit(daas.make(PROBLEM, plain).step)(state._replace(extra=before), batch)
  close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-6)
  jax.tree.map(close, (new.theta, new.gamma), (other.theta, other.gamma))
  key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), 4)
  found = jax.jit(lambda: arch_gradients.of_losses(
      PROBLEM, which, state.theta, state.arch, state.extra, key, batch, 2 * test_daas.N_ARCH))()
  jax.tree.map(close, jax.tree.map(jnp.subtract, state.arch, new.arch), found.gradient)
  jax.tree.map(close, new.extra['arch_past'], found.extra['arch_past'])
  assert float(trees.norm(found.gradient)) > 0 or which == 'regression'
  np.testing.assert_allclose(metrics['val_loss'], found.loss.mean(), rtol=1e-5)
  assert set(other.extra) == {'average', 'count'}


def test_while_alpha_waits_nothing_is_learned_and_d_val_is_reported(batch):
  """On two devices as on one; what the optimizer keeps of its gradients does not see the wait."""
  sgd = test_daas._settings().optimizers
  kept = sgd | {'arch': optimizers.keeping(sgd['arch'], lambda arch, gradient: gradient)}
  settings = test_daas._settings(n_arch=4, n_w=4, arch_gradient='regression', optimizers=kept,
                                 arch_warmup_steps=test_daas.WARMUP + 1)
  one, two = (daas.make(PROBLEM, settings._replace(**more)) for more in ({}, {'devices': 2, 'axis': 'devices'}))
  state = one.init(jax.random.key(0))._replace(step=jnp.int32(test_daas.WARMUP))
  step = jax.jit(one.step)
  new, metrics = step(state, batch)
  same = functools.partial(jax.tree.map, np.testing.assert_array_equal)
  same((new.arch, new.opt_arch, new.extra['arch_past']), (state.arch, state.opt_arch, state.extra['arch_past']))
  assert float(trees.norm(jax.tree.map(jnp.subtract, new.gamma, state.gamma))) > 0
  z = daas_passes.sample(PROBLEM, settings, state, 0.7, jax.random.fold_in(state.key, state.step), True).z['A']
  np.testing.assert_allclose(metrics['val_loss'], np.mean(z[:4] @ _losses(state.theta, batch)), rtol=1e-5)
  shared, said = jax.jit(jax.vmap(two.step, in_axes=(None, None), axis_name='devices', axis_size=2))(state, batch)
  for device in range(2):
    np.testing.assert_allclose(said['val_loss'][device], metrics['val_loss'], rtol=1e-5)
    same(jax.tree.map(lambda a, d=device: a[d], (shared.arch, shared.opt_arch)), (state.arch, state.opt_arch))
  later, _ = step(new, batch)
  assert float(trees.norm(later.extra['arch_past'])) > 0 and int(evidence.of_state(later.opt_arch).updates) == 1
  assert float(trees.norm(jax.tree.map(jnp.subtract, later.arch, state.arch))) > 0


def test_it_learns_in_warm_up_too(batch):
  settings = test_daas._settings(arch_gradient='regression')
  state = daas.make(PROBLEM, settings).init(jax.random.key(0))
  new, _ = jax.jit(daas.make(PROBLEM, settings).step)(state, batch)
  assert float(trees.norm(new.extra['arch_past'])) > 0
  jax.tree.map(np.testing.assert_array_equal, new.gamma, state.gamma)


def test_architectures_that_do_not_say_how_likely_they_are_are_refused():
  for problem in (test_daas.PROBLEM, PROBLEM._replace(arch=Architectures())):
    with pytest.raises(BadInput, match="'search.arch_gradient' = 'additive' needs cells that are searched"):
      daas.make(problem, test_daas._settings(arch_gradient='additive'))
    assert arch_gradients.init_extra(problem, 'straight_through') == {}


@pytest.mark.parametrize('changes', [{'network.name': 'small_cnn'}, {'network.genotype': 'darts_v2'}])
def test_a_config_without_a_searched_architecture_is_refused(changes):
  flat = {'search.arch_gradient': 'regression', 'network.name': 'supernet', 'network.genotype': '', 'search.batch': 64,
          'search.loss_images': 0, 'search.arch_warmup_epochs': 0, 'search.epochs': 2, 'arch.stop_skip': 1.0,
          'arch.stop_eigenvalue': 0.0}
  arch_gradients.check(flat)
  with pytest.raises(BadInput, match="'search.arch_gradient' = 'regression' needs cells"):
    arch_gradients.check(flat | changes)
  fixed = flat | changes | {'search.arch_gradient': 'straight_through'}
  arch_gradients.check(fixed)
  with pytest.raises(BadInput, match=r"'search.arch_warmup_epochs' \(1\) needs cells that are searched"):
    arch_gradients.check(fixed | {'search.arch_warmup_epochs': 1})


def test_cells_say_how_likely_they_are():
  config = config_lib.search_config()
  space = nets.of(config).space.architectures(config, None, 'path')
  arch_gradients.require(PROBLEM._replace(arch=space), 'additive')
  arch = space.init(jax.random.key(0))
  z = space.sample(jax.random.key(1), arch, 1.0)
  phi = space.features(z)
  assert phi.shape == (space.n_features,) and float(phi.sum()) == 16
  np.testing.assert_allclose(space.expected_features(arch, jnp.ones_like(phi)), 16, rtol=1e-5)


@pytest.mark.parametrize('changes, said', [
    ({'search.loss_images': 65, 'search.batch': 64}, r"'search.loss_images' \(65\) must be at most search.batch \(64\)"),
    ({'search.arch_warmup_epochs': 64, 'search.epochs': 64}, r"\(64\) must be below search.epochs \(64\)"),
    ({'search.arch_warmup_epochs': 1, 'arch.stop_skip': 0.5}, 'cannot be had with arch.stop_skip, .*: set that to 1'),
    ({'search.arch_warmup_epochs': 1, 'arch.stop_eigenvalue': 0.5, 'arch.eigenvalue_every': 1},
     'cannot be had with arch.stop_eigenvalue, .*: set that to 0')])
def test_what_is_too_much_or_does_not_go_together_is_refused(changes, said):
  config = config_lib.search_config()
  for key, value in changes.items():
    schema.put(config, key, value)
  with pytest.raises(BadInput, match=said):
    schema.check(config, 'search')
