"""SIGTERM and Ctrl-C: the step is finished, the state saved, the status 75 or 130; what is started
again ends as if nothing had been."""

import os
import signal
import subprocess
import sys
import threading
import time

import commands
from conftest import ROOT
from faults import runs
import pytest
import test_loop
import test_study

from daas_jax.files import metrics
from daas_jax.runtime import cli, loop, signals
from daas_jax.errors import Diverged, Terminated
from daas_jax.errors import Interrupted


def ended(folder, after, kind=Terminated, why=signal.SIGTERM, **settings):
  """Runs `test_loop`'s job until it is asked to end after a step; the line that it ends with."""
  folder.mkdir(exist_ok=True)
  task = test_loop.job(on_epoch=test_loop.remember, **settings)._replace(record=test_loop.record)
  with pytest.raises(kind) as info:
    loop.run(task, str(folder), test_loop.config(), test_loop.Silent(),
             lambda step: step >= after and why)
  assert '\n' not in str(info.value)
  return str(info.value)


def finished(folder):
  """(state, rows without times, history) of the job, run or gone on with to its end."""
  state, rows, _ = test_loop.run(folder, test_loop.recorded())
  return test_loop.bits(state), test_loop.plain(rows), test_loop.history(folder)


@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
  return finished(tmp_path_factory.mktemp('uninterrupted'))


def test_after_every_step_of_one_run(uninterrupted, tmp_path, fault):
  """Every position in a window and in an epoch, each begun from the one before it."""
  assert 'begins again' in ended(tmp_path, 0) and not list((tmp_path / 'checkpoints').iterdir())
  for step in range(1, test_loop.STEPS):
    assert ended(tmp_path, step).endswith(f'goes on from step {step}')
  assert finished(tmp_path) == uninterrupted
  for _ in range(test_loop.STEPS):
    fault('SIGTERM after a step')


@pytest.mark.parametrize('steps', [(2, 2), (5, 8, 12), (11, 16)])
def test_windows_of_several_steps(uninterrupted, tmp_path, fault, steps):
  for step in steps:
    ended(tmp_path, step)
  assert finished(tmp_path) == uninterrupted
  fault('SIGTERM between two lines')


def test_ctrl_c_saves_as_sigterm_does(uninterrupted, tmp_path, fault):
  said = ended(tmp_path, 0, Interrupted, signal.SIGINT)
  assert said == 'interrupted after step 0; the same command begins again'
  for step in (3, 6):
    said = ended(tmp_path, step, Interrupted, signal.SIGINT)
    assert said == f'interrupted after step {step}; the same command goes on from step {step}'
  assert finished(tmp_path) == uninterrupted
  fault('Ctrl-C after a step', 3)


def test_asked_once_a_step_in_order(tmp_path):
  """What several processes need to agree on a step."""
  asked = []
  loop.run(test_loop.job(), str(tmp_path), test_loop.config(), test_loop.Silent(), asked.append)
  assert asked == list(range(test_loop.STEPS + 1))


def test_asked_in_the_last_step_is_a_finished_run(uninterrupted, tmp_path):
  state, rows = loop.run(test_loop.recorded(), str(tmp_path), test_loop.config(), test_loop.Silent(),
                         lambda step: step == test_loop.STEPS)
  assert (test_loop.bits(state), test_loop.plain(rows), test_loop.history(tmp_path)) == uninterrupted


def test_a_state_that_diverged_is_not_saved(tmp_path):
  with pytest.raises(Diverged, match='at step 5; there was no checkpoint yet'):
    loop.run(test_loop.job(nan_at=5), str(tmp_path), test_loop.config(), test_loop.Silent(), lambda step: step == 5)
  assert not list((tmp_path / 'checkpoints').iterdir())


@pytest.mark.parametrize('damage', ['gone', 'cut', 'other'])
def test_without_its_window_a_checkpoint_is_passed_over(uninterrupted, tmp_path, fault, damage):
  ended(tmp_path, 5)
  ended(tmp_path, 9)
  path = tmp_path / 'window.jsonl'
  assert [row['step'] for row in metrics.read(path)] == [4, 5, 8, 9]
  lines = path.read_text().splitlines(keepends=True)
  path.write_text({'gone': '', 'cut': ''.join(lines)[:-9], 'other': ''.join(lines[:2]) + 'of someone\n'}[damage])
  reporter = test_loop.Silent()
  loop.run(test_loop.recorded(), str(tmp_path), test_loop.config(), reporter)
  assert 'checkpoint 9' in reporter.warnings[0] and 'window.jsonl' in reporter.warnings[0]
  assert len(reporter.warnings) == 1 and 'of step 7' in reporter.notes[0]
  assert finished(tmp_path) == uninterrupted
  fault('damaged window')


def test_a_thread_hears_nothing_and_what_was_set_comes_back():
  seen = []
  def inside():
    with signals.termination() as asked:
      seen.append(asked(0))
  before = [signal.getsignal(number) for number in signals.ASKING]
  thread = threading.Thread(target=inside)
  thread.start()
  thread.join()
  assert seen == [False]
  for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM):
    with signals.termination() as asked:
      assert not asked(0)
      os.kill(os.getpid(), number)
      test_study.wait_for(lambda: asked(1))
      assert asked(1) == asked(2) == number
  assert [signal.getsignal(number) for number in signals.ASKING] == before


def test_signals_of_one_second_are_one_request():
  """Whichever they are: a study is sent Ctrl-C with its runs, and sends them SIGTERM."""
  now = [100.0]
  for first in signals.ASKING:
    request = signals.Request(lambda: now[0])
    heard = []
    for seconds, number in ((0, first), (0, first), (0.3, signal.SIGTERM), (0.6, signal.SIGINT),
                            (0.2, first)):
      now[0] += seconds
      heard.append(request.again(number))
    assert heard == [False, False, False, False, True] and request.signal == first


def test_a_study_is_told_once_within_a_second_and_killed_by_a_later_one(monkeypatch):
  now, raised = [0.0], []
  monkeypatch.setattr(signals, 'Request', lambda make=signals.Request: make(lambda: now[0]))
  with signals.raised({signal.SIGTERM: ZeroDivisionError, signal.SIGINT: KeyError}):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyError):
      os.kill(os.getpid(), signal.SIGINT)
    for number in signals.ASKING:
      os.kill(os.getpid(), number)  # nothing comes of it
    now[0] = 1.5
    monkeypatch.setattr(signal, 'raise_signal', raised.append)
    handler(signal.SIGTERM, None)
    assert raised == [signal.SIGTERM] and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_command_in_the_background_leaves_ctrl_c_alone(monkeypatch):
  """Where a shell has it ignored, it is meant for the command in front."""
  before = signal.signal(signal.SIGINT, signal.SIG_IGN)
  try:
    with signals.termination() as asked:
      os.kill(os.getpid(), signal.SIGINT)
      assert not asked(1) and signal.getsignal(signal.SIGINT) == signal.SIG_IGN
  finally:
    signal.signal(signal.SIGINT, before)


# Real processes.

SAVE = 'orbax-checkpoint-tmp'
# name: (part of a path, the how many-th change of one, seconds after it), in the order of a life.
# Each is told twice within a moment, every second one by Ctrl-C.
MOMENTS = {
    'search': {
        'the config is read': ('config_under_test.py', 1, 0), 'the workdir is opened': ('/.lock', 1, 0),
        'compilation': ('/checkpoints', 1, 0.3), 'before the first step': ('metrics.jsonl.tmp', 1, 0),
        'the first save': (SAVE, 1, 0), 'a part of a save': (SAVE, 5, 0), 'the end of a save': (SAVE, 9, 0.01),
        'the second save': (SAVE, 15, 0)},
    'train': {'before the first step': ('metrics.jsonl.tmp', 1, 0), 'a save': (SAVE, 12, 0)},
}


@pytest.mark.parametrize('kind', MOMENTS)
def test_anywhere(server, straight_of, tmp_path, fault, kind):
  last = []
  for i, (name, (part, count, delay)) in enumerate(MOMENTS[kind].items()):
    number, ends, says = ((signal.SIGTERM, 75, 'ended on SIGTERM'),
                          (signal.SIGINT, 130, 'interrupted'))[i % 2]
    moment = {'signal': number, 'part': part, 'count': count, 'delay': delay, 'times': 2}
    status, said = server.run(tmp_path / 'run', kind=kind, moment=moment, slow=0.15)
    assert status == ends, (name, status, said)
    line = said.splitlines()[-1]
    assert line.startswith(f'daas_jax.{kind}: {says} after step'), (name, said)
    assert 'Traceback' not in said, (name, said)
    assert said.count('Ctrl-C again ends at once') == (number == signal.SIGINT), said
    last.append(line)
  assert 'begins again' in last[0] and 'goes on from step' in last[-1]
  status, said = server.run(tmp_path / 'run', kind=kind)
  assert status == 0 and 'resuming from the checkpoint' in said, said
  assert runs.result(tmp_path / 'run') == straight_of(kind)[1]
  for name in MOMENTS[kind]:
    fault(f'SIGTERM or Ctrl-C: {name}')


@pytest.mark.parametrize('kind, name, number', [('search', 'policy.json', signal.SIGINT),
                                                ('train', 'results.json', signal.SIGTERM)])
def test_results_that_are_being_written_are_written(server, straight_of, tmp_path, fault, kind,
                                                    name, number):
  status, said = server.run(tmp_path / 'run', kind=kind,
                            moment={'signal': number, 'part': f'{name}.tmp', 'count': 1})
  assert status == 0, said
  assert runs.result(tmp_path / 'run') == straight_of(kind)[1]
  fault('SIGTERM: results')


def test_the_second_kills_a_run(server, straight_of, tmp_path, fault):
  # Not two: where the process sleeps through both, the system makes one of them.
  moment = {'signal': signal.SIGTERM, 'part': '/checkpoints', 'count': 1, 'delay': 0.03, 'times': 200}
  assert server.run(tmp_path / 'run', moment=moment, same=0)[0] == -signal.SIGKILL
  assert not (tmp_path / 'run' / 'metrics.jsonl').exists()
  assert server.run(tmp_path / 'run')[0] == 0
  assert runs.result(tmp_path / 'run') == straight_of('search')[1]
  fault('SIGTERM: twice')


def test_the_second_kills_within_one_call_of_c():
  """As a compilation is one, in which Python hears nothing."""
  code = ('import hashlib\nfrom daas_jax.runtime import signals\nwith signals.termination():\n  print("in", flush=True)\n'
          '  hashlib.pbkdf2_hmac("sha256", b"", b"", 10**9)\n')
  with subprocess.Popen([sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE,
                        env=commands.environment(PYTHONPATH=str(ROOT))) as process:
    try:
      assert process.stdout.readline() == b'in\n'
      process.terminate()
      process.send_signal(signal.SIGINT)  # of the same second
      with pytest.raises(subprocess.TimeoutExpired):
        process.wait(signals.SAME_SECONDS + 0.2)
      process.terminate()
      assert process.wait(5) == -signal.SIGKILL
    finally:
      process.kill()


def test_help_names_the_status(capsys):
  from daas_jax.search import command as search
  assert cli.run('search', search.main, ['--help'], search.define_flags) == 0
  assert '130 ended on Ctrl-C with the state saved' in ' '.join(capsys.readouterr().out.split())


# A study. Its runs are those of tests/study/test_study.py, but the searches wait for SIGTERM, "save" and say 75.

DRIVER = '''
import sys
import conftest  # which finds test_study
import test_study
wait = "import os, signal, time\\nif not os.path.exists(SAVED):\\n  def end(*_):\\n    time.sleep(0.3)\\n" \\
    "    open(SAVED, 'w').close()\\n    os._exit(75)\\n  signal.signal(signal.SIGTERM, end)\\n" \\
    "  open(SAVED + '.begun', 'w').close()\\n  time.sleep(60)\\n"
test_study.FAKE = wait.replace('SAVED', 'sys.argv[2] + "/saved"').replace('import os', 'import sys, os') \\
    + test_study.FAKE
test_study.patch()
sys.exit(test_study.study_command.main(sys.argv[1:]))
'''


@pytest.mark.parametrize('to', ['group', 'run'])
def test_a_study_ends_with_its_runs_saved(tmp_path, fault, to):
  words = [sys.executable, '-c', DRIVER, f"--config={ROOT / 'configs/studies/default_vs_searched.py'}:smoke",
           f"--workdir={tmp_path / 'study'}"]
  path = os.pathsep.join(map(str, (ROOT, ROOT / 'tests')))
  start = lambda: subprocess.Popen(words, cwd=ROOT, env=commands.environment(PYTHONPATH=path), text=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   start_new_session=True)
  with start() as one:
    try:
      begun = lambda: list((tmp_path / 'study').rglob('saved.begun'))
      test_study.wait_for(lambda: begun() or one.poll() is not None)
      assert begun(), one.communicate()[1]
      children = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(one.pid)], capture_output=True, text=True).stdout
      if to == 'group':  # as GNU timeout: the command, and then all of its group
        one.terminate()
        time.sleep(0.1)  # the system makes one of two that wait
        os.killpg(one.pid, signal.SIGTERM)
      else:
        os.kill(int(children.split()[0]), signal.SIGTERM)
      said = one.communicate(timeout=60)[1]
    finally:
      one.kill()
  assert one.returncode == cli.EX_TEMPFAIL and said.count('\n') == 1 and 'SIGTERM' in said, said
  folder = begun()[0].parent
  assert (folder / 'saved').exists() and not (folder / 'record.json').exists()  # it ended well: it has not failed
  fault({'group': 'SIGTERM: a study', 'run': 'SIGTERM: a run of a study'}[to])
