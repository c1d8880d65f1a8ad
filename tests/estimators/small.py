"""A bilevel problem small enough to enumerate: an MLP on random images, 81 policies of real operations, float64."""

import functools
from typing import Any, Callable, NamedTuple

import jax
from jax.flatten_util import ravel_pytree
import jax.numpy as jnp
import numpy as np
import optax

from daas_jax.augment import apply
from daas_jax.estimators import exact, summary
from daas_jax.nets.losses import cross_entropy
from daas_jax.policies import categorical

OPS = ('Rotate', 'Invert', 'Brightness')
SPACE = categorical.Space(OPS, K=2, levels=2)  # (3 (1 + 2)) ** 2 = 81 policies
XI = 0.1


def data(seed=0, n=3, size=8):
  rng = np.random.default_rng(seed)
  return jnp.asarray(rng.uniform(size=(n, size, size, 1))), jnp.asarray(rng.integers(3, size=n))


def losses(logits_of, space=SPACE):
  """(train_loss(theta, policy), val_loss(theta)) of a network on fixed batches."""
  train, val = data(0), data(1)

  def train_loss(theta, policy):
    images = apply.apply_policy(train[0], policy.o, policy.y, categorical.strength(policy.m, space),
                                jax.random.key(7), ops=space.ops)
    return cross_entropy(logits_of(theta, images), train[1])

  return train_loss, lambda theta: cross_entropy(logits_of(theta, val[0]), val[1])


def gamma_of(space, seed=0):
  gamma = categorical.init(jax.random.key(0), space)
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), gamma)


def mlp():
  rng = np.random.default_rng(2)
  theta = {'a': jnp.asarray(rng.normal(size=(64, 5)) / 8), 'b': jnp.asarray(rng.normal(size=(5, 3)))}
  return theta, lambda theta, x: jnp.tanh(x.reshape(len(x), -1) @ theta['a']) @ theta['b']


def log_prob(space=SPACE):
  return lambda gamma, policy: categorical.log_prob(gamma, policy, space)


def flat(tree):
  """pi before p before delta."""
  return jnp.concatenate([jnp.ravel(tree[name]) for name in ('pi', 'p', 'delta')])


class Enumerated(NamedTuple):
  """All that a draw looks up. theta and gradients are flat; s are the alignments at the exact theta'."""
  theta: Any
  gamma: Any
  policies: Any
  log_p: Any
  gradients: Any
  g_val: Callable
  val_loss: Callable
  train_loss: Callable
  s: Any
  exact: Any

  def pick(self, index):
    return jax.tree.map(lambda a: a[index], self.policies)

  def draw(self, key, n, shape=(1,)):
    return jax.random.categorical(key, self.log_p, shape=(*shape, n))


@functools.cache
def enumerated(xi=XI):
  """The `Enumerated` problem; call it with float64 on."""
  tree, logits_of = mlp()
  theta, unravel = ravel_pytree(tree)
  train, val = losses(logits_of)
  train_loss, val_loss = (lambda t, policy: train(unravel(t), policy)), (lambda t: val(unravel(t)))
  gamma, policies = gamma_of(SPACE), categorical.enumerate_policies(SPACE)
  gradient, theta_prime = jax.jit(lambda: exact.policy_gradient(
      val_loss, train_loss, log_prob(), theta, gamma, policies, optax.sgd(xi)))()
  gradients = jax.jit(lambda: jax.lax.map(lambda policy: jax.grad(train_loss)(theta, policy), policies))()
  log_p = jax.vmap(lambda policy: categorical.log_prob(gamma, policy, SPACE))(policies)
  g_val = jax.jit(jax.grad(val_loss))
  return Enumerated(theta, gamma, policies, log_p, gradients, g_val, val_loss, train_loss,
                    gradients @ g_val(theta_prime), np.asarray(flat(gradient)))


def repeat(one, draws, seed=0, batch=200):
  """[draws, d] numpy: the flat estimates one(key) of so many keys, compiled once."""
  keys = jax.random.split(jax.random.key(seed), draws)
  return np.asarray(jax.jit(lambda keys: jax.lax.map(one, keys, batch_size=batch))(keys))


THRESHOLD = 5.0
"""Largest |z| of an unbiased estimator over some tens of coordinates: 6e-7 each, two-sided."""


def worst_z(draws, reference):
  return float(np.abs(summary.z_scores(draws, reference)).max())
