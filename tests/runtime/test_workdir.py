import json
import os

import pytest

from daas_jax.runtime import workdir
from daas_jax.errors import BadInput

CONFIG = '{"seed": 0}\n'


def snapshot(folder):
  """{path: bytes, or None for a folder} of everything under a folder."""
  return {str(p): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob('*'))}


def refused(path, config=CONFIG):
  """The line of the refusal."""
  with pytest.raises(BadInput) as info:
    with workdir.opened(str(path), config):
      pytest.fail('opened')
  assert '\n' not in str(info.value) and '--workdir' in str(info.value)
  return str(info.value)


def test_new_folder_holds_the_config(tmp_path):
  with workdir.opened(str(tmp_path / 'a' / 'b'), CONFIG) as folder:
    assert folder == str(tmp_path / 'a' / 'b')
  assert (tmp_path / 'a' / 'b' / 'config.json').read_text(encoding='utf-8') == CONFIG


def test_relative_path_and_home(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  with workdir.opened('run', CONFIG) as folder:
    monkeypatch.chdir('/')  # a config may change the folder: the path given out is absolute
    assert folder == str(tmp_path / 'run')
  with workdir.opened('~/run', CONFIG) as folder:  # the shell leaves --workdir=~/run as it is
    assert folder == str(tmp_path / 'home' / 'run')


def test_same_config_opens_again_and_changes_nothing(tmp_path):
  for _ in range(2):
    with workdir.opened(str(tmp_path), CONFIG):
      (tmp_path / 'metrics.jsonl').write_text('x')
      before = snapshot(tmp_path)
  assert snapshot(tmp_path) == before


def test_what_an_editor_put_before_the_config_and_its_inputs_does_not_matter(tmp_path):
  for _ in range(2):
    with workdir.opened(str(tmp_path), CONFIG) as folder:
      workdir.keep_input(folder, 'policy.json', '{}')
      for name in ('config.json', 'policy.json'):
        (tmp_path / name).write_bytes('\ufeff'.encode() + (tmp_path / name).read_bytes())


@pytest.mark.parametrize('name', ['a [x]', 'a:', 'x\\y*?#%20~\n\u00fc ', '-', 'tr\udcff'])
def test_a_folder_of_any_name(tmp_path, name):
  for _ in range(2):
    with workdir.opened(f'{tmp_path}/{name}//run', CONFIG) as folder:  # 'a:' makes it no URL
      assert folder == f'{tmp_path}/{name}/run'
  assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize('open_', [workdir.opened, workdir.opened_by_several])
def test_a_system_without_locks(open_, tmp_path, monkeypatch):
  def refusal(name):
    with pytest.raises(BadInput) as info:
      with open_(str(tmp_path / name), CONFIG):
        pytest.fail('opened')
    return str(info.value)
  monkeypatch.setattr(workdir, 'fcntl', None)
  assert 'native Windows' in refusal('run')
  assert not snapshot(tmp_path)


@pytest.mark.parametrize('room, key, goes_on', [
    ('parallel', 'devices', True), ('parallel', 'over', True), ('data', 'workers', True), ('data', 'side', False)])
def test_a_run_goes_on_however_it_is_computed(tmp_path, room, key, goes_on):
  text = lambda value: json.dumps({'seed': 0, 'parallel': {}, 'data': {}} | {room: {key: value}})
  with workdir.opened(str(tmp_path), text(1)):
    before = snapshot(tmp_path)
  try:
    with workdir.opened(str(tmp_path), text(2)):
      assert goes_on
  except BadInput:
    assert not goes_on
  assert snapshot(tmp_path) == before


@pytest.mark.parametrize('there', ['{"seed": 1}\n', '', 'garbage', '[0]'])
def test_other_config_is_refused(tmp_path, there):
  (tmp_path / 'config.json').write_text(there)
  before = snapshot(tmp_path)
  assert 'another config' in refused(tmp_path)
  assert snapshot(tmp_path) == before


@pytest.mark.parametrize('there, another_version', [
    ({'kind': 'search', 'method': 'ddas', 'theta': {'lr': 2}}, True),
    ({'kind': 'search', 'method': 'ddas', 'theta': {'lr': 1, 'optimizer': 'sgd', 'x' * 1000: 0}}, True),
    ({'kind': 'search', 'method': 'ddas', 'theta': {'lr': 2, 'optimizer': 'sgd'}}, False),
    ({'kind': 'search', 'method': 'daas', 'theta': {'lr': 1}}, False),
    ({'kind': 'train', 'theta': {'lr': 1}}, False), ({}, False), ([], False)])
def test_config_of_another_version_is_refused(tmp_path, there, another_version):
  config = {'kind': 'search', 'method': 'ddas', 'theta': {'lr': 1, 'optimizer': 'sgd'}}
  (tmp_path / 'config.json').write_text(json.dumps(there))
  before = snapshot(tmp_path)
  line = refused(tmp_path, json.dumps(config))
  assert 'another config' in line and len(line) < 400
  assert ('another version wrote it: finish it with that one' in line) == another_version
  assert snapshot(tmp_path) == before


@pytest.mark.parametrize('name', ['metrics.jsonl', 'checkpoints', 'genotype.json', 'policy.json', 'results.json'])
def test_results_of_something_else_are_not_overwritten(tmp_path, name):
  (tmp_path / name).write_text('of someone')
  before = snapshot(tmp_path)
  assert name in refused(tmp_path)
  assert snapshot(tmp_path) == before


def test_other_files_do_not_matter(tmp_path):
  (tmp_path / 'notes.txt').write_text('mine')
  with workdir.opened(str(tmp_path), CONFIG):
    pass
  assert (tmp_path / 'notes.txt').read_text() == 'mine'


def test_folder_that_cannot_be(tmp_path):
  (tmp_path / 'file').write_text('x')
  (tmp_path / 'dangling').symlink_to(tmp_path / 'nowhere' / 'at all')
  (tmp_path / 'config' / 'config.json').mkdir(parents=True)
  (tmp_path / 'lock' / '.lock').mkdir(parents=True)
  before = snapshot(tmp_path)
  for name in ('file', 'file/run', 'dangling', 'config', 'lock', 'x' * 300):
    assert 'cannot be used' in refused(tmp_path / name), name
  assert snapshot(tmp_path) == before


@pytest.mark.skipif(not os.path.isdir('/proc/self'), reason='no /proc, a folder that nobody can write to')
def test_folder_that_cannot_be_written():
  assert 'cannot be used' in refused('/proc/daas_jax')
  assert 'cannot be used' in refused('/proc/self')


def test_failure_while_the_config_is_written_leaves_no_part(tmp_path, monkeypatch):
  def full(descriptor):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(os, 'fsync', full)
  assert 'No space left' in refused(tmp_path)
  assert not list(tmp_path.glob('config.json*'))


def test_exception_inside_frees_the_folder(tmp_path):
  with pytest.raises(FileNotFoundError):  # and an OSError of the run is not taken for one of the folder
    with workdir.opened(str(tmp_path), CONFIG):
      raise FileNotFoundError('of the run')
  with workdir.opened(str(tmp_path), CONFIG):
    pass
