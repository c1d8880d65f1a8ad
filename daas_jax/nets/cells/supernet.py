"""The supernet: every candidate architecture with shared weights theta (DAAS 3.2, DARTS's search
network)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from daas_jax.arrays import beside
from daas_jax.config.key import anything, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.nets import kernels as k, registry
from daas_jax.nets.cells import architecture, auxiliary, cell as cells, space as space_lib
from daas_jax.nets.cells.derived import keep_factors
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, some_primitives
from daas_jax.nets.losses import accuracy, cross_entropy

NORMAL, REDUCE = 0, 1
"""Rows of alpha [2, E, O], beta [2, E], A and B: the two cell types."""


class SuperNet(nn.Module):
  """Stem, `layers` cells, global mean, linear classifier; batch normalisation by the moments of the
  batch.

  Call: (z, images [B, H, W, channels in], key=None, keep=None) -> logits [B, num_classes], with z =
  {'A': [C, E, O], 'B': [C, E]} a sampled architecture (or, where `dense`, any mixture of operations
  and edges); with an auxiliary head (logits, auxiliary logits). keep is [layers, E, B] drop-path
  factors of a dense network, or None.

  Attributes:
    num_classes: number of classes.
    layers: number of cells, 8 in the paper.
    channels: C of the first cells, 16 in the paper; doubled by each reduction.
    primitives: names of the O candidate operations.
    stem: 'cifar' (one convolution at full size) or 'imagenet' (three of stride 2, so 224 becomes
      28).
    dense: compute every operation (the reference; O * E / 8 times the cost of a single path).
    kernels: a name in `daas_jax.nets.kernels.KERNELS`.
    edges: numbers of the E edges of a cell; fewer than all of them in a dense network only.
    own_cells: whether each cell has its own row of A and B (C = layers), or the normal and the
      reduction cells have one each.
    auxiliary: whether there is an auxiliary head after the second reduction.
    dtype: what images and weights are computed in, 'float32' or 'bfloat16'. Parameters stay
      float32, and so do sums over pixels (moments, gradients of weights and of the architecture),
      the classifier and the logits.
  """
  num_classes: int
  layers: int = 8
  channels: int = 16
  primitives: tuple = DAAS_PRIMITIVES
  stem: str = 'cifar'
  dense: bool = False
  kernels: str = 'fast'
  dtype: str = 'float32'
  edges: tuple = cells.ALL_EDGES
  own_cells: bool = False
  auxiliary: bool = False

  def _weights(self, name, shapes):
    """Parameters {key: array} under one name, U(-1/sqrt(fan_in), 1/sqrt(fan_in)), from {key:
    (shape, fan_in)}."""
    return jax.tree.map(self._compute, self.param(name, k.draw_weights, shapes))

  def _compute(self, x):
    """x in the type that is computed in; float64, which the tests use, stays what it is."""
    return x.astype(self.dtype) if x.dtype == jnp.float32 else x

  def _preprocess(self, x, w):
    """Brings a cell's input to C channels: ReLU, 1 x 1 convolution (or factorised reduction),
    BN."""
    kernels = k.KERNELS[self.kernels]
    if w.ndim == 3:
      return kernels.batch_norm(k.factorized_reduce(x, w, pointwise=kernels.pointwise))
    return kernels.batch_norm(kernels.pointwise(jax.nn.relu(x), w))

  def _conv_bn(self, name, x, width, stride):
    c = x.shape[-1]
    w = self._weights(name, {'conv': ((3, 3, c, width), 9 * c)})
    kernels = k.KERNELS[self.kernels]
    x = kernels.batch_norm(k.conv3x3(x, w['conv'], stride, kernels.pointwise))
    scale = self.param(f'{name}_scale', nn.initializers.ones, (width,))
    offset = self.param(f'{name}_offset', nn.initializers.zeros, (width,))
    return x * beside(self._compute(scale), x) + beside(self._compute(offset), x)

  def _stem(self, images):
    """The inputs of the first cell, and whether the first of them is twice as large as the
    second."""
    if self.stem == 'cifar':
      x = self._conv_bn('stem', images, 3 * self.channels, 1)
      return x, x, False
    x = jax.nn.relu(self._conv_bn('stem0', images, self.channels // 2, 2))
    s0 = self._conv_bn('stem1', x, self.channels, 2)
    return s0, self._conv_bn('stem2', jax.nn.relu(s0), self.channels, 2), True

  def _cell_weights(self, layer, s0, s1, channels, halved, reduction):
    """{'pre0', 'pre1', 'primitive.weight', ...} of one cell."""
    c0, c1 = s0.shape[-1], s1.shape[-1]
    shapes = {
        'pre0': ((2, c0, channels // 2) if halved else (c0, channels), c0),
        'pre1': ((c1, channels), c1)
    }
    stacked = cells.weight_shapes(self.primitives, channels, reduction, self.edges)
    return self._weights(f'cell{layer}', shapes | {
        n: (shape, fan_in) for n, (shape, fan_in, _) in stacked.items()
    })

  def _auxiliary_head(self, x, dtype):
    shapes = auxiliary.shapes(x.shape[-1], self.num_classes)
    w, kernels = self.param('auxiliary', k.draw_weights, shapes), k.KERNELS[self.kernels]
    return auxiliary.head(x.astype(dtype), w,
                          [kernels.batch_norm] * len(auxiliary.normalised(self.stem)),
                          kernels.pointwise)

  def _cell(self, layer, inputs, w, z, reduction, key, keep):
    row = layer if self.own_cells else REDUCE if reduction else NORMAL
    options = dict(primitives=self.primitives, reduction=reduction, kernels=self.kernels,
                   key=None if key is None else jax.random.fold_in(key, layer))
    if not self.dense:
      return cells.single_path_cell(*inputs, w, z['A'][row], z['B'][row], **options)
    return cells.dense_cell(*inputs, w, z['A'][row], z['B'][row], edges=self.edges,
                            keep=None if keep is None else keep[layer], **options)

  @nn.compact
  def __call__(self, z: Any, images: jax.Array, key: jax.Array | None = None,
               keep: jax.Array | None = None) -> Any:
    s0, s1, halved = self._stem(self._compute(images))
    logits_auxiliary = None
    for layer, reduction, channels in cells.places(self.layers, self.channels):
      w = dict(self._cell_weights(layer, s0, s1, channels, halved, reduction))
      inputs = self._preprocess(s0, w.pop('pre0')), self._preprocess(s1, w.pop('pre1'))
      s0, s1 = s1, self._cell(layer, inputs, w, z, reduction, key, keep)
      halved = reduction
      if self.auxiliary and layer == cells.reduction_layers(self.layers)[1]:
        logits_auxiliary = self._auxiliary_head(s1, images.dtype)
    features = jnp.mean(s1.astype(images.dtype), (1, 2))
    c = features.shape[-1]
    shapes = {'kernel': ((c, self.num_classes), c), 'bias': ((self.num_classes,), c)}
    w = self.param('classifier', k.draw_weights, shapes)
    logits = features @ w['kernel'] + beside(w['bias'], features)
    return (logits, logits_auxiliary) if self.auxiliary else logits


# --- as a row of the table ------------------------------------------------------------------------


KEYS = k.KEYS | space_lib.keys(8, 16) | {
    'network.primitives': Key(DAAS_PRIMITIVES, some_primitives,
                              'candidate operations of a cell (DAAS 3.2)'),
    'network.dtype': Key(
        'float32', one_of('float32', 'bfloat16'),
        'what the supernet computes in; parameters and sums '
        'over pixels stay float32'),
    'network.genotype': Key(
        '', anything, "held fixed: searched (by --search), random:SEED, random_like:SEED (as many "
        "weights as the searched one at this size), a FILE, or a published one such as darts_v2; "
        "'' is none"),
}


def make(config: Any, num_classes: int, kernels: str, sampling: str) -> SuperNet:
  """The supernet that a search config names."""
  group, space = config.network, space_lib.of(config)
  return SuperNet(num_classes, group.layers, group.channels, space.primitives, group.stem,
                  dense=sampling == 'mixture', kernels=kernels, dtype=group.dtype,
                  edges=space.edges, own_cells=space.cells != architecture.CELL_TYPES,
                  auxiliary=config.search.get('auxiliary', 0) > 0)


def losses(config: Any, outputs: Callable) -> dict[str, Callable]:
  """The losses of a `Problem`: L_val has no auxiliary head, L_train one and drop-path, where the
  config says so."""
  plain = outputs(auxiliary=False)

  def loss(theta, z, images, labels, key):
    logits = plain(theta, z, images, key)
    return cross_entropy(logits, labels), accuracy(logits, labels)

  def relaxed_loss(theta, arch, images, labels, key):
    whole = outputs(on_one_device=True, auxiliary=False, dense=True)
    return cross_entropy(whole(theta, architecture.mixture(arch), images, key), labels)

  found = {'loss': loss, 'relaxed_loss': relaxed_loss}
  return found | ({
      'regularised_loss': _regularised(config, outputs())
  } if 'drop_path' in config.search else {})


def _regularised(config, outputs):
  search = config.search
  shape = (config.network.layers, len(space_lib.of(config).edges))

  def regularised_loss(theta, z, images, labels, key, progress):
    key_keep, key_network = jax.random.split(key)
    keep = keep_factors(key_keep, search.drop_path * progress,
                        (*shape, len(labels))) if search.drop_path else None
    out = outputs(theta, z, images, key_network, keep)
    logits, head = out if search.auxiliary > 0 else (out, None)
    value = cross_entropy(logits, labels)
    if head is not None:
      value += search.auxiliary * cross_entropy(head, labels)
    return value, accuracy(logits, labels)

  return regularised_loss


def _check(flat):
  if flat.get('network.cells') == 'own' and flat['network.edges'] == 'all':
    raise BadInput(
        "config key 'network.cells': cells of their own have fixed edges (Amended-DARTS, S2): set "
        "network.edges='fixed', or network.cells='shared'")


registry.register('supernet', registry.Network(
    'two cells of 14 edges, their operations network.primitives (DAAS, DARTS)',
    make=make, keys=KEYS, only=('network.dtype', 'network.genotype'), check=_check,
    noise=lambda config: 'noise' in config.network.primitives, space=space_lib.SPACE,
    losses=losses, smallest=space_lib.smallest, default=True))
