"""Every fast kernel against its plain twin, and the plain ones against XLA's own convolution and pooling."""

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.nets import devices
from daas_jax.nets import kernels as k


def _image(h, w, c, seed=0):
  return jnp.asarray(np.random.default_rng(seed).normal(size=(2, h, w, c)))


def _same(fast, plain, *args):
  """Values and gradients of two functions, weighted by one random cotangent."""
  out_f, pull_f = jax.vjp(fast, *args)
  out_p, pull_p = jax.vjp(plain, *args)
  g = jnp.asarray(np.random.default_rng(1).normal(size=out_p.shape))
  np.testing.assert_allclose(out_f, out_p, atol=1e-12)
  for a, b in zip(pull_f(g), pull_p(g), strict=True):
    np.testing.assert_allclose(a, b, atol=1e-10)


@pytest.mark.parametrize('size', [8, 7])
@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('k_size,dilation', [(3, 1), (5, 1), (3, 2), (5, 2)])
def test_depthwise(x64, size, stride, k_size, dilation):
  x = _image(size, size + 1, 3)
  w = jnp.asarray(np.random.default_rng(2).normal(size=(k_size, k_size, 3)))
  _same(lambda x, w: k.depthwise(x, w, stride, dilation), lambda x, w: k.depthwise_plain(x, w, stride, dilation), x, w)
  pad = dilation * (k_size // 2)
  reference = lax.conv_general_dilated(
      x, w[:, :, None], (stride, stride), ((pad, pad), (pad, pad)), rhs_dilation=(dilation, dilation),
      dimension_numbers=('NHWC', 'HWIO', 'NHWC'), feature_group_count=3)
  np.testing.assert_allclose(k.depthwise_plain(x, w, stride, dilation), reference, atol=1e-10)


@pytest.mark.parametrize('size', [8, 7])
@pytest.mark.parametrize('stride', [1, 2])
def test_pools(x64, size, stride):
  x = _image(size, size + 1, 3)
  _same(lambda x: k.max_pool(x, stride), lambda x: k.max_pool_plain(x, stride), x)
  _same(lambda x: k.avg_pool(x, stride), lambda x: k.avg_pool_plain(x, stride), x)
  pad = ((1, 1), (1, 1))
  np.testing.assert_allclose(k.max_pool_plain(x, stride), nn.max_pool(x, (3, 3), (stride, stride), pad))
  reference = nn.avg_pool(x, (3, 3), (stride, stride), pad, count_include_pad=False)
  np.testing.assert_allclose(k.avg_pool_plain(x, stride), reference, atol=1e-12)


def test_max_pool_gradient_goes_to_the_first_of_equal_maxima():
  gradient = jax.grad(lambda x: k.max_pool(x)[0, 1, 1, 0])(jnp.ones((1, 3, 3, 1)))
  expected = np.zeros((1, 3, 3, 1))
  expected[0, 0, 0, 0] = 1
  np.testing.assert_array_equal(gradient, expected)


def test_batch_norm(x64):
  x = 3 + 2 * _image(6, 5, 4)
  _same(k.batch_norm, k.batch_norm_plain, x)
  y = np.asarray(k.batch_norm(x))
  np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=1e-12)
  np.testing.assert_allclose(y.std((0, 1, 2)), 1, atol=1e-4)


@pytest.mark.parametrize('size', [8, 7])
@pytest.mark.parametrize('stride', [1, 2])
def test_conv3x3(x64, size, stride):
  x, w = _image(size, size, 3), jnp.asarray(np.random.default_rng(3).normal(size=(3, 3, 3, 5)))
  reference = lax.conv_general_dilated(x, w, (stride, stride), ((1, 1), (1, 1)),
                                       dimension_numbers=('NHWC', 'HWIO', 'NHWC'))
  np.testing.assert_allclose(k.conv3x3(x, w, stride), reference, atol=1e-10)


@pytest.mark.parametrize('size,halved', [(8, 4), (7, 4)])
def test_factorized_reduce(x64, size, halved):
  x, w = _image(size, size, 4), jnp.asarray(np.random.default_rng(4).normal(size=(2, 4, 3)))
  y = k.factorized_reduce(x, w)
  assert y.shape == (2, halved, halved, 6)
  positive = np.maximum(np.asarray(x), 0)
  np.testing.assert_allclose(y[0, 1, 1, :3], positive[0, 2, 2] @ np.asarray(w[0]), atol=1e-12)
  np.testing.assert_allclose(y[0, 1, 1, 3:], positive[0, 3, 3] @ np.asarray(w[1]), atol=1e-12)


@pytest.mark.parametrize('name', ['fast', 'xla'])
def test_every_kernel_of_a_set_is_the_plain_one(x64, name):
  """Each kernel of each set, so that a new one cannot be left untested."""
  rng = np.random.default_rng(4)
  array = lambda *shape: jnp.asarray(rng.normal(size=shape))
  x, weights = _image(10, 9, 4), {'depthwise': array(5, 5, 4), 'conv': array(3, 3, 4, 6), 'pointwise': array(4, 6)}
  for kernel, fast in k.KERNELS[name]._asdict().items():
    if kernel not in ('draw', 'moments'):  # which have no gradient of their own, and are every set's
      _same(fast, getattr(k.KERNELS['plain'], kernel), x, *([weights[kernel]] if kernel in weights else []))
  for kernel in ('draw', 'moments'):
    assert getattr(k.KERNELS[name], kernel) is getattr(k.KERNELS['plain'], kernel)


def test_moments_are_those_that_a_batch_is_normalised_by(x64):
  x = 3 + 2 * _image(6, 5, 4)
  mean, variance = k.KERNELS['fast'].moments(x)
  np.testing.assert_allclose(mean, np.asarray(x).mean((0, 1, 2)), rtol=1e-12)
  np.testing.assert_allclose((x - mean) / np.sqrt(np.asarray(variance) + 1e-5), k.batch_norm(x), atol=1e-12)
  half = k.KERNELS['fast'].moments(x.astype(jnp.bfloat16))
  assert {m.dtype for m in half} == {jnp.dtype(jnp.float32)}  # sums over pixels


def _on_one_device(kernel):
  """The kernel under the name of the axis that a shared set takes its moments over."""
  mapped = jax.vmap(kernel, axis_name=devices.AXIS)
  return lambda *arguments: mapped(*(a[None] for a in arguments))[0]


def test_the_sets_for_going_forward_have_no_backward_pass_of_their_own(x64):
  """Each can be differentiated in forward mode, and gives the values of the set that it stands for."""
  x, w = _image(6, 6, 3), jnp.asarray(np.random.default_rng(5).normal(size=(3, 3, 3)))
  for name, forward in k.FORWARD.items():
    for kernel in ('depthwise', 'max_pool', 'avg_pool', 'batch_norm'):
      arguments = (x, w) if kernel == 'depthwise' else (x,)
      out, _ = jax.jvp(_on_one_device(getattr(k.KERNELS[forward], kernel)), arguments, arguments)
      np.testing.assert_allclose(out, _on_one_device(getattr(k.KERNELS[name], kernel))(*arguments), atol=1e-12)


def test_sums_over_pixels_are_float32_where_the_images_are_bfloat16():
  x = jnp.full((4, 32, 32, 2), 1.01, jnp.bfloat16)  # 4096 of them summed in bfloat16 would stop growing at 256
  g = jax.grad(lambda w: jnp.sum(k.depthwise(x, w)))(jnp.ones((1, 1, 2), jnp.bfloat16))
  np.testing.assert_allclose(np.asarray(g, np.float32), 4096 * float(x[0, 0, 0, 0]), rtol=5e-3)
  g = jax.grad(lambda w: jnp.sum(k.pointwise(x, w)))(jnp.ones((2, 3), jnp.bfloat16))
  np.testing.assert_allclose(np.asarray(g, np.float32), 4096 * float(x[0, 0, 0, 0]), rtol=5e-3)


def test_auto_is_the_set_of_the_backend_and_a_name_is_itself():
  assert k.choose() == k.BY_BACKEND[jax.default_backend()] and k.choose('plain') == 'plain'
