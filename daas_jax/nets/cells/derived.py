"""The final network of one genotype: DARTS's NetworkCIFAR and NetworkImageNet (DAAS 5;
github.com/quark0/darts)."""

from collections.abc import Callable
import functools
from typing import Any

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp

from daas_jax.arrays import beside
from daas_jax.errors import BadInput
from daas_jax.nets import kernels as k, registry
from daas_jax.nets.cells import auxiliary, genotype as genotype_lib, space as space_lib, weights
from daas_jax.nets.cells.cell import INPUTS, places, reduction_layers, source_stride, STEPS
from daas_jax.nets.cells.primitives import PRIMITIVES
from daas_jax.nets.count import AUXILIARY
from daas_jax.nets.normalisation import BN_EPSILON

MOMENTUM = 0.9  # of the running averages, in flax's sense; PyTorch calls it 0.1


def keep_factors(key: jax.Array, probability: Any, shape: tuple[int, ...],
                 draw: Callable = k.KERNELS['plain'].draw) -> jax.Array:
  """Drop-path: 0 with the given probability (which may be traced), else 1 / (1 - probability);
  float32 of `shape`, whose last axis is of images; `draw` is a kernel set's."""
  keep = 1.0 - jnp.asarray(probability, jnp.float32)
  uniform = draw(jax.random.uniform, key, shape, len(shape) - 1)
  return jnp.where(uniform < keep, 1.0 / keep, 0.0)


def _per_image(x, factors):
  """x [B, H, W, C] times factors [B]."""
  return x * factors.astype(x.dtype)[:, None, None, None]


def drop_path(x: jax.Array, key: jax.Array, probability: Any) -> jax.Array:
  """Zeroes whole images at random and scales the others so that the expectation stays (FractalNet,
  DARTS).

  Args:
    x: [B, H, W, C].
    key: consumed.
    probability: [] float in [0, 1], may be traced; 0 gives x, 1 gives zeros.

  Returns:
    [B, H, W, C].
  """
  return _per_image(x, keep_factors(key, probability, x.shape[:1]))


class DerivedNet(nn.Module):
  """Stem, `layers` cells of one genotype, global mean, linear classifier; an auxiliary classifier
  in training.

  Call: (images [B, H, W, channels in], train, drop_path=0.0) -> (logits [B, num_classes], auxiliary
  logits [B, num_classes] or None). Images are normalised floats. `drop_path` in [0, 1] is the
  probability with which the output of each operation but the identity is dropped, per image, in
  training; it may be traced, and unless it is the number 0 it takes rngs={'drop_path': key}. Any H,
  W >= 1.

  Variables: 'params', and 'batch_stats' with the running averages of the batch normalisations,
  which a call with train=True updates (mutable=['batch_stats']) and one with train=False uses. The
  running variance is that of the batch (flax, biased by 1 - 1 / BHW), where PyTorch stores the
  unbiased one. The normalisations of a cell are stacked, [n, C], in the order of their use: an
  optimizer then has far fewer leaves to update.

  Attributes:
    genotype: `genotype.Genotype`, or a `genotype.NetworkGenotype` of as many cells; the pairs of a
      node in either order.
    num_classes: number of classes.
    layers: number of cells, 20 for CIFAR, 14 for ImageNet.
    channels: C of the first cells, 36 for CIFAR, 48 for ImageNet; doubled by each reduction.
    auxiliary: whether there is an auxiliary head after the second reduction.
    stem: 'cifar' (one convolution) or 'imagenet' (three, each halving the image; `channels` must be
      even).
    kernels: 'fast' or 'plain' (see `daas_jax.nets.kernels`).

  Raises (when called):
    BadInput: another stem, something that is no genotype, or an operation with which no final
      network can be made (noise, none).
    TypeError: images that are not floating.
  """
  genotype: Any
  num_classes: int
  layers: int = 20
  channels: int = 36
  auxiliary: bool = True
  stem: str = 'cifar'
  kernels: str = 'fast'

  def _checked_genotype(self):
    genotype = genotype_lib.canonical(self.genotype)
    genotype_lib.check_layers(genotype, self.layers)
    for name, _ in (pair for _, pairs in genotype_lib.cells_of(genotype) for pair in pairs):
      if name in ('noise', 'none'):
        raise BadInput(
            f'the genotype holds the operation {name}, with which no final network can be made; '
            'derive another one')
    if self.stem not in ('cifar', 'imagenet'):
      raise BadInput(f'unknown stem {self.stem!r}; give cifar or imagenet')
    if self.stem == 'imagenet' and self.channels % 2:
      raise BadInput(
          f'{self.channels} channels cannot be halved by the imagenet stem; give an even number')
    return genotype

  @property
  def _kernels(self):
    return k.KERNELS[self.kernels]

  def _weights(self, name, shapes):
    """Parameters {key: array} under one name, U(-1/sqrt(fan_in), 1/sqrt(fan_in)) as in PyTorch."""
    return self.param(name, k.draw_weights, shapes)

  def _norms(self, name, count, channels, train):
    """`count` batch normalisations with scale, offset and running averages, stacked under one name.

    Returns:
      norm: x [B, H, W, channels] -> the same shape; each call takes the next of them.
      store: () -> None; writes the running averages after the last call.
    """
    shape, rows = (count, channels), lambda stack: iter(jnp.split(stack, count))
    scale = rows(self.param(f'{name}_scale', nn.initializers.ones, shape))
    offset = rows(self.param(f'{name}_offset', nn.initializers.zeros, shape))
    mean = self.variable('batch_stats', f'{name}_mean', jnp.zeros, shape)
    variance = self.variable('batch_stats', f'{name}_variance', jnp.ones, shape)
    centres, inverses, moments = rows(mean.value), rows(
        lax.rsqrt(variance.value + BN_EPSILON)), []

    def norm(x):
      if not train:
        return (x - beside(next(centres), x)) * beside(next(inverses) * next(scale), x) + beside(
            next(offset), x)
      moments.append(self._kernels.moments(lax.stop_gradient(x)))
      return self._kernels.batch_norm(x) * beside(next(scale), x) + beside(next(offset), x)

    def store():
      if train and not self.is_initializing():
        for average, new in zip((mean, variance), zip(*moments)):
          average.value = MOMENTUM * average.value + (1 - MOMENTUM) * jnp.stack(new)

    return norm, store

  def _stem_convolution(self, name, x, channels, convolve, train):
    c = x.shape[-1]
    norm, store = self._norms(name, 1, channels, train)
    x = norm(convolve(x, self._weights(name, {'conv': ((3, 3, c, channels), 9 * c)})['conv']))
    store()
    return x

  def _stem(self, images, train):
    """The inputs of the first cell, and whether the first is twice as large as the second."""
    if self.stem == 'cifar':
      convolve = functools.partial(k.conv3x3, pointwise=self._kernels.pointwise)
      s = self._stem_convolution('stem', images, 3 * self.channels, convolve, train)
      return s, s, False
    halve = functools.partial(k.conv_plain, stride=2)
    x = self._stem_convolution('stem0', images, self.channels // 2, halve, train)
    s0 = self._stem_convolution('stem1', jax.nn.relu(x), self.channels, halve, train)
    s1 = self._stem_convolution('stem2', jax.nn.relu(s0), self.channels, halve, train)
    return s0, s1, True

  def _cell(self, layer, pairs, s0, s1, channels, halved, reduction, train, keep):
    """One cell: s0, s1 -> [B, H', W', 4 channels]; keep: [8, B] drop-path factors, or None."""
    strides = [source_stride(source, reduction) for _, source in pairs]
    c0, c1 = s0.shape[-1], s1.shape[-1]
    shapes = {
        'pre0': ((2, c0, channels // 2) if halved else (c0, channels), c0),
        'pre1': ((c1, channels), c1)
    }
    for slot, ((name, _), stride) in enumerate(zip(pairs, strides)):
      shapes |= {
          f'{slot}_{name}.{n}': s for n, s in PRIMITIVES[name].shapes(channels, stride).items()
      }
    w = self._weights(f'cell{layer}', shapes)
    count = 2 + sum(weights.norm_count(name, stride) for (name, _), stride in zip(pairs, strides))
    norm, store = self._norms(f'cell{layer}', count, channels, train)

    def operation(slot):
      (name, source), stride = pairs[slot], strides[slot]
      kernels = self._kernels._replace(batch_norm=(lambda x: x) if name in weights.BARE else norm)
      mine = {n.split('.')[1]: v for n, v in w.items() if n.startswith(f'{slot}_')}
      x = PRIMITIVES[name].apply(nodes[source], mine, stride, None, kernels)
      identity = name == 'skip_connect' and stride == 1
      return x if keep is None or identity else _per_image(x, keep[slot])

    pointwise = self._kernels.pointwise
    first = k.factorized_reduce(s0, w['pre0'], 2, pointwise) if halved else pointwise(
        jax.nn.relu(s0), w['pre0'])
    nodes = [norm(first), norm(pointwise(jax.nn.relu(s1), w['pre1']))]
    for n in range(STEPS):
      nodes.append(operation(2 * n) + operation(2 * n + 1))
    store()
    return jnp.concatenate(nodes[INPUTS:], -1)

  def _auxiliary_head(self, x, train):
    w = self._weights(AUXILIARY, auxiliary.shapes(x.shape[-1], self.num_classes))
    norms = [self._norms(f'{AUXILIARY}{i + 1}', 1, channels, train)
             for i, channels in enumerate(auxiliary.normalised(self.stem))]
    logits = auxiliary.head(x, w, [norm for norm, _ in norms], self._kernels.pointwise)
    for _, store in norms:
      store()
    return logits

  @nn.compact
  def __call__(self, images: jax.Array, train: bool, drop_path: Any = 0.0) -> Any:
    genotype = self._checked_genotype()
    keep: Any = [None] * self.layers
    logits_auxiliary = None
    if train and not (isinstance(drop_path, (int, float)) and drop_path == 0):
      # One draw for the whole network: a draw an operation would take XLA longer to compile than
      # the operation.
      keep = keep_factors(self.make_rng('drop_path'), drop_path,
                          (self.layers, 2 * STEPS, images.shape[0]), self._kernels.draw)
    s0, s1, halved = self._stem(images, train)
    for layer, reduction, channels in places(self.layers, self.channels):
      pairs = genotype_lib.pairs_of(genotype, layer, reduction)
      s0, s1 = s1, self._cell(layer, pairs, s0, s1, channels, halved, reduction, train, keep[layer])
      halved = reduction
      # The head must get its variables whatever the call that makes them is for.
      if self.auxiliary and layer == reduction_layers(
          self.layers)[1] and (train or self.is_initializing()):
        logits_auxiliary = self._auxiliary_head(s1, train)
    features = jnp.mean(s1, (1, 2))
    c = features.shape[-1]
    w = self._weights('classifier', {
        'kernel': ((c, self.num_classes), c),
        'bias': ((self.num_classes,), c)
    })
    return features @ w['kernel'] + beside(w['bias'], features), logits_auxiliary if train else None


def _train(config, genotype, num_classes, kernels):
  group = config.network
  return DerivedNet(genotype, num_classes, group.layers, group.channels, config.train.auxiliary > 0,
                    group.stem, kernels)


registry.register('derived', registry.Network(
    'the network of a genotype', train=_train, keys=k.KEYS | space_lib.keys(20, 36),
    space=space_lib.SPACE, smallest=space_lib.smallest, default=True,
    title=lambda config: f'{config.network.layers} cells of {config.network.channels} channels'))
