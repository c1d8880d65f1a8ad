"""kill -9 at moments of a whole life, saving included; suspension; the supernet's search, killed and terminated."""

import os
import random
import signal
import time

import commands
from faults import runs
import pytest
import test_study

from daas_jax.files import metrics

SAVE = 'orbax-checkpoint-tmp'


def moments(seed, changes):
  """20 random moments, most of them counted in what a run does to files: so that all parts of its life come up.

  A run that was killed goes on a little further each time, and the whole of it is long over after 20 random moments of
  equal chances. So the first 17 are of the time up to the third save after a start; the last 3 of the results.

  Args:
    seed: of the generator.
    changes: what a start up to its third save does to files.
  """
  draw = random.Random(seed)
  out = [{'part': '/run/', 'count': draw.randint(1, changes)} for _ in range(9)]
  out += [{'part': SAVE, 'count': draw.randint(1, 24)} for _ in range(5)]
  out += [{'part': '/run/', 'count': 1, 'delay': 2 * draw.random()} for _ in range(3)]
  draw.shuffle(out)
  # At once: there is little left to do that a late thread would find.
  out += [{'part': part, 'count': count, 'delay': 0}
          for part, count in (('/run/policy.json', 1), ('/run/policy.json', 2), ('/run/', 5))]
  return [{'signal': signal.SIGKILL, 'delay': 0.03 * draw.random() if draw.random() < 0.5 else 0} | m for m in out]


def test_twenty_random_moments_of_one_search(server, straight_of, tmp_path, fault):
  run, killed, steps, halves = tmp_path / 'run', 0, set(), 0
  for moment in moments(8, 60):
    # Where it is killed some time after a start, it is not to be over by then.
    status, said = server.run(run, moment=moment, slow=0.3 if moment['delay'] > 0.03 else 0)
    assert status == -signal.SIGKILL, (moment, status, said)
    assert 'warning' not in said and 'Traceback' not in said, (moment, said)
    rows = metrics.read(run / 'metrics.jsonl')
    steps.add(rows[-1]['step'] if rows else 0)
    halves += any(SAVE in p.name for p in run.glob('checkpoints/*'))
    killed += 1
  assert killed == 20 and halves >= 3 and len(steps) >= 4, (steps, halves)
  status, said = server.run(run)
  assert status == 0, said
  assert runs.result(run) == straight_of('search')[1]
  assert not list(run.glob(f'checkpoints/*{SAVE}*')) and not list(run.glob('*.tmp'))
  for _ in range(killed):
    fault('kill -9 at a random moment')


@pytest.mark.parametrize('moment', [{'part': 'results.json', 'count': 1}, {'part': SAVE, 'count': 14}])
def test_a_training(server, straight_of, tmp_path, fault, moment):
  status, said = server.run(tmp_path / 'run', kind='train', slow=0.03,
                            moment={'signal': signal.SIGKILL} | moment)
  assert status == -signal.SIGKILL, said
  assert server.run(tmp_path / 'run', kind='train')[0] == 0
  assert runs.result(tmp_path / 'run') == straight_of('train')[1]
  fault('kill -9 of a training')


def test_a_search_of_cells(server, straight_of, tmp_path, fault):
  """With an architecture in its state and genotype.json: killed while it saves, then ended between two lines."""
  for number, count in ((signal.SIGKILL, 20), (signal.SIGTERM, 9)):
    status, said = server.run(tmp_path / 'run', kind='cells', slow=0.15,
                              moment={'signal': number, 'part': SAVE, 'count': count})
    assert status == (75 if number == signal.SIGTERM else -9), said
  status, said = server.run(tmp_path / 'run', kind='cells')
  assert status == 0 and 'resuming from the checkpoint' in said, said
  found = runs.result(tmp_path / 'run')
  assert found == straight_of('cells')[1] and 'genotype.json' in found
  fault('kill -9 of a search of cells')
  fault('SIGTERM of a search of cells')


def test_suspended_runs_go_on(server, straight_of, tmp_path, fault):
  """SIGSTOP while it compiles and while it saves, a second each, as a laptop's lid or a debugger does it."""
  for i, (part, count) in enumerate((('/checkpoints', 1), (SAVE, 7))):
    workdir = tmp_path / str(i)
    pid = server.start(workdir, moment={'signal': signal.SIGSTOP, 'part': part, 'count': count})
    state(pid, 'T')
    time.sleep(1)
    os.kill(pid, signal.SIGCONT)
    assert server.wait(pid) == 0, runs.output(workdir)
    assert runs.result(workdir) == straight_of('search')[1]
    fault('suspended process')


def state(pid, letter):
  """Waits until a process is in that state: T is stopped."""
  test_study.wait_for(lambda: commands.process_state(pid) == letter)
