"""A linen module of one's own, with batch normalisation and dropout, in a search and in a training."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib, register_network
from daas_jax.augment import inputs
from daas_jax.config.key import between, Key
from daas_jax.data import dataset, evaluation
from daas_jax.errors import BadInput
from daas_jax.methods import problem as problem_lib, registry, training
from daas_jax.nets import linen, registry as nets
from daas_jax.nets.losses import CROSS_ENTROPY
from daas_jax.types import Batch


class Own(nn.Module):
  """Its call has no word of the package's."""
  num_classes: int
  hidden: int = 3

  @nn.compact
  def __call__(self, images, train):
    x = nn.Conv(self.hidden, (3, 3), 2)(images)
    x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
    x = nn.Dropout(0.5, deterministic=not train)(x)
    return nn.Dense(self.num_classes)(jnp.mean(x, (1, 2)))


class Bare(nn.Module):
  """Images to logits, and nothing else."""
  num_classes: int

  @nn.compact
  def __call__(self, images):
    return nn.Dense(self.num_classes)(images.reshape(len(images), -1))


@pytest.fixture(autouse=True)
def registered(monkeypatch):
  nets.networks()
  monkeypatch.setattr(nets.NETWORKS, '_rows', dict(nets.networks()))
  register_network('own', Own, keys={'network.hidden': Key(3, between(1, 9), 'channels')})
  register_network('bare', Bare)


@pytest.fixture(scope='module')
def data():
  rng = np.random.default_rng(0)
  images, labels = rng.integers(0, 256, (16, 8, 8, 3), np.uint8), np.arange(16, dtype=np.int32) % 2
  return dataset.assemble('noise', images, labels, images, labels, ('a', 'b'))


def _batch(data):
  return Batch(data.train_images[:8], data.train_labels[:8], data.train_images[8:], data.train_labels[8:])


@pytest.mark.parametrize('method, name', [('ddas', 'own'), ('daas', 'bare')])
def test_a_policy_search_on_it(method, name, data):
  config = config_lib.search_config(method)
  config.network.name, config.search.batch = name, 8
  for key, value in {'n_arch': 1, 'n_aug': 2, 'n_w': 1, 'warmup_epochs': 0, 'n_policies': 1}.items():
    if key in config.search:
      config.search[key] = value
  config_lib.check(config, 'search')
  search = registry.build(config, problem_lib.build(config, data), 2)
  state = search.init(jax.random.key(0))
  new, metrics = jax.jit(search.step)(state, _batch(data))
  assert all(np.isfinite(value) for value in metrics.values())
  assert 'batch_stats' not in new.theta and jax.tree.structure(new.theta) == jax.tree.structure(state.theta)
  moved = jax.tree.map(lambda a, b: bool(jnp.any(a != b)), new.theta, state.theta)
  assert any(jax.tree.leaves(moved))


def test_a_search_computes_what_the_module_computes_in_training(data):
  net, key = linen.InSearch(Own(2)), jax.random.key(3)
  images = jnp.asarray(data.train_images[:4], jnp.float32) / 255
  theta = net.init(jax.random.key(1), {}, images)['params']
  variables = Own(2).init({'params': jax.random.key(1), 'dropout': key}, images, False)
  jax.tree.map(np.testing.assert_array_equal, theta, dict(variables['params']))
  expected, _ = Own(2).apply(variables, images, True, mutable=['batch_stats'], rngs={'dropout': key})
  np.testing.assert_allclose(net.apply({'params': theta}, {}, images, key), expected, rtol=1e-6)
  other = net.apply({'params': theta}, {}, images, jax.random.key(4))
  assert np.any(other != expected)  # dropout has a key


def test_a_training_moves_its_statistics_and_an_evaluation_uses_them(data):
  config = config_lib.train_config()
  config.network.name, config.genotype, config.train.batch = 'own', 'none', 8
  config.train.auxiliary = config.train.drop_path = 0.0
  config.network.hidden = 2
  config_lib.check(config, 'train')
  net = training.network(config, None, 2)
  assert net.module.hidden == 2
  tx, lr = training.optimizer(config, 4)
  state = training.init_state(net, tx, jax.random.key(0), (8, 8, 3))
  given = inputs.given_input(config, data, lambda key, images, progress: images, False)
  step = jax.jit(training.make_step(config, net, tx, lr, given, 4))
  new, _ = step(state, (data.train_images[:8], data.train_labels[:8]))
  before, after = (jax.tree.leaves(s.variables['batch_stats']) for s in (state, new))
  assert all(np.any(a != b) for a, b in zip(before, after))
  loss, accuracy, _ = evaluation.of(net, data, CROSS_ENTROPY)(new.variables, data.test_images, data.test_labels)
  again, *_ = evaluation.of(net, data, CROSS_ENTROPY)(new.variables, data.test_images, data.test_labels)
  assert np.isfinite(loss) and 0 <= accuracy <= 1 and loss == again  # no dropout, running averages


def test_names_and_devices_that_it_cannot_have():
  with pytest.raises(BadInput, match='of the package'):
    register_network('wrn_40_2', Own)
  with pytest.raises(BadInput, match='another name'):
    register_network('other', Own, keys={'network.width': Key(3, between(1, 9), 'channels')})
  config = config_lib.search_config('ddas')
  config.network.name = 'own'
  with pytest.raises(BadInput, match='parallel.over=samples'):
    problem_lib.forward(config, 2, split=True)
  config = config_lib.train_config()
  config.network.name = 'own'
  with pytest.raises(BadInput, match='by the rows of one device: set parallel.devices=1'):
    training.network(config, None, 2, split=True)
