"""A run by its workdir."""

import os
from typing import Any

from daas_jax.errors import BadInput
from daas_jax.files import storage
from daas_jax.library import found, networks, ready, trained, workdirs


def load(workdir: str | os.PathLike, network: Any = None) -> found.Found | trained.Trained:
  """What a search found, or what a training has trained.

  Args:
    workdir: of a search, finished or not, or of a training; also a URL. Of a network's own two
      files, in a folder without the rest, the network.
    network: the network of it, as `daas_jax.search` and `daas_jax.train` take it, where it is a
      program's own; None: one of the package, or one that is registered.

  Returns:
    Of a search `Found`: its policy, genotype, summary, metrics. Of a finished training `Trained`:
    predict, evaluate, weights.

  Raises:
    BadInput: it is the workdir of neither, a training that is not finished, or a damaged one.
  """
  workdir = workdirs.place(workdir)
  if not storage.is_file(os.path.join(workdir, 'config.json')) and storage.is_file(
      os.path.join(workdir, trained.FILES[0])):
    return _network_alone(workdir)
  if network is not None:
    name = networks.name_of(network)
  config = workdirs.config_of(workdir)
  if network is not None and name != config.network.name:
    raise BadInput(f'{workdir} holds a run on the network {config.network.name!r}, and that which '
                   f'is given is called {name!r}')
  if config.kind == 'search':
    return found.Found(workdir, own_network=network)
  if config.kind != 'train':
    raise BadInput(f'{workdir} holds a run of daas_jax.{config.kind}: give the workdir of a search '
                   'or of a training')
  if not storage.is_file(os.path.join(workdir, trained.FILES[0])):
    raise BadInput(f'{workdir} holds a training that is not finished, or of an earlier version, '
                   'which kept no network: run the same command or call again')
  return trained.read(workdir)


def _network_alone(folder):
  """The network of a folder that holds its two files and no run."""
  path = os.path.join(folder, trained.FILES[0])
  try:
    content = storage.read_json(path)
  except (OSError, ValueError):
    content = None  # what reads it says what is wrong
  of_training = isinstance(content, dict) and content.get('format') == trained.FORMAT
  return trained.read(folder) if of_training else ready.of_search(folder)
