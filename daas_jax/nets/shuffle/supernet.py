"""The single-path supernet of ShuffleNetV2 choice blocks, and one path of it as a network of its
own.

Guo et al. 2019, Single Path One-Shot (SPOS), which DSNAS and DiffAutoML (4.1, Appendix B) search:
20 blocks of 4 choices. A block has a main branch, which the choice decides, and a side branch: half
of the channels as they are, or in the first block of a stage a depthwise and a 1 x 1 convolution of
all of them.

  k3, k5, k7: 1 x 1, depthwise k x k, 1 x 1.       xception: three times depthwise 3 x 3, 1 x 1.

Batch normalisation follows every convolution and ReLU every 1 x 1. The weights of a branch are one
vector, layer by layer: kernel, scale, offset. So an optimizer has a leaf for a branch to update and
not one for each of its 20 arrays.
"""

from collections.abc import Callable, Iterable, Mapping
import functools
from typing import Any

import flax.linen as nn
import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from daas_jax.arrays import beside
from daas_jax.nets import kernels as k
from daas_jax.nets.fixed.residual import MOMENTUM
from daas_jax.nets.normalisation import BN_EPSILON
from daas_jax.nets.shuffle.layers import (
  Block,
  blocks,
  branches,
  CHOICES,
  draw,
  last,
  n_moments,
  n_weights,
  SIZES,
  split,
  stem,
)


def _by_batch(kernels):
  """Normalisation by the moments of the batch: (x, first channel among the normalised ones) ->
  x."""
  return lambda x, at: kernels.batch_norm(x)


def _layers(x, layers, vector, kernels, norm, at=0):
  """Some layers one after the other, the first normalisation being number `at` of its block."""
  for layer, (w, scale, offset) in zip(layers, split(vector, layers)):
    if layer.kind == 'conv':
      x = k.conv3x3(x, w, layer.stride, kernels.pointwise)
    elif layer.kind == 'depthwise':
      x = kernels.depthwise(x, w, layer.stride, 1)
    else:
      x = kernels.pointwise(x, w)
    x = norm(x, at) * beside(scale, x) + beside(offset, x)
    x = x if layer.kind == 'depthwise' else jax.nn.relu(x)
    at += layer.c_out
  return x


def shuffled_halves(x: jax.Array) -> tuple[jax.Array, jax.Array]:
  """The channels of x [..., C] with even and with odd number, [..., C / 2] each: channel shuffle
  and split in one."""
  pairs = x.reshape(*x.shape[:-1], x.shape[-1] // 2, 2)
  return pairs[..., 0], pairs[..., 1]


def run_block(x: jax.Array, block: Block, choice: str, vector: jax.Array, gate: Any,
              kernels: k.Kernels, norm: Callable) -> jax.Array:
  """A `Block` of one choice: x [B, H, W, C] -> [B, H', W', D].

  `gate` [] multiplies the main branch: it is Z^s of Eq. 3-5, and 1. (DSNAS's code multiplies the
  whole output. What follows the last block of a stage is normalised in every branch, so there its
  derivative is 0 whatever was chosen. The same is left here where the next stage begins with
  'xception', whose branches both begin with a depthwise convolution and normalise each channel:
  what chooses before it gets no gradient from those draws.)
  """
  main, side = branches(block, choice)
  n = n_weights(main)
  if block.first:
    beside = _layers(x, side, vector[n:], kernels, norm, n_moments(main))
  else:
    beside, x = shuffled_halves(x)
  return jnp.concatenate([beside, gate * _layers(x, main, vector[:n], kernels, norm)], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _switch(block, kernel_set, x, weights, gate, choice):
  kernels = k.KERNELS[k.FORWARD[kernel_set]]
  run = lambda name: lambda x, weights, gate: run_block(x, block, name, weights[name], gate,
                                                        kernels, _by_batch(kernels))
  return lax.switch(choice, [run(name) for name in CHOICES], x, weights, gate)


def _switch_fwd(block, kernel_set, x, weights, gate, choice):
  return _switch(block, kernel_set, x, weights, gate, choice), (x, weights, gate, choice)


def _switch_bwd(block, kernel_set, residuals, g):
  x, weights, gate, choice = residuals
  kernels = k.KERNELS[kernel_set]

  def pull(name):
    def branch(x, weights, gate, g):
      run = lambda x, vector, gate: run_block(x, block, name, vector, gate, kernels,
                                              _by_batch(kernels))
      dx, dw, dgate = jax.vjp(run, x, weights[name], gate)[1](g)
      return dx, {
          other: dw if other == name else jnp.zeros_like(v) for other, v in weights.items()
      }, dgate
    return branch

  return *lax.switch(choice, [pull(name) for name in CHOICES], x, weights, gate, g), None


# JAX's own derivative of a switch keeps what every branch would need, zeros of that shape where it
# was not taken. Here the input alone is kept, and the branch that was taken is computed again.
_switch.defvjp(_switch_fwd, _switch_bwd)


def block_name(i: int) -> str:
  return f'block{i:02d}'


def _classify(module, x, num_classes):
  """Global mean and linear classifier without offset (SPOS)."""
  x = jnp.mean(x, (1, 2))
  w = module.param('classifier', k.draw_weights,
                   {'kernel': ((x.shape[-1], num_classes), x.shape[-1])})
  return x @ w['kernel']


class ShuffleSuperNet(nn.Module):
  """All choices of all blocks; a call computes one path.

  Call: (z, images [B, H, W, channels in], key=None) -> logits [B, num_classes], with z = {'choice':
  int32 [blocks] in [0, 4), 'gate': float [blocks]} (see `run_block`). The path is data: one
  compiled program serves every one. Normalisation is by the moments of the batch.

  Attributes:
    num_classes: number of classes.
    size: a key of `SIZES`.
    kernels: 'fast', 'xla' or 'plain'; with 'plain' differentiable in every mode.
  """
  num_classes: int
  size: str = 'cifar'
  kernels: str = 'fast'

  @nn.compact
  def __call__(self, z: Any, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
    del key
    size, kernels = SIZES[self.size], k.KERNELS[self.kernels]
    ends = lambda name, layers, x: _layers(x, layers, self.param(name, draw, layers), kernels,
                                           _by_batch(kernels))
    x = ends('stem', stem(size, images.shape[-1]), images)
    for i, block in enumerate(blocks(size)):
      weights = self.param(block_name(i), _draw_block, block)
      x = _switch(block, self.kernels, x, weights, z['gate'][i], z['choice'][i])
    return _classify(self, ends('last', last(size), x), self.num_classes)


def _draw_block(key, block):
  """{choice: its weights}, of one draw: a draw a choice takes XLA longer to compile."""
  layers = {name: sum(branches(block, name), ()) for name in CHOICES}
  ends = np.cumsum([n_weights(mine) for mine in layers.values()])
  return dict(zip(CHOICES, jnp.split(draw(key, sum(layers.values(), ())), ends[:-1])))


def path_parameters(theta: Mapping[str, Any], choices: Iterable[str]) -> dict[str, Any]:
  """The parameters of `ShuffleNet` on a path through a supernet, which are the supernet's own.

  Args:
    theta: parameters of a `ShuffleSuperNet`.
    choices: names of the choice of every block.
  """
  out = {name: x for name, x in theta.items() if not name.startswith('block')}
  return out | {block_name(i): theta[block_name(i)][name] for i, name in enumerate(choices)}


class ShuffleNet(nn.Module):
  """One path as a network, with the call and the variables of
  `daas_jax.nets.fixed.residual.ResidualNet`.

  Call: (images [B, H, W, channels in], train, drop_path=0.0) -> (logits [B, num_classes], None). In
  training it computes what the supernet computes on that path. 'params' are those of
  `path_parameters`; 'batch_stats' are running averages {stem, block.., last: {'mean' [n],
  'variance' [n]}}, layer by layer, main branch before side.

  Attributes:
    choices: names of the choice of every block, of `CHOICES`.
    num_classes, size, kernels: as of `ShuffleSuperNet`.
  """
  choices: tuple
  num_classes: int
  size: str = 'cifar'
  kernels: str = 'fast'
  takes_noise = False

  @nn.compact
  def __call__(self, images: jax.Array, train: bool,
               drop_path: Any = 0.0) -> tuple[jax.Array, None]:
    del drop_path
    size, kernels = SIZES[self.size], k.KERNELS[self.kernels]
    # A block's moments as it has them; `run` says what is to be normalised with them.
    def part(name, layers, x, run):
      vector, averages = self.param(name, draw, layers), None
      if not train or self.is_mutable_collection('batch_stats'):
        averages = self.variable('batch_stats', name, lambda n: {
            'mean': jnp.zeros(n),
            'variance': jnp.ones(n)
        }, n_moments(layers))
      moments = {}

      def norm(x, at):
        if not train:
          mine = jax.tree.map(lambda a: beside(a[at : at + x.shape[-1]], x), averages.value)
          return (x - mine['mean']) * lax.rsqrt(mine['variance'] + BN_EPSILON)
        if averages is not None:
          moments[at] = dict(zip(('mean', 'variance'), kernels.moments(lax.stop_gradient(x))))
        return kernels.batch_norm(x)

      x = run(x, vector, norm)
      if moments and not self.is_initializing():
        new = jax.tree.map(lambda *parts: jnp.concatenate(parts),
                           *[moments[at] for at in sorted(moments)])
        averages.value = optax.incremental_update(new, averages.value, 1 - MOMENTUM)
      return x

    def ends(name, layers, x):
      return part(name, layers, x,
                  lambda x, vector, norm: _layers(x, layers, vector, kernels, norm))

    x = ends('stem', stem(size, images.shape[-1]), images)
    for i, (block, choice) in enumerate(zip(blocks(size), self.choices, strict=True)):
      x = part(
          block_name(i), sum(branches(block, choice), ()), x,
          functools.partial(
              lambda x, vector, norm, block, choice: run_block(
                  x, block, choice, vector, 1.0, kernels, norm), block=block, choice=choice))
    return _classify(self, ends('last', last(size), x), self.num_classes), None
