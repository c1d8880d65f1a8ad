"""A network on images whose classes are known: its loss and its accuracy."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from daas_jax.augment import preprocess
from daas_jax.data import streaming


def _hits(logits, labels):
  return (jnp.argmax(logits, -1) == labels).astype(jnp.float32)


def of(net: Any, data: Any, batch: int = 256,
       each: Callable = optax.softmax_cross_entropy_with_integer_labels,
       score: Callable = _hits) -> Callable:
  """(variables, images uint8 [n, H, W, C], labels [n]) -> (mean loss, accuracy) over every image
  exactly once.

  Args:
    net: a network of a training.
    data: has `mean` and `std`, of the normalisation.
    batch: images at once.
    each, score: (outputs [B, ...], labels [B]) -> the loss, and the accuracy, of each image [B].
  """
  @jax.jit
  def sums(variables, images, labels, mask):
    images = preprocess.normalise(preprocess.to_float(images), data.mean, data.std)
    logits, _ = net.apply(variables, images, False)
    return jnp.sum(each(logits, labels) * mask), jnp.sum(score(logits, labels) * mask)

  def evaluate(variables, images, labels):
    parts = [
        sums(variables, *b)
        for b in streaming.evaluation_batches(images, labels, min(batch, len(labels)))
    ]
    loss, right = (sum(float(p[i]) for p in parts) for i in range(2))
    return loss / len(labels), right / len(labels)

  return evaluate
