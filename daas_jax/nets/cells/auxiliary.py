"""The auxiliary classifier of DARTS, which hangs on the second reduction in training
(github.com/quark0/darts)."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax
import jax.numpy as jnp

from daas_jax.arrays import beside


def shapes(channels: int, num_classes: int) -> dict[str, tuple]:
  """Weights of the head on [B, H, W, channels]: {name: (shape, fan_in)}."""
  return {'conv1': ((channels, 128), channels), 'conv2': ((2, 2, 128, 768), 4 * 128),
          'kernel': ((768, num_classes), 768), 'bias': ((num_classes,), 768)}


def normalised(stem: str) -> tuple[int, ...]:
  """Channels of its batch normalisations; DARTS left the second out of its ImageNet network."""
  return (128, 768) if stem == 'cifar' else (128,)


def head(x: jax.Array, w: Any, norms: Sequence[Callable], pointwise: Callable) -> jax.Array:
  """Logits of the head.

  Args:
    x: [B, H, W, C], any H, W >= 1.
    w: arrays of `shapes`.
    norms: batch normalisations x -> x, as many as `normalised` says.
    pointwise: (x, w) -> the 1 x 1 convolution.

  Returns:
    [B, num_classes].
  """
  x = jax.nn.relu(norms[0](pointwise(pool_2x2(jax.nn.relu(x)), w['conv1'])))
  # A 2 x 2 convolution of a 2 x 2 image is one product.
  x = x.reshape(x.shape[0], 1, 1, 4 * x.shape[-1]) @ w['conv2'].reshape(-1, 768)
  for norm in norms[1:]:
    x = norm(x)
  features = jax.nn.relu(x)[:, 0, 0]
  return features @ w['kernel'] + beside(w['bias'], features)


def pool_2x2(x: jax.Array) -> jax.Array:
  """Means over the first and the last rows and columns: [B, H, W, C] -> [B, 2, 2, C], any H, W >=
  1.

  The windows are 5 wide, or the whole side where it is shorter, or half of it where that is more.
  So 8 x 8 is pooled as by DARTS's CIFAR head (5, stride 3) and 7 x 7 as by its ImageNet head (5,
  stride 2); both accept no other size.
  """
  for axis in (1, 2):
    size = x.shape[axis]
    window = min(size, max(5, -(-size // 2)))
    first, last = (
        lax.slice_in_dim(x, start, start + window, axis=axis) for start in (0, size - window))
    x = jnp.concatenate([jnp.mean(first, axis, keepdims=True),
                         jnp.mean(last, axis, keepdims=True)], axis)
  return x
