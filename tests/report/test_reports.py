"""The report of workdirs that are written here: whole, cut short, damaged, hostile; and what a browser makes of it."""

import base64
from html import parser
import json
import os
import re
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from conftest import ROOT
from daas_jax import config as config_lib
from daas_jax.report import command as report
from daas_jax.search import results
from daas_jax.nets.cells import genotype as genotype_lib
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.policies import categorical
from daas_jax.report import figures, policy_figures, runs as runs_lib, sections, sheet, timing
from daas_jax.types import SearchState

EPOCHS, PER_EPOCH = 3, 10


def _config(kind):
  config = getattr(config_lib, f'{kind}_config')()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 40, 20
  if kind == 'search':
    config.policy.ops, config.policy.share = ('Rotate', 'Invert', 'Cutout'), 'slot'
    config.search.epochs, config.search.warmup_epochs, config.search.batch = EPOCHS, 1, 10
  else:
    config.train.epochs, config.train.batch, config.policy, config.genotype = EPOCHS, 20, 'standard', 'random:1'
  return config


def _rows(kind):
  out = []
  for step in (4, 10, 14, 20, 24, 30):
    row = {'step': step, 'epoch': (step - 1) // PER_EPOCH + 1, 'train_loss': 2 / step, 'train_accuracy': step / 40,
           'phase': 'train' if kind == 'train' else 'warm-up' if step <= PER_EPOCH else 'joint',
           'images_per_second': 4.0 if step == 4 else 20.0}
    end = {'val_loss': 1 / step, 'val_accuracy': step / 50}
    end |= {'skip_share': 0.25, 'entropy_alpha': 1.9} if kind == 'search' else {}
    out.append(row | (end if step % PER_EPOCH == 0 else {}))
  return out


def _states(config):
  space = categorical.Space(tuple(config.policy.ops), share='slot')
  for epoch in range(EPOCHS + 1):
    keys = iter(jax.random.split(jax.random.key(epoch), 9))
    normal = lambda shape: epoch * jax.random.normal(next(keys), shape)
    gamma = jax.tree.map(lambda x: normal(x.shape), categorical.init(next(keys), space))
    yield SearchState(epoch * PER_EPOCH, None, None, {'alpha': normal((2, 14, 7)), 'beta': normal((2, 14))}, gamma,
                      None, None, None, None)


def write_run(folder, kind, finished=True, seed=0):
  """A workdir as the commands leave it; returns its path."""
  folder.mkdir(parents=True)
  config = _config(kind)
  config.seed = seed
  (folder / 'config.json').write_text(config_lib.to_json(config))
  (folder / 'metrics.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in _rows(kind)))
  if kind == 'search':
    states = list(_states(config))
    rows = [{'step': s.step, 'epoch': s.step // PER_EPOCH} | results.record(s, config) for s in states]
    (folder / 'history.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
    if finished:
      results.write(folder, states[-1], config)
  else:
    genotype_lib.save(folder / 'genotype.json', genotype_lib.random_genotype(1, DAAS_PRIMITIVES))
    if finished:
      (folder / 'results.json').write_text(json.dumps({'test_accuracy': 0.75, 'val_accuracy': 0.8, 'best_epoch': 2,
                                                       'parameters': 12345}))
  return folder


class _Page(parser.HTMLParser):
  """Ids, references, images and visible words of a page; refuses tags that are not closed."""

  VOID = {'meta', 'img'}

  def __init__(self, text):
    super().__init__()
    self.open, self.tags, self.ids, self.references, self.images, self.words = [], [], [], [], [], []
    self.feed(text)
    assert self.open == []

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    self.tags.append(tag)
    self.ids += [attrs['id']] if 'id' in attrs else []
    self.references += [attrs[key] for key in ('href', 'src', 'srcset', 'action', 'data') if key in attrs]
    self.images += [attrs] if tag == 'img' else []
    assert not any(name.startswith('on') for name in attrs)
    if tag not in self.VOID:
      self.open.append(tag)

  def handle_endtag(self, tag):
    assert self.open.pop() == tag

  def handle_data(self, data):
    if self.open and self.open[-1] != 'style':
      self.words.append(data)

  @property
  def text(self):
    return ' '.join(' '.join(self.words).split())


def _read(folder):
  return _Page((folder / 'report.html').read_text(encoding='utf-8'))


@pytest.fixture(scope='module')
def reported(tmp_path_factory):
  """The workdir of a search with a report in it."""
  run = write_run(tmp_path_factory.mktemp('report') / 'run', 'search')
  before = {path: path.read_bytes() for path in run.iterdir()}
  assert report.main([str(run)]) == 0
  assert {path: path.read_bytes() for path in before} == before
  return run


NAMES = ['alpha-normal', 'alpha-reduce', 'beta', 'cells', 'curves', 'measures', 'policies', 'policy',
         'policy-parameters']


def test_a_search_has_all_of_its_figures_inside_and_beside_the_page(reported):
  files = {path.name: path.read_bytes() for path in (reported / 'report' / 'figures').iterdir()}
  assert sorted(files) == sorted(f'{name}.png' for name in NAMES)
  images = _read(reported / 'report').images
  inside = [base64.b64decode(image['src'].removeprefix('data:image/png;base64,')) for image in images]
  assert sorted(inside) == sorted(files.values()) and all(png.startswith(b'\x89PNG') for png in inside)


def test_the_page_refers_to_nothing_outside_of_itself(reported):
  found = _read(reported / 'report')
  assert not {'script', 'link', 'iframe', 'object'} & set(found.tags)
  assert all(reference.startswith(('#', 'data:image/png;base64,')) for reference in found.references)
  anchors = [reference[1:] for reference in found.references if reference[0] == '#']
  assert anchors and set(anchors) <= set(found.ids) and len(found.ids) == len(set(found.ids))
  source = re.sub(r'src="data:[^"]*"', '', (reported / 'report' / 'report.html').read_text())
  assert not re.search(r'https?:|//|url\(|@import', source.replace('<!DOCTYPE html>', ''))
  assert all(image['alt'] for image in found.images) and 'viewport' in source and 'prefers-color-scheme: dark' in source


def test_the_page_says_what_the_run_was(reported):
  text = _read(reported / 'report').text
  for words in ('search (daas)', 'decided policy: what is decided cannot be told', 'effective number of operations an edge: ',
                'finished', 'node 2 =', 'likeliest of 9 policies', 'compiling', 'from history.jsonl'):
    assert words in text
  table = sheet.lines(runs_lib.load(str(reported), 'run').table, 0)
  assert all(word in text for line in table for word in line)


def test_the_same_run_gives_the_same_report(reported):
  before = {path.name: path.read_bytes() for path in (reported / 'report').rglob('*.*')}
  assert report.main([str(reported), f"--out={reported / 'again'}"]) == 0
  assert {path.name: path.read_bytes() for path in (reported / 'again').rglob('*.*')} == before
  assert report.main([str(reported), f"--out={reported / 'again'}"]) == 0  # a report makes way for a report


def test_several_runs_are_compared_and_told_apart(tmp_path, monkeypatch):
  monkeypatch.setattr(sheet, 'draw', lambda *_: figures.png((1, 1), lambda drawing: None))
  paths = [write_run(tmp_path / 'a' / 'run', 'search'), write_run(tmp_path / 'b' / 'run', 'search', seed=7),
           write_run(tmp_path / 'trained', 'train')]
  assert report.main([*map(str, paths), f"--out={tmp_path / 'out'}"]) == 0
  found = _read(tmp_path / 'out')
  names = {path.name for path in (tmp_path / 'out' / 'figures').iterdir()}
  assert {'curves-of-searches.png', 'stability.png', 'a-run-cells.png', 'b-run-cells.png', 'trained-curves.png'} <= names
  assert 'curves-of-trainings.png' not in names and len(names) == len(found.images)
  for words in ('Comparison', 'Search: a/run', 'Search: b/run', 'Training: trained', '0.7500', '12,345'):
    assert words in found.text
  assert re.search(r'differ .*seed 0 7 0', found.text)
  assert all(not path.name.startswith('report') for run in paths for path in run.iterdir())


def test_a_training_is_reported(tmp_path):
  run = write_run(tmp_path / 'run', 'train')
  assert report.main([str(run)]) == 0
  assert sorted(path.name for path in (run / 'report' / 'figures').iterdir()) == ['cells.png', 'curves.png']
  text = _read(run / 'report').text
  assert 'test accuracy 0.7500' in text and 'Trained under the policy standard' in text


def test_an_unfinished_run_is_shown_as_far_as_it_went(tmp_path, capsys):
  run = write_run(tmp_path / 'run', 'search', finished=False)
  for name in ('metrics.jsonl', 'history.jsonl'):  # killed in the middle of a line
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[:-20])
  assert report.main([str(run)]) == 0
  text, said = _read(run / 'report').text, capsys.readouterr().out
  for words in ('This run is not finished', 'metrics.jsonl: 1 of 6 lines is cut short',
                'history.jsonl: 1 of 4 lines is cut short'):
    assert words in text and words in said
  assert 'unfinished, in epoch 3 of 3' in text
  assert 'cells.png' not in os.listdir(run / 'report' / 'figures')
  assert runs_lib.load(str(run), 'run').policy.epochs.tolist() == [0, 1, 2]


def test_a_run_of_before_there_was_a_history(tmp_path):
  run = write_run(tmp_path / 'run', 'search')
  (run / 'history.jsonl').unlink()
  (run / 'policy.json').write_text((run / 'policy.json').read_text().replace('"K"', '"k": 1, "K"'))
  config = json.loads((run / 'config.json').read_text())
  del config['search']['score']  # a key that came later
  (run / 'config.json').write_text(json.dumps(config))
  assert report.main([str(run)]) == 0
  assert sorted(os.listdir(run / 'report' / 'figures')) == ['cells.png', 'curves.png', 'measures.png', 'policies.png']
  assert 'No history.jsonl' in _read(run / 'report').text


@pytest.mark.parametrize('row', [
    {}, {'architecture': 3}, {'architecture': {'alpha': [[1]]}}, {'policy': []},
    {'policy': {'candidates': ['a'], 'probability': [[2, 3]]}}, {'policy': {'candidates': [1], 'probability': [[1]]}},
    {'policy': {'candidates': ['a'], 'probability': 'x'}},
    {'policy': {'candidates': ['a'], 'probability': [[float('nan')]]}},
    {'architecture': {'cells': ['a'], 'edges': [[0, 10**9]], 'operations': ['b'], 'alpha': [[[0.0]]]}}])
def test_foreign_lines_of_history_cost_no_other(tmp_path, row):
  run = write_run(tmp_path / 'run', 'search')
  whole = runs_lib.load(str(run), 'run')
  with open(run / 'history.jsonl', 'a', encoding='utf-8') as file:
    file.write(json.dumps({'step': 15, 'epoch': 9} | row) + '\n')
  found = runs_lib.load(str(run), 'run')
  np.testing.assert_array_equal(found.architecture.alpha, whole.architecture.alpha)
  np.testing.assert_array_equal(found.policy.probability, whole.policy.probability)
  assert bool(found.notes) == (row != {})


def test_a_line_written_twice_counts_once(tmp_path):
  run = write_run(tmp_path / 'run', 'search')
  lines = (run / 'history.jsonl').read_text().splitlines(True)
  (run / 'history.jsonl').write_text(''.join(lines + lines[2:]))
  found = runs_lib.load(str(run), 'run')
  assert found.policy.epochs.tolist() == [0, 1, 2, 3] and '2 of 6 lines' in found.notes[0]


def _bad(tmp_path, name):
  """(words of the command, what its line must say) for a workdir that cannot be reported."""
  run = tmp_path / 'run'
  if name not in ('no folder', 'a file', 'no workdir'):
    write_run(run, 'search')
  file, words = {'damaged config': ('config.json', 'config.json is damaged'),
                 'foreign config': ('config.json', 'no config of a search'),
                 'damaged genotype': ('genotype.json', 'genotype.json is not JSON'),
                 'damaged decisions': ('decided.json', 'decided.json is damaged'),
                 'damaged policy': ('policy.json', 'policy.json is not a JSON file')}.get(name, (None, None))
  if file:
    (run / file).write_text('[1' if 'damaged' in name else '{"kind": "recipe"}')
    return [run], words
  if name == 'nothing yet':
    (run / 'policy.json').unlink()
    (run / 'metrics.jsonl').write_text('{"step": 1')
    return [run], 'nothing to report yet'
  if name == 'a laboratory':
    (run / 'config.json').write_text('{"kind": "gradcheck"}')
    return [run], 'gradcheck.png'
  if name == 'no workdir':
    run.mkdir()
    return [run], 'no config.json'
  if name == 'a file':
    run.write_text('')
  return {'no folder': ([run], 'there is no folder'), 'a file': ([run], 'there is no folder'),
          'twice': ([run, f'{run}/.'], 'given twice'), 'several': ([run, tmp_path / 'b'], '--out'),
          'no out': ([run, '--out='], '--out is empty'), 'option': ([run, '--output=x'], 'unrecognized'),
          'none': ([], 'required')}[name]


@pytest.mark.parametrize('name', [
    'no folder', 'a file', 'no workdir', 'damaged config', 'foreign config', 'damaged genotype', 'damaged decisions', 'damaged policy',
    'nothing yet', 'a laboratory', 'twice', 'several', 'no out', 'option', 'none'])
def test_bad_input_is_one_line_and_changes_nothing(tmp_path, capsys, name):
  words, line = _bad(tmp_path, name)
  before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
  out = [f"--out={tmp_path / 'out'}"] if name == 'twice' else []
  assert report.main([*map(str, words), *out]) == 2
  said = capsys.readouterr()
  assert line in said.err and said.err.count('\n') == 1 and said.out == ''
  assert {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()} == before


@pytest.mark.parametrize('name', ['report.html', 'figures/curves.png', 'figures'])
def test_what_is_no_report_is_not_overwritten(tmp_path, capsys, name):
  run, out = write_run(tmp_path / 'run', 'train'), tmp_path / 'out'
  (out / name).parent.mkdir(parents=True, exist_ok=True)
  (out / name).write_text('mine')
  before = sorted(tmp_path.rglob('*'))
  assert report.main([str(run), f'--out={out}']) == 2
  assert (out / name).read_text() == 'mine' and sorted(tmp_path.rglob('*')) == before
  assert capsys.readouterr().err.count('\n') == 1


def test_text_out_of_files_stays_text(tmp_path):
  """Markup, TeX and lone surrogates in names and values; a run named like a hidden label."""
  run = write_run(tmp_path / '_<script>alert(1)</script> $\\frac', 'train')
  config = json.loads((run / 'config.json').read_text())
  config['policy'] = '"><img src=x onerror=alert(1)> \ud800'
  (run / 'config.json').write_text(json.dumps(config))
  other = write_run(tmp_path / '$x', 'train')
  assert report.main([str(run), str(other), f"--out={tmp_path / 'out'}"]) == 0
  found = _read(tmp_path / 'out')
  assert 'script' not in found.tags and all(image['src'].startswith('data:') for image in found.images)
  assert '<script>alert(1)' in found.text and '"><img src=x' in found.text


def test_without_matplotlib_there_is_one_line(tmp_path):
  run = write_run(tmp_path / 'run', 'train')
  code = ("import sys; sys.modules['matplotlib'] = None; from daas_jax.report import command; "
          f'sys.exit(command.main([{str(run)!r}]))')
  done = subprocess.run([sys.executable, '-c', code], cwd=ROOT, capture_output=True, text=True, check=False)
  assert done.returncode == 2 and done.stderr.count('\n') == 1 and "pip install -e '.[plots]'" in done.stderr
  assert not (run / 'report').exists()


# --- the parts ------------------------------------------------------------------------------------------------


def test_history_reads_back_what_was_searched(reported):
  run, config = runs_lib.load(str(reported), 'run'), _config('search')
  last = list(_states(config))[-1]
  np.testing.assert_allclose(run.architecture.alpha[-1], last.arch['alpha'], rtol=1e-5)
  np.testing.assert_allclose(run.policy.probability[-1], jax.nn.softmax(last.gamma['pi']), rtol=1e-5)
  np.testing.assert_allclose(run.policy.applied[-1], jax.nn.sigmoid(last.gamma['p']), rtol=1e-5)
  assert np.isnan(run.policy.strength[:, :, 1]).all() and np.isfinite(run.policy.strength[:, :, ::2]).all()
  skip = jax.nn.softmax(last.arch['alpha'])[..., DAAS_PRIMITIVES.index('skip_connect')].mean(1)
  np.testing.assert_allclose(runs_lib.skip_probability(run.architecture)[-1], skip, rtol=1e-5)


def test_timings_by_hand(reported):
  """20 images a step: 1 s a step, but the first line's four steps take 5 s each."""
  found = timing.timings(runs_lib.load(str(reported), 'run'))
  assert found.phases == [('warm-up', 3.0, 30.0), ('joint', 1.0, 10.0)]  # the median of 5 and 1 s
  assert found.total == pytest.approx(4 * 5 + 26) and found.compiling == pytest.approx(4 * 5 - 4 * 3)


def test_the_eigenvalue_is_shown_where_the_metrics_have_it(reported):
  run = runs_lib.load(str(reported), 'run')
  assert figures.measure_panels(run) == ['skip', 'entropy']
  with_it = run._replace(metrics=[row | {'dominant_eigenvalue': 0.5} for row in run.metrics])
  assert figures.measure_panels(with_it) == ['skip', 'eigenvalue', 'entropy']
  assert figures.measures(with_it) != figures.measures(run)
  assert ('dominant eigenvalue', '0.5000') in sections.facts(with_it)


def test_other_searches_fit_the_figures(reported):
  """52 candidates in one slot without magnitudes; eight fixed edges without beta; a dozen operations."""
  run = runs_lib.load(str(reported), 'run')
  names = tuple(f'op {i}' for i in range(52))
  wide = runs_lib.Policy(np.arange(3), np.arange(3), names, np.full((3, 1, 52), 1 / 52), None, None)
  assert policy_figures.policy_areas(run._replace(policy=wide)).startswith(b'\x89PNG')
  assert [title for title, _ in policy_figures.policy_parts(wide)] == ['probability']
  assert policy_figures.policy_maps(wide).startswith(b'\x89PNG')
  edges = tuple((source, target) for target in range(2, 6) for source in (0, target - 1))
  fixed = runs_lib.Architecture(np.arange(2), np.arange(2), ('cell',), edges, tuple('abcdefghijkl'),
                                np.zeros((2, 1, 8, 12)), None)
  assert figures.alpha(fixed, 0).startswith(b'\x89PNG')


@pytest.mark.parametrize('paths, wanted', [
    (['/a/run'], ['run']), (['/a/run', '/b/run'], ['a/run', 'b/run']), (['/a/x', '/b/run'], ['x', 'run']),
    (['/run', '/b/run'], ['run', 'b/run']), (['/c/a/run', '/c/b/run', '/c'], ['a/run', 'b/run', 'c'])])
def test_names_tell_runs_apart(paths, wanted):
  assert runs_lib.names(paths) == wanted


def test_slugs_differ_and_fit_a_file_name():
  found = sections.slugs(['a/b', 'a-b', '../x', '<>', 'A/B', '$', 'run'])
  assert len({name.lower() for name in found}) == 7 and all(re.fullmatch(r'[\w.][\w.-]*', name) for name in found)


def test_the_sheet_applies_every_operation_of_the_likeliest_policies(reported):
  table = runs_lib.load(str(reported), 'run').table
  images = np.random.default_rng(0).integers(0, 256, (4, 12, 12, 1), np.uint8)
  found = sheet.augmented(table, images)
  assert found.shape == (9, 4, 12, 12, 1) and found.min() >= 0 and found.max() <= 1
  assert np.all(np.diff(table.probability[sheet.likeliest(table)]) <= 0)
  twice = [row for row, i in zip(found, sheet.likeliest(table)) if [table.ops[o] for o in table.o[i]] == ['Invert'] * 2]
  np.testing.assert_allclose(twice[0], images / 255, atol=1e-6)


def test_images_of_the_sheet_are_of_all_classes():
  labels = np.array([0, 0, 0, 1, 2, 2])
  assert sheet.pick(np.arange(6), labels, 4).tolist() == [0, 3, 4, 1]


# --- in a browser ---------------------------------------------------------------------------------------------

_BROWSER = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)


@pytest.mark.skipif(_BROWSER is None, reason='no browser')
@pytest.mark.parametrize('width', [1200, 500])
def test_a_browser_needs_not_scroll_the_page_sideways(reported, tmp_path, width):
  """The page beside a script that writes down what it measures; the report itself has none."""
  source = (reported / 'report' / 'report.html').read_text()
  probe = ('<script>addEventListener("load", () => { const e = document.documentElement; document.title = ['
           '"measured", innerWidth, e.scrollWidth, [...document.images].filter(i => i.naturalWidth > 0).length,'
           ' Math.max(...[...document.images].map(i => i.getBoundingClientRect().right))].join(" ") })</script>')
  (tmp_path / 'probe.html').write_text(source.replace('</body>', f'{probe}</body>'))
  done = subprocess.run([_BROWSER, '--headless=new', '--no-sandbox', '--disable-gpu', f'--window-size={width},900',
                         f"--user-data-dir={tmp_path / 'profile'}", '--dump-dom', f"file://{tmp_path / 'probe.html'}"],
                        capture_output=True, text=True, check=False, timeout=120)
  measured = re.search(r'<title>measured (\d+) (\d+) (\d+) ([\d.]+)', done.stdout)
  assert measured, done.stderr[-500:]
  inner, scroll, images, right = map(float, measured.groups())
  assert scroll <= inner and right <= inner and images == len(NAMES)
