"""The single path against the dense cell: values, gradients, and what must get none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference
import traced

from daas_jax import trees
from daas_jax.estimators import curvature
from daas_jax.nets.cells import architecture, cell as cells
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, PRIMITIVES
from daas_jax.nets.cells.supernet import SuperNet


def random_z(seed, n_ops=len(DAAS_PRIMITIVES)):
  """A hard architecture, every edge and operation equally likely."""
  rng = np.random.default_rng(seed)
  A, B = np.zeros((2, len(cells.EDGES), n_ops)), np.zeros((2, len(cells.EDGES)))
  for kind in range(2):
    A[kind, np.arange(len(cells.EDGES)), rng.integers(n_ops, size=len(cells.EDGES))] = 1
    for edges in cells.NODE_EDGES:
      B[kind, rng.choice(edges, 2, replace=False)] = 1
  return {'A': jnp.asarray(A), 'B': jnp.asarray(B)}


@pytest.fixture(scope='module')
def both():
  """(theta, images, value-and-gradient of the single path and of the dense net, compiled) of a small net in float64."""
  jax.config.update('jax_enable_x64', True)
  images = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 8, 2)))
  compiled = {}
  for dense in (False, True):
    net = SuperNet(3, layers=3, channels=2, dense=dense, kernels='plain' if dense else 'fast')
    if not dense:
      theta = jax.tree.map(lambda a: a.astype(jnp.float64), jax.jit(net.init)(jax.random.key(0), random_z(0), images))
    weights = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3)))
    scalar = lambda theta, z, images, net=net: jnp.sum(weights * net.apply(theta, z, images))
    gradient = traced.counted(jax.value_and_grad(scalar, (0, 1, 2)))
    compiled[dense] = jax.jit(gradient)
    compiled[dense, 'traces'] = gradient
  yield theta, images, compiled
  jax.config.update('jax_enable_x64', False)


def _sampled(theta, z):
  """For every stacked operation weight, which of its edges z samples: {(cell, name): bool [n]}."""
  out = {}
  for cell, weights in theta['params'].items():
    if not cell.startswith('cell') :
      continue
    kind = int(int(cell[4:]) in (1, 2))  # layers = 3: reductions at 1 and 2
    shapes = cells.weight_shapes(DAAS_PRIMITIVES, 4, bool(kind))
    for name in weights:
      if name in shapes:
        o = DAAS_PRIMITIVES.index(name.split('.')[0])
        out[cell, name] = np.array([bool(z['A'][kind, e, o] * z['B'][kind, e]) for e in shapes[name][2]])
  return out


@pytest.mark.parametrize('reduction', [False, True])
def test_the_dense_scan_is_the_sum_written_out(x64, reduction):
  """Values and gradients at a mixture that is no one-hot, with every primitive, noise included."""
  primitives, rng = tuple(PRIMITIVES), np.random.default_rng(6)
  normal = lambda shape: jnp.asarray(rng.normal(size=shape))
  w = {n: normal(shape) for n, (shape, _, _) in cells.weight_shapes(primitives, 2, reduction).items()}
  arguments = normal((2, 5, 5, 2)), normal((2, 5, 5, 2)), w, normal((14, len(primitives))), normal(14)
  g, key = normal((2, 3, 3, 8) if reduction else (2, 5, 5, 8)), jax.random.key(1)
  def scalar(cell):
    return lambda *a: jnp.sum(g * cell(*a, primitives=primitives, reduction=reduction, key=key))
  every = (0, 1, 2, 3, 4)
  expected, slopes = jax.value_and_grad(scalar(reference.dense_cell), every)(*arguments)
  value, found = jax.jit(jax.value_and_grad(scalar(cells.dense_cell), every))(*arguments)
  np.testing.assert_allclose(value, expected, rtol=1e-9)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8), found, slopes)


@pytest.mark.parametrize('reduction', [False, True])
def test_fixed_edges_and_drop_path_are_the_sum_written_out(x64, reduction):
  """The 8 edges of Amended-DARTS, each with weights and a row of A, and factors for each image."""
  primitives, edges, rng = ('skip_connect', 'sep_conv_3x3', 'avg_pool_3x3'), cells.CHAIN_EDGES, np.random.default_rng(7)
  assert [cells.EDGES[e] for e in edges] == [(0, 2), (1, 2), (0, 3), (2, 3), (0, 4), (3, 4), (0, 5), (4, 5)]
  normal = lambda shape: jnp.asarray(rng.normal(size=shape))
  w = {n: normal(shape) for n, (shape, _, _) in cells.weight_shapes(primitives, 2, reduction, edges).items()}
  arguments = normal((2, 4, 4, 2)), normal((2, 4, 4, 2)), w, normal((8, 3)), normal(8)
  g, keep = normal((2, 2, 2, 8) if reduction else (2, 4, 4, 8)), jnp.asarray(rng.uniform(size=(8, 2)))
  def scalar(cell):
    return lambda *a: jnp.sum(g * cell(*a, primitives=primitives, reduction=reduction, edges=edges, keep=keep))
  every = (0, 1, 2, 3, 4)
  expected, slopes = jax.value_and_grad(scalar(reference.dense_cell), every)(*arguments)
  value, found = jax.jit(jax.value_and_grad(scalar(cells.dense_cell), every))(*arguments)
  np.testing.assert_allclose(value, expected, rtol=1e-9)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-8), found, slopes)


@pytest.mark.parametrize('seed', range(4))
def test_single_path_is_the_dense_sum_at_the_same_one_hots(both, seed):
  theta, images, compiled = both
  z = random_z(seed)
  value, (g_theta, g_z, g_images) = compiled[False](theta, z, images)
  dense, (d_theta, d_z, d_images) = compiled[True](theta, z, images)
  np.testing.assert_allclose(value, dense, rtol=1e-10)
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), g_theta, d_theta)
  np.testing.assert_allclose(g_images, d_images, atol=1e-9)
  # Of the architecture's gradient the single path knows the sampled entries, and those alone.
  on_path = z['A'] * z['B'][..., None]
  np.testing.assert_allclose(g_z['A'], d_z['A'] * on_path, atol=1e-9)
  np.testing.assert_allclose(g_z['B'], d_z['B'] * z['B'], atol=1e-9)
  assert np.count_nonzero(g_z['A']) == 16


def test_sampled_weights_get_gradient_and_the_others_exactly_none(both):
  theta, images, compiled = both
  z = random_z(7)
  g_theta = compiled[False](theta, z, images)[1][0]['params']
  used, unused = 0, 0
  for (cell, name), sampled in _sampled(theta, z).items():
    for edge, is_sampled in enumerate(sampled):
      gradient = np.asarray(g_theta[cell][name][edge])
      assert np.any(gradient) == is_sampled, (cell, name, edge)
      used, unused = used + is_sampled, unused + (not is_sampled)
  assert used > 10 and unused > 100


def test_one_program_serves_every_sample(both):
  theta, images, compiled = both
  for seed in range(8, 12):
    compiled[False](theta, random_z(seed), images)
  assert compiled[False, 'traces'].times == 1


def test_the_paper_size_has_dartss_number_of_weights():
  shapes = jax.eval_shape(SuperNet(10).init, jax.random.key(0), random_z(0), jnp.zeros((1, 32, 32, 3)))
  assert sum(a.size for a in jax.tree.leaves(shapes)) == 1_930_618


def test_weights_start_within_the_bound_of_their_fan_in():
  theta = SuperNet(3, layers=3, channels=4, primitives=('skip_connect', 'sep_conv_5x5')).init(
      jax.random.key(0), random_z(0, 2), jnp.zeros((1, 8, 8, 3)))['params']
  depthwise = np.asarray(theta['cell0']['sep_conv_5x5.dw1'])
  assert np.abs(depthwise).max() <= 1 / 5 and depthwise.std() == pytest.approx(1 / 5 / np.sqrt(3), rel=0.1)


def test_sampled_slots_are_the_two_edges_of_every_node():
  z = random_z(3)
  edge, operation, scale = cells.sampled_slots(z['A'][0], z['B'][0])
  np.testing.assert_array_equal(np.sort(np.asarray(edge)), np.flatnonzero(z['B'][0]))
  np.testing.assert_array_equal(operation, np.argmax(z['A'][0], -1)[np.asarray(edge)])
  np.testing.assert_array_equal(scale, 1)
  assert [cells.EDGES[e][1] for e in np.asarray(edge)] == [2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize('name', PRIMITIVES)
@pytest.mark.parametrize('stride', [1, 2])
def test_every_primitive_keeps_its_shape_contract(name, stride):
  x, primitive = jnp.ones((2, 7, 7, 4)), PRIMITIVES[name]
  weights = {n: jnp.ones(shape) for n, (shape, _) in primitive.shapes(4, stride).items()}
  from daas_jax.nets.kernels import KERNELS
  out = jax.eval_shape(lambda x, w: primitive.apply(x, w, stride, jax.random.key(0), KERNELS['fast']), x, weights)
  assert out.shape == ((2, 7, 7, 4) if stride == 1 else (2, 4, 4, 4))


def test_noise_differs_from_key_to_key_and_needs_one():
  net = SuperNet(3, layers=3, channels=2, primitives=('skip_connect', 'noise'))
  images = jnp.asarray(np.random.default_rng(0).normal(size=(2, 8, 8, 1)), jnp.float32)
  z = jax.tree.map(lambda a: a.astype(jnp.float32), random_z(1, 2))
  theta = jax.jit(net.init)(jax.random.key(0), z, images, jax.random.key(1))
  apply = jax.jit(net.apply)
  first, again, other = (apply(theta, z, images, jax.random.key(i)) for i in (1, 1, 2))
  np.testing.assert_array_equal(first, again)
  assert np.abs(np.asarray(first - other)).max() > 1e-3


def test_architecture_samples_follow_alpha_and_beta():
  """Frequencies of 4,000 samples against softmax(alpha), and against the two-draw probabilities of Gumbel top-2."""
  rng = np.random.default_rng(0)
  arch = {'alpha': jnp.asarray(rng.normal(size=(2, 14, 7)), jnp.float32),
          'beta': jnp.asarray(rng.normal(size=(2, 14)), jnp.float32)}
  z = jax.jit(jax.vmap(lambda key: architecture.sample(key, arch, 1.0)))(jax.random.split(jax.random.key(0), 4000))
  np.testing.assert_array_equal(np.unique(z['A']), [0, 1])
  np.testing.assert_allclose(np.mean(z['A'], 0), jax.nn.softmax(arch['alpha']), atol=0.04)  # 5 standard deviations
  for edges in cells.NODE_EDGES:
    p = np.asarray(jax.nn.softmax(arch['beta'][0, jnp.array(edges)]), np.float64)
    both = p + sum(p[i] * p / (1 - p[i]) * (np.arange(len(p)) != i) for i in range(len(p)))
    np.testing.assert_allclose(np.mean(z['B'][:, 0, list(edges)], 0), both, atol=0.04)


def test_forward_mode_through_plain_kernels_is_the_gradient_of_the_fast_ones(both):
  theta, images, compiled = both
  z, rng = random_z(3), np.random.default_rng(5)
  direction = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), theta)
  net = SuperNet(3, layers=3, channels=2, kernels='plain')
  weights = jnp.asarray(np.random.default_rng(1).normal(size=(3, 3)))
  f = lambda theta: jnp.sum(weights * net.apply(theta, z, images))
  value, tangent = jax.jit(lambda theta, v: jax.jvp(f, (theta,), (v,)))(theta, direction)
  expected, (gradient, _, _) = compiled[False](theta, z, images)
  np.testing.assert_allclose(value, expected, rtol=1e-10)
  along = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction)))
  np.testing.assert_allclose(tangent, along, rtol=1e-8)


@pytest.mark.parametrize('cell', [cells.dense_cell, cells.single_path_cell])
def test_hessian_products_through_the_fast_kernels_are_the_plain_ones(x64, cell):
  """Forward over reverse, of weights and architecture: what second-order and amended steps need."""
  primitives, rng, z = ('avg_pool_3x3', 'dil_conv_3x3'), np.random.default_rng(0), random_z(5, 2)
  normal = lambda shape: jnp.asarray(rng.normal(size=shape))
  w = {n: normal(shape) for n, (shape, _, _) in cells.weight_shapes(primitives, 2, True).items()}
  v = {n: normal(a.shape) for n, a in w.items()}
  s0, s1, g = normal((2, 6, 6, 2)), normal((2, 6, 6, 2)), normal((2, 3, 3, 8))
  def products(kernels):
    def loss(w, A):
      out = cell(s0, s1, w, A, z['B'][1], primitives=primitives, reduction=True, kernels=kernels)
      return jnp.sum(g * jnp.sin(out))
    h = curvature.hessian_vector(lambda w: loss(w, z['A'][1]), w, v)
    return h, curvature.mixed_product(loss, w, z['A'][1], v)
  expected = jax.jit(lambda: products('plain'))()
  jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-8), jax.jit(lambda: products('fast'))(), expected)
  assert all(np.abs(leaf).max() > 1e-3 for leaf in jax.tree.leaves(expected))


@pytest.mark.parametrize('dense', [False, True])
def test_bfloat16_is_float32_to_its_rounding(dense):
  """Logits within 3 % of their largest, gradients at a cosine above 0.97; parameters and gradients stay float32.

  Rounding images and parameters alone to bfloat16 costs half of that (0.990 against 0.980). Where max_pool is among the
  operations both cost more (0.966 and 0.917), as rounding moves maxima: that is the type's doing, and not tested.
  """
  images = jnp.asarray(np.random.default_rng(0).normal(size=(16, 8, 8, 3)), jnp.float32)
  primitives = ('avg_pool_3x3', 'sep_conv_3x3')
  z = jax.tree.map(lambda a: a.astype(jnp.float32), random_z(2, 2))
  def run(dtype):
    net = SuperNet(3, layers=3, channels=8, primitives=primitives, dense=dense, dtype=dtype)
    theta = jax.jit(net.init)(jax.random.key(0), z, images)['params']
    def loss(theta, z):
      logits = net.apply({'params': theta}, z, images)
      return jnp.mean(jax.nn.logsumexp(logits, -1) - logits[:, 0]), logits
    return jax.jit(jax.grad(loss, (0, 1), has_aux=True))(theta, z)
  (full, logits), (half, rounded) = run('float32'), run('bfloat16')
  assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves((half, rounded)))
  assert np.abs(rounded - logits).max() < 0.03 * np.abs(logits).max() and np.any(rounded != logits)
  for a, b in zip(full, half, strict=True):
    assert trees.dot(a, b) / (trees.norm(a) * trees.norm(b)) > 0.97
