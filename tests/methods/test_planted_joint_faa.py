"""DDAS's check (DDAS 4.1) for the joint search: the policy that undoes what was done to the validation images.

The search augments both halves with one policy and lowers the validation loss, so Rotate90 is the answer where three
quarter turns went before it. The controls turn the validation batch further, to upright or half round, so that all
tests share one compiled step.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import planted
from daas_jax.data import batches as batches_lib
from daas_jax.methods import problem
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
  """(state, steps done); gamma is `held` at every step where that is given. The state's arrays are given away."""
  _, step, batches = search
  batches = batches(seed)
  for i in range(steps):
    batch = batches(i)
    batch = batch._replace(val_images=jnp.rot90(batch.val_images, further, (1, 2)))
    state, _ = step(state if held is None else state._replace(gamma=_copy(held)), batch)
    if (i + 1) % every == 0 and until(state):
      break
  return state, i + 1


def _copy(tree):
  return jax.tree.map(jnp.array, tree)


@pytest.fixture(scope='module')
def trained(search):
  """theta after 124 steps of seed 0 without a policy, on upright images."""
  state = search[0](jax.random.key(0))
  held = state.gamma | {'p': jnp.full_like(state.gamma['p'], 1e-3)}  # applies nothing
  return _run(search, state, 0, 2 * EPOCH, held=_copy(held))[0].theta


def test_rotate90_is_found_where_it_undoes_the_turn(search):
  """README quotes the steps that this prints. It begins with a selection of 0 to 0.33, theta untrained."""
  starts = [search[0](jax.random.key(seed)) for seed in range(5)]
  assert not any(map(_found, starts))
  steps = [_run(search, start, seed, EPOCH, until=_found)[1] for seed, start in enumerate(starts)]
  print('steps until found:', steps, 'of 2 passes each')
  assert sum(n < EPOCH for n in steps) >= 4, steps


@pytest.mark.parametrize('further', [UPRIGHT, HALF])
def test_rotate90_is_not_found_where_it_undoes_nothing(search, further):
  """Not in any step of an epoch, and it ends below where it began: nowhere above 0.1, from up to 0.33."""
  for seed in (0, 2):
    start = search[0](jax.random.key(seed))
    before = _rotate90(start)[0]
    state, steps = _run(search, start, seed, EPOCH, further, until=_found)
    selection = _rotate90(state)[0]
    assert steps == EPOCH and np.all(selection < np.minimum(before, 0.1)), (before, selection)


@pytest.mark.parametrize('further', [0, UPRIGHT, HALF])
def test_selection_and_application_move_towards_what_undoes_the_turn(search, trained, further):
  """theta trained without a policy, every selection equal and p = 1/2: up where it undoes the turn, else down."""
  start = search[0](jax.random.key(0))
  even = {name: jnp.full_like(x, 0.5) for name, x in start.gamma.items()}
  state, _ = _run(search, start._replace(theta=_copy(trained), gamma=even), 0, 20, further)
  selection, p = _rotate90(state)
  if further:
    assert np.all(p < 0.5) and np.all(selection < 1 / len(CONFIG.policy.ops)), (selection, p)
  else:
    assert np.all(p > 0.6) and np.all(selection > 0.5), (selection, p)


def test_a_half_turn_is_less_strange_than_a_quarter_turn(trained):
  """Why one quarter turn is no control: Rotate90 makes it a half turn, and upright digits are half like that."""
  data, config, loss = planted.embedded(), planted.joint_rotate_config(), []
  for turns in range(4):
    built = problem.build(config, data)
    images = built.val_input(batches_lib.turned(data.test_images[:500], turns))
    loss.append(float(built.loss(trained, {}, images, data.test_labels[:500], None)[0]))
  print('loss by quarter turns:', np.round(loss, 2))
  assert loss[0] < loss[2] < 0.5 * min(loss[1], loss[3])
