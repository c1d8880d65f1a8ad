"""Stand-ins for the programs that launch/ calls: what it would do on its platform is done, or written down, here."""

import json
import os
import pathlib
import stat
import subprocess
import sys

import commands

_PYTHON = '''
import json, pathlib, sys
folder = pathlib.Path({folder!r})
with open(folder / 'python.log', 'a') as log:
  log.write(json.dumps(sys.argv[1:]) + '\\n')
if 'daas_jax.search' in sys.argv:
  now, *later = json.loads((folder / 'statuses').read_text())
  if later:
    (folder / 'statuses').write_text(json.dumps(later))
  sys.exit(now)
'''
_SRUN = '''
import os, pathlib, signal, subprocess, sys, time
words = sys.argv[1:]
while words[0].startswith('-'):  # srun's own options
  words.pop(0)
count = int(os.environ['SLURM_NTASKS'])
step = {'SLURM_STEP_ID': '0', 'SLURM_STEP_NODELIST': 'localhost', 'SLURM_STEP_NUM_NODES': '1', 'SLURM_NODEID': '0',
        'SLURM_STEP_NUM_TASKS': str(count), 'SLURM_STEP_TASKS_PER_NODE': str(count)}
tasks = [subprocess.Popen(words, env=os.environ | step | {'SLURM_PROCID': str(i), 'SLURM_LOCALID': str(i)})
         for i in range(count)]
def lines(file):
  return pathlib.Path(file).read_text().count('\\n') if os.path.exists(file) else 0
watched, wanted = os.environ.get('TERM_AT', ':0').rsplit(':', 1)  # FILE:LINES, when --signal's time has come
while any(task.poll() is None for task in tasks):
  if int(wanted) and lines(watched) >= int(wanted):
    wanted = 0
    for task in tasks:
      task.send_signal(signal.SIGTERM)
  time.sleep(0.02)
sys.exit(max(s if s >= 0 else 128 - s for s in (task.wait() for task in tasks)))
'''


def program(folder, name, text, interpreter=sys.executable):
  """Writes an executable file into a folder."""
  path = pathlib.Path(folder, name)
  path.write_text(f'#!{interpreter}\n{text}')
  path.chmod(path.stat().st_mode | stat.S_IXUSR)
  return path


def fake_python(folder, statuses=(0,), name='python'):
  """A `python` that writes its arguments down (`calls`); its searches end with the statuses, the last one for good."""
  pathlib.Path(folder, 'statuses').write_text(json.dumps(list(statuses)))
  return program(folder, name, _PYTHON.format(folder=str(folder)))


def calls(folder):
  """[the arguments of each call of `fake_python`]."""
  return [json.loads(line) for line in pathlib.Path(folder, 'python.log').read_text().splitlines()]


def recorder(folder, name, status=0):
  """A program that writes its arguments to NAME.log and ends with a status."""
  return program(folder, name, f'echo "$@" >> "{folder}/{name}.log"\nexit {status}\n', '/bin/sh')


def srun(folder):
  """srun as JAX and a search see it: SLURM_NTASKS processes on this machine, the largest status of them; SIGTERM to all
  of them when the file of TERM_AT=FILE:LINES has that many lines."""
  return program(folder, 'srun', _SRUN)


def environment(folder, **extra):
  """Variables with the folder's programs first, and nothing of a cluster that the tests themselves may run on."""
  foreign = ('SLURM_', 'OMPI_', 'KUBERNETES_', 'SEARCH', 'SAMPLES')
  kept = {k: v for k, v in commands.environment().items() if not k.startswith(foreign)}
  return kept | {'PATH': f'{folder}{os.pathsep}{kept["PATH"]}'} | {k: str(v) for k, v in extra.items()}


def bash(folder, *words, cwd, **extra):
  """Runs bash on words; returns the CompletedProcess with text output."""
  return subprocess.run(['bash', *map(str, words)], env=environment(folder, **extra), cwd=cwd, text=True,
                        capture_output=True, check=False, timeout=500)
