"""The table of a study: table.md to read, table.json to go on with; written anew after every run
that ended."""

import json
import os

from daas_jax.files import atomic
from daas_jax.study import check, costs, statistics

_METRIC = 'test error, %'
_HEAD = ('', 'weights', 'seeds', 'mean', 'std', 'best', 'difference', '95 % interval', 'p')
_WHERE_KNOWN = {  # {key of a row: (title of its column, its form)}
    'top_5': ('top-5 error', '.2f'),
    'multiply_adds': ('multiply-adds', ',.0f'),
    'search': ('search s', ',.0f'),
    'train': ('train s', ',.0f'),
}


def rows(study, results, failures):
  """The rows of a study's table.

  Args:
    study: a `plan.Study`.
    results: {folder of a run: what `runs.result` says of it}, of those that are over.
    failures: {folder of a run: what it said}.

  Returns:
    A list of dicts: 'row', 'values' {seed: test error in percent, mean over the row's trainings;
    only seeds at which all of them are over}, 'seeds' their number, 'mean', 'std' (n - 1), 'best'
    (lowest), 'parameters' (mean), 'top_5' (error), 'multiply_adds', 'search' and 'train'
    (device-seconds of the searches and the trainings of a seed), means too, None where nothing
    tells, 'cost', the sum of the last two, 'part' (of the table), 'reference' and 'difference'
    (`statistics.paired`, this row minus the reference, so below 0 this row is better) or None, and
    'failed' {folder: what it said}, of its trainings.
  """
  cells, values, out = costs.Cells(study, results), {}, []
  for label, names in study.rows.items():
    found = {s: cells.of(names, s) for s in study.seeds}
    found = {s: cell for s, cell in found.items() if cell is not None}
    values[label] = {s: cell.error for s, cell in found.items()}
    mean, deviation = statistics.mean_and_deviation(list(values[label].values()))
    known = {key: _mean([getattr(cell, key) for cell in found.values()]) for key in _WHERE_KNOWN}
    out.append({
        'row': label,
        'part': study.parts.get(label, ''),
        'seeds': len(found),
        'values': values[label],
        'mean': mean,
        'std': deviation,
        'best': min(values[label].values(), default=None),
        'parameters': _mean([cell.parameters for cell in found.values()]),
        **known,
        'cost': costs.total([known['search'], known['train']]),
        'failed': {f: failures[f] for s in study.seeds for f in cells.folders(names, s)
                   if f in failures}
    })
  for row in out:
    row['reference'] = study.references.get(row['row'])
    row['difference'] = row['reference'] and statistics.paired(values[row['row']],
                                                               values[row['reference']])
  return out


def comparisons(study, table):
  """The differences that a study asks for besides those to references.

  Args:
    study: a `plan.Study`.
    table: what `rows` returned.

  Returns:
    A list of dicts: 'row', 'against', 'difference' (`statistics.paired`, or None), and 'holm', p
    adjusted for all of them together.
  """
  values = {row['row']: row['values'] for row in table}
  out = [{'row': a, 'against': b, 'difference': statistics.paired(values[a], values[b])}
         for a, b in study.comparisons]
  known = [pair for pair in out if pair['difference']]
  adjusted = statistics.holm([pair['difference']['p'] for pair in known])
  for pair in out:
    pair['holm'] = None
  for pair, p in zip(known, adjusted):
    pair['holm'] = p
  return out


def _mean(xs):
  return None if None in xs else statistics.mean_and_deviation(xs)[0]


def _shown(value, form='.2f'):
  return '-' if value is None else format(value, form)


def _difference(d):
  """Three cells: mean, interval, p."""
  if not d:
    return '-', '-', '-'
  interval = f"{d['low']:+.2f} to {d['high']:+.2f}" if d['low'] is not None else '-'
  return f"{d['mean']:+.2f}", interval, f"{d['p']:.3g}"


def _cells(row, total, columns):
  return (row['row'], _shown(row['parameters'], ',.0f'), f"{row['seeds']} of {total}",
          *(_shown(row[key]) for key in ('mean', 'std', 'best')), *_difference(row['difference']),
          *(_shown(row[key], _WHERE_KNOWN[key][1]) for key in columns))


def _markdown(lines):
  head, *rest = [[str(cell).replace('|', '\\|') for cell in line] for line in lines]
  return '\n'.join(
      f"| {' | '.join(line)} |" for line in (head, ['---'] + ['---:'] * (len(head) - 1), *rest))


def _parts(study, table):
  """The rows: a table of all, or one for each part under its title."""
  columns = [key for key in _WHERE_KNOWN if any(row[key] is not None for row in table)]
  for part in dict.fromkeys(row['part'] for row in table):
    yield from [f'## {part}'] if part else []
    yield _markdown([_HEAD + tuple(_WHERE_KNOWN[key][0] for key in columns),
                     *(_cells(row, len(study.seeds), columns)
                       for row in table if row['part'] == part)])


def _compared(pairs):
  if pairs:
    yield '## Comparisons'
    yield _markdown([('', 'against', 'seeds', 'difference', '95 % interval', 'p', "p, Holm's"),
                     *((pair['row'], pair['against'], (pair['difference'] or {}).get('seeds', 0),
                        *_difference(pair['difference']), _shown(pair['holm'], '.3g'))
                       for pair in pairs)])
    yield (f'The first row minus the second, seed by seed: below 0 the first is better. '
           f"Holm's p is adjusted for all {len(pairs)} together.")


def _curve(table):
  """Error against device-seconds, of the first part of the table."""
  found = costs.cheapest_first([row for row in table if row['part'] == table[0]['part']])
  if len(found) > 1:
    yield '## Cost'
    yield _markdown([('', 'device-seconds', _METRIC, 'none cheaper is as good'),
                     *((row['row'], f"{row['cost']:,.0f}", f"{row['mean']:.2f}",
                        '*' if first else '') for row, first in found)])
    yield ('Device-seconds of a seed, searches and trainings together, with what they compiled: '
           'measured, so other work on the machine is in them.')


def _by_seed(study, results, failures):
  """Every training by itself: names down, seeds across."""
  lines = [('', *(f'seed {s}' for s in study.seeds))]
  names = dict.fromkeys(f'trainings/{run.name}' for run in study.runs if run.kind == 'train')
  names |= dict.fromkeys(name for name in costs.elements(study) if name.startswith(check.OF_SEARCH))
  for name in names:
    cells = []
    for folder in (f'{name}-{s}' for s in study.seeds):
      error = results.get(folder, {}).get('error')
      cells.append('failed' if error is None and folder in failures else _shown(error))
    name = name.removeprefix('trainings/')
    lines.append((name, *cells))
  return _markdown(lines)


def _notes(study, pairs):
  references = sorted(set(study.references.values()))
  most = max(pairs, default=0)
  named = '; '.join(references) if not study.parts else 'of the same part: ' + '; '.join(
      label for label in references if study.parts[label] == next(iter(study.parts.values())))
  lines = [
      f"{_METRIC}, of the epoch with the best validation accuracy (without validation images, of "
      "the last). The difference is of a row minus its reference "
      f"({named}), seed by seed: below 0 the row is better; its interval supposes "
      "normal "
      'differences. p: exact two-sided sign-flip test of these differences, each row by itself.'
  ]
  if 0 < most <= 16:
    lines.append(
        f'With {most} seeds no p is below {2 / 2 ** most:.3g}, however large the difference.')
  return ' '.join(lines)


def markdown(study, table, results, failures):
  """table.md as text: the rows, every training by itself, and what failed."""
  kind, what = (('train', 'trainings') if any(run.kind == 'train' for run in study.runs) else
                ('search', 'searches'))
  over = [run.folder in results for run in study.runs if run.kind == kind]
  parts = [f'# {study.title}', f'{sum(over)} of {len(over)} {what} are over.',
           *_parts(study, table),
           _notes(study, [row['difference']['seeds'] for row in table if row['difference']]),
           *_compared(comparisons(study, table)), *_curve(table),
           f'Each training, {_METRIC}:', _by_seed(study, results, failures)]
  if failures:
    parts += ['Failed:', '\n'.join(f'- `{folder}`: {said}' for folder, said in failures.items())]
  return '\n\n'.join(parts) + '\n'


def write(root, study, results, failures):
  """Writes table.md and table.json into the study's folder.

  Args:
    root: the study's folder.
    study, results, failures: as `rows` takes them.

  Returns:
    table.md as text.
  """
  table = rows(study, results, failures)
  runs = {kind: {'total': sum(run.kind == kind for run in study.runs),
                 'finished': sum(run.kind == kind and run.folder in results for run in study.runs),
                 'failed': sum(run.kind == kind and run.folder in failures for run in study.runs)}
          for kind in ('search', 'train')}
  content = {
      'title': study.title,
      'metric': _METRIC,
      'seeds': list(study.seeds),
      'runs': runs,
      'rows': table,
      'comparisons': comparisons(study, table),
      'trainings': {
          run.folder: results[run.folder] for run in study.runs
          if run.kind == 'train' and run.folder in results
      },
      'failed': failures
  }
  text = markdown(study, table, results, failures)
  atomic.write(os.path.join(root, 'table.json'), json.dumps(content, indent=1) + '\n')
  atomic.write(os.path.join(root, 'table.md'), text)
  return text
