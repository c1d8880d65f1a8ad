"""A workdir in an object store (`--workdir=gs://bucket/run`): a local copy that the run works in,
and its mirror there.

An object store has no append, no lock and no rename of a folder; a put of one object is whole or
not there. So the run keeps the workdir in a temporary local folder, with all that a local workdir
has, and a thread puts what has changed into the store every `lease.PERIOD` seconds and at the end.
There

  NAME             a file of the workdir, put anew as a whole where it has changed
  checkpoints/STEP.zip   a checkpoint: one object, so that it is whole or not there
  .lock            of the run that uses the workdir (`daas_jax.files.lease`)

A checkpoint is put after the lines that were written before it: a run that is resumed elsewhere has
them. What is lost with a machine is at most `lease.PERIOD` seconds and the checkpoint in them. A
run whose lock was taken over ends and puts nothing more.
"""

import contextlib
import io
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import zipfile

from daas_jax.errors import BadInput
from daas_jax.files import lease, storage

_TRIES = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds between them, at the end of a run
_CHECKPOINTS = 'checkpoints'
_FOLDERS = ('', 'draws')  # of a workdir, with files that are kept
_KINDS = ('.json', '.jsonl', '.npz', '.safetensors')


def _warn(line):
  print(f'warning: {line}', file=sys.stderr)


class Mirror:
  """The mirror of one workdir.

  Args:
    url: the workdir in the store.
    warn: receives lines.

  Attributes:
    folder: the local copy, made and filled by `pull`.
  """

  def __init__(self, url, warn=_warn):
    self.url, self._warn = url.rstrip('/'), warn
    if not storage.is_remote(self.url):
      raise BadInput(f'{url} names no folder of an object store: give one, such as '
                     f'{self.url}//BUCKET/FOLDER')
    self._home = tempfile.mkdtemp(prefix='daas_jax-')
    self.folder = os.path.join(self._home, 'run')  # a URL may hold what no local name can be
    self._put = {}  # name in the store -> form of the local file or checkpoint that it was made of
    self._lease = lease.Lease(self.url, warn)
    self._end, self._thread = threading.Event(), None

  def _at(self, name):
    return f'{self.url}/{name}'

  @contextlib.contextmanager
  def naming(self):
    """BadInput about the local copy names the workdir that the user gave."""
    try:
      yield
    except BadInput as error:
      raise BadInput(str(error).replace(self.folder, self.url)) from error

  # --- files --------------------------------------------------------------------------------------

  def pull(self):
    """Fetches the files into the local folder; of the checkpoints, only that there are some."""
    os.makedirs(self.folder, exist_ok=True)
    for folder in _FOLDERS:
      for name in storage.names(os.path.join(self.url, folder)):
        if name.endswith(_KINDS):
          name = os.path.join(folder, name)
          local = os.path.join(self.folder, name)
          os.makedirs(os.path.dirname(local), exist_ok=True)
          _write(local, storage.read_bytes(self._at(name)))
          self._put[name] = _form(local)
    if self._steps():
      os.makedirs(os.path.join(self.folder, _CHECKPOINTS), exist_ok=True)

  def _steps(self):
    """Numbers of the checkpoints in the store."""
    names = storage.names(self._at(_CHECKPOINTS))
    return [int(name[:-4]) for name in names if name.endswith('.zip') and name[:-4].isdecimal()]

  def pull_checkpoints(self):
    """Fetches the checkpoints; what is left of a damaged one is for the reader of checkpoints to
    pass over."""
    for step in self._steps():
      name, folder = f'{_CHECKPOINTS}/{step}.zip', os.path.join(self.folder, _CHECKPOINTS,
                                                                str(step))
      os.makedirs(folder, exist_ok=True)
      packed = os.path.join(self._home, 'fetched.zip')
      _write(packed, storage.read_bytes(self._at(name)))
      try:
        with zipfile.ZipFile(packed) as file:
          file.extractall(folder)  # checks every file's sum
      except Exception as error:  # zipfile and zlib raise many kinds for a damaged file
        self._warn(f'{self._at(name)} is damaged ({storage.reason(error)})')
        shutil.rmtree(folder)
        os.makedirs(folder)
      os.remove(packed)
      self._put[name] = _form(folder)

  def push(self):
    """Puts what has changed: first the files, then the checkpoints that were there before; then
    drops old ones.

    Raises:
      OSError: something could not be put.
    """
    checkpoints = self._finished()
    for folder in _FOLDERS:
      home = os.path.join(self.folder, folder)
      for entry in os.scandir(home) if os.path.isdir(home) else ():
        if entry.is_file() and not entry.name.startswith('.') and not entry.name.endswith('.tmp'):
          self._push_file(os.path.join(folder, entry.name))
    for step, form in checkpoints.items():
      self._push_checkpoint(step, form)
    kept = {f'{_CHECKPOINTS}/{step}.zip' for step in self._finished()} | {
        f'{_CHECKPOINTS}/{step}.zip' for step in checkpoints}
    for name in [
        name for name in self._put if name.startswith(f'{_CHECKPOINTS}/') and name not in kept
    ]:
      storage.remove(self._at(name))
      del self._put[name]

  def _finished(self):
    """{step: form} of the local checkpoints; orbax gives a folder its number when everything is in
    it."""
    home, out = os.path.join(self.folder, _CHECKPOINTS), {}
    for name in os.listdir(home) if os.path.isdir(home) else ():
      with contextlib.suppress(FileNotFoundError):  # dropped in this moment
        if name.isdecimal():
          out[int(name)] = _form(os.path.join(home, name))
    return out

  def _push_file(self, name):
    local = os.path.join(self.folder, name)
    with contextlib.suppress(FileNotFoundError):
      form = _form(local)
      if self._put.get(name) != form:
        with open(local, 'rb') as file:
          # of one moment: the run may append to it
          storage.put(self._at(name), io.BytesIO(file.read()))
        self._put[name] = form

  def _push_checkpoint(self, step, form):
    name, folder = f'{_CHECKPOINTS}/{step}.zip', os.path.join(self.folder, _CHECKPOINTS, str(step))
    if self._put.get(name) == form:
      return
    packed = os.path.join(self._home, 'packed.zip')
    try:
      with zipfile.ZipFile(packed, 'w', zipfile.ZIP_STORED, strict_timestamps=False) as file:
        for way, _, names in os.walk(folder):
          for inside in names:
            file.write(os.path.join(way, inside), os.path.relpath(os.path.join(way, inside),
                                                                  folder))
      if _form(folder) != form:
        return
    except FileNotFoundError:  # dropped meanwhile for a newer one
      return
    with open(packed, 'rb') as file:
      storage.put(self._at(name), file)
    os.remove(packed)
    self._put[name] = form

  # --- the run ------------------------------------------------------------------------------------

  def begin(self):
    """Takes the workdir, fetches what is in it, and starts the thread.

    Raises:
      BadInput: another run has it.
      OSError: the store cannot be read or written.
    """
    self._lease.take()
    try:
      self.pull()  # the run before may have gone on until it was locked
      self.pull_checkpoints()
    except BaseException:
      self._lease.free()
      raise
    self._thread = threading.Thread(target=self._work, daemon=True, name='mirror')
    self._thread.start()

  def _work(self):
    while not self._end.wait(lease.PERIOD):
      try:
        if not self._lease.held():
          os.kill(os.getpid(), signal.SIGINT)  # the main thread ends as with Ctrl-C, and says why
          return
        self._lease.renew()
        self.push()
      except Exception as error:  # tried again: a store may be away for a while
        self._warn(f'{self.url} could not be written ({storage.reason(error)}); it is tried again')

  def end(self):
    """Puts what is left, frees the workdir and drops the local copy.

    Raises:
      BadInput: the workdir was taken over; or the store cannot be written: the local copy is kept.
    """
    self._end.set()
    if self._thread:
      self._thread.join()
    try:
      left = self._leave()
    except OSError as error:
      raise BadInput(
          f'{self.url} cannot be written ({storage.reason(error)}): the workdir is kept in '
          f'{self.folder}'
      ) from error
    self.drop()
    if not left:
      raise BadInput(
          f'the workdir {self.url} was taken over by {self._lease.lost}: this run has ended, and '
          'what it did since was not kept')

  def _leave(self, tries=None):
    """Puts what is left and frees the workdir, in a minute of trying; False where another run has
    it."""
    tries = _TRIES if tries is None else tries
    try:
      if self._lease.lost or not self._lease.held():
        return False
      self.push()
      self._lease.free()
      return True
    except OSError as error:
      if not tries:
        raise
      self._warn(f'{self.url} could not be written ({storage.reason(error)}); it is tried again')
      time.sleep(tries[0])
      return self._leave(tries[1:])

  def drop(self):
    """Removes the local copy."""
    shutil.rmtree(self._home, ignore_errors=True)


def _write(path, content):
  with open(path, 'wb') as file:
    file.write(content)


def _form(path):
  """What changes when a file, or the folder of a checkpoint, is replaced or written."""
  status = os.stat(path)
  return status.st_ino, status.st_mtime_ns, status.st_size


@contextlib.contextmanager
def copied(url):
  """A local copy of the files of a workdir in a store, without its checkpoints, as long as the
  context lasts."""
  mirror = Mirror(url)
  try:
    with mirror.naming():
      mirror.pull()
      yield mirror.folder
  finally:
    mirror.drop()
