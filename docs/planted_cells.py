"""`python docs/planted_cells.py WORKDIR`: architecture searches whose answer is known, by estimator.

Of six candidates of an edge two tell nothing of the image: one gives noise, the other what came from the image beside it
in the batch, whose moments are right and whose content is not. And one edge of the reduction cell is crippled: whatever
is chosen for it, it gives the image beside, so the search can only learn to leave the edge out. Each way to estimate the
gradient of alpha and beta searches from 8 seeds; after every so many passes it is asked how often the search draws what
is planted, exactly, as a share of how often uniform draws do. The answer is found where both shares are below a half.

Results are kept in WORKDIR/results.json as they come: the same command goes on. Then it prints one table and draws one
figure.
"""

import contextlib
import os
import sys

import jax
import jax.numpy as jnp
import numpy as np

import kept

from daas_jax.config import schema, search_config
from daas_jax.data import sources, streaming
from daas_jax.files import atomic
from daas_jax.methods import problem as problem_lib, registry
from daas_jax.nets.cells import architecture, cell as cells
from daas_jax.nets.cells.primitives import Primitive, PRIMITIVES
from daas_jax.runtime import programs

SEEDS = 8
LOOKS, PASSES = 10, 4800  # of a search
HONEST = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5')  # those of configs/field_small.py
PLANTED = ('noise', 'neighbour')
REDUCE, CRIPPLED = 1, cells.EDGES.index((2, 3))  # of three edges that end in its second node two are drawn
OWN = {'search.arch_gradient': 'straight_through'}
ESTIMATORS = {  # what it sets, and passes of a batch a step: forward and backward counted apart
    "Eq. 9, the paper's rate and temperature": (
        OWN | {'arch.lr': 3e-4, 'search.tau_start': 10.0, 'search.tau_end': 0.1}, 8),
    'Eq. 9, temperature 1': (OWN, 8),
    'additive': ({'search.arch_gradient': 'additive'}, 8),
    'regression': ({'search.arch_gradient': 'regression'}, 8),
    'additive, 8 losses': ({'search.arch_gradient': 'additive', 'search.n_losses': 8}, 20),
    'regression, 8 losses': ({'search.arch_gradient': 'regression', 'search.n_losses': 8}, 20),
}


@contextlib.contextmanager
def neighbour():
  """In this block there is an operation that gives what another image of the batch has here."""
  PRIMITIVES['neighbour'] = Primitive(
      lambda channels, stride: {}, lambda x, w, stride, key, kernels: jnp.roll(x, 1, 0)[:, ::stride, ::stride])
  try:
    yield
  finally:
    del PRIMITIVES['neighbour']


def config_of(changes):
  """A search of architectures alone, with other keys."""
  config = search_config()
  config.data.name = 'embedded'
  config.network.layers, config.network.channels = 3, 4
  config.network.primitives = HONEST + PLANTED
  config.search.epochs = config.search.warmup_epochs = 10  # never a policy
  config.search.batch, config.search.n_arch, config.search.n_w = 32, 2, 2
  config.search.tau_start = config.search.tau_end = 1.0
  config.theta.lr, config.arch.lr = 0.1, 0.01
  for key, value in changes.items():
    schema.put(config, key, value)
  schema.check(config, 'search')
  return config


def small():
  """The packaged images at half of their side (means of 2 x 2 pixels), to save time."""
  def smaller(images):
    n, h, w, c = images.shape
    return np.round(images.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))).astype(np.uint8)
  data = sources.load('embedded')
  return data._replace(train_images=smaller(data.train_images), test_images=smaller(data.test_images))


def crippled(problem):
  """The problem whose edge CRIPPLED of the reduction cell gives the image beside, whatever is chosen for it."""
  beside = jax.nn.one_hot(len(HONEST) + 1, len(HONEST + PLANTED))
  def of(loss):
    def run(theta, z, *rest):
      return loss(theta, z | {'A': z['A'].at[REDUCE, CRIPPLED].set(beside)}, *rest)
    return run
  return problem._replace(**{name: of(getattr(problem, name)) for name in ('loss', 'losses', 'image_losses')})


@jax.jit
def drawn(arch):
  """[expected number of planted operations among the 16 drawn, without the crippled edge's; probability that this edge
  is drawn], exactly."""
  zero = jnp.zeros(2 * len(cells.EDGES) * len(HONEST + PLANTED))
  share = jax.grad(lambda w: architecture.expected_features(arch, w))(zero).reshape(*arch['alpha'].shape)
  return jnp.stack([jnp.sum(share.at[REDUCE, CRIPPLED].set(0)[..., len(HONEST):]), jnp.sum(share[REDUCE, CRIPPLED])])


def shares(arch):
  """What `drawn` says, as shares of what it says of uniform draws: [2]."""
  return np.asarray(drawn(arch) / drawn(jax.tree.map(jnp.zeros_like, arch)))


def found(both):
  """Whether the answer is found: both shares [..., 2] below a half."""
  return np.all(np.asarray(both) < 0.5, -1)


def searches(changes, passes, seeds, stop=lambda both: False):
  """(seed, [`shares` at each look]) of each seed's search, through one compiled program; it ends where stop(shares)."""
  with neighbour():
    yield from _searches(config_of(changes), passes, seeds, stop)


def _searches(config, passes, seeds, stop):
  data = small()
  batches_of = lambda seed: streaming.search_batches(data, seed, config.search.batch, config.data.val_fraction, 1)
  method = registry.build(config, crippled(problem_lib.build(config, data)), batches_of(0).steps_per_epoch)
  step = programs.jit(method.step, donate=(0,))
  for seed in seeds:
    batches, state, out = batches_of(seed), method.init(jax.random.key(seed)), []
    for look in range(LOOKS):
      for i in range(round(look * PASSES / LOOKS / passes), round((look + 1) * PASSES / LOOKS / passes)):
        state, _ = step(state, batches(i))
      out.append(shares(state.arch).tolist())
      if stop(out[-1]):
        break
    yield seed, out


def collect(folder):
  """All searches, those that are there not run again."""
  results, keep = kept.opened(folder)
  for name, (changes, passes) in ESTIMATORS.items():
    for seed, looks in searches(changes, passes, [s for s in range(SEEDS) if f'{name}|{s}' not in results]):
      keep(f'{name}|{seed}', looks)
      print(name, seed, np.round(looks[-1], 2), flush=True)
  return results


def _of(results, name):
  """[seeds, looks, 2]."""
  return np.array([results[f'{name}|{seed}'] for seed in range(SEEDS)])


def as_text(results):
  """A row an estimator: both shares at half and at the end, how many seeds have the answer, and when they first had."""
  lines = [f'| estimator | planted operations after {PASSES // 2:,} passes | after {PASSES:,} | crippled edge after '
           f'{PASSES // 2:,} | after {PASSES:,} | found | passes to it, median |', '|---' * 7 + '|']
  for name in ESTIMATORS:
    looks = _of(results, name)
    have = found(looks)
    first = np.median([(np.argmax(row) + 1) * PASSES / LOOKS if row.any() else np.inf for row in have])
    half, end = looks[:, LOOKS // 2 - 1].mean(0), looks[:, -1].mean(0)
    lines.append(f'| {name} | {half[0]:.2f} | {end[0]:.2f} | {half[1]:.2f} | {end[1]:.2f} | '
                 f'{have[:, -1].sum()} of {SEEDS} | {"never" if np.isinf(first) else f"{first:,.0f}"} |')
  return '\n'.join(lines)


def draw(results, path):
  """Both shares over passes, mean and range over seeds."""
  import matplotlib
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt
  figure, both = plt.subplots(1, 2, figsize=(9, 4.2), layout='constrained', sharey=True)
  x = np.arange(LOOKS + 1) * PASSES / LOOKS
  for part, (axes, title) in enumerate(zip(both, ('planted operations', 'the crippled edge'))):
    for name in ESTIMATORS:
      looks = np.pad(_of(results, name)[..., part], ((0, 0), (1, 0)), constant_values=1.0)
      line, = axes.plot(x, looks.mean(0), label=name)
      axes.fill_between(x, looks.min(0), looks.max(0), color=line.get_color(), alpha=0.12, lw=0)
    axes.axhline(0.5, color='0.6', lw=1, ls=':')
    axes.set(xlabel='passes', title=title)
    axes.spines[['top', 'right']].set_visible(False)
  both[0].set(ylabel='drawn (uniform draws: 1)')
  figure.legend(*both[0].get_legend_handles_labels(), frameon=False, fontsize='small', loc='outside lower center', ncols=3)
  figure.savefig(path, dpi=150, metadata={'Software': None})


if __name__ == '__main__':
  RESULTS = collect(sys.argv[1])
  print(as_text(RESULTS))
  atomic.write(os.path.join(sys.argv[1], 'table.md'), as_text(RESULTS) + '\n')
  draw(RESULTS, os.path.join(sys.argv[1], 'planted_cells.png'))
