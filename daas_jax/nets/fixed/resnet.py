"""ResNet (He et al. 2016): those of the paper, for ImageNet, and one for small images.

The latter has the form of github.com/kuangliu/pytorch-cifar: a 3 x 3 stem, no pooling. Of a
bottleneck it is the 3 x 3 convolution that has the stride, as in torchvision ("v1.5"); in the paper
it is the first 1 x 1.
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


def _bottleneck(c_in, c, stride=1):
  """1 x 1, 3 x 3 and 1 x 1 convolution, to four times c channels, otherwise as `_block`."""
  c_out = 4 * c
  changes = c_in != c_out

  def apply(x, conv, norm, noise):
    del noise
    y = jax.nn.relu(norm('bn1', conv('conv1', x)))
    y = jax.nn.relu(norm('bn2', conv('conv2', y, stride)))
    y = norm('bn3', conv('conv3', y))
    return jax.nn.relu(y + (norm('shortcut_bn', conv('shortcut', x, stride)) if changes else x))

  shapes = {'conv1': (c_in, c), 'conv2': (3, 3, c, c), 'conv3': (c, c_out)}
  norms = {'bn1': c, 'bn2': c, 'bn3': c_out}
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
    block, counts, widened = self._form()
    for stage, count in enumerate(counts):
      c = self.width * 2**stage
      first = block(x.shape[-1], c, 2 if stage else 1)
      x = self._stage(f'stage{stage}', first, block(widened * c, c), x, train, count)
    return self._classify(x), None

  def _form(self):
    """(block, how many of them each stage has, by what a block widens its channels)."""
    return _block, ((self.depth - 2) // 8,) * 4, 1

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


class BottleneckResNet(ImageNetResNet):
  """ResNet-depth of bottlenecks: four stages of as many as `STAGES` says, of 1, 2, 4 and 8 times
  `width` channels, and four times as many between them.

  Call and variables: `ResidualNet`.
  """

  def _form(self):
    return _bottleneck, STAGES[self.depth], 4


STAGES: dict[int, tuple[int, int, int, int]] = {
    14: (1, 1, 1, 1), 26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3),
    200: (3, 24, 36, 3)}
"""{depth: blocks of each stage}: He et al. 2016, Table 1; 200: its second paper (arXiv:1603.05027);
14 and 26: to try out."""

family.register('resnet_18', family.Fixed(ResNet, 18, 64, 2, 8),
                'ResNet-18 with a stem for small images')
family.register('resnet_18_imagenet', family.Fixed(ImageNetResNet, 18, 64, 2, 8),
                'ResNet-18 as published')
family.register('resnet_50', family.Fixed(BottleneckResNet, 50, 64, 2, 3, depths=tuple(STAGES)),
                'ResNet-50 as published, with the stride in the 3 x 3 convolutions')
family.register('resnet_200', family.Fixed(BottleneckResNet, 200, 64, 2, 3, depths=tuple(STAGES)),
                'ResNet-200, the same with more blocks')
