"""Candidate operations that do nothing on a data set's images: a search has no use for them.

A candidate that is the identity takes probability from those that are not, and its place in the
result says nothing.
"""

from typing import Any

from daas_jax.augment.ops import OPS
from daas_jax.errors import BadInput
from daas_jax.policies.registry import PolicySpace


def leave_out(config: Any, space: PolicySpace, channels: int) -> tuple[Any, str]:
  """A search config without the candidates that do nothing on its images.

  Args:
    config: a checked search config, which stays as it is.
    space: the row of its space of policies.
    channels: C of the images.

  Returns:
    (the config, and a line that says what was left out, or ''): the same config where nothing was.

  Raises:
    BadInput: there is no other candidate.
  """
  named = space.candidates(config)
  if named is None or channels > 1:
    return config, ''
  key, names = named
  operation = {name: name.partition(':')[0] for name in names}
  idle = tuple(dict.fromkeys(op for op in operation.values() if OPS[op].colour_only))
  if not idle:
    return config, ''
  does = f'{" and ".join(idle)} {"do" if idle[1:] else "does"} nothing on images of 1 channel'
  kept = tuple(name for name in names if operation[name] not in idle)
  if not kept:
    raise BadInput(f'{does}, and config key {key!r} names nothing else: add other operations to it')
  config = config.copy_and_resolve_references()
  group, leaf = key.split('.')
  config[group][leaf] = kept
  return config, f"{does}: left out of the policy's candidates"
