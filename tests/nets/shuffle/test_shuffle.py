"""The choice-block supernet against a reference in numpy-like JAX, its costs against published ones."""

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest
import traced

from daas_jax.errors import BadInput
from daas_jax.nets import count, kernels as k
from daas_jax.nets.normalisation import BN_EPSILON
from daas_jax.nets.shuffle import blocks as blocks_lib, costs as shuffle_count, layers, supernet as shuffle

TINY = layers.Size((4, 1), ((2, 8, 2),), 6)  # two blocks
N = len(layers.CHOICES)


@pytest.fixture(autouse=True, scope='module')
def tiny():
  layers.SIZES['tiny'] = TINY
  yield
  del layers.SIZES['tiny']


@pytest.fixture(scope='module')
def supernet():
  net = shuffle.ShuffleSuperNet(3, 'tiny')
  z = {'choice': jnp.zeros(2, jnp.int32), 'gate': jnp.ones(2)}
  theta = jax.jit(net.init)(jax.random.key(0), z, jnp.zeros((1, 8, 8, 1)))['params']
  noisy = lambda x: x + 0.3 * jax.random.normal(jax.random.key(1), x.shape)  # scales and offsets that matter
  return net, jax.tree.map(noisy, theta), jax.random.normal(jax.random.key(2), (5, 8, 8, 1))


def _z(path, gate=(1.0, 1.0)):
  return {'choice': jnp.array(path, jnp.int32), 'gate': jnp.array(gate)}


# --- an independent reference: XLA's convolutions, every choice written out from SPOS's description -----------


def _conv(x, w, stride, groups):
  p = w.shape[0] // 2
  return lax.conv_general_dilated(x, w, (stride, stride), ((p, p), (p, p)),
                                  dimension_numbers=('NHWC', 'HWIO', 'NHWC'), feature_group_count=groups)


def _bn(x, scale, offset):
  mean, variance = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
  return (x - mean) / jnp.sqrt(variance + 1e-5) * scale + offset


class _Reader:
  """Takes arrays off a vector, one after the other."""

  def __init__(self, vector):
    self.vector = vector

  def take(self, *shape):
    n = int(np.prod(shape))
    out, self.vector = self.vector[:n].reshape(shape), self.vector[n:]
    return out

  def pw(self, x, c):
    return jax.nn.relu(_bn(_conv(x, self.take(1, 1, x.shape[-1], c), 1, 1), self.take(c), self.take(c)))

  def dw(self, x, size, stride=1):
    c = x.shape[-1]
    return _bn(_conv(x, self.take(size, size, 1, c), stride, c), self.take(c), self.take(c))


def _main(read, x, choice, mid, out, stride):
  if choice == 'xception':
    x = read.pw(read.dw(x, 3, stride), mid)
    return read.pw(read.dw(read.pw(read.dw(x, 3), mid), 3), out)
  return read.pw(read.dw(read.pw(x, mid), int(choice[1]), stride), out)


def _reference(theta, images, path, gate=(1.0, 1.0)):
  """The tiny network on a path."""
  names = [layers.CHOICES[i] for i in path]
  read = _Reader(theta['stem'])
  x = jax.nn.relu(_bn(_conv(images, read.take(3, 3, 1, 4), 1, 1), read.take(4), read.take(4)))
  read = _Reader(theta['block00'][names[0]])
  main = _main(read, x, names[0], 4, 4, 2)
  side = read.pw(read.dw(x, 3 if names[0] == 'xception' else int(names[0][1]), 2), 4)
  x = jnp.concatenate([side, gate[0] * main], -1)
  read = _Reader(theta['block01'][names[1]])
  x = jnp.concatenate([x[..., ::2], gate[1] * _main(read, x[..., 1::2], names[1], 4, 4, 1)], -1)
  x = _Reader(theta['last']).pw(x, 6)
  return jnp.mean(x, (1, 2)) @ theta['classifier']['kernel']


def test_all_paths_and_their_gradients_are_the_references(supernet):
  net, theta, images = supernet
  loss = lambda logits: jnp.sum(jnp.sin(logits) * jnp.arange(1, 16).reshape(5, 3))
  gradient = traced.counted(jax.value_and_grad(lambda theta, gate, path: loss(net.apply({'params': theta}, {
      'choice': path, 'gate': gate}, images)), (0, 1)))
  ours = jax.jit(gradient)
  gate = jnp.array([0.7, 1.3])
  for path in ((0, 3), (1, 2), (2, 0), (3, 1)):
    value, (g_theta, g_gate) = ours(theta, gate, jnp.array(path))
    wanted, (w_theta, w_gate) = jax.jit(jax.value_and_grad(
        lambda t, g, path=path: loss(_reference(t, images, path, g)), (0, 1)))(theta, gate)
    np.testing.assert_allclose(value, wanted, rtol=2e-4)
    np.testing.assert_allclose(g_gate, w_gate, rtol=2e-3, atol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=5e-3, atol=2e-3), g_theta, w_theta)
  assert gradient.times == 1  # one compiled program


def test_shuffled_halves_are_a_channel_shuffle_of_two_groups_and_a_split():
  x = np.arange(2 * 8.0).reshape(2, 1, 1, 8)
  shuffled = x.reshape(2, 1, 1, 4, 2).swapaxes(3, 4).reshape(2, 1, 1, 8)  # groups of ShuffleNet, as a transpose
  left, right = shuffle.shuffled_halves(x)
  np.testing.assert_array_equal(np.concatenate([left, right], -1), shuffled)


def test_a_gate_on_the_whole_block_would_have_no_derivative_before_a_stage_ends(supernet):
  """Why `run_block`'s gate is on the main branch: behind a block's output every branch is normalised."""
  _, theta, images = supernet
  def logits(whole, main):
    read = _Reader(theta['last'])
    x = jax.random.normal(jax.random.key(3), (5, 4, 4, 8))
    x = jnp.concatenate([x[..., :4], main * x[..., 4:]], -1) * whole
    return jnp.sum(jnp.sin(read.pw(x, 6)))
  whole, main = jax.grad(logits, (0, 1))(1.0, 1.0)
  assert abs(whole) < 1e-3 < 0.01 < abs(main)
  del images


def test_a_path_as_a_network_is_the_supernet_on_that_path(supernet):
  net, theta, images = supernet
  path = (3, 2)
  names = tuple(layers.CHOICES[i] for i in path)
  alone = shuffle.ShuffleNet(names, 3, 'tiny')
  params = shuffle.path_parameters(theta, names)
  fresh = jax.eval_shape(lambda: alone.init(jax.random.key(0), images, False))
  assert jax.tree.map(jnp.shape, params) == jax.tree.map(lambda s: s.shape, fresh['params'])
  (logits, _), changed = jax.jit(lambda variables: alone.apply(variables, images, True, mutable=['batch_stats']))(
      {'params': params, 'batch_stats': jax.tree.map(lambda s: jnp.zeros(s.shape), fresh['batch_stats'])})
  np.testing.assert_allclose(logits, jax.jit(net.apply)({'params': theta}, _z(path), images), atol=1e-5)
  # With the batch's own moments evaluation is what training computes.
  moments = jax.tree.map(lambda a: a / (1 - 0.9), changed['batch_stats'])
  evaluated, _ = jax.jit(lambda variables: alone.apply(variables, images, False))(
      {'params': params, 'batch_stats': moments})
  np.testing.assert_allclose(evaluated, logits, atol=1e-4)


# --- what it costs ------------------------------------------------------------------------------------------

# Multiply-adds of each choice, by block: the table in DSNAS's code (ShuffleNetV2_OneShot).
PUBLISHED = {
    0: (13396992, 15805440, 19418112, 13146112), 1: (7325696, 8931328, 11339776, 12343296),
    4: (26304768, 28111104, 30820608, 20296192), 5: (10599680, 11603200, 13108480, 16746240),
    8: (30670080, 31673600, 33178880, 21199360), 9: (10317440, 10819200, 11571840, 15899520),
    16: (30387840, 30889600, 31642240, 20634880), 17: (10176320, 10427200, 10803520, 15476160)}
# README of github.com/megvii-model/SinglePathOneShot: 323M FLOPs, 3.5M parameters.
FOUND = (2, 1, 0, 1, 2, 0, 2, 0, 2, 0, 2, 3, 0, 0, 0, 0, 3, 2, 3, 3)


def test_costs_on_imagenet_are_the_published_ones():
  costs = shuffle_count.multiply_adds('imagenet', (224, 224, 3), 1000)
  assert costs.choices.shape == (20, 4)
  for block in range(20):
    like = max(b for b in PUBLISHED if b <= block)
    np.testing.assert_array_equal(costs.choices[block], PUBLISHED[like])
  assert round(costs.of(FOUND) / 1e6) == 323
  assert abs(shuffle_count.parameters('imagenet', 3, 1000).of(FOUND) / 1e6 - 3.5) < 0.1


@pytest.mark.parametrize('size, shape', [('tiny', (8, 8, 1)), ('small', (28, 28, 1)), ('cifar', (32, 32, 3))])
def test_costs_are_those_of_the_program_and_of_the_arrays(size, shape):
  n = layers.SIZES[size].blocks
  for path in (np.arange(n) % N, (np.arange(n) * 3 + 3) % N):
    net = shuffle.ShuffleNet(tuple(layers.CHOICES[i] for i in path), 7, size)
    assert shuffle_count.multiply_adds(size, shape, 7).of(path) == count.multiply_adds(net, shape)
    params = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros((1, *shape)), False))['params']
    assert shuffle_count.parameters(size, shape[-1], 7).of(path) == sum(x.size for x in jax.tree.leaves(params))


def test_the_space_is_the_papers():
  assert layers.SIZES['imagenet'].blocks == layers.SIZES['cifar'].blocks == 20 and N == 4
  firsts = [b for b in layers.blocks(layers.SIZES['imagenet']) if b.first]
  assert [(b.c_out, b.stride) for b in firsts] == [(64, 2), (160, 2), (320, 2), (640, 2)]


def test_initial_weights_have_the_spread_of_he():
  two = (layers.Layer('pointwise', 1, 200, 50), layers.Layer('depthwise', 5, 400, 400))
  (pw, one, zero), (dw, _, _) = layers.split(layers.draw(jax.random.key(0), two), two)
  assert abs(pw.std() - np.sqrt(2 / 50)) < 0.01 and abs(dw.std() - np.sqrt(2 / 25)) < 0.01
  assert np.all(one == 1) and np.all(zero == 0) and BN_EPSILON == 1e-5


# --- blocks.json ----------------------------------------------------------------------------------------------


def test_blocks_come_back_from_their_file(tmp_path):
  found = blocks_lib.Blocks('small', ('k3', 'k5', 'k7', 'xception', 'k3', 'k3'))
  blocks_lib.save(tmp_path / 'blocks.json', found)
  assert blocks_lib.load(tmp_path / 'blocks.json') == found
  assert 'stage 2,  64 channels: k7       xception' in blocks_lib.describe(found)


@pytest.mark.parametrize('text, word', [
    ('{', 'not JSON'), ('[]', 'format'), ('{"format": "daas_jax.blocks", "version": 2}', 'version'),
    ('{"format": "daas_jax.blocks", "version": 1, "size": "huge"}', 'huge'),
    ('{"format": "daas_jax.blocks", "version": 1, "size": "tiny", "choices": ["k3"]}', '2 blocks'),
    ('{"format": "daas_jax.blocks", "version": 1, "size": "tiny", "choices": ["k3", "k9"]}', 'k9')])
def test_a_malformed_file_is_one_line(text, word, tmp_path):
  path = tmp_path / 'blocks.json'
  path.write_text(text)
  with pytest.raises(BadInput, match=word) as error:
    blocks_lib.load(path)
  assert '\n' not in str(error.value) and str(path) in str(error.value)
  with pytest.raises(BadInput, match='cannot be read'):
    blocks_lib.load(tmp_path / 'none.json')
