"""Draws of policies: systematic ones against the enumerated space."""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.gradcheck import draws
from daas_jax.policies import categorical

SPACE = categorical.Space(('Rotate', 'Invert', 'Brightness'), K=2, levels=2)  # Invert has no magnitude


def _gamma(space):
  rng = np.random.default_rng(0)
  return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), categorical.init(jax.random.key(0), space))


def test_systematic_policies_have_the_distribution_and_differ_more(x64):
  space, n = SPACE, 4
  gamma, policies = _gamma(space), categorical.enumerate_policies(space)
  keys = jax.random.split(jax.random.key(3), 10_000)
  one = lambda key: draws.systematic_policies(key, gamma, space, n)
  drawn = jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=500))(keys)
  drawn = jax.tree.map(lambda a: np.asarray(a).reshape(-1, n, 2), drawn)
  code = lambda p: (((p.o * 2 + p.y) * 2 + p.m * p.y) @ np.array([12, 1]))
  counts = np.bincount(code(drawn).reshape(-1), minlength=144) / len(keys)
  p = np.exp(jax.vmap(lambda q: categorical.log_prob(gamma, q, space))(policies))
  expected = np.bincount(code(jax.tree.map(np.asarray, policies)), p, 144) * n
  # Policies of a step depend on each other: the variance of a count is taken from the draws.
  hits = (code(drawn)[:, :, None] == np.arange(144)).sum(1)
  error = hits.std(0) / np.sqrt(len(keys))
  assert (np.abs(counts - expected) < 5 * error + 1e-9).all()
  repeated = lambda c: np.mean([len(np.unique(row)) for row in c[:2000]])
  independent = jax.vmap(lambda k: categorical.sample(k, gamma, space))(jax.random.split(jax.random.key(4), 8000))
  alone = code(jax.tree.map(lambda a: np.asarray(a).reshape(-1, n, 2), independent))
  assert repeated(code(drawn)) > repeated(alone)
