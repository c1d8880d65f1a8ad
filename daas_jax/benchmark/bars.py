"""What the benchmark holds itself to: ratios inside one run, compile times, memory, images a
second."""

from typing import Callable, NamedTuple

from daas_jax.augment.ops import DAAS_OPS

_AUGMENT = tuple(f'augment:{name}' for name in DAAS_OPS) + ('augment:policy_per_batch',)


class Bar(NamedTuple):
  """One bar.

  Attributes:
    text: what is compared.
    of: rows {case: row} of one batch size -> value; KeyError or TypeError where a row or a figure
      is missing.
    limit: the bar.
    at_most: whether the value must be at most the limit, else at least.
    batch: the only batch size that it is for, or 0.
  """
  text: str
  of: Callable
  limit: float
  at_most: bool = True
  batch: int = 0


def _ratio(field, case, floor, times=1):
  return lambda rows: rows[case][field] / (times * rows[floor][field])


def _field(field, case):
  return lambda rows: rows[case][field]


def _passes(case):
  """Its step in passes, over the number of those that it is made of."""
  return lambda rows: rows[case]['step_ms'] / (rows[case]['floor'][1] * rows[rows[case]['floor'][0]]
                                               ['step_ms'])


def _fastest_input(rows):
  """Images a second with the best number of workers, or None."""
  return max(
      (row['images_per_s'] for name, row in rows.items() if name.startswith('input:workers_')),
      default=None)


BARS = (
    Bar('single path, forward + backward / forward',
        _ratio('step_ms', 'single_path_grad', 'single_path_forward'), 5),
    Bar("single path, gradient / public GDAS's weight step",
        _ratio('step_ms', 'single_path_grad', 'public:gdas_weight'), 0.5),
    Bar("single path, architecture step / public GDAS's",
        _ratio('step_ms', 'arch_step', 'public:gdas_arch'), 0.5),
    Bar("single path's memory / public GDAS's",
        _ratio('program_mb', 'single_path_grad', 'public:gdas_weight'), 1 / 3),
    Bar("dense first-order step / public DARTS's",
        _ratio('step_ms', 'dense_first_order', 'public:darts_first_order'), 0.6),
    Bar('dense second-order / first-order step',
        _ratio('step_ms', 'dense_second_order', 'dense_first_order'), 4),
    Bar('dense amended / first-order step', _ratio('step_ms', 'dense_amended', 'dense_first_order'),
        4),
    Bar('DAAS step, seconds to compile, cold', _field('compile_cold_s', 'daas_step'), 60),
    Bar('DAAS step, seconds to compile, warm', _field('compile_warm_s', 'daas_step'), 10),
    Bar('DAAS step / its passes one by one', _passes('daas_step'), 1.15),
    Bar('DDAS step / n_policies + 2 passes', _passes('ddas_step'), 1),
    Bar("DAAS step's memory, 20 / 2 samples", _ratio('program_mb', 'daas_memory_20',
                                                     'daas_memory_2'), 1.1),
    Bar("single path's memory / dense as JAX differentiates it",
        _ratio('program_mb', 'single_path_grad', 'dense_plain_memory'), 1 / 8),
    Bar("single path's memory / dense weight step's",
        _ratio('program_mb', 'single_path_grad', 'dense_weight'), 1 / 8),
    Bar('slowest augmentation per batch, images/s',
        lambda rows: min(rows[name]['images_per_s'] for name in _AUGMENT), 50_000, at_most=False),
    Bar('policy per image, images/s', _field('images_per_s', 'augment:policy_per_image'), 10_000,
        at_most=False),
    Bar(
        'slowest augmentation / a pass of the search',
        lambda rows: max(rows[name]['step_ms']
                         for name in _AUGMENT) / rows['single_path_grad']['step_ms'], 0.03),
    Bar('streamed input / a training pass of ResNet-18 at 224 x 224, images/s: whether it keeps up',
        lambda rows: _fastest_input(rows) / rows['input:step']['images_per_s'], 1, at_most=False),
    Bar("WRN-40-2, forward + backward / PyTorch's", _ratio('step_ms', 'wrn_40_2',
                                                           'public:wrn_40_2'), 1, batch=32),
)


def verdicts(rows):
  """[(text, batch, value, limit, at_most, held)] of every bar whose figures are among the rows,
  batch by batch."""
  found = []
  for bar in BARS:
    for batch in sorted({row['batch'] for row in rows}):
      if bar.batch in (0, batch):
        try:
          value = bar.of({row['case']: row for row in rows if row['batch'] == batch})
        except (KeyError, TypeError):
          continue  # not measured in this run
        found.append((bar.text, batch, value, bar.limit, bar.at_most,
                      value <= bar.limit if bar.at_most else value >= bar.limit))
  return found
