"""Paths through the supernet of choice blocks: their distribution, what a search keeps of one, and
the network's row."""

from collections.abc import Callable
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.config.key import at_least, between, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import dsnas, evidence
from daas_jax.files import found as found_files, metrics as metrics_lib
from daas_jax.nets import kernels as k, registry
from daas_jax.nets.cells.architecture import entropies
from daas_jax.nets.shuffle import blocks as blocks_lib, costs as costs_lib, layers, supernet


class Paths(NamedTuple):
  """The distribution over paths, `daas_jax.types.Architectures` of choice blocks.

  arch is {'alpha': [B, N] logits, 'path': int32 [B], what alpha stands for since the end of the
  last epoch}; z is {'choice': int32 [B], 'gate': ones [B], 'cost': multiply-adds []}.

  Attributes:
    init: key -> arch; the path of the start is the cheapest one.
    sample: (key, arch, temperature) -> z of a path that is drawn; the temperature is not used.
    draw: (key, arch) -> that path.
    at: path -> its z.
    budget: the `dsnas.Budget` of paths, in multiply-adds.
  """
  init: Callable
  sample: Callable
  draw: Callable
  at: Callable
  budget: dsnas.Budget


def _budget(config, data):
  """The `dsnas.Budget` of a search of choice blocks, in multiply-adds."""
  costs = costs_lib.multiply_adds(config.network.size, data.train_images.shape[1:],
                                  len(data.class_names))
  limit, cheapest = config.arch.max_multiply_adds or None, costs.rest + int(
      costs.choices.min(-1).sum())
  if costs.rest + costs.choices.max(-1).sum() >= 2**31:
    raise BadInput(
        f'images of {data.train_images.shape[1:]} are too large for '
        f'network.size={config.network.size!r}: '
        'a path would cost over 2 ** 31 multiply-adds')
  if limit is not None and limit < cheapest:
    raise BadInput(
        f'arch.max_multiply_adds={limit} is below the cheapest path of size '
        f'{config.network.size!r} on '
        f'these images, {cheapest}: raise it')
  return dsnas.Budget(costs.choices, costs.rest, limit)


def architectures(config: Any, data: Any, sampling: str, genotype: Any = None) -> Paths:
  """The `Paths` of a search config; as `daas_jax.nets.registry.ArchitectureSpace` says.

  Raises:
    BadInput: the budget of `arch.max_multiply_adds` is below every path.
  """
  del sampling, genotype
  group, budget = config.arch, _budget(config, data)
  costs = jnp.asarray(budget.costs, jnp.int32)

  def init(key):
    return {
        'alpha': 1e-3 * jax.random.normal(key, costs.shape),
        'path': jnp.argmin(costs, -1).astype(jnp.int32)
    }

  def draw(key, arch):
    decided = dsnas.decided(arch['alpha'], group.freeze_margin)
    if group.constraint == 'rejection':
      return dsnas.sample_within(key, arch['alpha'], decided, costs, budget.left, arch['path'])
    return dsnas.sample(key, arch['alpha'], decided)

  def at(path):
    return {'choice': path, 'gate': jnp.ones(len(path)),
            'cost': dsnas.cost(costs, path).astype(jnp.float32) + budget.rest}

  return Paths(init, lambda key, arch, temperature: at(draw(key, arch)), draw, at, budget)


# --- what is kept of it ---------------------------------------------------------------------------


def path(arch: Any, config: Any) -> blocks_lib.Blocks:
  """The `Blocks` of a search, as of the end of its search phase."""
  return blocks_lib.Blocks(config.network.size,
                           tuple(layers.CHOICES[i] for i in np.asarray(arch['path'])))


def measures(arch: Any, config: Any) -> dict[str, float]:
  """The mean entropy of the blocks' choices, in nats."""
  del config
  return {name: float(h) for name, h in entropies({'alpha': arch['alpha']}).items()}


def record(arch: Any, config: Any) -> dict[str, Any]:
  """As of cells (`daas_jax.nets.cells.space.record`): a cell type a block, with one edge."""
  del config
  alpha = np.asarray(arch['alpha'])[:, None]
  return {'cells': [supernet.block_name(i) for i in range(len(alpha))], 'edges': [[0, 1]],
          'operations': list(layers.CHOICES), 'alpha': metrics_lib.plain(alpha)}


def write(workdir: str, arch: Any, config: Any) -> list[str]:
  """Writes blocks.json; returns the lines of the summary."""
  found = path(arch, config)
  blocks_lib.save(os.path.join(workdir, 'blocks.json'), found)
  return [blocks_lib.describe(found)]


def find(asked: str, search: str | None, network: Any) -> blocks_lib.Blocks:
  """The `Blocks` that --genotype names; the config's group `network` does not matter.

  Raises:
    BadInput: there are none.
  """
  del network
  if asked == 'searched':
    return blocks_lib.load(found_files.of_search(search, 'blocks'))
  found_files.require(asked, 'genotype', ('searched',))
  return blocks_lib.load(asked)


# --- which of it is decided -----------------------------------------------------------------------


def _evidence(config):
  margin = config.arch.freeze_margin
  # A block that is frozen draws nothing any more: that is no evidence.
  return lambda alpha, g: jnp.where(dsnas.decided(alpha, margin)[:, None], 0.0, -g)


def probabilities(arch: Any, config: Any) -> np.ndarray:
  """softmax(alpha): [B, N]."""
  del config
  return np.asarray(jax.nn.softmax(arch['alpha']), np.float64)


def choices(arch: Any, sums: Any, config: Any) -> list[evidence.Choice]:
  """A choice a block; sums [n, B, N]."""
  return [evidence.Choice(supernet.block_name(i), layers.CHOICES, p, sums[:, i], single=True)
          for i, p in enumerate(probabilities(arch, config))]


# --- as a row of the table ------------------------------------------------------------------------

SEARCH_KEYS = {
    'network.size': Key('cifar', one_of(*layers.SIZES), 'stages and widths of the supernet'),
    'arch.freeze_margin': Key(
        0.3, between(0, 1), 'difference of the two likeliest choices from which on a block is '
        'decided (DSNAS code); 0: never'),
    'arch.constraint': Key('none', one_of('none', 'rejection', 'penalty'),
                           'how a path is held within '
                           'arch.max_multiply_adds (Eq. 1)'),
    'arch.max_multiply_adds': Key(0, at_least(0), 'C of Eq. 1, multiply-adds of one image'),
    'arch.penalty': Key(0.1, at_least(0),
                        'weight of max(0, E[c] / C - 1) in the loss of alpha (choice)'),
}


def _check(flat):
  if 'arch.constraint' in flat and (flat['arch.constraint']
                                    == 'none') != (flat['arch.max_multiply_adds'] == 0):
    raise BadInput(
        "config keys 'arch.constraint' and 'arch.max_multiply_adds' belong together: set both, or "
        "'none' and 0")
  registry.no_cells(flat, 'a path of its own', genotype=None)


def _check_description(found, where):
  blocks_lib.from_json({
      'format': blocks_lib.FORMAT,
      'version': blocks_lib.VERSION
  } | found, f'{where},')


def _describe(config, arch):
  found = path(arch, config)
  return {'size': found.size, 'choices': list(found.choices)}


SPACE = registry.ArchitectureSpace(registry.BLOCKS, architectures, measures, record, write, find,
                                   blocks_lib.to_text, blocks_lib.load, 'blocks.json', _evidence,
                                   choices, probabilities, 'block')

registry.register('shuffle', registry.Network(
    '20 choice blocks of 4 kinds, network.size says how wide (DiffAutoML)',
    make=lambda config, num_classes, kernels, sampling: supernet.ShuffleSuperNet(
        num_classes, config.network.size, kernels),
    train=lambda config, found, num_classes, kernels: supernet.ShuffleNet(
        found.choices, num_classes, found.size, kernels),
    keys=k.KEYS, search_keys=SEARCH_KEYS, only=('arch.constraint', 'arch.max_multiply_adds'),
    check=_check, space=SPACE,
    export=registry.Export(
        describe=_describe,
        parameters=lambda theta, found: supernet.path_parameters(theta, found['choices']),
        build=lambda found, num_classes, kernels: supernet.ShuffleNet(
            tuple(found['choices']), num_classes, found['size'], kernels),
        check=_check_description)))
