"""A point of a search and the draws at it: what is looked up is what a pass would have given."""

import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.runtime import progress
from daas_jax.data import select
from daas_jax.errors import BadInput
from daas_jax.estimators import summary
from daas_jax.gradcheck import draws, estimators, point as point_lib, policy


def tiny():
  """A small fixed network and 36 policies (25 outcomes)."""
  config = config_lib.gradcheck_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 200, 10
  config.network.name, config.network.channels = 'small_cnn', 4
  config.policy.ops, config.policy.levels, config.policy.share = ('Rotate', 'Solarize'), 2, 'slot'
  config.search.epochs, config.search.warmup_epochs, config.search.batch = 2, 1, 10
  config.search.n_arch, config.search.n_aug, config.search.n_w = 1, 2, 1
  config.lab.step, config.lab.draws, config.lab.history = 3, 6, 4
  config_lib.check(config, 'gradcheck')
  return config


@pytest.fixture(scope='module')
def config():
  return tiny()


@pytest.fixture(scope='module')
def point(config):
  return point_lib.build_point(config, select.from_config(config), progress.Reporter())


def test_networks_are_traced_on_one_thread(config, monkeypatch):
  # A rule of one's own for a derivative, traced on two threads at once, is a StoreException in JAX now and then.
  tracing, network = [], point_lib.problem_lib.network
  def spied(*args):
    tracing.append(threading.current_thread())
    return network(*args)
  monkeypatch.setattr(point_lib.problem_lib, 'network', spied)
  point_lib.build_point(config, select.from_config(config), progress.Reporter())
  assert len(tracing) >= 3 and set(tracing) == {threading.main_thread()}


def test_the_first_of_a_parallel_map_is_by_itself():
  began, traced = [], []
  @jax.jit
  def f(x):
    traced.append(threading.current_thread())
    return x + 1
  def call(x):
    began.append(x)
    return float(f(x))
  assert point_lib.in_parallel(call, np.arange(9.0)) == list(range(1, 10))
  assert began[0] == 0 and traced == [threading.main_thread()]
  assert point_lib.in_parallel(call, []) == []


def _loss(point, theta, i):
  return jnp.mean(point.image_losses(theta, point.images[point.outcome[i]], point.labels))


def test_the_table_holds_every_outcome_and_its_gradient(point):
  assert len(point.outcome) == 36 and len(point.gradients) == 25
  assert (point.outcome[np.asarray(jnp.all(point.policies.y == 0, -1))] == 0).all()
  for i in (0, 7, 35):
    g = jax.grad(lambda theta, i=i: _loss(point, theta, i))(point.theta)
    np.testing.assert_allclose(point.gradients[point.outcome[i]], g, rtol=1e-3, atol=1e-6)


def test_forward_mode_is_the_gradient_along_a_direction(point):
  v = point.val(point.theta)[1]
  tangents = point.image_tangents(point.theta, v, point.images[3], point.labels)
  np.testing.assert_allclose(jnp.mean(tangents), point.gradients[3] @ np.asarray(v), rtol=1e-3)


def test_the_exact_gradient_is_what_l_val_does(point):
  found, said = policy.check_exact(point, policy.exact_gradient(point), step=0.2)
  assert found == pytest.approx(said, rel=0.05)
  planted = jax.tree.map(lambda a: -a, policy.exact_gradient(point))
  found, said = policy.check_exact(point, planted, step=0.2)
  assert found != pytest.approx(said, rel=0.5)


def test_alignments_of_a_draw_are_those_of_passes(point):
  draw = draws.same(point, jax.random.key(1))
  g = [jax.grad(lambda theta, i=i: _loss(point, theta, i))(point.theta) for i in draw['index']]
  v = point.val(point.theta - point.xi * sum(g) / 2)[1]
  np.testing.assert_allclose(draw['s'], [jnp.vdot(v, gi) for gi in g], rtol=1e-2, atol=1e-5)
  np.testing.assert_allclose(draw['finite'], draw['s'], rtol=0.1, atol=0.02 * np.abs(draw['s']).max())


def test_policies_are_found_in_the_enumeration(point):
  shuffled = np.random.default_rng(0).permutation(36)
  picked = jax.tree.map(lambda a: a[shuffled], point.policies)
  picked = picked._replace(m=jnp.where(picked.y == 1, picked.m, 1))  # the level of what is not applied does not count
  np.testing.assert_array_equal(draws.index_of(point.policies, picked), shuffled)


@pytest.mark.parametrize('name', estimators.TABLE)
def test_every_estimator_gives_a_finite_gradient_of_every_group(point, config, tmp_path, name):
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.lab.estimators, config.lab.draws = (name,), 2
  rows = policy.compare(point, config, str(tmp_path), progress.Reporter())
  assert [(row['estimator'], row['group']) for row in rows] == [
      (e, g) for e in ('exact', name) for g in policy.GROUPS]
  for row in rows:
    assert all(np.isfinite(row[field]) for field in (*summary.Summary._fields, 'passes', 'seconds'))


def test_a_group_without_a_gradient_is_left_out(config, tmp_path):
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.policy.ops, config.policy.levels, config.lab.estimators, config.lab.draws = ('Rotate',), 2, ('eq13',), 2
  alone = point_lib.build_point(config, select.from_config(config), progress.Reporter())
  rows = policy.compare(alone, config, str(tmp_path), progress.Reporter())
  assert [row['group'] for row in rows] == ['p', 'delta', 'all'] * 2


def test_a_space_too_large_to_enumerate_is_refused(config):
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.policy.levels, config.policy.K = 100, 3
  with pytest.raises(BadInput, match='make the policy space'):
    point_lib.build_point(config, select.from_config(config), progress.Reporter())


def test_a_step_behind_the_end_of_the_search_is_refused(config):
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.lab.step = 20
  with pytest.raises(BadInput, match="'lab.step' must be below the 20 steps"):
    point_lib.build_point(config, select.from_config(config), progress.Reporter())
