"""A report as a page and its figures, put together of what the runs have to show."""

import re

from daas_jax.config import schema as config_lib
from daas_jax.data import select
from daas_jax.errors import BadInput
from daas_jax.files import storage
from daas_jax.methods import decided
from daas_jax.nets import registry as nets
from daas_jax.nets.cells import genotype as genotype_lib
from daas_jax.report import (
  figures,
  graph,
  page,
  policy_figures,
  runs as runs_lib,
  sheet,
  timing,
)


class _Report:
  """Collects the page: its contents, its HTML and its figures, {file name: PNG}."""

  def __init__(self):
    self.contents, self.parts, self.figures = [], [], {}
    self._prefix = ''

  def begin(self, slug):
    """What follows is of the run that `slug` names in file names and anchors; '' for a run that is
    alone."""
    self._prefix = f'{slug}-' if slug else ''

  def heading(self, level, text):
    anchor = self._prefix + re.sub(r'[^a-z0-9]+', '-', text.lower()).strip('-')
    while anchor in [known for _, _, known in self.contents]:
      anchor += '-'
    self.contents.append((level, text, anchor))
    self.parts.append(page.heading(level, text, anchor))

  def add(self, *parts):
    self.parts += parts

  def figure(self, name, png, caption, words):
    file = f'{self._prefix}{name}.png'
    self.figures[file] = png
    self.parts.append(page.figure(png, f'{caption} (figures/{file})', words))


def build(runs):
  """The report of some runs.

  Args:
    runs: `runs.Run`s, at least one.

  Returns:
    (the page as HTML, {file name: PNG}).
  """
  report, alone = _Report(), len(runs) == 1
  if not alone:
    _comparison(report, runs)
  for run, slug in zip(runs, slugs([run.name for run in runs])):
    report.begin('' if alone else slug)
    _run(report, run, 2 if alone else 3)
  title = f'Report of {runs[0].name}' if alone else f'Report of {len(runs)} runs'
  return page.document(title, report.contents, ''.join(report.parts)), report.figures


def slugs(names):
  """A different word for each name, fit for file names."""
  out = []
  for name in names:
    word = re.sub(r'[^A-Za-z0-9_.]+', '-', name).strip('-.')[:60] or 'run'
    number = 2
    while (word if number == 2 else f'{word}-{number - 1}').lower() in [
        known.lower() for known in out
    ]:
      number += 1
    out.append(word if number == 2 else f'{word}-{number - 1}')
  return out


# --- several runs ---------------------------------------------------------------------------------


def _comparison(report, runs):
  report.heading(2, 'Comparison')
  head = ['', *(run.name for run in runs)]
  rows = [[name, *(dict(facts(run))[name] for run in runs)] for name, _ in facts(runs[0])]
  report.add(
      page.table([['-' if cell is None else cell for cell in row] for row in rows if any(row[1:])],
                 head))
  different = _differences(runs)
  if different:
    report.add(page.folded('Config keys in which they differ', page.table(different, head)))
  for kind, words in (('search', 'searches'), ('train', 'trainings')):
    some = [run for run in runs if run.kind == kind and figures.has_curves(run)]
    if len(some) > 1:
      report.figure(
          f'curves-of-{words}', figures.curves(some),
          f'Loss and accuracy of the {words}: a colour a run, '
          'training dashed, validation solid. From metrics.jsonl of each',
          f'Curves of {len(some)} {words}')
  some = [run for run in runs if run.kind == 'search' and figures.has_stability(run)]
  if len(some) > 1:
    report.figure(
        'stability', figures.stability(some),
        'Whether the searches collapse: share of skip_connect among '
        'the derived edges and, where it was measured, the dominant eigenvalue. From metrics.jsonl '
        'of each',
        f'Share of skip_connect and eigenvalues of {len(some)} searches')


def _differences(runs):
  rows = [[key, *(_value(run.config[key]) if key in run.config else '-' for run in runs)]
          for key in dict.fromkeys(key for run in runs for key in run.config) if key != 'kind']
  return [row for row in rows if len(set(row[1:]) - {'-'}) > 1]


def _value(value):
  if isinstance(value, list):
    return ', '.join(map(_value, value))
  return f'{value:.6g}' if isinstance(value, float) else str(value)


def facts(run):
  """[(what, value as text, None where a run has no such thing)]: what a reader wants to know first
  of a run."""
  config, results = run.config, run.results or {}
  last = lambda name: (runs_lib.series(run.metrics, name)[1] or [None])[-1]
  known = lambda key: _value(config[key]) if key in config else None
  epochs, training, times = known(f'{run.kind}.epochs'), run.kind == 'train', timing.timings(run)
  likeliest = run.table and not training and sheet.lines(run.table, sheet.likeliest(run.table)[0])
  return [
      ('what', 'training' if training else f"search ({known('method')})"),
      ('state',
       'finished' if run.finished else f"unfinished, in epoch {last('epoch') or 1} of {epochs}"),
      ('decided', run.decided and run.decided['sentence']),
      ('data', known('data.name')), ('seed', known('seed')), ('epochs', epochs),
      ('architecture', known('genotype')), ('policy', known('policy') if training else None),
      ('test accuracy', _measure(results.get('test_accuracy'))),
      ('top-5 test accuracy', _measure(results.get('test_top5_accuracy'))),
      ('test accuracy of the last epoch',
       _measure((results.get('last_epoch') or {}).get('test_accuracy'))),
      ('best validation accuracy', _measure(results.get('val_accuracy'))),
      ('best epoch', _measure(results.get('best_epoch'))),
      ('parameters', _measure(results.get('parameters'))),
      ('multiply-adds of an image', _measure(results.get('multiply_adds'))),
      ('last validation loss', _measure(last('val_loss'))),
      ('last validation accuracy', _measure(last('val_accuracy'))),
      ('last mean IoU of validation boxes', _measure(last('val_iou'))),
      ('skip_connect in the derived cells', _measure(last('skip_share'))),
      ('dominant eigenvalue', _measure(last('dominant_eigenvalue'))),
      ('likeliest policy', ', '.join(name for name, _, _ in likeliest) if likeliest else None),
      ('time', _duration(times.total) if times else None)
  ]


def _measure(value):
  """A number of a result or of the metrics; None for what is none."""
  if not runs_lib.is_number(value):
    return None
  return f'{value:,}' if isinstance(value, int) else f'{value:.4f}'


def _duration(seconds):
  minutes, hours = seconds / 60, seconds / 3600
  if minutes < 2:
    return f'{seconds:.0f} s'
  return f'{minutes:.1f} min' if hours < 2 else f'{hours:.1f} h'


# --- one run --------------------------------------------------------------------------------------


def _run(report, run, level):
  if level == 2:
    report.heading(2, 'Result')
  else:
    report.heading(2, f'{"Search" if run.kind == "search" else "Training"}: {run.name}')
  report.add(*map(page.note, run.notes), page.table([fact for fact in facts(run) if fact[1]]),
             page.paragraph(f'Workdir: {run.folder}'))
  for title, part in (('Decided', _decided), ('Cells', _cells), ('Curves', _curves),
                      ('Architecture over time', _architecture), ('Policy', _policy), ('Time',
                                                                                       _time)):
    before = len(report.parts)
    report.heading(level, title)
    part(report, run)
    if len(report.parts) == before + 1:  # nothing to show
      report.parts.pop()
      report.contents.pop()
  report.heading(level, 'Config')
  report.add(
      page.folded('config.json',
                  page.table([[key, _value(value)] for key, value in run.config.items()])))


def _decided(report, run):
  if not run.decided:
    return
  report.add(*map(page.paragraph, decided.lines(run.decided)))
  rows = [[f'{part} {where}'.strip(), *rest] for part, where, *rest in decided.rows(run.decided)]
  if rows:
    report.add(page.folded('Every choice, by the option with most evidence (decided.json)',
                           page.table(rows, ['', 'option', 'z', 'probability', 'it is'])))


def _cells(report, run):
  if run.genotype is None:
    return
  words = genotype_lib.describe(run.genotype)
  report.figure(
      'cells', graph.cells(run.genotype),
      f'The {"derived cells" if run.kind == "search" else "trained cells"}, from genotype.json. A '
      'node is the sum of the two operations that end in it; an operation\'s input is the node '
      'above its dot',
      words)
  report.add(page.folded('The same as text', page.preformatted(words)))


def _curves(report, run):
  if figures.has_curves(run):
    what = ('validation: of the batches of D_val, before anything is derived' if run.kind
            == 'search' else 'validation: of all validation images, at the end of an epoch')
    report.figure(
        'curves', figures.curves([run]),
        'Loss and accuracy, from metrics.jsonl; training: the mean over the steps since the point '
        f'before; {what}', 'Curves of loss and accuracy')
  if figures.measure_panels(run):
    words = {
        'skip':
            'the share of skip_connect: the mean of softmax(alpha) over the edges (history.jsonl), '
            'and among the edges of the cells as they would be derived (metrics.jsonl)',
        'eigenvalue':
            'the dominant eigenvalue of the Hessian of the validation loss in alpha '
            '(metrics.jsonl), whose growth goes before a collapse',
        'entropy': 'the entropies of what is searched (metrics.jsonl): they fall as the search '
                   'decides'
    }
    caption = '; '.join(words[panel] for panel in figures.measure_panels(run))
    report.figure('measures', figures.measures(run), caption[0].upper() + caption[1:],
                  'Measures of the run over time')


def _architecture(report, run):
  over_time = run.architecture
  if over_time is None or len(over_time.epochs) < 2:
    return
  for c, name in enumerate(over_time.cells):
    report.figure(
        f'alpha-{slugs([name])[0]}', figures.alpha(over_time, c),
        f'softmax(alpha) of the {name} cells over time, from history.jsonl: a panel an edge, from '
        'node → to node; dashed: all operations alike',
        f'Probabilities of the operations on every edge of the {name} cells')
  if over_time.beta is not None:
    report.figure(
        'beta', figures.beta(over_time),
        'softmax(beta) over the edges into each node over time, from '
        'history.jsonl; dashed: all edges alike. The two likeliest of a node are derived',
        'Probabilities of the edges into every node')


def _policy(report, run):
  if run.kind == 'train' and run.table is None:
    report.add(
        page.paragraph(f"Trained under the policy {run.config.get('policy')}, which is no file."))
  over_time = run.policy
  if over_time is not None and len(over_time.epochs) > 1:
    report.figure(
        'policy', policy_figures.policy_areas(run),
        'Probability of each operation over time, from history.jsonl, '
        'as in Figure 2 of the joint-search paper; at the bottom the likeliest at the end, in grey '
        'the rest, a band each', 'Probabilities of the operations of the policy')
    parts = ', '.join(title for title, _ in policy_figures.policy_parts(over_time))
    report.figure(
        'policy-parameters', policy_figures.policy_maps(over_time),
        f'The policy over time ({parts}), from history.jsonl. A magnitude is in [0, 1], from the '
        'low to the high end of its operation\'s range; light grey: an operation without one',
        f'Maps of {parts}')
  if run.table is not None:
    _table(report, run)


def _table(report, run):
  rows = []
  for rank, i in enumerate(sheet.likeliest(run.table)):
    names, applied, values = zip(*sheet.lines(run.table, i))
    rows.append(
        [rank + 1, f'{run.table.probability[i]:.4f}', *map(', '.join, (names, applied, values))])
  report.add(
      page.paragraph(
          f'The {len(rows)} likeliest of {len(run.table.probability)} policies, from policy.json: '
          'operations in order, how often each is applied, and its magnitude in its own unit.'),
      page.table(rows, ['', 'probability', 'operations', 'applied', 'magnitude']))
  try:
    images, labels, name = _images(run)
  except (BadInput, OSError) as error:
    report.add(page.note(f'No sheet of images: {error}'))
    return
  report.figure(
      'policies', sheet.draw(run.table, sheet.pick(images, labels)),
      f'Training images of {name} under the likeliest policies of policy.json, each operation '
      'applied (a training applies it with its probability)', 'Images under the likeliest policies')


def _images(run):
  """(images uint8 [N, H, W, C], labels [N], name) of the training set of a run; BadInput where it
  cannot be had."""
  schema = config_lib.schema_of(run.kind, run.config.get('method'))
  config = config_lib.default(schema)
  try:
    # a config of another version may lack keys and have others; types are checked below
    with config.ignore_type():
      config.update_from_flattened_dict({
          key: value for key, value in run.config.items() if key in schema
      })
  except (TypeError, ValueError, OverflowError) as error:  # ml_collections' own
    raise BadInput(f'config.json is damaged: {storage.reason(error)}') from error
  config_lib.check(config, run.kind)
  network = nets.of(config)
  if network.task:
    raise BadInput('images with boxes are not shown')
  data = select.from_config(config, network.smallest(config))
  return data.train_images, data.train_labels, data.name


def _time(report, run):
  times = timing.timings(run)
  if not times:
    return
  rows = [[name or 'all', f'{step:.3g}', f'{epoch:.3g}' if epoch else '-']
          for name, step, epoch in times.phases]
  share = times.compiling / times.total if times.total else 0.0
  report.add(
      page.table(rows, ['phase', 'seconds a step', 'seconds an epoch']),
      page.paragraph(
          f'{_duration(times.total)} in all, evaluation included; {share:.0%} of it compiling '
          '(what the first line took longer than a median step). From images_per_second in '
          'metrics.jsonl; a step is the median over the lines.'))
