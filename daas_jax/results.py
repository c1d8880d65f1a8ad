"""What a search leaves behind: genotype.json, policy.json and a summary that a person can read."""

import os

import jax
import numpy as np

from daas_jax import problem as problem_lib
from daas_jax.augment.ops import OPS
from daas_jax.nets import architecture, cells, genotype as genotype_lib
from daas_jax.policies import categorical, files


def skip_share(genotype):
  """Share of skip_connect among a genotype's 16 edges, in [0, 1]."""
  names = [name for name, _ in (*genotype.normal, *genotype.reduce)]
  return names.count('skip_connect') / len(names)


def measures(state, config):
  """Numbers on the distributions that every epoch logs: entropies (nats) of alpha, beta, pi, share of skip_connect."""
  out = {f'entropy_pi_{k}': float(h) for k, h in enumerate(categorical.entropy_pi(state.gamma))}
  if state.arch:
    alpha, beta = architecture.entropies(state.arch)
    derived = genotype_lib.derive(*_arrays(state), tuple(config.network.primitives))
    out |= {'entropy_alpha': float(alpha), 'entropy_beta': float(beta), 'skip_share': skip_share(derived)}
  return out


def _arrays(state):
  return np.asarray(state.arch['alpha']), np.asarray(state.arch['beta'])


def record(state, config):
  """What history.jsonl keeps of a state: the distributions that are searched, in words and plain numbers.

  Returns:
    {'architecture': {'cells': names of the C cell types, 'edges': the E pairs [source, target], 'operations': names of
    the O candidates, 'alpha': [C, E, O] and 'beta': [C, E] logits}, {} for a fixed network;
    'policy': {'candidates': names of the N operations, 'probability', 'applied', 'strength': [K, N], as
    `categorical.marginals` has them; strength None where the operation has no magnitude}}.
  """
  space = problem_lib.policy_space(config)
  found = {name: _plain(x) for name, x in categorical.marginals(state.gamma, space).items()}
  found['strength'] = [[x if OPS[op].graded else None for op, x in zip(space.ops, row)] for row in found['strength']]
  arch = {} if not state.arch else {
      'cells': list(architecture.CELL_TYPES), 'edges': [list(edge) for edge in cells.EDGES],
      'operations': list(config.network.primitives)} | {name: _plain(x) for name, x in state.arch.items()}
  return {'architecture': arch, 'policy': {'candidates': list(space.ops)} | found}


def _plain(array):
  """Nested lists of floats of 6 significant digits: as fine as float32, and a third of its length as text."""
  return [_plain(x) for x in array] if np.ndim(array) else float(f'{float(array):.6g}')


def write(workdir, state, config):
  """Writes genotype.json (where an architecture was searched) and policy.json into the workdir.

  Returns:
    The summary, as text.
  """
  lines, space = [], problem_lib.policy_space(config)
  if state.arch:
    derived = genotype_lib.derive(*_arrays(state), tuple(config.network.primitives))
    genotype_lib.save(os.path.join(workdir, 'genotype.json'), derived)
    lines += [genotype_lib.describe(derived), '', _alpha_text(state, config), '']
  table = categorical.table(jax.device_get(state.gamma), space)
  files.save(os.path.join(workdir, 'policy.json'), table, space)
  lines += [files.describe(table, space), '']
  lines += [f'{name:16} {value:.4f}' for name, value in measures(state, config).items()]
  return '\n'.join(lines)


def _alpha_text(state, config):
  """Mean probability of every candidate operation, a row a cell type."""
  mean = architecture.mean_probabilities(state.arch)
  rows = [f"{'mean probability':16} " + ' '.join(f'{n:>12}' for n in config.network.primitives)]
  for name, row in zip(architecture.CELL_TYPES, mean):
    rows.append(f'{name:16} ' + ' '.join(f'{float(p):12.4f}' for p in row))
  return '\n'.join(rows)
