"""Two tiny cells, all of whose architectures are enumerated: what estimators of the architecture
gradient are compared on.

Each is a stem, a few edges that choose among operations of the supernet, and a linear layer, on
real images, with trained weights. E edges of O operations are O^E architectures; their losses and
derivatives on one batch are computed once, after which a draw is a look-up. So are draws of earlier
steps of the training, for estimators that learn from the past.
"""

import functools
import itertools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from daas_jax.augment import preprocess
from daas_jax.estimators import architecture
from daas_jax.estimators.unrolled import update
from daas_jax.gradcheck.point import in_parallel
from daas_jax.nets import kernels as k
from daas_jax.nets.cells.primitives import PRIMITIVES
from daas_jax.nets.losses import cross_entropy

CHANNELS = 8
PAST_DRAWS = 16
"""Architectures of which each earlier step's loss is known; an estimator's past is some of them."""


class Space(NamedTuple):
  """The architectures of a tiny cell.

  Attributes:
    edges: E pairs (from, to) of nodes; node 0 is the stem's output, the last one the cell's.
    primitives: names of the O operations that an edge chooses among.
  """
  edges: tuple
  primitives: tuple


EDGES = {'small': ((0, 1), (0, 2), (1, 2)), 'large': ((0, 1), (0, 2), (1, 2), (2, 3))}
"""The edges of the two cells that there are, by name."""
PRIMITIVES_KEY = {'small': 'arch_primitives', 'large': 'arch_large_primitives'}
"""The key of the group `lab` that names the operations of each."""
FILES = {'small': 'gradcheck_arch.json', 'large': 'gradcheck_arch_large.json'}
"""Where the laboratory writes the rows of each."""


def init(key, space, channels_in, num_classes):
  """Weights {'stem', 'edge.primitive.weight', 'kernel', 'bias'} of a tiny cell."""
  shapes = {
      'stem': ((3, 3, channels_in, CHANNELS), 9 * channels_in),
      'kernel': ((CHANNELS, num_classes), CHANNELS),
      'bias': ((num_classes,), CHANNELS)
  }
  for e, name in itertools.product(range(len(space.edges)), space.primitives):
    shapes |= {f'{e}.{name}.{w}': s for w, s in PRIMITIVES[name].shapes(CHANNELS, 1).items()}
  return k.draw_weights(key, shapes)


def _operations(theta, e, space):
  """[x -> output] of edge e's candidates."""
  weights = lambda name: {
      key.split('.')[2]: w for key, w in theta.items() if key.startswith(f'{e}.{name}.')
  }
  run = lambda name, x: PRIMITIVES[name].apply(x, weights(name), 1, jax.random.key(e),
                                               k.KERNELS['fast'])
  return [functools.partial(run, name) for name in space.primitives]


def loss(theta, Z, images, labels, space, bumps=None):
  """(cross-entropy [], the nodes) of the path Z [E, O], one-hot, on images [B, H, W, C].

  Args:
    theta, Z, images, labels: as they are called.
    space: a `Space`.
    bumps: [E, B, H', W', CHANNELS], added to the edges' outputs; None: nothing.
  """
  first = k.KERNELS['fast'].batch_norm(k.conv3x3(images, theta['stem'], 2))
  nodes = [first] + [jnp.zeros_like(first)] * max(j for _, j in space.edges)
  for e, (i, j) in enumerate(space.edges):
    out = lax.switch(jnp.argmax(Z[e]), _operations(theta, e, space), nodes[i])
    nodes[j] = nodes[j] + out + (0 if bumps is None else bumps[e])
  logits = jnp.mean(nodes[-1], (1, 2)) @ theta['kernel'] + theta['bias'][None]
  return cross_entropy(logits, labels), nodes


def slopes(theta, Z, images, labels, space):
  """(loss [], {rule: dL/dZ [E, O]}) of the path Z, under each rule of `architecture.mixture`.

  The cotangents of the edges' outputs come from one backward pass through the path alone; what the
  other operations would have given is computed forward.
  """
  first = jax.eval_shape(lambda: loss(theta, Z, images, labels, space)[1][0])
  bumps = jnp.zeros((len(space.edges), *first.shape), first.dtype)
  (value, nodes), cotangents = jax.value_and_grad(
      lambda bumps: loss(theta, Z, images, labels, space, bumps), has_aux=True)(bumps)
  found = {rule: [] for rule in architecture.RULES}
  for e, (i, _) in enumerate(space.edges):
    outputs = jnp.stack([apply(nodes[i]) for apply in _operations(theta, e, space)])
    for rule, rows in found.items():
      pull = jax.vjp(lambda w, rule=rule: architecture.mixture(outputs, w, rule), Z[e])[1]
      rows.append(pull(cotangents[e])[0])
  return value, {rule: jnp.stack(rows) for rule, rows in found.items()}


class Past(NamedTuple):
  """Draws of H earlier steps, each with the weights and the batch of its own: Z [H, m, E, O] from
  the cell's alpha, values [H, m] losses."""
  Z: jax.Array
  values: jax.Array


class Cell(NamedTuple):
  """What is known of all A = O^E architectures.

  Attributes:
    alpha: [E, O] logits, drawn once: standard normal / 2.
    Z: [A, E, O] one-hot.
    values: [A] losses.
    slopes: {rule: [A, E, O]} dL/dZ under each rule of `architecture.mixture`.
    past: `Past` of `lab.history` steps, m = `PAST_DRAWS`.
  """
  alpha: jax.Array
  Z: jax.Array
  values: jax.Array
  slopes: dict
  past: Past


class _Programs(NamedTuple):
  """Compiled once and called for each architecture: XLA's convolutions are slow in loops on CPU."""
  train: Any
  slopes: Any
  loss: Any


def _programs(config, space, images, labels):
  optimizer = optax.sgd(config.theta.lr, config.theta.momentum)

  @jax.jit
  def train(carry, key):
    theta, state = carry
    key_rows, key_z = jax.random.split(key)
    rows = jax.random.randint(key_rows, (config.search.batch,), 0, len(labels))
    Z = architecture.sample(key_z, jnp.zeros((len(space.edges), len(space.primitives))))
    gradient = jax.grad(lambda theta: loss(theta, Z, images[rows], labels[rows], space)[0])(theta)
    return update(optimizer, gradient, state, theta)

  b = config.search.batch
  return optimizer, _Programs(
      train, jax.jit(lambda theta, Z: slopes(theta, Z, images[:b], labels[:b], space)),
      jax.jit(lambda theta, Z, rows: loss(theta, Z, images[rows], labels[rows], space)[0]))


def build_cell(config, data, name='small'):
  """Trains a tiny cell for `lab.arch_steps` steps, an architecture drawn uniformly for each, and
  enumerates it.

  Args:
    config: of the laboratory.
    data: a `daas_jax.data.dataset.Dataset`.
    name: a key of `EDGES`.
  """
  space = Space(EDGES[name], tuple(config.lab[PRIMITIVES_KEY[name]]))
  classes = len(data.class_names)
  E, O = len(space.edges), len(space.primitives)
  key_theta, key_alpha, key_train = jax.random.split(
      jax.random.fold_in(jax.random.key(config.seed), 6), 3)
  images = preprocess.normalise(preprocess.to_float(jnp.asarray(data.train_images)), data.mean,
                                data.std)
  labels = jnp.asarray(data.train_labels)
  optimizer, run = _programs(config, space, images, labels)
  theta = init(key_theta, space, images.shape[-1], classes)
  carry, trail = (theta, optimizer.init(theta)), []
  for key in jax.random.split(key_train, config.lab.arch_steps):
    trail.append(carry[0])
    carry = run.train(carry, key)
  trail.append(carry[0])
  alpha = jax.random.normal(key_alpha, (E, O)) / 2
  Z = np.eye(O, dtype=np.float32)[list(itertools.product(range(O), repeat=E))]
  rows = in_parallel(lambda Z: jax.device_get(run.slopes(trail[-1], Z)), Z)
  values, table = jax.tree.map(lambda *rows: jnp.stack(rows), *rows)
  past = _past(config, alpha, trail, run, len(labels))
  return Cell(alpha, jnp.asarray(Z), values, table, past)


def _past(config, alpha, trail, run, n):
  """The `Past` of the last `lab.history` steps of the training, whose weights are `trail`'s."""
  steps, b = config.lab.history, config.search.batch
  key_rows, key_z = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 8))
  rows = np.asarray(jax.random.randint(key_rows, (steps, b), 0, n))
  Z = np.asarray(jax.vmap(jax.vmap(architecture.sample, (0, None)), (0, None))(
      jax.random.split(key_z, (steps, PAST_DRAWS)), alpha))

  def values(step):
    theta = trail[max(len(trail) - 1 - steps + step, 0)]
    return [float(run.loss(theta, z, rows[step])) for z in Z[step]]

  return Past(jnp.asarray(Z), jnp.asarray(in_parallel(values, range(steps)),
                                          alpha.dtype).reshape(Z.shape[:2]))


def tabulated(cell, rule):
  """The cell's loss as a function of one-hot Z, by look-up, with the derivative of the rule."""
  E, O = cell.alpha.shape
  place = jnp.array([O**e for e in reversed(range(E))])

  @jax.custom_vjp
  def value(Z):
    return cell.values[jnp.argmax(Z, -1) @ place]

  value.defvjp(lambda Z: (value(Z), Z), lambda Z, g:
               (g * cell.slopes[rule][jnp.argmax(Z, -1) @ place],))
  return value
