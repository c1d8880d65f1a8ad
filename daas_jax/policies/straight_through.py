"""A sampled policy as straight-through weights: hard values, the gradient of relaxed samples (as in
DADA, Eq. 3-6)."""

from typing import Any, NamedTuple

import jax

from daas_jax.estimators import gumbel
from daas_jax.policies import categorical


class Weights(NamedTuple):
  """o [K, N] one-hot, y [K] in {0, 1}, m [K, M] one-hot, each with the gradient of its
  relaxation."""
  o: jax.Array
  y: jax.Array
  m: jax.Array


def sample(key: jax.Array, gamma: Any, space: categorical.Space, tau: Any) -> Weights:
  """One policy of DAAS's distribution as `Weights`, with a gradient to gamma.

  p and delta are those of the operations drawn; that other operations would have had others is not
  in the gradient.

  Args:
    key: PRNG key.
    gamma: as `categorical.init` returns.
    space: the policy space.
    tau: temperature > 0 of the relaxation; the hard values do not depend on it.
  """
  key_o, key_y, key_m = jax.random.split(key, 3)
  o = gumbel.one_hot(key_o, gamma['pi'], tau)
  p, delta = categorical.rows(gamma, o.argmax(-1), space)
  return Weights(o, gumbel.bernoulli(key_y, p, tau), gumbel.one_hot(key_m, delta, tau))
