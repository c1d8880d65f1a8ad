"""A found policy from its file, whichever form the search's method gave it."""

from typing import Any

from daas_jax.policies import contract, file, table as policy_table
from daas_jax.policies.policy import form_of, Policy


def _load(path):
  """(its form, what it holds) of a policy.json."""
  content = file.read(path)
  row = form_of(content)
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


def load_policy(path: str, smoothing: int = 1, per: str = '', fixed: str = '') -> Policy:
  """A policy.json as a `Policy`: a function (key, images, progress=1.0) -> images for any training
  loop, and what runs without JAX.

  Args:
    path: the file.
    smoothing: for a policy of every epoch, width of the mean filter over its total probability,
      odd; 1 is none.
    per: which images of a call share a drawn policy: 'image', 'batch' or 'chunk:N'; '' is what the
      method's authors do in their trainings.
    fixed: what of a policy of every epoch stays as the last one has it, see `file.fixed`.

  Raises:
    BadInput: the file is missing or malformed, or `smoothing`, `per` or `fixed` is something else.
  """
  contract.check_smoothing(smoothing)  # whatever the file holds, or where there is none
  policy = Policy(file.read(path), smoothing, str(path), per)
  if not fixed:
    return policy
  return Policy(file.fixed(policy.content, fixed, f'{path}: '), smoothing, str(path), per)
