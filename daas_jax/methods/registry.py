"""The search methods there are: each registers itself in its own file, a user's in the same way as
the package's."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import ml_collections

from daas_jax.config.key import Key
from daas_jax.config.registry import Registry
from daas_jax.errors import BadInput
from daas_jax.nets.registry import CELLS, NOTHING


class Row(NamedTuple):
  """What a method is beside its algorithm.

  Attributes:
    from_config: (config, problem, steps_per_epoch, devices, axis) -> `daas_jax.types.Method`;
      devices and axis: how many devices share its samples, and the name of their pmap axis; 1 and
      None where none do.
    about: a line on it, for a list.
    keys: {'group.key': `Key`} of its config, besides those of every search, of its policies and of
      its networks.
    policy: its space of policies, of `daas_jax.policies.registry`; 'given': the config names one.
    searches: which networks it takes, by what is searched of them (`daas_jax.nets.registry`), the
      default's first.
    sampling: of a supernet of cells: a 'path' is sampled, the 'mixture' of all operations computed,
      or paths are drawn 'uniform'ly and not searched.
    check: {'group.key': value} of a config whose keys are good by themselves -> None; raises
      BadInput.
    phase: (config, epoch) -> what metrics.jsonl calls the steps of an epoch, from 0.
    images: config -> images that a step looks at.
    problem: (config, data, split, saw) -> what `from_config` takes for a problem, where that is no
      `daas_jax.types.Problem`; see `daas_jax.methods.problem.build`.
    finish: (workdir, state, config, data, batches) -> what is said at the end, ''; writes what the
      method leaves besides architecture and policy. batches: () -> the search's batches, step
      number -> `daas_jax.types.Batch`.
    exports: whether `finish` keeps the network, ready to be used: it takes those alone that can be
      (`Network.export`).
    last: the file that a finished search writes last.
    tunes_policy: {'group.key': value} of a config -> whether its search updates its policy at all.
    default: whether it is the method of a config that names none.
  """
  from_config: Callable
  about: str = ''
  keys: Mapping[str, Key] = {}
  policy: str = 'given'
  searches: tuple[str, ...] = (CELLS, NOTHING)
  sampling: str = 'path'
  check: Callable = lambda flat: None
  phase: Callable = lambda config, epoch: 'search'
  images: Callable = lambda config: 2 * config.search.batch
  problem: Callable | None = None
  finish: Callable = lambda workdir, state, config, data, batches: ''
  exports: bool = False
  last: str = 'policy.json'
  tunes_policy: Callable = lambda flat: True
  default: bool = False


METHODS: Registry[Row] = Registry('method', 'daas_jax.methods')
register = METHODS.register


def methods() -> dict[str, Row]:
  """{name: `Row`} of all there are, the default one first."""
  rows = METHODS.rows()
  return dict(sorted(rows.items(), key=lambda item: not item[1].default))


def about(doc: str) -> str:
  """The first paragraph of a module's docstring, as one line."""
  return ' '.join(doc.split('\n\n', 1)[0].split())


def shared_by(devices: int, search: Any, *names: str) -> None:
  """Refuses numbers of samples, keys of a config's group `search`, that the devices cannot share.

  Raises:
    BadInput: one is no multiple of the number of devices.
  """
  for name in names:
    if search[name] % devices:
      raise BadInput(f'search.{name}={search[name]} must be a multiple of the {devices} devices')


def one_sample(config: Any, axis: str | None) -> None:
  """Refuses to share the samples of a method that has one a step.

  Raises:
    BadInput: devices share samples.
  """
  if axis is not None:
    raise BadInput(
        f'method {config.method!r} has one sample a step and none to share: set '
        'parallel.over=data, or parallel.devices=1')


def of(config: Any) -> Row:
  """The row of the method that a config names."""
  return METHODS.rows()[config.method]


def last_file(config: Mapping[str, Any]) -> str:
  """The name of the file that a finished run writes last.

  Args:
    config: {'group.key': value} of its config.json, of which a method may be unknown here.
  """
  if config.get('kind') == 'train':
    return 'results.json'
  row = METHODS.rows().get(str(config.get('method')))
  if row and row.last != 'policy.json':
    return row.last
  return 'policy.json' if tunes_policy(config) else 'genotype.json'


def tunes_policy(config: Mapping[str, Any]) -> bool:
  """Whether a search finds a policy.

  Args:
    config: {'group.key': value} of its config.json, of which a method may be unknown here; the key
      policy.name is of methods that are given one.
  """
  row = METHODS.rows().get(str(config.get('method')))
  return 'policy.name' not in config and (not row or row.tunes_policy(config))


def images_of(flat: Mapping[str, Any]) -> Any:
  """Images that a step of a search looks at, None where that cannot be told.

  Args:
    flat: {'group.key': value} of its config.json, which may be damaged, and of which a method may
      be unknown here.
  """
  row = METHODS.rows().get(str(flat.get('method')))
  search = {name.removeprefix('search.'): value for name, value in flat.items()
            if name.startswith('search.')}
  try:
    return row.images(ml_collections.ConfigDict({'search': search})) if row else None
  except (AttributeError, KeyError, TypeError, ValueError):
    return None


def build(config: Any, problem: Any, steps_per_epoch: int, devices: int = 1,
          axis: str | None = None) -> Any:
  """The `daas_jax.types.Method` that a search config names.

  Args:
    config: a checked search config.
    problem: what the row's `problem` made.
    steps_per_epoch: steps in one pass over D_train.
    devices, axis: how many devices share the samples, and the name of their pmap axis; 1 and None
      where none do.
  """
  return of(config).from_config(config, problem, steps_per_epoch, devices, axis)
