"""The figures of a report over time: each takes what `runs` read and returns the bytes of a PNG."""

import io
import warnings

import matplotlib
from matplotlib import figure as mpl_figure

from daas_jax.report import runs as runs_lib

# Okabe and Ito's colours, told apart by colour-blind readers; black and grey are for what is not
# one of many.
COLORS = ('#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00', '#8C6D31', '#7F3C8D',
          '#000000')
GREY = '#BDBDBD'
_MARKERS = 'os^Dv<>Ph'
_STYLE = {
    'text.parse_math': False,  # names out of files may hold a $
    'font.size': 10,
    'axes.titlesize': 10,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'grid.color': '0.92',
    'axes.axisbelow': True,
    'lines.linewidth': 1.6,
    'legend.frameon': False,
}
_FEW = 30  # points that are marked one by one


def png(size, plot):
  """The PNG of what `plot(figure)` draws; size: (width, height) in inches. The same drawing gives
  the same bytes."""
  with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
    warnings.filterwarnings('ignore', 'Glyph')  # a name in a script that the font has not
    drawing = mpl_figure.Figure(figsize=size, layout='constrained')
    plot(drawing)
    buffer = io.BytesIO()
    drawing.savefig(buffer, format='png', dpi=130, metadata={'Software': None})
  return buffer.getvalue()


def color(i):
  """The colour of the i-th of many."""
  return COLORS[i % len(COLORS)]


def _line(axis, x, y, i, label, **options):
  few = {'marker': _MARKERS[i % len(_MARKERS)], 'ms': 3.5} if len(x) <= _FEW else {}
  axis.plot(x, y, **({'color': color(i), 'label': label_of(label)} | few | options))


def label_of(text):
  """Text of a file as a label: legends pass over one that begins with an underscore, a long one
  leaves no room."""
  text = text.encode('utf-8', 'replace').decode('utf-8')  # lone surrogates of file names
  text = text if len(text) <= 40 else '…' + text[-39:]
  return f' {text}' if text.startswith('_') else text


def whole_epochs(axis):
  """Ticks of the x axis at whole numbers."""
  axis.xaxis.get_major_locator().set_params(integer=True)


def phase_changes(run, scale):
  """[(x, name)] of every phase of a run after its first; x in steps / scale."""
  rows = [row for row in run.metrics if isinstance(row.get('phase'), str)]
  return [(before['step'] / scale, row['phase'][:20]) for before, row in zip(rows, rows[1:])
          if row['phase'] != before['phase']]


def mark_phases(axis, run, scale, text=True):
  """A dotted line, with a name where `text`, at every phase of a run after its first."""
  for x, name in phase_changes(run, scale):
    axis.axvline(x, color='0.5', lw=1, ls=':')
    if text:
      axis.annotate(f'{name} →', (x, 1), xycoords=('data', 'axes fraction'), xytext=(3, -2),
                    va='top', textcoords='offset points', fontsize=8, color='0.35')


# --- curves ---------------------------------------------------------------------------------------


SCORES = {'accuracy': 'accuracy', 'iou': 'mean IoU of boxes'}
"""{how metrics name the score beside a loss: how a figure does}."""


def score(run):
  """Which of `SCORES` a run has logged."""
  return next((name for name in SCORES for part in ('train', 'val')
               if runs_lib.series(run.metrics, f'{part}_{name}')[0]), 'accuracy')


def has_curves(run):
  return any(runs_lib.series(run.metrics, f'{part}_{name}')[0]
             for part in ('train', 'val') for name in ('loss', *SCORES))


def _common_unit(runs):
  """(steps of each run in a unit of time, its name): epochs where every run is known to have them,
  else steps."""
  scales = [runs_lib.steps_per_epoch(run) for run in runs]
  return (scales, 'epochs') if all(scales) else ([1] * len(runs), 'steps')


def curves(runs):
  """Loss and accuracy (or another of `SCORES`) of one run, or of several in one pair of axes:
  training dashed, validation solid."""
  scales, unit = _common_unit(runs)

  def plot(drawing):
    axes = drawing.subplots(1, 2)
    second = score(runs[0])
    for axis, name, label in zip(axes, ('loss', second), ('cross-entropy (nats)', SCORES[second])):
      for i, (run, scale) in enumerate(zip(runs, scales)):
        prefix = f'{run.name}, ' if len(runs) > 1 else ''
        for part, style in (('train', '--'), ('val', '-')):
          x, y = runs_lib.series(run.metrics, f'{part}_{name}', scale)
          shade = i if len(runs) > 1 else ('train', 'val').index(part)
          if x:
            _line(axis, x, y, shade, f'{prefix}{"training" if part == "train" else "validation"}',
                  ls=style, lw=1.1 if part == 'train' else 1.8)
      if len(runs) == 1:
        mark_phases(axis, runs[0], scales[0])
      axis.set(xlabel=unit, ylabel=label, title=name)
      whole_epochs(axis)
    handles, labels = axes[0].get_legend_handles_labels()
    drawing.legend(handles or axes[1].get_legend_handles_labels()[0], labels
                   or axes[1].get_legend_handles_labels()[1], loc='outside lower center', ncols=2)

  return png((9, 3.4 + 0.22 * len(runs)), plot)


_EIGENVALUE = 'dominant_eigenvalue'
_WORDS = {'entropy_alpha': 'alpha (mean over edges)', 'entropy_beta': 'beta (mean over nodes)'}


def _entropies(run):
  return sorted({name for row in run.metrics for name in row
                 if name.startswith('entropy_') and runs_lib.series([row], name)[0]})


def measure_panels(run):
  """Names of the panels that `measures` would draw of a run: 'skip', 'eigenvalue', 'entropy'."""
  have = {
      'skip': runs_lib.skip_probability(run.architecture) is not None or _has(run, 'skip_share'),
      'eigenvalue': _has(run, _EIGENVALUE),
      'entropy': bool(_entropies(run))
  }
  return [name for name, there in have.items() if there]


def _has(run, name):
  return bool(runs_lib.series(run.metrics, name)[0])


def measures(run):
  """Share of skip_connect, the dominant eigenvalue and the entropies over time, those that the run
  has."""
  panels, scale = measure_panels(run), runs_lib.steps_per_epoch(run)

  def plot(drawing):
    axes = drawing.subplots(1, len(panels), squeeze=False)[0]
    for axis, panel in zip(axes, panels):
      {'skip': _skip, 'eigenvalue': _eigenvalue, 'entropy': _entropy}[panel](axis, run, scale or 1)
      mark_phases(axis, run, scale or 1, text=False)
      axis.set_xlabel('epochs' if scale else 'steps')
      axis.margins(y=0.12)
      whole_epochs(axis)
      if axis.get_legend_handles_labels()[0]:
        axis.legend(loc='upper center', bbox_to_anchor=(0.5, -0.2), fontsize=9)

  return png((max(4.5, 4.2 * len(panels)), 4.4), plot)


def has_stability(run):
  """Whether `stability` has anything to draw of a run."""
  return _has(run, 'skip_share') or _has(run, _EIGENVALUE)


def stability(runs):
  """Share of skip_connect among the derived edges, and the dominant eigenvalue, of several
  searches: a line a run."""
  scales, unit = _common_unit(runs)
  panels = [(name, title)
            for name, title in (('skip_share', 'skip_connect among the derived edges, share'),
                                (_EIGENVALUE, 'dominant eigenvalue of d2 L_val / d alpha2')) if any(
                                    _has(run, name) for run in runs)]

  def plot(drawing):
    axes = drawing.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, title) in zip(axes, panels):
      for i, (run, scale) in enumerate(zip(runs, scales)):
        if _has(run, name):
          _line(axis, *runs_lib.series(run.metrics, name, scale), i, run.name)
      axis.set(title=title, xlabel=unit)
      whole_epochs(axis)
    handles = {
        label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels())
    }
    drawing.legend(handles.values(), handles.keys(), loc='outside lower center', ncols=2)

  return png((5.2 * len(panels), 3.6 + 0.14 * len(runs)), plot)


def _skip(axis, run, scale):
  probability = runs_lib.skip_probability(run.architecture)
  if probability is not None:
    for i, name in enumerate(run.architecture.cells):
      _line(axis, run.architecture.steps / scale, probability[:, i], i,
            f'probability, {name} cells')
    axis.axhline(1 / len(run.architecture.operations), color='0.5', ls='--', lw=1,
                 label='uniform alpha')
  x, y = runs_lib.series(run.metrics, 'skip_share', scale)
  if x:
    axis.step(x, y, where='mid', color='k', lw=1, marker='s', ms=4, label='derived cells')
  axis.set(title='share of skip_connect', ylabel='share')
  axis.set_ylim(bottom=0)


def _eigenvalue(axis, run, scale):
  _line(axis, *runs_lib.series(run.metrics, _EIGENVALUE, scale), 5, 'of d2 L_val / d alpha2')
  axis.set(title='dominant eigenvalue', ylabel='nats per unit of alpha squared')


def _entropy(axis, run, scale):
  for i, name in enumerate(_entropies(run)):
    slot = name.removeprefix('entropy_pi_')
    label = _WORDS.get(name) or (f'operations of slot {int(slot) + 1}'
                                 if slot.isdecimal() else name)
    _line(axis, *runs_lib.series(run.metrics, name, scale), i, label)
  axis.set(title='entropy', ylabel='nats')


# --- the architecture -----------------------------------------------------------------------------


def alpha(architecture, c):
  """softmax(alpha) of cell type c over time, a panel an edge: a row a target node, a column a
  source node."""
  probability = runs_lib.softmax(architecture.alpha)[:, c]
  rows, columns = (sorted({edge[i] for edge in architecture.edges}) for i in (1, 0))

  def plot(drawing):
    axes = drawing.subplots(len(rows), len(columns), sharex=True, sharey=True, squeeze=False)
    for axis in axes.flat:
      axis.set_visible(False)
    for e, (source, target) in enumerate(architecture.edges):
      axis = axes[rows.index(target), columns.index(source)]
      axis.set_visible(True)
      axis.axhline(1 / len(architecture.operations), color='0.5', ls='--', lw=0.8)
      for o, name in enumerate(architecture.operations):
        _line(axis, architecture.epochs, probability[:, e, o], o, name, ms=2.5, lw=1.3)
      axis.set_title(f'{source} → {target}', fontsize=9, pad=2)
      axis.tick_params(labelleft=source == columns[0], labelbottom=target == rows[-1], labelsize=8)
      whole_epochs(axis)
    handles, labels = axes[rows.index(architecture.edges[0][1]),
                           columns.index(architecture.edges[0][0])].get_legend_handles_labels()
    drawing.legend(handles, labels, loc='upper right', title='operation')
    drawing.supxlabel('epochs', fontsize=10)
    drawing.supylabel('probability, softmax(alpha)', fontsize=10)

  return png((9, 0.8 + 1.5 * len(rows)), plot)


def beta(architecture):
  """softmax(beta) over the edges of each node over time: a row a cell type, a column a node."""
  targets = sorted({target for _, target in architecture.edges})
  sources = sorted({source for source, _ in architecture.edges})

  def plot(drawing):
    axes = drawing.subplots(len(architecture.cells), len(targets), sharex=True, sharey=True,
                            squeeze=False)
    for c, row in enumerate(axes):
      for axis, target in zip(row, targets):
        own = [e for e, edge in enumerate(architecture.edges) if edge[1] == target]
        probability = runs_lib.softmax(architecture.beta[:, c, own])
        axis.axhline(1 / len(own), color='0.5', ls='--', lw=0.8)
        for i, e in enumerate(own):
          source = architecture.edges[e][0]
          _line(axis, architecture.epochs, probability[:, i], sources.index(source),
                f'node {source}')
        axis.set_title(label_of(f'{architecture.cells[c]}: into node {target}'), fontsize=9)
        whole_epochs(axis)
    handles, labels = axes[0, -1].get_legend_handles_labels()
    drawing.legend(handles, labels, loc='outside right center', title='edge from')
    drawing.supxlabel('epochs', fontsize=10)
    drawing.supylabel('probability, softmax(beta)', fontsize=10)

  return png((9, 0.8 + 2 * len(architecture.cells)), plot)
