"""Every estimator of the architecture gradient on a tiny cell, all of whose architectures are
enumerated.

The cell: two nodes after its input, three edges, a few operations of the supernet, on real images,
with trained weights. Three edges of O operations are O^3 architectures; their losses and
derivatives are computed once, after which a draw is a look-up.
"""

import itertools
from typing import NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np
import optax

from daas_jax.augment import preprocess
from daas_jax.estimators import architecture, exact, score, summary
from daas_jax.estimators.unrolled import update
from daas_jax.nets import kernels as k
from daas_jax.nets.cells.primitives import PRIMITIVES
from daas_jax.nets.losses import cross_entropy

EDGES = ((0, 1), (0, 2), (1, 2))
"""(from, to) among the nodes; node 0 is the stem's output, node 2 the cell's."""
CHANNELS = 8


def init(key, primitives, channels_in, num_classes):
  """Weights {'stem', 'edge.primitive.weight', 'kernel', 'bias'} of the tiny cell."""
  shapes = {
      'stem': ((3, 3, channels_in, CHANNELS), 9 * channels_in),
      'kernel': ((CHANNELS, num_classes), CHANNELS),
      'bias': ((num_classes,), CHANNELS)
  }
  for e, name in itertools.product(range(len(EDGES)), primitives):
    shapes |= {f'{e}.{name}.{w}': s for w, s in PRIMITIVES[name].shapes(CHANNELS, 1).items()}
  return k.draw_weights(key, shapes)


def loss(theta, Z, images, labels, primitives, rule='all'):
  """Cross-entropy [] of the cell at Z [E, O] on images [B, H, W, C]; `rule` as in
  `architecture.mixture`."""
  kernels = k.KERNELS['plain']
  nodes = [kernels.batch_norm(k.conv3x3(images, theta['stem'], 2)), 0.0, 0.0]
  for e, (i, j) in enumerate(EDGES):
    weights = lambda name: {
        key.split('.')[2]: w for key, w in theta.items() if key.startswith(f'{e}.{name}.')
    }
    outputs = jnp.stack([
        PRIMITIVES[name].apply(nodes[i], weights(name), 1, jax.random.key(e), kernels)
        for name in primitives
    ])
    nodes[j] = nodes[j] + architecture.mixture(outputs, Z[e], rule)
  features = jnp.mean(nodes[2], (1, 2))
  logits = features @ theta['kernel'] + theta['bias'][None]
  return cross_entropy(logits, labels)


class Cell(NamedTuple):
  """What is known of all A = O^E architectures.

  Attributes:
    alpha: [E, O] logits, drawn once: standard normal / 2.
    Z: [A, E, O] one-hot.
    values: [A] losses.
    slopes: {rule: [A, E, O]} dL/dZ under each rule of `architecture.mixture`.
  """
  alpha: jax.Array
  Z: jax.Array
  values: jax.Array
  slopes: dict


def build_cell(config, data):
  """Trains the tiny cell for `lab.arch_steps` steps, an architecture drawn uniformly for each, and
  enumerates it."""
  primitives, classes = tuple(config.lab.arch_primitives), len(data.class_names)
  key_theta, key_alpha, key_train = jax.random.split(
      jax.random.fold_in(jax.random.key(config.seed), 6), 3)
  b = config.search.batch
  images = preprocess.normalise(preprocess.to_float(jnp.asarray(data.train_images)), data.mean,
                                data.std)
  labels = jnp.asarray(data.train_labels)
  theta = init(key_theta, primitives, images.shape[-1], classes)
  optimizer = optax.sgd(config.theta.lr, config.theta.momentum)

  @jax.jit
  def train(theta):
    def step(carry, key):
      theta, state = carry
      key_rows, key_z = jax.random.split(key)
      rows = jax.random.randint(key_rows, (b,), 0, len(labels))
      Z = architecture.sample(key_z, jnp.zeros((len(EDGES), len(primitives))))
      gradient = jax.grad(loss)(theta, Z, images[rows], labels[rows], primitives)
      return update(optimizer, gradient, state, theta), None

    return lax.scan(step, (theta, optimizer.init(theta)),
                    jax.random.split(key_train, config.lab.arch_steps))[0][0]

  theta = train(theta)
  Z = jnp.array([jax.nn.one_hot(jnp.array(o), len(primitives))
                 for o in itertools.product(range(len(primitives)), repeat=len(EDGES))])

  @jax.jit
  def tabulate(Z):
    one = lambda rule: lambda Z: jax.value_and_grad(loss, argnums=1)(theta, Z, images[:b],
                                                                     labels[:b], primitives, rule)
    tables = {rule: lax.map(one(rule), Z) for rule in architecture.RULES}
    return tables['all'][0], {rule: table[1] for rule, table in tables.items()}

  return Cell(jax.random.normal(key_alpha, Z.shape[1:]) / 2, Z, *tabulate(Z))


def tabulated(cell, rule):
  """The cell's loss as a function of one-hot Z, by look-up, with the derivative of the rule."""
  place = jnp.array([cell.Z.shape[2] ** e for e in reversed(range(len(EDGES)))])

  @jax.custom_vjp
  def value(Z):
    return cell.values[jnp.argmax(Z, -1) @ place]

  value.defvjp(lambda Z: (value(Z), Z), lambda Z, g:
               (g * cell.slopes[rule][jnp.argmax(Z, -1) @ place],))
  return value


def table(cell, tau):
  """{name: (key -> gradient like alpha, passes)}."""
  through = lambda rule: lambda key: architecture.straight_through(tabulated(cell, rule), key, cell.
                                                                   alpha, tau)
  value = tabulated(cell, 'all')
  return {
      'straight_through': (through('all'), 2),
      'straight_through_sampled': (through('sampled'), 2),
      'gdas_ones': (through('ones'), 2),
      'dsnas': (lambda key: architecture.dsnas(value, key, cell.alpha), 2),
      'score_function': (lambda key: architecture.score_function(value, key, cell.alpha, 2), 2),
      'score_leave_one_out': (
          lambda key: architecture.score_function(value, key, cell.alpha, 2, score.leave_one_out), 2
      ),
  }


def compare(config, data):
  """Rows of the architecture gradient's estimators, the exact one's first; group 'alpha', without
  seconds."""
  cell = build_cell(config, data)
  gradient, _ = exact.expected_loss_gradient(tabulated(cell, 'all'), architecture.log_prob,
                                             cell.alpha, cell.Z)
  exact_flat = np.asarray(gradient).reshape(-1)
  keys = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 7), config.lab.arch_draws)
  rows = [{
      'estimator': 'exact',
      'group': 'alpha',
      **summary.Summary(0.0, 0.0, 0.0, 1.0, 1.0, 1.0)._asdict(), 'passes': len(cell.values)
  }]
  for name, (estimate, passes) in table(cell, config.lab.tau).items():
    draws = np.asarray(jax.jit(lambda keys, f=estimate: lax.map(f, keys))(keys)).reshape(
        len(keys), -1)
    rows.append({
        'estimator': name,
        'group': 'alpha',
        **summary.summarise(draws, exact_flat)._asdict(), 'passes': passes
    })
  return rows
