"""Detection as a task of DDAS: a `Problem` whose images are pixels and their boxes.

The method (`daas_jax.methods.ddas`) knows nothing of it: it asks for a loss over a batch. The
images of a `Batch` are here {'images': uint8 [B, H, W, C], 'boxes': float [B, N, 4]}, its labels
int32 [B, N]; the score beside a loss (train_iou, val_iou) is the mean IoU of the boxes at positive
places.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import apply, preprocess
from daas_jax.detection import average_precision
from daas_jax.nets import devices
from daas_jax.policies import total
from daas_jax.types import Problem


def problem(net, space, data, p_tp=0.35, flip=True, split=False, saw=None):
  """Builds the `Problem` of a detection search for DDAS.

  Args:
    net: a `networks.Network`.
    space: a `total.Space`.
    data: a `sets.DetectionSet`, of which only shapes, mean and std are used.
    p_tp: total probability at the start.
    flip: whether half of the training images are mirrored, with their boxes, before the policy.
    split, saw: as `daas_jax.methods.problem.build` takes them.

  Returns:
    A `daas_jax.types.Problem`.
  """
  shape = data.train.images.shape[1:]

  def outputs(theta, images):
    return net.module.apply({'params': devices.watched(theta, saw) if saw else theta}, images)

  outputs = devices.split(outputs) if split else outputs

  def loss(theta, z, images, labels, key):
    del z, key
    return net.loss(outputs(theta, images['images']), images['boxes'], labels)

  def train_input(inputs, policy, key):
    key_flip, key_policy = jax.random.split(key)
    images, boxes = preprocess.to_float(inputs['images']), inputs['boxes']
    if flip:
      images, boxes = _flip(images, boxes, key_flip)
    images, boxes = total.augment(images, policy, key_policy, space, boxes)
    return {'images': preprocess.normalise(images, data.mean, data.std), 'boxes': boxes}

  return Problem(
      init_theta=lambda key: net.module.init(key, jnp.zeros((1, *shape)))['params'],
      loss=loss,
      train_input=train_input,
      val_input=functools.partial(_val_input, data=data),
      policies=total.policies(space, p_tp))


def _flip(images, boxes, key):
  """Mirrors each image and its boxes left to right with probability 1/2."""
  y = jax.random.bernoulli(key, shape=(len(images), 1))
  zero = jnp.zeros(1, jnp.int32)
  return apply.apply_policy(images, zero, y, jnp.zeros(1), key, ops=('HorizontalFlip',),
                            per='image', boxes=boxes)


def _val_input(inputs, data):
  images = preprocess.normalise(preprocess.to_float(inputs['images']), data.mean, data.std)
  return {'images': images, 'boxes': inputs['boxes']}


def evaluate(net, data, theta, scenes, size=100):
  """Average precision of a detector on scenes: an `average_precision.AveragePrecision`.

  Args:
    net, data: as for `problem`.
    theta: weights.
    scenes: `sets.Scenes`.
    size: images at a time.
  """
  detect = functools.partial(_detect, theta, net=net, mean=data.mean, std=data.std)
  n = len(scenes.images)
  # the last one filled up
  rows = [np.minimum(np.arange(start, start + size), n - 1) for start in range(0, n, size)]
  parts = [jax.device_get(detect(scenes.images[r])) for r in rows]
  found = tuple(np.concatenate(column)[:n] for column in zip(*parts))
  return average_precision.evaluate(found, scenes.boxes, scenes.labels, len(data.class_names))


@functools.partial(jax.jit, static_argnames=('net', 'mean', 'std'))
def _detect(theta, images, net, mean, std):
  outputs = net.module.apply({'params': theta},
                             preprocess.normalise(preprocess.to_float(images), mean, std))
  return net.decode(outputs, *images.shape[1:3])
