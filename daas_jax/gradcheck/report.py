"""The laboratory's rows as a table for a terminal and as a figure."""

import importlib.util

from daas_jax.gradcheck import arch_rows, estimators

_HEAD = ('estimator', 'bias', '+-', 'variance', 'cosine', '5 %', '95 %', 'pi', 'p', 'delta',
         'passes', 'seconds', 'cosine/pass')


def _by_name(rows):
  out = {}
  for row in rows:
    out.setdefault(row['estimator'], {})[row['group']] = row
  return out


def _aligned(lines):
  widths = [max(map(len, column)) for column in zip(*lines)]
  return '\n'.join('  '.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])])
                   for line in lines)


def _measures(row):
  return [
      f"{row['bias']:.2f}", f"{row['bias_error']:.2f}", f"{row['variance']:.4g}",
      f"{row['cosine_mean']:.3f}", f"{row['cosine_p05']:.2f}", f"{row['cosine_p95']:.2f}"
  ]


def _per_pass(row):
  return f"{row['cosine_mean'] / row['passes']:.4f}" if row['passes'] else '-'


def policy_table(rows):
  """Text: a line an estimator of the policy gradient; bias to 95 % are of pi, p and delta
  together."""
  lines = [_HEAD]
  for name, groups in _by_name(rows).items():
    row = groups['all']
    by_group = [
        f"{groups[g]['cosine_mean']:.2f}" if g in groups else '-' for g in ('pi', 'p', 'delta')
    ]
    lines.append([name, *_measures(row), *by_group,
                  str(row['passes']), f"{row['seconds']:.2f}", _per_pass(row)])
  return _aligned(lines)


def arch_table(rows):
  """Text: a line an estimator of the architecture gradient."""
  return _aligned([(*_HEAD[:7], 'passes', 'cosine/pass')] + [
      [row['estimator'], *_measures(row), str(row['passes']), _per_pass(row)] for row in rows])


def legend(rows):
  """Text: what each estimator of the policy gradient is."""
  return '\n'.join(f'{name:22}{estimators.TABLE[name].about}' for name in _by_name(rows)
                   if name in estimators.TABLE)


def arch_legend():
  """Text: what each estimator of the architecture gradient is."""
  return '\n'.join(f'{name:25}{row.about}' for name, row in arch_rows.TABLE.items())


def can_draw():
  """Whether matplotlib, an optional extra, is installed."""
  return importlib.util.find_spec('matplotlib') is not None


def figure(path, rows, cells):
  """Writes the figure (PNG): cosines of one draw with their 5 % to 95 % range, and bias against
  spread.

  Args:
    path: of the file.
    rows: as `policy_table` takes them.
    cells: {name of a tiny cell: rows as `arch_table` takes them}; may be empty.
  """
  import matplotlib  # pylint: disable=g-import-not-at-top (an optional extra)
  matplotlib.use('Agg')
  from matplotlib import pyplot as plt  # pylint: disable=g-import-not-at-top

  parts = [('policy gradient (pi, p, delta)', [row for row in rows if row['group'] == 'all'][1:]),
           *((f'architecture gradient (alpha), {name} cell', part[1:])
             for name, part in cells.items())]
  parts = [(title, part) for title, part in parts if part]
  sizes = [len(part) for _, part in parts]
  drawing, axes = plt.subplots(len(parts), 2, figsize=(11, 1.4 + 0.3 * sum(sizes)), squeeze=False,
                               sharey='row', height_ratios=sizes, layout='constrained')
  for (title, part), (left, right) in zip(parts, axes):
    y = range(len(part))
    means = [row['cosine_mean'] for row in part]
    left.hlines(y, [row['cosine_p05'] for row in part], [row['cosine_p95'] for row in part],
                color='0.6', lw=3)
    left.plot(means, y, 'o', color='C0')
    left.axvline(0, color='0.8', lw=1, zorder=0)
    left.set(yticks=y, yticklabels=[row['estimator'] for row in part], xlim=(-1, 1), title=title,
             xlabel='cosine of one draw with the exact gradient: mean, 5 % to 95 %')
    left.invert_yaxis()
    floor = 1e-2
    right.plot([max(row['variance']**0.5, floor) for row in part], y, 's', color='C1',
               label='standard deviation')
    seen = ['C3' if row['bias'] > 2 * row['bias_error'] else 'none' for row in part]
    right.scatter([max(row['bias'], floor) for row in part], y, facecolors=seen, edgecolors='C3',
                  zorder=3, label='bias (hollow: within twice its noise)')
    right.set(xscale='log', xlabel='in units of the exact gradient\'s norm (0.01: that or less)')
    right.grid(axis='x', color='0.9')
  axes[0, 1].legend(loc='lower center', bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False)
  drawing.savefig(path, dpi=150)
  plt.close(drawing)
