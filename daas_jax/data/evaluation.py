"""A network on images whose classes are known: its loss, its accuracy, and the top-5 one."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax.augment import preprocess
from daas_jax.data import streaming

TOP_5_CLASSES = 100
"""The top-5 accuracy is measured from so many classes on: of fewer nobody reports it."""


class Measured(NamedTuple):
  """Of a network on some images.

  Attributes:
    loss: mean, of the criterion.
    accuracy: share of the images whose likeliest class is theirs, in [0, 1].
    top_5: share of those whose class is among the five likeliest; None of fewer than
      `TOP_5_CLASSES` classes, or where there are none.
  """
  loss: float
  accuracy: float
  top_5: float | None

  def named(self, what: str) -> dict[str, float]:
    """{'WHAT_loss', 'WHAT_accuracy', 'WHAT_top5_accuracy' where it is measured}."""
    top_5 = {} if self.top_5 is None else {f'{what}_top5_accuracy': self.top_5}
    return {f'{what}_loss': self.loss, f'{what}_accuracy': self.accuracy} | top_5


def of(net: Any, data: Any, criterion: Any, batch: int = 256) -> Callable:
  """(variables, images uint8 [n, H, W, C], labels [n]) -> `Measured` over every image exactly once.

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
    each = [criterion.each(logits, labels), criterion.score(logits, labels)]
    if criterion.classes and logits.shape[-1] >= TOP_5_CLASSES:
      each.append(jnp.any(jax.lax.top_k(logits, 5)[1] == labels[:, None], -1))
    return [jnp.sum(x * mask) for x in each]

  def evaluate(variables, images, labels):
    parts = [
        sums(variables, data.mean, data.std, *b)
        for b in streaming.evaluation_batches(images, labels, min(batch, len(labels)))
    ]
    loss, right, *top_5 = (sum(map(float, column)) / len(labels) for column in zip(*parts))
    return Measured(loss, right, *top_5 or [None])

  return evaluate
