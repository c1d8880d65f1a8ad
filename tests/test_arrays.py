"""Nothing is promoted in silence: what is traced under JAX's strict settings has nothing left to promote.

Searches and trainings are strict wherever the tests start them (`commands.environment`); here is what they do not reach.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import arrays, trees
from daas_jax.augment import apply, ops, preprocess
from daas_jax.detection import anchors, detector, suppression
from daas_jax.estimators import exact
from daas_jax.nets.cells.derived import DerivedNet
from daas_jax.nets.cells.genotype import random_genotype
from daas_jax.policies import baselines as fixed, candidates, relaxed, table as files, total, transformations

OPS = tuple(ops.OPS)
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def strict():
  with jax.numpy_rank_promotion('raise'), jax.numpy_dtype_promotion('strict'):
    yield


def _table():
  n = len(OPS)
  o = np.stack([np.arange(n), np.arange(n)[::-1]], 1).astype(np.int32)
  return files.PolicyTable(OPS, 2, 10, o, np.full(n, 1 / n), np.full((n, 2), 0.5), np.full((n, 2), 0.7))


def _schedule():
  space = candidates.Space(candidates.published(), 2)
  n = len(space.candidates)
  return total.Schedule(space, np.full(3, 0.5), np.full((3, n), 1 / n))


AUGMENTERS = {
    'table': lambda: files.augmenter(_table()),
    'schedule': lambda: total.augmenter(_schedule(), 3),
    'transformations': lambda: transformations.augmenter(
        transformations.Transformations(transformations.Space(OPS, 1), np.full((2, len(OPS)), 1 / len(OPS)))),
    **{name: row.make for name, row in fixed.BASELINES.items()},
}


@pytest.mark.parametrize('name', AUGMENTERS)
def test_augmentations(name):
  augment = AUGMENTERS[name]()
  for dtype in (jnp.uint8, jnp.float32, jnp.bfloat16):
    images = jax.ShapeDtypeStruct((4, 7, 9, 3), dtype)
    for progress in (0.3, 1, jnp.float32(0.3), jnp.bfloat16(0.3)):
      assert jax.eval_shape(augment, KEY, images, progress) == images


@pytest.mark.parametrize('dtype', [jnp.float32, jnp.bfloat16])
def test_operations_on_images_and_boxes_and_preprocessing(dtype):
  images = jax.ShapeDtypeStruct((4, 7, 9, 3), dtype)
  boxes = jax.ShapeDtypeStruct((4, 2, 4), dtype)
  o, ones = jnp.zeros(1, jnp.int32), jnp.ones(1)
  moved = jax.eval_shape(functools.partial(apply.apply_policy, o=o, y=ones, strength=ones, key=KEY, ops=OPS),
                         images, boxes=boxes)
  assert moved == (images, boxes)
  assert jax.eval_shape(lambda x: apply.apply_mixture(x, jnp.ones((1, len(OPS)), dtype), ones.astype(dtype),
                                                      jnp.ones((1, 2), dtype), KEY, ops=OPS), images) == images
  space = relaxed.Space(L=2)
  assert jax.eval_shape(lambda x: relaxed.apply(relaxed.init(KEY, space), space, x, KEY), images) == images

  def prepared(x):
    x = preprocess.cutout(preprocess.normalise(preprocess.random_crop(x, KEY), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2)), KEY, 3)
    return preprocess.resize_center_crop(preprocess.random_resized_crop(preprocess.random_flip(x, KEY), KEY, 8), 6, 7)

  assert jax.eval_shape(prepared, images).dtype == dtype


@pytest.mark.parametrize('stem', ['cifar', 'imagenet'])
def test_the_derived_network(stem):
  genotype = random_genotype(0, ('avg_pool_3x3', 'skip_connect', 'dil_conv_3x3', 'sep_conv_5x5'))
  net = DerivedNet(genotype, 5, 3, 4, stem=stem, kernels='fast')
  images = jnp.zeros((2, 32, 32, 3))

  def loss(variables, key):
    (logits, auxiliary), _ = net.apply(variables, images, True, jnp.float32(0.2), rngs={'drop_path': key},
                                       mutable=['batch_stats'])
    return jnp.sum(logits) + jnp.sum(auxiliary) + jnp.sum(net.apply(variables, images, False)[0])

  variables = jax.eval_shape(lambda: net.init(KEY, images, False))
  jax.eval_shape(jax.grad(loss), variables, KEY)


def test_what_finds_objects():
  boxes, labels = jnp.zeros((2, 3, 4)), jnp.zeros((2, 3), jnp.int32)
  maps = detector.Maps(jnp.zeros((2, 8, 8, 5)), jnp.ones((2, 8, 8, 4)))
  assert jax.eval_shape(detector.loss, maps, boxes, labels)[0].shape == ()
  assert jax.eval_shape(detector.decode, maps).boxes.shape == (2, 50, 4)
  grid = jnp.asarray(anchors.grid(32, 32))
  assert jax.eval_shape(anchors.assign, boxes[0], grid)[0].shape == grid.shape[:1]
  assert jax.eval_shape(suppression.keep, boxes[0], boxes[0, :, 0], labels[0]).shape == (3,)


def test_optimizers_of_other_packages_under_exact_gradients():
  train = lambda theta, hyper: jnp.mean((theta - 1) ** 2) + hyper['decay'] * jnp.sum(theta ** 2)
  make = lambda hyper: optax.adam(optax.cosine_decay_schedule(0.1, 9), eps_root=1e-12)
  run = lambda theta: exact.hyper_gradient(lambda theta: jnp.sum(theta), train, theta, {'decay': jnp.float32(1)}, make, 2)
  assert jax.eval_shape(run, jnp.zeros(4))[1].shape == (4,)


def test_wide_types_and_norms():
  assert [arrays.wide_type(t) for t in (jnp.bfloat16, np.float16, np.float32)] == [np.float32] * 3
  assert arrays.wide_type(np.float64) == np.float64
  with pytest.raises(TypeError, match='got uint8'):
    arrays.wide_type(np.uint8)
  assert jax.eval_shape(trees.norm, (jnp.zeros(3, jnp.bfloat16), jnp.zeros(2))).dtype == jnp.float32
