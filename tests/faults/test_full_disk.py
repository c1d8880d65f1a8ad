"""A full disk: one line, no checkpoint lost, none that is half; the run stops or goes on as its config says.

The disk is really full: a file system of 1 MiB in memory filled to the last byte (where this user may mount one), and
for all users a limit on the size of files, for which the system answers EFBIG instead of ENOSPC.
"""

import contextlib
import errno
import resource
import subprocess

from faults import runs
import pytest
import test_loop
import test_study

from daas_jax.files import atomic, metrics
from daas_jax.runtime import disk, loop
from daas_jax.runtime.checkpoint import Checkpoints
from daas_jax.errors import Terminated

# Of orbax, see `daas_jax.runtime.cli._quiet`.
pytestmark = pytest.mark.filterwarnings('ignore::pytest.PytestUnraisableExceptionWarning')


class Limit:
  """No file may grow beyond its first byte."""

  def __init__(self):
    self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

  def fill(self):
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, self._before[1]))

  def free(self):
    resource.setrlimit(resource.RLIMIT_FSIZE, self._before)

  close = free


class Tmpfs:
  """A file system that a file takes all the room of."""

  def __init__(self, folder):
    self._folder = folder
    folder.mkdir(exist_ok=True)
    mount = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], capture_output=True, check=False)
    if mount.returncode:
      pytest.skip('this user may mount no file system')

  def fill(self):
    with contextlib.suppress(OSError), open(self._folder / 'ballast', 'ab', buffering=0) as file:
      for size in (4096, 1):
        with contextlib.suppress(OSError):
          while file.write(b'0' * size):
            pass

  def free(self):
    (self._folder / 'ballast').unlink(missing_ok=True)

  def close(self):
    subprocess.run(['umount', '-l', self._folder], check=True)


@pytest.fixture(params=['limit', 'tmpfs'])
def full(request, tmp_path):
  out = Limit() if request.param == 'limit' else Tmpfs(tmp_path / 'run')
  yield out
  out.close()


def settings(action):
  out = test_loop.config()
  out.checkpoint.on_full_disk = action
  return out


@pytest.fixture
def saved(monkeypatch):
  """Waits for the save in the background: what it finds, a full disk or room, is what there is when it was begun."""
  opened, managers = Checkpoints._open, []
  def recorded(self):
    opened(self)
    managers.append(self._manager)
  monkeypatch.setattr(Checkpoints, '_open', recorded)
  return lambda: test_study.wait_for(lambda: not managers[-1].is_saving_in_progress())


def job(full, saved, fill, free=None):
  """`test_loop`'s job; the disk is full from the beginning of step `fill` on, to the beginning of step `free`."""
  task = test_loop.recorded()

  def batches(number):
    if number + 1 in (fill, free):
      saved()
      full.fill() if number + 1 == fill else full.free()
    return task.batches(number)

  return task._replace(batches=batches)


@pytest.fixture(scope='module')
def straight(tmp_path_factory):
  folder = tmp_path_factory.mktemp('uninterrupted')
  state, rows, _ = test_loop.run(folder, test_loop.recorded())
  return test_loop.bits(state), test_loop.plain(rows), test_loop.history(folder)


def go_on(folder):
  state, rows, reporter = test_loop.run(folder, test_loop.recorded())
  assert reporter.warnings == []
  return test_loop.bits(state), test_loop.plain(rows), test_loop.history(folder)


# Full from a step on: whether a line, the record of an epoch or a checkpoint is the first that finds no room.
@pytest.mark.parametrize('fill, kept', [(1, None), (2, None), (7, 6), (8, 7), (13, 7), (20, 14), (21, 20)])
def test_stop_says_so_and_keeps_what_was_good(full, saved, straight, tmp_path, fault, fill, kept):
  folder = tmp_path / 'run'
  folder.mkdir(exist_ok=True)
  with pytest.raises(OSError) as info:
    loop.run(job(full, saved, fill), str(folder), settings('stop'), test_loop.Silent())
  full.free()
  assert info.value.errno in (errno.ENOSPC, errno.EFBIG) and str(folder) in info.value.filename
  assert '\n' not in str(info.value)
  steps = test_loop.steps_saved(folder)
  assert (steps[-1:] or [None]) == [kept], steps  # no half one, and none of the good ones is gone
  assert go_on(folder) == straight
  fault('full disk: stop')


@pytest.mark.parametrize('fill, free', [(2, 5), (5, 9), (7, 10), (8, 20), (13, 16), (1, 21)])
def test_go_on_warns_and_has_everything_when_there_is_room_again(full, saved, straight, tmp_path, fault, fill, free):
  folder, reporter = tmp_path / 'run', test_loop.Silent()
  folder.mkdir(exist_ok=True)
  state, rows = loop.run(job(full, saved, fill, free), str(folder), settings('go_on'), reporter)
  assert (test_loop.bits(state), test_loop.plain(rows), test_loop.history(folder)) == straight
  assert reporter.warnings and all('could not be written' in line and '\n' not in line for line in reporter.warnings)
  assert test_loop.steps_saved(folder)[-1] == test_loop.STEPS
  fault('full disk: go on')


@pytest.mark.parametrize('end', [9, 14, 21])
def test_go_on_to_the_end_keeps_the_last_good_one(full, saved, straight, tmp_path, fault, end):
  """Full until the process ends: what is resumed has all lines up to its checkpoint."""
  folder, reporter = tmp_path / 'run', test_loop.Silent()
  folder.mkdir(exist_ok=True)
  task = job(full, saved, 9)
  batches = task.batches
  def until(number):
    if number == end:
      raise test_loop.Killed
    return batches(number)
  with contextlib.suppress(test_loop.Killed, OSError):  # OSError: it came to the end, and lines are not written
    loop.run(task._replace(batches=until), str(folder), settings('go_on'), reporter)
  full.free()
  assert (len(reporter.warnings) > 0) == (end > 9)
  assert test_loop.steps_saved(folder) == [6, 7]
  assert go_on(folder) == straight
  fault('full disk: go on')


@pytest.mark.parametrize('action', disk.ACTIONS)
def test_sigterm_while_it_is_full_says_so(full, saved, action, straight, tmp_path, fault):
  folder, reporter = tmp_path / 'run', test_loop.Silent()
  folder.mkdir(exist_ok=True)
  with pytest.raises(OSError if action == 'stop' else Terminated) as info:
    loop.run(job(full, saved, 10), str(folder), settings(action), reporter, should_stop=lambda step: step == 11)
  full.free()
  if action == 'stop':
    assert info.value.errno in (errno.ENOSPC, errno.EFBIG)
  else:
    assert 'step 11; the same command goes on from step 7' in str(info.value)
    assert any('the checkpoint of step 11 could not be written' in line for line in reporter.warnings)
  assert go_on(folder) == straight
  fault('full disk: SIGTERM')


def test_a_run_ends_with_all_its_lines_or_says_that_it_has_not(straight, tmp_path, monkeypatch, fault):
  """Full for the record of the last epoch alone: what is written of the records would lack an epoch."""
  written, left = metrics.MetricsFile.flush, []
  def flush(self):
    if self.path.endswith('history.jsonl') and b'"epoch": 3' in self._unwritten:
      left.append(self)
      raise OSError(errno.ENOSPC, 'No space left on device', self.path)
    written(self)
  with monkeypatch.context() as patch:
    patch.setattr(metrics.MetricsFile, 'flush', flush)
    with pytest.raises(OSError, match='No space left'):
      loop.run(test_loop.recorded(), str(tmp_path), settings('go_on'), test_loop.Silent())
  assert left and go_on(tmp_path) == straight
  fault('full disk: a line')


def test_no_checkpoint_without_the_lines_before_it(straight, tmp_path, monkeypatch, fault):
  """Room for a checkpoint and none for a line: what is resumed from it would lack the line."""
  written = metrics.MetricsFile.flush
  full = []
  def flush(self):
    if full and self.path.endswith('metrics.jsonl'):
      raise OSError(errno.ENOSPC, 'No space left on device', self.path)
    written(self)
  monkeypatch.setattr(metrics.MetricsFile, 'flush', flush)
  task = test_loop.recorded(until=16)
  def batches(number):
    full[:] = [number] if number >= 8 else []
    return task.batches(number)
  with pytest.raises(test_loop.Killed):
    loop.run(task._replace(batches=batches), str(tmp_path), settings('go_on'), test_loop.Silent())
  full.clear()
  assert test_loop.steps_saved(tmp_path) == [6, 7]
  assert go_on(tmp_path) == straight
  fault('full disk: a line')


def test_a_save_that_failed_costs_no_other(full, tmp_path, fault):
  """Orbax counts the failed one among those it keeps, and would remove a good one in its place."""
  folder = tmp_path / 'run' / 'checkpoints'
  checkpoints = Checkpoints(str(folder), 2)
  state = test_loop.init()
  for step in (1, 2):
    checkpoints.save(step, state)
  checkpoints.wait()
  for step in (3, 4, 5):
    full.fill()
    with pytest.raises(OSError) as info:
      checkpoints.save(step, state)
      checkpoints.wait()
    full.free()
    assert info.value.filename == str(folder / str(step))
    assert checkpoints.last() == 2 and sorted(p.name for p in folder.iterdir()) == ['1', '2']
  checkpoints.save(6, state)
  checkpoints.close()
  assert sorted(p.name for p in folder.iterdir()) == ['2', '6']
  checkpoints = Checkpoints(str(folder), 2)
  assert checkpoints.restore(state)[0] == 6
  checkpoints.close()
  fault('full disk: a save')


def test_metrics_have_no_part_of_a_line(full, tmp_path, fault):
  (tmp_path / 'run').mkdir(exist_ok=True)
  path = tmp_path / 'run' / 'metrics.jsonl'
  log = metrics.MetricsFile(str(path), 0)
  log.write({'step': 1})
  whole = path.read_bytes()
  full.fill()
  for step in (2, 3):
    with pytest.raises(OSError) as info:
      log.write({'step': step, 'long': 'x' * 100_000})
    assert info.value.filename == str(path) and path.read_bytes() == whole
  full.free()
  log.write({'step': 4})
  log.close()
  assert [row['step'] for row in metrics.read(path)] == [1, 2, 3, 4]
  fault('full disk: a line')


def test_room_for_a_part_of_a_line(tmp_path, fault):
  """The system takes what fits and says so only with the next byte."""
  path = tmp_path / 'metrics.jsonl'
  log, full = metrics.MetricsFile(str(path), 0), Limit()
  log.write({'step': 1})
  resource.setrlimit(resource.RLIMIT_FSIZE, (20, full._before[1]))
  try:
    with pytest.raises(OSError):
      log.write({'step': 2, 'loss': 1.5})
  finally:
    full.free()
  assert path.read_text() == '{"step": 1}\n'
  log.flush()
  log.close()
  assert path.read_text() == '{"step": 1}\n{"step": 2, "loss": 1.5}\n'
  fault('full disk: a line')


def test_files_are_whole_or_not_there(full, tmp_path, fault):
  (tmp_path / 'run').mkdir(exist_ok=True)
  path = tmp_path / 'run' / 'policy.json'
  atomic.write(path, 'old')
  full.fill()
  with pytest.raises(OSError):
    atomic.write(path, 'new' * 2000)
  full.free()
  assert path.read_text() == 'old' and [p.name for p in path.parent.iterdir()] == ['policy.json']
  fault('full disk: a result')


@pytest.mark.parametrize('error, found', [
    (OSError(errno.ENOSPC, 'x'), errno.ENOSPC), (OSError(errno.EDQUOT, 'x', 'file'), errno.EDQUOT),
    (ValueError('INTERNAL: write: No space left on device [/run/3]'), errno.ENOSPC), (OSError(errno.EIO, 'x'), None),
    (ValueError('no such step'), None)])
def test_what_a_full_disk_is(error, found):
  told = disk.full(error, 'folder')
  assert (told and told.errno) == found and (told is None or told.filename in ('file', 'folder'))
  around = RuntimeError('save failed')
  around.__cause__ = error
  assert (disk.full(around, 'folder') is None) == (found is None)


def test_other_errors_are_not_taken_for_it():
  for action in disk.ACTIONS:
    with pytest.raises(ZeroDivisionError):
      with disk.guard(action, pytest.fail)('x', 'y'):
        raise ZeroDivisionError


# Real processes: the limit leaves room for a line and none for a checkpoint.

def test_a_search_that_stops(server, straight_search, tmp_path, fault):
  status, said = server.run(tmp_path / 'run', file_size=3000)
  line = said.splitlines()[-1]
  assert status == 2 and 'Traceback' not in said, said
  assert line.startswith('daas_jax.search: [Errno 27] File too large') and 'the same command goes on' in line, said
  assert not [p for p in (tmp_path / 'run' / 'checkpoints').iterdir()]
  assert server.run(tmp_path / 'run')[0] == 0
  assert runs.result(tmp_path / 'run') == straight_search
  fault('full disk: a search')


def test_a_search_that_goes_on(server, straight_search, tmp_path, fault):
  word = '--config.checkpoint.on_full_disk=go_on'
  status, said = server.run(tmp_path / 'run', word, file_size=3000)
  warnings = [line for line in said.splitlines() if line.startswith('warning: ')]
  assert len(warnings) >= 5 and all('checkpoint' in line for line in warnings) and 'Traceback' not in said, said
  found = (tmp_path / 'run' / 'policy.json').read_bytes() if status == 0 else None
  assert server.run(tmp_path / 'run', word)[0] == 0
  result = runs.result(tmp_path / 'run')
  result.pop('config.json')
  assert result == {k: v for k, v in straight_search.items() if k != 'config.json'}
  assert found in (None, result['policy.json'])
  fault('full disk: a search')


@pytest.fixture
def straight_search(request):
  return request.getfixturevalue('straight_of')('search')[1]
