"""ResNet for small images (He et al. 2016; the form of github.com/kuangliu/pytorch-cifar: a 3 x 3 stem, no pooling)."""

import flax.linen as nn
import jax

from daas_jax.nets.residual import Block, conv_block, ResidualNet


def _block(c_in, c_out, stride=1):
  """conv-BN-ReLU-conv-BN, plus the input (where the width changes, its 1 x 1 convolution and BN), ReLU."""
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
  """ResNet-depth: four stages of (depth - 2) / 8 basic blocks of 1, 2, 4 and 8 times `width` channels.

  Call and variables: `ResidualNet`.
  """

  @nn.compact
  def __call__(self, images, train, drop_path=0.0):
    del drop_path
    x = self._blocks('stem', conv_block(images.shape[-1], self.width), images, train)
    x = jax.nn.relu(x)
    for stage in range(4):
      c = self.width * 2**stage
      first = _block(x.shape[-1], c, 2 if stage else 1)
      x = self._stage(f'stage{stage}', first, _block(c, c), x, train, (self.depth - 2) // 8)
    return self._classify(x), None
