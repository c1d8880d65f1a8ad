"""ResNet (He et al. 2016): that of the paper, for ImageNet, and one for small images.

The latter has the form of github.com/kuangliu/pytorch-cifar: a 3 x 3 stem, no pooling.
"""

from typing import Any

import flax.linen as nn
import jax

from daas_jax.nets import kernels as k
from daas_jax.nets.fixed import family
from daas_jax.nets.fixed.residual import Block, conv_block, ResidualNet


def _block(c_in, c_out, stride=1):
  """conv-BN-ReLU-conv-BN, plus the input (where the width changes, its 1 x 1 convolution and BN),
  ReLU."""
  changes = c_in != c_out

  def apply(x, conv, norm, noise):
    del noise
    y = jax.nn.relu(norm('bn1', conv('conv1', x, stride)))
    y = norm('bn2', conv('conv2', y))
    return jax.nn.relu(y + (norm('shortcut_bn', conv('shortcut', x, stride)) if changes else x))

  shapes = {'conv1': (3, 3, c_in, c_out), 'conv2': (3, 3, c_out, c_out)}
  norms = {'bn1': c_out, 'bn2': c_out}
  if changes:
    shapes, norms = shapes | {'shortcut': (c_in, c_out)}, norms | {'shortcut_bn': c_out}
  return Block(shapes, norms, apply)


class ResNet(ResidualNet):
  """ResNet-depth: four stages of (depth - 2) / 8 basic blocks of 1, 2, 4 and 8 times `width`
  channels.

  Call and variables: `ResidualNet`.
  """

  @nn.compact
  def __call__(self, images: jax.Array, train: bool,
               drop_path: Any = 0.0) -> tuple[jax.Array, None]:
    del drop_path
    x = self._stem(images, train)
    for stage in range(4):
      c = self.width * 2**stage
      first = _block(x.shape[-1], c, 2 if stage else 1)
      x = self._stage(f'stage{stage}', first, _block(c, c), x, train, (self.depth - 2) // 8)
    return self._classify(x), None

  def _stem(self, images, train):
    """3 x 3 convolution-BN-ReLU at full size."""
    return jax.nn.relu(self._blocks('stem', conv_block(images.shape[-1], self.width), images,
                                    train))


class ImageNetResNet(ResNet):
  """The same stages after the stem of the paper, which leaves a quarter of the side: 224 becomes
  56."""

  def _stem(self, images, train):
    """7 x 7 convolution of stride 2-BN-ReLU, 3 x 3 maximum of stride 2 (He et al. 2016, Table
    1)."""
    x = self._blocks('stem', conv_block(images.shape[-1], self.width, size=7, stride=2), images,
                     train)
    return k.KERNELS[self.kernels].max_pool(jax.nn.relu(x), 2)


family.register('resnet_18', family.Fixed(ResNet, 18, 64, 2, 8),
                'ResNet-18 with a stem for small images')
family.register('resnet_18_imagenet', family.Fixed(ImageNetResNet, 18, 64, 2, 8),
                'ResNet-18 as published')
