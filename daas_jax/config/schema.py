"""The keys of each command's configs, put together from those who declare them, and their checks.

A key belongs to whoever declares it: a method, a network, a space of policies, the loop. The
command that has configs says in daas_jax/COMMAND/keys.py how they come together (`register`);
nothing here names one of them.
"""

from collections.abc import Callable, Iterable, Mapping
import difflib
import importlib
import json
from typing import Any, NamedTuple

import ml_collections

from daas_jax.config.key import Key, same_type, type_name
from daas_jax.errors import BadInput

KINDS = ('search', 'train', 'gradcheck')
"""The commands that take a config: each has its keys in daas_jax/KIND/keys.py."""

Keys = Mapping[str, Key]
"""{'group.key': `Key`}."""


class Schema(NamedTuple):
  """What a command's configs hold.

  Attributes:
    keys: method -> its `Keys`; None of a command whose configs name no method.
    check: {'group.key': value} of a config whose keys and ranges are good -> None; raises BadInput
      where they do not go with each other.
    methods: () -> names of the methods that its configs may have, the default's first; of other
      commands ().
  """
  keys: Callable[[str | None], Keys]
  check: Callable[[Mapping[str, Any]], None]
  methods: Callable[[], tuple[str, ...]] = lambda: ()


_SCHEMAS: dict[str, Schema] = {}


def register(kind: str, schema: Schema) -> None:
  """Makes the schema of a command known; its keys.py calls it."""
  _SCHEMAS[kind] = schema


def of(kind: str) -> Schema:
  """The `Schema` of a command."""
  if kind not in _SCHEMAS:
    importlib.import_module(f'daas_jax.{kind}.keys')
  return _SCHEMAS[kind]


def schema_of(kind: str, method: str | None = None) -> Keys:
  """The keys of a command's configs: those of all methods and one method's own.

  Raises:
    BadInput: no method of that name is known.
  """
  schema = of(kind)
  known = schema.methods()
  if known and method not in known:
    raise BadInput(
        f'no method {method!r} is known here, but {", ".join(known)}: one that a config file '
        'registers is known where that file was run')
  return schema.keys(method if known else None)


def every(kind: str) -> dict[str, Key]:
  """Every key of a command, of whichever method."""
  methods = of(kind).methods() or (None,)
  out: dict[str, Key] = {}
  for method in methods:
    out = {**schema_of(kind, method), **out}
  return out


def having(kind: str, name: str) -> list[str]:
  """Names of the methods that have a key."""
  return [method for method in of(kind).methods() if name in schema_of(kind, method)]


def default(keys: Keys) -> ml_collections.ConfigDict:
  """The ConfigDict of some keys' defaults."""
  config = ml_collections.ConfigDict()
  for name, key in keys.items():
    put(config, name, key.default)
  return config


def put(config: ml_collections.ConfigDict, name: str, value: Any) -> None:
  """Sets 'group.key' of a ConfigDict that is not locked; groups that it lacks are made."""
  *groups, leaf = name.split('.')
  for group in groups:
    if group not in config:
      config[group] = ml_collections.ConfigDict()
    config = config[group]
  config[leaf] = value


def config_of(kind: str, method: str | None = None) -> ml_collections.ConfigDict:
  """The default config of a command, of a method where its configs name one; None is the first."""
  methods = of(kind).methods()
  method = method or (methods[0] if methods else None)
  config = default(schema_of(kind, method))
  if methods:
    config.method = method
  return config


def search_config(method: str | None = None) -> ml_collections.ConfigDict:
  """The default search config of a method; None: DAAS's, CIFAR-10 with the paper's numbers."""
  return config_of('search', method)


def gradcheck_config(method: str | None = None) -> ml_collections.ConfigDict:
  """The default config of the gradient laboratory: a search config and a point of it to look at."""
  return config_of('gradcheck', method)


def train_config() -> ml_collections.ConfigDict:
  """The default training config: the derived network on CIFAR-10 with the paper's numbers."""
  return config_of('train')


def flatten(config: Mapping) -> dict[str, Any]:
  """{'group.key': value} of a ConfigDict or of nested dicts."""
  out = {}
  for name, value in config.items():
    if isinstance(value, (dict, ml_collections.ConfigDict)):
      out.update({f'{name}.{k}': v for k, v in flatten(value).items()})
    else:
      out[str(name)] = value
  return out


def to_json(config: ml_collections.ConfigDict) -> str:
  """The config as JSON text with stable bytes, what config.json in a workdir holds."""
  return json.dumps(config.to_dict(), indent=2, sort_keys=True, default=list) + '\n'


# --- checks ---------------------------------------------------------------------------------------


def unknown_key(name: str, keys: Iterable[str]) -> str:
  """The line about a key that does not exist, with the nearest that does."""
  keys = list(keys)
  leaf = {k.split('.')[-1]: k for k in keys}
  close = difflib.get_close_matches(name, keys, 1) or [
      leaf[k] for k in difflib.get_close_matches(name.split('.')[-1], leaf, 1)]
  return f'unknown config key {name!r}' + (f'; the nearest is {close[0]!r}' if close else '')


def wrong_type(name: str, value: Any, keys: Keys) -> str:
  """The line about a value that is not of its key's type."""
  return f'config key {name!r} must be {type_name(keys[name].default)}, not {value!r}'


def _foreign_key(kind, name, method):
  others = ', '.join(having(kind, name))
  return (
      f'config key {name!r} is not one of method {method!r}, but of {others}: start the config '
      f'from daas_jax.config.search_config({method!r})')


def refuse_foreign(name: str, config: ml_collections.ConfigDict) -> None:
  """Refuses the name of a key that a config's method has not, but another one has.

  Raises:
    BadInput: it is one.
  """
  kind, method = config.get('kind'), config.get('method')
  if kind in KINDS and isinstance(method, str) and method in of(kind).methods():
    if name not in schema_of(kind, method) and having(kind, name):
      raise BadInput(_foreign_key(kind, name, method))


def check_value(name: str, value: Any, keys: Keys) -> None:
  """Raises BadInput where a value is not of its key's type, or out of its range."""
  if not same_type(value, keys[name].default):
    raise BadInput(wrong_type(name, value, keys))
  problem = keys[name].check(value)
  if problem:
    raise BadInput(f'config key {name!r} {problem}, not {value!r}')


def _missing(kind, name, method):
  first = (of(kind).methods() or (None,))[0]
  start = f'{kind}_config()' if method in (None, first) else f'{kind}_config({method!r})'
  return f'config key {name!r} is missing: start the config from daas_jax.config.{start}'


def check(config: ml_collections.ConfigDict, kind: str) -> None:
  """Checks every key of a config against its schema and the keys against each other.

  Args:
    config: a ConfigDict.
    kind: the command it is for, one of `KINDS`.

  Raises:
    BadInput: for an unknown or missing key, a wrong type, a value out of range.
  """
  flat = flatten(config)
  if flat.get('kind') in [k for k in KINDS if k != kind]:
    raise BadInput(
        f"this is a config for `python -m daas_jax.{flat['kind']}`, not for `daas_jax.{kind}`")
  methods = of(kind).methods()
  method = flat.get('method', methods[0]) if methods else None
  if methods:
    check_value('method', method, schema_of(kind, methods[0]))
  keys = schema_of(kind, method)
  for name, value in flat.items():
    if name not in keys:
      raise BadInput(
          _foreign_key(kind, name, method) if having(kind, name) else unknown_key(name, keys))
    check_value(name, value, keys)
  missing = [name for name in keys if name not in flat]
  if missing:
    raise BadInput(_missing(kind, missing[0], method))
  of(kind).check(flat)
