"""DDAS's check (DDAS 4.1) for the joint search: the policy that undoes what was done to the validation images.

The search augments both halves with one policy and lowers the validation loss, so Rotate90 is the answer where three
quarter turns went before it. Every test turns the batch further, for one compiled step.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import planted
from daas_jax import problem
from daas_jax.policies import relaxed

CONFIG = planted.joint_rotate_config()
EPOCH = 62  # steps
UPRIGHT, HALF = 1, 3  # quarter turns after the config's three


@pytest.fixture(scope='module')
def search():
  """(init, step, seed -> batches)."""
  init, step, batches, _ = planted.programs(CONFIG, planted.embedded())
  return init, step, batches


def _rotate90(state):
  """(selection, application probability) of Rotate90 in each sub-policy: [L] each."""
  selection = relaxed.selection(state.gamma, problem.policy_space(CONFIG))
  return np.asarray(selection)[:, 0, -1], np.asarray(state.gamma['p'])[:, 0, -1]


def _found(state):
  """Some sub-policy selects Rotate90 with more than all the others together and applies it more often than not."""
  selection, p = _rotate90(state)
  return bool(np.any((selection > 0.5) & (p > 0.5)))


def _run(search, state, seed, steps, further=0, held=None, until=lambda state: False, every=5):
  """(state, steps done); gamma stays `held` where that is given."""
  _, step, batches = search
  batches = batches(seed)
  for i in range(steps):
    batch = batches(i)
    batch = batch._replace(val_images=jnp.rot90(batch.val_images, further, (1, 2)))
    state, _ = step(state, batch)
    if held is not None:
      state = state._replace(gamma=jax.tree.map(jnp.array, held))
    if (i + 1) % every == 0 and until(state):
      break
  return state, i + 1


def test_rotate90_is_found_where_it_undoes_the_turn(search):
  """README quotes the steps that this prints. It begins with a selection of 0 to 0.33, theta untrained."""
  starts = [search[0](jax.random.key(seed)) for seed in range(5)]
  assert not any(map(_found, starts))
  steps = [_run(search, start, seed, EPOCH, until=_found)[1] for seed, start in enumerate(starts)]
  print('steps until found:', steps)
  assert sum(n < EPOCH for n in steps) >= 4, steps


@pytest.mark.parametrize('further', [UPRIGHT, HALF])
def test_rotate90_is_not_found_where_it_undoes_nothing(search, further):
  for seed in (0, 2):
    start = search[0](jax.random.key(seed))
    before = _rotate90(start)[0]
    state, steps = _run(search, start, seed, EPOCH, further, until=_found)
    selection = _rotate90(state)[0]
    print('further', further, 'seed', seed, 'selection', before, selection)
    assert steps == EPOCH and np.all(selection < 0.1) and np.all(selection <= before + 0.01)


def test_the_application_probability_moves_towards_what_undoes_the_turn(search):
  """From p = 1/2 and equal selections, theta trained without a policy: up where it undoes the turn, else down."""
  state = search[0](jax.random.key(0))
  clean = state.gamma | {'p': jnp.full_like(state.gamma['p'], 1e-3)}
  even = {'z': jnp.zeros_like(state.gamma['z']), 'p': jnp.full_like(state.gamma['p'], 0.5),
          'mu': jnp.full_like(state.gamma['mu'], 0.5)}
  trained, _ = _run(search, state._replace(gamma=clean), 0, 2 * EPOCH, held=jax.tree.map(np.asarray, clean))
  theta = jax.tree.map(np.asarray, trained.theta)
  for further in (0, UPRIGHT, HALF):
    start = search[0](jax.random.key(0))
    start = start._replace(theta=jax.tree.map(jnp.asarray, theta), gamma=jax.tree.map(jnp.array, even))
    track = []
    for n in (5, 10, 20, 30):
      s = start if False else jax.tree.map(jnp.array, start)
      s, _ = _run(search, s, 0, n, further)
      track.append((n, *[np.round(x, 3) for x in _rotate90(s)]))
    print(further, track)
