"""What the benchmark times: one compiled program a case, at the paper's size (8 cells, 16 channels, 32 x 32 x 3)."""

import functools
from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax import config as config_lib, problem as problem_lib, training
from daas_jax.augment import apply
from daas_jax.augment.ops import DAAS_OPS
from daas_jax.data.sources import Dataset
from daas_jax.methods import build
from daas_jax.nets import architecture, fixed, genotype
from daas_jax.nets.primitives import DAAS_PRIMITIVES
from daas_jax.nets.supernet import SuperNet
from daas_jax.types import Batch

SIDE, CLASSES = 32, 10


class Case(NamedTuple):
  """One timed program.

  Attributes:
    function: a pure function, compiled as it is.
    arguments: its arguments.
    images: images that it looks at in one call.
    floor: (case, times): what it could not be faster than, such as its passes one after the other; or None.
  """
  function: Callable
  arguments: tuple
  images: int
  floor: Any = None


def _images(batch, seed=0):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.uniform(size=(batch, SIDE, SIDE, 3)), jnp.float32), jnp.asarray(rng.integers(CLASSES, size=batch))


def _data():
  """A data set's facts; a search's batches are given to its step one by one."""
  some = np.zeros((2, SIDE, SIDE, 3), np.uint8)
  return Dataset('benchmark', some, np.zeros(2, np.int32), some, np.zeros(2, np.int32),
                 tuple(map(str, range(CLASSES))), (0.5,) * 3, (0.25,) * 3)


def _supernet(dense=False):
  """(theta, alpha and beta, loss(theta, z, images, labels)) at the paper's size."""
  net = SuperNet(CLASSES, dense=dense)
  arch = architecture.init(jax.random.key(1), DAAS_PRIMITIVES)
  z = architecture.sample(jax.random.key(2), arch, 1.0)
  theta = jax.jit(SuperNet(CLASSES).init)(jax.random.key(0), z, jnp.zeros((1, SIDE, SIDE, 3)))['params']
  def loss(theta, z, images, labels):
    return problem_lib.cross_entropy(net.apply({'params': theta}, z, images), labels)
  return theta, arch, z, loss


def _single_path_forward(batch):
  theta, _, z, loss = _supernet()
  return Case(loss, (theta, z, *_images(batch)), batch)


def _single_path_grad(batch):
  theta, _, z, loss = _supernet()
  return Case(jax.value_and_grad(loss, (0, 1)), (theta, z, *_images(batch)), batch, ('single_path_forward', 1))


def _arch_step(batch):
  """Eq. 7-9 of one architecture: the sample, its gradient pulled back to alpha and beta."""
  theta, arch, _, loss = _supernet()
  def step(theta, arch, key, images, labels):
    return jax.grad(lambda arch: loss(theta, architecture.sample(key, arch, 1.0), images, labels))(arch)
  return Case(step, (theta, arch, jax.random.key(3), *_images(batch)), batch, ('single_path_grad', 1))


def _search(batch, n_arch, n_aug, n_w):
  """(compiled-to-be step, its arguments) of a whole DAAS search's joint phase."""
  config = config_lib.search_config()
  config.search.batch, config.search.warmup_epochs = batch, 0
  config.search.n_arch, config.search.n_aug, config.search.n_w = n_arch, n_aug, n_w
  method = build.build(config, problem_lib.build(config, _data()), steps_per_epoch=100)
  state = jax.jit(method.init)(jax.random.key(0))
  images = lambda seed: jnp.asarray(np.random.default_rng(seed).integers(0, 256, (batch, SIDE, SIDE, 3)), jnp.uint8)
  labels = _images(batch)[1].astype(jnp.int32)
  return method.step, (state, Batch(images(0), labels, images(1), labels))


def _daas_step(batch, n_arch=5, n_aug=2, n_w=10):
  step, arguments = _search(batch, n_arch, n_aug, n_w)
  passes = n_arch + n_w + n_arch * (n_aug + 1)
  return Case(step, arguments, 2 * batch, ('single_path_grad', passes))


def _policy_step(batch):
  """The smallest DAAS step: n_arch = 1, n_aug = 2, n_w = 1, so 5 passes of which 3 are Eq. 10-13's."""
  return _daas_step(batch, 1, 2, 1)


def _mixture(arch):
  """alpha and beta as DARTS's mixture weights: softmax over operations; every edge whole."""
  return {'A': jax.nn.softmax(arch['alpha']), 'B': jnp.ones_like(arch['beta'])}


def _dense(batch, wanted):
  theta, arch, _, loss = _supernet(dense=True)
  of = {'theta': 0, 'arch': 1}[wanted]
  def gradient(theta, arch, images, labels):
    return jax.grad(lambda theta, arch: loss(theta, _mixture(arch), images, labels), of)(theta, arch)
  return Case(gradient, (theta, arch, *_images(batch)), batch, ('dense_weight', 1) if wanted == 'arch' else None)


def _augment(names, per, batch):
  images = _images(batch)[0]
  function = functools.partial(apply.apply_policy, ops=names, per=per)
  slots = 1 if len(names) == 1 else 2
  o = jnp.zeros(slots, jnp.int32) if slots == 1 else jnp.array([DAAS_OPS.index('Rotate'), DAAS_OPS.index('Equalize')])
  y = jnp.ones(slots if per == 'batch' else (batch, slots), jnp.int32)
  return Case(function, (images, o, y, jnp.full(slots, 0.7), jax.random.key(0)), batch)


def _fixed_grad(name, batch):
  """The gradient of a fixed network's training loss: a pass of a policy search, most of a step of its training."""
  net = fixed.make(name, CLASSES)
  variables = jax.jit(lambda key: net.init(key, jnp.zeros((1, SIDE, SIDE, 3)), False))(jax.random.key(0))
  def loss(theta, images, labels, key):
    return problem_lib.cross_entropy(fixed.InSearch(net).apply({'params': theta}, {}, images, key), labels)
  return Case(jax.value_and_grad(loss), (variables['params'], *_images(batch), jax.random.key(1)), batch)


def _derived_20x36(batch):
  """A training step of a derived network as the paper trains it: 20 cells, 36 channels, auxiliary head, drop-path."""
  config = config_lib.train_config()
  net = training.network(config, genotype.random_genotype(0, DAAS_PRIMITIVES), CLASSES)
  tx, lr = training.optimizer(config, 1000)
  state = training.init_state(net, tx, jax.random.key(0), (SIDE, SIDE, 3))
  train_input = training.make_input(config, _data(), lambda key, images: images, True)
  images, labels = _images(batch)
  step = training.make_step(config, net, tx, lr, train_input, 1000)
  return Case(step, (state, ((255 * images).astype(jnp.uint8), labels)), batch)


CASES = {
    'single_path_forward': _single_path_forward,
    'single_path_grad': _single_path_grad,
    'arch_step': _arch_step,
    'policy_step': _policy_step,
    'daas_step': _daas_step,
    'dense_weight': functools.partial(_dense, wanted='theta'),
    'dense_first_order': functools.partial(_dense, wanted='arch'),
    **{f'augment:{name}': functools.partial(_augment, (name,), 'batch') for name in DAAS_OPS},
    'augment:policy_per_batch': functools.partial(_augment, DAAS_OPS, 'batch'),
    'augment:policy_per_image': functools.partial(_augment, DAAS_OPS, 'image'),
    'derived_20x36': _derived_20x36,
    **{f'{name}_grad': functools.partial(_fixed_grad, name) for name in fixed.FIXED},
}
"""{name: batch -> `Case`}, in the order of the table."""
