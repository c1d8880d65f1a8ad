"""The spaces of policies and the forms of policy.json: each registers itself in its own file."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp

from daas_jax.config.key import between, Key
from daas_jax.config.registry import Registry


class PolicySpace(NamedTuple):
  """What a search searches policies in, and what it leaves of them.

  Attributes:
    about: what it is, for a list.
    keys: {'group.key': `Key`} of its config.
    space: config -> the space; None where nothing is searched.
    candidates: config -> (the key that names the candidate operations, their names as it has them:
      'Rotate', 'Rotate:0.2'); None where nothing is searched.
    distribution: (config, space) -> `daas_jax.types.Problem.policies`: a NamedTuple with `init` and
      `sample`.
    train_input: (config, data, space, given) -> (images uint8, policy, key) -> the network's input;
      `given` is what `daas_jax.policies.given.find` returns, where nothing is searched.
    measures: (gamma, space) -> {name: float}, logged every epoch.
    record: (gamma, space) -> JSON values that history.jsonl keeps: {'candidates': N names,
      'probability': [K, N], and where the distribution has them 'applied' and 'strength': [K, N], a
      strength None where there is none}.
    write: (path, gamma, space, records) -> summary, as text; writes policy.json. `records` is what
      `record` returned at the end of every epoch.
    evidence: config -> (gamma, its gradient) -> what a search keeps of its gradients, a pytree
      (`daas_jax.estimators.evidence`); None: nothing is kept.
    choices: (gamma, block sums of the evidence, space) -> `evidence.Choice`s.
    effective: (gamma, space) -> (effective number of policies, that of all policies alike).
  """
  about: str
  keys: Mapping[str, Key]
  space: Callable
  distribution: Callable
  train_input: Callable
  candidates: Callable = lambda config: None
  measures: Callable = lambda gamma, space: {}
  record: Callable = lambda gamma, space: {}
  write: Callable = lambda path, gamma, space, records: ''
  evidence: Callable | None = None
  choices: Callable = lambda gamma, sums, space: []
  effective: Callable | None = None


class Format(NamedTuple):
  """A form of policy.json, by the word that it has as "format".

  Attributes:
    read: (content, path) -> what it holds; raises BadInput where it is malformed.
    augmenter: (what it holds, smoothing, per) -> the policy as a function, see
      `daas_jax.policies.contract.of`; per says which images share a draw (`contract.drawn`).
    table: what it holds -> the likeliest policies as a `daas_jax.policies.table.PolicyTable`.
    per: what it holds -> the per of a training that says nothing else: that of its authors.
  """
  read: Callable[[Any, str], Any]
  augmenter: Callable
  table: Callable
  per: Callable[[Any], str]


SPACES: Registry[PolicySpace] = Registry('space of policies', 'daas_jax.policies')
FORMATS: Registry[Format] = Registry('form of policy.json', 'daas_jax.policies')
register, spaces = SPACES.register, SPACES.rows
register_format, formats = FORMATS.register, FORMATS.rows

def ops_of(config: Any) -> tuple[str, tuple[str, ...]]:
  """`PolicySpace.candidates` of a space whose key is policy.ops."""
  return 'policy.ops', tuple(config.policy.ops)


K_KEY = Key(2, between(1, 3), 'operations in sequence (DAAS 3.2)')
"""Of every space whose policies are sequences."""


def not_applied(policy: Any) -> Any:
  """A policy (of any space with a y) with nothing applied."""
  return policy._replace(y=jnp.zeros_like(policy.y))
