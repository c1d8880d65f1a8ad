"""WGAN-GP with linear and quadratic critics, whose penalties and derivatives are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.estimators import wgan

SHAPE = (5, 4, 3, 2)  # B, H, W, C
WEIGHT = 7.0


@pytest.fixture(autouse=True)
def float64(x64):
  del x64


def _draw(seed, *shape):
  return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def _linear(w, x):
  return jnp.einsum('bhwc,hwc->b', x, w) + 3.0


def _quadratic(a, x):
  return a / 2 * jnp.sum(x**2, (1, 2, 3))


def _norms(x):
  """Of each image, by hand."""
  return np.array([np.sqrt(np.sum(image**2)) for image in np.asarray(x)])


def _check(penalty):
  """(critic, x_hat, weight) -> [] is the gradient penalty, with its derivatives in the critic."""
  eps = jnp.asarray(np.random.default_rng(1).uniform(size=SHAPE[0]))
  x_hat = wgan.interpolate(eps, _draw(2, *SHAPE), _draw(3, *SHAPE))

  w = _draw(4, *SHAPE[1:])
  value, slope = jax.value_and_grad(lambda w: penalty(lambda x: _linear(w, x), x_hat, WEIGHT))(w)
  norm = np.sqrt(np.sum(np.asarray(w)**2))
  np.testing.assert_allclose(value, WEIGHT * (norm - 1)**2, rtol=1e-12)
  np.testing.assert_allclose(slope, 2 * WEIGHT * (norm - 1) * w / norm, rtol=1e-12)

  a, norms = 0.3, _norms(x_hat)
  value, slope = jax.value_and_grad(lambda a: penalty(lambda x: _quadratic(a, x), x_hat, WEIGHT))(a)
  np.testing.assert_allclose(value, WEIGHT * np.mean((a * norms - 1)**2), rtol=1e-12)
  np.testing.assert_allclose(slope, WEIGHT * np.mean(2 * (a * norms - 1) * norms), rtol=1e-12)


def test_gradient_penalty():
  _check(wgan.gradient_penalty)


def _planted(axes):
  """The penalty with a norm over some of an image's axes."""
  def penalty(critic, x_hat, weight):
    g = jax.grad(lambda x: jnp.sum(critic(x)))(x_hat)
    return weight * jnp.mean((jnp.sqrt(jnp.sum(g**2, axes)) - 1)**2)
  return penalty


@pytest.mark.parametrize('axes', [3, 1, (1, 2), (0, 1, 2, 3)])
def test_a_norm_over_other_axes_is_caught(axes):
  with pytest.raises(AssertionError):
    _check(_planted(axes))
  _check(_planted((1, 2, 3)))


def test_a_critic_of_norm_one_pays_nothing_and_a_constant_one_the_weight():
  w = _draw(5, *SHAPE[1:])
  unit = w / jnp.sqrt(jnp.sum(w**2))
  assert abs(wgan.gradient_penalty(lambda x: _linear(unit, x), _draw(6, *SHAPE))) < 1e-28
  value, slope = jax.value_and_grad(
      lambda w: wgan.gradient_penalty(lambda x: _linear(w, x), _draw(6, *SHAPE)))(jnp.zeros(SHAPE[1:]))
  assert value == 10
  np.testing.assert_array_equal(slope, np.zeros(SHAPE[1:]))  # not NaN


def test_interpolation_has_one_eps_an_image():
  real, fake = jnp.ones(SHAPE), jnp.zeros(SHAPE)
  eps = jnp.array([0.0, 0.25, 0.5, 0.75, 1.0])
  np.testing.assert_array_equal(wgan.interpolate(eps, real, fake), np.broadcast_to(eps[:, None, None, None], SHAPE))


def test_critic_loss_is_minus_the_distance_of_a_shift():
  """D(x) = sum of x / norm of the shift is a best critic of two sets that are each other's shift."""
  x, shift = _draw(7, *SHAPE), _draw(8, *SHAPE[1:])
  length = np.sqrt(np.sum(np.asarray(shift)**2))
  critic = lambda x: _linear(shift / length, x)
  np.testing.assert_allclose(wgan.critic_loss(critic(x + shift), critic(x)), -length, rtol=1e-12)
