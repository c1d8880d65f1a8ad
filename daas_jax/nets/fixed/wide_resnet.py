"""Wide residual networks (Zagoruyko and Komodakis 2016, Table 1;
github.com/szagoruyko/wide-residual-networks)."""

from typing import Any

import flax.linen as nn
import jax

from daas_jax.nets.fixed import family
from daas_jax.nets.fixed.residual import Block, conv_block, norm_relu_block, ResidualNet


def _block(c_in, c_out, stride=1):
  """BN-ReLU-conv, BN-ReLU-conv, plus the input; where the width changes, plus a 1 x 1 convolution
  of BN-ReLU's."""
  changes = c_in != c_out

  def apply(x, conv, norm, noise):
    del noise
    activated = jax.nn.relu(norm('bn1', x))
    shortcut = conv('shortcut', activated, stride) if changes else x
    x = conv('conv1', activated, stride)
    return conv('conv2', jax.nn.relu(norm('bn2', x))) + shortcut

  shapes = {'conv1': (3, 3, c_in, c_out), 'conv2': (3, 3, c_out, c_out)}
  return Block(shapes | ({
      'shortcut': (c_in, c_out)
  } if changes else {}), {
      'bn1': c_in,
      'bn2': c_out
  }, apply)


class WideResNet(ResidualNet):
  """WRN-depth-width: three stages of (depth - 4) / 6 pre-activation blocks of 16, 32 and 64 times
  `width` channels.

  No dropout and no biases, as in the paper's code. (That of Fast AutoAugment has biases in front of
  normalisations.) Call and variables: `ResidualNet`.
  """

  @nn.compact
  def __call__(self, images: jax.Array, train: bool,
               drop_path: Any = 0.0) -> tuple[jax.Array, None]:
    del drop_path
    x = self._blocks('stem', conv_block(images.shape[-1], 16, norm=False), images, train)
    for stage in range(3):
      c = 16 * self.width * 2**stage
      first = _block(x.shape[-1], c, 2 if stage else 1)
      x = self._stage(f'stage{stage}', first, _block(c, c), x, train, (self.depth - 4) // 6)
    return self._classify(self._blocks('final', norm_relu_block(c), x, train)), None


family.register('wrn_40_2', family.Fixed(WideResNet, 40, 2, 4, 6), 'Wide-ResNet, 40 layers',
                default=True)
family.register('wrn_28_10', family.Fixed(WideResNet, 28, 10, 4, 6), 'Wide-ResNet, 28 layers')
