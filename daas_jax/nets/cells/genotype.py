"""Genotypes: the discrete architectures that a search ends with, derived, drawn, saved, loaded and
described."""

from collections.abc import Sequence
import json
from typing import Any, NamedTuple

import numpy as np

from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.nets.cells.cell import EDGES, INPUTS, NODE_EDGES, STEPS
from daas_jax.nets.cells.primitives import PRIMITIVES

FORMAT, VERSION = 'daas_jax.genotype', 1
_KEYS, _NETWORK_KEYS = (
    ('format', 'version', 'primitives', *cells) for cells in (('normal', 'reduce'), ('cells',)))
_NEVER = 'none'  # a candidate of the dense DARTS space that is never derived
_MOST_CELLS = 1000
_REMEDY = 'give a file that a search of this version saved'


class Genotype(NamedTuple):
  """One architecture: two cells of 4 intermediate nodes, each the sum of two operations.

  Attributes:
    normal, reduce: 8 pairs (operation name, source node 0..4) each. Pairs 2 n and 2 n + 1 end in
      node n + 2, the smaller source first (`canonical` takes either order); nodes 0 and 1 are the
      cell's inputs.
    primitives: names of the candidates it was chosen from.
  """
  normal: tuple
  reduce: tuple
  primitives: tuple


class NetworkGenotype(NamedTuple):
  """An architecture whose cells all differ (Amended-DARTS's S2).

  Attributes:
    cells: for each cell of the network, in order, 8 pairs as in `Genotype`; the cells at 1/3 and
      2/3 of the depth halve the image.
    primitives: names of the candidates it was chosen from.
  """
  cells: tuple
  primitives: tuple


def cells_of(genotype: Any) -> list[tuple[str, tuple]]:
  """[(title, 8 pairs)] of the different cells of a `Genotype` or `NetworkGenotype`."""
  if isinstance(genotype, NetworkGenotype):
    return [(f'cell {i}', pairs) for i, pairs in enumerate(genotype.cells)]
  return [('normal cell', genotype.normal), ('reduction cell', genotype.reduce)]


def pairs_of(genotype: Any, layer: int, reduction: bool) -> tuple:
  """The 8 pairs of the cell at one place of the network."""
  if isinstance(genotype, NetworkGenotype):
    return genotype.cells[layer]
  return genotype.reduce if reduction else genotype.normal


def _candidates(primitives):
  """The columns of alpha that may be derived: all but 'none'."""
  columns = [o for o, name in enumerate(primitives) if name != _NEVER]
  if not columns:
    raise BadInput(
        f'no operation can be chosen from ({", ".join(primitives)}); name one other than {_NEVER}')
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
  columns = np.array(_candidates(primitives))
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
  columns = np.array(_candidates(primitives))
  best = columns[np.argmax(np.asarray(alpha)[:, :, columns], -1)]
  found = [tuple((primitives[o], EDGES[e][0]) for o, e in zip(row, edges)) for row in best]
  return Genotype(found[0], found[1], tuple(primitives)) if len(found) == 2 else NetworkGenotype(
      tuple(found), tuple(primitives))


def random_genotype(seed: int, primitives: Sequence[str]) -> Genotype:
  """A uniformly drawn architecture: 2 distinct sources a node, an operation each ('none' left out).

  Args:
    seed: integer >= 0; the same seed and primitives give the same architecture.
    primitives: names of the candidate operations.

  Returns:
    Genotype.

  Raises:
    BadInput: no operation other than 'none'.
  """
  rng = np.random.Generator(np.random.PCG64(seed))
  names = [primitives[o] for o in _candidates(primitives)]

  def cell():
    sources = [i for edges in NODE_EDGES for i in sorted(rng.permutation(len(edges))[:2])]
    return tuple((names[rng.integers(len(names))], int(i)) for i in sources)

  return Genotype(cell(), cell(), tuple(primitives))


def _shown(value):
  """repr of a foreign value, on one line and short enough for a message."""
  try:
    text = repr(value)
  except RecursionError:  # some Pythons parse deeper than they print
    return 'a deeply nested value'
  return text if len(text) <= 60 else text[:57] + '...'


def _read_primitives(names, fail):
  if not isinstance(names, (list, tuple)) or not names:
    fail(f'primitives is {_shown(names)}, not a list of operation names')
  for name in names:
    if not isinstance(name, str) or name not in PRIMITIVES:
      fail(f'unknown operation {_shown(name)} among the primitives; known are '
           f'{", ".join(PRIMITIVES)}')
  if len(set(names)) < len(names):
    fail('primitives names an operation twice')
  return tuple(names)


def _read_pair(pair, where, target, primitives, fail):
  if not isinstance(pair, (list, tuple)) or len(pair) != 2:
    fail(f'{where} holds {_shown(pair)}, not [operation, source node]')
  name, source = pair
  if not isinstance(name, str) or name not in PRIMITIVES:
    fail(f'{where} has the unknown operation {_shown(name)}')
  if name == _NEVER or name not in primitives:
    fail(f'{where} has the operation {name}, which is not one to choose among its primitives')
  if type(source) is not int or not 0 <= source < target:  # bool is an int to isinstance
    fail(f'{where} has the source {_shown(source)}, not an integer from 0 to {target - 1}')
  return name, source


def _read_cell(nodes, cell, primitives, fail):
  if not isinstance(nodes, (list, tuple)) or len(nodes) != STEPS:
    fail(f'{cell} is not a list of {STEPS} nodes')
  pairs = []
  for target, node in enumerate(nodes, INPUTS):
    where = f'{cell}, node {target}'
    if not isinstance(node, (list, tuple)) or len(node) != 2:
      fail(f'{where} is not a list of 2 [operation, source node] pairs')
    node = sorted((_read_pair(p, where, target, primitives, fail) for p in node),
                  key=lambda p: p[1])
    if node[0][1] == node[1][1]:
      fail(f'{where} has the source {node[0][1]} twice')
    pairs += node
  return tuple(pairs)


def to_json(genotype: Any) -> dict[str, Any]:
  """The genotype as plain dicts, lists, strings and integers; `from_json` is the inverse.

  Raises:
    BadInput: it is none (`canonical`).
  """
  genotype = canonical(genotype)
  cell = lambda pairs: [[list(pairs[2 * n]), list(pairs[2 * n + 1])] for n in range(STEPS)]
  head = {'format': FORMAT, 'version': VERSION, 'primitives': list(genotype.primitives)}
  if isinstance(genotype, NetworkGenotype):
    return head | {'cells': [cell(pairs) for pairs in genotype.cells]}
  return head | {'normal': cell(genotype.normal), 'reduce': cell(genotype.reduce)}


def to_text(genotype: Any) -> str:
  """The content of a genotype file: the same bytes for the same genotype."""
  return json.dumps(to_json(genotype), indent=2, sort_keys=True) + '\n'


def from_json(content: Any, source: str = 'genotype') -> Any:
  """Reads what `to_json` made; the pairs of a node may come in either order.

  Args:
    content: dict {'format', 'version', 'primitives', 'normal', 'reduce'}, or with 'cells', a list,
      in place of the last two; a cell is 4 nodes of 2 pairs [operation, source node].
    source: what messages call it, usually the file's path.

  Returns:
    Genotype or NetworkGenotype.

  Raises:
    BadInput: anything else.
  """
  def fail(what):
    raise BadInput(f'{source} is no usable genotype: {what}; {_REMEDY}')

  if not isinstance(content, dict):
    fail('it holds no JSON object')
  if content.get('format') != FORMAT:
    fail(f'its format is {_shown(content.get("format"))}, not {FORMAT!r}')
  if type(content.get('version')) is not int or content['version'] != VERSION:
    fail(f'its version is {_shown(content.get("version"))}, and this program reads {VERSION}')
  if set(content) not in (set(_KEYS), set(_NETWORK_KEYS)):
    fail(f'its keys are {_shown(sorted(map(str, content)))}, not {", ".join(_KEYS)}')
  primitives = _read_primitives(content['primitives'], fail)
  if 'cells' in content:
    if not isinstance(content['cells'], list) or not 3 <= len(content['cells']) <= _MOST_CELLS:
      fail(f'cells is not a list of 3 to {_MOST_CELLS} cells')
    cells = tuple(
        _read_cell(c, f'cell {i}', primitives, fail) for i, c in enumerate(content['cells']))
    return NetworkGenotype(cells, primitives)
  normal, reduce = (
      _read_cell(content[cell], cell, primitives, fail) for cell in ('normal', 'reduce'))
  return Genotype(normal, reduce, primitives)


def canonical(genotype: Any) -> Any:
  """A genotype that anyone may have made, checked and with the pairs of each node in their one
  order, as read from a file.

  Weights are named and drawn in the order of the pairs: what uses a genotype uses this one.

  Args:
    genotype: Genotype or NetworkGenotype.

  Raises:
    BadInput: it would be refused in a file.
  """
  nodes = lambda pairs: [pairs[i : i + 2] for i in range(0, len(pairs), 2)]
  if isinstance(genotype, NetworkGenotype):
    content = {'cells': [nodes(pairs) for pairs in genotype.cells]}
  else:
    content = {'normal': nodes(genotype.normal), 'reduce': nodes(genotype.reduce)}
  head = {'format': FORMAT, 'version': VERSION, 'primitives': genotype.primitives}
  return from_json(head | content, 'the given genotype')


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
  """Reads a genotype file.

  Args:
    path: file that `save` wrote.
    primitives: names of the candidate operations that the genotype must have been chosen from, in
      order; None: any.

  Returns:
    Genotype.

  Raises:
    BadInput: missing, unreadable, not a genotype, or chosen from other operations than
      `primitives`.
  """
  try:
    content = storage.read_json(path, finite=False)  # NaN is named with its place
  except OSError as e:
    raise BadInput(f'{path} cannot be read ({e.strerror}); {_REMEDY}') from None
  except ValueError as e:
    raise BadInput(f'{path} is not JSON ({storage.reason(e)}); {_REMEDY}') from None
  genotype = from_json(content, path)
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
