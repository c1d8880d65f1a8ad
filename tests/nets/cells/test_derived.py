import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.errors import BadInput
from daas_jax.nets import count
from daas_jax.nets.cells import cell
from daas_jax.nets.cells.derived import DerivedNet, drop_path
from daas_jax.nets.cells.genotype import Genotype, NetworkGenotype, random_genotype
from daas_jax.nets.kernels import conv3x3, conv_plain
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES

DARTS_V2 = Genotype(
    normal=(('sep_conv_3x3', 0), ('sep_conv_3x3', 1), ('sep_conv_3x3', 0), ('sep_conv_3x3', 1),
            ('skip_connect', 0), ('sep_conv_3x3', 1), ('skip_connect', 0), ('dil_conv_3x3', 2)),
    reduce=(('max_pool_3x3', 0), ('max_pool_3x3', 1), ('max_pool_3x3', 1), ('skip_connect', 2),
            ('max_pool_3x3', 0), ('skip_connect', 2), ('max_pool_3x3', 1), ('skip_connect', 2)),
    primitives=DAAS_PRIMITIVES)
"""As published, the pairs of a node sorted by their source."""

ALL = Genotype(
    normal=(('max_pool_3x3', 0), ('sep_conv_3x3', 1), ('avg_pool_3x3', 1), ('dil_conv_5x5', 2),
            ('skip_connect', 0), ('sep_conv_5x5', 3), ('dil_conv_3x3', 2), ('skip_connect', 4)),
    reduce=(('skip_connect', 0), ('sep_conv_3x3', 1), ('dil_conv_5x5', 0), ('max_pool_3x3', 2),
            ('avg_pool_3x3', 1), ('sep_conv_5x5', 3), ('max_pool_3x3', 0), ('dil_conv_3x3', 4)),
    primitives=DAAS_PRIMITIVES)
"""Every operation, in both strides where it has weights."""

SKIPS = DARTS_V2._replace(normal=tuple(('skip_connect', s) for s in (0, 1) * 4))


# Compiling is most of this file's time, and without LLVM's optimisation it takes half as long.
jit = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0}
                        if jax.default_backend() == 'cpu' else None)


def images(seed=1, shape=(4, 28, 28, 3)):
  return jax.random.normal(jax.random.key(seed), shape)


def tiny(genotype=ALL, **changes):
  return DerivedNet(**{'genotype': genotype, 'num_classes': 5, 'layers': 3, 'channels': 4} | changes)


@functools.lru_cache(maxsize=None)
def variables(net, shape, seed=0):
  """Variables with random normalisations, so that nothing rests on their being 0 and 1."""
  shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros(shape), False))
  rng = np.random.default_rng(seed)

  def draw(path, leaf):
    name = jax.tree_util.keystr(path)
    if 'scale' in name or 'variance' in name:
      return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
    fan_in = np.prod(leaf.shape[:-1]) if leaf.ndim > 1 else 25
    return jnp.asarray(rng.normal(size=leaf.shape) / np.sqrt(fan_in), jnp.float32)
  return jax.tree_util.tree_map_with_path(draw, shapes)


@functools.lru_cache(maxsize=None)
def _compiled(net, train):
  if not train:
    return jit(lambda v, x: net.apply(v, x, False))
  return jit(lambda v, x, p, key: net.apply(v, x, True, p, rngs={'drop_path': key}, mutable=['batch_stats']))


def evaluate(net, v, x):
  return _compiled(net, False)(v, x)


def train(net, v, x, probability=0.0, seed=0):
  """(logits, auxiliary logits), updated batch_stats."""
  return _compiled(net, True)(v, x, jnp.float32(probability), jax.random.key(seed))


# Sizes


def shapes_of(net, shape, training=False):
  return jax.eval_shape(lambda: net.init_with_output(jax.random.key(0), jnp.zeros(shape), training))


def test_parameter_counts_of_the_darts_paper():
  _, cifar = shapes_of(DerivedNet(DARTS_V2, 10), (2, 32, 32, 3))
  assert count.parameters(cifar['params']) == 3_349_342
  _, imagenet = shapes_of(DerivedNet(DARTS_V2, 1000, 14, 48, stem='imagenet'), (2, 224, 224, 3))
  assert count.parameters(imagenet['params']) == 4_718_752


def test_parameter_count_of_the_auxiliary_head():
  """2 convolutions, 2 batch normalisations (ImageNet: 1), a classifier; C = 4 channels * 4 * 4 nodes."""
  for stem, norms in (('cifar', 2 * 128 + 2 * 768), ('imagenet', 2 * 128)):
    _, v = shapes_of(tiny(stem=stem), (2, 32, 32, 3))
    head = 64 * 128 + 4 * 128 * 768 + norms + 768 * 5 + 5
    assert count.parameters(v['params'], auxiliary=True) - count.parameters(v['params']) == head
    _, without = shapes_of(tiny(stem=stem, auxiliary=False), (2, 32, 32, 3))
    assert count.parameters(without['params'], True) == count.parameters(v['params'])
    assert set(v) == {'params', 'batch_stats'}


@pytest.mark.parametrize('size', [32, 28, 1, 5, 33, 64])
@pytest.mark.parametrize('stem', ['cifar', 'imagenet'])
@pytest.mark.parametrize('layers', [1, 3])
def test_shapes_of_any_size(size, stem, layers):
  net = tiny(DARTS_V2, stem=stem, layers=layers)
  for training in (False, True):
    (logits, auxiliary), _ = shapes_of(net, (2, size, size + 1, 1), training)
    assert logits.shape == (2, 5)
    assert auxiliary.shape == (2, 5) if training else auxiliary is None


@pytest.mark.parametrize('seed', range(8))
def test_any_genotype_makes_a_network(seed):
  (logits, _), _ = shapes_of(tiny(random_genotype(seed, DAAS_PRIMITIVES), layers=4), (2, 28, 28, 3), True)
  assert logits.shape == (2, 5)


def test_bad_settings_are_named():
  noisy = ALL._replace(reduce=ALL.reduce[:7] + (('noise', 4),))
  for net, message in ((tiny(noisy), 'operation noise'), (tiny(stem='mnist'), "stem 'mnist'"),
                       (tiny(stem='imagenet', channels=5), '5 channels')):
    with pytest.raises(BadInput, match=message):
      shapes_of(net, (2, 32, 32, 3))


def test_weights_start_as_in_pytorch():
  v = jit(lambda: tiny(layers=2).init(jax.random.key(0), jnp.zeros((2, 8, 8, 3)), False))()
  p, stats = v['params'], v['batch_stats']
  for w, fan_in in ((p['stem']['conv'], 27), (p['cell1']['pre1'], 32), (p['cell0']['1_sep_conv_3x3.dw1'], 9),
                    (p['cell0']['2_dil_conv_5x5.dw'], 25), (p['auxiliary']['conv2'], 512),
                    (p['classifier']['kernel'], 64), (p['auxiliary']['bias'], 768)):
    bound = 1 / np.sqrt(fan_in)
    assert np.all(np.abs(w) <= bound) and np.max(np.abs(w)) > 0.5 * bound
    if w.size > 100:  # uniform: variance bound^2 / 3, here within 30 %
      assert 0.7 < np.var(w) / (bound**2 / 3) < 1.3
  for tree, name, value in ((p, 'scale', 1), (p, 'offset', 0), (stats, 'mean', 0), (stats, 'variance', 1)):
    assert np.all(tree[f'cell1_{name}'] == value) and np.all(tree[f'auxiliary2_{name}'] == value)


# Values, against the definition written with XLA's own convolutions and windows


def reference_conv(x, w, stride=1, dilation=1):
  pad = dilation * (w.shape[0] // 2)
  return lax.conv_general_dilated(x, w, (stride, stride), ((pad, pad), (pad, pad)), rhs_dilation=(dilation, dilation),
                                  dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
                                  feature_group_count=x.shape[-1] // w.shape[2])


def reference_pool(x, stride, average):
  window = lambda x, init, f: lax.reduce_window(x, init, f, (1, 3, 3, 1), (1, stride, stride, 1),
                                                ((0, 0), (1, 1), (1, 1), (0, 0)))
  if average:
    return window(x, 0.0, lax.add) / window(jnp.ones_like(x), 0.0, lax.add)
  return window(x, -jnp.inf, lax.max)


class Reference:
  """DARTS's network, operation by operation; training without drop-path."""

  def __init__(self, net, v, training):
    self.net, self.params, self.stats, self.training, self.used = net, v['params'], v['batch_stats'], training, {}

  def norm(self, name, x):
    i = self.used[name] = self.used.get(name, -1) + 1
    mean, variance = self.stats[f'{name}_mean'][i], self.stats[f'{name}_variance'][i]
    if self.training:
      mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    return (x - mean) / jnp.sqrt(variance + 1e-5) * self.params[f'{name}_scale'][i] + self.params[f'{name}_offset'][i]

  def reduce(self, name, x, w):
    x = jnp.pad(jax.nn.relu(x), ((0, 0), (0, 1), (0, 1), (0, 0)))  # DARTS leaves odd sizes open
    halves = [reference_conv(part, w[i][None, None], 2) for i, part in enumerate((x[:, :-1, :-1], x[:, 1:, 1:]))]
    return self.norm(name, jnp.concatenate(halves, -1))

  def operation(self, cell, slot, name, x, stride):
    w = lambda weight: self.params[cell][f'{slot}_{name}.{weight}']
    if 'pool' in name:
      return reference_pool(x, stride, name.startswith('avg'))
    if name == 'skip_connect':
      return x if stride == 1 else self.reduce(cell, x, w('fr'))
    dilation, rounds = (2, ('',)) if name.startswith('dil') else (1, ('1', '2'))
    for i in rounds:
      x = reference_conv(jax.nn.relu(x), w(f'dw{i}')[:, :, None], stride, dilation)
      x, stride = self.norm(cell, reference_conv(x, w(f'pw{i}')[None, None])), 1
    return x

  def cell(self, layer, s0, s1, halved, reduction):
    cell, pairs = f'cell{layer}', self.net.genotype.reduce if reduction else self.net.genotype.normal
    w0, w1 = self.params[cell]['pre0'], self.params[cell]['pre1']
    nodes = [self.reduce(cell, s0, w0) if halved else
             self.norm(cell, reference_conv(jax.nn.relu(s0), w0[None, None]))]
    nodes.append(self.norm(cell, reference_conv(jax.nn.relu(s1), w1[None, None])))
    for n in range(4):
      nodes.append(sum(self.operation(cell, slot, *pairs[slot][:1], nodes[pairs[slot][1]],
                                      2 if reduction and pairs[slot][1] < 2 else 1) for slot in (2 * n, 2 * n + 1)))
    return jnp.concatenate(nodes[2:], -1)

  def head(self, x):
    w, size = self.params['auxiliary'], x.shape[1]
    stride = {8: 3, 7: 2}[size]  # DARTS's CIFAR head at 8 x 8, its ImageNet head at 7 x 7
    x = lax.reduce_window(jax.nn.relu(x), 0.0, lax.add, (1, 5, 5, 1), (1, stride, stride, 1), 'VALID') / 25
    x = jax.nn.relu(self.norm('auxiliary1', reference_conv(x, w['conv1'][None, None])))
    x = lax.conv_general_dilated(x, w['conv2'], (1, 1), 'VALID', dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
    if self.net.stem == 'cifar':
      x = self.norm('auxiliary2', x)
    return jax.nn.relu(x).reshape(len(x), -1) @ w['kernel'] + w['bias']

  def __call__(self, x):
    stem = lambda i, x, stride: self.norm(f'stem{i}', reference_conv(x, self.params[f'stem{i}']['conv'], stride))
    if self.net.stem == 'cifar':
      s0 = s1 = stem('', x, 1)
    else:
      s0 = stem(1, jax.nn.relu(stem(0, x, 2)), 2)
      s1 = stem(2, jax.nn.relu(s0), 2)
    halved, auxiliary, layers = self.net.stem == 'imagenet', None, self.net.layers
    for layer in range(layers):
      reduction = layer in (layers // 3, 2 * layers // 3)
      s0, s1 = s1, self.cell(layer, s0, s1, halved, reduction)
      halved = reduction
      if layer == 2 * layers // 3 and self.training:
        auxiliary = self.head(s1)
    return s1.mean((1, 2)) @ self.params['classifier']['kernel'] + self.params['classifier']['bias'], auxiliary


@pytest.mark.parametrize('stem,size,layers,training', [
    ('cifar', 28, 4, True), ('cifar', 32, 2, True), ('cifar', 28, 3, False), ('imagenet', 224, 2, True),
    ('imagenet', 97, 2, False)])
def test_network_is_the_one_of_darts(stem, size, layers, training):
  net = tiny(stem=stem, layers=layers)
  x = images(shape=(2, size, size, 3))
  v = variables(net, x.shape)
  logits, auxiliary = train(net, v, x)[0] if training else evaluate(net, v, x)
  expected, expected_auxiliary = jit(lambda v, x: Reference(net, v, training)(x))(v, x)
  assert np.std(expected) > 1e-2
  np.testing.assert_allclose(logits, expected, rtol=2e-3, atol=2e-3)
  if training:
    np.testing.assert_allclose(auxiliary, expected_auxiliary, rtol=2e-3, atol=2e-3)
  else:
    assert auxiliary is None


@pytest.mark.parametrize('size', [1, 6, 7])
def test_stem_convolution_of_stride_2(size):
  x, w = images(shape=(2, size, 8, 3)), images(2, (3, 3, 3, 5))
  np.testing.assert_allclose(conv_plain(x, w, 2), conv3x3(x, w)[:, ::2, ::2], atol=1e-4)


# Running averages


def test_running_averages_change_in_training_alone():
  net, x = tiny(layers=2), images()
  v = variables(net, x.shape)
  (_, _), updated = train(net, v, x)
  new, old = updated['batch_stats'], v['batch_stats']
  assert jax.tree.structure(new) == jax.tree.structure(old)
  for path, leaf in jax.tree_util.tree_leaves_with_path(new):
    assert np.all(np.isfinite(leaf)), path
    before = old[path[0].key]
    assert leaf.shape == before.shape and np.all(np.any(leaf != before, -1)), path
  stem = reference_conv(x, v['params']['stem']['conv'])
  np.testing.assert_allclose(new['stem_mean'][0], 0.9 * old['stem_mean'][0] + 0.1 * stem.mean((0, 1, 2)), atol=1e-6)
  np.testing.assert_allclose(new['stem_variance'][0], 0.9 * old['stem_variance'][0] + 0.1 * stem.var((0, 1, 2)),
                             atol=1e-5)
  _, kept = jit(lambda v, x: net.apply(v, x, False, mutable=['batch_stats']))(v, x)
  assert all(np.array_equal(a, b) for a, b in zip(jax.tree.leaves(kept['batch_stats']), jax.tree.leaves(old)))


def test_evaluation_looks_at_each_image_alone():
  net, x = tiny(layers=2), images()
  v = variables(net, x.shape)
  others = x.at[1:].set(10 * images(3)[1:])
  a, b = evaluate(net, v, x)[0], evaluate(net, v, others)[0]
  assert np.array_equal(a[0], b[0]) and not np.allclose(a[1:], b[1:])
  (c, _), _ = train(net, v, x)
  (d, _), _ = train(net, v, others)
  assert not np.allclose(c[0], d[0])


# Drop-path


def test_drop_path_keeps_the_expectation():
  x, p, n = images(shape=(3, 2, 2, 4)), 0.3, 4000
  dropped = jax.vmap(lambda key: drop_path(x, key, p))(jax.random.split(jax.random.key(0), n))
  # The factor of an image has the variance p / (1 - p): 5 standard deviations of the mean of n.
  threshold = 5 * np.sqrt(p / (1 - p) / n)
  assert np.max(np.abs(dropped.mean(0) - x) / np.abs(x)) < threshold < 0.06
  factors = np.asarray(dropped / x)
  np.testing.assert_allclose(factors, factors[:, :, :1, :1, :1] * np.ones(x.shape), atol=1e-5)  # whole images
  assert set(np.round(np.unique(factors[:, :, 0, 0, 0]), 3)) == {0.0, np.float32(1.429)}
  assert abs(np.corrcoef(factors[:, 0, 0, 0, 0], factors[:, 1, 0, 0, 0])[0, 1]) < 5 / np.sqrt(n)


def test_drop_path_at_0_and_1():
  x, apply = images(), jit(drop_path)
  assert np.array_equal(apply(x, jax.random.key(0), 0.0), x)
  assert np.array_equal(apply(x, jax.random.key(0), 1.0), jnp.zeros_like(x))
  half = drop_path(x.astype(jnp.bfloat16), jax.random.key(0), 0.5)
  assert half.dtype == jnp.bfloat16


def test_drop_path_in_the_network():
  net, x = tiny(layers=2), jnp.tile(images()[:1], (4, 1, 1, 1))
  v = variables(net, x.shape)
  plain, _ = jit(lambda v, x: net.apply(v, x, True, mutable=['batch_stats'])[0])(v, x)  # the number 0 takes no key
  (zero, _), _ = train(net, v, x, 0.0)
  np.testing.assert_allclose(plain, zero, atol=1e-4)
  (half, _), _ = train(net, v, x, 0.5)
  assert np.ptp(half, 0).max() > 1e-3 > np.ptp(zero, 0).max()  # equal images, each dropped on its own
  assert np.array_equal(half, train(net, v, x, 0.5)[0][0])
  assert not np.allclose(half, train(net, v, x, 0.5, seed=1)[0][0])
  # Both cells of 2 layers are reductions; in them no operation is the identity.
  (everything, _), _ = train(net, v, x, 1.0)
  np.testing.assert_allclose(everything, jnp.tile(v['params']['classifier']['bias'], (4, 1)), atol=1e-6)


def test_drop_path_spares_the_identity_alone(monkeypatch):
  monkeypatch.setattr(cell, 'reduction_layers', lambda layers: (-1, -1))
  x = images()
  for name, spared in (('skip_connect', True), ('avg_pool_3x3', False), ('dil_conv_3x3', False)):
    net = tiny(SKIPS._replace(normal=((name, 0), *SKIPS.normal[1:])), layers=1, auxiliary=False)
    v = variables(net, x.shape)
    run = jit(lambda v, p: net.apply(v, x, True, p, rngs={'drop_path': jax.random.key(0)},
                                         mutable=['batch_stats'])[0][0])
    assert np.array_equal(run(v, 0.0), run(v, 1.0)) == spared, name


# Gradients


def test_one_gradient_step():
  """Finite, reaches every weight, equal for both sets of kernels; a small step lowers the loss."""
  x, labels = images(shape=(4, 12, 12, 3)), jnp.arange(4)
  light = ALL._replace(reduce=(('skip_connect', 0), ('sep_conv_3x3', 1), ('dil_conv_3x3', 0), ('max_pool_3x3', 2),
                               ('avg_pool_3x3', 1), ('skip_connect', 3), ('max_pool_3x3', 0), ('avg_pool_3x3', 4)))
  v = variables(tiny(light, layers=1), x.shape)

  def loss(params, net, probability):
    (logits, auxiliary), _ = net.apply({**v, 'params': params}, x, True, probability,
                                       rngs={'drop_path': jax.random.key(0)}, mutable=['batch_stats'])
    entropy = lambda z: -jnp.mean(jax.nn.log_softmax(z)[jnp.arange(4), labels])
    return entropy(logits) + 0.4 * entropy(auxiliary)

  fast, plain = (jit(functools.partial(jax.value_and_grad(loss), net=tiny(light, layers=1, kernels=kernels)))
                 for kernels in ('fast', 'plain'))
  dropped, expected = (f(v['params'], probability=0.2) for f in (fast, plain))
  for a, b in zip(jax.tree.leaves(dropped), jax.tree.leaves(expected)):
    np.testing.assert_allclose(a, b, rtol=5e-3, atol=5e-3 * max(1e-3, np.max(np.abs(b))))
  value, gradient = fast(v['params'], probability=0.0)
  assert all(np.all(np.isfinite(g)) and np.any(g != 0) for g in jax.tree.leaves(gradient))
  stepped = jax.tree.map(lambda w, g: w - 0.01 * g, v['params'], gradient)
  assert fast(stepped, probability=0.0)[0] < value


# Cells that all differ


def test_a_network_of_equal_cells_is_that_of_the_genotype():
  net = tiny(layers=3)
  layers = [net.genotype.normal, net.genotype.reduce, net.genotype.reduce]
  own = net.clone(genotype=NetworkGenotype(tuple(layers), net.genotype.primitives))
  x = images()
  v = variables(net, x.shape)
  np.testing.assert_array_equal(own.apply(v, x, False)[0], net.apply(v, x, False)[0])
  with pytest.raises(BadInput, match='of a network of 3 cells, not 4'):
    own.clone(layers=4).init(jax.random.key(0), x, False)


def test_pairs_in_either_order_make_one_network():
  turned = lambda pairs: tuple(pairs[i ^ 1] for i in range(8))
  other = DARTS_V2._replace(normal=turned(DARTS_V2.normal), reduce=turned(DARTS_V2.reduce))
  images = jax.ShapeDtypeStruct((2, 8, 8, 3), jnp.float32)
  trace = lambda g: str(jax.make_jaxpr(lambda key, x: DerivedNet(g, 4, 3, 4).init_with_output(key, x, False))(
      jax.random.key(0), images))
  assert trace(other) == trace(DARTS_V2)


@pytest.mark.parametrize('dtype', ['uint8', 'int32', 'uint16'])
def test_images_that_are_not_floating_are_refused(dtype):
  with pytest.raises(TypeError, match=f'^images must be floating here, got {dtype}'):
    jax.eval_shape(lambda x: DerivedNet(DARTS_V2, 4, 3, 4).init(jax.random.key(0), x, False),
                   jax.ShapeDtypeStruct((2, 8, 8, 3), dtype))
