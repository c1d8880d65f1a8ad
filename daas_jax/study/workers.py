"""The workers of one `study` command: each takes a run that nobody has claimed, until none is left.

Commands on the same folder know nothing of each other but what the files there say
(`daas_jax.study.runs`).
"""

from concurrent import futures
import threading
import time

from daas_jax.runtime import workdir
from daas_jax.study import runs as runs_lib, table

_LOOK_AGAIN = 2.0  # seconds, where all that is left is claimed by others or waits for them


def clock(seconds):
  """A time for a person: '42 s', '12 min', '3.4 h'."""
  if seconds < 90:
    return f'{seconds:.0f} s'
  return f'{seconds / 60:.0f} min' if seconds < 5400 else f'{seconds / 3600:.1f} h'


class Workers:
  """Runs what is left of a study.

  A run that failed is a failure of the command that saw it fail: it is not tried again by it, nor
  by others at work then, but by a command that is started later.

  Args:
    study: a `plan.Study`.
    root: its opened folder.
    workers: runs at once.
    compilation_cache: passed on to the runs.
    say: receives a line for every run that begins or ends.

  Raises:
    BadInput: a result is damaged.
  """

  def __init__(self, study, root, workers, compilation_cache, say=print):
    self._study, self._root, self._workers = study, root, workers
    self._cache, self._say = compilation_cache, say
    self._lock, self._stop, self._processes = threading.RLock(), threading.Event(), set()
    self._seconds = {}  # (kind, name): of its finished runs
    self._begun = time.monotonic()
    self._forgiven = {
        found['id'] for found in (runs_lib.record(run, root) for run in study.runs) if found
    }
    self.results, self.failures = {}, {}
    self.interrupted = None  # the status of a run that was, see `runs.INTERRUPTED`
    self.look()

  def look(self):
    """Reads what the files say now."""
    with self._lock:
      self.failures = {}  # what failed may have been mended by a later command
      for run in self._study.runs:
        # what a run took, it writes after what it found
        if self.results.get(run.folder, {}).get('seconds') is None:
          self._look_at(run)
      for run in self._study.runs:  # a search that needs another stands behind it
        failed = [n for n in run.needs if n in self.failures]
        if failed and run.folder not in self.results:
          self.failures[run.folder] = f'not run: {failed[0]} failed'

  def _look_at(self, run):
    found, last = runs_lib.result(run, self._root), runs_lib.record(run, self._root)
    if found is not None:
      new = run.folder not in self.results
      self.results[run.folder] = found
      if new and last and not last['status']:
        self._seconds.setdefault((run.kind, run.name), []).append(last['seconds'])
    elif last and last['id'] not in self._forgiven:
      self.failures[run.folder] = last['said'] or 'it ended well, without a result'

  def left(self):
    """The runs that are neither over nor failed."""
    with self._lock:
      return [
          r for r in self._study.runs
          if r.folder not in self.results and r.folder not in self.failures
      ]

  def work(self):
    """Runs all that is left, waits for what others run, and writes the table after each.

    Raises:
      BadInput: a result became damaged.
      OSError: the folder cannot be written any more.
    """
    with futures.ThreadPoolExecutor(self._workers) as pool:
      try:
        for future in futures.as_completed(
            [pool.submit(self._worker) for _ in range(self._workers)]):
          future.result()
      except BaseException:
        self._halt()
        raise
    self.write()

  def write(self):
    """Writes table.md and table.json; returns the former as text."""
    with self._lock, workdir.locked(self._root):
      self.look()
      return table.write(self._root, self._study, self.results, self.failures)

  def _halt(self):
    with self._lock:
      if self._stop.is_set():  # a run that is told twice takes it for impatience and is killed
        return
      self._stop.set()
      for process in self._processes:
        process.terminate()

  def _worker(self):
    while not self._stop.is_set():
      self.look()
      left = self.left()
      if not left:
        return
      if not any(self._take(run) for run in left if all(n in self.results for n in run.needs)):
        self._stop.wait(_LOOK_AGAIN)

  def _take(self, run):
    """Runs it, unless another does or did; whether this worker has to look at the folder again."""
    with runs_lib.claim(run, self._root) as descriptor:
      if descriptor is None or self._stop.is_set():
        return False
      with self._lock:
        self._look_at(run)  # another may have ended it between the last look and the claim
        if run.folder in self.results or run.folder in self.failures:
          return True
      self._run(run, descriptor)
    return True

  def _run(self, run, descriptor):
    self._tell(f'{run.folder} begins')
    words = runs_lib.command(run, self._root, self._cache)
    ended = runs_lib.attempt(words, run, self._root, descriptor, self._started)
    if ended['status'] in runs_lib.INTERRUPTED:
      self.interrupted = ended['status']
      self._halt()
      return
    self.write()
    if run.folder in self.failures:
      self._tell(
          f'{run.folder} failed after {clock(ended["seconds"])}: {self.failures[run.folder]}')
    else:
      error = self.results[run.folder].get('error')
      self._tell(f'{run.folder} is over after {clock(ended["seconds"])}'
                 + ('' if error is None else f', test error {error:.2f} %'))

  def _started(self, process):
    with self._lock:
      self._processes = {p for p in self._processes if p.poll() is None} | {process}
      if self._stop.is_set():
        process.terminate()

  def _tell(self, what):
    with self._lock:
      over, total = len(self.results), len(self._study.runs)
      left = self.estimate()
      self._say(f'[{over}/{total}] {what}; {clock(time.monotonic() - self._begun)} elapsed'
                + ('' if left is None else f', about {clock(left)} left'))

  def estimate(self):
    """Seconds that what is left takes this command alone, by what runs of the same name took; None
    if nothing tells."""
    mean = lambda xs: sum(xs) / len(xs)
    known = {key: mean(xs) for key, xs in self._seconds.items()}
    of_kind = {kind: mean([s for k, s in known.items() if k[0] == kind]) for kind, _ in known}
    left = self.left()
    if not known or not left:
      return None
    usual = mean(list(known.values()))
    return sum(known.get((r.kind, r.name), of_kind.get(r.kind, usual)) for r in left) / min(
        self._workers, len(left))


def states(study, root):
  """{folder: 'finished', 'failed' or 'to do'} of a study's runs, without touching anything.

  Raises:
    BadInput: a result is damaged.
  """
  out = {}
  for run in study.runs:
    last = runs_lib.record(run, root)
    failed = last is not None and last['status'] != 0
    out[run.folder] = 'finished' if runs_lib.result(
        run, root) is not None else 'failed' if failed else 'to do'
  return out
