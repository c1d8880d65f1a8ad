"""Shake-Shake networks (Gastaldi 2017, "S-S-I": arXiv 1705.07485;
github.com/xgastaldi/shake-shake)."""

from typing import Any

import flax.linen as nn
import jax

from daas_jax.nets import kernels as k
from daas_jax.nets.fixed import family
from daas_jax.nets.fixed.residual import Block, conv_block, ResidualNet, shake


def mix(a: jax.Array, b: jax.Array, noise: jax.Array | None) -> jax.Array:
  """alpha * a + (1 - alpha) * b, whose derivative takes beta for alpha.

  Args:
    a, b: [B, H, W, C].
    noise: [2, B], alpha and beta of each image, uniform in [0, 1]; None for 1/2 and 1/2, the
      evaluation.

  Returns:
    [B, H, W, C].
  """
  if noise is None:
    return 0.5 * (a + b)
  alpha, beta = noise
  return shake(a, alpha, beta) + shake(b, 1 - alpha, 1 - beta)


def _block(c_in, c_out, stride=1):
  """Two branches of ReLU-conv-BN-ReLU-conv-BN, mixed, plus the input (factorised and normalised
  where it changes)."""
  changes = c_in != c_out

  def branch(x, conv, norm, i):
    x = norm(f'bn{i}1', conv(f'conv{i}1', x, stride))
    return norm(f'bn{i}2', conv(f'conv{i}2', jax.nn.relu(x)))

  def apply(x, conv, norm, noise):
    activated = jax.nn.relu(x)
    mixed = mix(branch(activated, conv, norm, 1), branch(activated, conv, norm, 2), noise)
    return mixed + (norm('shortcut', conv('shortcut', x, stride)) if changes else x)

  shapes, norms = {}, {}
  for i in (1, 2):
    shapes |= {f'conv{i}1': (3, 3, c_in, c_out), f'conv{i}2': (3, 3, c_out, c_out)}
    norms |= {f'bn{i}1': c_out, f'bn{i}2': c_out}
  if changes:
    shapes['shortcut'], norms['shortcut'] = (2, c_in, c_out // 2), c_out
  return Block(shapes, norms, apply)


class ShakeShake(ResidualNet):
  """Shake-Shake `depth` 2x`width`d: three stages of (depth - 2) / 6 blocks of 1, 2 and 4 times
  `width` channels.

  Forward and backward shaken by independent factors for each image and block. Call and variables:
  `ResidualNet`. `width` is even.
  """
  takes_noise = True

  @nn.compact
  def __call__(self, images: jax.Array, train: bool,
               drop_path: Any = 0.0) -> tuple[jax.Array, None]:
    del drop_path
    count = (self.depth - 2) // 6
    # One draw for the whole network, [stage, block, alpha or beta, image].
    noise = [None] * 3
    if train:
      draw = k.KERNELS[self.kernels].draw
      noise = draw(jax.random.uniform, self.make_rng('drop_path'), (3, count, 2, len(images)), -1)
    x = self._blocks('stem', conv_block(images.shape[-1], 16), images, train)
    for stage in range(3):
      c = self.width * 2**stage
      first = _block(x.shape[-1], c, 2 if stage else 1)
      x = self._stage(f'stage{stage}', first, _block(c, c), x, train, count, noise[stage])
    return self._classify(jax.nn.relu(x)), None


for _width in (32, 96, 112):
  family.register(f'shake_shake_26_2x{_width}d',
                  family.Fixed(ShakeShake, 26, _width, 2, 6, even=True),
                  f'Shake-Shake, 26 layers, two branches of {_width} channels')
