"""The network that a search ends with: what is saved comes back, and says of an image the same in every batch."""

import functools
import json
import types

import flax.traverse_util
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy

from daas_jax import config as config_lib
from daas_jax.data.dataset import Dataset
from daas_jax.errors import BadInput
from daas_jax.methods import export
from daas_jax.nets.shuffle import layers, supernet as shuffle
from daas_jax.train import whole as train
from daas_jax.types import Batch

MEAN, STD = (0.4,), (0.3,)


@pytest.fixture(autouse=True, scope='module')
def tiny():
  layers.SIZES['tiny'] = layers.Size((4, 1), ((2, 8, 2),), 6)
  yield
  del layers.SIZES['tiny']


@pytest.fixture(scope='module')
def searched(tmp_path_factory, tiny):
  """(workdir, theta, path, data, config) of a network that nobody trained."""
  rng = np.random.default_rng(0)
  images = rng.integers(0, 256, (40, 8, 8, 1)).astype(np.uint8)
  labels = rng.integers(0, 3, 40).astype(np.int32)
  data = Dataset('made', images, labels, images[:13], labels[:13], ('cat', 'dog', 'fish'), MEAN, STD)
  config = config_lib.search_config('diffautoml')
  config.network.size, config.search.moment_batches = 'tiny', 3
  path = np.array([3, 1])
  net = shuffle.ShuffleSuperNet(3, 'tiny')
  theta = jax.jit(net.init)(jax.random.key(0), {'choice': jnp.asarray(path), 'gate': jnp.ones(2)},
                            jnp.zeros((1, 8, 8, 1)))['params']
  state = types.SimpleNamespace(theta=theta, arch={'path': path})
  batches = lambda i: Batch(jnp.asarray(images[10 * i : 10 * i + 10]), None, None, None)
  folder = tmp_path_factory.mktemp('search')
  text = export.write(str(folder), state, config, data, lambda: batches)
  return folder, theta, path, data, text


def test_a_set_without_test_images_is_not_tested(searched, tmp_path):
  _, theta, path, data, _ = searched
  config = config_lib.search_config('diffautoml')
  config.network.size, config.search.moment_batches = 'tiny', 1
  images = data.train_images
  text = export.write(str(tmp_path), types.SimpleNamespace(theta=theta, arch={'path': path}), config,
                      data._replace(test_images=images[:0], test_labels=data.test_labels[:0]),
                      lambda: lambda i: Batch(jnp.asarray(images[:10]), None, None, None))
  results = json.loads((tmp_path / 'results.json').read_text())
  assert text.startswith('no test images; ') and 'parameters' in results
  assert not {'test_accuracy', 'test_loss'} & set(results)
  assert train._without_training(str(tmp_path)) is None


def test_what_was_saved_comes_back(searched):
  folder, theta, path, data, text = searched
  apply, params, names, _ = export.load(str(folder))
  assert names == data.class_names
  own = shuffle.path_parameters(theta, [layers.CHOICES[i] for i in path])
  jax.tree.map(np.testing.assert_array_equal, params['params'], own)
  results = json.loads((folder / 'results.json').read_text())
  right = np.mean(np.argmax(jax.jit(apply)(params, data.test_images), -1) == data.test_labels)
  np.testing.assert_allclose(results['test_accuracy'], right, atol=1e-6)
  assert f"{results['test_accuracy']:.4f} (13 images" in text


def test_an_image_s_logits_do_not_depend_on_the_batch(searched):
  folder, _, _, data, _ = searched
  apply, params, *_ = export.load(str(folder))
  run = jax.jit(apply)
  whole = run(params, data.test_images)
  for rows in ([4, 0], [7, 4], [12, 12]):
    np.testing.assert_allclose(run(params, data.test_images[rows]), whole[np.array(rows)], atol=1e-5)
  np.testing.assert_allclose(run(params, jnp.asarray(data.test_images) / 255), whole, atol=1e-5)
  with pytest.raises(ValueError, match='must be'):
    apply(params, np.zeros((2, 9, 8, 1), np.uint8))


@pytest.mark.parametrize('dtype', ['int32', 'int64', 'uint16', 'bool', 'int8'])
def test_images_of_whole_numbers_are_uint8(dtype, searched):
  apply, params, *_ = export.load(str(searched[0]))
  for run in (apply, functools.partial(jax.eval_shape, apply)):  # a dtype is seen under jit too
    with pytest.raises(TypeError, match='^images must be uint8, or floating with values'):
      run(params, searched[3].test_images.astype(dtype))


def test_floats_of_0_to_255_are_refused_and_empty_or_half_precision_batches_are_not(searched):
  apply, params, *_ = export.load(str(searched[0]))
  images = searched[3].test_images
  for wrong in (images.astype(np.float32), images / 127.5 - 1, jnp.asarray(images, jnp.float16)):
    with pytest.raises(ValueError, match='values in'):
      apply(params, wrong)
  for good in (images[:0], jnp.asarray(images / 255, jnp.bfloat16), (images / 255).astype(np.float16)):
    out = jax.eval_shape(apply, params, good)
    assert out.shape == (len(good), 3) and out.dtype == jnp.float32


def test_moments_are_means_over_the_batches(searched):
  folder, theta, _, data, _ = searched
  _, params, *_ = export.load(str(folder))
  w = theta['stem'][:36].reshape(3, 3, 1, 4)
  means, variances = [], []
  for i in range(3):
    x = (data.train_images[10 * i : 10 * i + 10] / 255 - MEAN[0]) / STD[0]
    x = jax.lax.conv_general_dilated(jnp.asarray(x, jnp.float32), w, (1, 1), ((1, 1), (1, 1)),
                                     dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    means.append(x.mean((0, 1, 2)))
    variances.append(x.var((0, 1, 2)))
  stem = params['batch_stats']['stem']
  np.testing.assert_allclose(stem['mean'], np.mean(means, 0), rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(stem['variance'], np.mean(variances, 0), rtol=1e-3)


def _copy(folder, target, **changed):
  content = json.loads((folder / 'network.json').read_text()) | changed
  (target / 'network.json').write_text(json.dumps(content))
  (target / 'network.safetensors').write_bytes((folder / 'network.safetensors').read_bytes())


def test_arrays_are_kept_as_numbers_by_their_names(searched):
  folder, theta, path, _, _ = searched
  assert not (folder / 'network.npz').exists()
  arrays = safetensors.numpy.load((folder / 'network.safetensors').read_bytes())
  np.testing.assert_array_equal(arrays['params/stem'], theta['stem'])
  assert {'params/block00', 'batch_stats/block00/mean'} <= set(arrays)


def test_a_network_of_version_1_is_read(searched, tmp_path):
  """Its arrays were in network.npz, as `numpy.savez` writes them."""
  _copy(searched[0], tmp_path, version=1)
  (tmp_path / 'network.safetensors').unlink()
  _, params, *_ = export.load(str(searched[0]))
  flat = flax.traverse_util.flatten_dict(jax.device_get(params), sep='/')
  np.savez(tmp_path / 'network.npz', **flat)
  jax.tree.map(np.testing.assert_array_equal, export.load(str(tmp_path)).params, params)
  np.savez(tmp_path / 'network.npz', **flat | {'params/stem': np.array([{}], object)})  # a pickle
  with pytest.raises(BadInput, match='damaged'):
    export.load(str(tmp_path))
  (tmp_path / 'network.npz').unlink()
  with pytest.raises(BadInput, match='network.npz cannot be read'):
    export.load(str(tmp_path))


@pytest.mark.parametrize('changed, word', [
    ({'format': 'x'}, 'format'), ({'version': 9}, 'version is none that this daas_jax reads, 1 or 2'), ({'version': True}, 'version'), ({'class_names': []}, 'class_names'),
    ({'class_names': ['a', 'b']}, 'classifier'), ({'image_shape': [8, 8]}, 'image_shape'), ({'std': [0.0]}, 'std'),
    ({'network': {'name': 'other'}}, 'no known name'), ({'network': {'name': 'wrn_40_2', 'depth': 10}}, 'depth'),
    ({'network': {'name': 'shuffle', 'size': 'tiny', 'choices': ['k3']}}, '2 blocks'),
    ({'network': {'name': 'shuffle', 'size': 'tiny', 'choices': ['k3', 'k3']}}, 'block00')])
def test_a_wrong_description_is_one_line(changed, word, searched, tmp_path):
  _copy(searched[0], tmp_path, **changed)
  with pytest.raises(BadInput, match=word) as error:
    export.load(str(tmp_path))
  assert '\n' not in str(error.value)


def test_wrong_arrays_are_one_line(searched, tmp_path):
  with pytest.raises(BadInput, match='finished search'):
    export.load(str(tmp_path))
  _copy(searched[0], tmp_path)
  file = tmp_path / 'network.safetensors'
  whole = file.read_bytes()
  arrays = safetensors.numpy.load(whole)
  file.write_bytes(whole[: len(whole) // 2])
  with pytest.raises(BadInput, match='damaged'):
    export.load(str(tmp_path))
  file.write_bytes(safetensors.numpy.save({k: v for k, v in arrays.items() if k != 'params/stem'}))
  with pytest.raises(BadInput, match="'params/stem' is missing"):
    export.load(str(tmp_path))
  file.unlink()
  with pytest.raises(BadInput, match='cannot be read'):
    export.load(str(tmp_path))
