"""Two runs on one workdir: the second is refused in one line and changes nothing, however the first is doing."""

import os
import signal
import subprocess
import sys

from faults import runs
import pytest
from faults.test_kill import state
from test_workdir import CONFIG, refused, snapshot

from daas_jax.runtime import workdir


def test_second_opener_is_refused_until_the_first_is_done(tmp_path, fault):
  with workdir.opened(str(tmp_path), CONFIG):
    before = snapshot(tmp_path)
    assert 'another process' in refused(tmp_path)
    assert snapshot(tmp_path) == before
  with workdir.opened(str(tmp_path), CONFIG):
    pass
  fault('two runs on one workdir')


def test_process_that_is_killed_frees_the_folder(tmp_path, fault):
  code = ('import sys, time\nfrom daas_jax.runtime import workdir\n'
          'with workdir.opened(sys.argv[1], sys.argv[2]):\n  print("open", flush=True)\n  time.sleep(60)\n')
  with subprocess.Popen([sys.executable, '-c', code, str(tmp_path), CONFIG], stdout=subprocess.PIPE) as process:
    try:
      assert process.stdout.readline() == b'open\n'
      assert 'another process' in refused(tmp_path)
    finally:
      process.kill()
  with workdir.opened(str(tmp_path), CONFIG):
    pass
  fault('two runs on one workdir')


# Real processes.

@pytest.mark.parametrize('part', ['/checkpoints', 'orbax-checkpoint-tmp'])
def test_the_first_is_not_disturbed(server, straight_of, tmp_path, fault, part):
  """It is stopped while it compiles or saves, so that the second surely meets it."""
  run = tmp_path / 'run'
  first = server.start(run, moment={'signal': signal.SIGSTOP, 'part': part, 'count': 3 if 'tmp' in part else 1})
  state(first, 'T')
  before = snapshot(run)
  os.rename(f'{run}.txt', tmp_path / 'first.txt')
  for kind, word in (('search', 'another process'), ('search', 'another config'), ('train', 'another config')):
    words = ['--config.seed=3'] if word == 'another config' and kind == 'search' else []
    status, said = server.run(run, *words, kind=kind)
    assert status == 2 and said.count('\n') == 1 and word in said, said
    assert snapshot(run) == before
    fault('two runs on one workdir')
  os.kill(first, signal.SIGCONT)
  assert server.wait(first) == 0, (tmp_path / 'first.txt').read_text()
  assert runs.result(run) == straight_of('search')[1]


def test_begun_at_once(server, straight_of, tmp_path, fault):
  run = tmp_path / 'run'
  processes = [server.start(run) for _ in range(3)]
  assert sorted(server.wait(pid) for pid in processes) == [0, 2, 2], runs.output(run)
  assert runs.output(run).count('another process is using the workdir') == 2
  assert runs.result(run) == straight_of('search')[1]
  fault('two runs on one workdir')
