"""What the gradients of each space of policies say of its choices (`daas_jax.estimators.evidence`).

Two things of every operation: what its logit gains on the others', and whether applying it helps
against not applying it. The losses are minimised, so that a gain is a gradient below 0. An
operation that hurts less than the others gains on them: where a space can leave the images as they
are, that it helps is what counts.
"""

from collections.abc import Callable, Sequence
import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.estimators import evidence


def _slots(names, probability, sums):
  """A `evidence.Choice` for each of the slots: probability [K, N], sums {name: [n, K, N]}."""
  where = [f'slot {k + 1}' for k in range(len(probability))]
  return [evidence.Choice(where[k] if where[1:] else '', names, np.asarray(p),
                          **{name: x[:, k] for name, x in sums.items()})
          for k, p in enumerate(probability)]


# --- categorical: pi, p ---------------------------------------------------------------------------


def of_slots(config: Any) -> Callable:
  """`PolicySpace.evidence` of pi [K, N] and p, whoever shares it: {'gain', 'helps'}, [K, N].

  With Q the mean alignment of what is drawn, the gradients of pi and p are, for an operation of a
  slot with probabilities pi and a (of being applied),

    g_pi = pi (Q_n - Q),  g_p = pi a (1 - a) (Q_n1 - Q_n0).

  An operation that is not applied is no operation, whichever it is. So 'helps' compares n applied
  with all that is not applied, not with n not applied alone: P_n1 P_0 (Q_n1 - Q_0), P_n1 = pi a,
  P_0 = sum_m pi_m (1 - a_m), a sum of gradients with factors that are known before the draw.
  """
  share, K = config.policy.share, config.policy.K

  def of(gamma, g):
    pi, a, g_p = jax.nn.softmax(gamma['pi']), jax.nn.sigmoid(gamma['p']), g['p']
    if share == 'policy':  # over the operations of the other slots, as likely as they are
      others = lambda k: [j for j in range(K) if j != k]
      shares = [functools.reduce(lambda x, j: x * jnp.expand_dims(pi[j], tuple(
          i for i in range(K) if i != j)), others(k), jnp.ones((1,) * K)) for k in range(K)]
      a = jnp.stack([jnp.sum(a[..., k] * shares[k], others(k)) for k in range(K)])
      g_p = jnp.stack([jnp.sum(g_p[..., k], others(k)) for k in range(K)])
    elif share == 'op':
      a, g_p = (jnp.broadcast_to(x[None], pi.shape) for x in (a, g_p / K))
    gain, applied = -g['pi'], -g_p - a * g['pi']
    left = jnp.sum((1 - a) * gain + g_p, -1, keepdims=True)
    nothing = jnp.sum(pi * (1 - a), -1, keepdims=True)
    return {'gain': gain, 'helps': nothing * applied - pi * a * left}

  return of


def slots(gamma: Any, sums: Any, space: Any) -> list[evidence.Choice]:
  """The choices of each slot."""
  return _slots(space.ops, jax.nn.softmax(gamma['pi']), sums)


def effective_slots(gamma: Any, space: Any) -> tuple[float, int]:
  """Effective number of operation tuples: slots are independent."""
  each = evidence.effective(np.asarray(jax.nn.softmax(gamma['pi'])))
  return float(np.prod(each)), len(space.ops)**space.K


# --- total: alpha_o, alpha_tp ---------------------------------------------------------------------


def of_candidates(config: Any) -> Callable:
  """`PolicySpace.evidence` of alpha_o [N] and alpha_tp: {'gain', 'helps'}, [N].

  Of the loss sum_l a_l p_tp P(phi_l) alpha_tp's gradient is (1 - p_tp) times it, alpha_o's sum_l
  a_l p_tp P(phi_l) (times that phi_l has it - K p_o): together they tell what those policies lose
  that have a candidate.
  """
  K = config.policy.K

  def of(gamma, g):
    loss = g['alpha_tp'] / jax.nn.sigmoid(-gamma['alpha_tp'])
    return {'gain': -g['alpha_o'],
            'helps': -(g['alpha_o'] + K * jax.nn.softmax(gamma['alpha_o']) * loss)}

  return of


def candidates(gamma: Any, sums: Any, space: Any) -> list[evidence.Choice]:
  """One choice: all places have one distribution."""
  p = np.asarray(jax.nn.softmax(gamma['alpha_o']))
  return [evidence.Choice('', tuple(map(str, space.candidates)), p, **sums)]


def effective_candidates(gamma: Any, space: Any) -> tuple[float, int]:
  """Effective number of tuples of candidates."""
  each = evidence.effective(np.asarray(jax.nn.softmax(gamma['alpha_o'])))
  return float(each)**space.K, len(space.candidates)**space.K


# --- relaxed: z, p --------------------------------------------------------------------------------


def of_sub_policies(config: Any) -> Callable:
  """`PolicySpace.evidence` of z and p [L, K, N]: {'gain', 'helps'}, [K, N], of all sub-policies
  together."""
  del config
  return lambda gamma, g: {'gain': -jnp.sum(g['z'], 0), 'helps': -jnp.sum(g['p'], 0)}


def _selection(gamma, space):
  return np.asarray(jax.nn.softmax(jnp.asarray(gamma['z']) / space.selection_temperature),
                    np.float64)


def sub_policies(gamma: Any, sums: Any, space: Any) -> list[evidence.Choice]:
  """The choices of each slot, means over sub-policies."""
  return _slots(space.ops, _selection(gamma, space).mean(0), sums)


def effective_sub_policies(gamma: Any, space: Any) -> tuple[float, int]:
  """Effective number of operation tuples: a mixture of the sub-policies'."""
  q, K = _selection(gamma, space), space.K
  o = np.array(list(itertools.product(range(len(space.ops)), repeat=K)))
  table = np.mean([np.prod(one[np.arange(K), o], -1) for one in q], 0)
  return float(evidence.effective(table)), len(o)


# --- transformations: tau -------------------------------------------------------------------------


def of_transformations(config: Any) -> Callable:
  """`PolicySpace.evidence` of tau [N ** K]: {'gain'}, [K, N], what those transformations gain that
  have an operation in a place."""
  K = config.policy.K

  def of(tau, g):
    del tau
    table = -g.reshape((round(g.size**(1 / K)),) * K)
    return {'gain': jnp.stack([jnp.sum(table, [j for j in range(K) if j != k]) for k in range(K)])}

  return of


def transformations(tau: Any, sums: Any, space: Any) -> list[evidence.Choice]:
  """The choices of each place. Nothing helps against nothing: Identity is an operation."""
  table = np.asarray(jax.nn.softmax(tau), np.float64).reshape(space.shape)
  places: Sequence[int] = range(space.K)
  marginal = np.stack([table.sum(tuple(j for j in places if j != k)) for k in places])
  return _slots(space.ops, marginal, sums)


def effective_transformations(tau: Any, space: Any) -> tuple[float, int]:
  """Effective number of transformations."""
  p = np.asarray(jax.nn.softmax(tau), np.float64)
  return float(evidence.effective(p)), p.size
