"""The fixed networks: published sizes, shapes, the definition written with XLA's convolutions, rules of the noise."""

import functools

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.data import dataset
from daas_jax.errors import BadInput
from daas_jax.nets import count, kernels as k
from daas_jax.nets.fixed import pyramidnet, residual, shake_shake
from daas_jax.nets.cells.derived import DerivedNet
from daas_jax.methods import problem
from daas_jax.nets import registry
from daas_jax.nets.fixed import family
from daas_jax.nets.losses import cross_entropy
from test_derived import DARTS_V2, images

registry.networks()  # fills FIXED

TINY = {  # depth, width
    'wrn_40_2': (16, 2), 'shake_shake_26_2x32d': (14, 4), 'pyramidnet_272': (20, 9), 'resnet_18': (18, 2),
    'resnet_18_imagenet': (18, 2), 'resnet_50': (26, 2)}

jit = functools.partial(jax.jit, compiler_options={'xla_backend_optimization_level': 0}
                        if jax.default_backend() == 'cpu' else None)


def tiny(name):
  return family.make(name, 5, *TINY[name])


@functools.lru_cache(maxsize=None)
def variables(name, shape=(4, 9, 9, 3)):
  """Variables with random normalisations, so that nothing rests on their being 0 and 1."""
  shapes = jax.eval_shape(lambda: tiny(name).init(jax.random.key(0), jnp.zeros(shape), False))
  rng = np.random.default_rng(0)

  def draw(path, leaf):
    name = jax.tree_util.keystr(path)
    if 'scale' in name or 'variance' in name:
      return jnp.asarray(rng.uniform(0.5, 1.5, leaf.shape), jnp.float32)
    return jnp.asarray(rng.normal(size=leaf.shape) / np.sqrt(9 * leaf.shape[-1]), jnp.float32)
  return jax.tree_util.tree_map_with_path(draw, shapes)


@functools.lru_cache(maxsize=None)
def _compiled(name, training):
  net = tiny(name)
  if not training:
    return jit(lambda v, x: net.apply(v, x, False)[0])
  return jit(lambda v, x, key: net.apply(v, x, True, rngs={'drop_path': key}, mutable=['batch_stats']))


def evaluate(name, v, x):
  return _compiled(name, False)(v, x)


def train(name, v, x, seed=0):
  """(logits, updated batch_stats)."""
  (logits, _), changed = _compiled(name, True)(v, x, jax.random.key(seed))
  return logits, changed['batch_stats']


# Sizes


def shapes_of(net, shape, training=False):
  return jax.eval_shape(lambda: net.init_with_output({'params': jax.random.key(0), 'drop_path': jax.random.key(1)},
                                                     jnp.zeros(shape), training))


def _conv(*channels, size=3):
  return sum(size * size * a * b for a, b in zip(channels, channels[1:]))


def _norm(*channels):
  return 2 * sum(channels)


def _wrn(n, width):
  """szagoruyko/wide-residual-networks: models/wide-resnet.lua, no biases (utils.DisableBias) but the classifier's."""
  total, c = _conv(3, 16), 16
  for out in (16 * width, 32 * width, 64 * width):
    total += _conv(c, out, out) + _conv(c, out, size=1) + _norm(c, out)
    total += (n - 1) * (_conv(out, out, out) + _norm(out, out))
    c = out
  return total + _norm(c) + 10 * c + 10


def _shake_shake(n, width):
  """xgastaldi/shake-shake: models/shakeshake.lua, models/shakeshakeblock.lua; stem and every convolution without bias."""
  total, c = _conv(3, 16) + _norm(16), 16
  for out in (width, 2 * width, 4 * width):
    total += 2 * (_conv(c, out, out) + _norm(out, out)) + _conv(c, out, size=1) + _norm(out)
    total += (n - 1) * 2 * (_conv(out, out, out) + _norm(out, out))
    c = out
  return total + 10 * c + 10


def _pyramidnet(n, alpha):
  """dyhan0920/PyramidNet-PyTorch: PyramidNet.py, bottleneck; the same in kakaobrain/fast-autoaugment."""
  total, c, grown = _conv(3, 16) + _norm(16), 16, 16
  for _ in range(3 * n):
    grown += alpha / (3 * n)
    w = int(round(grown))
    total += _conv(c, w, size=1) + _conv(w, w) + _conv(w, 4 * w, size=1) + _norm(c, w, w, 4 * w)
    c = 4 * w
  return total + _norm(c) + 10 * c + 10


def _resnet(n, width, stem=3):
  """kuangliu/pytorch-cifar: models/resnet.py, BasicBlock; with a stem of 7 pytorch/vision: models/resnet.py."""
  total, c = _conv(3, width, size=stem) + _norm(width), width
  for i in range(4):
    out = width * 2**i
    total += _conv(c, out, out) + _norm(out, out) + (_conv(c, out, size=1) + _norm(out) if c != out else 0)
    total += (n - 1) * (_conv(out, out, out) + _norm(out, out))
    c = out
  return total + 10 * c + 10


def _bottlenecks(stages, width=64, classes=10):
  """pytorch/vision: models/resnet.py, Bottleneck."""
  total, c = _conv(3, width, size=7) + _norm(width), width
  for i, n in enumerate(stages):
    w, out = width * 2**i, 4 * width * 2**i
    block = lambda c: _conv(c, w, size=1) + _conv(w, w) + _conv(w, out, size=1) + _norm(w, w, out)
    total += block(c) + _conv(c, out, size=1) + _norm(out) + (n - 1) * block(out)
    c = out
  return total + classes * c + classes


# CIFAR-10. Wide-ResNet and PyramidNet were counted (torch's numel) on the public code that the closed form names, the
# others are the closed forms of theirs. osmr/imgclsmob's table has 36,479,194, 2,923,162 and 26,210,842 as well.
# Fast AutoAugment's Shake-Shake has more, 2,989,002 and so on: `equal_io and None or Shortcut()` makes a shortcut, never
# used, in every block, and its stem has a bias and no normalisation.
PARAMETERS = {
    'wrn_40_2': (2_243_546, _wrn(6, 2)),
    'wrn_28_10': (36_479_194, _wrn(4, 10)),
    'shake_shake_26_2x32d': (2_923_162, _shake_shake(4, 32)),
    'shake_shake_26_2x96d': (26_192_922, _shake_shake(4, 96)),
    'shake_shake_26_2x112d': (35_640_442, _shake_shake(4, 112)),
    'pyramidnet_272': (26_210_842, _pyramidnet(30, 200)),
    'resnet_18': (11_173_962, _resnet(2, 64)),
    'resnet_18_imagenet': (11_689_512 - 990 * 513, _resnet(2, 64, 7)),  # these two: published for 1,000 classes
    'resnet_50': (25_557_032 - 990 * 2049, _bottlenecks((3, 4, 6, 3))),
    'resnet_200': (64_673_832 - 990 * 2049, _bottlenecks((3, 24, 36, 3))),  # timm: resnet200
}


@pytest.mark.parametrize('name', family.FIXED)
def test_parameter_counts_of_the_public_code(name):
  published, by_hand = PARAMETERS[name]
  (logits, auxiliary), v = shapes_of(family.make(name, 10), (2, 32, 32, 3))
  assert count.parameters(v['params']) == count.parameters(v['params'], True) == published == by_hand
  assert logits.shape == (2, 10) and auxiliary is None
  assert set(v) == {'params', 'batch_stats'}


@pytest.mark.parametrize('name', TINY)
@pytest.mark.parametrize('size, channels', [(28, 1), (32, 3), (9, 3), (1, 1)])
def test_shapes_of_any_size(name, size, channels):
  for training in (False, True):
    (logits, auxiliary), _ = shapes_of(tiny(name), (2, size, size + 1, channels), training)
    assert logits.shape == (2, 5) and auxiliary is None


@pytest.mark.parametrize('name, depth, width, says', [
    ('wrn_40_2', 41, 0, '4 \\+ 6 n'), ('wrn_40_2', 4, 0, '4 \\+ 6 n'), ('pyramidnet_272', 12, 0, '2 \\+ 9 n'),
    ('shake_shake_26_2x32d', 0, 33, 'even'), ('resnet_50', 53, 0, 'one of 14, 26, 50, 101, 152, 200 for resnet_50')])
def test_sizes_that_cannot_be(name, depth, width, says):
  with pytest.raises(BadInput, match=says):
    family.make(name, 10, depth, width)


# Multiply-adds. The sums in osmr/imgclsmob's table (5,246.98M for WRN-28-10, 428.89M for Shake-Shake 26 2x32d) count
# normalisations, ReLUs and poolings as well.


def test_multiply_adds_of_wide_resnets():
  net = family.make('wrn_28_10', 10)
  found = count.multiply_adds(net, (32, 32, 3))
  c, total, side = 16, 32**2 * _conv(3, 16), 32
  for out in (160, 320, 640):
    side //= 2 if c != 16 else 1
    total += side**2 * (_conv(c, out, out) + _conv(c, out, size=1) + 3 * _conv(out, out, out))
    c = out
  assert found == total + 640 * 10 and round(found / 1e9, 1) == 5.2
  # Pooling, normalisation and sums make up the rest of the published numbers.
  for name, published in (('wrn_28_10', 5246.98e6), ('shake_shake_26_2x32d', 428.89e6)):
    assert 0 < 1 - count.multiply_adds(family.make(name, 10), (32, 32, 3)) / published < 0.01


def test_multiply_adds_of_resnet_18():
  """1.8 billion in He et al. 2016, Table 1; by hand 112^2 of the stem, 56^2 to 7^2 of four stages, the classifier."""
  net = family.make('resnet_18_imagenet', 1000)
  stages = 4 * 56**2 * _conv(64, 64) + sum(
      side**2 * (_conv(c, 2 * c) + 3 * _conv(2 * c, 2 * c) + _conv(c, 2 * c, size=1))
      for side, c in ((28, 64), (14, 128), (7, 256)))
  assert count.multiply_adds(net, (224, 224, 3)) == 112**2 * _conv(3, 64, size=7) + stages + 512_000 == 1_814_073_344


def test_multiply_adds_of_resnet_50():
  """4.1 billion: torchvision's "GFLOPS" of ResNet50_Weights.IMAGENET1K_V1 is 4.09 (a multiply-add counts as one)."""
  found = count.multiply_adds(family.make('resnet_50', 1000), (224, 224, 3))
  total, c = 112**2 * _conv(3, 64, size=7), 64
  for side, w, n in ((56, 64, 3), (28, 128, 4), (14, 256, 6), (7, 512, 3)):
    before = side * (2 if w > 64 else 1)
    total += before**2 * c * w + side**2 * (_conv(w, w) + 4 * w * w + c * 4 * w)
    total += (n - 1) * side**2 * (4 * w * w + _conv(w, w) + 4 * w * w)
    c = 4 * w
  assert found == total + 2048 * 1000 and round(found / 1e9, 2) == 4.09


def test_multiply_adds_of_darts():
  """Counted on quark0/darts (hooks on nn.Conv2d and nn.Linear), which is also what others count for it.

  The paper says 574M for ImageNet. Its code gives 530M: nobody could reproduce that number (quark0/darts, issue 46).
  """
  cifar, imagenet = DerivedNet(DARTS_V2, 10), DerivedNet(DARTS_V2, 1000, 14, 48, stem='imagenet')
  assert count.multiply_adds(imagenet, (224, 224, 3)) == 529_911_552
  assert count.multiply_adds(cifar, (32, 32, 3)) == 528_359_040


# Values, against the definitions written out block by block


def reference_conv(x, w, stride=1):
  w = w if w.ndim == 4 else w[None, None]
  p = w.shape[0] // 2
  return lax.conv_general_dilated(x, w, (stride, stride), ((p, p), (p, p)), dimension_numbers=('NHWC', 'HWIO', 'NHWC'))


class Reference:
  """Reads the variables of a tiny network block by block; each network is one method."""

  def __init__(self, name, v, training):
    self.name, self.v, self.training = name, v, training

  def block(self, room, i=None):
    pick = lambda tree: {n: a if i is None else a[i] for n, a in tree.get(room, {}).items()}
    self.w, self.stats = pick(self.v['params']), pick(self.v['batch_stats'])

  def norm(self, name, x):
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    if not self.training:
      mean, variance = self.stats[f'{name}_mean'], self.stats[f'{name}_variance']
    return (x - mean) / jnp.sqrt(variance + 1e-5) * self.w[f'{name}_scale'] + self.w[f'{name}_offset']

  def conv(self, name, x, stride=1):
    return reference_conv(x, self.w[name], stride)

  def blocks(self, stages, n):
    """(stride, whether the width changes) of every block, each made the current one."""
    for stage in range(stages):
      for i in range(n):
        self.block(f'stage{stage}' if i else f'stage{stage}_first', i - 1 if i else None)
        yield 2 if stage and not i else 1

  def classify(self, x):
    p = self.v['params']
    return x.mean((1, 2)) @ p['classifier']['kernel'] + p['classifier_bias']

  def wrn_40_2(self, x):
    relu = jax.nn.relu
    self.block('stem')
    x = self.conv('conv', x)
    for stride in self.blocks(3, 2):
      a = relu(self.norm('bn1', x))
      y = self.conv('conv2', relu(self.norm('bn2', self.conv('conv1', a, stride))))
      x = y + (self.conv('shortcut', a, stride) if 'shortcut' in self.w else x)
    self.block('final')
    return self.classify(relu(self.norm('bn', x)))

  def resnet_18_imagenet(self, x):
    self.block('stem')
    x = jax.nn.relu(self.norm('bn', self.conv('conv', x, 2)))
    around = (0, 0), (1, 1), (1, 1), (0, 0)
    return self.stages(lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), around))

  def resnet_50(self, x):
    self.block('stem')
    x = jax.nn.relu(self.norm('bn', self.conv('conv', x, 2)))
    around = (0, 0), (1, 1), (1, 1), (0, 0)
    x = lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, 2, 2, 1), around)
    for stride in self.blocks(4, 2):
      y = jax.nn.relu(self.norm('bn1', self.conv('conv1', x)))
      y = self.norm('bn3', self.conv('conv3', jax.nn.relu(self.norm('bn2', self.conv('conv2', y, stride)))))
      s = self.norm('shortcut_bn', self.conv('shortcut', x, stride)) if 'shortcut' in self.w else x
      x = jax.nn.relu(y + s)
    return self.classify(x)

  def resnet_18(self, x):
    self.block('stem')
    return self.stages(jax.nn.relu(self.norm('bn', self.conv('conv', x))))

  def stages(self, x):
    for stride in self.blocks(4, 2):
      y = self.norm('bn2', self.conv('conv2', jax.nn.relu(self.norm('bn1', self.conv('conv1', x, stride)))))
      s = self.norm('shortcut_bn', self.conv('shortcut', x, stride)) if 'shortcut' in self.w else x
      x = jax.nn.relu(y + s)
    return self.classify(x)

  def shake_shake_26_2x32d(self, x):
    self.block('stem')
    x = self.norm('bn', self.conv('conv', x))
    for stride in self.blocks(3, 2):
      h = jax.nn.relu(x)
      branches = [self.norm(f'bn{i}2', self.conv(f'conv{i}2', jax.nn.relu(
          self.norm(f'bn{i}1', self.conv(f'conv{i}1', h, stride))))) for i in (1, 2)]
      if 'shortcut' in self.w:
        shifted = jnp.pad(h, ((0, 0), (0, 1), (0, 1), (0, 0)))[:, 1:, 1:]
        halves = [reference_conv(part, w, stride) for part, w in zip((h, shifted), self.w['shortcut'])]
        x = self.norm('shortcut', jnp.concatenate(halves, -1))
      x = x + 0.5 * branches[0] + 0.5 * branches[1]
    return self.classify(jax.nn.relu(x))

  def pyramidnet_272(self, x):
    self.block('stem')
    x = self.norm('bn', self.conv('conv', x))
    for i in range(6):
      self.block(f'block{i}')
      stride = 2 if i in (2, 4) else 1
      y = self.norm('bn2', self.conv('conv1', self.norm('bn1', x)))
      y = self.norm('bn3', self.conv('conv2', jax.nn.relu(y), stride))
      y = self.norm('bn4', self.conv('conv3', jax.nn.relu(y)))
      if stride == 2:  # pooled by 2 x 2, a last row or column alone
        x = jnp.stack([jnp.stack([x[:, a:a + 2, b:b + 2].mean((1, 2)) for b in range(0, x.shape[2], 2)], 1)
                       for a in range(0, x.shape[1], 2)], 1)
      x = jnp.concatenate([x, jnp.zeros((*x.shape[:3], y.shape[-1] - x.shape[-1]))], -1)
      x = x + (1 - 0.5 * (i + 1) / 6) * y
    self.block('final')
    return self.classify(jax.nn.relu(self.norm('bn', x)))

  def __call__(self, x):
    return getattr(self, self.name)(x)


@pytest.mark.parametrize('name, training', [(n, False) for n in TINY] + [
    ('wrn_40_2', True), ('resnet_18', True)])
def test_network_is_the_published_one(name, training):
  v, x = variables(name), images(shape=(4, 9, 9, 3))
  expected = jit(lambda v, x: Reference(name, v, training)(x))(v, x)
  logits = train(name, v, x)[0] if training else evaluate(name, v, x)
  assert np.std(expected) > 1e-3
  np.testing.assert_allclose(logits, expected, rtol=2e-3, atol=2e-4)


def test_weights_start_by_what_goes_out():
  net = family.make('wrn_40_2', 10, 16, 2)
  v = jit(lambda: net.init(jax.random.key(0), jnp.zeros((2, 8, 8, 3)), False))()
  for w, fan_out in ((v['params']['stage2']['conv1'], 9 * 128), (v['params']['stage1_first']['shortcut'], 64)):
    assert np.std(w) == pytest.approx(np.sqrt(2 / fan_out), rel=0.1)
  assert np.all(v['params']['final']['bn_scale'] == 1) and np.all(v['params']['stage0']['bn2_offset'] == 0)
  assert np.all(v['batch_stats']['final']['bn_mean'] == 0) and np.all(v['batch_stats']['stage0']['bn2_variance'] == 1)
  assert np.all(v['params']['classifier_bias'] == 0)


def test_widths_grow_by_the_same_step():
  w = pyramidnet.widths(90, 200)
  assert len(w) == 90 and w[0] == 18 and w[-1] == 216 and set(np.diff(w)) == {2, 3}


# Running averages, evaluation


@pytest.mark.parametrize('name', TINY)
def test_running_averages_change_in_training_alone(name):
  v, x = variables(name), images(shape=(4, 9, 9, 3))
  _, new = train(name, v, x)
  assert jax.tree.structure(new) == jax.tree.structure(v['batch_stats'])
  for old, leaf in zip(jax.tree.leaves(v['batch_stats']), jax.tree.leaves(new)):
    assert leaf.shape == old.shape and np.all(np.isfinite(leaf)) and np.all(np.any(leaf != old, -1))
  if 'bn_mean' in new['stem']:
    stem = reference_conv(x, v['params']['stem']['conv'], 2 if name in ('resnet_18_imagenet', 'resnet_50') else 1)
    np.testing.assert_allclose(new['stem']['bn_mean'],
                               0.9 * v['batch_stats']['stem']['bn_mean'] + 0.1 * stem.mean((0, 1, 2)), atol=1e-5)
    np.testing.assert_allclose(new['stem']['bn_variance'],
                               0.9 * v['batch_stats']['stem']['bn_variance'] + 0.1 * stem.var((0, 1, 2)), atol=1e-5)


@pytest.mark.parametrize('name', TINY)
def test_evaluation_is_deterministic_and_looks_at_each_image_alone(name):
  v, x = variables(name), images(shape=(4, 9, 9, 3))
  a, b = evaluate(name, v, x), evaluate(name, v, x.at[1:].set(10 * x[1:]))
  assert np.array_equal(a[0], b[0]) and not np.allclose(a[1:], b[1:])
  assert np.array_equal(a, evaluate(name, v, x))
  shaken = not np.allclose(train(name, v, x, 0)[0], train(name, v, x, 1)[0])
  assert shaken == tiny(name).takes_noise


# Noise, by hand


def test_shake_shake_forward_and_backward():
  a, b, g = (images(seed, (2, 1, 1, 3)) for seed in (1, 2, 3))
  noise = jnp.array([[0.25, 1.0], [0.75, 0.0]])  # alpha of both images, beta of both
  y, pull = jax.vjp(lambda a, b: shake_shake.mix(a, b, noise), a, b)
  np.testing.assert_allclose(y[0], 0.25 * a[0] + 0.75 * b[0], rtol=1e-6)
  np.testing.assert_allclose(y[1], a[1], rtol=1e-6)
  g_a, g_b = pull(g)
  np.testing.assert_allclose(g_a, g * jnp.array([0.75, 0.0])[:, None, None, None], rtol=1e-6)
  np.testing.assert_allclose(g_b, g * jnp.array([0.25, 1.0])[:, None, None, None], rtol=1e-6)
  np.testing.assert_allclose(shake_shake.mix(a, b, None), (a + b) / 2, rtol=1e-6)
  _, tangent = jax.jvp(lambda a: shake_shake.mix(a, b, noise), (a,), (g,))  # the same rule in forward mode
  np.testing.assert_allclose(tangent, g_a, rtol=1e-6)


def test_shakedrop_forward_and_backward():
  x, g = images(1, (3, 1, 1, 2)), images(2, (3, 1, 1, 2))
  forward, backward = jnp.array([1.0, -0.5, 0.25]), jnp.array([1.0, 0.5, 0.0])
  y, pull = jax.vjp(lambda x: residual.shake(x, forward, backward), x)
  np.testing.assert_allclose(y, x * forward[:, None, None, None])
  np.testing.assert_allclose(pull(g)[0], g * backward[:, None, None, None])


def test_factors_of_shakedrop():
  """A kept block is kept for every image and both ways; a dropped one has factors in [-1, 1] and [0, 1]."""
  blocks, n = 10, 2000
  np.testing.assert_allclose(pyramidnet.kept(blocks), 1 - 0.05 * np.arange(1, 11), rtol=1e-6)
  f = np.asarray(jit(jax.vmap(lambda key: pyramidnet.shake_factors(key, blocks, 3)))(
      jax.random.split(jax.random.key(0), n)))
  assert f.shape == (n, blocks, 2, 3)
  whole = np.all(f == 1, (2, 3))
  assert np.all(whole | ~np.any(f == 1, (2, 3)))
  probability = np.asarray(pyramidnet.kept(blocks))
  assert np.all(np.abs(whole.mean(0) - probability) < 5 * np.sqrt(0.25 / n))
  forward, backward = f[~whole][:, 0], f[~whole][:, 1]
  assert -1 <= forward.min() < -0.9 and 0.9 < forward.max() <= 1 and 0 <= backward.min() < 0.1
  assert abs(np.corrcoef(forward.ravel(), backward.ravel())[0, 1]) < 0.05
  assert abs(np.corrcoef(forward[:, 0], forward[:, 1])[0, 1]) < 0.05
  # The evaluation's factor is the expectation: (1 - p) E[alpha] + p = p.
  assert np.all(np.abs(f[:, :, 0].mean((0, 2)) - probability) < 5 / np.sqrt(n))


def test_shake_shake_keeps_the_expectation_and_draws_by_image():
  a, b = images(1, (2, 1, 1, 1)), images(2, (2, 1, 1, 1))
  noise = jax.random.uniform(jax.random.key(0), (4000, 2, 2))
  y = np.asarray(jax.vmap(lambda n: shake_shake.mix(a, b, n))(noise))
  bound = 5 * np.abs(a - b) * np.sqrt(1 / 12 / 4000)
  assert np.all(np.abs(y.mean(0) - shake_shake.mix(a, b, None)) < bound)
  alpha = (y - b) / (a - b)
  assert abs(np.corrcoef(alpha[:, 0].ravel(), alpha[:, 1].ravel())[0, 1]) < 5 / np.sqrt(4000)


# Gradients and kernels


@pytest.mark.parametrize('name', ['wrn_40_2', 'shake_shake_26_2x32d'])
def test_gradients_of_both_sets_of_kernels(name):
  """Finite, reach every weight, equal; images large enough for the convolution with a gradient of its own."""
  x, labels = images(shape=(4, 9, 9, 3)), jnp.arange(4)
  row = family.FIXED[name]
  net = family.make(name, 5, row.base + row.step, 2)  # one block a stage
  params = jit(lambda: net.init(jax.random.key(0), x, False))()['params']

  def loss(params, kernels):
    logits, _ = net.clone(kernels=kernels).apply({'params': params}, x, True, rngs={'drop_path': jax.random.key(0)})
    return cross_entropy(logits, labels)

  fast, plain = (jit(functools.partial(jax.grad(loss), kernels=s))(params) for s in ('fast', 'plain'))
  for a, b in zip(jax.tree.leaves(fast), jax.tree.leaves(plain)):
    assert np.all(np.isfinite(a)) and np.any(a != 0)
    np.testing.assert_allclose(a, b, rtol=5e-3, atol=5e-3 * max(1e-3, np.max(np.abs(b))))


@pytest.mark.parametrize('size, stride', [(9, 1), (8, 1), (9, 2), (32, 1), (1, 1), (3, 1)])
def test_convolution_and_its_gradients(size, stride, monkeypatch):
  monkeypatch.setattr(k, '_SMALL_IMAGE', 0)
  x, w = images(shape=(2, size, size + 1, 3)), images(2, (3, 3, 3, 5))
  y, pull = jax.vjp(lambda x, w: k.conv(x, w, stride), x, w)
  expected, expected_pull = jax.vjp(lambda x, w: reference_conv(x, w, stride), x, w)
  np.testing.assert_allclose(y, expected, atol=1e-4)
  for a, b in zip(pull(jnp.cos(y)), expected_pull(jnp.cos(y))):
    np.testing.assert_allclose(a, b, atol=1e-3)


# In a search


@pytest.mark.parametrize('name', ['wrn_40_2', 'pyramidnet_272'])
def test_a_policy_search_has_weights_alone(name):
  rng = np.random.default_rng(0)
  pictures, labels = rng.integers(0, 256, (6, 8, 8, 1), np.uint8), np.arange(6, dtype=np.int32) % 2
  data = dataset.assemble('noise', pictures, labels, pictures, labels, ('a', 'b'))
  config = config_lib.search_config()
  config.network.name, config.network.depth, config.network.width = name, 11 if name[0] == 'p' else 10, 1
  config_lib.check(config, 'search')
  built = problem.build(config, data)
  assert problem.takes_key(config) == (name == 'pyramidnet_272')
  theta = jit(built.init_theta)(jax.random.key(0))
  assert built.arch.init(jax.random.key(0)) == {}
  run = jit(jax.value_and_grad(built.loss, has_aux=True))
  (loss, accuracy), gradient = run(theta, {}, built.val_input(pictures), labels, jax.random.key(1))
  assert np.isfinite(loss) and 0 <= accuracy <= 1
  assert jax.tree.structure(gradient) == jax.tree.structure(theta)
  assert all(np.all(np.isfinite(g)) for g in jax.tree.leaves(gradient))
