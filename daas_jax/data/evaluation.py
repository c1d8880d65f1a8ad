"""A network on images whose classes are known: its loss and its accuracy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from daas_jax.augment import preprocess
from daas_jax.data import streaming


def of(net: Any, data: Any, criterion: Any, batch: int = 256) -> Callable:
  """(variables, images uint8 [n, H, W, C], labels [n]) -> (mean loss, accuracy) over every image
  exactly once.

  Args:
    net: a network of a training.
    data: has `mean` and `std`, of the normalisation.
    criterion: a `daas_jax.nets.losses.Criterion`: the loss and the score of each image.
    batch: images at once.
  """
  # mean and std are arguments: sets of one shape have one program
  @jax.jit
  def sums(variables, mean, std, images, labels, mask):
    images = preprocess.normalise(preprocess.to_float(images), mean, std)
    logits, _ = net.apply(variables, images, False)
    loss, right = criterion.each(logits, labels), criterion.score(logits, labels)
    return jnp.sum(loss * mask), jnp.sum(right * mask)

  def evaluate(variables, images, labels):
    parts = [
        sums(variables, data.mean, data.std, *b)
        for b in streaming.evaluation_batches(images, labels, min(batch, len(labels)))
    ]
    loss, right = (sum(float(p[i]) for p in parts) for i in range(2))
    return loss / len(labels), right / len(labels)

  return evaluate
