"""`python docs/cells.py WORKDIR`: what an architecture search could win, and what shared weights know of it.

Cells of the quickstart's space are drawn at random and each is trained alone, twice, from other starts and batches: how
much of the accuracies' spread is the cells', and how much is chance? Beside it one supernet, of which every step trains a
cell drawn at random: after so many steps, in which order do its validation losses have the same cells? In which order do
their weights, and what is left of all of it among cells that weigh the same (of which a line through the weights is taken
off)? And what is each operation worth, alone and to the supernet: how the loss changes where it stands in the place of
another, by a regression over the cells, and cells that have no other. Results are kept in WORKDIR/results.json as they
come: the same command goes on.
"""

import functools
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy import stats

import kept

from daas_jax.augment import inputs, preprocess
from daas_jax.config import file as config_file
from daas_jax.data import select
from daas_jax.estimators.unrolled import update
from daas_jax.files import atomic
from daas_jax.methods import problem as problem_lib
from daas_jax.nets.cells import architecture, genotype as genotype_lib, weights as weights_lib

CELLS, REPEATS = 60, 2
ALONE = 310  # steps of a network of its own, as in configs/train_quickstart.py
SHARED = (155, 310, 620, 1240, 2480)  # steps of the supernet when it is asked
BATCH, VAL, CHUNK = 64, 2000, 250  # images


def make():
  """{name: compiled function} over one split of the packaged images, at the quickstart's side."""
  config = config_file.run('configs/quickstart.py')
  config.data.name = 'embedded'
  data = select.from_config(config, 8)
  problem = problem_lib.build(config, data)
  rows = np.random.default_rng(0).permutation(len(data.train_labels))
  train, val = rows[:-VAL], rows[-VAL:]
  images, labels = jnp.asarray(data.train_images[train]), jnp.asarray(data.train_labels[train])
  chunks = lambda x: x.reshape(-1, CHUNK, *x.shape[1:])
  vals = chunks(problem.val_input(jnp.asarray(data.train_images[val]))), chunks(jnp.asarray(data.train_labels[val]))
  uniform = jax.tree.map(jnp.zeros_like, problem.arch.init(jax.random.key(0)))
  sample = lambda key: architecture.sample(key, uniform, 1.0)

  def optimizer(steps):
    rate = optax.cosine_decay_schedule(0.1, steps) if steps else 0.05
    return optax.chain(optax.clip_by_global_norm(5.0), optax.add_decayed_weights(3e-4), optax.sgd(rate, 0.9))

  def gradient(theta, z, key):
    key_rows, key_images = jax.random.split(key)
    rows = jax.random.randint(key_rows, (BATCH,), 0, len(labels))
    x = inputs.standard_preprocessing(preprocess.to_float(images[rows]), key_images, config.preprocess)
    x = preprocess.normalise(x, data.mean, data.std)
    return jax.grad(lambda theta: problem.loss(theta, z, x, labels[rows], None)[0])(theta)

  @jax.jit
  def alone(z, key):
    """Weights of a network of its own."""
    theta, opt = problem.init_theta(key), optimizer(ALONE)
    def step(carry, key):
      theta, state = carry
      return update(opt, gradient(theta, z, key), state, theta), None
    return jax.lax.scan(step, (theta, opt.init(theta)), jax.random.split(jax.random.fold_in(key, 1), ALONE))[0][0]

  @functools.partial(jax.jit, static_argnums=2)
  def shared(carry, key, steps):
    """Weights of all, each step's of one cell that is drawn."""
    def step(carry, key):
      theta, state = carry
      return update(optimizer(0), gradient(theta, sample(key), jax.random.fold_in(key, 1)), state, theta), None
    return jax.lax.scan(step, carry, jax.random.split(key, steps))[0]

  @jax.jit
  def judged(theta, z):
    """(loss, accuracy) of D_val under the moments of its batches, as a search has them."""
    loss, accuracy = jax.lax.map(lambda pair: problem.loss(theta, z, *pair, None), vals)
    return jnp.mean(loss), jnp.mean(accuracy)

  def begin(key):
    theta = problem.init_theta(key)
    return theta, optimizer(0).init(theta)

  names = config.network.primitives
  cells = {str(i): sample(jax.random.key(1000 + i)) for i in range(CELLS)}
  edges = cells['0']['B']
  cells |= {name: {'A': jnp.zeros_like(cells['0']['A']).at[..., n].set(1.0), 'B': edges} for n, name in enumerate(names)}
  counts = np.array([jnp.sum(cells[str(i)]['A'] * cells[str(i)]['B'][..., None], (0, 1)) for i in range(CELLS)])
  genotypes = [genotype_lib.derive(cells[str(i)]['A'], cells[str(i)]['B'], names) for i in range(CELLS)]
  weights = np.array([weights_lib.operations(g, config.network.layers, config.network.channels) for g in genotypes])
  return {'alone': alone, 'shared': shared, 'judged': judged, 'begin': begin, 'cells': cells, 'names': names,
          'counts': counts, 'weights': weights}


def collect(folder):
  """(all results, those that are there not computed again; names of the operations; how many of each a cell has; what
  these weigh)."""
  (results, keep), f = kept.opened(folder), make()
  def judge(name, theta, z):
    keep(name, jax.tree.map(float, f['judged'](theta, z)))
    print(name, results[name], flush=True)
  last = list(f['cells'])[-1]
  if any(f'shared|{steps}|{last}' not in results for steps in SHARED):
    carry, done = f['begin'](jax.random.key(5)), 0
    for steps in SHARED:
      carry = f['shared'](carry, jax.random.fold_in(jax.random.key(6), steps), steps - done)
      done = steps
      for name, z in f['cells'].items():
        judge(f'shared|{steps}|{name}', carry[0], z)
  for repeat in range(REPEATS):
    for i, (name, z) in enumerate(f['cells'].items()):
      if f'alone|{repeat}|{name}' not in results:
        key = jax.random.fold_in(jax.random.key(10 + repeat), i)
        judge(f'alone|{repeat}|{name}', f['alone'](z, key), z)
  return results, f['names'], f['counts'], f['weights']


def effects(losses, counts, names):
  """[(change of the loss by one operation in the place of an average one, its standard error)], of a regression."""
  shares = counts - counts.mean(0)
  design = np.c_[np.ones(len(shares)), shares[:, 1:] - shares[:, :1]]  # the effects sum to 0
  left = np.linalg.pinv(design)
  w = left @ losses
  variance = np.sum((losses - design @ w) ** 2) / (len(losses) - design.shape[1]) * left @ left.T
  own = np.vstack([-np.ones(len(names) - 1), np.eye(len(names) - 1)])  # of all operations, by those that are free
  return list(zip(own @ w[1:], np.sqrt(np.diag(own @ variance[1:, 1:] @ own.T))))


def of_operations(results, names, counts):
  """A table: what every operation is worth, in thousandths of a loss a place, and cells of it alone."""
  rows = [('alone', np.mean([[results[f'alone|{r}|{i}'][0] for i in range(CELLS)] for r in range(REPEATS)], 0),
           {name: np.mean([results[f'alone|{r}|{name}'][1] for r in range(REPEATS)]) for name in names})]
  rows += [(f'shared, {steps:,} steps', np.array([results[f'shared|{steps}|{i}'][0] for i in range(CELLS)]),
            {name: results[f'shared|{steps}|{name}'][1] for name in names}) for steps in SHARED]
  lines = ['| weights | ' + ' | '.join(names) + ' |', '|---' * (len(names) + 1) + '|']
  for label, losses, mono in rows:
    found = zip(effects(losses, counts, names), names)
    cells = [f'{1e3 * w:+.0f} ± {1e3 * se:.0f} ({100 * mono[name]:.0f} %)' for (w, se), name in found]
    lines.append(f'| {label} | ' + ' | '.join(cells) + ' |')
  return lines


def beyond(values, weights):
  """What is left of values [n] without the line that goes through them by weights, scaled so that its variance is unbiased."""
  line = np.polynomial.Polynomial.fit(weights, values, 1)
  return (values - line(weights)) * ((len(values) - 1) / (len(values) - 2)) ** 0.5


def as_text(results, names, counts, weights):
  """The spread; a table of rank correlations with the accuracy alone; one of the operations."""
  alone = 100 * np.array([[results[f'alone|{r}|{i}'][1] for i in range(CELLS)] for r in range(REPEATS)])
  truth, chance = alone.mean(0), alone.var(0, ddof=1).mean()
  own = lambda means: max(0.0, means.var(ddof=1) - chance / REPEATS) ** 0.5
  order = lambda x: (f'{stats.spearmanr(x, truth).statistic:.2f} | '
                     f'{stats.spearmanr(beyond(x, weights), beyond(truth, weights)).statistic:.2f} |')
  lines = [f'{CELLS} random cells, each trained alone {REPEATS} times: accuracy {truth.mean():.1f} %, from '
           f'{truth.min():.1f} to {truth.max():.1f}; standard deviation of a cell\'s own accuracy {own(truth):.2f} points, '
           f'{own(beyond(truth, weights)):.2f} among cells that weigh the same, of chance in one training '
           f'{chance ** 0.5:.2f}; rank correlation of the first with the second training '
           f'{stats.spearmanr(*alone[:2]).statistic:.2f}', '',
           '| ordered by | rank correlation with the accuracy alone | among cells that weigh the same |', '|---|---|---|']
  for steps in SHARED:
    losses = np.array([results[f'shared|{steps}|{i}'] for i in range(CELLS)])
    lines.append(f'| loss with shared weights, {steps:,} steps (mean accuracy {100 * losses[:, 1].mean():.0f} %) | '
                 f'{order(-losses[:, 0])}')
  lines.append(f'| weights of its operations | {stats.spearmanr(weights, truth).statistic:.2f} | |')
  lines += ['', "Change of D_val's loss, in thousandths, by one operation in the place of an average one; in brackets the "
            'accuracy of cells that have no other:', '', *of_operations(results, names, counts)]
  return '\n'.join(lines)


if __name__ == '__main__':
  TEXT = as_text(*collect(sys.argv[1]))
  print(TEXT)
  atomic.write(os.path.join(sys.argv[1], 'table.md'), TEXT + '\n')
