"""What a search leaves behind: its architecture, policy.json, decided.json and a summary that a
person can read."""

from collections.abc import Callable
import os
from typing import Any

from daas_jax.files import metrics as metrics_lib
from daas_jax.methods import decided, problem as problem_lib, registry
from daas_jax.nets import registry as nets
from daas_jax.policies import registry as policies


def _parts(config):
  """(the space of policies and its row, the space of architectures or None)."""
  return (problem_lib.tuned_policy_space(config),
          policies.spaces()[registry.of(config).policy], nets.of(config).space)


def measures(state: Any, config: Any) -> dict[str, float]:
  """Numbers on the distributions that every epoch logs, such as entropies in nats."""
  space, policy, architectures = _parts(config)
  out = policy.measures(state.gamma, space) if space else {}
  return out | (architectures.measures(state.arch, config) if state.arch else {})


def record(state: Any, config: Any) -> dict[str, Any]:
  """What history.jsonl keeps of a state: the distributions that are searched, in words and plain
  numbers.

  Returns:
    {'architecture': as `daas_jax.nets.cells.space.record`, {} where none is searched; 'policy': as
    `daas_jax.policies.registry.PolicySpace` says, {} where none is searched}.
  """
  space, policy, architectures = _parts(config)
  return {'architecture': architectures.record(state.arch, config) if state.arch else {},
          'policy': policy.record(state.gamma, space) if space else {}}


def write(workdir: str, state: Any, config: Any,
          describe: Callable[[str], None] = lambda path: None) -> str:
  """Writes decided.json, the architecture and policy.json into the workdir: the latter where they
  were searched.

  Args:
    workdir: of a search that is over; its history.jsonl holds what `record` returned at the start
      and at every epoch.
    state: the last one.
    config: the search's.
    describe: path of policy.json -> None; has it say where it comes from.

  Returns:
    The summary, as text.
  """
  space, policy, architectures = _parts(config)
  lines = [*decided.write(workdir, state, config), '']
  lines += [*architectures.write(workdir, state.arch, config), ''] if state.arch else []
  if space:
    epochs = [
        row['policy'] for row in metrics_lib.read(os.path.join(workdir, 'history.jsonl'))
        if row['step']
    ]
    path = os.path.join(workdir, 'policy.json')
    lines += [policy.write(path, state.gamma, space, epochs), '']
    describe(path)
  lines += [f'{name:16} {value:.4f}' for name, value in measures(state, config).items()]
  return '\n'.join(lines)
