"""Workdirs of runs, as a program names them, and their configs."""

import os

import ml_collections

from daas_jax.config import schema as config_lib
from daas_jax.errors import BadInput
from daas_jax.files import storage
from daas_jax.nets import registry as nets
from daas_jax.runtime import workdir as workdir_lib


def place(workdir: str | os.PathLike) -> str:
  """A workdir's absolute path, or its URL."""
  return workdir_lib.shown(os.fspath(workdir))


def config_of(workdir: str) -> ml_collections.FrozenConfigDict:
  """The config of a workdir: keys that its version had not have their defaults.

  Raises:
    BadInput: it holds none, a damaged one, or one of a network that is not registered here.
  """
  path = os.path.join(workdir, 'config.json')
  try:
    content = storage.read_json(path)
  except OSError as error:
    raise BadInput(f'{workdir} holds no run ({path}: {error.strerror or error}): give the workdir '
                   'of a search or of a training') from None
  except ValueError as error:
    raise BadInput(f'{path} is damaged: it is no JSON ({storage.reason(error)})') from None
  if not isinstance(content, dict) or content.get('kind') not in config_lib.KINDS:
    raise BadInput(f'{path} is no config of a search or a training: give the workdir of one')
  network = content.get('network')
  if isinstance(network, dict) and isinstance(network.get('name'), str):
    require_known(network['name'], workdir)
  try:
    return _whole(content)
  except BadInput as error:
    raise BadInput(f'{path} is damaged, or of another version: {error}') from None


def _whole(content):
  keys = config_lib.schema_of(content['kind'], content.get('method'))
  config = config_lib.config_of(content['kind'], content.get('method'))
  for name, value in config_lib.flatten(content).items():
    if name not in keys:
      raise BadInput(config_lib.unknown_key(name, keys))
    config_lib.check_value(name, value, keys)
    config_lib.put(config, name, tuple(value) if isinstance(value, list) else value)
  return ml_collections.FrozenConfigDict(config)


def require_known(network: str, workdir: str) -> None:
  """Refuses a run on a network that is not registered here."""
  if network not in nets.networks():
    raise BadInput(f'{workdir} holds a run on the network {network!r}, which is not '
                   'one of this package: give it, as dx.load(workdir, network=...), or a '
                   '--config=FILE.py that registers it')
