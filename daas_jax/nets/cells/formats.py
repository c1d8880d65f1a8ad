"""Genotypes in the forms of other projects: read, whichever it is, and written.

  darts   Genotype(normal=[('sep_conv_3x3', 0), ...], normal_concat=range(2, 6), reduce=[...],
          reduce_concat=range(2, 6)), as github.com/quark0/darts prints it, and with it most of what
          came after. Read as well: positional, behind `NAME =`, with lists for ranges, two pairs a
          node in brackets of their own (AutoDL-Projects), and as a dict.
  nni     {'normal/op_2_0': 'sep_conv_3x3', 'normal/input_2_0': [0], ...} of nni's space of DARTS,
          written as JSON, whose values its `model_context` takes. An input may be a plain number.
  naslib  (((0, 3), (1, 3), ...), (...)): NASLib's compact form, (source, number of the operation),
          which its `set_spec` takes. Read as well: the configurations of NAS-Bench-301.

All of them number the nodes as this package does, 0 and 1 being the cell's inputs, and call the
operations as it does. None says which candidates an operation was chosen from.
"""

import ast
from collections.abc import Sequence
import json
import re
from typing import Any
import warnings

from daas_jax.errors import BadInput
from daas_jax.files import storage
from daas_jax.nets.cells import content as content_lib
from daas_jax.nets.cells.cell import EDGES, INPUTS, NODE_EDGES, STEPS
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES

_OPERATIONS = ('max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5',
               'dil_conv_3x3', 'dil_conv_5x5')
"""What all three have; NASLib's compact form numbers them in this order."""
_CELLS = ('normal', 'reduce')
_NODES = tuple(range(INPUTS, INPUTS + STEPS))
_MOST_TEXT = 2**16  # Python's parser takes a thousand times as much memory
_LOGGED = re.compile(r'\A\d\d/\d\d \d\d:\d\d:\d\d [AP]M ')  # before what DARTS's search logs

_FIELDS = ('normal', 'normal_concat', 'reduce', 'reduce_concat')  # in the order of DARTS
_UNUSED = ('connectN', 'connects')  # of AutoDL-Projects, always None
# NASLib once numbered these outputs with its own nodes; its cells end in the same four.
_OLD_NASLIB = ([2, 3, 4, 5, 6], [4, 5, 6])
_NNI_SIZES = ('width', 'depth')  # of the network around the cells, where nni searched those too
_CONFIGURATION = 'NetworkSelectorDatasetInfo:darts:'


# --- writing --------------------------------------------------------------------------------------


def _darts(cells):
  concat = repr(range(INPUTS, INPUTS + STEPS))
  return 'Genotype({})\n'.format(', '.join(
      f'{name}={list(pairs)!r}, {name}_concat={concat}' for name, pairs in cells.items()))


def _nni(cells):
  content = {}
  for name, pairs in cells.items():
    for slot, (operation, source) in enumerate(pairs):
      place = f'{INPUTS + slot // 2}_{slot % 2}'
      content |= {f'{name}/op_{place}': operation, f'{name}/input_{place}': [source]}
  return json.dumps(content, indent=2) + '\n'


def _naslib(cells):
  return repr(
      tuple(
          tuple((source, _OPERATIONS.index(operation)) for operation, source in pairs)
          for pairs in cells.values())) + '\n'


_WRITERS = {'darts': _darts, 'nni': _nni, 'naslib': _naslib}
FORMS = tuple(_WRITERS)
"""The forms that `to_text` writes."""


def to_text(genotype: Any, form: str) -> str:
  """A genotype as another project writes it.

  Args:
    genotype: `Genotype`.
    form: one of `FORMS`.

  Returns:
    The text of a file, which `from_text` reads.

  Raises:
    BadInput: there is no such form, it is no genotype, or that form has no way to say it: cells
      that all differ, or an operation that is not DARTS's.
  """
  if form not in _WRITERS:
    raise BadInput(f'there is no form {form!r} of a genotype; give one of {", ".join(FORMS)}')
  genotype = content_lib.canonical(genotype)
  if isinstance(genotype, content_lib.NetworkGenotype):
    raise BadInput(
        f'the {len(genotype.cells)} cells of this genotype may all differ, and those of {form} '
        'are a normal and a reduction cell: it has no such form')
  cells = {'normal': genotype.normal, 'reduce': genotype.reduce}
  for name, pairs in cells.items():
    for operation, _ in pairs:
      if operation not in _OPERATIONS:
        raise BadInput(f'the {name} cell has the operation {operation}, which {form} has not; '
                       f'those that it has are {", ".join(_OPERATIONS)}')
  return _WRITERS[form](cells)


# --- reading --------------------------------------------------------------------------------------
# Every form becomes {'normal', 'reduce'}, lists of nodes, which are lists of [operation, source]:
# what `content.from_json` checks.


def from_text(text: str, source: str = 'the text', primitives: Sequence[str] | None = None) -> Any:
  """Reads a genotype in the form that it has: this package's JSON, or one of another project.

  Nothing of the text is run.

  Args:
    text: the content of a file.
    source: what messages call it, usually the file's path.
    primitives: names of the candidates that one of another project counts as chosen from; None:
      the 7 of DARTS and DAAS. (This package's own form says which.)

  Returns:
    Genotype; of this package's own form, NetworkGenotype too.

  Raises:
    BadInput: it is none, or one that this package cannot express.
  """
  def fail(what):
    raise BadInput(f'{source} is no usable genotype: {what}; {content_lib.REMEDY}')

  wrong = ''
  try:
    content = storage.parse_json(text, finite=False)  # NaN is named with its place
  except ValueError as error:
    wrong = storage.reason(error)
    content = _python(text, f'{source} is not JSON ({wrong})', fail)
  read = _reader(content)
  if read is not None:
    head = {
        'format': content_lib.FORMAT,
        'version': content_lib.VERSION,
        'primitives': list(DAAS_PRIMITIVES if primitives is None else primitives)
    }
    content = head | read(content, fail)
  elif wrong:
    fail(f'it is not JSON ({wrong}), and neither a whole Genotype(...) nor a form of nni or NASLib')
  return content_lib.from_json(content, source)


def _reader(content):
  """The function that reads what is in another project's form; None where it is in none."""
  if isinstance(content, dict):
    keys = [key for key in content if isinstance(key, str)]
    if any(key.endswith('_concat') for key in keys):
      return _read_darts
    if any(key.startswith(tuple(f'{cell}/' for cell in _CELLS)) for key in keys):
      return _read_nni
    if any(key.startswith(_CONFIGURATION) for key in keys):
      return _read_configuration
  elif isinstance(content, (list, tuple)) and len(content) == len(_CELLS) and all(
      isinstance(cell, (list, tuple)) for cell in content):
    return _read_compact
  return None


def _python(text, not_json, fail):
  """The value that a Python text holds: one literal, or the arguments of the one Genotype(...) in
  it as a dict. `not_json` says why it is being tried."""
  text = _LOGGED.sub('', text.strip())
  try:
    if len(text) > _MOST_TEXT:
      raise ValueError(f'it is longer than {_MOST_TEXT >> 10} KiB')
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')  # of backslashes in strings
      body = ast.parse(text).body
    values = [(s, s.value) for s in body if isinstance(s, (ast.Assign, ast.AnnAssign, ast.Expr))]
    calls = [(s, value) for s, value in values if _is_genotype(value)]
    if len(calls) > 1:
      names = ', '.join(_name(s) for s, _ in calls)
      fail(f'it holds {len(calls)} genotypes ({names[:200]}), and one is needed')
    if calls:
      return _arguments(calls[0][1], fail)
    if len(body) == len(values) == 1:
      return _literal(values[0][1])
  except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
    line = getattr(error, 'lineno', None)  # of a SyntaxError, where it has one
    where = f', line {line}' if line else ''
    why = (getattr(error, 'msg', '') or storage.reason(error) or type(error).__name__) + where
    raise BadInput(f'{not_json}, and no text of a genotype ({why}); {content_lib.REMEDY}') from None
  raise BadInput(f'{not_json}, and holds no Genotype(...); {content_lib.REMEDY}')


def _is_genotype(node):
  function = node.func if isinstance(node, ast.Call) else None
  return 'Genotype' in (getattr(function, 'id', None), getattr(function, 'attr', None))


def _name(statement):
  targets = getattr(statement, 'targets', [getattr(statement, 'target', None)])
  return getattr(targets[0], 'id', 'one without a name')


def _arguments(call, fail):
  if len(call.args) > len(_FIELDS):
    fail(f'its Genotype(...) has {len(call.args)} arguments without a name, not {len(_FIELDS)}')
  given = [*zip(_FIELDS, call.args), *((word.arg, word.value) for word in call.keywords)]
  names = [name for name, _ in given]
  for name in names:
    if name is None:
      fail('its Genotype(...) has ** among its arguments')
    if names.count(name) > 1:
      fail(f'its Genotype(...) has {name} twice')
  return {name: _value(value) for name, value in given}


def _value(node):
  """The value of one argument: a literal, or the numbers of range(start, end)."""
  if isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'range' and len(
      node.args) == 2 and not node.keywords:
    start, end = map(_literal, node.args)
    return list(range(start, min(end, start + 100)))
  return _literal(node)


def _literal(node):
  try:
    return ast.literal_eval(node)
  except (ValueError, TypeError):
    line = getattr(node, 'lineno', 1)
    raise ValueError(f'from line {line} on it holds more than texts, numbers and lists') from None


def _nodes(cell, pairs, fail):
  """8 pairs as the 4 nodes that they are."""
  if not isinstance(pairs, (list, tuple)):
    fail(f'{cell} is {content_lib.shown(pairs)}, not a list')
  if len(pairs) != 2 * STEPS:
    fail(f'{cell} has {len(pairs)} operations, not {2 * STEPS}: the cells here have {STEPS} nodes, '
         'each the sum of two')
  return [list(pairs[i:i + 2]) for i in range(0, len(pairs), 2)]


def _read_darts(content, fail):
  for name in content:
    if name not in _FIELDS + _UNUSED:
      fail(f'a Genotype has no {content_lib.shown(name)}')
  missing = [name for name in _FIELDS if name not in content]
  if missing:
    fail(f'it has no {missing[0]}')
  for name in _UNUSED:
    if content.get(name) is not None:
      fail(f'{name} is {content_lib.shown(content[name])}, which this package cannot express')
  cells = {}
  for cell in _CELLS:
    pairs = content[cell]
    if isinstance(pairs, (list, tuple)) and pairs and all(map(_is_a_node, pairs)):
      pairs = [pair for node in pairs for pair in node]
    cells[cell] = _nodes(cell, pairs, fail)
  ends = [content[f'{cell}_concat'] for cell in _CELLS]
  ends = [list(end) if isinstance(end, (list, tuple)) else end for end in ends]
  if tuple(ends) != _OLD_NASLIB:
    for cell, end in zip(_CELLS, ends):
      if end != list(_NODES):
        fail(f'{cell}_concat is {content_lib.shown(end)}, and the cells here end in their nodes '
             f'{", ".join(map(str, _NODES))}')
  return cells


def _is_a_node(value):
  """Whether an item of a cell is a list of pairs, and no pair."""
  return isinstance(value, (list, tuple)) and bool(value) and all(
      isinstance(pair, (list, tuple)) for pair in value)


def _only(content, known, fail):
  for key in content:
    if key not in known:
      fail(f'it has {content_lib.shown(key)}, and the cells here have the nodes '
           f'{", ".join(map(str, _NODES))}, each the sum of two operations')


def _read_nni(content, fail):
  place = {(cell, node, i): (f'{cell}/op_{node}_{i}', f'{cell}/input_{node}_{i}')
           for cell in _CELLS for node in _NODES for i in range(2)}
  _only(content, {*_NNI_SIZES, *(key for keys in place.values() for key in keys)}, fail)

  def pair(*which):
    missing = [key for key in place[which] if key not in content]
    if missing:
      fail(f'it has no {missing[0]}')
    operation, source = (content[key] for key in place[which])
    one = isinstance(source, (list, tuple)) and len(source) == 1
    return [operation, source[0] if one else source]

  return {cell: [[pair(cell, node, i) for i in range(2)] for node in _NODES] for cell in _CELLS}


def _read_configuration(content, fail):
  # The others are settings of the training around it.
  ours = tuple(f'{_CONFIGURATION}{kind}_' for kind in ('edge', 'inputs_node'))
  own = [key for key in content if isinstance(key, str) and key.startswith(ours)]
  edge = lambda cell, e: f'{_CONFIGURATION}edge_{cell}_{e}'
  inputs = lambda cell, node: f'{_CONFIGURATION}inputs_node_{cell}_{node}'
  _only(own, {*(edge(cell, e) for cell in _CELLS for e in range(len(EDGES))),
              *(inputs(cell, node) for cell in _CELLS for node in _NODES)}, fail)
  cells = {cell: [] for cell in _CELLS}
  for cell in _CELLS:
    for node, edges in zip(_NODES, NODE_EDGES):
      pairs = [[content[edge(cell, e)], EDGES[e][0]] for e in edges if edge(cell, e) in content]
      sources = '_'.join(str(source) for _, source in pairs)
      said = content.get(inputs(cell, node), sources)
      if said != sources:
        fail(f'{cell}, node {node} has the inputs {content_lib.shown(said)}, and operations on '
             f'{sources or "none"}')
      cells[cell].append(pairs)
  return cells


def _read_compact(content, fail):
  def pair(cell, value):
    if not isinstance(value, (list, tuple)) or len(value) != 2:
      fail(f'{cell} holds {content_lib.shown(value)}, not (source node, number of an operation)')
    source, number = value
    if type(number) is not int or not 0 <= number < len(_OPERATIONS):
      fail(f'{cell} has the operation {content_lib.shown(number)}, not a number from 0 to '
           f'{len(_OPERATIONS) - 1}')
    return [_OPERATIONS[number], source]

  return {cell: _nodes(cell, [pair(cell, value) for value in pairs], fail)
          for cell, pairs in zip(_CELLS, content)}
