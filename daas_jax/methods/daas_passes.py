"""What a step of DAAS draws, and its gradient passes as a table (`daas_jax.estimators.passes`)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.estimators import passes
from daas_jax.methods import arch_gradients, policy_gradients
from daas_jax.types import Batch, Problem, SearchState


class Row(NamedTuple):
  """Of a gradient pass: which architecture, which policy, whether it is one of D_val."""
  z: jax.Array
  policy: jax.Array
  val: jax.Array


def schedule(n_arch: int, n_aug: int, n_w: int, step: Any, weight: Any, n_val: int, each: int = 0,
             keep: bool = False, steps: bool = True) -> passes.Passes:
  """The gradient passes of a step, as a table (`daas_jax.estimators.passes`): n_val + n_w + n_arch
  (n_aug + 1) rows.

  Rows: the validation passes of Eq. 9; the weight passes of Eq. 14; then, for each architecture,
  the n_aug training passes of Eq. 10, whose gradients are kept, and the validation pass at theta',
  which their mean makes. Warm-up runs the first n_val + n_w rows alone. (The paper's sum over j in
  Eq. 10's expectation is a mean here.)

  Args:
    n_arch, n_w: numbers of samples on this device; n_aug: training batches an architecture.
    step: [] factor of the mean gradient in `Passes.point`: -xi (Eq. 10), or 1 where an optimizer
      takes it from there.
    weight: [] factor of each gradient in the sum of Eq. 14 (those of Eq. 10 where n_w = 0).
    n_val: n_arch, or 0 where the gradient of Eq. 9 comes from elsewhere, or nothing is searched of
      the architecture.
    each: policies an image, whose first make the batch; 0: a policy a batch.
    keep: whether all gradients of Eq. 10 and those at theta' are kept, [n_arch n_aug] and [n_arch];
      only those of Eq. 10 of an architecture at a time are otherwise, [n_aug].
    steps: whether there are passes of Eq. 10 and 13; the others share one policy where there are
      none.
  """
  n_train, drawn = n_aug * (n_arch if keep else 1), (each or n_aug) if steps else 0
  n_kept = (n_train + n_arch * keep) if steps else 1  # one, of which nothing is kept
  rows: list[dict[str, Any]] = [dict(z=i, policy=i * drawn, val=1) for i in range(n_val)]
  rows += [dict(z=n_arch + i, policy=n_arch * drawn, weight=1.0) for i in range(n_w)]
  for i in range(n_arch if steps else 0):
    stores = [i * n_aug * keep + j for j in range(n_aug)]
    rows += [dict(z=i, policy=i * drawn + j, store=r, weight=not n_w) for j, r in enumerate(stores)]
    rows += [dict(z=i, policy=i * drawn, val=1, point=stores, store=n_train + i)]
  column = lambda name, default, dtype: jnp.array([r.get(name, default) for r in rows], dtype)
  inner = jnp.array([[float(r in row.get('point', ())) for r in range(n_kept)] for row in rows])
  return passes.Passes(
      inputs=Row(column('z', 0, jnp.int32), column('policy', 0, jnp.int32), column('val', 0, bool)),
      point=inner * (step / n_aug), store=column('store', n_kept, jnp.int32),
      weight=column('weight', 0.0, jnp.float32) * weight)


class Samples(NamedTuple):
  """Architectures z [n_arch + n_w] with their pullback to alpha and beta; policies [n_arch n_aug +
  1], or [1] where no inner step is taken (or as many times [B]), the last one Eq. 14's; a key for
  each (of the network; of images)."""
  z: Any
  pullback: Callable
  policies: Any
  network_keys: jax.Array
  image_keys: jax.Array


def sample(problem: Problem, settings: Any, state: SearchState, tau: Any, key: jax.Array,
           joint: Any, images: int = 0) -> Samples:
  """Draws a step's `Samples`; number i has the key of its number, however many devices draw.

  Args:
    problem, settings, state: as in `daas_jax.methods.daas`.
    tau: temperature.
    key: of the step.
    joint: whether there are policies; the identity otherwise.
    images: B, with a policy an image.
  """
  n_arch, n_w, _ = settings.own
  device = trees.device_index(settings.axis)
  key_arch, key_w, key_policy, key_last = jax.random.split(key, 4)
  arch_keys = jnp.concatenate([arch_gradients.keys(key_arch, device * n_arch, n_arch),
                               arch_gradients.keys(key_w, device * n_w, n_w)])
  z, pullback, network_keys = arch_gradients.draw(problem, arch_keys, state.arch, tau)
  count = n_arch * settings.n_aug * settings.steps
  policy_keys = arch_gradients.keys(key_policy, device * count, count)
  policy_keys, image_keys = arch_gradients.two(jnp.concatenate([policy_keys, key_last[None]]))
  draw = jax.vmap(problem.policies.sample, (0, None))
  if settings.each and (settings.steps or settings.theta_policies):
    policy_keys = jax.vmap(lambda key: jax.random.split(key, images))(policy_keys)
    draw = jax.vmap(draw, (0, None))
  policies = draw(policy_keys, state.gamma)
  plain = problem.policies.identity(policies)
  policies = trees.select(joint, policies, plain)
  if not settings.theta_policies:
    policies = jax.tree.map(lambda a, b: jnp.concatenate([a[:-1], b[-1:]]), policies, plain)
  return Samples(z, pullback, policies, network_keys, image_keys)


def losses(problem: Problem, batch: Batch, drawn: Samples, beside: bool) -> Callable:
  """(theta, z, row, key) -> (loss, accuracy) of a pass.

  Rows of one policy see the same crops, flips and signs: Eq. 14 fixes one augmented batch.

  Args:
    problem, batch: what the losses are of.
    drawn: the step's samples.
    beside: whether every row has both batches, the training one first and its moments for both, and
      a loss of one of them.
  """
  def training(row):
    policy = jax.tree.map(lambda a: a[row.policy], drawn.policies)
    return problem.train_input(batch.train_images, policy,
                               drawn.image_keys[row.policy]), batch.train_labels

  def validation(_):
    return problem.val_input(batch.val_images), batch.val_labels

  def loss_of(theta, z, row, key):
    if not beside:
      return problem.loss(theta, z, *jax.lax.cond(row.val, validation, training, row), key)
    (images, labels), others = training(row), validation(row)
    images, labels = policy_gradients.both(images, others[0], labels, others[1])
    losses, hits = problem.image_losses(theta, z, images, labels, key, True, False)
    counted = jnp.split(jnp.stack([losses, hits]), 2, 1)
    return tuple(jnp.where(row.val, *map(jnp.mean, pair)) for pair in zip(*counted[::-1]))

  return loss_of


def gradient(loss_of: Callable, drawn: Samples, of_z: bool) -> Callable:
  """(theta, row) -> ((loss, accuracy, [gradient of z] or []), gradient of theta).

  Args:
    loss_of: `losses`.
    drawn: the step's samples.
    of_z: whether the gradient of z is taken.
  """
  def of(theta, row):
    z = jax.tree.map(lambda a: a[row.z], drawn.z)
    value = jax.value_and_grad(loss_of, argnums=(0, 1) if of_z else (0,), has_aux=True)
    (loss, accuracy), (g_theta, *g_z) = value(theta, z, row, drawn.network_keys[row.z])
    return (loss, accuracy, g_z), g_theta

  return of


def validation(loss_of: Callable, theta: Any, drawn: Samples,
               n: int) -> tuple[jax.Array, jax.Array]:
  """(loss, accuracy) [n] of D_val at the first n architectures, forward alone: what is reported
  where nothing is searched of the architecture, or not yet.

  Args:
    loss_of: `losses`.
    theta: weights.
    drawn: the step's samples; beside D_val's images are those under the first policy.
    n: of this device: the mean over devices is that over all.
  """
  def one(i):
    row = Row(i, jnp.int32(0), jnp.bool_(True))
    return loss_of(theta, jax.tree.map(lambda a: a[i], drawn.z), row, drawn.network_keys[i])

  return jax.lax.map(one, jnp.arange(n))
