"""A fixed network of three convolutions: the cheapest thing on which a policy search can be checked
and trainings under many policies compared."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from daas_jax.arrays import beside, foreign
from daas_jax.config.key import between, Key, MOST
from daas_jax.nets import kernels as k, registry
from daas_jax.nets.fixed import residual


class SmallCNN(nn.Module):
  """Three (3 x 3 convolution, BN of the batch, ReLU, 2 x 2 mean) stages, global mean, linear
  classifier.

  Call: (z, images [B, H, W, channels in], key=None) -> logits [B, num_classes]; z and key are not
  used.

  Attributes:
    num_classes: number of classes.
    channels: width of the first stage; each stage doubles it.
    kernels: 'fast' or 'plain'.
  """
  num_classes: int
  channels: int = 16
  kernels: str = 'fast'

  @nn.compact
  def __call__(self, z: Any, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
    del z, key
    x, c, kernels = images, self.channels, k.KERNELS[self.kernels]
    uniform = nn.initializers.variance_scaling(1 / 3, 'fan_in', 'uniform')
    for stage in range(3):
      w = self.param(f'conv{stage}', uniform, (3, 3, x.shape[-1], c))
      x = jax.nn.relu(kernels.batch_norm(k.conv3x3(x, w, 1, kernels.pointwise)))
      with foreign():
        x = nn.avg_pool(x, (2, 2), (2, 2))
      c *= 2
    x = jnp.mean(x, (1, 2))
    bound = 1 / math.sqrt(x.shape[-1])
    kernel = self.param('kernel', uniform, (x.shape[-1], self.num_classes))
    bias = self.param('bias', lambda key, n: jax.random.uniform(key,
                                                                (n,), minval=-bound, maxval=bound),
                      self.num_classes)
    return x @ kernel + beside(bias, x)


class TrainedCNN(residual.ResidualNet):
  """The same stages as a training has them: normalisations with scale, offset and running averages.

  `width` is that of the first stage; `depth` counts the convolutions and the classifier.
  """

  @nn.compact
  def __call__(self, images: jax.Array, train: bool,
               drop_path: float = 0.0) -> tuple[jax.Array, None]:
    del drop_path
    x, c = images, self.width
    for stage in range(self.depth - 1):
      block = residual.conv_block(x.shape[-1], c)
      x = jax.nn.relu(self._blocks(f'stage{stage}', block, x, train))
      with foreign():
        x = nn.avg_pool(x, (2, 2), (2, 2))
      c *= 2
    return self._classify(x), None


registry.register('small_cnn', registry.Network(
    'three convolutions: for checks',
    train=lambda config, genotype, num_classes, kernels: TrainedCNN(
        num_classes, 4, config.network.channels, kernels),
    check=registry.no_cells,
    make=lambda config, num_classes, kernels, sampling: SmallCNN(
        num_classes, config.network.channels, kernels),
    keys=k.KEYS | {'network.channels': Key(16, between(1, MOST), 'channels of the first stage')}))
