"""What a training of a program starts from: policies and architectures that are objects become the
files that a training by command starts from."""

from collections.abc import Iterator
import contextlib
import os
import tempfile
from typing import Any, NamedTuple

from daas_jax.errors import BadInput
from daas_jax.files import atomic
from daas_jax.library import about, found as found_lib, workdirs
from daas_jax.nets import registry as nets


class Files(NamedTuple):
  """Where a training finds what it starts from.

  Attributes:
    search: folder of the architecture that the word names, or None.
    policy_search: the same of the policy.
    policy: what the config key is to be; None: as it is.
    genotype: the same; of the search it counts for networks of architectures alone.
    of: the search whose result is trained, or None.
    own: whether the genotype was given by itself, and is not the search's.
  """
  search: str | None
  policy_search: str | None
  policy: str | None
  genotype: str | None
  of: found_lib.Found | None
  own: bool


@contextlib.contextmanager
def written(policy: Any, genotype: Any, search: Any) -> Iterator[Files]:
  """`Files` of what `daas_jax.train` was given, for as long as it is open.

  Words ('searched:3', 'random_like:0') are of the search's own workdir, objects of a folder that is
  there for that long; so is what a search that is not over has found so far.

  Args:
    policy: an object with `to_text`, a name or file, or None.
    genotype: an architecture, a name or file, or None.
    search: a `Found`, a search's workdir, or None.

  Raises:
    BadInput: something else is given.
  """
  of, own = search_of(search), genotype is not None
  if of is not None and policy is None:
    policy = 'searched' if of.finished and of.policy else of.policy
  if policy is not None and not _is_word(policy):
    policy = 'policy.json', _text(policy)
  if own and not _is_word(genotype):
    genotype = _architecture(genotype)
  elif not own and of is not None and not of.finished:
    genotype = of.architecture
  workdir = None if of is None else of.workdir
  with tempfile.TemporaryDirectory(prefix=about.TEMPORARY) as folder:
    policy, policy_search = _placed(policy, folder, workdir)
    genotype, found_in = _placed(genotype, folder, workdir)
    yield Files(found_in, policy_search, policy, genotype, of, own)


def _is_word(given):
  return isinstance(given, (str, os.PathLike))


def _placed(given, folder, workdir):
  """(the word, the folder that it is of): of a word or None the workdir, of a file's (name, text)
  the folder, in which it is written."""
  if given is None or _is_word(given):
    return given and os.fspath(given), workdir
  name, text = given
  atomic.write(os.path.join(folder, name), text)
  return 'searched', folder


def search_of(search: Any) -> found_lib.Found | None:
  """A search that a program gives, as `Found` or by its workdir.

  Raises:
    BadInput: it is none.
  """
  if _is_word(search):
    return found_lib.Found(workdirs.place(search))
  if search is not None and not isinstance(search, found_lib.Found):
    raise BadInput('search must be what dx.search returns or the workdir of one, not '
                   f'{type(search).__name__}')
  return search


def _text(policy):
  if not hasattr(policy, 'to_text'):
    raise BadInput('policy must be a policy that a search has found, a name or a file, not '
                   f'{type(policy).__name__}')
  return policy.to_text()


def _architecture(genotype):
  """(name of its file, its text) of an architecture of any space."""
  for row in nets.networks().values():
    if row.space:
      try:
        return row.space.file, row.space.to_text(genotype)
      except (AttributeError, BadInput, TypeError, ValueError):
        continue  # of another space
  raise BadInput(f'genotype must be an architecture that a search has found, a name or a file, not '
                 f'{type(genotype).__name__}')


def fill(config: Any, files: Files, network: bool, defaults: bool, asked: set[str]) -> None:
  """Sets what a training config takes from what it starts from.

  Args:
    config: an unlocked training config.
    files: `written`.
    network: whether a network was given.
    defaults: whether no config was given: what is not asked for is then what goes with the network.
    asked: the settings that were given, which stay.

  Raises:
    BadInput: the network is one of an architecture, and there is none.
  """
  if files.of is not None and defaults and not network and not {'name', 'network.name'} & asked:
    _same_network(config, files.of.config)
  cells = nets.of(config).space is not None
  if files.policy is not None:
    config.policy = files.policy
  elif defaults and config.policy == 'searched':
    config.policy = 'standard'
  if files.genotype is not None and (cells or files.own):
    config.genotype = files.genotype
  elif cells and config.genotype == 'searched' and files.of is None:
    raise BadInput(
        f'network {config.network.name!r} needs an architecture: give search=..., genotype=... '
        "(what a search found, a file, or a name such as 'darts_v2'), or another network")
  if not cells and defaults:
    # the defaults are those of cells; what was asked for is refused by the network itself
    for name, value in (('auxiliary', 0.0), ('drop_path', 0.0)):
      if not {name, f'train.{name}'} & asked:
        config.train[name] = value
    if not files.own:
      config.genotype = 'none'


def _same_network(config, searched):
  """The network of a search where nothing of it was searched, else that of what was."""
  row = nets.of(searched)
  if row.space:
    config.network.name = next(name for name in nets.trained()
                               if nets.networks()[name].searched == row.searched)
    return
  config.network.name = searched.network.name
  for name in row.keys:
    leaf = name.partition('.')[2]
    if name.startswith('network.') and leaf in searched.network and leaf in config.network:
      config.network[leaf] = searched.network[leaf]
