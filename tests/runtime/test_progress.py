"""What a run shows: lines off a terminal, a bar with the same facts on one."""

import io

from rich.console import Console

from daas_jax.runtime import loop, progress

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
