"""Losses and accuracy of logits, and what a user's own loss is in their place."""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from daas_jax.errors import BadInput


def cross_entropy(logits: jax.Array, labels: jax.Array, smoothing: float = 0.0) -> jax.Array:
  """Mean cross-entropy of logits [B, n] and labels int [B], labels smoothed by `smoothing` in [0,
  1): []."""
  targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype),
                                smoothing)
  return jnp.mean(optax.softmax_cross_entropy(logits, targets))


def cross_entropies(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Cross-entropy of each image, of logits [B, n] and labels int [B]: [B]."""
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def accuracy(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """Share of images whose largest logit is their label's: []."""
  return jnp.mean(hits(logits, labels))


def hits(logits: jax.Array, labels: jax.Array) -> jax.Array:
  """1.0 where the largest logit is the label's, else 0.0: of logits [..., n] and labels int
  [...]."""
  return (jnp.argmax(logits, -1) == labels).astype(jnp.float32)


class Criterion(NamedTuple):
  """What a network's outputs are held against labels by.

  Attributes:
    mean: (outputs [B, ...], labels [B, ...]) -> loss of the batch [].
    each: the same -> loss of each image [B].
    score: the same -> of each image [B], the share of its labels that are hit, in [0, 1]; 0 where
      outputs and labels are not such that one can be counted.
    classes: whether labels are classes, and outputs their logits.
  """
  mean: Callable
  each: Callable
  score: Callable = hits
  classes: bool = True


CROSS_ENTROPY = Criterion(cross_entropy, cross_entropies)


def own(loss: Callable) -> Criterion:
  """The `Criterion` of a user's loss.

  Args:
    loss: (outputs [B, ...], labels [B, ...]) -> the loss of the batch [], or of each image [B], of
      which the mean is taken then. Pure, and differentiable in the outputs.

  Returns:
    `Criterion`: the loss of each image is that of a batch of it alone. The score is the share of an
    image's labels that its outputs' largest numbers hit, where outputs are [B, ..., n] to integer
    labels [B, ...], such as a mask's.
  """
  def mean(outputs: Any, labels: Any) -> jax.Array:
    return jnp.mean(_numbers(loss(outputs, labels)))

  def one(output, label):
    return mean(*jax.tree.map(lambda x: x[None], (output, label)))

  return Criterion(mean, jax.vmap(one), _score, classes=False)


def _numbers(found):
  found = jnp.asarray(found)
  if found.ndim > 1 or not jnp.issubdtype(found.dtype, jnp.floating):
    raise BadInput(f'the loss gives {found.dtype} of shape {list(found.shape)}; it has to give one '
                   'floating number for the batch, or one for each image')
  return found


def _score(outputs, labels):
  counted = (getattr(outputs, 'shape', (0,))[:-1] == labels.shape
             and jnp.issubdtype(labels.dtype, jnp.integer))
  if not counted:
    return jnp.zeros(len(labels), jnp.float32)
  return functools.reduce(lambda x, _: jnp.mean(x, -1), labels.shape[1:], hits(outputs, labels))
