"""A workdir as it is read for a report: what is whole in it, and what had to be passed over."""

import os
from typing import Any, NamedTuple

import numpy as np

from daas_jax.config import schema as config_lib
from daas_jax.errors import BadInput
from daas_jax.files import metrics as metrics_lib, remote, storage
from daas_jax.methods import decided, registry
from daas_jax.nets.cells import genotype as genotype_lib
from daas_jax.policies import found as found_policies
from daas_jax.runtime import workdir

# Far above any search: a foreign file must not ask for thousands of panels.
_MOST, _MOST_NODES = 100, 16


class Architecture(NamedTuple):
  """alpha and beta over time, from history.jsonl.

  Attributes:
    steps, epochs: [T] done.
    cells, edges, operations: names of the C cell types, pairs (source, target) of the E edges,
      names of the O candidates.
    alpha, beta: logits [T, C, E, O] and [T, C, E]; beta None where the method has none.
  """
  steps: np.ndarray
  epochs: np.ndarray
  cells: tuple
  edges: tuple
  operations: tuple
  alpha: np.ndarray
  beta: Any


class Policy(NamedTuple):
  """The policy's distribution over time, from history.jsonl.

  Attributes:
    steps, epochs: [T] done.
    candidates: names of the N operations.
    probability: [T, K, N] of the operations of each slot.
    applied, strength: [T, K, N] application probability and mean magnitude in [0, 1], NaN where an
      operation has none; None where the method has none.
  """
  steps: np.ndarray
  epochs: np.ndarray
  candidates: tuple
  probability: np.ndarray
  applied: Any
  strength: Any


class Run(NamedTuple):
  """Everything that a report shows of a workdir.

  Attributes:
    name: what the report calls it.
    folder: absolute path.
    kind: 'search' or 'train'.
    config: {'group.key': value} of config.json.
    metrics: rows of metrics.jsonl.
    architecture, policy: over time, None where history.jsonl has none.
    genotype, table, results, decided: of genotype.json, policy.json, results.json and decided.json,
      None where there is no such file.
    finished: whether the run came to its end.
    notes: lines on what is missing or was passed over.
  """
  name: str
  folder: str
  kind: str
  config: dict
  metrics: list
  architecture: Any
  policy: Any
  genotype: Any
  table: Any
  results: Any
  decided: Any
  finished: bool
  notes: list


def load_all(folders):
  """The `Run` of each workdir, with names that tell them apart.

  Raises:
    BadInput: a folder is given twice, or is no workdir with something to show, or a file in it is
      damaged.
  """
  paths = [workdir.shown(folder) for folder in folders]
  real = [os.path.realpath(path) for path in paths]
  for path, place in zip(paths, real):
    if real.count(place) > 1:
      raise BadInput(f'the workdir {path} is given twice: give each once')
  return [load(path, name) for path, name in zip(paths, names(paths))]


def names(paths):
  """The last parts of each absolute path, as many as tell it from the others."""
  parts = [path.strip(os.sep).split(os.sep) for path in paths]
  out = []
  for i, own in enumerate(parts):
    others = parts[:i] + parts[i + 1:]
    n = next((n for n in range(1, len(own)) if all(own[-n:] != other[-n:] for other in others)),
             len(own))
    out.append('/'.join(own[-n:]) or os.sep)
  return out


def load(folder, name):
  """Reads a workdir; changes nothing in it.

  Args:
    folder: absolute path.
    name: what the report is to call it.

  Returns:
    `Run`.

  Raises:
    BadInput: it is no workdir of a search or a training, has neither a result nor a whole line of
      metrics, or one of its JSON files is damaged.
  """
  if storage.is_remote(folder):
    with remote.copied(folder) as copy:
      return load(copy, name)._replace(folder=folder)
  if not os.path.isdir(folder):
    raise BadInput(f'there is no folder {folder}: give the workdir of a search or a training')
  try:
    return _load(folder, name)
  except OSError as error:
    raise BadInput(f'{error.filename or folder} cannot be read ({error.strerror})') from error


def _load(folder, name):
  path = lambda file: os.path.join(folder, file)
  if not os.path.isfile(path('config.json')):
    raise BadInput(f'{folder} is no workdir of a search or a training: it holds no config.json')
  config = config_lib.flatten(_object(path('config.json')))
  kind = config.get('kind')
  if kind == 'gradcheck':
    raise BadInput(
        f'{folder} holds a gradient laboratory, which has its own figure, gradcheck.png: give the '
        'workdir of a search or a training')
  if kind not in ('search', 'train'):
    raise BadInput(
        f'{path("config.json")} is no config of a search or a training; give a workdir that '
        'daas_jax.search or daas_jax.train made')
  rows, notes = _rows(path('metrics.jsonl'))
  history, more = _rows(path('history.jsonl'))
  last = registry.last_file(config)
  finished = os.path.isfile(path(last))
  if not rows and not finished:
    raise BadInput(
        f'{folder} holds no finished {"search" if kind == "search" else "training"} and no whole '
        'line of metrics: there is nothing to report yet')
  if not finished:
    notes.insert(
        0, f'This run is not finished (there is no {last}): shown is what it has written so far.')
  architecture, lost = _over_time(history, _architecture, Architecture)
  policy, also = _over_time(history, _policy, Policy)
  if kind == 'search' and not history:
    more.append('No history.jsonl: alpha, beta and the policy over time are not shown.')
  if lost or also:
    more.append(
        'history.jsonl: passed over, because they do not hold what belongs there: '
        f'{max(lost, also)} lines.'
    )
  found = {
      key: load(path(file)) if os.path.exists(path(file)) else None
      for key, file, load in (('genotype', 'genotype.json', genotype_lib.load),
                              ('table', 'policy.json',
                               found_policies.load_table), ('results', 'results.json', _object),
                              ('decided', decided.FILE, decided.load))
  }
  return Run(name, folder, kind, config, rows, architecture, policy, **found, finished=finished,
             notes=notes + more)


def _object(path):
  """The dict in a JSON file; BadInput where it is damaged."""
  try:
    content = storage.read_json(path, finite=False)  # a loss of the test set may be infinite
  except ValueError:
    content = None
  if not isinstance(content, dict):
    raise BadInput(f'{path} is damaged: it holds no JSON object')
  return content


def _rows(path):
  """(the whole rows of a .jsonl file in the order of steps, the last of each step; notes on what is
  passed over)."""
  rows = {row['step']: row for row in metrics_lib.read(path) if 0 <= row['step'] < 2**53}
  lines = 0
  if os.path.exists(path):
    with storage.opened(path) as file:
      lines = sum(1 for line in file if line.strip())
  lost = lines - len(rows)
  note = (
      f'{os.path.basename(path)}: {lost} of {lines} lines {"is" if lost == 1 else "are"} cut '
      'short, damaged or double and passed over; shown is what is whole.')
  return [rows[step] for step in sorted(rows)], [note] if lost else []


def series(rows, name, scale=1):
  """(x, values): the finite numbers that rows have under a name, x their steps / scale."""
  pairs = [(row['step'] / scale, row[name]) for row in rows if is_number(row.get(name))]
  return [x for x, _ in pairs], [value for _, value in pairs]


def is_number(value):
  """Whether a value out of a JSON file is a finite number of a size that can be drawn."""
  # NaN is not
  return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def steps_per_epoch(run):
  """Steps in an epoch of a run, or None where its rows do not tell."""
  ends = [(row['step'], row['epoch']) for row, after in zip(run.metrics, run.metrics[1:])
          if row.get('epoch') != after.get('epoch')]
  if run.finished and run.metrics:
    ends.append((run.metrics[-1]['step'], run.metrics[-1].get('epoch')))
  told = [step / epoch for step, epoch in ends if is_number(epoch) and epoch > 0 and step > 0]
  return told[0] if told else None


# --- history.jsonl --------------------------------------------------------------------------------


def _over_time(rows, parse, kind):
  """(a `kind` of the rows that `parse` reads, None for none; the number of rows that hold something
  else)."""
  found = [(row, parse(row)) for row in rows]
  good = [((row['step'], row['epoch']), *values) for row, values in found if values]
  good = [values for values in good if _form(values) == _form(good[-1])]  # all of one space
  if not good:
    return None, sum(values is False for _, values in found)
  times, names, arrays = zip(*good)
  stacked = [np.stack(column) if column[0] is not None else None for column in zip(*arrays)]
  absent = sum(values is None for _, values in found)
  return kind(*np.array(times).T, *names[0], *stacked), len(rows) - absent - len(good)


def _form(values):
  _, names, arrays = values
  return names, [None if a is None else a.shape for a in arrays]


def _read(row, group, read):
  """read(row[group]): None where there is nothing to read, False where it is not what belongs
  there."""
  content = row.get(group)
  if content == {} or content is None:
    return None
  try:
    if is_number(row.get('epoch')):
      return read(content) or False
  # numpy's and dicts' for foreign content
  except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
    pass
  return False


def _architecture(row):
  """((cells, edges, operations), (alpha, beta)) of a row."""
  def read(content):
    alpha, beta = _array(content['alpha']), _array(content.get('beta'))
    cells, operations = _words(content['cells']), _words(content['operations'])
    edges = tuple((int(i), int(j)) for i, j in content['edges'])
    shape = (len(cells), len(edges), len(operations))
    good = alpha.shape == shape and np.isfinite(alpha).all() and 0 < min(shape) and max(
        shape) <= _MOST
    good &= all(0 <= i < j < _MOST_NODES for i, j in edges)
    good &= beta is None or (beta.shape == shape[:2] and np.isfinite(beta).all())
    return good and ((cells, edges, operations), (alpha, beta))
  return _read(row, 'architecture', read)


def _policy(row):
  """((candidates,), (probability, applied, strength)) of a row."""
  def read(content):
    names = _words(content['candidates'])
    probability, applied, strength = (
        _array(content.get(key)) for key in ('probability', 'applied', 'strength'))
    good = probability.ndim == 2 and probability.shape[1] == len(
        names) and 0 < probability.size <= _MOST**2
    good = good and len(probability) <= _MOST_NODES
    good = good and np.isfinite(probability).all()
    good &= all(x is None or (x.shape == probability.shape and not np.isinf(x).any())
                for x in (applied, strength))
    return good and ((names,), (probability, applied, strength))
  return _read(row, 'policy', read)


def _words(values):
  if not all(isinstance(value, str) for value in values):
    raise ValueError('not words')
  return tuple(values)


def _array(values):
  return None if values is None else np.array(values, np.float64)


def softmax(logits, axis=-1):
  """softmax along an axis, of numpy arrays of finite numbers."""
  e = np.exp(logits - logits.max(axis, keepdims=True))
  return e / e.sum(axis, keepdims=True)


def skip_probability(architecture):
  """softmax(alpha) of skip_connect averaged over the edges: [T, C], or None where it is no
  candidate."""
  if architecture is None or 'skip_connect' not in architecture.operations:
    return None
  return softmax(architecture.alpha)[..., architecture.operations.index('skip_connect')].mean(-1)
