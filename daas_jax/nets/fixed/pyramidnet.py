"""PyramidNet with ShakeDrop (Han et al. 2017; Yamada et al. 2019;
github.com/dyhan0920/PyramidNet-PyTorch)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from daas_jax.nets import kernels as k
from daas_jax.nets.fixed import family
from daas_jax.nets.fixed.residual import Block, conv_block, norm_relu_block, ResidualNet, shake

LAST_KEPT = 0.5  # p_L: probability that the last block is kept as it is
_EXPANSION = 4  # of a bottleneck


def widths(blocks: int, alpha: float) -> list[int]:
  """Channels of each bottleneck, which grow by alpha / blocks from 16 to 16 + alpha (Han et al.,
  Eq. 3).

  Rounded as in the published code, whose sum of floats this repeats: its numbers of weights rest on
  it.
  """
  out, channels = [], 16.0
  for _ in range(blocks):
    channels += alpha / blocks
    out.append(round(channels))
  return out


def kept(blocks: int) -> jax.Array:
  """Probability of each block to be kept, [blocks]: linear from 1 to `LAST_KEPT` (Yamada et al.,
  Eq. 5)."""
  return 1 - (1 - LAST_KEPT) * jnp.arange(1, blocks + 1).astype(jnp.float32) / blocks


def shake_factors(key: jax.Array, blocks: int, batch: int) -> jax.Array:
  """Factors of ShakeDrop in training (Yamada et al., Eq. 6): b + a - b * a.

  b is 1 where a block is kept, one draw for the batch; a is uniform in [-1, 1] forward and in [0,
  1] backward, one draw an image.

  Args:
    key: consumed.
    blocks, batch: numbers.

  Returns:
    [blocks, 2, batch]: forward and backward.
  """
  key_b, key_a = jax.random.split(key)
  b = jax.random.uniform(key_b, (blocks, 1, 1)) < kept(blocks)[:, None, None]
  a = jax.random.uniform(key_a, (blocks, 2, batch))
  return jnp.where(b, 1.0, a * jnp.array([[[2.0], [1.0]]]) - jnp.array([[[1.0], [0.0]]]))


def _block(c_in, channels, stride):
  """BN-1x1-BN-ReLU-3x3-BN-ReLU-1x1-BN, shaken, plus the input (pooled), with zeros for the channels
  it has not."""
  c_out = _EXPANSION * channels

  def apply(x, conv, norm, noise):
    y = norm('bn2', conv('conv1', norm('bn1', x)))
    y = norm('bn3', conv('conv2', jax.nn.relu(y), stride))
    y = shake(norm('bn4', conv('conv3', jax.nn.relu(y))), *noise)
    if stride == 2:  # a last row or column without a pair is its own mean
      x = nn.avg_pool(x, (2, 2), (2, 2), 'SAME', count_include_pad=False)
    return y + jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, c_out - c_in)))

  shapes = {
      'conv1': (c_in, channels),
      'conv2': (3, 3, channels, channels),
      'conv3': (channels, c_out)
  }
  return Block(shapes, {'bn1': c_in, 'bn2': channels, 'bn3': channels, 'bn4': c_out}, apply)


class PyramidNet(ResidualNet):
  """PyramidNet-depth with alpha = `width`: three stages of (depth - 2) / 9 bottlenecks, ever wider,
  with ShakeDrop.

  No two blocks are equal, so all are compiled. Call and variables: `ResidualNet`.
  """
  takes_noise = True

  @nn.compact
  def __call__(self, images: jax.Array, train: bool,
               drop_path: Any = 0.0) -> tuple[jax.Array, None]:
    del drop_path
    count = (self.depth - 2) // 9
    blocks = 3 * count
    if train:
      factors = k.KERNELS[self.kernels].draw(
          lambda key, shape: shake_factors(key, blocks, shape[-1]), self.make_rng('drop_path'),
          (blocks, 2, len(images)), -1)
    else:
      factors = jnp.stack([kept(blocks)] * 2, 1)
    x = self._blocks('stem', conv_block(images.shape[-1], 16), images, train)
    for i, channels in enumerate(widths(blocks, self.width)):
      block = _block(x.shape[-1], channels, 2 if i in (count, 2 * count) else 1)
      x = self._blocks(f'block{i}', block, x, train, factors[i])
    return self._classify(self._blocks('final', norm_relu_block(x.shape[-1]), x, train)), None


family.register('pyramidnet_272', family.Fixed(PyramidNet, 272, 200, 2, 9),
                'PyramidNet, alpha 200, with ShakeDrop')
