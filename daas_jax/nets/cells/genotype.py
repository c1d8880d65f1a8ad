"""Genotypes: the discrete architectures that a search ends with, derived, drawn, saved, loaded and
described."""

from collections.abc import Sequence
import json
import os
from typing import Any

import numpy as np

from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.nets.cells import formats, named
from daas_jax.nets.cells.cell import ALL_EDGES, EDGES, INPUTS, NODE_EDGES, STEPS
from daas_jax.nets.cells.content import (
    canonical as canonical,
    cells_of as cells_of,
    check_layers as check_layers,
    from_json as from_json,
    Genotype as Genotype,
    NetworkGenotype as NetworkGenotype,
    NEVER,
    pairs_of as pairs_of,
    REMEDY,
    to_json as to_json,
)


def candidates(primitives: Sequence[str]) -> list[int]:
  """The columns of alpha that may be derived: all but 'none'; BadInput where none is left."""
  columns = [o for o, name in enumerate(primitives) if name != NEVER]
  if not columns:
    raise BadInput(
        f'no operation can be chosen from ({", ".join(primitives)}); name one other than {NEVER}')
  return columns


def _edge_logits(alpha, columns):
  """log softmax(alpha) of each edge's best operation among `columns`: [2, E]."""
  largest = alpha.max(-1, keepdims=True)
  log_p = alpha - largest - np.log(np.sum(np.exp(alpha - largest), -1, keepdims=True))
  return log_p[..., columns].max(-1)


def derive(alpha: Any, beta: Any, primitives: Sequence[str]) -> Genotype:
  """The most probable architecture (DAAS 4.3, DARTS).

  Per node the 2 edges of largest softmax(beta) over the node's edges, and on each the operation of
  largest softmax(alpha), 'none' left out. Without beta an edge counts as much as that operation's
  softmax(alpha), in which 'none' has its share (DARTS). Equal numbers: the lower edge, the earlier
  operation.

  Args:
    alpha: [2, E, O] operation logits of the normal and the reduction cell.
    beta: [2, E] edge logits, or None.
    primitives: names of the O operations.

  Returns:
    Genotype.

  Raises:
    ValueError: wrong shapes, or a logit that is not a number.
    BadInput: no operation other than 'none'.
  """
  alpha = np.asarray(alpha, np.float64)
  beta = None if beta is None else np.asarray(beta, np.float64)
  if alpha.shape != (2, len(EDGES), len(primitives)) or (beta is not None
                                                         and beta.shape != (2, len(EDGES))):
    raise ValueError(
        f'alpha {alpha.shape} and beta {np.shape(beta)} are not [2, {len(EDGES)}, '
        f'{len(primitives)}] and [2, {len(EDGES)}]')
  if np.isnan(alpha).any() or (beta is not None and np.isnan(beta).any()):
    raise ValueError('alpha or beta holds NaN')
  columns = np.array(candidates(primitives))
  beta = _edge_logits(alpha, columns) if beta is None else beta

  def cell(alpha, beta):
    pairs = []
    for edges in NODE_EDGES:
      # Softmax keeps the order of the logits; computed, it would turn large different ones into
      # equal ones.
      best = np.argsort(-beta[list(edges)], kind='stable')[:2]
      for e in sorted(edges[i] for i in best):
        pairs.append((primitives[columns[np.argmax(alpha[e, columns])]], EDGES[e][0]))
    return tuple(pairs)

  return Genotype(cell(alpha[0], beta[0]), cell(alpha[1], beta[1]), tuple(primitives))


def derive_fixed(alpha: Any, edges: Sequence[int], primitives: Sequence[str]) -> Any:
  """The most probable architecture where each node's two edges are fixed: their operations of
  largest alpha.

  Args:
    alpha: [C, E, O] operation logits, C = 2 for the normal and the reduction cell, or the cells of
      the whole network.
    edges: numbers of the E edges, two a node.
    primitives: names of the O operations; 'none' is never chosen.

  Returns:
    Genotype where C is 2, else NetworkGenotype.
  """
  columns = np.array(candidates(primitives))
  best = columns[np.argmax(np.asarray(alpha)[:, :, columns], -1)]
  found = [tuple((primitives[o], EDGES[e][0]) for o, e in zip(row, edges)) for row in best]
  return Genotype(found[0], found[1], tuple(primitives)) if len(found) == 2 else NetworkGenotype(
      tuple(found), tuple(primitives))


def random_genotype(seed: int, primitives: Sequence[str], edges: Sequence[int] = ALL_EDGES,
                    cells: int = 2) -> Any:
  """A uniformly drawn architecture: 2 distinct edges a node, an operation each ('none' left out).

  Args:
    seed: integer >= 0; the same arguments give the same architecture.
    primitives: names of the candidate operations.
    edges: numbers of the edges that a cell may have, at least two that end in each node.
    cells: 2 for a normal and a reduction cell, or the number of cells of a network all of whose
      cells differ.

  Returns:
    Genotype where `cells` is 2, else NetworkGenotype.

  Raises:
    BadInput: no operation other than 'none'.
  """
  rng = np.random.Generator(np.random.PCG64(seed))
  names = [primitives[o] for o in candidates(primitives)]

  def cell():
    sources = []
    for node in NODE_EDGES:
      of = [EDGES[e][0] for e in node if e in edges]
      sources += [of[i] for i in sorted(rng.permutation(len(of))[:2])]
    return tuple((names[rng.integers(len(names))], source) for source in sources)

  drawn = tuple(cell() for _ in range(cells))
  return Genotype(drawn[0], drawn[1], tuple(primitives)) if cells == 2 else NetworkGenotype(
      drawn, tuple(primitives))


def to_text(genotype: Any) -> str:
  """The content of a genotype file: the same bytes for the same genotype."""
  return json.dumps(to_json(genotype), indent=2, sort_keys=True) + '\n'


def save(path: str, genotype: Any) -> None:
  """Writes a genotype file: the same bytes for the same genotype, whole or not at all.

  Args:
    path: file to write or replace; its folder must exist.
    genotype: Genotype.

  Raises:
    BadInput: the file cannot be written, or it is no genotype.
  """
  try:
    atomic.write(path, to_text(genotype))
  except OSError as e:
    raise BadInput(f'{path} cannot be written ({e.strerror}); choose another path') from None


def load(path: str, primitives: Sequence[str] | None = None) -> Any:
  """Reads a genotype file, or gives a published genotype by its name.

  Args:
    path: file that `save` wrote, or that holds a genotype as DARTS, nni or NASLib write it
      (`formats.from_text`); or one of `named.named_genotypes`, where there is no such file.
    primitives: names of the candidate operations that the genotype must have been chosen from, in
      order; None: any. Of another project's, which does not say it, these are taken.

  Returns:
    Genotype.

  Raises:
    BadInput: missing, unreadable, not a genotype, or chosen from other operations than
      `primitives`.
  """
  if named.is_meant(path):
    genotype = named.named_genotypes()[os.fspath(path)]
    if primitives is not None:
      genotype = canonical(genotype._replace(primitives=tuple(primitives)))
  else:
    try:
      text = storage.read_text(path)
    except OSError as e:
      raise BadInput(f'{path} cannot be read ({e.strerror}); {REMEDY}') from None
    except ValueError as e:
      raise BadInput(f'{path} is no text ({storage.reason(e)}); {REMEDY}') from None
    genotype = formats.from_text(text, path, primitives)
  if primitives is not None and genotype.primitives != tuple(primitives):
    raise BadInput(
        f'{path} belongs to another space: it was chosen from ({", ".join(genotype.primitives)}), '
        f'not from ({", ".join(primitives)}); give a genotype of this space')
  return genotype


def describe(genotype: Any) -> str:
  """Both cells as text, one line a node: 'node 2 = sep_conv_3x3(node 0) + skip_connect(node 1)'."""
  lines = []
  for title, pairs in cells_of(genotype):
    lines.append(
        f'{title}: node 0 = output of the cell before the last, node 1 = output of the last cell')
    for n in range(STEPS):
      terms = ' + '.join(f'{name}(node {source})' for name, source in pairs[2 * n : 2 * n + 2])
      lines.append(f'  node {n + INPUTS} = {terms}')
    lines.append(f'  output = {", ".join(f"node {n + INPUTS}" for n in range(STEPS))} side by side')
  return '\n'.join(lines)
