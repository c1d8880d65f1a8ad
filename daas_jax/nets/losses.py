"""Losses and accuracy of logits."""

import jax
import jax.numpy as jnp
import optax


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
  return jnp.mean((jnp.argmax(logits, -1) == labels).astype(jnp.float32))
