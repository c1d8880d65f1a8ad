"""A small set that can be learnt, and small networks of a user's own."""

from flax import nnx
import flax.linen as nn
import jax.numpy as jnp
import numpy as np


def images(n, side=8, classes=2, seed=0):
  """(uint8 [n, side, side, 1], labels): class i has its i-th half bright."""
  rng = np.random.default_rng(seed)
  labels = np.arange(n) % classes
  out = rng.integers(0, 90, (n, side, side, 1), np.uint8)
  for i, label in enumerate(labels):
    part = side // classes
    out[i, label * part:(label + 1) * part] += 120
  return out, labels


class Net(nn.Module):
  """With batch normalisation and dropout."""
  num_classes: int = 2

  @nn.compact
  def __call__(self, images, train):
    x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(nn.Conv(4, (3, 3), 2)(images)))
    x = nn.Dropout(0.1, deterministic=not train)(x.reshape(len(x), -1))
    return nn.Dense(self.num_classes)(x)


class NnxNet(nnx.Module):
  """The same layers as `Net`."""

  def __init__(self, rngs):
    self.conv = nnx.Conv(1, 4, (3, 3), 2, rngs=rngs)
    self.norm = nnx.BatchNorm(4, rngs=rngs, momentum=0.9)
    self.drop = nnx.Dropout(0.1, rngs=rngs)
    self.heads = nnx.List([nnx.Linear(64, 2, rngs=rngs)])

  def __call__(self, images):
    x = nnx.relu(self.norm(self.conv(images)))
    return self.heads[0](self.drop(x.reshape(len(x), -1)))


class Impure(nn.Module):
  """Keeps a number in Python."""
  num_classes: int = 2

  @nn.compact
  def __call__(self, images):
    return nn.Dense(self.num_classes)(images.reshape(len(images), -1)) + next(_COUNT)


_COUNT = iter(range(10**6))


class Segment(nn.Module):
  """A number a pixel and class."""

  @nn.compact
  def __call__(self, images):
    return nn.Conv(2, (3, 3))(nn.relu(nn.Conv(4, (3, 3))(images)))


class Bad(nn.Module):
  """Cannot be applied to images."""

  @nn.compact
  def __call__(self, images):
    return jnp.dot(images, jnp.zeros((3, 5)))


class Pair(nn.Module):
  """Two outputs."""

  @nn.compact
  def __call__(self, images):
    x = images.reshape(len(images), -1)
    return nn.Dense(2)(x), nn.Dense(2)(x)


class Relu(nn.Module):
  """One of two networks that have the same weights."""

  @nn.compact
  def __call__(self, images):
    return nn.relu(nn.Dense(2)(images.reshape(len(images), -1)))


class Tanh(nn.Module):
  """The other one."""

  @nn.compact
  def __call__(self, images):
    return nn.tanh(nn.Dense(2)(images.reshape(len(images), -1)))


class SizedNnx(nnx.Module):
  """As most nnx modules are made."""

  def __init__(self, num_classes, *, rngs):
    self.head = nnx.Linear(64, num_classes, rngs=rngs)

  def __call__(self, images):
    return self.head(images.reshape(len(images), -1))
