"""What a search leaves behind: genotype.json, policy.json and a summary that a person can read."""

import os

import jax
import numpy as np

from daas_jax.files import metrics as metrics_lib
from daas_jax.methods import problem as problem_lib, spaces
from daas_jax.errors import BadInput
from daas_jax.nets.cells import architecture, cell as cells, genotype as genotype_lib
from daas_jax.nets.shuffle import blocks as blocks_lib, supernet as shuffle
from daas_jax.policies import results as policy_results


def skip_share(genotype):
  """Share of skip_connect among the edges of a genotype's cells, in [0, 1]."""
  names = [name for _, pairs in genotype_lib.cells_of(genotype) for name, _ in pairs]
  return names.count('skip_connect') / len(names)


def measures(state, config):
  """Numbers on the distributions that every epoch logs: entropies (nats) of alpha, beta and the policy's, share of
  skip_connect."""
  space = spaces.policy_space(config)
  out = policy_results.of(space).measures(state.gamma, space) if space else {}
  if config.network.name == 'shuffle':
    return out | {name: float(h) for name, h in architecture.entropies({'alpha': state.arch['alpha']}).items()}
  if state.arch:
    derived = _derived(state, config)
    out |= {name: float(h) for name, h in architecture.entropies(state.arch).items()}
    out['skip_share'] = skip_share(derived)
  return out


def _derived(state, config):
  return architecture.derive(jax.device_get(state.arch), problem_lib.arch_space(config))


def path(state, config):
  """The `Blocks` of a search of choice blocks, as of the end of its search phase."""
  return blocks_lib.Blocks(config.network.size, tuple(shuffle.CHOICES[i] for i in np.asarray(state.arch['path'])))


def record(state, config):
  """What history.jsonl keeps of a state: the distributions that are searched, in words and plain numbers.

  Returns:
    {'architecture': {'cells': names of the C cell types, 'edges': the E pairs [source, target], 'operations': names of
    the O candidates, 'alpha': [C, E, O] and, where there is one, 'beta': [C, E] logits}, {} for a fixed network;
    'policy': as `policies.results.Results` says, {} where none is searched}.
  """
  space, plain = spaces.policy_space(config), policy_results.plain
  if config.network.name == 'shuffle':  # a cell type a block, with one edge
    alpha = np.asarray(state.arch['alpha'])[:, None]
    arch = {'cells': [shuffle.block_name(i) for i in range(len(alpha))], 'edges': [[0, 1]],
            'operations': list(shuffle.CHOICES), 'alpha': plain(alpha)}
    return {'architecture': arch, 'policy': policy_results.of(space).record(state.gamma, space)}
  of = problem_lib.arch_space(config)
  arch = {} if not state.arch else {
      'cells': list(of.cells), 'edges': [list(cells.EDGES[edge]) for edge in of.edges],
      'operations': list(of.primitives)} | {name: plain(x) for name, x in state.arch.items()}
  return {'architecture': arch, 'policy': policy_results.of(space).record(state.gamma, space) if space else {}}


def genotype_at(workdir, epoch):
  """The genotype that a search would have ended with after an epoch, from its history.jsonl.

  Args:
    workdir: of a search of cells, over or not.
    epoch: whole number of epochs done; 0 is the start.

  Raises:
    BadInput: the history has no architecture of that epoch.
  """
  path = os.path.join(workdir, 'history.jsonl')
  rows = {row['epoch']: row.get('architecture') for row in metrics_lib.read(path) if type(row.get('epoch')) is int}
  if not rows.get(epoch):
    known = [str(e) for e, content in rows.items() if content]
    others = f'but those of {known[0]} to {known[-1]}' if known else 'and none: give the workdir of a search of cells'
    raise BadInput(f'{path} holds no architecture of epoch {epoch}, {others}')
  content = rows[epoch]
  try:
    edges = tuple(cells.EDGES.index(tuple(edge)) for edge in content['edges'])
    space = architecture.DenseSpace(tuple(content['operations']), edges, tuple(content['cells']))
    arch = {name: np.array(content[name], np.float64) for name in ('alpha', 'beta') if name in content}
    return genotype_lib.from_json(genotype_lib.to_json(architecture.derive(arch, space)), path)
  except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
    raise BadInput(f'{path} is damaged: what it holds of epoch {epoch} is no architecture of cells') from error


def write(workdir, state, config):
  """Writes genotype.json or blocks.json, and policy.json, into the workdir: each where it was searched.

  Args:
    workdir: of a search that is over; its history.jsonl holds what `record` returned at the start and at every epoch.
    state: the last one.
    config: the search's.

  Returns:
    The summary, as text.
  """
  lines, space = [], spaces.policy_space(config)
  if config.network.name == 'shuffle':
    found = path(state, config)
    blocks_lib.save(os.path.join(workdir, 'blocks.json'), found)
    lines += [blocks_lib.describe(found), '']
  elif state.arch:
    derived = _derived(state, config)
    genotype_lib.save(os.path.join(workdir, 'genotype.json'), derived)
    lines += [genotype_lib.describe(derived), '', _alpha_text(state, config), '']
  if space:
    epochs = [row['policy'] for row in metrics_lib.read(os.path.join(workdir, 'history.jsonl')) if row['step']]
    lines += [policy_results.write(workdir, state.gamma, space, epochs), '']
  lines += [f'{name:16} {value:.4f}' for name, value in measures(state, config).items()]
  return '\n'.join(lines)


def _alpha_text(state, config):
  """Mean probability of every candidate operation, a row a cell type."""
  mean = architecture.mean_probabilities(state.arch)
  rows = [f"{'mean probability':16} " + ' '.join(f'{n:>12}' for n in config.network.primitives)]
  for name, row in zip(problem_lib.arch_space(config).cells, mean):
    rows.append(f'{name:16} ' + ' '.join(f'{float(p):12.4f}' for p in row))
  return '\n'.join(rows)
