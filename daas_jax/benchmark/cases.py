"""What the benchmark times: one compiled program a case, at the paper's size (8 cells, 16 channels,
32 x 32 x 3)."""

import functools
import itertools
import tempfile
from typing import Any, Callable, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import apply, inputs
from daas_jax.augment.ops import DAAS_OPS
from daas_jax.benchmark import synthetic
from daas_jax.config import schema as config_lib
from daas_jax.data import streaming
from daas_jax.data.dataset import Dataset
from daas_jax.errors import BadInput
from daas_jax.estimators import curvature
from daas_jax.methods import problem as problem_lib, registry, training
from daas_jax.nets import kernels, registry as nets
from daas_jax.nets.cells import architecture, genotype
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.nets.cells.supernet import SuperNet
from daas_jax.nets.fixed import family
from daas_jax.nets.losses import cross_entropy
from daas_jax.types import Batch

SIDE, CLASSES = 32, 10


class Case(NamedTuple):
  """One timed program.

  Attributes:
    function: a pure function, compiled as it is.
    arguments: what it is called with, a tuple; or several of them, a list: call after call takes
      the next.
    images: images that it looks at in one call.
    floor: (case, times): what it could not be faster than, such as its passes one after the other;
      or None.
    runs: whether it is run; else it is compiled for its memory alone.
    host: whether it is an ordinary function, which is not compiled.
  """
  function: Callable
  arguments: Any
  images: int
  floor: Any = None
  runs: bool = True
  host: bool = False


def _images(batch, seed=0):
  rng = np.random.default_rng(seed)
  images = jnp.asarray(rng.uniform(size=(batch, SIDE, SIDE, 3)), jnp.float32)
  return images, jnp.asarray(rng.integers(CLASSES, size=batch))


def _only_float32(dtype):
  if dtype != 'float32':
    raise BadInput(f'this case computes in float32 alone, not in {dtype}')


def _data():
  """A data set's facts; a search's batches are given to its step one by one."""
  some = np.zeros((2, SIDE, SIDE, 3), np.uint8)
  return Dataset('benchmark', some, np.zeros(2, np.int32), some, np.zeros(2, np.int32),
                 tuple(map(str, range(CLASSES))), (0.5,) * 3, (0.25,) * 3)


def _supernet(dtype='float32', **options):
  """(theta, alpha and beta, 16 samples of them, loss(theta, z, images, labels)) at the paper's
  size.

  Samples differ in cost (a separable convolution of 5 x 5 against an identity), so none may stand
  for all.
  """
  net = SuperNet(CLASSES, dtype=dtype, **{'kernels': kernels.choose(), **options})
  arch = architecture.init(jax.random.key(1), DAAS_PRIMITIVES)
  z = [architecture.sample(jax.random.key(i), arch, 1.0) for i in range(16)]
  theta = jax.jit(SuperNet(CLASSES).init)(jax.random.key(0), z[0], jnp.zeros(
      (1, SIDE, SIDE, 3)))['params']
  def loss(theta, z, images, labels):
    return cross_entropy(net.apply({'params': theta}, z, images), labels)
  return theta, arch, z, loss


def _single_path_forward(batch, dtype):
  theta, _, z, loss = _supernet(dtype)
  return Case(loss, [(theta, one, *_images(batch)) for one in z], batch)


def _single_path_grad(batch, dtype):
  theta, _, z, loss = _supernet(dtype)
  samples = [(theta, one, *_images(batch)) for one in z]
  return Case(jax.value_and_grad(loss, (0, 1)), samples, batch, ('single_path_forward', 1))


def _arch_step(batch, dtype):
  """Eq. 7-9 of one architecture: the sample, its gradient pulled back to alpha and beta."""
  theta, arch, _, loss = _supernet(dtype)
  def step(theta, arch, key, images, labels):
    return jax.grad(lambda arch: loss(theta, architecture.sample(key, arch, 1.0), images, labels))(
        arch)
  samples = [(theta, arch, jax.random.key(i), *_images(batch)) for i in range(16)]
  return Case(step, samples, batch, ('single_path_grad', 1))


def _search(batch, config):
  """(compiled-to-be step, its arguments) of a search."""
  config.search.batch = batch
  method = registry.build(config, problem_lib.build(config, _data()), steps_per_epoch=100)
  state = jax.jit(method.init)(jax.random.key(0))
  images = lambda seed: jnp.asarray(
      np.random.default_rng(seed).integers(0, 256, (batch, SIDE, SIDE, 3)), jnp.uint8)
  labels = _images(batch)[1].astype(jnp.int32)
  return method.step, (state, Batch(images(0), labels, images(1), labels))


def _daas_step(batch, dtype, n_arch=5, n_aug=2, n_w=10, runs=True):
  config = config_lib.search_config()
  config.search.warmup_epochs, config.network.dtype = 0, dtype
  config.search.n_arch, config.search.n_aug, config.search.n_w = n_arch, n_aug, n_w
  step, arguments = _search(batch, config)
  passes = n_arch + n_w + n_arch * (n_aug + 1)
  return Case(step, arguments, 2 * batch, ('single_path_grad', passes) if runs else None, runs)


def _policy_step(batch, dtype):
  """The smallest DAAS step: n_arch = 1, n_aug = 2, n_w = 1, so 5 passes of which 3 are Eq.
  10-13's."""
  return _daas_step(batch, dtype, 1, 2, 1)


def _ddas_step(batch, dtype):
  """DDAS on its network, with a validation batch of the training batch's size: n_policies + 2
  passes."""
  _only_float32(dtype)
  config = config_lib.search_config('ddas')
  config.network.name = 'wrn_40_2'
  return Case(*_search(batch, config), 2 * batch, ('wrn_40_2', config.search.n_policies + 2))


def _mixture(arch):
  """alpha and beta as DARTS's mixture weights: softmax over operations; every edge whole."""
  return {'A': jax.nn.softmax(arch['alpha']), 'B': jnp.ones_like(arch['beta'])}


def _dense(batch, dtype, gradient, floor=None, runs=True, **options):
  """A DARTS gradient on the dense supernet: `gradient` of (L_val, L_train, theta, arch)."""
  theta, arch, _, loss = _supernet(dtype, dense=True, **options)
  def run(theta, arch, train, val):
    of = lambda batch: lambda theta, arch: loss(theta, _mixture(arch), *batch)
    return gradient(of(val), of(train), theta, arch)
  return Case(run, (theta, arch, _images(batch, 0), _images(batch, 1)), batch, floor, runs)


DENSE = {
    'dense_weight': lambda val, train, theta, arch: jax.grad(train)(theta, arch),
    'dense_first_order': lambda val, train, theta, arch: jax.grad(val, 1)(theta, arch),
    'dense_second_order': functools.partial(curvature.second_order_gradient, xi=0.025),
    'dense_amended': functools.partial(curvature.amended_gradient, eta=0.1),
}
"""{case: the gradient it takes}: of theta; of alpha by first-order, second-order and
Amended-DARTS."""


def _augment(batch, dtype, names, per):
  _only_float32(dtype)
  images = _images(batch)[0]
  function = functools.partial(apply.apply_policy, ops=names, per=per)
  slots = 1 if len(names) == 1 else 2
  o = jnp.zeros(slots, jnp.int32) if slots == 1 else jnp.array(
      [DAAS_OPS.index('Rotate'), DAAS_OPS.index('Equalize')])
  y = jnp.ones(slots if per == 'batch' else (batch, slots), jnp.int32)
  return Case(function, (images, o, y, jnp.full(slots, 0.7), jax.random.key(0)), batch)


def _fixed_grad(batch, dtype, name):
  """The gradient of a fixed network's training loss: a pass of a policy search, most of a step of
  its training."""
  _only_float32(dtype)
  net = family.make(name, CLASSES, kernels=kernels.choose())
  variables = jax.jit(lambda key: net.init(key, jnp.zeros((1, SIDE, SIDE, 3)), False))(
      jax.random.key(0))
  def loss(theta, images, labels, key):
    return cross_entropy(family.InSearch(net).apply({'params': theta}, {}, images, key), labels)

  return Case(jax.value_and_grad(loss), (variables['params'], *_images(batch), jax.random.key(1)),
              batch)


def _derived_20x36(batch, dtype):
  """A training step of a derived network as the paper trains it: 20 cells, 36 channels, auxiliary
  head, drop-path."""
  _only_float32(dtype)
  config = config_lib.train_config()
  net = training.network(config, genotype.random_genotype(0, DAAS_PRIMITIVES), CLASSES)
  tx, lr = training.optimizer(config, 1000)
  state = training.init_state(net, tx, jax.random.key(0), (SIDE, SIDE, 3))
  train_input = inputs.given_input(config, _data(), lambda key, images, progress: images, True)
  images, labels = _images(batch)
  step = training.make_step(config, net, tx, lr, train_input, 1000)
  return Case(step, (state, ((255 * images).astype(jnp.uint8), labels)), batch)


def _input(batch, dtype, workers):
  """Batches of the streamed input, as many a call as there are workers: photographs decoded to 224
  x 224."""
  _only_float32(dtype)
  folder = tempfile.TemporaryDirectory()
  photographs, labels = synthetic.streamed(folder.name, max(256, batch), workers)
  take = streaming.TrainStream(photographs, labels, 0, batch)
  at_once, steps = max(1, workers), itertools.count()

  def call(folder):  # which is there as long as this case is
    return [take(next(steps)) for _ in range(at_once)]

  return Case(call, (folder,), at_once * batch, host=True)


def _input_step(batch, dtype):
  """The least that a step on ImageNet does with its images: one training pass of ResNet-18 at 224 x
  224."""
  _only_float32(dtype)
  side, classes = synthetic.SIDE, 1000
  net = family.make('resnet_18_imagenet', classes, kernels=kernels.choose())
  variables = jax.jit(lambda key: net.init(key, jnp.zeros((1, side, side, 3)), False))(
      jax.random.key(0))
  def loss(theta, images, labels, key):
    return cross_entropy(family.InSearch(net).apply({'params': theta}, {}, images, key), labels)
  images = jax.random.uniform(jax.random.key(2), (batch, side, side, 3))
  return Case(jax.value_and_grad(loss),
              (variables['params'], images, jnp.arange(batch) % classes, jax.random.key(1)), batch)


INPUT_WORKERS = 0, 2, 8

_FLOOR_OF_DENSE = {name: ('dense_first_order', 1) for name in DENSE if name != 'dense_first_order'}

CASES = {
    'single_path_forward': _single_path_forward,
    'single_path_grad': _single_path_grad,
    'arch_step': _arch_step,
    'policy_step': _policy_step,
    'daas_step': _daas_step,
    'ddas_step': _ddas_step,
    'daas_memory_2': functools.partial(_daas_step, n_arch=2, n_w=2, runs=False),
    'daas_memory_20': functools.partial(_daas_step, n_arch=20, n_w=20, runs=False),
    **{name: functools.partial(_dense, gradient=gradient, floor=_FLOOR_OF_DENSE.get(name))
       for name, gradient in DENSE.items()},
    'dense_plain_memory': functools.partial(
        _dense, gradient=DENSE['dense_weight'], runs=False, kernels='plain'),
    **{f'augment:{name}': functools.partial(_augment, names=(name,), per='batch')
       for name in DAAS_OPS},
    'augment:policy_per_batch': functools.partial(_augment, names=DAAS_OPS, per='batch'),
    'augment:policy_per_image': functools.partial(_augment, names=DAAS_OPS, per='image'),
    'derived_20x36': _derived_20x36,
    **{name: functools.partial(_fixed_grad, name=name)
       for name in nets.networks() if name in family.FIXED},
    **{f'input:workers_{n}': functools.partial(_input, workers=n) for n in INPUT_WORKERS},
    'input:step': _input_step,
}
"""{name: (batch, dtype) -> `Case`}, in the order of the table. BadInput where a case has no such
dtype."""
