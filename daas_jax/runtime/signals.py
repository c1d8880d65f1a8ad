"""SIGTERM, which a scheduler sends before it takes the machine: heard at the next step instead of died of."""

import contextlib
import os
import signal
import threading


def never(step):
  """An `asked` of a run that nobody asks to end."""
  del step
  return False


@contextlib.contextmanager
def termination():
  """Hears SIGTERM while it is open; the second one kills at once, whatever the process is doing.

  Yields:
    asked: step -> bool, whether the run is to end after that step. Called once a step, in order and in every process,
      so that a version for several processes can agree on a step in it
      (`jax.experimental.multihost_utils.reached_preemption_sync_point`). Not in the main thread, where Python hears no
      signals: `never`.
  """
  if threading.current_thread() is not threading.main_thread():
    yield never
    return
  heard = []
  # A Python handler waits for the end of a call into XLA, minutes of a compilation; a byte in a pipe does not.
  reader, writer = os.pipe()
  os.set_blocking(writer, False)

  def listen():
    while number := os.read(reader, 1)[0]:
      if number == signal.SIGTERM:
        if heard:
          os.kill(os.getpid(), signal.SIGKILL)
        heard.append(number)

  thread = threading.Thread(target=listen, name='SIGTERM', daemon=True)
  thread.start()
  wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
  handler = signal.signal(signal.SIGTERM, lambda number, frame: None)
  try:
    yield lambda step: bool(heard)
  finally:
    # None is a handler that was not set from Python, and cannot be.
    signal.signal(signal.SIGTERM, signal.SIG_DFL if handler is None else handler)
    signal.set_wakeup_fd(wakeup)
    os.write(writer, b'\0')
    thread.join()
    os.close(reader)
    os.close(writer)
