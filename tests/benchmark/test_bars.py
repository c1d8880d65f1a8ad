"""The bars: which figures they compare, and what they say of them."""

import pytest

from daas_jax.benchmark import command as benchmark
from daas_jax.benchmark import bars, cases


def _rows(**step):
  return [{'case': name, 'batch': 16, 'step_ms': ms, 'program_mb': 10.0} for name, ms in step.items()]


def test_a_bar_is_held_or_missed_at_its_limit():
  for forward, held in ((20.0, True), (19.9, False)):
    (text, batch, value, limit, at_most, verdict), = bars.verdicts(
        _rows(single_path_grad=100.0, single_path_forward=forward))
    assert (text, batch, limit, at_most) == ('single path, forward + backward / forward', 16, 5, True)
    assert value == pytest.approx(100 / forward) and verdict is held


def test_what_was_not_measured_has_no_verdict():
  rows = _rows(single_path_grad=1.0) + [{'case': 'single_path_forward', 'batch': 32, 'step_ms': 1.0}]
  assert bars.verdicts(rows) == []
  assert bars.verdicts(_rows(daas_step=None, single_path_grad=1.0)) == []


def test_a_bar_of_one_batch_size_is_for_that_alone():
  rows = _rows(wrn_40_2=2.0) + [{'case': 'public:wrn_40_2', 'batch': 16, 'step_ms': 1.0}]
  assert bars.verdicts(rows) == []
  (_, batch, value, _, _, held), = bars.verdicts([row | {'batch': 32} for row in rows])
  assert (batch, value, held) == (32, 2.0, False)


def test_every_bar_finds_its_figures_in_a_whole_run():
  """A case that is renamed must not make a bar silent."""
  row = {'step_ms': 1.0, 'program_mb': 1.0, 'images_per_s': 1.0, 'compile_cold_s': 1.0, 'compile_warm_s': 1.0,
         'floor': ['single_path_grad', 30], 'batch': 32}
  rows = [row | {'case': name} for name in (*cases.CASES, *benchmark.PUBLIC)]
  assert len(bars.verdicts(rows)) == len(bars.BARS)
