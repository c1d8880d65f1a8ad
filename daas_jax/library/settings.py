"""A config out of what a program gives: a config object or its name, and keywords that are its
keys."""

from collections.abc import Mapping
import difflib
from typing import Any

import ml_collections

from daas_jax.config import file as config_file, schema
from daas_jax.errors import BadInput


def config_of(kind: str, config: Any, settings: Mapping[str, Any],
              method: str | None = None) -> ml_collections.ConfigDict:
  """The config of a run.

  Args:
    kind: the command, 'search' or 'train'.
    config: a ConfigDict, the name or the file of one, or None: the defaults of the method.
    settings: {a config key, 'search.epochs', or its last word alone, 'epochs', where no other key
      of this config ends in it: value}.
    method: of a search: its method; None: the config's.

  Returns:
    A ConfigDict of its own, not checked yet.

  Raises:
    BadInput: no such config or key, a word of several keys, a config of another method.
  """
  found = _base(kind, config, method)
  keys = schema.schema_of(kind, found.get('method'))
  for word, value in settings.items():
    name = _key(word, keys)
    schema.check_value(name, value, keys)
    schema.put(found, name, float(value) if isinstance(keys[name].default, float) else value)
  return found


def _base(kind, config, method):
  if config is None:
    if method is not None and method not in schema.of(kind).methods():
      near = difflib.get_close_matches(str(method), schema.of(kind).methods(), 1)
      raise BadInput(f'no method {method!r} is known, but {", ".join(schema.of(kind).methods())}'
                     + (f'; did you mean {near[0]!r}?' if near else ''))
    return schema.config_of(kind, method)
  if isinstance(config, str):
    config = config_file.run(config)
  if not isinstance(config, ml_collections.ConfigDict):
    raise BadInput(f'config must be a ConfigDict, such as dx.{kind}_config() gives, or the name or '
                   f'file of one, not {config_file.one_line(repr(config))[:60]}')
  if method is not None and config.get('method') != method:
    raise BadInput(f'the config is one of method {config.get("method")!r} and method={method!r} is '
                   'asked for: give one of the two')
  found = ml_collections.ConfigDict(config.to_dict())
  schema.check(found, kind)
  return found


def _key(word, keys):
  if word in keys:
    return word
  ends = [name for name in keys if name.rsplit('.', 1)[-1] == word]
  if len(ends) == 1:
    return ends[0]
  if ends:
    raise BadInput(f'{word!r} is the end of several config keys: give '
                   + ' or '.join(f"**{{{name!r}: ...}}" for name in ends))
  raise BadInput(schema.unknown_key(word, keys))
