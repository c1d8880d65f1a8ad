"""What a policy is worth without a step: D_val's accuracy by the moments of its images.

A network in use normalises by the moments that it was trained with (`daas_jax.nets.normalisation`).
The share of D_val that is right at theta, with the moments of Gamma(D_train), asks whether a
policy's images are to the network what D_val is: a forward pass a policy. Among single operations
it ranks as retraining under them does, far better than the papers' one-step objective, and better
than the loss or the likelihood by the same moments (docs/objective.md). Another operation can have
the moments of D_val and not its images (Solarize nearly those of a camera that darkens): whether
the network still knows the policy's own images can be asked in the same pass, with a weight, as the
classification loss of Faster AutoAugment does. What both are best asked of is a network that was
trained without policies, as Fast AutoAugment's density matching does.

The objective is the expectation of that over policies, whose exact gradient is a sum over all of
them. It takes the place of the alignment in Eq. 13, with xi = 1; theta moves by Eq. 14 alone. (The
loss, which has no bound, is led by the few policies that ruin an image.)
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.config.key import anything, at_least, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.methods import arch_gradients, policy_gradients
from daas_jax.types import Batch, Problem

KEYS = {
    'search.objective': Key(
        'step', one_of('step', 'direction', 'moments'),
        "L_val after a step of the inner gradient's length (the papers); with a policy an image, "
        'after one in its direction of fixed length; or moments: the share of D_val that is right '
        'by the moments of images under a policy, without a step'),
    'search.classification': Key(
        0.0, at_least(0), "with objective = moments: weight of the share of a policy's own images "
        'that is right beside that of D_val (Faster AutoAugment has 0.1, of its loss)'),
    'search.theta_policies': Key(
        True, anything, 'whether theta is trained under policies (Eq. 14); n_w > 0 has the choice'),
}


def check(flat: Mapping[str, Any]) -> None:
  """Refuses what has no place where no inner step is taken, and passes that theta has not.

  Raises:
    BadInput: of a config {'group.key': value}.
  """
  if not (flat['search.theta_policies'] or flat['search.n_w']):
    raise BadInput("config key 'search.theta_policies' = False needs search.n_w of at least 1: at "
                   '0 theta moves by the gradients of Eq. 10, which have policies')
  if flat['search.objective'] != 'moments':
    key = 'search.classification'
    if flat[key] != KEYS[key].default:
      raise BadInput(f"config key {key!r} = {flat[key]} needs search.objective = 'moments'")
    return
  needs = "config key 'search.objective' = 'moments' takes no inner step: "
  if not flat['search.n_w']:
    raise BadInput(needs + "set search.n_w to at least 1, the passes that theta moves by")
  for key, value in (('search.inner', 'sgd'), ('search.xi', 0)):
    if flat[key] != value:
      raise BadInput(needs + f'set {key} to {value!r}')


def require(problem: Problem, settings: Any) -> None:
  """What `check` asks of a config, of a `Settings` by hand.

  Raises:
    ValueError: theta has no passes of its own, or the problem no losses of images.
  """
  if not settings.n_w and not (settings.steps and settings.theta_policies):
    raise ValueError('n_w=0 leaves theta no passes of its own: objective=moments and '
                     'theta_policies=False need n_w >= 1')
  if not settings.steps and (settings.inner != 'sgd' or settings.xi is not None):
    raise ValueError('objective=moments takes no inner step: leave inner and xi as they are')
  if not settings.steps and problem.image_losses is None:
    raise ValueError('objective=moments needs Problem.image_losses')


class Drawn(NamedTuple):
  """Policies, leaves [n_arch n_aug, ...], each for a whole batch; image_keys [n_arch]: all of an
  architecture see the same crops, flips and signs, so that they differ in the policy alone."""
  policies: Any
  image_keys: jax.Array


def draw(problem: Problem, settings: Any, gamma: Any, key: jax.Array) -> Drawn:
  """Draws this device's policies of a step.

  Args:
    problem, settings: as in `daas_jax.methods.daas`.
    gamma: of the policies.
    key: of this use in this step, the same on all devices.
  """
  n_arch, n_aug = settings.own[0], settings.n_aug
  first = n_arch * trees.device_index(settings.axis)
  of_policies, of_images = jax.random.split(key)
  policy_keys = arch_gradients.keys(of_policies, first * n_aug, n_arch * n_aug)
  return Drawn(jax.vmap(problem.policies.sample, (0, None))(policy_keys, gamma),
               arch_gradients.keys(of_images, first, n_arch))


def gains(problem: Problem, theta: Any, z: Any, network_keys: jax.Array, batch: Batch,
          drawn: Drawn, classification: float = 0.0, images: int = 0) -> jax.Array:
  """s_ij, the share of D_val that is right at (theta, z_i), normalised by the moments of
  Gamma_ij(D_train), and of these images themselves: [n_arch, n_aug], in [0, 1 + classification].

  Args:
    problem: whose `image_losses` is used.
    theta: weights.
    z: architectures, leaves [n_arch or more, ...]; the first n_arch are used.
    network_keys: [n_arch or more], of the noise in the network.
    batch: of B images in each half.
    drawn: `Drawn`.
    classification: weight of the second share.
    images: how many of each half are taken, the first ones; 0: all B.
  """
  batch = jax.tree.map(lambda a: a[: images or None], batch)
  B, n_arch = len(batch.train_labels), len(drawn.image_keys)
  n_aug = len(jax.tree.leaves(drawn.policies)[0]) // n_arch
  val = problem.val_input(batch.val_images)
  pick = lambda tree, i: jax.tree.map(lambda a: a[i], tree)

  def one(number):
    i = number // n_aug
    seen = problem.train_input(batch.train_images, pick(drawn.policies, number),
                               drawn.image_keys[i])
    both = policy_gradients.both(seen, val, batch.train_labels, batch.val_labels)
    hits = problem.image_losses(theta, pick(z, i), *both, network_keys[i], True, False)[1]
    own, of_val = jnp.mean(hits.reshape(2, B), 1, dtype=jnp.result_type(float))
    return of_val + classification * own

  return jax.lax.map(one, jnp.arange(n_arch * n_aug)).reshape(n_arch, n_aug)
