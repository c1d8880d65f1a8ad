"""A workdir in an object store: one that has no append, no rename and no lock, whose puts are whole."""

import io
import itertools
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import zipfile

from etils import epath
import jax
import numpy as np
import orbax.checkpoint as ocp
import pytest
import test_study

import daas_jax
from daas_jax.errors import BadInput, Terminated
from daas_jax.files import lease, metrics, remote, storage
from daas_jax.methods import export
from daas_jax.nets import kernels, registry as nets
from daas_jax.nets.cells import genotype, space
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.report import command as report, figures, sheet
from daas_jax.runtime import cli, workdir
from daas_jax.search import command as search
from daas_jax.study import command as study
from daas_jax.train import command as train

SEARCH = '''
from daas_jax.config import search_config

def get_config():
  config = search_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 100, 20
  config.network.name, config.network.channels = 'small_cnn', 2
  config.policy.ops, config.policy.K, config.policy.levels = ('Rotate', 'Invert'), 1, 3
  config.search.epochs, config.search.warmup_epochs, config.search.batch = 3, 1, 10
  config.search.n_arch = config.search.n_aug = config.search.n_w = 1
  config.log.every_steps, config.checkpoint.every_steps = 3, 1
  return config
'''
TRAIN = '''
from daas_jax.config import train_config

def get_config():
  config = train_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 60, 20
  config.network.name, config.network.depth, config.network.width = 'wrn_40_2', 10, 1
  config.train.epochs, config.train.batch = 1, 10
  config.train.auxiliary = config.train.drop_path = 0.0
  config.policy, config.genotype = 'searched', 'none'
  return config
'''
WRITTEN = ('config.json', 'history.jsonl', 'policy.json', 'decided.json', 'summary.txt')


class StoreError(Exception):
  """What only this store raises."""


@epath.register_path_cls('store://')
class Store:
  """Just enough of `epath.Path` over objects in memory, and none of what an object store has not."""

  objects, away = {}, False
  folders = None  # URLs of those that there are, for a file system that has folders

  def __init__(self, url):
    self.url = url.rstrip('/')

  def joinpath(self, *parts):
    return Store('/'.join((self.url, *parts)))

  @property
  def name(self):
    return self.url.rsplit('/', 1)[1]

  @property
  def parent(self):
    return Store(self.url.rsplit('/', 1)[0])

  def exists(self):
    self._reach()
    return self.url in self.objects or self.is_dir()

  def is_dir(self):
    return any(name.startswith(f'{self.url}/') for name in self.objects)

  def iterdir(self):
    self._reach()
    inside = {name[len(self.url) + 1:].split('/')[0] for name in list(self.objects) if name.startswith(f'{self.url}/')}
    if not inside:
      raise FileNotFoundError(2, 'no such folder', self.url)
    return [Store(f'{self.url}/{name}') for name in inside]

  def open(self, mode):
    assert mode in ('rb', 'wb'), 'an object is read or put as a whole'
    self._reach()
    if mode == 'wb':
      if self.folders is not None and self.parent.url not in self.folders:
        raise FileNotFoundError(2, 'no such folder', self.url)
      return _Put(self.url)
    if self.url not in self.objects:
      raise FileNotFoundError(2, 'no such object', self.url)
    return io.BytesIO(self.objects[self.url])

  def mkdir(self, parents, exist_ok):
    assert parents and exist_ok and self.folders is not None
    self.folders.add(self.url)

  def unlink(self, missing_ok):
    self._reach()
    self.objects.pop(self.url, None) if missing_ok else self.objects.pop(self.url)

  def _reach(self):
    if Store.away:
      raise StoreError('the store is away')


class _Put(io.BytesIO):

  def __init__(self, url):
    super().__init__()
    self._url = url

  def close(self):
    if not self.closed:
      Store.objects[self._url] = self.getvalue()
    super().close()


@pytest.fixture(autouse=True)
def fast(monkeypatch):
  monkeypatch.setattr(lease, 'PERIOD', 0.05)
  monkeypatch.setattr(lease, 'SETTLE', 0.02)
  monkeypatch.setattr(remote, '_TRIES', (0.01, 0.01))
  Store.away = False


def _inside(url):
  """{name: bytes} of the objects under a URL."""
  return {name[len(url) + 1:]: content for name, content in Store.objects.items() if name.startswith(f'{url}/')}


@pytest.fixture(scope='module')
def configs(tmp_path_factory):
  folder, out = tmp_path_factory.mktemp('configs'), {}
  for kind, text in (('search', SEARCH), ('train', TRAIN)):
    out[kind] = folder / f'{kind}.py'
    out[kind].write_text(text)
  return out


def _run(configs, kind, path, *words):
  """The exit status of a command, run in this process."""
  module = {'search': search, 'train': train}[kind]
  words = [f'--config={configs[kind]}', f'--workdir={path}', *words,
           f'--compilation_cache={jax.config.jax_compilation_cache_dir}']
  return cli.run(kind, module.main, words, module.define_flags)


@pytest.fixture(scope='module')
def straight(configs, tmp_path_factory):
  """The workdir of a local search to which nothing happened."""
  folder = tmp_path_factory.mktemp('straight') / 'run'
  assert _run(configs, 'search', folder) == 0
  return folder


@pytest.fixture(scope='module')
def begun(configs, tmp_path_factory):
  """{name: bytes} of a search in a store that was interrupted at its fifth line, of eight or so."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(lease, 'SETTLE', 0.02)
    _interrupt(patch, 5)
    assert _run(configs, 'search', 'store://b/begun') == 130
  return _inside('store://b/begun')


def _interrupt(patch, line):
  """KeyboardInterrupt before a line of metrics.jsonl, as Ctrl-C would."""
  count, write = itertools.count(1), metrics.MetricsFile.write

  def interrupted(self, row):
    if str(self.path).endswith('metrics.jsonl') and next(count) == line:
      raise KeyboardInterrupt
    return write(self, row)

  patch.setattr(metrics.MetricsFile, 'write', interrupted)


def _put(url, objects):
  Store.objects.update({f'{url}/{name}': content for name, content in objects.items()})


def _plain(text):
  rows = [json.loads(line) for line in text.splitlines()]
  return [{k: v for k, v in row.items() if k != 'images_per_second'} for row in rows]


def _state(folder):
  """(step, leaves) of the newest checkpoint in a folder."""
  step = max(int(name) for name in os.listdir(folder) if name.isdecimal())
  with ocp.StandardCheckpointer() as checkpointer:
    state = checkpointer.restore(folder / str(step) / 'default')
  return step, [np.asarray(x).tobytes() for x in jax.tree.leaves(state)]


def _same(url, straight, tmp_path):
  """The store holds what the local workdir does: files, metrics but for times, and the last state to the bit."""
  there = _inside(url)
  for name in WRITTEN:
    assert there[name] == (straight / name).read_bytes(), name
  assert _plain(there['metrics.jsonl'].decode()) == _plain((straight / 'metrics.jsonl').read_text())
  steps = sorted(int(n) for n in os.listdir(straight / 'checkpoints') if n.isdecimal())
  zips = {f'checkpoints/{step}.zip' for step in steps}
  assert there.keys() == {*WRITTEN, 'metrics.jsonl', 'run.json', *zips}  # and no lock
  with zipfile.ZipFile(io.BytesIO(there[f'checkpoints/{steps[-1]}.zip'])) as file:
    file.extractall(tmp_path / 'unpacked' / str(steps[-1]))
  assert _state(tmp_path / 'unpacked') == _state(straight / 'checkpoints')


HARD = "store://b/~ [x]\\*?#%20'\u00fc "


def test_an_interrupted_search_is_resumed_and_gives_the_files_of_a_local_one(
    configs, straight, begun, tmp_path, capsys, fault):
  assert any(name.endswith('.zip') for name in begun) and 'policy.json' not in begun and '.lock' not in begun
  _put(HARD, begun)
  assert _run(configs, 'search', HARD) == 0
  said = capsys.readouterr()
  assert 'resuming from' in said.out + said.err and f'in {HARD}' in said.out + said.err
  _same(HARD, straight, tmp_path)
  fault('remote workdir, interrupted')
  before = _inside(HARD)
  assert _run(configs, 'search', HARD) == 0  # over: nothing is done again
  assert {**_inside(HARD), 'metrics.jsonl': 0} == {**before, 'metrics.jsonl': 0}


def test_a_killed_run_leaves_what_was_put_and_a_lock_that_is_taken_over(
    configs, straight, tmp_path, monkeypatch, capsys, fault):
  def killed(mirror):  # neither the last put nor the lock's removal
    mirror._end.set()
    mirror._thread.join()
    mirror.drop()

  write = metrics.MetricsFile.write
  with monkeypatch.context() as patch:
    _interrupt(patch, 6)
    interrupted = metrics.MetricsFile.write
    patch.setattr(metrics.MetricsFile, 'write', lambda *a: (time.sleep(0.5), interrupted(*a)))  # the thread has time
    patch.setattr(remote.Mirror, 'end', killed)
    assert _run(configs, 'search', 'store://b/killed') == 130
  assert metrics.MetricsFile.write is write
  there = _inside('store://b/killed')
  steps = [int(name[12:-4]) for name in there if name.endswith('.zip')]
  rows = _plain(there['metrics.jsonl'].decode().rsplit('\n', 1)[0])
  assert steps and max(steps) <= max(row['step'] for row in rows)  # lines are put before their checkpoint
  gone = json.loads(there['.lock']) | {'pid': _dead()}
  Store.objects['store://b/killed/.lock'] = json.dumps(gone).encode()
  assert _run(configs, 'search', 'store://b/killed') == 0
  assert f"is taken over from process {gone['pid']} on host {socket.gethostname()}" in capsys.readouterr().err
  _same('store://b/killed', straight, tmp_path)
  fault('remote workdir, killed')


def _dead():
  """A process id that nobody has."""
  with subprocess.Popen(['true']) as process:
    process.wait()
  return process.pid


DAMAGE = {'cut short': lambda x: x[:len(x) // 2], 'empty': lambda x: b'', 'no zip': lambda x: bytes(len(x)),
          'a byte': lambda x: x[:len(x) // 3] + bytes([x[len(x) // 3] ^ 1]) + x[len(x) // 3 + 1:],
          'an empty zip': lambda x: b'PK\x05\x06' + bytes(18)}


@pytest.mark.parametrize('how', DAMAGE)
def test_a_damaged_checkpoint_is_passed_over(configs, straight, begun, tmp_path, capsys, fault, how):
  url = f"store://b/damaged-{how.replace(' ', '-')}"
  newest = max((name for name in begun if name.endswith('.zip')), key=lambda name: int(name[12:-4]))
  _put(url, begun | {newest: DAMAGE[how](begun[newest])})
  assert _run(configs, 'search', url) == 0
  assert f'checkpoint {newest[12:-4]} cannot be read' in capsys.readouterr().err
  _same(url, straight, tmp_path)
  fault('remote workdir, damaged checkpoint')


def test_where_no_checkpoint_can_be_read_nothing_is_changed(configs, begun, capsys, fault):
  url = 'store://b/hopeless'
  _put(url, {name: content[:99] if name.endswith('.zip') else content for name, content in begun.items()})
  before = _inside(url)
  assert _run(configs, 'search', url) == 2
  assert f'none of the checkpoints in {url}/checkpoints can be read' in capsys.readouterr().err
  assert _inside(url) == before
  fault('remote workdir, every checkpoint damaged')


@pytest.mark.parametrize('there, said', [
    ({'config.json': b'{"seed": 1}'}, 'another config'), ({'config.json': b'\xff'}, 'another config'),
    ({'policy.json': b'{}'}, 'no config.json'), ({'checkpoints/3.zip': b'x'}, 'no config.json')])
def test_what_is_of_another_run_is_refused(configs, capsys, fault, there, said):
  _put('store://b/foreign', there)
  assert _run(configs, 'search', 'store://b/foreign') == 2
  err = capsys.readouterr().err
  assert said in err and 'store://b/foreign' in err and err.count('\n') == 1 and '/tmp' not in err
  assert _inside('store://b/foreign') == there
  for name in there:
    del Store.objects[f'store://b/foreign/{name}']
  fault('remote workdir, foreign')


def test_a_search_in_a_store_is_trained_in_a_store(
    configs, straight, tmp_path, capsys, monkeypatch):
  monkeypatch.setenv('HOME', str(straight.parent))
  _put('store://b/search', {p.name: p.read_bytes() for p in straight.iterdir() if p.is_file()})
  assert _run(configs, 'train', 'store://b/trained', '--search=store://b/search') == 0, capsys.readouterr().err
  assert _run(configs, 'train', tmp_path / 'trained', f'--search=~/{straight.name}') == 0
  there = _inside('store://b/trained')
  ours, local = json.loads(there['results.json']), json.loads((tmp_path / 'trained' / 'results.json').read_text())
  assert [r['from']['search'].pop('workdir') for r in (ours, local)] == ['search', straight.name] and ours == local
  assert there['policy.json'] == (straight / 'policy.json').read_bytes()
  assert _run(configs, 'train', 'store://b/none', '--search=store://b/nothing') == 2
  assert 'store://b/nothing holds no policy.json' in capsys.readouterr().err and not _inside('store://b/none')


def test_what_reads_a_workdir_reads_one_in_a_store(straight, tmp_path, monkeypatch, capsys):
  url = 'store://b/read'
  text = genotype.to_text(genotype.random_genotype(0, DAAS_PRIMITIVES))
  _put(url, {p.name: p.read_bytes() for p in straight.iterdir() if p.is_file()} | {'genotype.json': text.encode()})
  assert genotype.to_text(daas_jax.load_genotype(f'{url}/genotype.json')) == text
  images = np.zeros((2, 8, 8, 1), np.float32)
  assert daas_jax.load_policy(f'{url}/policy.json')(jax.random.key(0), images).shape == images.shape
  assert _plain((straight / 'metrics.jsonl').read_text()) == [
      {k: v for k, v in row.items() if k != 'images_per_second'} for row in metrics.read(f'{url}/metrics.jsonl')]
  with pytest.raises(BadInput, match='holds no architecture'):
    space.at_epoch(url, 1)
  with pytest.raises(BadInput, match='store://b/none holds no run'):
    daas_jax.load('store://b/none')
  monkeypatch.setattr(figures, 'png', lambda size, plot: b'')
  monkeypatch.setattr(sheet, 'draw', lambda table, images: b'')
  assert report.main([url]) == 2 and '--out=FOLDER' in capsys.readouterr().err
  assert report.main([url, f"--out={tmp_path / 'report'}"]) == 0
  assert f'Workdir: {url}' in (tmp_path / 'report' / 'report.html').read_text()
  assert report.main(['store://b/none', f"--out={tmp_path / 'none'}"]) == 2


@pytest.mark.parametrize('name', ['..', '.', 'a/..', 'x' * 300, '\n'])
def test_a_url_that_is_no_local_name(name, tmp_path, monkeypatch):
  """Its last part is no name for the local copy, which would be outside of its folder."""
  monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
  for _ in range(2):
    with workdir.opened(f'store://c/{name}', CONFIG) as folder:
      assert pathlib.Path(folder).resolve().parent.parent == tmp_path.resolve()
  assert _inside(f'store://c/{name}') == {'config.json': CONFIG.encode()}
  assert not os.listdir(tmp_path)


def test_a_url_without_a_bucket_is_refused(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(BadInput, match='gs:// names no folder of .* such as gs://BUCKET/FOLDER'):
    with workdir.opened('gs://', CONFIG):
      pytest.fail('opened')
  assert not os.listdir(tmp_path)


def test_a_ready_network_in_a_store(tmp_path):
  net = nets.networks()['wrn_40_2'].export.build({'depth': 10, 'width': 1}, 2, kernels.choose())
  variables = jax.jit(lambda key: net.init(key, np.zeros((1, 8, 8, 1), np.float32), False))(jax.random.key(0))
  export._save(str(tmp_path), {'format': export.FORMAT, 'version': export.VERSION, 'class_names': ['a', 'b'], 'mean': [0.5],
                               'network': {'name': 'wrn_40_2', 'depth': 10, 'width': 1}, 'image_shape': [8, 8, 1],
                               'std': [0.5]}, jax.device_get(variables))
  _put('store://b/network', {p.name: p.read_bytes() for p in tmp_path.iterdir()})
  network = daas_jax.load('store://b/network')
  jax.tree.map(np.testing.assert_array_equal, network.variables, dict(variables))
  assert network.class_names == ('a', 'b')
  mirror = remote.Mirror('store://b/network')  # what goes on with a workdir has them too
  mirror.pull()
  assert {'network.json', 'network.safetensors'} == set(os.listdir(mirror.folder))
  mirror.drop()


# --- the lock and the store ---------------------------------------------------------------------------------------

CONFIG = '{"seed": 0}\n'


def _lock(**changed):
  found = {'host': socket.gethostname(), 'pid': os.getpid(), 'id': 'x', 'time': time.time()}
  return json.dumps(found | changed).encode()


LOCKS = {  # name: (() -> content, whether it is taken over at once)
    'alive here': (_lock, False), 'alive elsewhere': (lambda: _lock(host='other', pid=1), False),
    'silent': (lambda: _lock(time=time.time() - 10_000), True),
    'of the future': (lambda: _lock(time=time.time() + 10_000), True),
    'gone here': (lambda: _lock(pid=2**22 + 1), True), 'empty': (bytes, True), 'a list': (lambda: b'[]', True),
    'nobody': (lambda: b'{}', True)}


@pytest.mark.parametrize('name', LOCKS)
def test_a_lock_is_taken_over_where_its_run_is_gone(name, monkeypatch, capsys, fault):
  write, taken = LOCKS[name]
  content = write()
  monkeypatch.setattr(Store, 'objects', {})
  _put('store://b/lock', {'.lock': content})
  if taken:
    with workdir.opened('store://b/lock', CONFIG):
      pass
    assert 'is taken over from process' in capsys.readouterr().err
    assert _inside('store://b/lock') == {'config.json': CONFIG.encode()}
  else:
    renewed = json.dumps(json.loads(content) | {'time': time.time()}).encode()
    monkeypatch.setattr(time, 'sleep', lambda seconds: _put('store://b/lock', {'.lock': renewed}))
    with pytest.raises(BadInput, match='another process is using the workdir store://b/lock'):
      with workdir.opened('store://b/lock', CONFIG):
        pytest.fail('opened')
    assert _inside('store://b/lock') == {'.lock': renewed}
  fault('remote workdir, locked')


@pytest.mark.parametrize('freed', [False, True])
def test_a_lock_that_is_not_renewed_is_waited_for(freed, monkeypatch, capsys, fault):
  """What a scheduler starts again elsewhere, or under the same number in a container, finds its own lock."""
  monkeypatch.setattr(lease, 'LEASE', 3.0)
  monkeypatch.setattr(Store, 'objects', {})
  begun = time.time()
  _put('store://b/wait', {'.lock': _lock(time=begun)})
  if freed:
    threading.Timer(1.0, lambda: Store.objects.pop('store://b/wait/.lock')).start()
  with workdir.opened('store://b/wait', CONFIG):
    assert time.time() - begun > (1.0 if freed else 3.0)
  said = capsys.readouterr().err
  assert 'waiting until that is silent' in said and ('is taken over from' in said) != freed
  fault('remote workdir, killed a moment ago')


def test_of_two_that_start_at_once_the_last_has_it(monkeypatch):
  monkeypatch.setattr(time, 'sleep', lambda seconds: _put('store://b/both', {'.lock': _lock(id='other')}))
  with pytest.raises(BadInput, match='another process'):
    with workdir.opened('store://b/both', CONFIG):
      pytest.fail('opened')
  assert json.loads(_inside('store://b/both')['.lock'])['id'] == 'other'


def test_a_run_whose_lock_was_taken_over_ends_and_puts_nothing_more(monkeypatch, fault):
  monkeypatch.setattr(lease, 'PERIOD', 1.0)  # the thread does not put its own lock meanwhile
  with pytest.raises(BadInput, match='was taken over by process 7 on host other'):
    with workdir.opened('store://b/lost', CONFIG) as folder:
      storage.put('store://b/lost/.lock', io.BytesIO(_lock(host='other', pid=7)))
      with open(os.path.join(folder, 'policy.json'), 'w', encoding='utf-8') as file:
        file.write('late')
      time.sleep(10)  # KeyboardInterrupt ends it
      pytest.fail('went on')
  assert 'policy.json' not in _inside('store://b/lost') and not os.path.exists(folder)
  fault('remote workdir, taken over')


def test_a_store_that_is_away_for_a_while_costs_nothing(capsys, fault):
  with workdir.opened('store://b/away', CONFIG) as folder:
    Store.away = True
    with open(os.path.join(folder, 'metrics.jsonl'), 'w', encoding='utf-8') as file:
      file.write('{"step": 1}\n')
    test_study.wait_for(lambda: 'could not be written' in capsys.readouterr().err)
    Store.away = False
  assert _inside('store://b/away') == {'config.json': CONFIG.encode(), 'metrics.jsonl': b'{"step": 1}\n'}
  fault('remote workdir, store away')


def test_a_store_that_stays_away_leaves_the_workdir_here(fault):
  with pytest.raises(BadInput, match='the workdir is kept in') as info:
    with workdir.opened('store://b/gone', CONFIG) as folder:
      Store.away = True
      with open(os.path.join(folder, 'metrics.jsonl'), 'w', encoding='utf-8') as file:
        file.write('{"step": 1}\n')
  assert folder in str(info.value) and os.path.isfile(os.path.join(folder, 'metrics.jsonl'))
  shutil.rmtree(os.path.dirname(folder))
  with pytest.raises(BadInput, match='store://b/gone cannot be used'):
    with workdir.opened('store://b/gone', CONFIG):
      pytest.fail('opened')
  fault('remote workdir, store away')


def test_a_store_that_is_away_for_a_moment_at_the_end_costs_nothing(monkeypatch, capsys, fault):
  monkeypatch.setattr(remote, '_TRIES', (0.01, 0.01, 5.0))
  with workdir.opened('store://b/blink', CONFIG) as folder:
    with open(os.path.join(folder, 'metrics.jsonl'), 'w', encoding='utf-8') as file:
      file.write('{"step": 1}\n')
    Store.away = True
    threading.Timer(1.0, lambda: setattr(Store, 'away', False)).start()
  assert _inside('store://b/blink') == {'config.json': CONFIG.encode(), 'metrics.jsonl': b'{"step": 1}\n'}
  assert 'it is tried again' in capsys.readouterr().err
  fault('remote workdir, store away')


def test_sigterm_while_the_store_is_away_still_asks_for_another_start(fault):
  with pytest.raises(Terminated, match='SIGTERM after step 3; but store://b/term cannot be written') as info:
    with workdir.opened('store://b/term', CONFIG) as folder:
      Store.away = True
      raise Terminated('ended on SIGTERM after step 3')
  assert folder in str(info.value)
  shutil.rmtree(os.path.dirname(folder))
  fault('remote workdir, store away at SIGTERM')


def test_a_file_system_with_folders(monkeypatch):
  monkeypatch.setattr(Store, 'folders', set())
  with workdir.opened('store://b/folders', CONFIG) as folder:
    os.makedirs(os.path.join(folder, 'checkpoints', '3', 'default'))
    with open(os.path.join(folder, 'checkpoints', '3', 'default', 'x'), 'w', encoding='utf-8') as file:
      file.write('x')
  assert Store.folders == {'store://b/folders', 'store://b/folders/checkpoints'}
  assert _inside('store://b/folders').keys() == {'config.json', 'checkpoints/3.zip'}


def test_a_study_is_not_kept_in_a_store(capsys):
  assert study.main(['--config=configs/studies/vs_random.py:small', '--workdir=store://b/study']) == 2
  assert 'a local folder' in capsys.readouterr().err


@pytest.mark.parametrize('url, said', [('gs://bucket/run', 'needs a package that is not installed'),
                                       ('s3://bucket/run', 'needs a package that is not installed'),
                                       ('nowhere://bucket/run', 'no file system is known for nowhere://')])
def test_a_missing_back_end_is_one_line(configs, capsys, fault, url, said):
  if (url[:2] == 'gs' and _installed('gcsfs')) or (url[:2] == 's3' and _installed('s3fs')):
    pytest.skip('it is there')
  assert _run(configs, 'search', url) == 2
  err = capsys.readouterr().err
  assert said in err and url in err and err.count('\n') == 1
  fault('remote workdir, no back end')


def _installed(name):
  try:
    __import__(name)
  except ImportError:
    return False
  return True
