"""RELAX for one categorical variable (Grathwohl et al. 2018): the score function with a
differentiable control variate.

  (f(b) - c(z~)) grad log p(b) + grad c(z) - grad c(z~),   b = argmax z,  z = log p + Gumbel noise,
  z~ ~ p(z | b)

is unbiased for any c. DADA's code takes a finite difference of this in theta; there both c terms,
which do not depend on theta, cancel, and the plain score function is left
(`tests/estimators/test_relax.py` shows it). Here f is the alignment itself, so c stays.
"""

from collections.abc import Callable
from typing import Any

import chex
import jax
from jax import lax
import jax.numpy as jnp


def conditional(key: chex.PRNGKey, log_p: jax.Array, b: chex.Numeric) -> jax.Array:
  """z ~ p(z | argmax z = b) for z = log p + Gumbel noise, differentiable in log_p.

  Args:
    key: PRNG key.
    log_p: [n], normalised log-probabilities.
    b: int [], the largest coordinate.
  """
  chex.assert_rank([log_p, b], [1, 0])
  v = jax.random.uniform(key, log_p.shape, log_p.dtype, jnp.finfo(log_p.dtype).tiny, 1.0)
  log_v = jnp.log(v)
  z_b = -jnp.log(-log_v[b])
  others = -jnp.log(-log_v * jnp.exp(-log_p) - log_v[b])
  return jnp.where(jnp.arange(log_p.shape[0]) == b, z_b, others)


def gradient(key: chex.PRNGKey, log_p: Callable, gamma: Any, b: chex.Numeric, f: chex.Numeric,
             surrogate: Callable) -> Any:
  """One draw of RELAX.

  Args:
    key: PRNG key.
    log_p: gamma -> normalised log-probabilities [n].
    gamma: pytree.
    b: int [], a sample of the distribution.
    f: [], its value: a constant.
    surrogate: z [n] -> scalar, c: any differentiable function, such as phi . softmax(z / lambda).

  Returns:
    A pytree like gamma.
  """
  chex.assert_rank([b, f], 0)
  key_z, key_tilde = jax.random.split(key)
  # The noise that made b the sample, drawn after the fact: z(gamma) = log p(gamma) + noise is then
  # reparametrised.
  now = lax.stop_gradient(log_p(gamma))
  noise = lax.stop_gradient(conditional(key_z, now, b) - now)

  def objective(gamma):
    logs = log_p(gamma)
    tilde = surrogate(conditional(key_tilde, logs, b))
    return (lax.stop_gradient(f - tilde) * logs[b]) + surrogate(logs + noise) - tilde

  return jax.grad(objective)(gamma)
