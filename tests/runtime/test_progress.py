"""What a run shows: lines off a terminal, a bar with the same facts on one."""

import io
import sys

import pytest
from rich.console import Console

from daas_jax.runtime import loop, progress
from daas_jax.benchmark import command as benchmark
from daas_jax.prepare import command as prepare
from daas_jax.report import command as report
from daas_jax.runtime import cli
from daas_jax.study import command as study

ROW = {'step': 4, 'epoch': 1, 'phase': 'warm-up', 'train_loss': 1.25, 'val_accuracy': 0.5, 'lr': 0.1}
JOB = loop.Job(init=None, step=None, batches=None, total_steps=8, steps_per_epoch=4, images_per_step=2, phase=None)


def test_lines_off_a_terminal_hold_phase_epoch_step_losses_speed_and_time_left():
  stream = io.StringIO()
  with progress.Reporter(stream) as reporter:
    reporter.begin(0, JOB)
    reporter.tick(1)
    reporter.line(ROW, 123.4, JOB)
    reporter.note('[not markup] in /runs/:dog:/[/x] done')
  text = stream.getvalue()
  assert 'warm-up epoch 1 step 4: train_loss 1.2500, val_accuracy 0.5000, 123 images/s' in text and 's left' in text
  assert '[not markup] in /runs/:dog:/[/x] done' in text and '\x1b' not in text


def test_a_terminal_gets_a_bar_with_the_same_facts():
  stream = io.StringIO()
  reporter = progress.Reporter(stream)
  reporter._console = Console(file=stream, force_terminal=True, width=200)
  with reporter:
    reporter.begin(0, JOB)
    reporter.tick(1)
    reporter.line(ROW, 123.4, JOB)
    reporter._bar.refresh()
  text = stream.getvalue()
  for part in ('warm-up epoch 1 step 4', 'train_loss 1.2500', '123 images/s', '4/8'):
    assert part in text, part


# What stdout cannot show.

FOREIGN = 'L\xf6sung \u65e5\u672c \udcff \u2026'
"""Letters of Latin-1, of no 8-bit encoding, of none at all, and what rich cuts a long line with."""


class _Stdout(io.TextIOWrapper):
  """stdout of an encoding, a terminal or a file."""

  def __init__(self, encoding, terminal=False, errors='strict'):
    super().__init__(io.BytesIO(), encoding=encoding, errors=errors)
    self._terminal = terminal

  def isatty(self):
    return self._terminal

  def text(self):
    self.flush()
    return self.buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize('terminal', [False, True])
@pytest.mark.parametrize('encoding', ['latin-1', 'ascii', 'cp1252', 'utf-8'])
def test_a_run_on_a_terminal_or_file_of_any_encoding(encoding, terminal, monkeypatch):
  """A line of 80 columns is too short for the bar's facts, and ends with an ellipsis."""
  monkeypatch.setenv('COLUMNS', '80')
  monkeypatch.setenv('TERM', 'xterm')
  monkeypatch.setattr(sys, 'stdout', _Stdout(encoding, terminal))
  progress.any_encoding()
  with progress.Reporter() as reporter:
    reporter.begin(0, JOB)
    reporter.line(ROW | {'val_loss': 0.25}, 123.4, JOB)
    if terminal:
      reporter._bar.refresh()
    reporter.note(FOREIGN)
  text = sys.stdout.text()
  assert 'train_loss 1.2500' in text and terminal == ('\x1b' in text)
  assert FOREIGN.encode(encoding, 'replace').decode(encoding) in text


def _run(kind):
  return cli.run(kind, lambda options, asked=None: print(FOREIGN), ['--list'], _list)


COMMANDS = {'search': lambda: _run('search'), 'train': lambda: _run('train'),
            'gradcheck': lambda: _run('gradcheck'),
            'study': lambda: study.main(['--config=c.py', '--workdir=run']),
            'report': lambda: report.main(['run']), 'benchmark': lambda: benchmark.main([]),
            'prepare': lambda: prepare.main(['cifar10'])}


def _list(values):
  cli.flags.DEFINE_bool('list', False, 'Ends before a config is read.', flag_values=values)


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_prints_to_any_encoding(name, monkeypatch):
  monkeypatch.setattr(sys, 'stdout', _Stdout('ascii'))
  for module in (study, report, benchmark, prepare):
    monkeypatch.setattr(module, '_run', lambda options: print(FOREIGN) or 0)
  assert COMMANDS[name]() == 0
  assert sys.stdout.text() == 'L?sung ?? ? ?\n'


def test_a_stream_with_a_way_of_its_own_keeps_it(monkeypatch):
  monkeypatch.setattr(sys, 'stdout', _Stdout('ascii', errors='backslashreplace'))
  progress.any_encoding()
  assert sys.stdout.errors == 'backslashreplace'
  for other in (io.StringIO(), None):
    monkeypatch.setattr(sys, 'stdout', other)
    progress.any_encoding()
