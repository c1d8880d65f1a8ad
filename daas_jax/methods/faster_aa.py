"""Faster AutoAugment alone: a policy whose images a critic cannot tell from the others (Hataya et al., ECCV 2020).

The baseline of joint search. One step, for a batch of D_train in two halves A and B, both cropped and flipped:

  1. A' = policy(A); theta <- Adam on
       E[D(A')] - E[D(B)] + lambda E[(||grad D(x_hat)||_2 - 1)^2] + epsilon CE(B),  x_hat between B and A';
  2. A' drawn anew; gamma <- Adam on  -E[D(A')] + epsilon CE(A')  at the new theta, then `project`.

One network gives the critic's value D and the logits of CE, the cross-entropy: they share all but the last layer. As in
the public code, the critic takes one step to each of the policy's, and the norm of the penalty is over the whole image
(`daas_jax.estimators.wgan`), which is not as in the public code. The validation images are only looked at, for their
accuracy.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from daas_jax import trees
from daas_jax.errors import BadInput
from daas_jax.estimators import wgan
from daas_jax.methods.optimizers import update
from daas_jax.types import Method, SearchState


class Settings(NamedTuple):
  """What Faster AutoAugment needs besides its problem; the defaults are those of the public code.

  Attributes:
    optimizers: {'theta', 'gamma'}: optax transformations; in the public code Adam(1e-3, b1=0, b2=0.999) both.
    penalty: lambda of the gradient penalty.
    classification: epsilon, weight of the cross-entropy in both losses.
  """
  optimizers: dict
  penalty: float = 10.0
  classification: float = 0.1


def _cross_entropy(logits, labels):
  return jnp.mean(optax.softmax_cross_entropy_with_integer_labels(logits, labels))


def _accuracy(logits, labels):
  return jnp.mean((jnp.argmax(logits, -1) == labels).astype(jnp.float32))


def critic_loss(problem, settings, theta, real, labels, fake, eps, key):
  """(loss [], {metric: scalar}) of the first part of a step; differentiable in theta.

  Args:
    problem, settings: `daas_jax.types.CriticProblem`, `Settings`.
    theta: weights.
    real, labels: half B, the network's input [B, H, W, C], and its labels [B].
    fake: half A', the network's input [B, H, W, C].
    eps: [B], uniform in [0, 1], where between them the penalty is taken.
    key: PRNG key of the network.
  """
  d_real, logits = problem.critic(theta, real, key)
  d_fake, _ = problem.critic(theta, fake, key)
  distance = -wgan.critic_loss(d_real, d_fake)
  penalty = wgan.gradient_penalty(lambda x: problem.critic(theta, x, key)[0], wgan.interpolate(eps, real, fake),
                                  settings.penalty)
  classification = _cross_entropy(logits, labels)
  return penalty - distance + settings.classification * classification, {
      'distance': distance, 'penalty': penalty, 'train_loss': classification,
      'train_accuracy': _accuracy(logits, labels)}


def policy_loss(problem, settings, gamma, theta, images, labels, key_augment, key):
  """(loss [], {metric: scalar}) of the second part of a step; differentiable in gamma.

  Args:
    problem, settings: `daas_jax.types.CriticProblem`, `Settings`.
    gamma, theta: parameters of the policy, weights of the critic.
    images, labels: half A as `prepare` gives it, [B, H, W, C], and its labels [B].
    key_augment, key: PRNG keys of the policy and of the network.
  """
  augmented = problem.normalise(problem.augment(gamma, images, key_augment))
  d, logits = problem.critic(theta, augmented, key)
  classification = _cross_entropy(logits, labels)
  return settings.classification * classification - jnp.mean(d), {
      'augmented_loss': classification, 'augmented_accuracy': _accuracy(logits, labels)}


def make(problem, settings):
  """Builds Faster AutoAugment.

  Args:
    problem: a `daas_jax.types.CriticProblem`.
    settings: `Settings`.

  Returns:
    A `daas_jax.types.Method` whose step is one step of both networks; its metrics are scalars.

  Raises:
    BadInput: at the first step, where the training batch has an odd number of images.
  """
  optimizers = settings.optimizers

  def init(key):
    key_theta, key_gamma, key_run = jax.random.split(key, 3)
    theta, gamma = problem.init_theta(key_theta), problem.init_gamma(key_gamma)
    return trees.strongly_typed(SearchState(
        jnp.int32(0), key_run, theta, {}, gamma, optimizers['theta'].init(theta), {}, optimizers['gamma'].init(gamma),
        {}))

  def step(state, batch):
    half, odd = divmod(len(batch.train_labels), 2)
    if odd or not half:
      raise BadInput(f'Faster AutoAugment splits a batch in two halves: make it an even number of images, from 2 on, '
                     f'not {2 * half + odd}')
    keys = jax.random.split(jax.random.fold_in(state.key, state.step), 5)
    images, labels = problem.prepare(batch.train_images, keys[0]), batch.train_labels
    real = problem.normalise(images[half:])
    fake = problem.normalise(problem.augment(state.gamma, images[:half], keys[1]))
    eps = jax.random.uniform(keys[2], (half,))

    g_theta, found = jax.grad(
        lambda theta: critic_loss(problem, settings, theta, real, labels[half:], fake, eps, keys[4]),
        has_aux=True)(state.theta)
    theta, opt_theta = update(optimizers['theta'], g_theta, state.opt_theta, state.theta)

    g_gamma, augmented = jax.grad(
        lambda gamma: policy_loss(problem, settings, gamma, theta, images[:half], labels[:half], keys[3], keys[4]),
        has_aux=True)(state.gamma)
    gamma, opt_gamma = update(optimizers['gamma'], g_gamma, state.opt_gamma, state.gamma)

    logits = problem.critic(theta, problem.val_input(batch.val_images), keys[4])[1]
    metrics = found | augmented | {
        'val_loss': _cross_entropy(logits, batch.val_labels), 'val_accuracy': _accuracy(logits, batch.val_labels),
        'grad_norm_theta': trees.norm(g_theta), 'grad_norm_gamma': trees.norm(g_gamma)}
    return state._replace(step=state.step + 1, theta=theta, gamma=problem.project(gamma), opt_theta=opt_theta,
                          opt_gamma=opt_gamma), metrics

  return Method(init, step)
