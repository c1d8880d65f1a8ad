"""Files that somebody else wrote, or broke: each is one clear line or something to be used, and no code is run."""

import copy
import json
import os
import resource
import signal
import sys
import types

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.files import storage
from daas_jax.runtime import workdir
from daas_jax.train import whole as train
from daas_jax.augment.ops import OPS
from daas_jax.data import select
from daas_jax.errors import BadInput
from daas_jax.nets.cells import formats, genotype
from daas_jax.nets.shuffle import blocks, layers
from daas_jax.methods import export
from daas_jax.nets import kernels, registry as nets
from daas_jax.nets.cells import space as cells_space
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.policies import candidates, found, relaxed, table as files, total, transformations
from daas_jax.report import figures, runs as report_runs, sections, sheet
from daas_jax.study import runs as study_runs

EXAMPLES = int(os.environ.get('DAAS_JAX_TEST_FILES', 500))
SECONDS = 40  # for one file: far above any, on a machine that does other things as well
MOST_MEMORY = 1.5 * 2**30  # more than before, bytes
CODE = "__import__('os').system('touch PWNED')"
IMAGES = np.random.default_rng(0).random((2, 6, 6, 1)).astype(np.float32)


# --- one good file of every kind ----------------------------------------------------------------------------------


def _network_genotype():
  cells = [genotype.random_genotype(seed, DAAS_PRIMITIVES) for seed in range(2)]
  return genotype.NetworkGenotype((cells[0].normal, cells[0].reduce, cells[1].normal), cells[0].primitives)


def _table():
  rows = [{'ops': ['Rotate', 'Invert'], 'probability': 0.75, 'p': [0.5, 1], 'level': [3, 9], 'magnitude': [-10.0, 1.0]},
          {'ops': ['SamplePairing', 'Rotate'], 'probability': 0.25, 'p': [0.0, 0.61], 'level': [0, 5]}]
  return json.dumps({'format': files.FORMAT, 'version': 1, 'ops': ['Rotate', 'Invert', 'SamplePairing'], 'K': 2,
                     'levels': 10, 'policies': rows})


def _relaxed():
  space = relaxed.Space(('Solarize', 'Color'), K=2, L=1)
  table = relaxed.table(relaxed.init(jax.random.key(0), space), space)
  return json.dumps(files.to_json(table, relaxed.table_space(space)))


def _schedule():
  space = candidates.Space((candidates.Candidate('Invert', 0.0), candidates.Candidate('Brightness', 1.4)), K=2)
  return total.to_text(total.Schedule(space, np.array([0.2, 1]), np.array([[1, 0], [0.2, 0.8]])))


def _transformations():
  p = np.array([[0.25, 0.25, 0.25, 0.25], [0.5, 0.2, 0.2, 0.1]])
  return transformations.to_text(transformations.Transformations(transformations.Space(('Equalize', 'ShearX')), p))


def _history():
  keys = jax.random.split(jax.random.key(0), 3)
  cell = lambda key: {'alpha': np.asarray(jax.random.normal(key, (2, 14, 7))).round(3).tolist(),
                      'beta': np.zeros((2, 14)).tolist()}
  head = {'cells': ['normal', 'reduce'], 'edges': [list(e) for e in genotype.EDGES],
          'operations': list(DAAS_PRIMITIVES)}
  policy = {'candidates': ['Rotate', 'Invert'], 'probability': [[0.5, 0.5]] * 2, 'applied': [[0.5, 0.4]] * 2,
            'strength': [[0.1, None]] * 2}
  return ''.join(json.dumps({'step': 10 * i, 'epoch': i, 'architecture': head | cell(key), 'policy': policy}) + '\n'
                 for i, key in enumerate(keys))


def _network_json(spec):
  return json.dumps({'format': export.FORMAT, 'version': export.VERSION, 'network': spec, 'class_names': ['a', 'b'],
                     'image_shape': [8, 8, 1], 'mean': [0.4], 'std': [0.3]})


SPECS = {'network of blocks': {'name': 'shuffle', 'size': 'tiny', 'choices': ['k3', 'xception']},
         'fixed network': {'name': 'wrn_40_2', 'depth': 10, 'width': 1}}
GOOD = {
    'genotype': lambda: genotype.to_text(genotype.random_genotype(3, DAAS_PRIMITIVES)),
    'genotype of a network': lambda: genotype.to_text(_network_genotype()),
    'genotype of nni': lambda: formats.to_text(genotype.random_genotype(3, DAAS_PRIMITIVES), 'nni'),
    'blocks': lambda: blocks.to_text(blocks.Blocks('tiny', ('k3', 'xception'))),
    'policy table': _table, 'policy, relaxed': _relaxed, 'policy schedule': _schedule,
    'policy of transformations': _transformations,
    **{kind: lambda spec=spec: _network_json(spec) for kind, spec in SPECS.items()},
    'results': lambda: json.dumps({'test_accuracy': 0.75, 'test_loss': 1.5, 'val_accuracy': 0.8, 'best_epoch': 2,
                                   'parameters': 12345, 'genotype': 'searched', 'policy': 'searched', 'seed': 0}),
    'history': _history,
    'config': lambda: config_lib.to_json(_config()),
}


def _config():
  config = config_lib.search_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 40, 20
  config.search.batch = 10
  return config


# --- its use: an object that is wrong fails the test, BadInput does not -------------------------------------


def _genotype(path):
  got = genotype.load(path)
  again = genotype.to_text(got)
  assert genotype.to_text(genotype.from_json(json.loads(again))) == again and genotype.describe(got)


def _blocks(path):
  got = blocks.load(path)
  assert blocks.from_json(json.loads(blocks.to_text(got))) == got and blocks.describe(got)


def _policy(path):
  table = found.load_table(path)
  assert 0 < len(table.probability) <= 10**6 and abs(table.probability.sum() - 1) < 1e-9 and 1 <= table.K <= 10
  assert all((0 <= x).all() and (x <= 1).all() for x in (table.p, table.probability))
  assert (0 <= table.strength).all() and (table.strength <= 1.5).all()
  assert set(table.ops) <= set(OPS) and (0 <= table.o).all() and (table.o < len(table.ops)).all()
  assert sheet.lines(table, sheet.likeliest(table)[0])
  return found.load_policy(path)


def _apply(augment):
  changed = np.asarray(jax.jit(augment)(jax.random.key(1), IMAGES, 0.6))
  assert changed.shape == IMAGES.shape and np.isfinite(changed).all() and (0 <= changed).all() and (changed <= 1).all()


def _network(path):
  apply, params, names, _ = export.load(os.path.dirname(path))
  side = storage.read_json(path)['image_shape']
  assert jax.eval_shape(apply, params, jnp.zeros((2, *side))).shape == (2, len(names))


def _results(path):
  folder = os.path.dirname(path)
  bad = []
  for read in (lambda: train._without_training(folder), lambda: _report(folder),
               lambda: study_runs.result(types.SimpleNamespace(folder='.', kind='train', seed=0), folder)):
    try:
      read()
    except BadInput as error:
      bad.append(error)
  if bad:
    raise bad[0]


def _history_of(path):
  folder = os.path.dirname(path)
  _report(folder)
  got = genotype.to_text(cells_space.at_epoch(folder, 1))
  assert genotype.to_text(genotype.from_json(json.loads(got))) == got


def _config_of(path):
  folder = os.path.dirname(path)
  study_runs.result(types.SimpleNamespace(folder='.', kind='train', seed=0), folder)
  try:
    with workdir.opened(folder, GOOD_TEXTS['config']):
      pass
  except BadInput as error:
    assert '--workdir' in str(error)
  _report(folder)


def _report(folder):
  html, _ = sections.build([report_runs.load(folder, 'run')])
  assert html.endswith('</html>\n')


USES = {'blocks': ('blocks.json', _blocks), 'results': ('results.json', _results),
        'history': ('history.jsonl', _history_of), 'config': ('config.json', _config_of)}
USES |= {kind: ('genotype.json', _genotype) for kind in GOOD if kind.startswith('genotype')}
USES |= {kind: ('policy.json', _policy) for kind in GOOD if kind.startswith('policy')}
USES |= {kind: ('network.json', _network) for kind in SPECS}


# --- what is done to it -----------------------------------------------------------------------------------------------

NESTED, HUGE_LIST = '\ufdd0nested', '\ufdd0list'  # put into the text afterwards: json.dumps has a limit of its own
VALUES = (
    None, True, False, 0, 1, -1, 2, 3, 0.5, -0.0, 1.0, 2**31, 2**63, -2**64, 10**400, -10**400, 1e308, 1e-320, 9999,
    float('nan'), float('inf'), -float('inf'), '', 'none', 'Rotate', 'Cutout', 'sep_conv_3x3', '1', '0.5', 'NaN', CODE,
    '\ud800', '\u202e\x1b[31m\n\u2028', 'x' * 100_000, [], {}, [[]], [[0, 1]], [0] * 1000, ['Rotate'] * 2,
    {'__class__': CODE}, {'__reduce__': ['os.system', CODE]}, {'py/object': 'os.system'}, NESTED, HUGE_LIST)
LITERALS = (b'1e999', b'-1e999', b'9' * 5000, b'NaN', b'-Infinity', b'0x10', b'1_0', b'01', b'null', b'//', b',', b'}',
            b'"', b'\\', b'\\u0000', b'\x00', b'\xff', b'\xc3\x28', b'\r', b'[' * 3000, CODE.encode())


def _places(content, place=()):
  """Every (place) in a content: tuples of keys and positions."""
  out = [place] if place else []
  for key, value in content.items() if isinstance(content, dict) else enumerate(content):
    out += _places(value, place + (key,)) if isinstance(value, (dict, list)) else [place + (key,)]
  return out


def _mutate_json(rng, text):
  """Some changes of the parsed content; of a .jsonl, of one line."""
  lines = text.splitlines() if text.count('{"step"') else [text]
  i = rng.randint(0, len(lines) - 1)
  content = json.loads(lines[i])
  for _ in range(rng.choice((1, 1, 1, 2, 4))):
    places = _places(content)
    if not places:
      break
    # Half of the time near the top: deep inside of a table most places are alike.
    places = [p for p in places if len(p) <= 2] or places if rng.random() < 0.5 else places
    *way, last = rng.choice(places)
    parent = content
    for key in way:
      parent = parent[key]
    how = rng.choice(('replace', 'replace', 'replace', 'delete', 'double', 'rename', 'swap', 'wrap'))
    value = copy.deepcopy(rng.choice(VALUES))
    if how == 'replace':
      parent[last] = value
    elif how == 'delete':
      del parent[last]
    elif how == 'wrap':
      parent[last] = rng.choice(([parent[last]], {'value': parent[last]}, str(parent[last])))
    elif how == 'swap':
      others = list(parent) if isinstance(parent, dict) else range(len(parent))
      other = rng.choice(list(others))
      parent[last], parent[other] = parent[other], parent[last]
    elif isinstance(parent, list):
      parent.insert(last, copy.deepcopy(parent[last]) if how == 'double' else value)
    else:  # a key once more under another name, or renamed
      name = rng.choice(('', 'format', str(last).upper(), f'{last} ', CODE, 'x' * 10_000, '\ud800', '__proto__'))
      parent[name] = copy.deepcopy(parent[last]) if how == 'double' else parent.pop(last)
  lines[i] = json.dumps(content).replace(json.dumps(NESTED), '[' * 900 + ']' * 900).replace(
      json.dumps(HUGE_LIST), '[' + '0,' * 100_000 + '0]')
  return '\n'.join(lines).encode()


def _mutate_bytes(rng, data):
  for _ in range(rng.choice((1, 1, 2, 8))):
    at = rng.randint(0, max(len(data) - 1, 0))
    to = min(len(data), at + rng.choice((1, 1, 2, 10, 100)))
    how = rng.choice(('flip', 'cut', 'end', 'insert', 'double', 'replace'))
    literal = rng.choice(LITERALS)
    if how == 'flip':
      flipped = bytes([data[at] ^ (1 << rng.randint(0, 7))]) if data else b''
      data = data[:at] + flipped + data[at + 1:]
    else:
      data = {'cut': data[:at] + data[to:], 'end': data[:at], 'insert': data[:at] + literal + data[at:],
              'double': data[:to] + data[at:], 'replace': data[:at] + literal + data[to:]}[how]
  return data


def broken(rng):
  """(kind of file, bytes)."""
  kind = rng.choice(sorted(USES))
  text = GOOD_TEXTS[kind]
  return kind, _mutate_json(rng, text) if rng.random() < 0.7 else _mutate_bytes(rng, text.encode())


GOOD_TEXTS = {}


@pytest.fixture(scope='module')
def place(tmp_path_factory):
  """Returns kind -> folder in which a file of that kind has what it needs beside it, everything good."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setitem(layers.SIZES, 'tiny', layers.Size((4, 1), ((2, 8, 2),), 6))
    patch.setattr(figures, 'png', lambda size, plot: b'')  # what is drawn is of tests/report/test_reports.py
    patch.setattr(sheet, 'draw', lambda table, images: b'')
    patch.setattr(select, 'from_config', lambda config, least, asked=None: types.SimpleNamespace(
        train_images=np.zeros((20, 8, 8, 1), np.uint8), train_labels=np.zeros(20, np.int32), name='made'))
    GOOD_TEXTS.update({kind: make() for kind, make in GOOD.items()})
    folders = {}
    for kind, (name, _) in USES.items():
      folder = folders[kind] = str(tmp_path_factory.mktemp('file'))
      if kind in SPECS:
        build = nets.networks()[SPECS[kind]['name']].export.build
        net, shape = build(SPECS[kind], 2, kernels.choose()), (1, 8, 8, 1)
        variables = jax.eval_shape(lambda net=net: net.init(jax.random.key(0), jnp.zeros(shape), False))
        content = json.loads(GOOD_TEXTS[kind])
        export._save(folder, content, jax.tree.map(lambda s: np.zeros(s.shape, s.dtype), variables))
      if kind in ('history', 'config', 'results'):
        for beside in ('history', 'config', 'results'):
          _write(os.path.join(folder, USES[beside][0]), GOOD_TEXTS[beside].encode())
        _write(os.path.join(folder, 'policy.json'), GOOD_TEXTS['policy table'].encode())
        row = {'step': 10, 'epoch': 1, 'train_loss': 1.0, 'phase': 'joint', 'images_per_second': 4.0}
        _write(os.path.join(folder, 'metrics.jsonl'), json.dumps(row).encode() + b'\n')
      _write(os.path.join(folder, name), GOOD_TEXTS[kind].encode())
    yield folders


def _write(path, data):
  with open(path, 'wb') as file:
    file.write(data)


class _Watch:
  """Fails what a file must not cause: code that is run, a call without an end, memory without one."""

  on, seen = False, []

  @classmethod
  def hook(cls, event, arguments):
    # To parse a text, as of DARTS, is to compile it; what runs it is an 'exec' with its constants.
    if cls.on and (event in ('os.system', 'os.exec', 'os.posix_spawn', 'subprocess.Popen', 'pickle.find_class') or
                   event == 'exec' and 'PWNED' in str(arguments[0].co_consts)):
      cls.seen.append(event)

  def __enter__(self):
    def late(*_):
      raise TimeoutError(f'not done in {SECONDS} s')
    self._before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    _Watch.on = True

  def __exit__(self, *error):
    _Watch.on = False
    signal.alarm(0)
    signal.signal(signal.SIGALRM, self._before)
    assert not self.seen


sys.addaudithook(_Watch.hook)


def _use(kind, folder):
  """'refused', or what `use` returned (a policy's augmenter) or 'used'; anything else fails."""
  name, use = USES[kind]
  with _Watch():
    try:
      return use(os.path.join(folder, name)) or 'used'
    except BadInput as error:
      line = str(error)
      assert line.isprintable() and 20 < len(line) < 1500, line[:2000]
      return 'refused'


def _memory():
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_the_files_are_good_before_anything_is_done_to_them(place):
  for kind, folder in place.items():
    got = _use(kind, folder)
    assert got != 'refused', kind
    if callable(got):
      _apply(got)


def test_mutated_files(place, fault, monkeypatch, tmp_path):
  monkeypatch.chdir(tmp_path)
  outcomes, before, seen = {}, _memory(), set()

  @hypothesis.settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None,
                       suppress_health_check=list(hypothesis.HealthCheck))
  @hypothesis.given(st.randoms(use_true_random=True))  # a seed that hypothesis draws: its own draws repeat themselves
  def one(rng):
    kind, data = broken(rng)
    hypothesis.note(f'{kind}: {data[:3000]!r}')
    path = os.path.join(place[kind], USES[kind][0])
    try:
      _write(path, data)
      got = _use(kind, place[kind])
    finally:
      _write(path, GOOD_TEXTS[kind].encode())
    if callable(got) and outcomes.get((kind, 'applied'), 0) < 2:
      _apply(got)
      got = 'applied'
    outcome = got if isinstance(got, str) else 'used'
    outcomes[kind, outcome] = outcomes.get((kind, outcome), 0) + 1
    seen.add((kind, data))

  one()
  assert sum(outcomes.values()) >= EXAMPLES and len(seen) > 0.9 * EXAMPLES
  refused = sum(n for (_, outcome), n in outcomes.items() if outcome == 'refused')
  assert 0.3 * EXAMPLES < refused < 0.9 * EXAMPLES, outcomes
  assert all(outcomes.get((kind, 'refused'), 0) > 5 for kind in USES), outcomes
  assert _memory() - before < MOST_MEMORY and not os.listdir(tmp_path)
  fault('mutated JSON files', EXAMPLES)


# --- the file as a whole --------------------------------------------------------------------------------------------


def _link(to):
  return lambda path, good: os.symlink(to, path)


def _bytes(make):
  return lambda path, good: _write(path, make(good))


def _large(path, good):
  _write(path, good)
  os.truncate(path, 3 * 2**30)  # a hole: it takes no room on the disk


WHOLE = {
    'empty': _bytes(lambda good: b''), 'a folder': lambda path, good: os.mkdir(path),
    'missing': lambda path, good: None, 'a link to nothing': _link('nowhere'), 'unreadable': _link('/proc/self/mem'),
    'endless': _link('/dev/zero'), 'a pipe': lambda path, good: os.mkfifo(path),
    'two byte order marks': _bytes(lambda good: b'\xef\xbb\xbf' * 2 + good),
    'UTF-16': _bytes(lambda good: good.decode().encode('utf-16')), 'zeros': _bytes(lambda good: bytes(1000)),
    '10 MB of brackets': _bytes(lambda good: b'[' * 10**7),
    '10 MB of lists': _bytes(lambda good: b'{"step": 1, "epoch": 1, "architecture": [' + b'[], ' * 2_500_000 + b'[]]}'),
    '10 MB of letters': _bytes(lambda good: good.replace(b'"', b'"' + b'x' * 10**7, 1)),
    'larger than memory': _large, 'null': _bytes(lambda good: b'null'), 'a number': _bytes(lambda good: b'3'),
    'a list': _bytes(lambda good: b'[' + good.replace(b'\n', b' ') + b']'),
    'twice': _bytes(lambda good: good.rstrip() + good),
}
IGNORED = ('results', 'history', 'config')  # of which a command also makes do with less


@pytest.mark.parametrize('what', list(WHOLE))
def test_whole_files(place, fault, what):
  tried, before = 0, _memory()
  for kind, folder in place.items():
    if kind == 'history' and what in ('a pipe', 'endless', 'larger than memory'):
      continue  # lines, of which a run's own log has as many as it likes
    if what == '10 MB of lists' and kind not in ('genotype', 'policy table', 'fixed network', 'history'):
      continue  # seconds each, and read by the same function
    path = os.path.join(folder, USES[kind][0])
    os.remove(path)
    try:
      WHOLE[what](path, GOOD_TEXTS[kind].encode())
      got = _use(kind, folder)
    finally:
      os.rmdir(path) if os.path.isdir(path) else os.path.lexists(path) and os.remove(path)
      _write(path, GOOD_TEXTS[kind].encode())
    assert got == 'refused' or kind in IGNORED, (kind, got)
    tried += 1
  assert _memory() - before < MOST_MEMORY
  fault('whole JSON files that are none', tried)


def test_a_byte_order_mark_is_read_over(place):
  for kind, folder in place.items():
    path = os.path.join(folder, USES[kind][0])
    try:
      _write(path, b'\xef\xbb\xbf' + GOOD_TEXTS[kind].encode())
      assert _use(kind, folder) != 'refused', kind
    finally:
      _write(path, GOOD_TEXTS[kind].encode())
