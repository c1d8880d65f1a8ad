"""The runs of a study: which are over, who works on which, and how one is run.

A study's folder holds searches/NAME-SEED and trainings/NAME-SEED, each the workdir of an ordinary
run, with three more files in it: .claim (flock'ed by the worker that runs it, and by the run
itself), record.json (how the last attempt ended) and output.txt (what the run printed).

A claim is a lock and not a file that says who: the system drops it with the last process that holds
it, on whatever machine, so nobody has to guess whether a silent worker is alive. The run inherits
it: where a worker is killed and its run is not, the claim stays until the run ends.
"""

import contextlib
import json
import os
import reprlib
import signal
import subprocess
import sys
import time
import uuid

from daas_jax.config import installed, schema as config_lib
from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage
from daas_jax.methods import registry
from daas_jax.nets import registry as nets
from daas_jax.policies import found
from daas_jax.runtime import cli, workdir

RECORD, OUTPUT, _CLAIM = 'record.json', 'output.txt', '.claim'
# the latter before the command listens: nothing is lost
TERMINATED = (cli.EX_TEMPFAIL, -signal.SIGTERM)
# by the user or a scheduler: nothing is wrong with the run
INTERRUPTED = (130, -signal.SIGINT, *TERMINATED)


def command(run, root, compilation_cache):
  """The words that start a run: those a person would type."""
  words = [
      sys.executable, '-m', f'daas_jax.{run.kind}', f'--config={run.config}',
      f'--workdir={os.path.join(root, run.folder)}', f'--compilation_cache={compilation_cache}'
  ]
  words += [f'--config.{key}={value}' for key, value in run.set.items()]
  at = lambda folder: os.path.join(root, folder)
  if run.kind == 'search':
    return words + [f'--search={at(earlier)}' for earlier in run.needs]
  # A random architecture is one of the candidates of `--search`, and weighs what its one does.
  other = 'policy_search' if run.genotype in run.needs or run.like else 'search'
  words += [f'--search={at(run.like)}'] if run.like else []
  for name, flag, value in (('genotype', 'search', run.genotype), ('policy', other, run.policy)):
    if value:
      epoch = f':{run.epoch}' if name == 'genotype' and run.epoch is not None else ''
      words += [f'--{name}=searched{epoch}', f'--{flag}={at(value)}'
               ] if value in run.needs else [f'--{name}={value}']
  return words


def _read(path):
  try:
    content = storage.read_json(path, finite=False)
  except (OSError, ValueError):
    content = None
  return content if isinstance(content, dict) else None


def _number(value, low, high):
  return isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high


def result(run, root):
  """What a finished run found, or None where it is not over.

  Args:
    run: a `plan.Run`.
    root: the study's folder.

  Returns:
    Of a training, and of a search that ends with a network ready to use, {'error': test error in
    percent, 'top_5': the top-5 error, 'parameters': int, 'multiply_adds': int, 'validation':
    accuracy of D_val, 'seconds'}; {'seconds'} of other searches. 'seconds' are those of all devices
    together. All but error and parameters are None where nothing tells.

  Raises:
    BadInput: there is a result and it is damaged, or of something else; the line names the file.
  """
  folder = os.path.join(root, run.folder)
  config = config_lib.flatten(_read(os.path.join(folder, 'config.json')) or {}) | {'kind': run.kind}
  path = os.path.join(folder, registry.last_file(config))
  if not os.path.lexists(path):
    return None
  try:
    if run.kind == 'search':
      _check_search(folder, config)
    found = _network_result(path, run) if os.path.basename(path) == 'results.json' else {}
    return found | {'seconds': _seconds(folder)}
  except BadInput as error:
    raise BadInput(
        f'a result of this study is damaged: {error} (move {folder} away to run it again)'
    ) from error


def _check_search(folder, config):
  """Raises BadInput where a file of what a search found is damaged."""
  if registry.tunes_policy(config):  # of a method that may be unknown here
    found.load(os.path.join(folder, 'policy.json'))
  networks, row = nets.networks(), registry.methods().get(config.get('method'))
  name = config.get('network.name')
  space = networks[name].space if name in networks else None
  if space and not (row and row.sampling == 'uniform'):
    space.load(os.path.join(folder, space.file))


def _network_result(path, run):
  found = _read(path)
  if found is None or not _number(found.get('test_accuracy'), 0, 1) or not _number(
      found.get('parameters'), 0, 1e15):
    raise BadInput(f'{path} is not the results.json of a trained network')
  if found.get('seed') != run.seed:
    raise BadInput(f'{path} is of seed {reprlib.repr(found.get("seed"))}, not of {run.seed}')
  known = lambda key, high: found[key] if _number(found.get(key), 0, high) else None
  top_5 = known('test_top5_accuracy', 1)
  return {'error': 100 * (1 - found['test_accuracy']), 'parameters': found['parameters'],
          'top_5': None if top_5 is None else 100 * (1 - top_5),
          'multiply_adds': known('multiply_adds', 1e18), 'validation': known('val_accuracy', 1)}


def _seconds(folder):
  """Device-seconds of all sessions of a run, its compilations among them, by its run.json."""
  sessions = (_read(os.path.join(folder, 'run.json')) or {}).get('sessions')
  if not isinstance(sessions, list) or not all(isinstance(row, dict) for row in sessions):
    return None
  known = [row['seconds'] * row['devices'] for row in sessions
           if _number(row.get('seconds'), 0, 1e15) and _number(row.get('devices'), 1, 1e9)]
  return round(sum(known), 1) if known else None


def record(run, root):
  """How the last attempt at a run ended: {'id', 'status', 'seconds', 'said'}, or None where nothing
  tells."""
  found = _read(os.path.join(root, run.folder, RECORD))
  return found if found and found.keys() >= {'id', 'status', 'seconds', 'said'} else None


@contextlib.contextmanager
def claim(run, root):
  """Yields the claim's file descriptor, or None where another process works on the run.

  Raises:
    OSError: the folder cannot be written, or its file system has no locks.
  """
  folder = os.path.join(root, run.folder)
  os.makedirs(folder, exist_ok=True)
  with open(os.path.join(folder, _CLAIM), 'ab') as file:
    try:
      workdir.lock(file)
    except BlockingIOError:
      yield None
      return
    yield file.fileno()


def _environment():
  """The run imports the package that this process runs, from wherever it was started, and what it
  prints is UTF-8."""
  home = installed.parent()
  path = os.environ.get('PYTHONPATH')
  return os.environ | {'PYTHONPATH': home + (os.pathsep + path if path else ''),
                       'PYTHONIOENCODING': 'utf-8'}


def _said(path):
  """The last line that a run printed."""
  with open(path, encoding='utf-8', errors='replace') as file:
    lines = [line.strip() for line in file if line.strip()]
  return lines[-1][:300] if lines else 'it printed nothing'


def attempt(words, run, root, descriptor, started=lambda process: None):
  """Runs one run to its end, in a process of its own.

  Args:
    words: its command line.
    run: a claimed `plan.Run`.
    root: the study's folder.
    descriptor: of its claim; the process inherits it.
    started: called with the Popen.

  Returns:
    The record: {'id', 'status', 'seconds', 'said'}; also written, unless the run was interrupted.
  """
  folder, begun = os.path.join(root, run.folder), time.time()
  output = os.path.join(folder, OUTPUT)
  with open(output, 'ab') as file:
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=file, stderr=file,
                               env=_environment(), pass_fds=(descriptor,))
    started(process)
    status = process.wait()
  said = _said(output)
  if status < 0:
    said = f'killed by signal {-status}' + (' (out of memory?)' if status == -9 else '')
  out = {'id': uuid.uuid4().hex, 'status': status, 'seconds': round(time.time() - begun, 1),
         'said': said if status else ''}
  if status not in INTERRUPTED:
    atomic.write(os.path.join(folder, RECORD), json.dumps(out) + '\n')
  return out
