"""The networks there are: each registers itself in its own file, a user's in the same way as the
package's.

Core files ask a row of this table what a network needs, and name none.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from daas_jax.config.key import Key
from daas_jax.config.registry import Registry
from daas_jax.errors import BadInput

NOTHING, CELLS, BLOCKS = 'nothing', 'cells', 'blocks'
"""What of a network is searched: nothing, the operations and edges of its cells, or the choices of
its blocks."""


class ArchitectureSpace(NamedTuple):
  """What is searched of a network, and what a search leaves of it.

  Attributes:
    kind: `CELLS` or `BLOCKS`.
    architectures: (config, data, sampling, genotype) -> `daas_jax.types.Architectures`. `sampling`
      is the method's (`daas_jax.methods.registry.Row`), `genotype` one that is held fixed, or None.
    measures: (arch, config) -> {name: float}, logged every epoch.
    record: (arch, config) -> JSON values that history.jsonl keeps of it.
    write: (workdir, arch, config) -> lines of the summary; writes `file`.
    find: (asked, search workdir or None, config.network) -> the architecture that --genotype names.
    to_text: architecture -> the content of `file`.
    load: path -> the architecture in a file.
    file: its name in a workdir.
    evidence: config -> (what the optimizer of arch moves, its gradient) -> what a search keeps of
      its gradients, a pytree (`daas_jax.estimators.evidence`); None: nothing is kept.
    choices: (arch, block sums of the evidence, config) -> `evidence.Choice`s.
    probabilities: (arch, config) -> [n, O] of the O operations of each of n choices.
    choice: what one of them is called, 'edge'.
  """
  kind: str
  architectures: Callable
  measures: Callable
  record: Callable
  write: Callable
  find: Callable
  to_text: Callable
  load: Callable
  file: str
  evidence: Callable | None = None
  choices: Callable = lambda arch, sums, config: []
  probabilities: Callable | None = None
  choice: str = 'choice'


class Task(NamedTuple):
  """What a network does, where that is not telling classes apart.

  Attributes:
    load: config -> the data.
    problem: (config, data, space of policies, split, saw) -> `daas_jax.types.Problem`.
    finish: (workdir, config, data, theta) -> what is said at the end; measures what the search's
      network can do.
    policies: the space of policies that it can be searched with.
    score: what the numbers beside its losses are, as metrics name them ('train_SCORE').
  """
  load: Callable
  problem: Callable
  finish: Callable
  policies: str
  score: str = 'accuracy'


class Export(NamedTuple):
  """How the network that a search ends with is kept, ready to be used.

  Attributes:
    describe: (config, arch) -> JSON values that say which network it is, its name left out.
    parameters: (theta, description) -> 'params' of `build`'s module.
    build: (description, num_classes, kernels) -> linen module with the call of a training's
      network.
    check: (description, where) -> None; raises BadInput where it is none, the line beginning with
      `where`.
  """
  describe: Callable
  parameters: Callable
  build: Callable
  check: Callable


class Network(NamedTuple):
  """A row of the table.

  Attributes:
    about: what it is, for a list.
    make: (config, num_classes, kernels, sampling) -> network of a search: init(key, z, images, key)
      and apply(variables, z, images, key) -> logits; None where it is trained only.
    train: (config, genotype, num_classes, kernels) -> linen module of a training, call (images,
      train, drop_path) -> (logits, logits of an auxiliary head or None); None where it is searched
      only.
    keys: {'group.key': `Key`} that it has besides those of every network.
    search_keys: those that it has besides in a search, and not in a training.
    only: names of those keys that other networks have to leave as they are.
    check: {'group.key': value} of a config that names it -> None; raises BadInput.
    noise: config -> whether a search's network takes a key for random numbers.
    space: the `ArchitectureSpace` of what is searched of it; None: nothing is.
    losses: (config, outputs) -> the losses of a `Problem` that are others than the plain
      cross-entropy, as a dict; outputs(**changed) is the network as a function, with other
      attributes than the config says.
    smallest: config -> least side of an image in pixels.
    unroll: whether a step on CPU compiles each of its gradient passes anew: XLA's convolutions are
      slow inside loops.
    task: a `Task`, where it is none of classes.
    export: an `Export`, where a search may end with the network ready to use.
    default: whether it is what a search begins with where `space` (or its absence) is what is asked
      for.
    title: config -> what a training calls it.
    own: whether it is a user's, which nobody has tried yet.
  """
  about: str
  make: Callable | None = None
  train: Callable | None = None
  keys: Mapping[str, Key] = {}
  search_keys: Mapping[str, Key] = {}
  only: tuple[str, ...] = ()
  check: Callable = lambda flat: None
  noise: Callable = lambda config: False
  space: ArchitectureSpace | None = None
  losses: Callable = lambda config, outputs: {}
  smallest: Callable = lambda config: 8
  unroll: bool = False
  task: Task | None = None
  export: Export | None = None
  default: bool = False
  title: Callable = lambda config: config.network.name
  own: bool = False

  @property
  def searched(self) -> str:
    """`NOTHING`, `CELLS` or `BLOCKS`."""
    return self.space.kind if self.space else NOTHING


NETWORKS: Registry[Network] = Registry('network', 'daas_jax.nets', 'daas_jax.detection')
register = NETWORKS.register
networks = NETWORKS.rows


def of(config: Any) -> Network:
  """The row of the network that a config names."""
  return networks()[config.network.name]


def having(key: str) -> tuple[str, ...]:
  """Names of the networks that declare a key."""
  return tuple(name for name, row in networks().items() if key in row.keys)


def names(searched: tuple[str, ...], policy: str) -> tuple[str, ...]:
  """Names of the networks of which a search searches one of `searched`, and policies of the space
  `policy`.

  Those of the first of `searched` come first, the default before the others.
  """
  rows = {
      name: row for name, row in networks().items()
      if row.make and (not row.task or row.task.policies == policy)
  }
  order = sorted((name for name, row in rows.items() if row.searched in searched),
                 key=lambda name: (searched.index(rows[name].searched), not rows[name].default))
  return tuple(order)


def trained() -> tuple[str, ...]:
  """Names of the networks that can be trained, that of a found architecture first."""
  rows = {name: row for name, row in networks().items() if row.train}
  return tuple(
      sorted(rows, key=lambda name: (rows[name].searched == NOTHING, not rows[name].default)))


def keys_of(rows: tuple[str, ...], search: bool = False) -> dict[str, Key]:
  """The keys of some networks, in a search or in a training; of two that declare one key the first
  counts."""
  out: dict[str, Key] = {}
  for name in rows:
    out = {**networks()[name].keys, **(networks()[name].search_keys if search else {}), **out}
  return out


def check(flat: Mapping[str, Any], keys: Mapping[str, Key],
          among: tuple[str, ...] | None = None) -> None:
  """Checks what a config says of its network.

  Args:
    flat: {'group.key': value}.
    keys: the config's keys.
    among: names of the networks that such a config may name; None: all.

  Raises:
    BadInput: a key that only other networks have is set, or the network refuses its own.
  """
  name = flat['network.name']
  rows = {other: row for other, row in networks().items() if among is None or other in among}
  for key in sorted({key for row in rows.values() for key in row.only} & set(flat)):
    if key not in networks()[name].only and flat[key] != keys[key].default:
      whose = [other for other, row in rows.items() if key in row.only]
      which = (f'the networks {" and ".join(whose)}' if whose[1:] else
               f'the {whose[0]} alone and needs network.name={whose[0]!r}')
      raise BadInput(
          f'config key {key!r} is for {which}: set it to {keys[key].default!r}, not {flat[key]!r}')
  networks()[name].check(flat)


def no_cells(flat: Mapping[str, Any], what: str = 'a fixed network',
             genotype: str | None = 'none') -> None:
  """Refuses what a training config asks of cells where the network has none.

  Args:
    flat: {'group.key': value}.
    what: what the network is, for the line.
    genotype: the word that `genotype` has to be; None where it may be any.
  """
  nothing: dict[str, Any] = {'train.auxiliary': 0.0, 'train.drop_path': 0.0}
  if genotype:
    nothing = {'genotype': genotype} | nothing
  asked = [key for key, value in nothing.items() if flat.get(key, value) != value]
  if asked:
    raise BadInput(
        f"{flat['network.name']} is {what} and takes no {asked[0]}={flat[asked[0]]}: set "
        + ' '.join(f'--config.{key}={nothing[key]}' for key in asked)
        + (' and give no --genotype' if 'genotype' in asked else ''))
