"""The lock of a workdir in an object store (`daas_jax.files.remote`), which has no locks.

It is one object, .lock, {"host", "pid", "id", "time"} of the run that uses the workdir. It is put,
and read again after `SETTLE` seconds: the last of two runs that start at once keeps it. It is put
anew with the time every `PERIOD` seconds. It is taken over where its process is gone from this
host, or after `LEASE` seconds of silence (the clocks of the hosts must agree to less than that): a
run that finds one waits for either, as what is started again on another machine, or as the same
number in another container, does not see that its process is gone.
"""

import io
import json
import os
import socket
import time
import uuid

from daas_jax.errors import BadInput
from daas_jax.files import storage

PERIOD, SETTLE, LEASE = 30.0, 1.0, 180.0  # seconds


class Lease:
  """The lock of one workdir, as one run has it.

  Args:
    url: the workdir in the store.
    warn: receives lines.

  Attributes:
    lost: who took it over, in words, once `held` has found that; None before.
  """

  def __init__(self, url, warn):
    self._url, self._warn, self._object = url, warn, f'{url}/.lock'
    self._id, self.lost = uuid.uuid4().hex, None

  def _holder(self):
    """What the lock says, None where there is none; of a damaged one {}."""
    try:
      found = storage.read_json(self._object)
    except FileNotFoundError:
      return None
    except ValueError:
      return {}
    return found if isinstance(found, dict) else {}

  def renew(self):
    """Puts the lock, with the time."""
    content = {
        'host': socket.gethostname(),
        'pid': os.getpid(),
        'id': self._id,
        'time': time.time()
    }
    storage.put(self._object, io.BytesIO(json.dumps(content).encode()))

  def free(self):
    """Removes the lock."""
    storage.remove(self._object)

  def take(self):
    """Takes the workdir; waits while a lock may be that of a run which was killed.

    Raises:
      BadInput: another run has it.
    """
    found = self._holder()
    if found is not None and not _stale(found):
      found = self._watched(found)
    if found is not None:
      self._warn(
          f'{self._url} is taken over from {_who(found)}, which is no more or has been silent for '
          'long'
      )
    self.renew()
    time.sleep(SETTLE)
    found = self._holder() or {}
    if found.get('id') != self._id:
      raise self._used(found)

  def _watched(self, found):
    """A lock that has become stale, or None where it was freed; BadInput where its run says that it
    is there."""
    self._warn(
        f'{self._url} is locked by {_who(found)}: waiting until that is silent for {LEASE:.0f} s, '
        'or says that it is there')
    while not _stale(found):
      time.sleep(PERIOD / 4)
      now = self._holder()
      if now != found and now is not None:
        raise self._used(now)
      found = now
      if found is None:
        return None
    return found

  def _used(self, found):
    return BadInput(
        f'another process is using the workdir {self._url} ({_who(found)}): wait for it, or choose '
        'another --workdir')

  def held(self):
    """Whether the lock is still this run's."""
    found = self._holder()
    if found is not None and found.get('id') == self._id:
      return True
    self.lost = _who(found or {})
    return False


def _who(found):
  return f"process {str(found.get('pid', '?'))[:20]} on host {str(found.get('host', '?'))[:80]}"


def _stale(found):
  """Whether the process that a lock names is gone, as far as it can be told."""
  pid, then = found.get('pid'), found.get('time')
  if type(pid) is not int or type(then) is not float or abs(time.time() - then) > LEASE:
    return True
  if found.get('host') != socket.gethostname() or not 0 < pid < 2**31:
    return False
  try:
    os.kill(pid, 0)
  except ProcessLookupError:
    return True
  except OSError:  # of another user
    pass
  return False
