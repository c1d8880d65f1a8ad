"""The eigenvalue that a search logs, against LAPACK, and the rules that stop a search."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.data import dataset, splits
from daas_jax.methods import problem as problem_lib, stability
from daas_jax.policies.given import Given
from daas_jax.types import SearchState


@pytest.fixture(name='data', scope='module')
def data_fixture():
  rng = np.random.default_rng(0)
  images, labels = rng.integers(0, 256, (16, 8, 8, 1), np.uint8), np.arange(16, dtype=np.int32) % 2
  return dataset.assemble('noise', images, labels, images, labels, ('a', 'b'))


def _config(method, **keys):
  config = config_lib.search_config(method)
  config.network.layers, config.network.channels, config.search.batch = 3, 2, 4
  config.network.primitives = ('skip_connect', 'max_pool_3x3')
  for key, value in keys.items():
    config.arch[key] = value
  return config


@pytest.mark.parametrize('method', ['amended_darts', 'daas'])
def test_the_eigenvalue_is_that_of_the_whole_hessian(data, method):
  """In a space small enough for `jax.hessian`; for DAAS the relaxation has its beta, and theta is the single path's."""
  config = _config(method, eigenvalue_every=2)
  policy = Given(lambda key, images, progress: images, True) if method == 'amended_darts' else None
  problem = problem_lib.build(config, data, None, policy)
  theta, arch = problem.init_theta(jax.random.key(0)), problem.arch.init(jax.random.key(1))
  arch = jax.tree.map(lambda a: 1000 * a, arch)  # away from equal probabilities
  state = SearchState(None, None, theta, arch, None, None, None, None, None)
  measured = stability.measure(problem, config, data)
  assert measured(state, 0) == {} and measured(state, 2) == {}
  found = measured(state, 1)['dominant_eigenvalue']
  images, labels = _batch(config, data)
  loss = lambda a: problem.relaxed_loss(theta, arch | {'alpha': a.reshape(arch['alpha'].shape)},
                                        problem.val_input(images), labels, None)
  flat = arch['alpha'].ravel()
  eye = jnp.eye(len(flat))
  H = jax.jit(jax.vmap(lambda v: jax.jvp(jax.grad(loss), (flat,), (v,))[1]))(eye)
  values = np.linalg.eigvalsh(np.asarray(H, np.float64))
  largest = values[np.argmax(np.abs(values))]
  # 20 iterations from a random start: the two largest may not have parted yet, so between them and near the largest.
  assert np.sign(found) == np.sign(largest) and 0.9 * abs(largest) <= abs(found) <= 1.001 * abs(largest)


def _batch(config, data):
  rows = splits.halves(data.train_labels, config.seed, 0.5)[1][:config.search.batch]
  return data.train_images[rows], data.train_labels[rows]


def test_nothing_is_measured_where_nothing_is_searched_or_asked_for(data):
  config = _config('amended_darts')
  problem = problem_lib.build(config, data, None, Given(lambda key, images, progress: images, True))
  assert stability.measure(problem, config, data)(None, 0) == {}
  ddas = config_lib.search_config('ddas')
  assert stability.rule(ddas) is None


def _rows(skips=(), eigenvalues=()):
  return [{'skip_share': s} for s in skips] + [{'dominant_eigenvalue': e} for e in eigenvalues]


def test_rules():
  never = stability.rule(_config('amended_darts'))
  assert never(_rows([1.0] * 3, [1.0] * 5 + [100.0] * 5)) is None
  skip = stability.rule(_config('amended_darts', stop_skip=0.25))
  assert skip(_rows([0.5, 0.25])) is None and 'skip_connect' in skip(_rows([0.0, 0.3])) and skip([]) is None
  rising = stability.rule(_config('amended_darts', eigenvalue_every=1, stop_eigenvalue=0.75))
  assert rising(_rows((), [1.0] * 5 + [1.3] * 5)) is None and rising(_rows((), [1.0] * 9)) is None
  assert 'eigenvalue rose from 1 to 1.4' in rising(_rows((), [9.0] + [1.0] * 5 + [1.4] * 5))
  assert rising(_rows((), [1.0] * 5 + [-5.0] * 5)) is None and rising(_rows((), [-0.5] * 5 + [0.1] * 5)) is None
