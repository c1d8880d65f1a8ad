"""A policy that is not searched but given: a baseline, or one that a search has found."""

from collections.abc import Callable
from typing import Any, NamedTuple

from daas_jax.augment import inputs
from daas_jax.config.key import anything, Key
from daas_jax.errors import BadInput
from daas_jax.files import found as found_files, storage
from daas_jax.policies import baselines, found, registry


class Given(NamedTuple):
  """A policy that is given.

  Attributes:
    augment: (key, images, progress) -> images, see `daas_jax.policies.contract.of`.
    standard: whether crop and flip come before it.
  """
  augment: Callable
  standard: bool


def find(asked: str, search: str | None, smoothing: int = 1, per: str = '',
         fixed: str = '') -> Given:
  """The policy that --policy or policy.name names.

  Args:
    asked: the name of a baseline, 'searched', or a policy file.
    search: workdir of a search, or None.
    smoothing: see `found.load_policy`.
    per, fixed: see `found.load_policy`; of a baseline every image has its own, and no epoch.

  Raises:
    BadInput: there is none, or `per` or `fixed` asks a baseline for something else.
  """
  if asked not in baselines.BASELINES:
    return Given(found.load_policy(_path(asked, search), smoothing, per, fixed), True)
  if per not in ('', 'image'):
    raise BadInput(f'of the policy {asked} every image draws its own: leave out '
                   f'train.policy_per={per}, which is of policies that a search has found')
  if fixed:
    raise BadInput(f'the policy {asked} is the same in all epochs: leave out '
                   f'train.policy_fixed={fixed}')
  row = baselines.BASELINES[asked]
  return Given(row.make(), row.standard_preprocessing)


def _path(asked, search):
  if asked == 'searched':
    return found_files.of_search(search, 'policy')
  found_files.require(asked, 'policy', ('searched', *baselines.BASELINES))
  return asked


def text(asked: str | None, search: str | None) -> str | None:
  """The content of the file that a policy is read from; None of a baseline, or where none is asked
  for."""
  if not asked or asked in baselines.BASELINES:
    return None
  return storage.read_text(_path(asked, search))


class Policies(NamedTuple):
  """The distribution in a `daas_jax.types.Problem`: there is nothing to draw, but a place on the
  way.

  Attributes:
    init: key -> {}.
    sample: (key, gamma) -> the policy of the start.
    at: progress [] in [0, 1] -> the policy of that share of the search.
  """
  init: Callable = lambda key: {}
  sample: Callable = lambda key, gamma: 0.0
  at: Callable = lambda progress: progress


def _train_input(config: Any, data: Any, space: None, given: Given) -> Callable:
  del space
  return inputs.given_input(config, data, given.augment, given.standard)


registry.register('given', registry.PolicySpace(
    'none is searched, policy.name says which',
    keys={'policy.name': Key('standard', anything, 'of the training images, not searched: '
                             + ', '.join(baselines.BASELINES)
                             + ', searched (by --search), or a policy FILE')},
    space=lambda config: None,
    distribution=lambda config, space: Policies(),
    train_input=_train_input))
