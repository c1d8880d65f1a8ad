"""One draw of each kind: which policies, and the alignments that passes through the network gave
them.

Estimators that need the same passes share a draw (`daas_jax.gradcheck.estimators`). A kind is a
function (point, key) -> dict of arrays; gradients of L_train at theta are looked up in the point's
table, all other passes are run.
"""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.estimators import ddas, unrolled
from daas_jax.policies import categorical


def _log_p(point):
  return jax.vmap(lambda policy: categorical.log_prob(point.gamma, policy, point.space))(
      point.policies)


def _independent(point, key, n):
  return np.asarray(jax.random.categorical(key, _log_p(point), shape=(n,)))


def index_of(policies, picked):
  """Numbers [m] of the picked policies in the enumeration; m_k counts only where y_k = 1."""
  same = (picked.o[:, None] == policies.o[None]) & (picked.y[:, None] == policies.y[None])
  same &= (picked.y[:, None] == 0) | (picked.m[:, None] == policies.m[None])
  return jnp.argmax(jnp.all(same, -1), -1)


def systematic_policies(key, gamma, space, n):
  """n policies, each from p(Gamma), together spread over the space: systematic sampling of every
  coordinate.

  Operation, application and level of a slot come from uniform numbers (u + j / n) mod 1 in a random
  order of j = 0..n - 1, so the policies of a step repeat each other less than independent ones do.

  Args:
    key: PRNG key.
    gamma: as `categorical.init` returns.
    space: the policy space.
    n: policies.

  Returns:
    A `categorical.Policy` of arrays [n, K].
  """
  key_u, key_order = jax.random.split(key)
  start = jax.random.uniform(key_u, (3, space.K, 1))
  grid = jnp.broadcast_to(jnp.arange(n) / n, (3, space.K, n))
  u = (start + jax.random.permutation(key_order, grid, axis=-1, independent=True)) % 1.0
  pick = lambda logits, u: jnp.sum(
      jnp.cumsum(jax.nn.softmax(logits), -1)[..., :-1] < u[..., None], -1)

  def one(u):  # [3, K]
    o = pick(gamma['pi'], u[0]).astype(jnp.int32)
    p, delta = categorical.rows(gamma, o, space)
    y = u[1] < jax.nn.sigmoid(p)
    return categorical.Policy(o, y.astype(jnp.int32), pick(delta, u[2]).astype(jnp.int32))

  return jax.vmap(one, 2)(u)


def _gradients(point, index):
  """grad L_train(theta, Gamma) of those policies: [m, d]."""
  return point.gradients[point.outcome[index]]


def _theta_prime(point, index):
  """theta - xi * mean of the gradients of those policies (DAAS Eq. 10)."""
  return unrolled.inner_step(point.theta, jnp.asarray(_gradients(point, index).mean(0)), point.xi)


def _align(point, theta, index):
  return _gradients(point, index) @ np.asarray(point.val(theta)[1])


def _finite(point, index, v):
  """Alignments of those policies with v by finite differences of their losses: [m]."""
  loss = lambda i: lambda theta: jnp.mean(
      point.image_losses(theta, point.images[point.outcome[i]], point.labels))
  return np.array([unrolled.finite_difference(loss(i), point.theta, v) for i in index])


def same(point, key):
  """n_aug policies; theta' is built from them. `finite`: their alignments by finite differences, at
  the same theta'."""
  index = _independent(point, key, point.n_aug)
  v = point.val(_theta_prime(point, index))[1]
  return {
      'index': index,
      's': _gradients(point, index) @ np.asarray(v),
      'finite': _finite(point, index, v)
  }


def single(point, key):
  """One policy, theta' built from it, its alignment by a finite difference (DADA's code)."""
  index = _independent(point, key, 1)
  v = point.val(_theta_prime(point, index))[1]
  return {'index': index, 'finite': _finite(point, index, v)}


def independent(point, key):
  """n_aug policies; theta' is built from n_aug others."""
  key, other = jax.random.split(key)
  index = _independent(point, key, point.n_aug)
  return {
      'index': index,
      's': _align(point, _theta_prime(point, _independent(point, other, point.n_aug)), index)
  }


def systematic(point, key):
  """n_aug policies by systematic sampling; theta' is built from them."""
  index = np.asarray(
      index_of(point.policies, systematic_policies(key, point.gamma, point.space, point.n_aug)))
  return {'index': index, 's': _align(point, _theta_prime(point, index), index)}


def uniform(point, key):
  """DDAS: n_aug policies drawn uniformly from those that do something; weights P(D_l) / Z; the
  clean batch (Eq. 12)."""
  p = np.exp(np.asarray(_log_p(point), np.float64))
  nothing = np.asarray(jnp.all(point.policies.y == 0, -1))
  index = np.asarray(jax.random.choice(key, np.flatnonzero(~nothing), (point.n_aug,)))
  p_tp = p[~nothing].sum()
  clean = point.gradients[0]
  weights, _ = ddas.drawn_weights(jnp.asarray(p[index] / p_tp), p_tp)
  theta = ddas.theta_prime(point.theta, clean, _gradients(point, index), weights, point.xi)
  a = ddas.alignments(point.val(theta)[1], clean, _gradients(point, index))
  return {'index': index, 'a': np.asarray(a), 'Z': p[index].sum() / p_tp}


def straight_through(point, key):
  """DADA's paper: one straight-through sample; the mixed derivative by a finite difference of image
  gradients."""
  images = point.mixture(point.gamma, key)
  g_train = point.value_and_gradients(point.theta, images, point.labels)[1]
  v = point.val(unrolled.inner_step(point.theta, g_train, point.xi))[1]
  image_gradient = lambda theta: point.value_and_gradients(theta, images, point.labels)[2]
  mixed = unrolled.finite_difference(image_gradient, point.theta, v)
  gradient = point.mixture_pullback(point.gamma, key, -point.xi * mixed)
  return {name: np.asarray(a) for name, a in gradient.items()}


def per_image(point, key):
  """A policy for every image: theta' from one mixed batch, all B alignments of another by one
  forward-mode pass.

  Batch normalisation sees images of many policies at once, so this is not the gradient of the
  point's training loss; what image b's policy does to the losses of the others is left out.
  `clean`: the same derivatives of the images without policy.
  """
  keys = jax.random.split(key)
  b = len(point.labels)
  indices = [_independent(point, k, b) for k in keys]
  first, second = (point.images[point.outcome[i], jnp.arange(b)] for i in indices)
  g_train = point.value_and_gradients(point.theta, first, point.labels)[1]
  v = point.val(unrolled.inner_step(point.theta, g_train, point.xi))[1]
  along = lambda images: np.asarray(point.image_tangents(point.theta, v, images, point.labels))
  return {'index': indices[1], 's': along(second), 'clean': along(point.images[0])}


def past(point, step, key):
  """What a step on another batch would have left behind: its n_aug policies and their alignments
  (as `same`).

  `step` is one of `point.other_step`. Weights, architecture and gamma are the point's own: in a
  search they move, and what is learned lags behind them.
  """
  images, labels, val = step
  key_policy, key_images = jax.random.split(key)
  index = _independent(point, key_policy, point.n_aug)
  inputs = [
      point.train_input(images, jax.tree.map(lambda a, j=j: a[j], point.policies), key_images)
      for j in index
  ]
  gradients = jnp.stack([point.value_and_gradients(point.theta, x, labels)[1] for x in inputs])
  v = val(unrolled.inner_step(point.theta, jnp.mean(gradients, 0), point.xi))[1]
  return {'index': index, 's': np.asarray(gradients @ v)}


KINDS = {
    'same': same,
    'single': single,
    'independent': independent,
    'systematic': systematic,
    'uniform': uniform,
    'straight_through': straight_through,
    'per_image': per_image
}
