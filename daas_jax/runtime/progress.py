"""What a run shows while it works: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_PARTS = 'train', 'val'


def any_encoding():
  """From here on stdout and stderr take every text.

  A letter that their encoding has not, as of a terminal that is not UTF-8, or that no encoding has,
  as in a file's name, is shown as '?'. A stream with a way of its own keeps it: stderr as Python
  opens it, or stdout with PYTHONIOENCODING=ascii:backslashreplace.
  """
  for stream in (sys.stdout, sys.stderr):
    if getattr(stream, 'errors', None) == 'strict' and hasattr(stream, 'reconfigure'):
      stream.reconfigure(errors='replace')


def _shown(row):
  """The loss and the score (train_accuracy, ...) of each part, as far as a row has them."""
  for part in _PARTS:
    of = sorted(name for name in row if name.count('_') == 1 and name.startswith(f'{part}_'))
    yield from sorted(of, key=lambda name: not name.endswith('_loss'))


def _text(row, images_per_second):
  values = ', '.join(f'{name} {row[name]:.4f}' for name in _shown(row))
  where = f"{row['phase']} epoch {row['epoch']} step {row['step']}"
  return f'{where}: {values}, {images_per_second:.0f} images/s'


@contextlib.contextmanager
def silent():
  """A `Reporter` that shows nothing."""
  with Reporter(Silent()) as reporter:
    yield reporter


class Silent:
  """A stream that shows nothing."""

  encoding = 'utf-8'

  def write(self, text: str) -> int:
    return len(text)

  def flush(self) -> None:
    pass


class Reporter:
  """Reports a run: `begin` before its first step, `line` at every line of metrics, `tick` at every
  other step."""

  def __init__(self, stream=None):
    # in a notebook rich shows on the page, whatever the stream is
    jupyter = None if stream in (None, sys.stdout) else False
    self._console = Console(file=stream or sys.stdout, force_jupyter=jupyter)
    self._bar = None
    self._begun = None

  def __enter__(self):
    return self

  def __exit__(self, *error):
    if self._bar:
      self._bar.stop()

  def begin(self, done, job):
    """The first step after step `done` begins."""
    self._begun = time.perf_counter(), done
    if self._console.is_terminal:
      self._bar = Progress(TextColumn('{task.description}'), BarColumn(),
                           TextColumn('{task.completed}/{task.total}'), TimeElapsedColumn(),
                           TimeRemainingColumn(), console=self._console)
      self._bar.start()
      self._task = self._bar.add_task('compiling', total=job.total_steps, completed=done)

  def tick(self, done):
    """Step `done` is over."""
    if self._bar:
      self._bar.update(self._task, completed=done)

  def line(self, row, images_per_second, job):
    """A row of metrics was written."""
    self.tick(row['step'])
    text = _text(row, images_per_second)
    if self._bar:
      self._bar.update(self._task, description=text)
      return
    # a clock may go back
    seconds, first = max(time.perf_counter() - self._begun[0], 0.0), self._begun[1]
    left = seconds / max(row['step'] - first, 1) * (job.total_steps - row['step'])
    self._console.print(f'{text}, {left:.0f} s left', soft_wrap=True, highlight=False)

  def note(self, text):
    """Something that the user should see."""
    self._console.print(text, soft_wrap=True, highlight=False, markup=False, emoji=False)

  def warn(self, text):
    """Something that the user should see on stderr."""
    print(text, file=sys.stderr, flush=True)
