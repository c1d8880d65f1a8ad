"""A control variate learned from past alignments: ridge regression, in constant memory, over what a
sample is made of.

s is close to additive in the parts of a policy, and changes little from batch to batch beside its
mean. So a linear model h = w . phi, fitted to the alignments of past steps, predicts most of a new
one; the gradient of its expectation is known in closed form, and only the remainder s - h is left
to the score function:

  grad E[s] = E[(s - h) grad log p] + grad E[h],   exactly, for any h that does not depend on this
  step's samples.

(The idea of a control variate with a known gradient: Gu et al., Q-Prop and MuProp; Grathwohl et
al., LAX.)
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp


class Past(NamedTuple):
  """Discounted sums over past steps: gram = sum phi phi^T [D, D], moment = sum phi s [D], of
  centred phi and s."""
  gram: jax.Array
  moment: jax.Array


def init(features: int) -> Past:
  """Nothing seen yet: `Past` of zeros for D = `features`."""
  return Past(jnp.zeros((features, features)), jnp.zeros(features))


def update(past: Past, phi: jax.Array, s: jax.Array, decay: chex.Numeric = 0.99) -> Past:
  """Adds a step's alignments.

  Args:
    past: `Past`.
    phi: [n, m, D], features of m samples of each of n rows.
    s: [n, m], their alignments. Both are centred in each row: what a row's architecture and batch
      add to all its alignments says nothing of its policies.
    decay: in (0, 1], weight of a step after the next: steps to forget in are 1 / (1 - decay).
  """
  chex.assert_shape(phi, (*s.shape, len(past.moment)))
  chex.assert_rank(s, 2)
  phi = phi - jnp.mean(phi, 1, keepdims=True)
  s = s - jnp.mean(s, 1, keepdims=True)
  return Past(decay * past.gram + jnp.einsum('nmd,nme->de', phi, phi),
              decay * past.moment + jnp.einsum('nmd,nm->d', phi, s))


def coefficients(past: Past, ridge: chex.Numeric = 1.0) -> jax.Array:
  """w [D], the ridge regression of s on phi; zeros before the first update.

  Args:
    past: `Past`.
    ridge: > 0, in observations: a feature seen that often has half its coefficient.
  """
  return jnp.linalg.solve(past.gram + ridge * jnp.eye(len(past.moment), dtype=past.gram.dtype),
                          past.moment)


def add_expectation(gradient: Any, expected_control: Callable, gamma: Any, xi: chex.Numeric) -> Any:
  """gradient - xi * grad_gamma E[h]: what the samples' remainder left out.

  Args:
    gradient: pytree like gamma, the policy gradient (`unrolled.policy_gradient`) of the remainders
      s - h.
    expected_control: gamma -> E[h], a scalar.
    gamma, xi: as there.
  """
  return jax.tree.map(lambda g, e: g - xi * e, gradient, jax.grad(expected_control)(gamma))
