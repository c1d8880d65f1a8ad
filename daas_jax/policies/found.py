"""A found policy from its file, whichever form the search's method gave it."""

from collections.abc import Callable
from typing import Any

from daas_jax.policies import contract, registry, table as policy_table


def _load(path):
  """(its form, what it holds) of a policy.json."""
  content = policy_table.read(path)
  asked = content.get('format') if isinstance(content, dict) else None
  known = registry.formats()
  row = known.get(asked if isinstance(asked, str) else '', known[policy_table.FORMAT])
  return row, row.read(content, path)


def load(path: str) -> Any:
  """What a policy.json holds: a `table.PolicyTable`, a `total.Schedule` or
  `transformations.Transformations`.

  Raises:
    BadInput: the file is missing or malformed.
  """
  return _load(path)[1]


def load_table(path: str) -> policy_table.PolicyTable:
  """The `table.PolicyTable` of a policy.json: of one with every epoch, that of the last."""
  row, found = _load(path)
  return row.table(found)


def load_policy(path: str, smoothing: int = 1) -> Callable:
  """A policy.json as a function (key, images [B, H, W, C], progress=1.0) -> images, for any
  training loop.

  One policy is drawn a call, and for every image whether it is applied, signs and places. Images
  are floating in [0, 1], or uint8; the result has their shape and dtype. The function is pure and
  fit for `jit`.

  Args:
    path: the file.
    smoothing: for a policy of every epoch, width of the mean filter over its total probability,
      odd; 1 is none.

  Returns:
    The function. progress in [0, 1] is the share of the training that is done: it chooses the epoch
    of a policy of every epoch (nearest neighbour), and is ignored otherwise.

  Raises:
    BadInput: the file is missing or malformed, or `smoothing` is another number.
  """
  contract.check_smoothing(smoothing)  # whatever the file holds
  row, found = _load(path)
  return row.augmenter(found, smoothing)
