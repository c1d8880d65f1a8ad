"""SIGTERM, which a scheduler sends before it takes the machine, and Ctrl-C: heard at the next step
instead of died of."""

import contextlib
import os
import signal
import sys
import threading
import time

ASKING = (signal.SIGINT, signal.SIGTERM)
"""The signals that ask a run to end."""

SAME_SECONDS = 1.0
"""One request may come as several signals: GNU timeout and a terminal send theirs to the whole
process group, and who was sent it passes it on. Those that come so soon after the first are that
request; a later one is impatience."""


def never(step):
  """A `should_stop` of a run that nobody asks to end."""
  del step
  return False


class Request:
  """What was asked by signals: the first of them, and whether a later one asks for more.

  Args:
    clock: () -> seconds.

  Attributes:
    signal: the first of the signals, or None.
  """

  def __init__(self, clock=time.monotonic):
    self.signal, self._since, self._clock = None, None, clock

  def again(self, number):
    """Hears a signal; whether it came so long after the first that it asks to end at once."""
    if self.signal is None:
      self.signal, self._since = number, self._clock()
    return self._clock() - self._since >= SAME_SECONDS


def _taken():
  """Those of `ASKING` to listen to: a shell has its background commands ignore Ctrl-C."""
  return [n for n in ASKING if n == signal.SIGTERM or signal.getsignal(n) != signal.SIG_IGN]


@contextlib.contextmanager
def _handled(handler):
  """Has the signals call a function (number, frame) while it is open."""
  before = {number: signal.signal(number, handler) for number in _taken()}
  try:
    yield
  finally:
    for number, old in before.items():
      # None is a handler that was not set from Python, and cannot be.
      signal.signal(number, signal.SIG_DFL if old is None else old)


@contextlib.contextmanager
def termination():
  """Hears SIGTERM and Ctrl-C while it is open; a second one kills, whatever the process does.

  Yields:
    should_stop: step -> False, or the signal's number where the run is to end after that step.
      Called once a step, in order and in every process, so that a version for several processes can
      agree on a step in it (`jax.experimental.multihost_utils.reached_preemption_sync_point`). Not
      in the main thread, where Python hears no signals, and on native Windows: `never`.
  """
  if threading.current_thread() is not threading.main_thread() or os.name != 'posix':
    yield never
    return
  request = Request()
  # A Python handler waits for the end of a call into XLA, minutes of a compilation; a byte in a
  # pipe does not.
  reader, writer = os.pipe()
  os.set_blocking(writer, False)

  def listen():
    while number := os.read(reader, 1)[0]:
      if number in ASKING:
        _hear(request, number)

  thread = threading.Thread(target=listen, name='signals', daemon=True)
  thread.start()
  wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  try:
    with _handled(lambda number, frame: None):
      yield lambda step: request.signal or False
  finally:
    signal.set_wakeup_fd(wakeup)
    os.write(writer, b'\0')
    thread.join()
    os.close(reader)
    os.close(writer)


def _hear(request, number):
  first = request.signal is None
  if request.again(number):
    os.kill(os.getpid(), signal.SIGKILL)
  if first and number == signal.SIGINT:  # somebody is looking, and a compilation takes minutes
    print('interrupted: the step is finished and saved first; Ctrl-C again ends at once',
          file=sys.stderr, flush=True)


@contextlib.contextmanager
def raised(errors):
  """Has the first of the signals raise in the main thread while it is open; a second one kills.

  Args:
    errors: {number of a signal: what it raises}.
  """
  if threading.current_thread() is not threading.main_thread():
    yield
    return
  request = Request()

  def handle(number, frame):
    del frame
    first = request.signal is None
    if request.again(number):
      signal.signal(number, signal.SIG_DFL)
      signal.raise_signal(number)
    if first:
      raise errors[number]

  with _handled(handle):
    yield
