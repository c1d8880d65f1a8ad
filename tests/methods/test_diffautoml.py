"""One step of DiffAutoML against Alg. 1 written out in float64, its phases, and its budget."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import config as config_lib
from daas_jax.data.dataset import Dataset
from daas_jax.errors import BadInput
from daas_jax.estimators import dsnas, hyper
from daas_jax.methods import diffautoml
from daas_jax.methods import problem as problem_lib, registry
from daas_jax.nets.shuffle import space as shuffle_space
from daas_jax.policies import transformations
from daas_jax.types import Batch, Problem

B, N, IMAGES = 2, 3, 6
COSTS = np.array([[1, 2, 3], [1, 2, 9]])
SPACE = transformations.Space(('Identity', 'Invert'), 2)


def _forward(theta, Z, x):
  for b in range(B):
    x = jnp.einsum('k,kni->ni', Z[b], jnp.tanh(jnp.einsum('kij,nj->kni', theta['w'][b], x)))
  return x @ theta['v']


def _each(theta, z, images, labels, key):
  del key
  Z = jax.nn.one_hot(z['choice'], N, dtype=images.dtype) * z['gate'][:, None]
  return optax.softmax_cross_entropy_with_integer_labels(_forward(theta, Z, images), labels)


def _draw(key, arch):
  return dsnas.sample(key, arch['alpha'], dsnas.decided(arch['alpha'], 0.3))


def _at(path):
  return {'choice': path, 'gate': jnp.ones(B), 'cost': jnp.float64(0)}


def _train_input(images, drawn, key):
  return images * (1 + 0.3 * drawn.index[:, None]) + 0.1 * drawn.strength.sum(-1, keepdims=True)


PROBLEM = Problem(
    init_theta=lambda key: {'w': jax.random.normal(key, (B, N, 4, 4)), 'v': jax.random.normal(key, (4, 3))},
    arch=shuffle_space.Paths(
        init=lambda key: {'alpha': jnp.array([[0.1, 0.2, -0.1], [0.0, 0.3, 0.2]]), 'path': jnp.array([2, 1])},
        sample=lambda key, arch, tau: _at(_draw(key, arch)), draw=_draw, at=_at, budget=None),
    policies=transformations.Policies(
        init=lambda key: jnp.array([0.1, -0.3, 0.2, 0.4]),
        sample=lambda key, tau: transformations.sample(key, tau, IMAGES, SPACE),
        probability=transformations.probability),
    train_input=_train_input, val_input=lambda images: images,
    loss=lambda *a: (jnp.mean(_each(*a)), jnp.float64(0)), losses=lambda *a: (_each(*a), jnp.float64(0)))


def _settings(**changes):
  sgd = optax.sgd(1.0)  # an update is minus the gradient
  return diffautoml.Settings(
      search_steps=3, schedule=lambda step: 0.5, hyper={'lr': 0.2, 'weight_decay': 0.03},
      searched=('lr', 'weight_decay'), theta=lambda v: optax.chain(
          optax.add_decayed_weights(v['weight_decay']), optax.sgd(v['lr'], 0.9)),
      optimizers={'arch': sgd, 'gamma': sgd, 'hyper': sgd}, freeze_margin=0.3,
      path=lambda alpha: dsnas.likeliest_path(alpha, COSTS, 6))._replace(**changes)


@pytest.fixture
def batch(x64):
  rng = np.random.default_rng(0)
  half = lambda: (jnp.asarray(rng.normal(size=(IMAGES, 4))), jnp.asarray(rng.integers(0, 3, IMAGES)))
  return Batch(*half(), *half())


def _start(settings):
  return diffautoml.make(PROBLEM, settings).init(jax.random.key(0))


def test_a_step_is_algorithm_1(batch):
  settings = _settings()
  method, state = diffautoml.make(PROBLEM, settings), _start(settings)
  new, metrics = jax.jit(method.step)(state, batch)
  key_tau, key_z, key_image, _, _ = jax.random.split(jax.random.fold_in(state.key, 0), 5)
  drawn = PROBLEM.policies.sample(key_tau, state.gamma)
  path = _draw(key_z, state.arch)
  images = _train_input(batch.train_images, drawn, key_image)

  def each(theta, Z):
    return optax.softmax_cross_entropy_with_integer_labels(_forward(theta, Z, images), batch.train_labels)

  Z = jax.nn.one_hot(path, N, dtype=jnp.float64)
  losses = each(state.theta, Z)
  # Eq. 2: sum_k L_k dp_k / dtau, by the derivative of softmax.
  p = jax.nn.softmax(state.gamma)
  up = sum(l * p[i] * (np.eye(4)[i] - p) for l, i in zip(losses, np.asarray(drawn.index)))
  np.testing.assert_allclose(new.gamma, state.gamma + up, rtol=1e-6)
  # Eq. 5: dL/dZ with every choice computed.
  g_Z = jax.grad(lambda Z: jnp.mean(each(state.theta, Z)))(Z)[jnp.arange(B), path]
  score = Z - jax.nn.softmax(state.arch['alpha'])
  np.testing.assert_allclose(new.arch['alpha'], state.arch['alpha'] - score * g_Z[:, None], rtol=1e-5, atol=1e-7)
  # Eq. 6-7: autodiff of the validation loss through plain SGD (the momentum is 0 at the start).
  g = jax.grad(lambda theta: jnp.mean(each(theta, Z)))(state.theta)
  after = lambda eta: jax.tree.map(
      lambda t, g: t - 0.5 * jnp.exp(eta['lr']) * (g + jnp.exp(eta['weight_decay']) * t), state.theta, g)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-8), new.theta, after(state.extra['eta']))
  val = lambda eta: jnp.mean(optax.softmax_cross_entropy_with_integer_labels(
      _forward(after(eta), Z, batch.val_images), batch.val_labels))
  g_eta = jax.grad(val)(state.extra['eta'])
  for name in ('lr', 'weight_decay'):
    np.testing.assert_allclose(metrics[f'grad_log_{name}'], g_eta[name], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(new.extra['eta'][name], state.extra['eta'][name] - g_eta[name], rtol=1e-4)
  np.testing.assert_allclose([metrics['lr'], metrics['lr_scale'], metrics['weight_decay']], [0.1, 0.2, 0.03], rtol=1e-6)


def test_what_is_searched_stays_within_its_bounds(batch):
  """A step that would leave them ends at the bound, which is said; a step that would not is the same as without."""
  free = _settings()
  state = _start(free)
  after = jax.jit(diffautoml.make(PROBLEM, free).step)(state, batch)[0].extra['eta']
  moved = {name: float(after[name] - state.extra['eta'][name]) for name in after}
  half = lambda name: float(np.exp(state.extra['eta'][name] + moved[name] / 2))
  for name, other in (('lr', 'weight_decay'), ('weight_decay', 'lr')):
    bounds = {name: (half(name), 10.0) if moved[name] < 0 else (1e-6, half(name))}
    new = jax.jit(diffautoml.make(PROBLEM, _settings(bounds=bounds)).step)(state, batch)[0].extra['eta']
    assert abs(moved[name]) > 1e-4 and float(new[name]) == pytest.approx(np.log(half(name)), abs=1e-6)
    assert new[other] == after[other]
    assert hyper.at_bound(new, bounds) == {name: pytest.approx(half(name))} and not hyper.at_bound(after, bounds)


def test_the_harder_transformation_becomes_likelier(batch):
  settings, harder = _settings(), 3
  problem = PROBLEM._replace(
      train_input=lambda images, drawn, key: jnp.where((drawn.index == harder)[:, None], 0.0, images),
      losses=lambda theta, z, images, labels, key: (1.0 + 2 * jnp.all(images == 0, -1) + 0 * z['gate'].sum(), 0.0))
  method = diffautoml.make(problem, settings)
  state, step = method.init(jax.random.key(0)), jax.jit(method.step)
  before = jax.nn.softmax(state.gamma)
  for _ in range(20):
    state, _ = step(state, batch)
  after = jax.nn.softmax(state.gamma)
  assert after[harder] > before[harder] + 0.1 and after[harder] == after.max()


def test_equal_losses_make_likely_transformations_likelier(x64):
  """The drift that the module speaks of, by enumeration."""
  tau = jnp.array([0.1, -0.3, 0.2, 0.4], jnp.float64)
  drawn = lambda i: transformations.Drawn(jnp.array([i]), None)
  each = [jax.grad(diffautoml.hardness)(tau, drawn(i), jnp.ones(1), 'eq2') for i in range(4)]
  found = sum(p * g for p, g in zip(jax.nn.softmax(tau), each))
  np.testing.assert_allclose(found, -jax.grad(lambda tau: jnp.sum(jax.nn.softmax(tau)**2))(tau) / 2, rtol=1e-10)


def test_the_score_is_the_unbiased_gradient_of_the_expected_loss(x64):
  """By enumeration of what two images draw; it has no drift where all losses are equal."""
  tau, loss = jnp.array([0.1, -0.3, 0.2, 0.4], jnp.float64), jnp.array([1.0, 3.0, 0.5, 2.0], jnp.float64)
  p = jax.nn.softmax(tau)
  def mean(loss):
    out = 0
    for i in range(4):
      for j in range(4):
        drawn = transformations.Drawn(jnp.array([i, j]), None)
        out += p[i] * p[j] * jax.grad(diffautoml.hardness)(tau, drawn, loss[drawn.index], 'score')
    return out
  np.testing.assert_allclose(mean(loss), -jax.grad(lambda tau: jax.nn.softmax(tau) @ loss)(tau), atol=1e-12)
  np.testing.assert_allclose(mean(jnp.ones(4)), 0, atol=1e-12)


def test_in_the_tuning_phase_path_and_alpha_stay_and_the_rest_goes_on(batch):
  method = diffautoml.make(PROBLEM, _settings(search_steps=2))
  state, step = method.init(jax.random.key(0)), jax.jit(method.step)
  for _ in range(2):
    old, (state, _) = state, step(state, batch)
    assert np.any(state.arch['alpha'] != old.arch['alpha'])
  state = method.end_epoch(state)
  np.testing.assert_array_equal(state.arch['path'], dsnas.likeliest_path(state.arch['alpha'], COSTS, 6))
  for _ in range(2):
    old, (state, _) = state, step(state, batch)
    assert np.array_equal(state.arch['alpha'], old.arch['alpha'])
    assert np.any(state.gamma != old.gamma) and state.extra['eta']['lr'] != old.extra['eta']['lr']
    unused = sorted(set(range(N)) - {int(state.arch['path'][0])})
    moved = np.abs(state.theta['w'][0] - old.theta['w'][0]).max((1, 2))
    assert moved.max() == moved[int(state.arch['path'][0])] and moved[unused].max() < moved.max()
  later = method.end_epoch(state._replace(arch=state.arch | {'alpha': -state.arch['alpha']}))
  np.testing.assert_array_equal(later.arch['path'], state.arch['path'])


def test_a_decided_block_stays_and_the_other_moves(batch):
  method = diffautoml.make(PROBLEM, _settings())
  state = method.init(jax.random.key(0))
  alpha = jnp.array([[3.0, 0.0, 0.0], [0.0, 0.3, 0.2]])
  new, _ = jax.jit(method.step)(state._replace(arch=state.arch | {'alpha': alpha}), batch)
  assert np.array_equal(new.arch['alpha'][0], alpha[0]) and np.all(new.arch['alpha'][1] != alpha[1])


def test_a_penalty_makes_paths_cheaper(batch):
  penalty = lambda alpha: 5 * dsnas.penalty(alpha, dsnas.Budget(COSTS, 0, 3))
  costs = []
  for chosen in (None, penalty):
    method = diffautoml.make(PROBLEM, _settings(penalty=chosen, freeze_margin=0.0, search_steps=100))
    state, step = method.init(jax.random.key(0)), jax.jit(method.step)
    for _ in range(20):
      state, _ = step(state, batch)
    costs.append(float(dsnas.expected_cost(state.arch['alpha'], COSTS)))
  assert costs[1] < costs[0] - 0.5 and costs[1] < 3.5


# --- out of a config ------------------------------------------------------------------------------------------


def _data(side=28):
  images = np.zeros((4, side, side, 1), np.uint8)
  labels = np.zeros(4, np.int32)
  return Dataset('made', images, labels, images, labels, ('a', 'b'), (0.5,), (0.5,))


def _config(**changes):
  config = config_lib.search_config('diffautoml')
  config.network.size, config.search.batch = 'small', 4
  for name, value in changes.items():
    config.arch[name] = value
  return config


def test_every_path_of_a_search_by_rejection_is_within_the_budget():
  data = _data()
  costs = problem_lib.build(_config(), data).arch.budget
  total = lambda path: int(costs.costs[np.arange(6), path].sum()) + costs.rest
  limit = total(costs.costs.argmin(-1)) + 300_000
  config = _config(constraint='rejection', max_multiply_adds=limit)
  config_lib.check(config, 'search')
  problem = problem_lib.build(config, data)
  arch = problem.arch.init(jax.random.key(0)) | {'alpha': jnp.asarray(costs.costs / 1e5, jnp.float32)}  # of the dearest
  assert total(arch['path']) <= limit
  z = jax.jit(jax.vmap(lambda key: problem.arch.sample(key, arch, 1.0)))(jax.random.split(jax.random.key(1), 300))
  spent = np.array([total(path) for path in np.asarray(z['choice'])])
  np.testing.assert_allclose(z['cost'], spent, rtol=1e-6)
  assert spent.max() <= limit < max(total(p) for p in np.asarray(jax.vmap(
      lambda key: dsnas.sample(key, arch['alpha'], jnp.zeros(6, bool)))(jax.random.split(jax.random.key(1), 300))))
  found = dsnas.likeliest_path(arch['alpha'], problem.arch.budget.costs, problem.arch.budget.left)
  assert total(found) <= limit


def test_a_penalty_out_of_a_config_is_of_the_whole_path(monkeypatch):
  data, built = _data(), []
  budget = problem_lib.build(_config(), data).arch.budget
  limit = budget.rest + int(budget.costs.min(-1).sum()) + 300_000
  config = _config(constraint='penalty', max_multiply_adds=limit, penalty=2.0)
  monkeypatch.setattr(diffautoml, 'make', lambda problem, settings: built.append(settings))
  registry.build(config, problem_lib.build(config, data), 10)
  mean = budget.rest + budget.costs.mean(-1).sum()  # of paths that are all alike
  np.testing.assert_allclose(built[0].penalty(jnp.zeros(budget.costs.shape)), 2 * (mean / limit - 1), rtol=1e-4)


def test_a_budget_below_the_cheapest_path_is_refused():
  with pytest.raises(BadInput, match='below the cheapest path'):
    problem_lib.build(_config(constraint='penalty', max_multiply_adds=1000), _data())


@pytest.mark.parametrize('room, key, value, word', [
    ('arch', 'constraint', 'rejection', 'belong together'), ('arch', 'max_multiply_adds', 5, 'belong together'),
    ('search', 'tuning_epochs', 50, 'below search.epochs'), ('hyper', 'searched', ('lr', 'momentum'), "'lr' or"),
    ('hyper', 'weight_decay_least', 0.5, 'from hyper.weight_decay_least .0.5. to hyper.weight_decay_most .0.1.'),
    ('hyper', 'weight_decay_most', 1e-6, "'theta.weight_decay' .*, where the search of it begins, must be from"),
    ('network', 'size', 'smal', 'nearest: small'), ('policy', 'ops', ('Shear',), 'nearest'),
    ('network', 'name', 'supernet', 'must be one of')])
def test_a_wrong_config_is_one_line(room, key, value, word):
  config = _config()
  config[room][key] = value
  with pytest.raises(BadInput, match=word) as error:
    config_lib.check(config, 'search')
  assert '\n' not in str(error.value)


def test_it_has_no_samples_to_share():
  with pytest.raises(BadInput, match='one sample a step'):
    registry.build(_config(), problem_lib.build(_config(), _data()), 10, devices=2, axis='devices')
