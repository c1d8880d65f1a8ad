"""`python docs/planted.py WORKDIR`: searches whose answer is known and compound, by estimator.

D_val went through a known camera (`daas_jax/augment/camera.py`: turned, darker, off the middle). Each way to estimate
the policy's gradient searches from 8 seeds; after every so many passes it is asked how much closer the policy's images
are to D_val's than those of uniform policies are. Results are kept in WORKDIR/results.json as they come: the same
command goes on. Then it prints one table and draws one figure.

The distance is the maximum mean discrepancy between policy-augmented images of D_train and D_val's, with a Gaussian
kernel whose width is the median distance in pixels (Gretton et al. 2012): zero where the distributions are equal, it
needs no network, and it sees brightness, angle and place alike, which no accuracy of one network does.
1 - MMD(policy) / MMD(uniform): 0 is as far as uniform policies, 1 is D_val's distribution. Beside it a network is trained
under what was found, and tested on photographs of the test images.
"""

import functools
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax

import kept

from daas_jax.augment import preprocess
from daas_jax.config import file as config_file, schema
from daas_jax.data import select, streaming
from daas_jax.estimators.unrolled import update
from daas_jax.files import atomic
from daas_jax.methods import decided, problem as problem_lib, registry
from daas_jax.policies import baselines, categorical, idle, registry as policies
from daas_jax.runtime import programs

SEEDS = 8
PAPER = {'search.policy_per': 'batch', 'search.val_moments': 'own', 'search.objective': 'step', 'search.n_w': 1,
         'search.n_aug': 4, 'search.control': 'none', 'search.baseline': 'leave_one_out', 'search.kl': 0.0}
FREE = {'search.kl': 0.0, 'search.ridge': 1.0}  # no price for a divergence from uniform policies
ADDITIVE = FREE | {'search.control': 'additive', 'search.baseline': 'step_mean'}
ONE = FREE | {'search.n_aug': 1, 'search.control': 'none'}
MOMENTS = {'search.objective': 'moments', 'search.val_moments': 'own', 'search.theta_policies': False,
           'search.warmup_epochs': 1, 'search.xi': 0.0, 'search.n_w': 1, 'search.n_aug': 24, 'search.loss_images': 16}
STEP, OWN = {'search.objective': 'step'}, {'search.val_moments': 'own'}
ESTIMATORS = {  # what it sets, and passes of a batch a step: forward, backward and forward mode (2) counted apart;
  # the validation loss that is reported is one forward pass
    'Eq. 13, n_aug = 4': (PAPER | {'search.score': 'event'}, 13),
    'outcome and additive, n_aug = 4': (PAPER | ADDITIVE, 13),
    "per image, D_val's own moments": (ONE | STEP | OWN, 9),
    'per image': (ONE | STEP, 14),
    'per image, direction': (ONE, 14),
    '4 policies an image, additive': (ADDITIVE | STEP, 26),
    '4 policies an image, additive, direction': (ADDITIVE, 26),
    '4 policies an image, regression, direction': (FREE, 26),
    '4 policies an image, regression, direction, at a price': ({}, 26),
    "the same, inner step of theta's optimizer": ({'search.inner': 'theta', 'search.xi': 0.0}, 26),
    '24 policies a step, by the moments of 16 of their images': (MOMENTS, 27),  # steps of warm-up take 3
}
UNIFORM = 'no search: uniform policies'
BATCH = 32  # images
LOOKS, PASSES = 10, 4800  # of a search


def config_of(changes):
  """The field's search of policies alone, with other keys."""
  config = config_file.run('configs/field_small.py:daas')
  for key, value in ({'search.batch': BATCH} | changes).items():
    schema.put(config, key, value)
  config.preprocess.padding, config.preprocess.flip = 0, False
  schema.check(config, 'search')
  return config


@jax.jit
def mmd(x, y):
  """Squared maximum mean discrepancy, unbiased, of images x, y [n, ...]."""
  x, y = x.reshape(len(x), -1), y.reshape(len(y), -1)
  distances = lambda a, b: jnp.maximum(jnp.sum(a**2, 1)[:, None] + jnp.sum(b**2, 1)[None] - 2 * a @ b.T, 0.0)
  width = jnp.median(distances(y, y))
  k = lambda a, b: jnp.exp(-distances(a, b) / width)
  n = len(x)
  inside = lambda a: (jnp.sum(k(a, a)) - n) / (n * (n - 1))
  return inside(x) + inside(y) - 2 * jnp.mean(k(x, y))


@functools.lru_cache
def _close(space, n):
  """(gamma, key, clean, there, MMD of uniform policies) -> closeness [], compiled."""
  @jax.jit
  def close(gamma, key, clean, there, uniform):
    policies = jax.vmap(lambda k: categorical.sample(k, gamma, space))(jax.random.split(key, n))
    return 1 - mmd(categorical.augment_each(clean, policies, key, space), there) / uniform
  return close


def closeness(data, space, n=1000):
  """gamma -> 1 - MMD(policies of gamma) / MMD(uniform ones), of n images of D_train and n of D_val."""
  clean, there = (preprocess.to_float(jnp.asarray(data.train_images[rows[:n]])) for rows in data.halves)
  key = jax.random.key(88)
  uniform = mmd(baselines.BASELINES['uniform'].make()(key, clean), there)
  return lambda gamma: float(_close(space, n)(gamma, key, clean, there, uniform))


EPOCHS, STEPS = 20, 31  # of a training under what was found, as in configs/train_field_small.py
OPTIMIZER = optax.chain(optax.add_decayed_weights(3e-4),
                        optax.sgd(optax.cosine_decay_schedule(0.05, EPOCHS * STEPS), 0.9, True))


def retraining(problem, data, space):
  """(gamma, data, seed) -> accuracy on the field's test images of a network trained on D_train, each image under a policy
  drawn for it. Of the network of the search, whose moments are those of a batch; compiled once."""
  normalised = lambda images: preprocess.normalise(images, data.mean, data.std)

  def augmented(images, gamma, key):
    of_policies, of_images = jax.random.split(key)
    drawn = jax.vmap(lambda k: categorical.sample(k, gamma, space))(jax.random.split(of_policies, len(images)))
    return normalised(categorical.augment_each(images, drawn, of_images, space))

  @jax.jit
  def train(gamma, images, labels, key):
    theta = problem.init_theta(key)
    def step(carry, step_key):
      theta, state = carry
      rows = jax.random.randint(step_key, (64,), 0, len(labels))
      x = augmented(preprocess.to_float(images[rows]), gamma, jax.random.fold_in(step_key, 1))
      loss = lambda theta: jnp.mean(problem.image_losses(theta, {}, x, labels[rows], None, False, False)[0])
      return update(OPTIMIZER, jax.grad(loss)(theta), state, theta), None
    keys = jax.random.split(jax.random.fold_in(key, 2), EPOCHS * STEPS)
    return jax.lax.scan(step, (theta, OPTIMIZER.init(theta)), keys)[0][0]

  @jax.jit
  def accuracy(theta, gamma, images, tests, labels, key):
    """With the moments of 500 augmented images of D_train, as a network in use has those of its training."""
    seen = augmented(preprocess.to_float(images[:500]), gamma, key)
    def of(pair):
      both = jnp.concatenate([seen, normalised(preprocess.to_float(pair[0]))])
      return jnp.mean(problem.image_losses(theta, {}, both, jnp.tile(pair[1], 2), None, True, False)[1][500:])
    chunks = lambda a: a.reshape(-1, 500, *a.shape[1:])
    return jnp.mean(jax.lax.map(of, (chunks(tests), chunks(labels))))

  def run(gamma, data, seed):
    rows, key = data.halves[0], jax.random.key(seed)
    images, labels = jnp.asarray(data.train_images[rows]), jnp.asarray(data.train_labels[rows])
    theta = train(gamma, images, labels, key)
    return float(accuracy(theta, gamma, images, jnp.asarray(data.test_images), jnp.asarray(data.test_labels), key))

  return run


def searches(changes, passes, seeds, uniform=False):
  """(seed, what is kept of its search) of searches through one compiled program; `uniform`: of what they start with."""
  config, step = config_of(changes), None
  for seed in seeds:
    config.seed = seed
    data = select.from_config(config, 8)
    config, _ = idle.leave_out(config, policies.spaces()['categorical'], len(data.mean))
    batches = streaming.search_batches(data, seed, config.search.batch, config.data.val_fraction, 1)
    if step is None:  # mean and std of D_train are compiled in: the first seed's serve all
      problem, space = problem_lib.build(config, data), problem_lib.policy_space(config)
      method = registry.build(config, problem, batches.steps_per_epoch)
      step, retrain = programs.jit(method.step, donate=(0,)), retraining(problem, data, space)
    state, looks, close = method.init(jax.random.key(seed)), [], closeness(data, space)
    for look in range(0 if uniform else LOOKS):
      for i in range(round(look * PASSES / LOOKS / passes), round((look + 1) * PASSES / LOOKS / passes)):
        state, _ = step(state, batches(i))
      looks.append(close(state.gamma))
    yield seed, {'closeness': looks, 'accuracy': retrain(state.gamma, data, seed)} | (
        {} if uniform else said(state, space, config))


def said(state, space, config):
  """The two likeliest operations of each slot, [name, probability, applied, strength], and the search's own sentence."""
  found = categorical.marginals(state.gamma, space)
  best = [[space.ops[o], float(found['probability'][k, o]), float(found['applied'][k, o]), float(found['strength'][k, o])]
          for k in range(space.K) for o in np.argsort(-found['probability'][k])[:2]]
  return {'found': best, 'sentence': decided.of(state, config)['sentence']}


def collect(folder):
  """All searches, those that are there not run again."""
  results, keep = kept.opened(folder)
  for name, (changes, passes) in ({UNIFORM: ({}, 1)} | ESTIMATORS).items():
    left = [seed for seed in range(SEEDS) if f'{name}|{seed}' not in results]
    for seed, result in searches(changes, passes, left, name == UNIFORM):
      keep(f'{name}|{seed}', result)
      print(name, seed, [round(x, 2) for x in result['closeness']], round(result['accuracy'], 4),
            result.get('sentence', ''), flush=True)
  return results


def as_text(results):
  """A row an estimator: closeness at half and at the end, mean and range; passes until half of the way to D_val; error of
  a network trained under what was found."""
  lines = [f'| estimator | closeness after {PASSES // 2:,} passes | after {PASSES:,} | least and most | passes to 0.5, median '
           '| test error, % | std |', '|---' * 7 + '|']
  for name in (UNIFORM, *ESTIMATORS):
    rows = [results[f'{name}|{seed}'] for seed in range(SEEDS)]
    errors = 100 * (1 - np.array([row['accuracy'] for row in rows]))
    cells = ['0'] * 2 + ['', '']
    if name != UNIFORM:
      looks = np.array([row['closeness'] for row in rows])
      half = np.median([next((round((i + 1) * PASSES / LOOKS) for i, x in enumerate(row) if x >= 0.5), np.inf) for row in looks])
      cells = [f'{looks[:, LOOKS // 2 - 1].mean():.2f}', f'{looks[:, -1].mean():.2f}',
               f'{looks[:, -1].min():.2f}, {looks[:, -1].max():.2f}', 'never' if np.isinf(half) else f'{half:,.0f}']
    lines.append(f'| {name} | ' + ' | '.join((*cells, f'{errors.mean():.1f}', f'{errors.std(ddof=1):.1f}')) + ' |')
  return '\n'.join(lines)


def draw(results, path):
  """Closeness over passes, mean and range over seeds."""
  import matplotlib
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  figure, axes = plt.subplots(figsize=(7, 4), layout='constrained')
  x = (np.arange(LOOKS) + 1) * PASSES / LOOKS
  for name in ESTIMATORS:
    looks = np.array([results[f'{name}|{seed}']['closeness'] for seed in range(SEEDS)])
    line, = axes.plot(x, looks.mean(0), label=name)
    axes.fill_between(x, looks.min(0), looks.max(0), color=line.get_color(), alpha=0.12, lw=0)
  axes.set(xlabel='passes', ylabel="closeness to D_val (uniform policies 0)")
  axes.axhline(0, color='0.6', lw=1)
  axes.spines[['top', 'right']].set_visible(False)
  axes.legend(frameon=False)
  figure.savefig(path, dpi=150, metadata={'Software': None})


if __name__ == '__main__':
  RESULTS = collect(sys.argv[1])
  print(as_text(RESULTS))
  atomic.write(os.path.join(sys.argv[1], 'table.md'), as_text(RESULTS) + '\n')
  draw(RESULTS, os.path.join(sys.argv[1], 'planted.png'))
