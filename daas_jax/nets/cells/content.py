"""What a genotype is, and its form as JSON values: all that is read or made passes here."""

from typing import Any, NamedTuple

from daas_jax.errors import BadInput
from daas_jax.nets.cells.cell import INPUTS, STEPS
from daas_jax.nets.cells.primitives import PRIMITIVES

FORMAT, VERSION = 'daas_jax.genotype', 1
_KEYS, _NETWORK_KEYS = (
    ('format', 'version', 'primitives', *cells) for cells in (('normal', 'reduce'), ('cells',)))
NEVER = 'none'
"""A candidate of the dense DARTS space that is never derived."""
_MOST_CELLS = 1000
REMEDY = 'give a file that a search saved, one of DARTS, nni or NASLib, or the name of a known one'


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


def check_layers(genotype: Any, layers: int) -> None:
  """Refuses (BadInput) a `NetworkGenotype` of another number of cells than a network's."""
  if isinstance(genotype, NetworkGenotype) and len(genotype.cells) != layers:
    raise BadInput(f'the genotype is of a network of {len(genotype.cells)} cells, not {layers}: '
                   f'set --config.network.layers={len(genotype.cells)}')


def pairs_of(genotype: Any, layer: int, reduction: bool) -> tuple:
  """The 8 pairs of the cell at one place of the network."""
  if isinstance(genotype, NetworkGenotype):
    return genotype.cells[layer]
  return genotype.reduce if reduction else genotype.normal


def shown(value: Any) -> str:
  """repr of a foreign value, on one line and short enough for a message."""
  try:
    text = repr(value)
  except RecursionError:  # some Pythons parse deeper than they print
    return 'a deeply nested value'
  except ValueError:  # and read longer integers, written in hexadecimal
    return 'a very long integer'
  return text if len(text) <= 60 else text[:57] + '...'


def _read_primitives(names, fail):
  if not isinstance(names, (list, tuple)) or not names:
    fail(f'primitives is {shown(names)}, not a list of operation names')
  for name in names:
    if not isinstance(name, str) or name not in PRIMITIVES:
      fail(f'unknown operation {shown(name)} among the primitives; known are '
           f'{", ".join(PRIMITIVES)}')
  if len(set(names)) < len(names):
    fail('primitives names an operation twice')
  return tuple(names)


def _read_pair(pair, where, target, primitives, fail):
  if not isinstance(pair, (list, tuple)) or len(pair) != 2:
    fail(f'{where} holds {shown(pair)}, not [operation, source node]')
  name, source = pair
  if not isinstance(name, str) or name not in PRIMITIVES:
    fail(f'{where} has the unknown operation {shown(name)}')
  if name == NEVER or name not in primitives:
    fail(f'{where} has the operation {name}, which is not one to choose among its primitives')
  if type(source) is not int or not 0 <= source < target:  # bool is an int to isinstance
    fail(f'{where} has the source {shown(source)}, not an integer from 0 to {target - 1}')
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
    raise BadInput(f'{source} is no usable genotype: {what}; {REMEDY}')

  if not isinstance(content, dict):
    fail('it holds no JSON object')
  if content.get('format') != FORMAT:
    fail(f'its format is {shown(content.get("format"))}, not {FORMAT!r}')
  if type(content.get('version')) is not int or content['version'] != VERSION:
    fail(f'its version is {shown(content.get("version"))}, and this program reads {VERSION}')
  if set(content) not in (set(_KEYS), set(_NETWORK_KEYS)):
    fail(f'its keys are {shown(sorted(map(str, content)))}, not {", ".join(_KEYS)}')
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
