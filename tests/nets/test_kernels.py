"""Every fast kernel against its plain twin, and the plain ones against XLA's own convolution and pooling."""

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import pytest

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
