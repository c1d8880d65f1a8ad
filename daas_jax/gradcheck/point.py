"""A point of a search at which policy gradients are compared: weights, one architecture, one batch,
all policies.

Everything random but the draws of the estimators is fixed here, so L_train(theta, Gamma) and
L_val(theta) are plain functions and the gradient of L_val(theta'(gamma)) is one exact vector.
"""

from concurrent import futures
import functools
import math
import os
from typing import Any, Callable, NamedTuple

import jax
from jax.flatten_util import ravel_pytree
import jax.numpy as jnp
import numpy as np
import optax

from daas_jax.augment import inputs
from daas_jax.augment.ops import OPS
from daas_jax.data import batches as batches_lib
from daas_jax.errors import BadInput, Diverged
from daas_jax.methods import optimizers, problem as problem_lib, registry
from daas_jax.policies import categorical, straight_through

_LARGEST_TABLE = 6e9  # bytes of gradients and images that are kept in memory


class Point(NamedTuple):
  """What estimators are compared at; weights are flat vectors [d].

  Attributes:
    theta: [d].
    gamma, space: policy parameters and their space.
    xi: step of the inner update.
    n_aug: policies a draw.
    tau: temperature of relaxed samples.
    policies: a `categorical.Policy` of arrays [n, K], every policy once.
    outcome: numpy [n], the number of each policy's outcome; events with one effect on the images
      share one.
    images: [outcomes, B, H, W, C], the training batch after every outcome, the unchanged one first.
    labels: [B].
    gradients: numpy [outcomes, d], grad L_train(theta, Gamma) for every outcome.
    value_and_gradients: (theta, images, labels) -> (loss, gradient [d], gradient of the images).
    image_losses: (theta, images, labels) -> [B].
    image_tangents: (theta, v, images, labels) -> [B], derivatives of those along v, in forward
      mode.
    val: theta -> (L_val, its gradient [d]).
    mixture: (gamma, key) -> images of a straight-through sample of one policy.
    mixture_pullback: (gamma, key, cotangent of those images) -> its product with their derivative
      in gamma.
    other_step: i -> (images uint8, labels, val): other batches of the same search.
    train_input: (images uint8, policy, key) -> images.
  """
  theta: Any
  gamma: Any
  space: Any
  xi: float
  n_aug: int
  tau: float
  policies: Any
  outcome: Any
  images: Any
  labels: Any
  gradients: Any
  value_and_gradients: Callable
  image_losses: Callable
  image_tangents: Callable
  val: Callable
  mixture: Callable
  mixture_pullback: Callable
  other_step: Callable
  train_input: Callable


def in_parallel(f, xs):
  """[f(x) for x in xs] on a thread a core, 8 at most: much of a pass runs on one core only.

  The first one is by itself: what it traces is traced once, and on one thread. A function with a
  rule of its own for its derivative that two threads trace at once fails in JAX now and then.
  """
  xs = list(xs)
  first = [f(x) for x in xs[:1]]
  with futures.ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
    return first + list(pool.map(f, xs[1:]))


def _programs(config, data, key, unravel):
  """The compiled functions of the network over flat weights: (z, theta, ...) -> as in `Point`."""
  def losses(kernels, z, theta, images, labels):
    net = problem_lib.network(config, len(data.class_names), kernels)
    noise = key if problem_lib.takes_key(config) else None
    logits = net.apply({'params': unravel(theta)}, z, images, noise)
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels)

  def loss(z, theta, images, labels):
    return jnp.mean(losses('fast', z, theta, images, labels))

  def value_and_gradients(z, theta, images, labels):
    value, gradients = jax.value_and_grad(loss, argnums=(1, 2))(z, theta, images, labels)
    return value, *gradients

  def tangents(z, theta, v, images, labels):
    return jax.jvp(lambda theta: losses('plain', z, theta, images, labels), (theta,), (v,))[1]

  return jax.jit(value_and_gradients), jax.jit(functools.partial(losses, 'fast')), jax.jit(tangents)


def _walk(state, method, batches, config, reporter):
  """The state of the search after `lab.step` steps."""
  step = jax.jit(method.step)
  for i in range(config.lab.step):
    state, metrics = step(state, batches(i))
    if (i + 1) % config.log.every_steps == 0 or i + 1 == config.lab.step:
      loss = float(metrics['val_loss'])
      if not math.isfinite(loss):
        raise Diverged(
            f'val_loss became {loss} by search step {i + 1}: look at the data, or lower the '
            'learning rate'
        )
      reporter.note(f'search step {i + 1} of {config.lab.step}: val_loss {loss:.4f}')
  return state


def _batches(config, data):
  batches = batches_lib.SearchBatches(data, config.seed, config.search.batch,
                                      config.data.val_fraction)
  return batches_lib.Turned(batches, config.data.validation_turns)


def check(config, data):
  """Refuses what `build_point` could not do, before anything is written or minutes have gone.

  Raises:
    BadInput: where `lab.step` lies behind the end of the search, or the policy space is too large
      to enumerate.
  """
  total = config.search.epochs * _batches(config, data).steps_per_epoch
  if config.lab.step >= total:
    raise BadInput(
        f"config key 'lab.step' must be below the {total} steps of the search, not "
        f"{config.lab.step}"
    )
  graded = [OPS[name].graded for name in config.policy.ops]
  n = (1 + sum(config.policy.levels if g else 1 for g in graded)) ** config.policy.K  # outcomes
  theta = jax.eval_shape(problem_lib.build(config, data).init_theta, jax.random.key(0))
  d = sum(a.size for a in jax.tree.leaves(theta))
  pixels = config.search.batch * math.prod(data.train_images.shape[1:])
  if 4 * n * (d + 2 * pixels) > _LARGEST_TABLE:
    raise BadInput(
        f'{n} outcomes of policies times {d} weights and {pixels} pixels are '
        f'{4 * n * (d + 2 * pixels) / 1e9:.0f} GB of gradients and images: '
        'make the policy space (policy.ops, policy.levels, policy.K) or the network smaller')


def _outcomes(policies, space):
  """The first policy of every outcome, and every policy's outcome; what does nothing is outcome
  0."""
  phi = np.asarray(jax.vmap(lambda policy: categorical.features(policy, space))(policies))
  _, first, outcome = np.unique(phi, axis=0, return_index=True, return_inverse=True)
  return first, outcome.reshape(-1)  # rows in lexical order: the one of zeros comes first


def build_point(config, data, reporter):
  """Runs the search to `lab.step` and computes what a `Point` holds.

  Args:
    config: a checked gradcheck config.
    data: a `daas_jax.data.dataset.Dataset`.
    reporter: a `progress.Reporter`.

  Raises:
    BadInput: as `check`.
  """
  check(config, data)
  space, batches = problem_lib.policy_space(config), _batches(config, data)
  problem = problem_lib.build(config, data)
  method = registry.build(config, problem, batches.steps_per_epoch)
  state = jax.jit(method.init)(jax.random.key(config.seed))
  theta, unravel = ravel_pytree(state.theta)
  key_z, key_network, key_images = jax.random.split(
      jax.random.fold_in(jax.random.key(config.seed), 3), 3)
  sample_z = lambda arch: jax.tree.map(jnp.round, problem.arch.sample(key_z, arch, 1.0))

  # The network is compiled on one core while the search walks on the other. Only compiled: both
  # trace the rules of the same cells, which no two threads may do at once (`in_parallel`).
  programs = _programs(config, data, key_network, unravel)
  batch = batches(config.lab.step)
  example = problem.val_input(batch.val_images), batch.val_labels
  z = sample_z(state.arch)
  examples = (z, theta, *example), (z, theta, *example), (z, theta, theta, *example)
  for program, arguments in zip(programs, examples):
    program.trace(*arguments)
  with futures.ThreadPoolExecutor(1) as pool:
    compiling = pool.submit(lambda: [f(*arguments) for f, arguments in zip(programs, examples)])
    state = _walk(state, method, batches, config, reporter)
    compiling.result()
  z, theta = sample_z(state.arch), ravel_pytree(state.theta)[0]
  value_and_gradients, image_losses, image_tangents = (functools.partial(f, z) for f in programs)

  policies = categorical.enumerate_policies(space)
  train_input = jax.jit(problem.train_input)
  first, outcome = _outcomes(policies, space)
  reporter.note(
      f'the training batch under all {len(policies.o)} policies ({len(first)} outcomes), and its '
      'gradients'
  )
  pick = lambda i: jax.tree.map(lambda a: a[i], policies)
  images = jnp.stack([train_input(batch.train_images, pick(i), key_images) for i in first])
  gradients = np.stack(
      in_parallel(
          lambda i: np.asarray(value_and_gradients(theta, images[i], batch.train_labels)[1]),
          range(len(images))))

  def val_of(batch):
    images = problem.val_input(batch.val_images)
    return lambda theta: value_and_gradients(theta, images, batch.val_labels)[:2]

  def other_step(i):
    other = batches(config.lab.step + 1 + i)
    return other.train_images, other.train_labels, val_of(other)

  relaxed = inputs.mixture_input(config, data, space)

  def mixture(gamma, key):
    weights = straight_through.sample(key, gamma, space, config.lab.tau)
    return relaxed(batch.train_images, weights, key_images)

  lr = optimizers.learning_rate(config, batches.steps_per_epoch)
  return Point(
      theta=theta, gamma=state.gamma, space=space, xi=config.search.xi
      or float(lr(config.lab.step)), n_aug=config.search.n_aug, tau=config.lab.tau,
      policies=policies, outcome=outcome, images=images, labels=batch.train_labels,
      gradients=gradients, value_and_gradients=value_and_gradients, image_losses=image_losses,
      image_tangents=image_tangents, val=val_of(batch), mixture=jax.jit(mixture),
      mixture_pullback=jax.jit(
          lambda gamma, key, g: jax.vjp(lambda gamma: mixture(gamma, key), gamma)[1](g)[0]),
      other_step=other_step, train_input=train_input)
