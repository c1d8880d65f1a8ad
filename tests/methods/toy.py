"""A problem of [B, 4] images whose policies are multipliers, small enough to enumerate; with or without moments."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax.policies import categorical
from daas_jax.types import Architectures, Batch, Problem

SPACE = categorical.Space(('Rotate', 'Invert'), K=1, levels=2, share='slot')
SGD = {name: optax.sgd(1.0) for name in ('theta', 'arch', 'gamma')}  # an update is minus the gradient


def images_of(images, policies, key):
  """Each image times a number of its own policy's, or of the one for all; [B, 4]."""
  o = getattr(policies, 'o', getattr(policies, 'phi', None))
  m = getattr(policies, 'm', jnp.zeros_like(o))
  rows = len(images) if len(policies.y) == len(images) else 1
  factor = jnp.sum(policies.y.reshape(rows, -1) * (1.0 + o + 0.3 * m), -1)
  return images * (1 + 0.2 * factor[:, None]) + 0.01 * jax.random.normal(key, images.shape)


def image_losses(theta, z, images, labels, key, first=False, forward_mode=False):
  """`first`: centred by the mean of the first half's, as batch normalisation would."""
  del z, key, forward_mode
  centre = jnp.mean(images[: len(images) // 2] if first else images, 0)
  logits = jnp.tanh((images - centre) @ theta['v']) @ theta['w']
  hits = (jnp.argmax(logits, -1) == labels).astype(logits.dtype)
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels), hits


def problem_of(policies):
  def loss(*args):
    return tuple(map(jnp.mean, image_losses(*args)))
  return Problem(
      init_theta=lambda key: {'v': jax.random.normal(key, (4, 5)), 'w': jax.random.normal(key, (5, 3))},
      arch=Architectures(), loss=loss, image_losses=image_losses, policies=policies, train_input=images_of,
      val_input=lambda images: images)


def batch_of(n=6):
  """float64 images and labels, n of each half; to be called where x64 is on."""
  rng = np.random.default_rng(0)
  rows = lambda: (jnp.asarray(rng.normal(size=(n, 4))), jnp.asarray(rng.integers(0, 3, n)))
  return Batch(*rows(), *rows())


@pytest.fixture
def batch():
  with jax.enable_x64(True):
    yield batch_of()
