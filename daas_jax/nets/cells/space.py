"""Architectures of cells as a search sees them: alpha and beta, what is kept of them, and how one
is named and read."""

import itertools
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.config.key import between, even, Key, MOST, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import evidence
from daas_jax.files import found as found_files, metrics as metrics_lib
from daas_jax.nets import registry
from daas_jax.nets.cells import (
  architecture,
  cell as cells,
  genotype as genotype_lib,
  named,
  weights,
)
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, PRIMITIVES
from daas_jax.types import Architectures


def keys(layers: int, channels: int) -> dict[str, Key]:
  """The keys of a network of cells: the defaults of its number and of its width are given."""
  return {
      'network.layers': Key(layers, between(3, MOST), 'cells (DAAS 5)'),
      'network.channels': Key(channels, even(2), 'channels of the first cell (DAAS 5); even'),
      'network.stem': Key('cifar', one_of('cifar', 'imagenet'),
                          'stem: full size, or three halvings'),
  }


def smallest(config: Any) -> int:
  """Least side of an image in pixels: it leaves 2 x 2 after the stem and the two reductions."""
  return {'cifar': 8, 'imagenet': 64}[config.network.stem]


def of(config: Any) -> architecture.DenseSpace:
  """The `architecture.DenseSpace` of a search config's supernet, which names its cells, edges and
  operations."""
  group = config.network
  return architecture.DenseSpace(
      tuple(group.primitives),
      cells.CHAIN_EDGES if group.get('edges') == 'fixed' else cells.ALL_EDGES,
      architecture.own_cells(group.layers)
      if group.get('cells') == 'own' else architecture.CELL_TYPES)


def architectures(config: Any, data: Any, sampling: str, genotype: Any = None) -> Any:
  """The `Architectures` of a search config; of 'path', `architecture.Cells`.

  Args:
    config: a search config.
    data: not used: cells are the same for all images.
    sampling: 'path': straight-through samples; 'mixture': all operations; 'uniform': drawn and not
      searched.
    genotype: the `Genotype` that is held fixed, or None.

  Raises:
    BadInput: the genotype has an operation that is not among `network.primitives`.
  """
  del data
  primitives = tuple(config.network.primitives)
  if genotype is not None:
    held = architecture.fixed(genotype, primitives)
    return Architectures(sample=lambda key, arch, temperature: held)
  if sampling == 'mixture':
    return Architectures(lambda key: architecture.init_dense(key, of(config)),
                         lambda key, arch, temperature: architecture.mixture(arch))
  if sampling == 'uniform':
    def uniform(key, arch, temperature):
      arch = jax.tree.map(jnp.zeros_like, architecture.init(key, primitives))
      return architecture.sample(key, arch, temperature)
    return Architectures(sample=uniform)
  return architecture.of_primitives(primitives)


def skip_share(genotype: Any) -> float:
  """Share of skip_connect among the edges of a genotype's cells, in [0, 1]."""
  names = [name for _, pairs in genotype_lib.cells_of(genotype) for name, _ in pairs]
  return names.count('skip_connect') / len(names)


def _derived(arch, config):
  return architecture.derive(jax.device_get(arch), of(config))


def measures(arch: Any, config: Any) -> dict[str, float]:
  """Entropies (nats) of alpha and beta, and the share of skip_connect."""
  entropies = {name: float(h) for name, h in architecture.entropies(arch).items()}
  return entropies | {'skip_share': skip_share(_derived(arch, config))}


def record(arch: Any, config: Any) -> dict[str, Any]:
  """What history.jsonl keeps: {'cells': names of the C cell types, 'edges': the E pairs [source,
  target], 'operations': names of the O candidates, 'alpha': [C, E, O] and, where there is one,
  'beta': [C, E] logits}."""
  space = of(config)
  return {
      'cells': list(space.cells),
      'edges': [list(cells.EDGES[edge]) for edge in space.edges],
      'operations': list(space.primitives)
  } | {
      name: metrics_lib.plain(x) for name, x in arch.items()
  }


def write(workdir: str, arch: Any, config: Any) -> list[str]:
  """Writes genotype.json; returns the lines of the summary."""
  derived = _derived(arch, config)
  genotype_lib.save(os.path.join(workdir, 'genotype.json'), derived)
  return [genotype_lib.describe(derived), '', _alpha_text(arch, config)]


def _alpha_text(arch, config):
  """Mean probability of every candidate operation, a row a cell type."""
  mean = architecture.mean_probabilities(arch)
  rows = [f"{'mean probability':16} " + ' '.join(f'{n:>12}' for n in config.network.primitives)]
  for name, row in zip(of(config).cells, mean):
    rows.append(f'{name:16} ' + ' '.join(f'{float(p):12.4f}' for p in row))
  return '\n'.join(rows)


# --- which one is meant ---------------------------------------------------------------------------


def _whole_number(text, digits, needs):
  if not (text.isascii() and text.isdecimal() and len(text) < digits):
    raise BadInput(f'--genotype={needs}, not {text[:40]!r}')
  return int(text)


def find(asked: str, search: str | None, network: Any) -> Any:
  """The `Genotype` that --genotype names: searched, searched:EPOCH, random:SEED (of the space of
  `search`, where it has one), random_like:SEED (of its candidates, one of as many weights as that
  of `search`), a file, or a published one.

  Args:
    asked: the word.
    search: workdir of a search, or None.
    network: the config's group of that name, whose layers and channels weights are of.

  Raises:
    BadInput: there is none.
  """
  if asked == 'searched':
    return genotype_lib.load(found_files.of_search(search, 'genotype'))
  if asked.startswith('searched:'):
    epoch = _whole_number(asked.removeprefix('searched:'), 10,
                          'searched:EPOCH needs a whole number of epochs')
    if not search:
      raise BadInput(
          'the genotype of an epoch is asked for, but no search is given: add --search=WORKDIR')
    return at_epoch(search, epoch)
  word, colon, number = asked.partition(':')
  if word in ('random', 'random_like') and colon:
    seed = _whole_number(number, 19, f'{word}:SEED needs a whole number below 10 ** 18')
    if word == 'random':
      return _random(seed, search)
    like = genotype_lib.load(found_files.of_search(search, 'genotype'))
    return weights.random_like(seed, like, _operations(search), network.layers, network.channels)
  if not named.is_meant(asked):
    found_files.require(
        asked, 'genotype', ('searched', 'random:SEED', 'random_like:SEED', *named.about()))
  return genotype_lib.load(asked)


def _random(seed, search):
  """One of the space of a search; of the paper's where there is no search of cells."""
  for space in _spaces(search):
    own = len(space.cells) if space.cells != architecture.CELL_TYPES else 2
    return genotype_lib.random_genotype(seed, space.primitives, space.edges, own)
  return genotype_lib.random_genotype(seed, _operations(search))


def _spaces(search):
  """The spaces that the lines of a search's history.jsonl are of, one of which is enough."""
  for content in _records(search):
    try:
      edges = tuple(cells.EDGES.index(tuple(edge)) for edge in content['edges'])
      space = architecture.DenseSpace(tuple(content['operations']), edges, tuple(content['cells']))
      good = set(space.primitives) <= set(PRIMITIVES) and all(
          len(set(node).intersection(edges)) > 1 for node in cells.NODE_EDGES)
    except (KeyError, TypeError, ValueError):
      continue
    if good and space.primitives and space.cells:
      yield space


def _records(search):
  rows = metrics_lib.read(os.path.join(search, 'history.jsonl')) if search else []
  return [row['architecture'] for row in rows if isinstance(row.get('architecture'), dict)]


def _operations(search):
  """The candidates of a search of cells, which a random architecture beside it has too; the paper's
  where there is no such search."""
  known = tuple(PRIMITIVES)  # a file's names may be unhashable
  for content in _records(search):
    names = content.get('operations')
    if isinstance(names, list) and names and all(name in known for name in names):
      return tuple(names)
  return DAAS_PRIMITIVES


def at_epoch(workdir: str, epoch: int) -> Any:
  """The genotype that a search would have ended with after an epoch, from its history.jsonl.

  Args:
    workdir: of a search of cells, over or not.
    epoch: whole number of epochs done; 0 is the start.

  Raises:
    BadInput: the history has no architecture of that epoch.
  """
  path = os.path.join(workdir, 'history.jsonl')
  rows = {
      row['epoch']: row.get('architecture') for row in metrics_lib.read(path)
      if type(row.get('epoch')) is int
  }
  if not rows.get(epoch):
    known = [str(e) for e, content in rows.items() if content]
    others = (f'but those of {known[0]} to {known[-1]}' if known else
              'and none: give the workdir of a search of cells')
    raise BadInput(f'{path} holds no architecture of epoch {epoch}, {others}')
  content = rows[epoch]
  try:
    edges = tuple(cells.EDGES.index(tuple(edge)) for edge in content['edges'])
    space = architecture.DenseSpace(tuple(content['operations']), edges, tuple(content['cells']))
    arch = {
        name: np.array(content[name], np.float64) for name in ('alpha', 'beta') if name in content
    }
    return genotype_lib.from_json(genotype_lib.to_json(architecture.derive(arch, space)), path)
  except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
    raise BadInput(
        f'{path} is damaged: what it holds of epoch {epoch} is no architecture of cells') from error


# --- which of it is decided -----------------------------------------------------------------------


def _evidence(config):
  del config
  return lambda arch, g: -g['alpha']


def probabilities(arch: Any, config: Any) -> np.ndarray:
  """softmax(alpha) of all edges of all cell types: [C E, O]."""
  p = np.asarray(jax.nn.softmax(arch['alpha']), np.float64)
  return p.reshape(-1, p.shape[-1])


def choices(arch: Any, sums: Any, config: Any) -> list[evidence.Choice]:
  """A choice an edge; sums [n, C, E, O]."""
  space = of(config)
  names = ['{} {}-{}'.format(cell, *cells.EDGES[edge])
           for cell, edge in itertools.product(space.cells, space.edges)]
  never = tuple({genotype_lib.NEVER} & set(space.primitives))
  sums = sums.reshape(len(sums), len(names), -1)
  return [evidence.Choice(name, space.primitives, p, sums[:, i], single=True, never=never)
          for i, (name, p) in enumerate(zip(names, probabilities(arch, config)))]


SPACE = registry.ArchitectureSpace(registry.CELLS, architectures, measures, record, write, find,
                                   genotype_lib.to_text, genotype_lib.load, 'genotype.json',
                                   _evidence, choices, probabilities, 'edge')
