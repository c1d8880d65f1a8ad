"""The table of a study: table.md to read, table.json to go on with; written anew after every run
that ended."""

import json
import os

from daas_jax.files import atomic
from daas_jax.study import statistics

_METRIC = 'test error, %'
_HEAD = ('', 'weights', 'seeds', 'mean', 'std', 'best', 'difference', '95 % interval', 'p')


def rows(study, results, failures):
  """The rows of a study's table.

  Args:
    study: a `plan.Study`.
    results: {folder of a training: {'error', 'parameters'}}, of those that are over.
    failures: {folder of a run: what it said}.

  Returns:
    A list of dicts: 'row', 'values' {seed: test error in percent, mean over the row's trainings;
    only seeds at which all of them are over}, 'seeds' their number, 'mean', 'std' (n - 1), 'best'
    (lowest), 'parameters' (mean), 'reference' and 'difference' (`statistics.paired`, this row minus
    the reference, so below 0 this row is better) or None, and 'failed' {folder: what it said}, of
    its trainings.
  """
  by_name = {(run.name, run.seed): run.folder for run in study.runs if run.kind == 'train'}
  values, out = {}, []
  for label, names in study.rows.items():
    found = {s: [results.get(by_name[name, s]) for name in names] for s in study.seeds}
    found = {s: trainings for s, trainings in found.items() if None not in trainings}
    mean_of = lambda key: {
        s: statistics.mean_and_deviation([t[key] for t in ts])[0] for s, ts in found.items()
    }
    values[label] = mean_of('error')
    mean, deviation = statistics.mean_and_deviation(list(values[label].values()))
    folders = [by_name[name, s] for name in names for s in study.seeds]
    out.append({
        'row': label,
        'seeds': len(found),
        'values': values[label],
        'mean': mean,
        'std': deviation,
        'best': min(values[label].values(), default=None),
        'parameters': statistics.mean_and_deviation(list(mean_of('parameters').values()))[0],
        'failed': {
            f: failures[f] for f in folders if f in failures
        }
    })
  for row in out:
    row['reference'] = study.references.get(row['row'])
    row['difference'] = row['reference'] and statistics.paired(values[row['row']],
                                                               values[row['reference']])
  return out


def _shown(value, form='.2f'):
  return '-' if value is None else format(value, form)


def _cells(row, total):
  d = row['difference']
  interval = f"{d['low']:+.2f} to {d['high']:+.2f}" if d and d['low'] is not None else '-'
  return (row['row'], _shown(
      row['parameters'], ',.0f'), f"{row['seeds']} of {total}", _shown(
          row['mean']), _shown(row['std']), _shown(
              row['best']), _shown(d and d['mean'], '+.2f') if d else '-', interval,
          _shown(d['p'], '.3g') if d else '-')


def _markdown(lines):
  head, *rest = [[str(cell).replace('|', '\\|') for cell in line] for line in lines]
  return '\n'.join(
      f"| {' | '.join(line)} |" for line in (head, ['---'] + ['---:'] * (len(head) - 1), *rest))


def _by_seed(study, results, failures):
  """Every training by itself: names down, seeds across."""
  lines = [('', *(f'seed {s}' for s in study.seeds))]
  names = list(dict.fromkeys(run.name for run in study.runs if run.kind == 'train'))
  for name in names:
    cells = []
    for folder in (f'trainings/{name}-{s}' for s in study.seeds):
      cells.append(
          _shown(results[folder]['error']) if folder in results else 'failed' if folder in
          failures else '-')
    lines.append((name, *cells))
  return _markdown(lines)


def _notes(study, pairs):
  references = sorted(set(study.references.values()))
  most = max(pairs, default=0)
  lines = [
      f"{_METRIC}, of the epoch with the best validation accuracy. The difference is of a row "
      "minus its reference "
      f"({'; '.join(references)}), seed by seed: below 0 the row is better; its interval supposes "
      "normal "
      'differences. p: exact two-sided sign-flip test of these differences, each row by itself.'
  ]
  if 0 < most <= 16:
    lines.append(
        f'With {most} seeds no p is below {2 / 2 ** most:.3g}, however large the difference.')
  return ' '.join(lines)


def markdown(study, table, results, failures):
  """table.md as text: the rows, every training by itself, and what failed."""
  done = sum(run.folder in results for run in study.runs if run.kind == 'train')
  total = sum(run.kind == 'train' for run in study.runs)
  parts = [f'# {study.title}', f'{done} of {total} trainings are over.',
           _markdown([_HEAD, *(_cells(row, len(study.seeds)) for row in table)]),
           _notes(study, [row['difference']['seeds'] for row in table if row['difference']]),
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
