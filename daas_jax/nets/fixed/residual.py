"""What the fixed residual networks share: blocks of convolutions, batch normalisations with running
averages, noise."""

import math
from typing import Callable, NamedTuple

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from daas_jax.arrays import beside
from daas_jax.nets import kernels as k
from daas_jax.nets.normalisation import BN_EPSILON

MOMENTUM = 0.9  # of the running averages, in flax's sense; PyTorch calls it 0.1


class Block(NamedTuple):
  """One residual block, as shapes and a pure function.

  Attributes:
    shapes: {name: shape} of the convolutions: [k, k, C, D], [C, D] of a 1 x 1, [2, C, D / 2] of a
      factorised one.
    norms: {name: channels} of the batch normalisations, each with scale, offset and running
      averages.
    apply: (x [B, H, W, C], conv, norm, noise) -> [B, H', W', D], with conv(name, x, stride=1) and
      norm(name, x).
  """
  shapes: dict
  norms: dict
  apply: Callable


@jax.custom_jvp
def shake(x: jax.Array, forward: jax.Array, backward: jax.Array) -> jax.Array:
  """x [B, H, W, C] times `forward` ([B] or []), whose derivative is `backward` instead.

  The rule of Shake-Shake (Gastaldi 2017) and ShakeDrop (Yamada et al. 2019), in forward and reverse
  mode.
  """
  return _scale(x, forward)


def _scale(x, factor):
  return x * beside(jnp.reshape(factor, jnp.shape(factor) + (1, 1, 1)).astype(x.dtype), x)


@shake.defjvp
def _shake_jvp(primals, tangents):
  x, forward, backward = primals
  return _scale(x, forward), _scale(tangents[0], backward)


def draw_block(key: jax.Array, block: Block, lead: tuple[int, ...] = ()) -> dict[str, jax.Array]:
  """Initial parameters of a block: kernels N(0, 2 / (k * k * D)) (He et al., by what goes out),
  scales 1, offsets 0.

  One draw for all kernels: a draw a kernel would take XLA longer to compile than the block.

  Args:
    key: PRNG key.
    block: a `Block`.
    lead: leading axes, (n,) for n blocks at once.

  Returns:
    {name: array [*lead, ...]}; of a normalisation NAME_scale and NAME_offset.
  """
  shapes = {name: (*lead, *shape) for name, shape in block.shapes.items()}
  sizes = [math.prod(shape) for shape in shapes.values()]
  parts = jnp.split(jax.random.normal(key, (sum(sizes),)), np.cumsum(sizes)[:-1])
  fan_out = [
      shape[-1] * (shape[0] * shape[1] if len(shape) == 4 else 1)
      for shape in block.shapes.values()
  ]
  w = {n: (p * math.sqrt(2 / f)).reshape(s) for p, f, (n, s) in zip(parts, fan_out, shapes.items())}
  for name, channels in block.norms.items():
    w |= {
        f'{name}_scale': jnp.ones((*lead, channels)),
        f'{name}_offset': jnp.zeros((*lead, channels))
    }
  return w


def _start_averages(block, lead):
  return {f'{name}_{what}': fill((*lead, channels)) for name, channels in block.norms.items()
          for what, fill in (('mean', jnp.zeros), ('variance', jnp.ones))}


def _run(block, x, w, averages, noise, train, kernels):
  """One block: (its output, the moments of the batch, named as the averages; {} in evaluation)."""
  moments = {}

  def conv(name, x, stride=1):
    if w[name].ndim == 2:
      return k.pointwise(x[:, ::stride, ::stride], w[name])
    if w[name].ndim == 3:
      return k.factorized_reduce(x, w[name], stride, kernels.pointwise)
    return kernels.conv(x, w[name], stride)

  def norm(name, x):
    if not train:
      inverse = lax.rsqrt(averages[f'{name}_variance'] + BN_EPSILON)
      return ((x - beside(averages[f'{name}_mean'], x)) * beside(inverse * w[f'{name}_scale'], x)
              + beside(w[f'{name}_offset'], x))
    moments[f'{name}_mean'], moments[f'{name}_variance'] = kernels.moments(lax.stop_gradient(x))
    return kernels.batch_norm(x) * beside(w[f'{name}_scale'], x) + beside(w[f'{name}_offset'], x)

  return block.apply(x, conv, norm, noise), moments


def _rows(tree, count):
  """A pytree of stacked arrays [count, ...] as a list of pytrees; its gradient is one
  concatenation."""
  leaves, form = jax.tree.flatten(tree)
  rows = [[part[0] for part in jnp.split(leaf, count)] for leaf in leaves]
  return [jax.tree.unflatten(form, [row[i] for row in rows]) for i in range(count)]


class ResidualNet(nn.Module):
  """A fixed network; the subclasses say which.

  Call: (images [B, H, W, channels in], train, drop_path=0.0) -> (logits [B, num_classes], None), as
  `DerivedNet`, so that the same training serves it. Images are normalised floats, any H, W >= 1.
  `drop_path` is not used. A network that draws noise (`takes_noise`) takes rngs={'drop_path': key}
  where train is True.

  Variables: 'params', and 'batch_stats' with the running averages as in `DerivedNet`; a call with
  train=True updates them where they are mutable, and needs none where they are not: a policy search
  has weights alone. The variables of equal blocks that follow each other are stacked, [n, ...]: an
  optimizer then has far fewer leaves to update.

  Attributes:
    num_classes: number of classes.
    depth: number of layers, as in the network's name.
    width: what the network's name counts besides.
    kernels: 'fast' or 'plain' (see `daas_jax.nets.kernels`).
  """
  num_classes: int
  depth: int
  width: int
  kernels: str = 'fast'
  takes_noise = False

  def _blocks(self, name, block, x, train, noise=None, count=None):
    """Runs a `Block`, or `count` of them one after the other; noise: [*lead, ...] or None."""
    lead = () if count is None else (count,)
    w = self.param(name, draw_block, block, lead)
    averages = None
    if not train or self.is_mutable_collection('batch_stats'):
      averages = self.variable('batch_stats', name, _start_averages, block, lead)
    old, kernels = {} if train else averages.value, k.KERNELS[self.kernels]
    if count is None:
      x, moments = _run(block, x, w, old, noise, train, kernels)
    else:
      # No scan: on CPU XLA's convolutions are six times slower inside a loop, and little compile
      # time is saved.
      rows = zip(*(_rows(tree, count) for tree in (w, old, noise)))
      moments = []
      for mine in rows:
        x, new = _run(block, x, *mine, train, kernels)
        moments.append(new)
      moments = jax.tree.map(lambda *parts: jnp.stack(parts), *moments)
    if train and averages is not None and not self.is_initializing():
      averages.value = optax.incremental_update(moments, averages.value, 1 - MOMENTUM)
    return x

  def _stage(self, name, first, equal, x, train, count, noise=None):
    """A first block, then `count` - 1 equal ones; noise: [count, ...] or None."""
    part = lambda i: None if noise is None else noise[i]
    x = self._blocks(f'{name}_first', first, x, train, part(0))
    return x if count == 1 else self._blocks(name, equal, x, train, part(slice(1, None)), count - 1)

  def _classify(self, x):
    """Global mean and linear classifier: U(-1/sqrt(C), 1/sqrt(C)), PyTorch's default, offset 0."""
    features = jnp.mean(x, (1, 2))
    c = features.shape[-1]
    w = self.param('classifier', k.draw_weights, {'kernel': ((c, self.num_classes), c)})
    bias = self.param('classifier_bias', nn.initializers.zeros, (self.num_classes,))
    return features @ w['kernel'] + beside(bias, features)


def conv_block(c_in: int, c_out: int, norm: bool = True, size: int = 3, stride: int = 1) -> Block:
  """The `Block` of a size x size convolution with or without normalisation: a stem."""
  def apply(x, conv, norm, noise):
    del noise
    x = conv('conv', x, stride)
    return norm('bn', x) if 'bn' in norms else x
  norms = {'bn': c_out} if norm else {}
  return Block({'conv': (size, size, c_in, c_out)}, norms, apply)


def norm_relu_block(channels: int) -> Block:
  """The `Block` of what ends a pre-activation network: batch normalisation and ReLU."""
  return Block({}, {'bn': channels}, lambda x, conv, norm, noise: jax.nn.relu(norm('bn', x)))
