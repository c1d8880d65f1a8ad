"""`python docs/objective.py WORKDIR`: what a policy search sees of an augmentation, against what retraining says of it.

Every operation alone at two strengths, nothing, crop and flip, TrivialAugment Wide, uniform policies and the camera
itself: a small network is trained under each (under-fitted: all images and few steps; over-fitted: a quarter of them
and many), and tested on images of the studio and of the field (`daas_jax/augment/camera.py`). Beside it, at four points
of a training without augmentation, what a search could go by. The rank correlations of the two are one table and one
figure. The measures that cost least are taken once more where theta is trained under uniform policies, as a search
begins. Results are kept in WORKDIR/results.json as they come: the same command goes on.
"""

import functools
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.stats import spearmanr

import kept

from daas_jax import trees
from daas_jax.augment import apply, camera, inputs, preprocess
from daas_jax.augment.ops import DAAS_OPS, OPS
from daas_jax.config import search_config
from daas_jax.data import sources
from daas_jax.estimators import unrolled, wgan
from daas_jax.estimators.unrolled import update
from daas_jax.files import atomic
from daas_jax.methods import problem as problem_lib
from daas_jax.policies import baselines

SEEDS = 3
BUDGETS = {'under-fitted': (2000, 150), 'over-fitted': (500, 600)}  # images, steps
POINTS = (0.05, 0.3, 0.6, 0.9)  # of a training
BATCH, VAL = 64, 256
REPEATS = 10  # batches of a measure; of the longer steps, 3
AHEAD = (1, 5, 20)  # inner steps
THETAS = {'': 'none', 'under policies|': 'uniform'}  # what theta is trained under before it is asked
DATA = {'studio': 'embedded', 'field': 'embedded:field'}
NAMES = tuple(name for name in DAAS_OPS if not OPS[name].colour_only)


def conditions():
  """{name: (kind, operation, strength)} of everything that is trained under."""
  out = {name: (kind, 0, 0.0) for kind, name in enumerate(('none', 'crop and flip', 'TrivialAugment', 'uniform', 'camera'))}
  for o, name in enumerate(NAMES):
    # where a sign is drawn, a weak and a strong one; else one to either side of the identity, where that is in the middle
    for level in (5, 7) if OPS[name].signed else (2, 8) if OPS[name].graded else (0,):
      out[f'{name} {level}' if OPS[name].graded else name] = (5, o, level / 9)
  return out


def _arrays(condition):
  kind, o, strength = condition
  return jnp.int32(kind), jnp.int32(o), jnp.float32(strength)


def make():
  """The functions of the study, compiled when they are first called, over one network and one split."""
  config = search_config()
  config.network.name, config.network.channels, config.preprocess.padding = 'small_cnn', 12, 2
  data = sources.load('embedded')
  rows = np.random.default_rng(0).permutation(len(data.train_labels))
  train, val = rows[:2000], rows[2000:]
  problem = problem_lib.build(config, data)
  to_input = lambda images: preprocess.normalise(images, data.mean, data.std)
  train_images, train_labels = jnp.asarray(data.train_images[train]), jnp.asarray(data.train_labels[train])
  vals = {'studio': data.train_images[val], 'field': camera.photographs(data.train_images[val], 1)}
  tests = {'studio': data.test_images, 'field': camera.photographs(data.test_images, 2)}
  vals, tests = ({name: problem.val_input(jnp.asarray(x)) for name, x in xs.items()} for xs in (vals, tests))
  val_labels, test_labels = jnp.asarray(data.train_labels[val]), jnp.asarray(data.test_labels)
  fixed = {name: baselines.BASELINES[name].make() for name in ('trivial_augment', 'uniform')}

  def augmented(images, condition, key):
    kind, o, strength = condition
    standard = lambda: inputs.standard_preprocessing(images, key, config.preprocess)
    alone = lambda: apply.apply_policy(images, o[None], jnp.ones((len(images), 1)), strength[None], key, ops=NAMES,
                                       per='image')
    return jax.lax.switch(kind, [
        lambda: images, standard, lambda: fixed['trivial_augment'](key, images), lambda: fixed['uniform'](key, images),
        lambda: camera.augment(key, images), alone])

  def batch(rows, condition, key):
    return to_input(augmented(preprocess.to_float(train_images[rows]), condition, key)), train_labels[rows]

  def loss(theta, images, labels):
    return jnp.mean(problem.image_losses(theta, {}, images, labels, None, False, False)[0])

  def beside(theta, images, others, other_labels, which=0):
    """Loss (0) or accuracy (1) of others under the moments of images, as a network in use has them."""
    n = min(len(images), len(others))
    both = jnp.concatenate([images[:n], others[:n]]), jnp.concatenate([other_labels[:n]] * 2)
    return jnp.mean(problem.image_losses(theta, {}, *both, None, True, False)[which][n:])

  def optimizer(steps):
    return optax.chain(optax.add_decayed_weights(3e-4), optax.sgd(optax.cosine_decay_schedule(0.05, steps), 0.9, True))

  def some(key, images, n=BATCH):
    return jax.random.randint(key, (n,), 0, images)

  @functools.partial(jax.jit, static_argnums=(2, 3, 4))
  def training(carry, key, count, total, images, condition):
    def step(carry, key):
      theta, state = carry
      key_rows, key_images = jax.random.split(key)
      x, y = batch(some(key_rows, images), condition, key_images)
      return update(optimizer(total), jax.grad(loss)(theta, x, y), state, theta), None
    return jax.lax.scan(step, carry, jax.random.split(key, count))[0]

  def start(seed, total):
    theta = problem.init_theta(jax.random.key(seed))
    return theta, optimizer(total).init(theta)

  @functools.partial(jax.jit, static_argnums=1)
  def accuracy(theta, images, condition, others, labels):
    rows = jnp.arange(500) % images
    x, _ = batch(rows, condition, jax.random.key(3))
    chunks = lambda a: a.reshape(-1, 500, *a.shape[1:])
    return jnp.mean(jax.lax.map(lambda pair: beside(theta, x, *pair, 1), (chunks(others), chunks(labels))))

  @functools.partial(jax.jit, static_argnums=2)
  def gradient(theta, key, images, condition):
    """Of one batch under one condition: the same images for every condition."""
    key_rows, key_images = jax.random.split(key)
    return jax.grad(loss)(theta, *batch(some(key_rows, images), condition, key_images))

  @functools.partial(jax.jit, static_argnums=2)
  def towards(theta, key, images, vals, labels):
    """The gradients of L_val by D_val's own moments, and by those of training images under uniform policies."""
    rows = some(key, len(labels), VAL)
    x = batch(some(key, images, VAL), _arrays(conditions()['uniform']), key)[0]
    return jax.grad(loss)(theta, vals[rows], labels[rows]), jax.grad(beside)(theta, x, vals[rows], labels[rows])

  @functools.partial(jax.jit, static_argnums=(2, 3))
  def ahead(carry, key, total, images, condition, vals, labels):
    """-L_val after 1, 5 and 20 steps under the condition, from theta and what the optimizer keeps: its momentum; by the
    moments of training images under the condition, as a network in use has them."""
    def step(carry, key):
      theta, state = carry
      key_rows, key_images = jax.random.split(key)
      x, y = batch(some(key_rows, images), condition, key_images)
      carry = update(optimizer(total), jax.grad(loss)(theta, x, y), state, theta)
      return carry, None
    out, done = [], 0
    for n in AHEAD:
      carry = jax.lax.scan(step, carry, jax.random.split(jax.random.fold_in(key, n), n - done))[0]
      done = n
      x = batch(some(key, images, VAL), condition, key)[0]
      rows = some(jax.random.fold_in(key, 9), len(labels), VAL)
      out.append(-beside(carry[0], x, vals[rows], labels[rows]))
    return jnp.stack(out)

  @functools.partial(jax.jit, static_argnums=2)
  def still(carry, key, images, condition, vals, labels):
    """What the moments alone do, before any step: -L_val, the accuracy, the likelihood, and the accuracy with 0.3 of that
    of the images under the condition."""
    rows = some(jax.random.fold_in(key, 9), len(labels), VAL)
    x, y = batch(some(key, images, VAL), condition, key)
    both = jnp.concatenate([x, vals[rows]]), jnp.concatenate([y, labels[rows]])
    losses, hits = problem.image_losses(carry[0], {}, *both, None, True, False)
    own, right = jnp.mean(hits.reshape(2, -1), 1)
    losses = losses[VAL:]
    return jnp.stack([-jnp.mean(losses), right, jnp.mean(jnp.exp(-losses)), right + 0.3 * own])

  @jax.jit
  def critic(key, vals):
    """Weights of a WGAN-GP critic between D_val and uniformly augmented training images, 200 steps."""
    value = lambda theta, x: problem_lib.forward(config, 10)(theta, {}, x, None)[:, 0]
    adam = optax.adam(1e-3, 0.0, 0.999)
    def step(carry, key):
      theta, state = carry
      k = jax.random.split(key, 4)
      real = vals[some(k[0], len(vals))]
      fake = batch(some(k[1], 2000), _arrays(conditions()['uniform']), k[2])[0]
      def of(theta):
        hat = wgan.interpolate(jax.random.uniform(k[3], (BATCH,)), real, fake)
        return wgan.critic_loss(value(theta, real), value(theta, fake)) + wgan.gradient_penalty(
            lambda x: value(theta, x), hat)
      return update(adam, jax.grad(of)(theta), state, theta), None
    theta = problem.init_theta(key)
    return jax.lax.scan(step, (theta, adam.init(theta)), jax.random.split(key, 200))[0][0]

  @jax.jit
  def judged(theta, condition, key):
    x = batch(jnp.arange(1000), condition, key)[0]
    return jnp.mean(problem_lib.forward(config, 10)(theta, {}, x, None)[:, 0])

  return locals()


def collect(folder):
  """All results, those that are there not computed again."""
  (results, keep), f = kept.opened(folder), make()
  every = conditions()
  def keep_of(name, compute):
    if name not in results:
      keep(name, jax.tree.map(lambda x: np.round(np.asarray(x, np.float64), 6).tolist(), compute()))
      print(name, flush=True)
  for seed in range(SEEDS):
    for budget, (images, total) in BUDGETS.items():
      for name, condition in every.items():
        def trained(condition=_arrays(condition)):
          key = jax.random.fold_in(jax.random.key(seed), 1)
          theta, _ = f['training'](f['start'](seed, total), key, total, total, images, condition)
          return {where: f['accuracy'](theta, images, condition, x, f['test_labels']) for where, x in f['tests'].items()}
        keep_of(f'accuracy|{budget}|{name}|{seed}', trained)
  for where, vals in f['vals'].items():
    def judge(vals=vals):
      theta = f['critic'](jax.random.key(7), vals)
      return {name: f['judged'](theta, _arrays(c), jax.random.key(8)) for name, c in every.items()}
    keep_of(f'critic|{where}', judge)
  for measure, thetas in ((alignments, THETAS), (stills, THETAS), (aheads, [''])):
    for of in thetas:
      for budget, (images, total) in BUDGETS.items():
        carry, done = f['start'](100, total), 0
        for point in POINTS:
          count = round(point * total) - done
          done += count
          carry = f['training'](carry, jax.random.key(200 + done), count, total, images, _arrays(every[THETAS[of]]))
          for where, vals in f['vals'].items():
            keep_of(f'{of}{measure.__name__}|{budget}|{point}|{where}', functools.partial(
                measure, f, carry, total, images, every, vals))
  return results


def alignments(f, carry, total, images, every, vals):
  """{measure: {condition: mean over batches}} of what one inner gradient says at one point of a training."""
  del total
  rows = {name: [] for name in ("alignment, D_val's own moments", 'alignment', 'length', 'ratio', 'direction', 'DDAS')}
  for repeat in range(REPEATS):
    key = jax.random.key(300 + repeat)
    own, v = f['towards'](carry[0], key, images, vals, f['val_labels'])
    found = [f['gradient'](carry[0], key, images, _arrays(condition)) for condition in every.values()]
    of = lambda v: np.array([float(trees.dot(v, g)) for g in found])
    length = np.array([float(trees.norm(g)) for g in found])
    mixed = found[list(every).index('uniform')]  # the step of a search that begins
    rows["alignment, D_val's own moments"].append(of(own))
    rows['alignment'].append(of(v))
    rows['length'].append(length)
    rows['ratio'].append(of(v) / length)
    rows['direction'].append(of(unrolled.across(v, mixed)))
    less = of(v) - of(v)[0]
    rows['DDAS'].append(less / np.abs(less).sum())
  return {name: dict(zip(every, map(float, np.mean(values, 0)))) for name, values in rows.items()}


def stills(f, carry, total, images, every, vals):
  """{'moments alone': {condition: -L_val}, and so on} before any step."""
  del total
  means = [np.mean([f['still'](carry, jax.random.key(400 + r), images, _arrays(c), vals, f['val_labels'])
                    for r in range(3)], 0) for c in every.values()]
  return {name: dict(zip(every, map(float, column))) for name, column in zip(
      ('moments alone', 'moments alone, accuracy', 'moments alone, likelihood', 'accuracy, and 0.3 of its own'),
      np.transpose(means))}


def aheads(f, carry, total, images, every, vals):
  """{n steps: {condition: -L_val}} after so many, with the momentum that the optimizer has, and from rest."""
  out, at_rest = {}, (carry[0], jax.tree.map(lambda m: jnp.zeros_like(m) if m.ndim else m, carry[1]))  # counts are kept
  for start, words in ((carry, ''), (at_rest, ' from rest')):
    steps = [np.mean([f['ahead'](start, jax.random.key(400 + r), total, images, _arrays(c), vals, f['val_labels'])
                      for r in range(3)], 0) for c in every.values()]
    out |= {f'{n} step{"s" * (n > 1)}{words}': column for n, column in zip(AHEAD, np.transpose(steps))}
  return {name: dict(zip(every, map(float, values))) for name, values in out.items()}


def _seen(results, budget, point, where):
  """{measure: {condition: value}} at one point, the gain of steps apart from what the moments alone do."""
  end = f'|{budget}|{point}|{where}'
  one, still, steps = (results[measure.__name__ + end] for measure in (alignments, stills, aheads))
  before = still['moments alone']
  gains = {f'gain of {name}': {c: x - before[c] for c, x in values.items()} for name, values in steps.items()}
  under = {f'{name}, theta under policies': values for measure in (alignments, stills)
           for name, values in results[f'under policies|{measure.__name__}{end}'].items() if name != 'length'}
  return one | still | gains | under


def table(results, best=1.0):
  """{(measure, when): {(budget, where): rank correlation}} among the share `best` of the conditions that have the best
  accuracies; the camera left out: no policy of one operation."""
  every = [name for name in conditions() if name != 'camera']
  out = {}
  for budget in BUDGETS:
    for where in DATA:
      truth = [np.mean([results[f'accuracy|{budget}|{name}|{seed}'][where] for seed in range(SEEDS)]) for name in every]
      among = np.argsort(-np.array(truth))[:round(best * len(every))]
      points = [_seen(results, budget, point, where) for point in POINTS]
      scaled = lambda at, m: (lambda x: (x - x.mean()) / x.std())(np.array([at[m][name] for name in every]))
      for measure in points[0]:
        values = {f'{point:.0%}': scaled(at, measure) for point, at in zip(POINTS, points)}
        values['mean'] = np.mean(list(values.values()), 0)
        for when, x in values.items():
          out.setdefault((measure, when), {})[budget, where] = spearmanr(x[among], np.array(truth)[among])[0]
      judged = np.array([results[f'critic|{where}'][name] for name in every])
      out.setdefault(('critic', 'mean'), {})[budget, where] = spearmanr(judged[among], np.array(truth)[among])[0]
  return out


def as_text(found, better):
  """The table in Markdown: of each measure the four points and the mean over them; among all conditions / the better
  half of them."""
  columns = [(budget, where) for budget in BUDGETS for where in DATA]
  lines = ['| what is seen | at | ' + ' | '.join(f'{b}, {w}' for b, w in columns) + ' | mean |',
           '|---' * (len(columns) + 3) + '|']
  for (measure, when), row in found.items():
    pairs = [(row[column], better[measure, when][column]) for column in columns]
    lines.append(f'| {measure} | {when} | ' + ' | '.join(f'{a:.2f} / {b:.2f}' for a, b in (*pairs, np.mean(pairs, 0))) + ' |')
  return '\n'.join(lines)


def draw(found, path):
  """The means over the points as bars, one group a measure."""
  import matplotlib
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  rows = {measure: row for (measure, when), row in found.items() if when == 'mean'}
  figure, axes = plt.subplots(figsize=(8, 8), layout='constrained')
  columns, y = [(budget, where) for budget in BUDGETS for where in DATA], np.arange(len(rows))
  for i, column in enumerate(columns):
    axes.barh(y + (i - (len(columns) - 1) / 2) / 5, [row[column] for row in rows.values()], 0.2, label=', '.join(column))
  axes.set(xlabel='rank correlation with the accuracy of retrained networks')
  axes.set_yticks(y, rows)
  axes.invert_yaxis()
  axes.axvline(0, color='0.6', lw=1)
  axes.spines[['top', 'right']].set_visible(False)
  axes.legend(frameon=False, loc='lower center', bbox_to_anchor=(0.3, 1), ncols=2)
  figure.savefig(path, dpi=150, metadata={'Software': None})


if __name__ == '__main__':
  RESULTS = collect(sys.argv[1])
  FOUND = table(RESULTS)
  TEXT = as_text(FOUND, table(RESULTS, 0.5))
  print(TEXT)
  atomic.write(os.path.join(sys.argv[1], 'table.md'), TEXT + '\n')
  draw(FOUND, os.path.join(sys.argv[1], 'objective.png'))
