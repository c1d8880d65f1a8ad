"""What the rows of a study are worth and cost at a seed: errors, and device-seconds."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from daas_jax.study import check


class Cell(NamedTuple):
  """A row at a seed; or one of the trainings that it is the mean of.

  Attributes:
    error: test error in percent.
    parameters: of the network.
    search, train: device-seconds of the searches that it comes from, and of trainings; None where
      nothing tells.
    top_5: the top-5 error in percent; None where it is not measured.
    multiply_adds: of the network, for one image; None where nothing tells.
  """
  error: float
  parameters: float
  search: float | None
  train: float | None
  top_5: float | None = None
  multiply_adds: float | None = None


class Cells:
  """The cells of a study's rows.

  Args:
    study: a `plan.Study`.
    results: {folder of a run: what `runs.result` says of it}, of those that are over.
  """

  def __init__(self, study: Any, results: Mapping[str, Mapping[str, Any]]):
    self._results = results
    of = lambda run: run.name if run.kind == 'train' else check.OF_SEARCH + run.name
    self._by_name = {(of(run), run.seed): run for run in study.runs}
    self._by_folder = {run.folder: run for run in study.runs}

  def of(self, row: tuple, seed: int) -> Cell | None:
    """The mean over the elements of a row, or None where one of them is not over.

    A search that several of them need is paid for by each: it is the cost of one such result.
    """
    cells = [self._element(names, seed) for names in row]
    if None in cells:
      return None
    means: list[Any] = [None if None in column else float(np.mean(column))
                        for column in zip(*cells)]
    return Cell(*means)

  def folders(self, row: tuple, seed: int) -> list[str]:
    """Folders of all trainings of a row."""
    return [self._by_name[name, seed].folder for name in check.named(row)]

  def _element(self, names, seed):
    """A training; of a tuple that with the highest validation accuracy, and the cost of all."""
    runs = [self._by_name[name, seed] for name in check.several(names)]
    found = [self._results.get(run.folder) for run in runs]
    if None in found or any('error' not in x for x in found):
      return None
    validation = [x.get('validation') for x in found]
    if len(found) > 1 and None in validation:
      return None
    best = found[int(np.argmax(validation)) if len(found) > 1 else 0]
    searches = set().union(*map(self._searches, runs))  # each once, however many need it
    searches |= {run.folder for run in runs if run.kind == 'search'}
    return Cell(best['error'], best['parameters'],
                total([self._results.get(folder, {}).get('seconds') for folder in searches]),
                total([x.get('seconds') for x, run in zip(found, runs) if run.kind == 'train']),
                best.get('top_5'), best.get('multiply_adds'))

  def _searches(self, run):
    """Folders of the searches that a run comes from, and those that they come from. The space of a
    search, which a random architecture is drawn from, is free."""
    free = {run.like} if run.genotype and str(run.genotype).startswith('random:') else set()
    free -= {run.policy}
    paid = set(run.needs) - free
    return paid.union(*(self._searches(self._by_folder[x]) for x in paid))


def total(seconds: Sequence[float | None]) -> float | None:
  """Their sum; None where one is not known."""
  return None if None in seconds else float(sum(x for x in seconds if x is not None))


def elements(study: Any) -> list[str]:
  """What the rows are the means of: names of trainings, and 'searches/NAME'."""
  return [name for row in study.rows.values() for name in check.named(row)]


def cheapest_first(rows: list[dict[str, Any]]) -> list[tuple[dict[str, Any], bool]]:
  """The rows of a table whose cost is known, by cost: (row, whether no cheaper row has as low an
  error)."""
  known = sorted((row for row in rows if row['mean'] is not None and row['cost'] is not None),
                 key=lambda row: (row['cost'], row['mean']))
  out, least = [], np.inf
  for row in known:
    out.append((row, row['mean'] < least))
    least = min(least, row['mean'])
  return out
