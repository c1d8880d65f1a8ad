"""ResNet as a backbone (He et al. 2016): C3, C4 and C5, for images of any size.

Convolutions are normalised in groups (Wu and He 2018, arXiv:1803.08494), 32 of them or fewer where
there are less than 128 channels, and not by running averages: a search here has weights alone, and
no image may depend on its batch. The stride of a bottleneck is in its 3 x 3 convolution
(torchvision, "v1.5").
"""

import math

import flax.linen as nn
import jax.numpy as jnp

BLOCKS = {
    10: (1, 1, 1, 1),
    14: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    26: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3)
}
"""{depth: blocks of the four stages}; He et al. have 18 to 101, the smaller ones are for trying
out."""
BOTTLENECK = (14, 26, 50, 101)
"""Depths whose blocks are 1 x 1, 3 x 3, 1 x 1 convolutions; in the others they are two of 3 x 3."""


def conv(channels, size, stride=1, **more):
  """A convolution of odd `size` whose output covers its input: ceil(H / stride) rows; PyTorch's
  padding."""
  return nn.Conv(channels, (size, size), stride, padding=size // 2, **more)


class Normalised(nn.Module):
  """A convolution and its group normalisation: [B, H, W, C] -> [B, H', W', channels], channels a
  multiple of 4."""
  channels: int
  size: int
  stride: int = 1
  kernel_init: nn.initializers.Initializer = nn.initializers.variance_scaling(
      2.0, 'fan_out', 'normal')

  @nn.compact
  def __call__(self, x):
    x = conv(self.channels, self.size, self.stride, use_bias=False, kernel_init=self.kernel_init)(x)
    return nn.GroupNorm(math.gcd(32, self.channels // 4))(x)


class Block(nn.Module):
  """A residual block of `width` channels, four times as many at the end of a bottleneck."""
  width: int
  stride: int
  bottleneck: bool

  @nn.compact
  def __call__(self, x):
    out = self.width * (4 if self.bottleneck else 1)
    if self.bottleneck:
      y = nn.relu(Normalised(self.width, 1)(x))
      y = nn.relu(Normalised(self.width, 3, self.stride)(y))
      y = Normalised(out, 1)(y)
    else:
      y = nn.relu(Normalised(self.width, 3, self.stride)(x))
      y = Normalised(out, 3)(y)
    if self.stride > 1 or x.shape[-1] != out:
      x = Normalised(out, 1, self.stride)(x)
    return nn.relu(x + y)


class ResNet(nn.Module):
  """Call: images float [B, H, W, C] -> (C3, C4, C5), of strides 8, 16 and 32.

  Attributes:
    depth: a key of `BLOCKS`.
    width: channels of the stem and of the first stage, a multiple of 4; 64 as published.
  """
  depth: int = 50
  width: int = 64

  @nn.compact
  def __call__(self, images):
    x = nn.relu(Normalised(self.width, 7, 2)(images))
    # zeros are as good as -infinity after the rectifier
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    x = nn.max_pool(x, (3, 3), (2, 2))
    out = []
    for stage, blocks in enumerate(BLOCKS[self.depth]):
      for i in range(blocks):
        x = Block(self.width * 2**stage, 2 if stage and not i else 1, self.depth in BOTTLENECK)(x)
      out.append(x)
    return tuple(out[1:])
