"""What a training of a program starts from: policies and architectures that are objects become the
files that a training by command starts from."""

from collections.abc import Iterator
import contextlib
import os
import tempfile
from typing import Any, NamedTuple

from daas_jax.errors import BadInput
from daas_jax.files import atomic
from daas_jax.library import about, found as found_lib
from daas_jax.nets import registry as nets


class Files(NamedTuple):
  """Where a training finds what it starts from.

  Attributes:
    search: folder that 'searched' means, or None.
    policy, genotype: what the config keys of these names are to be; None: as they are.
    of: the search whose result is trained, or None.
  """
  search: str | None
  policy: str | None
  genotype: str | None
  of: found_lib.Found | None


@contextlib.contextmanager
def written(policy: Any, genotype: Any, search: Any) -> Iterator[Files]:
  """`Files` of what `daas_jax.train` was given, for as long as it is open.

  Args:
    policy: an object with `to_text`, a name or file, or None.
    genotype: an architecture, a name or file, or None.
    search: a `Found`, a search's workdir, or None.

  Raises:
    BadInput: something else is given.
  """
  of = search
  if isinstance(search, (str, os.PathLike)):
    of = found_lib.Found(found_lib.place(search))
  if of is not None and not isinstance(of, found_lib.Found):
    raise BadInput(f'search must be what dx.search returns or the workdir of one, not '
                   f'{type(of).__name__}')
  words = [os.fspath(x) if isinstance(x, (str, os.PathLike)) else None for x in (policy, genotype)]
  if of is not None and policy is None and genotype is None and of.finished:
    yield Files(of.workdir, 'searched' if of.policy else None, None, of)
    return
  with tempfile.TemporaryDirectory(prefix=about.TEMPORARY) as folder:
    if of is not None:
      policy, genotype = policy or of.policy, genotype or of.genotype
    if policy is not None and not words[0]:
      words[0] = 'searched'
      atomic.write(os.path.join(folder, 'policy.json'), _text(policy, 'policy'))
    if genotype is not None and not words[1]:
      words[1] = 'searched'
      file, text = _architecture(genotype)
      atomic.write(os.path.join(folder, file), text)
    yield Files(folder if 'searched' in words else None, words[0], words[1], of)


def _text(policy, what):
  if not hasattr(policy, 'to_text'):
    raise BadInput(f'{what} must be a {what} that a search has found, a name or a file, not '
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


def fill(config: Any, files: Files, chosen: bool, asked: set[str]) -> None:
  """Sets what a training config takes from what it starts from.

  Args:
    config: an unlocked training config.
    files: `written`.
    chosen: whether a network was given.
    asked: the settings that were given, which stay.

  Raises:
    BadInput: the network is one of an architecture, and there is none.
  """
  if files.of is not None and not chosen and 'network.name' not in asked:
    _same_network(config, files.of.config)
  if files.policy is not None:
    config.policy = files.policy
  elif config.policy == 'searched' and 'policy' not in asked:
    config.policy = 'standard'
  if files.genotype is not None:
    config.genotype = files.genotype
  elif nets.of(config).space and config.genotype == 'searched' and files.of is None:
    raise BadInput(
        f'network {config.network.name!r} needs an architecture: give search=..., genotype=... '
        "(what a search found, a file, or a name such as 'darts_v2'), or another network")
  if not nets.of(config).space:
    # the defaults are those of cells; what was asked for is refused by the network itself
    for name, value in (('auxiliary', 0.0), ('drop_path', 0.0)):
      if not {name, f'train.{name}'} & asked:
        config.train[name] = value
    if files.genotype is None and 'genotype' not in asked:
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
