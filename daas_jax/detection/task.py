"""Detection as a task of DDAS: a `Problem` whose images are pixels and their boxes.

The method (`daas_jax.methods.ddas`) knows nothing of it: it asks for a loss over a batch. The images of a `Batch` are
here {'images': uint8 [B, H, W, C], 'boxes': float [B, N, 4]}, its labels int32 [B, N]; `accuracy` is the mean IoU of
the boxes at positive cells.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import apply, preprocess
from daas_jax.detection import average_precision, detector
from daas_jax.policies import total
from daas_jax.types import Batch, Problem


class Config(NamedTuple):
  """A detection search.

  Attributes:
    candidates: names as `total.parse` takes them; () for DDAS's published 52.
    K: candidates in sequence.
    p_tp: total probability at the start.
    flip: whether half of the training images are mirrored, with their boxes, before the policy.
    channels, blocks: of the `detector.Detector`.
  """
  candidates: tuple[str, ...] = ()
  K: int = 2
  p_tp: float = 0.35
  flip: bool = True
  channels: int = 32
  blocks: int = 4


def network(config, data):
  """The `detector.Detector` of a search over a `scenes.DetectionSet`."""
  return detector.Detector(len(data.class_names), config.channels, config.blocks)


def policy_space(config):
  """The `total.Space` of a search.

  Raises:
    BadInput: a candidate that cannot be.
  """
  return total.Space(total.parse(config.candidates) or total.published(), config.K)


def problem(config, data):
  """Builds the `Problem` of a detection search for DDAS.

  Args:
    config: `Config`.
    data: a `scenes.DetectionSet`, of which only shapes, class names, mean and std are used.

  Returns:
    A `daas_jax.types.Problem`.
  """
  net, space = network(config, data), policy_space(config)
  shape = data.train.images.shape[1:]

  def loss(theta, z, images, labels, key):
    del z, key
    return detector.loss(net.apply({'params': theta}, images['images']), images['boxes'], labels)

  def train_input(inputs, policy, key):
    key_flip, key_policy = jax.random.split(key)
    images, boxes = preprocess.to_float(inputs['images']), inputs['boxes']
    if config.flip:
      images, boxes = _flip(images, boxes, key_flip)
    o, strength = space.operations(policy.phi)
    images, boxes = apply.apply_policy(images, o, jnp.broadcast_to(policy.y, o.shape), strength, key_policy,
                                       ops=space.ops, per='batch', boxes=boxes)
    return {'images': preprocess.normalise(images, data.mean, data.std), 'boxes': boxes}

  return Problem(
      init_theta=lambda key: net.init(key, jnp.zeros((1, *shape)))['params'],
      init_arch=lambda key: {},
      sample_arch=lambda key, arch, tau: {},
      loss=loss,
      init_gamma=functools.partial(total.init, space=space, p_tp=config.p_tp),
      sample_policy=lambda key, gamma: total.sample(key, space),
      log_prob=total.log_prob,
      identity=lambda policy: policy._replace(y=jnp.zeros_like(policy.y)),
      train_input=train_input,
      val_input=functools.partial(_val_input, data=data),
      total_probability=total.total_probability)


def _flip(images, boxes, key):
  """Mirrors each image and its boxes left to right with probability 1/2."""
  y = jax.random.bernoulli(key, shape=(len(images), 1))
  zero = jnp.zeros(1, jnp.int32)
  return apply.apply_policy(images, zero, y, jnp.zeros(1), key, ops=('HorizontalFlip',), per='image', boxes=boxes)


def _val_input(inputs, data):
  images = preprocess.normalise(preprocess.to_float(inputs['images']), data.mean, data.std)
  return {'images': images, 'boxes': inputs['boxes']}


def batch(train, train_rows, val, val_rows):
  """The `Batch` of these rows of two `scenes.Scenes`."""
  inputs = lambda scenes, rows: {'images': jnp.asarray(scenes.images[rows]), 'boxes': jnp.asarray(scenes.boxes[rows])}
  return Batch(inputs(train, train_rows), jnp.asarray(train.labels[train_rows]),
               inputs(val, val_rows), jnp.asarray(val.labels[val_rows]))


def evaluate(config, data, theta, scenes, size=100):
  """Average precision of a detector on scenes: an `average_precision.AveragePrecision`.

  Args:
    config, data: as for `problem`.
    theta: weights.
    scenes: `scenes.Scenes`.
    size: images at a time; the last batch may be smaller, which compiles once more.
  """
  detect = functools.partial(_detect, theta, net=network(config, data), mean=data.mean, std=data.std)
  parts = [jax.device_get(detect(scenes.images[i:i + size])) for i in range(0, len(scenes.images), size)]
  found = tuple(np.concatenate(column) for column in zip(*parts))
  return average_precision.evaluate(found, scenes.boxes, scenes.labels, len(data.class_names))


@functools.partial(jax.jit, static_argnames=('net', 'mean', 'std'))
def _detect(theta, images, net, mean, std):
  images = preprocess.normalise(preprocess.to_float(images), mean, std)
  return detector.decode(net.apply({'params': theta}, images))
