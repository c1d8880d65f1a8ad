"""What a search found, read from its workdir: of one that is over, or as far as it has come."""

import os
import tempfile
from typing import Any

from daas_jax.config import schema as config_lib
from daas_jax.errors import BadInput
from daas_jax.files import metrics as metrics_lib, storage
from daas_jax.library import ready, trained, workdirs
from daas_jax.methods import decided, problem as problem_lib, registry
from daas_jax.nets import registry as nets
from daas_jax.policies import found as found_policies, registry as policies
from daas_jax.runtime import checkpoint


class Found:
  """What a search found.

  Attributes:
    workdir: its folder.
    config: its config, read-only.
    own_network: the network that it was given, where that is a program's own; else None.
  """

  def __init__(self, workdir: str, own_network: Any = None):
    self.workdir = workdir
    self.config = workdirs.config_of(workdir)
    if self.config.kind != 'search':
      raise BadInput(f'{workdir} is a workdir of {self.config.kind}, no search')
    self.own_network = None if isinstance(own_network, str) else own_network
    self._so_far: Any = None, None

  @property
  def finished(self) -> bool:
    """Whether the search is over."""
    last = registry.last_file(config_lib.flatten(self.config))
    return storage.is_file(os.path.join(self.workdir, last))

  def __repr__(self) -> str:
    state = 'finished' if self.finished else f'not finished, {self.steps} steps done'
    return f'<Found: {self.config.method}, {state}, in {self.workdir}>'

  @property
  def metrics(self) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl, a dict each."""
    return metrics_lib.read(os.path.join(self.workdir, 'metrics.jsonl'))

  @property
  def history(self) -> list[dict[str, Any]]:
    """The rows of history.jsonl: the distributions that are searched, at the start and at the end
    of every epoch."""
    return metrics_lib.read(os.path.join(self.workdir, 'history.jsonl'))

  @property
  def steps(self) -> int:
    """Steps that are logged."""
    rows = self.metrics
    return rows[-1]['step'] if rows else 0

  @property
  def policy(self) -> Any:
    """The policy that was found, a `daas_jax.Policy`; None where none was searched. Of a search
    that is not over, that of its last checkpoint.

    Raises:
      BadInput: it is not over and has no checkpoint yet, or a file is damaged.
    """
    if not problem_lib.tuned_policy_space(self.config):
      return None
    return found_policies.load_policy(self._file('policy.json'))

  @property
  def genotype(self) -> Any:
    """The architecture that was found (`Genotype`, or choice blocks); None where none was searched.
    Of a search that is not over, as of its last checkpoint.

    Raises:
      BadInput: as `policy`.
    """
    space = nets.of(self.config).space
    if not space or self.config.network.get('genotype'):
      return None
    return space.load(self._file(space.file))

  @property
  def architecture(self) -> tuple[str, str] | None:
    """(name of its file, its text) of the architecture that was found, or held; None of neither."""
    space = nets.of(self.config).space
    if space and self.config.network.get('genotype'):
      return space.file, space.to_text(space.load(os.path.join(self.workdir, space.file)))
    return (space.file, space.to_text(self.genotype)) if space else None

  @property
  def network(self) -> Any:
    """The network that the search ended with, ready to be used (`daas_jax.Trained`), of a method
    that keeps it; None of the others.

    Raises:
      BadInput: the search is not over, or a file is damaged.
    """
    if not registry.of(self.config).exports:
      return None
    return ready.of_search(self.workdir, self.config.data.get('fit', 'crop'))

  @property
  def results(self) -> dict[str, Any]:
    """What results.json holds, of a method that measures its network; {} of the others."""
    return trained.results_of(self.workdir)

  @property
  def decided(self) -> dict[str, Any] | None:
    """What the search decided and what is chance, as decided.json has it: 'sentence' is the plain
    one. None of a search that is not over, or that an earlier version ended.

    Raises:
      BadInput: the file is damaged.
    """
    path = os.path.join(self.workdir, decided.FILE)
    return decided.load(path) if self.finished and storage.is_file(path) else None

  def summary(self) -> str:
    """What the search says at its end, as text; of one that is not over, how far it has come."""
    try:
      if self.finished:
        return storage.read_text(os.path.join(self.workdir, 'summary.txt')).rstrip('\n')
    except (OSError, ValueError):
      pass  # written by an earlier version
    rows, how = self.metrics, 'finished' if self.finished else 'not finished'
    if not rows:
      return f'{self.config.method}: {how}, no step is logged yet'
    numbers = ', '.join(f'{name} {value:.4f}' for name, value in rows[-1].items()
                        if isinstance(value, float) and name != 'images_per_second')
    return f"{self.config.method}: {how}, step {rows[-1]['step']}: {numbers}"

  def _file(self, name):
    """The path of a result: in the workdir, or written anew from the last checkpoint."""
    path = os.path.join(self.workdir, name)
    if self.finished or storage.is_file(path):
      return path
    step, folder = self._so_far
    if folder is None or step != self.steps:
      folder = _write_so_far(self.workdir, self.config)
      self._so_far = self.steps, folder
    return os.path.join(folder.name, name)


def _write_so_far(workdir, config):
  """A temporary folder with the results as of the newest checkpoint."""
  if storage.is_remote(workdir):
    raise BadInput(f'{workdir} holds a search that is not finished: copy the folder here to see '
                   'what it has found so far')
  state = checkpoint.newest(os.path.join(workdir, 'checkpoints'))
  if state is None:
    raise BadInput(f'{workdir} holds a search that is not finished and has no checkpoint yet: '
                   'start it again with the same command or call')
  folder = tempfile.TemporaryDirectory(prefix='daas_jax-so-far-')
  space = problem_lib.tuned_policy_space(config)
  policy = policies.spaces()[registry.of(config).policy]
  architectures = nets.of(config).space
  if architectures and state.get('arch'):
    architectures.write(folder.name, state['arch'], config)
  if space:
    rows = metrics_lib.read(os.path.join(workdir, 'history.jsonl'))
    policy.write(os.path.join(folder.name, 'policy.json'), state['gamma'], space,
                 [row['policy'] for row in rows if row['step']])
  return folder
