"""Processes: how several of them, one a host or one a GPU, become one run, and how they end
together.

All of them run the same program on the same state. Process 0 alone owns the workdir; what it reads
there, and what it decides (to stop, to end), the others are told.
"""

import atexit
import contextlib
import ctypes
import os
import signal
import sys
import threading
import time

from absl import flags
import jax
from jax.experimental import multihost_utils
import numpy as np

from daas_jax.errors import BadInput, EX_TEMPFAIL

# Where a process that fails leaves its number and its status, and where the others say that they
# have read it.
_END, _HEARD = 'daas_jax/end', 'daas_jax/heard/'
_DONE = 'daas_jax/done'
_HEARING_SECONDS = 20  # at most: a process in the middle of a long call hears nothing
_POLL_SECONDS = 0.5
_SAYING = threading.RLock()  # two threads may find at once that a peer is gone
_WRITING_SECONDS = 24 * 3600  # in which process 0 writes its results, and the others wait


def define_flags(values):
  """Defines the flags of a command that several processes may run."""
  flags.DEFINE_enum(
      'distributed', 'off', ['auto', 'off', 'explicit'],
      'Several processes as one run: found by the '
      'cluster (Cloud TPU, SLURM, Open MPI, Kubernetes), or named by the three flags below.',
      flag_values=values)
  flags.DEFINE_string('coordinator', None, 'HOST:PORT of process 0, for --distributed=explicit.',
                      flag_values=values)
  flags.DEFINE_integer('process_count', None, 'Number of processes, for --distributed=explicit.',
                       lower_bound=1, flag_values=values)
  flags.DEFINE_integer('process_index', None,
                       'Which of them this is, from 0, for --distributed=explicit.', lower_bound=0,
                       flag_values=values)
  flags.DEFINE_integer('heartbeat_seconds', 100,
                       'How long a process may be silent before the others end.', lower_bound=5,
                       flag_values=values)


def join(options):
  """Joins the other processes as the flags say; to be called before anything of JAX is.

  Raises:
    BadInput: the flags do not fit each other, there is no cluster, or the others cannot be reached.
  """
  explicit = {'coordinator_address': options.coordinator, 'num_processes': options.process_count,
              'process_id': options.process_index}
  if options.distributed != 'explicit' and any(value is not None for value in explicit.values()):
    raise BadInput(
        '--coordinator, --process_count and --process_index are for --distributed=explicit: give '
        'that too'
    )
  if options.distributed == 'off':
    return
  if options.distributed == 'explicit':
    _check(options)
  # Python's own signal handlers wait for the main thread, which an abort does not.
  ctypes.CDLL(None).signal(signal.SIGABRT, _ON_ABORT)
  try:
    jax.distributed.initialize(**(explicit if options.distributed == 'explicit' else {}),
                               heartbeat_timeout_seconds=options.heartbeat_seconds,
                               shutdown_timeout_seconds=_WRITING_SECONDS)
  except (ValueError, RuntimeError) as error:  # RuntimeError: no connection
    _distributed().client = None  # so that `several` is right
    reason = ' '.join(str(error).split())[:200]
    advice = ('is every process started, and can it reach --coordinator?' if options.distributed
              == 'explicit' else 'outside of a cluster give --distributed=explicit, or off')
    raise BadInput(f'the processes could not be joined ({reason}): {advice}') from error
  _watch()


def _check(options):
  missing = [
      name for name in ('coordinator', 'process_count', 'process_index')
      if options[name].value is None
  ]
  if missing:
    raise BadInput(f'--distributed=explicit needs --{missing[0]} as well')
  host, _, port = options.coordinator.rpartition(':')
  if not host or not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
    raise BadInput(f'--coordinator={options.coordinator!r} is not HOST:PORT')
  if options.process_index >= options.process_count:
    raise BadInput(
        f'--process_index={options.process_index} must be below '
        f'--process_count={options.process_count}'
    )


def several():
  """Whether this is one of several joined processes."""
  return jax.distributed.is_initialized() and jax.process_count() > 1


def first():
  """Whether this process is the one that owns the workdir."""
  return not several() or jax.process_index() == 0


def same(tree):
  """Process 0's values of a pytree of numpy arrays, on every process; all give one of the same
  shapes."""
  if not several():
    return tree
  return jax.tree.map(np.asarray, multihost_utils.broadcast_one_to_all(tree))


def everyone(array):
  """The sum of all processes' arrays of one shape."""
  return np.sum(multihost_utils.process_allgather(array), 0) if several() else array


def agreed(word):
  """Process 0's bool, on every process."""
  return bool(same(np.int32(word)))


def should_stop(alone):
  """`should_stop` as `daas_jax.runtime.signals.termination` gives it, of all processes: told to
  one, said to all at the same step.

  Args:
    alone: that of this process, which heard what came before it joined.
  """
  if not several():
    return alone
  told = []

  def tell(step):
    if alone(step) and not told:
      told.append(step)
      os.kill(os.getpid(), signal.SIGTERM)  # JAX hears it from here on

  def together(step):
    tell(step)
    if not multihost_utils.reached_preemption_sync_point(step):
      return False
    return signal.SIGINT if everyone(np.int32(alone(step) == signal.SIGINT)) else signal.SIGTERM

  tell(0)
  return together


def finished():
  """Waits, in every process but the first, until that one has written its results: it may yet fail,
  or be told to end.
  """
  if several() and first():
    _client().key_value_set(_DONE, '')
  while several() and not first() and not _there(_DONE):
    time.sleep(_POLL_SECONDS)


def _there(key):
  """Whether a key was set."""
  try:
    _client().key_value_try_get(key)
  except Exception:  # pylint: disable=broad-except
    return False
  return True


def end(status, line):
  """Says why this process ends, and ends the others with its status; returns `status` where it is
  alone.

  What all of them find, process 0 says: each of the others waits for it to have spoken.

  Args:
    status: what the process exits with.
    line: one line, for stderr.
  """
  if not several():
    print(line, file=sys.stderr)
    return status
  if not first():
    time.sleep(4 * _POLL_SECONDS)  # `_watch` ends this process where process 0 has left its status
    line = f'process {jax.process_index()}: {line}'
  print(line, file=sys.stderr, flush=True)
  until = time.monotonic() + _HEARING_SECONDS
  with contextlib.suppress(Exception):  # somebody else was faster
    _client().key_value_set(_END, f'{jax.process_index()} {status}')
  while _heard() < jax.process_count() - 1 and time.monotonic() < until:
    time.sleep(_POLL_SECONDS)
  # those that have heard end meanwhile; JAX would abort them when process 0 is gone
  time.sleep(2 * _POLL_SECONDS)
  os._exit(status)


def _heard():
  """How many processes have read `_END`."""
  try:
    return len(_client().key_value_dir_get(_HEARD))
  except Exception:  # pylint: disable=broad-except  # none
    return 0


def lost(reason):
  """Ends this process because another one is gone."""
  with _SAYING:
    print(
        f'daas_jax: another process of this run is not there ({reason}): the same command goes on '
        'from the last checkpoint', file=sys.stderr, flush=True)
    os._exit(EX_TEMPFAIL)


def _client():
  return _distributed().client


def _distributed():
  from jax._src import distributed  # JAX shows its store of keys and values nowhere else
  return distributed.global_state


def _watch():
  """Ends this process with the status that another one leaves."""
  client, over = _client(), threading.Event()

  def watch():
    while not over.wait(_POLL_SECONDS):
      try:
        who, status = client.key_value_try_get(_END).split()
      except Exception:  # pylint: disable=broad-except  # not there
        continue
      if int(who) == jax.process_index():  # it waits for the others
        return
      with contextlib.suppress(Exception):
        client.key_value_set(_HEARD + str(jax.process_index()), '')
      os._exit(int(status))

  def stop():
    over.set()
    thread.join()

  thread = threading.Thread(target=watch, daemon=True)
  thread.start()
  atexit.register(stop)  # before JAX takes its client apart


@ctypes.CFUNCTYPE(None, ctypes.c_int)
def _ON_ABORT(number):
  """Ends this process in one line where JAX aborts it: when the coordinator, or a peer's heartbeat,
  is gone, or not all processes came. What JAX says of it is printed above that line. C holds its
  address: it is never to be collected."""
  del number
  lost('see above')
