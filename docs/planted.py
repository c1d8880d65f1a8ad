"""`python docs/planted.py WORKDIR`: searches whose answer is known and compound, by estimator.

D_val went through a known camera (`daas_jax/augment/camera.py`: turned, darker, off the middle). Each way to estimate
the policy's gradient searches from 8 seeds; after every so many passes it is asked how much closer the policy's images
are to D_val's than those of uniform policies are. Results are kept in WORKDIR/results.json as they come: the same
command goes on. Then it prints one table and draws one figure.

The distance is the maximum mean discrepancy between policy-augmented images of D_train and D_val's, with a Gaussian
kernel whose width is the median distance in pixels (Gretton et al. 2012): zero where the distributions are equal, it
needs no network, and it sees brightness, angle and place alike, which no accuracy of one network does.
1 - MMD(policy) / MMD(uniform): 0 is as far as uniform policies, 1 is D_val's distribution.
"""

import json
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import preprocess
from daas_jax.config import file as config_file, schema
from daas_jax.data import select, streaming
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
STEP, OWN = {'search.objective': 'step'}, {'search.val_moments': 'own'}
ESTIMATORS = {  # what it sets, and passes of a batch a step: forward, backward and forward mode (2) counted apart
    'Eq. 13, n_aug = 4': (PAPER | {'search.score': 'event'}, 14),
    'outcome and additive, n_aug = 4': (PAPER | ADDITIVE, 14),
    "per image, D_val's own moments": (ONE | STEP | OWN, 10),
    'per image': (ONE | STEP, 16),
    'per image, direction': (ONE, 16),
    '4 policies an image, additive': (ADDITIVE | STEP, 28),
    '4 policies an image, additive, direction': (ADDITIVE, 28),
    '4 policies an image, regression, direction': (FREE, 28),
    '4 policies an image, regression, direction, at a price': ({}, 28),
}
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


def closeness(data, space, n=1000):
  """gamma -> 1 - MMD(policies of gamma) / MMD(uniform ones), of n images of D_train and n of D_val; compiled once."""
  clean, there = (preprocess.to_float(jnp.asarray(data.train_images[rows[:n]])) for rows in data.halves)
  key = jax.random.key(88)
  uniform = mmd(baselines.BASELINES['uniform'].make()(key, clean), there)

  @jax.jit
  def close(gamma, clean, there):
    policies = jax.vmap(lambda k: categorical.sample(k, gamma, space))(jax.random.split(key, n))
    return 1 - mmd(categorical.augment_each(clean, policies, key, space), there) / uniform

  return lambda gamma: float(close(gamma, clean, there))


def search(changes, passes, seed):
  """[closeness at each look], and the last look's marginals, of one search."""
  config = config_of(changes)
  config.seed = seed
  data = select.from_config(config, 8)
  config, _ = idle.leave_out(config, policies.spaces()['categorical'], len(data.mean))
  problem = problem_lib.build(config, data)
  batches = streaming.search_batches(data, seed, config.search.batch, config.data.val_fraction, 1)
  method = registry.build(config, problem, batches.steps_per_epoch)
  space = problem_lib.policy_space(config)
  step, state = programs.jit(method.step, donate=(0,)), method.init(jax.random.key(seed))
  close, looks = closeness(data, space), []
  for look in range(LOOKS):
    for i in range(round(look * PASSES / LOOKS / passes), round((look + 1) * PASSES / LOOKS / passes)):
      state, _ = step(state, batches(i))
    looks.append(close(state.gamma))
  found = categorical.marginals(state.gamma, space)
  best = [[space.ops[o], float(found['probability'][k, o]), float(found['applied'][k, o]), float(found['strength'][k, o])]
          for k in range(space.K) for o in np.argsort(-found['probability'][k])[:2]]
  return {'closeness': looks, 'found': best, 'sentence': decided.of(state, config)['sentence']}


def collect(folder):
  """All searches, those that are there not run again."""
  os.makedirs(folder, exist_ok=True)
  path, results = os.path.join(folder, 'results.json'), {}
  if os.path.exists(path):
    with open(path, encoding='utf-8') as file:
      results = json.load(file)
  for seed in range(SEEDS):
    for name, (changes, passes) in ESTIMATORS.items():
      if f'{name}|{seed}' not in results:
        results[f'{name}|{seed}'] = search(changes, passes, seed)
        atomic.write(path, json.dumps(results) + '\n')
        print(name, seed, [round(x, 2) for x in results[f'{name}|{seed}']['closeness']],
              results[f'{name}|{seed}']['sentence'], flush=True)
  return results


def as_text(results):
  """A row an estimator: closeness at half and at the end, mean and range; passes until half of the way to D_val."""
  lines = ['| estimator | closeness after ' + f'{PASSES // 2:,} passes | after {PASSES:,} | least and most | passes to 0.5, median |', '|---' * 5 + '|']
  for name in ESTIMATORS:
    looks = np.array([results[f'{name}|{seed}']['closeness'] for seed in range(SEEDS)])
    first = [next((round((i + 1) * PASSES / LOOKS) for i, x in enumerate(row) if x >= 0.5), np.inf) for row in looks]
    half = np.median(first)
    lines.append(f'| {name} | {looks[:, LOOKS // 2 - 1].mean():.2f} | {looks[:, -1].mean():.2f} | {looks[:, -1].min():.2f}, '
                 f'{looks[:, -1].max():.2f} | {"never" if np.isinf(half) else f"{half:,.0f}"} |')
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
