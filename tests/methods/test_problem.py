"""What a config makes of a data set: inputs, networks, spaces."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.augment import inputs
from daas_jax.data import dataset
from daas_jax.errors import BadInput
from daas_jax.gradcheck import point
from daas_jax.methods import problem
from daas_jax.nets.cells import cell as cells, genotype as genotype_lib
from daas_jax.policies.categorical import Policy
from daas_jax.search import job


@pytest.fixture(scope='module')
def data():
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (8, 8, 8, 3), np.uint8)
  labels = np.arange(8, dtype=np.int32) % 2
  return dataset.assemble('noise', images, labels, images, labels, ('a', 'b'))


def _config():
  config = config_lib.search_config()
  config.network.name = 'small_cnn'
  config.network.channels = 2
  return config


@pytest.mark.parametrize('batches_of', [job.batches_of, point._batches])
def test_validation_images_are_normalised_and_turned_when_asked(data, batches_of):
  config = _config()
  config.search.batch = 4
  built = problem.build(config, data)
  whole = built.val_input(data.train_images)
  np.testing.assert_allclose(np.mean(whole, (0, 1, 2)), 0, atol=1e-5)
  np.testing.assert_allclose(np.std(whole, (0, 1, 2)), 1, atol=1e-4)
  upright = batches_of(config, data)(0)
  config.data.validation_turns = 1
  batch = batches_of(config, data)(0)
  plain, turned = built.val_input(upright.val_images), built.val_input(batch.val_images)
  np.testing.assert_allclose(turned, np.rot90(plain, 1, (1, 2)), atol=1e-6)
  np.testing.assert_array_equal(batch.train_images, upright.train_images)


def test_training_input_without_policy_and_preprocessing_is_the_validation_input(data):
  config = _config()
  config.preprocess.padding, config.preprocess.flip = 0, False
  built = problem.build(config, data)
  nothing = Policy(jnp.array([0, 1]), jnp.array([0, 0]), jnp.array([3, 4]))
  out = built.train_input(data.train_images, nothing, jax.random.key(0))
  np.testing.assert_allclose(out, built.val_input(data.train_images), atol=1e-6)


def test_a_policy_comes_before_crop_and_flip_where_that_is_asked(data):
  """A policy that paints the left half black: after the flip it is the left of every image, before it of some the
  right. The draws of crop and flip are the same."""
  config, out = _config(), {}
  config.preprocess.padding = 0
  paint = lambda images, policy, key: images.at[:, :, :4].set(0)
  black = -np.array(data.mean) / np.array(data.std)
  for first in (False, True):
    config.preprocess.policy_first = first
    run = inputs.make_input(config, data, paint)
    out[first] = np.stack([run(jnp.asarray(data.train_images), None, jax.random.key(i)) for i in range(8)])
  left, right = (lambda x: np.isclose(x[:, :, :, :4], black).all((2, 3, 4)),
                 lambda x: np.isclose(x[:, :, :, 4:], black).all((2, 3, 4)))
  assert left(out[False]).all() and not right(out[False]).any()
  assert (left(out[True]) ^ right(out[True])).all() and 16 < left(out[True]).sum() < 48  # of 64, half of each


def test_training_input_applies_the_policy(data):
  config = _config()
  config.preprocess.padding, config.preprocess.flip = 0, False
  built = problem.build(config, data)
  invert = config.policy.ops.index('Invert')
  once = Policy(jnp.array([invert, 0]), jnp.array([1, 0]), jnp.array([0, 0]))
  inverted = built.val_input(255 - data.train_images)
  np.testing.assert_allclose(built.train_input(data.train_images, once, jax.random.key(0)), inverted, atol=1e-5)
  assert int(jnp.sum(built.policies.identity(once).y)) == 0


def test_a_fixed_network_has_no_architecture(data):
  built = problem.build(_config(), data)
  assert built.arch.init(jax.random.key(0)) == {} and built.arch.sample(jax.random.key(0), {}, 1.0) == {}
  theta = built.init_theta(jax.random.key(0))
  loss, accuracy = built.loss(theta, {}, built.val_input(data.train_images), data.train_labels, jax.random.key(1))
  assert np.isfinite(loss) and 0 <= accuracy <= 1


def test_standard_preprocessing_keeps_shapes(data):
  config = _config()
  images = jnp.asarray(data.train_images, jnp.float32) / 255
  for crop in ('padded', 'resized'):
    config.preprocess.crop = crop
    out = inputs.standard_preprocessing(images, jax.random.key(0), config.preprocess)
    assert out.shape == images.shape and float(jnp.abs(out - images).max()) > 0


def test_a_genotype_held_fixed_is_every_sample(data):
  config = config_lib.search_config()
  primitives = tuple(config.network.primitives)
  genotype = genotype_lib.random_genotype(3, primitives)
  built = problem.build(config, data, genotype)
  assert built.arch.init(jax.random.key(0)) == {}
  z = built.arch.sample(jax.random.key(1), {}, 1.0)
  assert genotype_lib.derive(z['A'], z['B'], primitives) == genotype  # so the argmax of A and the two of B are its own
  np.testing.assert_array_equal(z['A'].sum(-1), 1)
  np.testing.assert_array_equal([[z['B'][k, list(e)].sum() for e in cells.NODE_EDGES] for k in range(2)], 2)
  assert set(np.unique(z['B'])) == {0, 1}


def test_a_genotype_of_other_operations_is_refused(data):
  config = config_lib.search_config()
  config.network.primitives = ('skip_connect',)
  with pytest.raises(BadInput, match='not among network.primitives'):
    problem.build(config, data, genotype_lib.random_genotype(3, ('max_pool_3x3', 'skip_connect')))


def test_a_policy_search_on_the_supernet_draws_architectures_uniformly(data):
  """DDAS searches the policy alone: no alpha, an architecture a step, every operation as likely as the next."""
  config = config_lib.search_config('ddas')
  config.network.layers, config.network.channels = 3, 2
  built = problem.build(config, data)
  arch = built.arch.init(jax.random.key(0))
  z = jax.vmap(lambda key: built.arch.sample(key, arch, 1.0))(jax.random.split(jax.random.key(0), 500))
  assert arch == {}
  np.testing.assert_array_equal(np.sort(z['A'], -1)[..., -2:], np.broadcast_to([0, 1], (500, 2, 14, 2)))
  assert np.abs(np.mean(z['A'], (0, 1, 2)) * 7 - 1).max() < 0.1
  np.testing.assert_array_equal(np.sum(z['B'], -1), 8)


@pytest.mark.parametrize('turns', [0, 1, 3])
def test_the_joint_search_sees_turned_validation_images_through_its_policy(data, turns):
  """With a policy that turns by 90 degrees, and nothing else, three turns before it are none."""
  config = config_lib.search_config('joint_faa')
  config.network.name, config.network.channels = 'small_cnn', 2
  config.policy.ops, config.policy.K, config.policy.L = ('Rotate90',), 1, 1
  config.preprocess.padding, config.preprocess.flip = 0, False
  config.data.validation_turns, config.search.batch = turns, 4
  built, batch = problem.build(config, data), job.batches_of(config, data)(0)
  config.data.validation_turns = 0
  upright = job.batches_of(config, data)(0)
  gamma = {name: jnp.ones((1, 1, 1)) for name in ('z', 'p', 'mu')}
  for name, whole in (('val_images', turns + 1), ('train_images', 1)):
    plain = (np.asarray(getattr(upright, name)) / np.float32(255) - data.mean) / data.std
    found = built.train_input(getattr(batch, name), gamma, jax.random.key(0))
    np.testing.assert_allclose(found, np.rot90(plain, whole, (1, 2)), atol=1e-5)
  assert built.arch.init(jax.random.key(0)) == {}  # small_cnn: the policy alone is searched


def test_a_dense_search_mixes_every_operation(data):
  config = config_lib.search_config('joint_faa')
  built = problem.build(config, data)
  arch = built.arch.init(jax.random.key(0))
  assert set(arch) == {'alpha'} and arch['alpha'].shape == (2, 14, 8)
  z = built.arch.sample(jax.random.key(1), arch, 1.0)
  np.testing.assert_allclose(z['A'], 1 / 8, atol=1e-3)
  assert problem.network(config, 10).dense and not problem.network(config_lib.search_config(), 10).dense
