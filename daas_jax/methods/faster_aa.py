"""Faster AutoAugment alone: a policy whose images a critic cannot tell from the others (Hataya et
al., ECCV 2020).

The baseline of joint search. One step, for a batch of D_train in two halves A and B, both cropped
and flipped:

  1. A' = policy(A), and both normalised and with Cutout where there is one; theta <- Adam on
       E[D(A')] - E[D(B)] + lambda E[(||grad D(x_hat)||_2 - 1)^2] + epsilon CE(B),  x_hat between B
       and A';
  2. A' drawn anew; gamma <- Adam on  -E[D(A')] + epsilon CE(A')  at the new theta, then `project`.

One network gives the critic's value D and the logits of CE, the cross-entropy: they share all but
the last layer. As in the public code, the critic takes one step to each of the policy's, and the
norm of the penalty is over the whole image (`daas_jax.estimators.wgan`), which is not as in the
public code. The validation images are only looked at, for their accuracy.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.augment import inputs, preprocess
from daas_jax.config.key import above, at_least, between, Key
from daas_jax.errors import BadInput
from daas_jax.estimators import wgan
from daas_jax.estimators.unrolled import update
from daas_jax.methods import optimizers as optimizers_lib, problem as problem_lib, registry
from daas_jax.nets.losses import accuracy, cross_entropies
from daas_jax.nets.registry import NOTHING
from daas_jax.policies import relaxed
from daas_jax.types import Method, SearchState


class Settings(NamedTuple):
  """What Faster AutoAugment needs besides its problem; the defaults are those of the public code.

  Attributes:
    optimizers: {'theta', 'gamma'}: optax transformations; in the public code Adam(1e-3, b1=0,
      b2=0.999) both.
    penalty: lambda of the gradient penalty.
    classification: epsilon, weight of the cross-entropy in both losses.
  """
  optimizers: dict
  penalty: float = 10.0
  classification: float = 0.1


class CriticProblem(NamedTuple):
  """What Faster AutoAugment searches over and what it measures: a `Problem` of a critic and images
  in two stages.

  Attributes:
    init_theta: key -> theta.
    init_gamma: key -> gamma.
    critic: (theta, images as `finish` gives them, key) -> (values D [B], logits [B, n]).
    prepare: (images uint8 [B, H, W, C], key) -> cropped and flipped images, float in [0, 1].
    augment: (gamma, images float in [0, 1], key) -> images float in [0, 1], differentiable in
      gamma.
    finish: (images float in [0, 1], key) -> the network's input: normalised, with Cutout.
    val_input: images uint8 -> the network's input.
    project: gamma -> gamma within its bounds.
  """
  init_theta: Callable
  init_gamma: Callable
  critic: Callable
  prepare: Callable
  augment: Callable
  finish: Callable
  val_input: Callable
  project: Callable


def _cross_entropy(logits, labels):
  return jnp.mean(cross_entropies(logits, labels))


def critic_loss(problem: CriticProblem, settings: Settings, theta: Any, real: jax.Array,
                labels: jax.Array, fake: jax.Array, eps: jax.Array,
                key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
  """(loss [], {metric: scalar}) of the first part of a step; differentiable in theta.

  Args:
    problem, settings: `CriticProblem`, `Settings`.
    theta: weights.
    real, labels: half B, the network's input [B, H, W, C], and its labels [B].
    fake: half A', the network's input [B, H, W, C].
    eps: [B], uniform in [0, 1], where between them the penalty is taken.
    key: PRNG key of the network.
  """
  d_real, logits = problem.critic(theta, real, key)
  d_fake, _ = problem.critic(theta, fake, key)
  distance = -wgan.critic_loss(d_real, d_fake)
  penalty = wgan.gradient_penalty(lambda x: problem.critic(theta, x, key)[0],
                                  wgan.interpolate(eps, real, fake), settings.penalty)
  classification = _cross_entropy(logits, labels)
  return penalty - distance + settings.classification * classification, {
      'distance': distance, 'penalty': penalty, 'train_loss': classification,
      'train_accuracy': accuracy(logits, labels)}


def _augmented(problem, gamma, images, key):
  """A' as the network sees it."""
  return problem.finish(problem.augment(gamma, images, key), jax.random.fold_in(key, 1))


def policy_loss(problem: CriticProblem, settings: Settings, gamma: Any, theta: Any,
                images: jax.Array, labels: jax.Array, key_augment: jax.Array,
                key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
  """(loss [], {metric: scalar}) of the second part of a step; differentiable in gamma.

  Args:
    problem, settings: `CriticProblem`, `Settings`.
    gamma, theta: parameters of the policy, weights of the critic.
    images, labels: half A as `prepare` gives it, [B, H, W, C], and its labels [B].
    key_augment, key: PRNG keys of the policy and of the network.
  """
  augmented = _augmented(problem, gamma, images, key_augment)
  d, logits = problem.critic(theta, augmented, key)
  classification = _cross_entropy(logits, labels)
  return settings.classification * classification - jnp.mean(d), {
      'augmented_loss': classification, 'augmented_accuracy': accuracy(logits, labels)}


def make(problem: CriticProblem, settings: Settings) -> Method:
  """Builds Faster AutoAugment.

  Args:
    problem: a `CriticProblem`.
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
    return trees.strongly_typed(
        SearchState(jnp.int32(0), key_run, theta, {}, gamma, optimizers['theta'].init(theta), {},
                    optimizers['gamma'].init(gamma), {}))

  def step(state, batch):
    half, odd = divmod(len(batch.train_labels), 2)
    if odd or not half:
      raise BadInput(
          'Faster AutoAugment splits a batch in two halves: make it an even number of images, '
          f'from 2 on, not {2 * half + odd}')
    keys = jax.random.split(jax.random.fold_in(state.key, state.step), 5)
    images, labels = problem.prepare(batch.train_images, keys[0]), batch.train_labels
    real = problem.finish(images[half:], jax.random.fold_in(keys[2], 1))
    fake = _augmented(problem, state.gamma, images[:half], keys[1])
    eps = jax.random.uniform(keys[2], (half,))

    g_theta, found = jax.grad(
        lambda theta: critic_loss(problem, settings, theta, real, labels[half:], fake, eps, keys[4]
                                 ), has_aux=True)(state.theta)
    theta, opt_theta = update(optimizers['theta'], g_theta, state.opt_theta, state.theta)

    g_gamma, augmented = jax.grad(
        lambda gamma: policy_loss(problem, settings, gamma, theta, images[:half], labels[:half],
                                  keys[3], keys[4]), has_aux=True)(state.gamma)
    gamma, opt_gamma = update(optimizers['gamma'], g_gamma, state.opt_gamma, state.gamma)

    logits = problem.critic(theta, problem.val_input(batch.val_images), keys[4])[1]
    metrics = found | augmented | {
        'val_loss': _cross_entropy(logits, batch.val_labels),
        'val_accuracy': accuracy(logits, batch.val_labels),
        'grad_norm_theta': trees.norm(g_theta),
        'grad_norm_gamma': trees.norm(g_gamma)
    }
    return state._replace(step=state.step + 1, theta=theta, gamma=problem.project(gamma),
                          opt_theta=opt_theta, opt_gamma=opt_gamma), metrics

  return Method(init, step)


# --- as a method of the table ---------------------------------------------------------------------


def two_heads(outputs: jax.Array) -> tuple[jax.Array, jax.Array]:
  """(D [B], logits [B, n]) of a classifier's outputs [B, n + 1]: a classifier of one class more is
  a critic.

  The critic's head is linear in the features; in Faster AutoAugment's code it is a perceptron with
  one hidden layer.
  """
  return outputs[:, -1], outputs[:, :-1]


def critic_problem(config: Any, data: Any, split: bool = False,
                   saw: Callable | None = None) -> CriticProblem:
  """Builds the `CriticProblem` of a config: the network has one output more, the critic's value.

  Args:
    config: a search config of this method.
    data: a `daas_jax.data.dataset.Dataset`.
    split, saw: as for `daas_jax.methods.problem.build`.
  """
  outputs_of, space = len(data.class_names) + 1, problem_lib.policy_space(config)
  outputs = problem_lib.forward(config, outputs_of, split, saw)
  return CriticProblem(
      init_theta=problem_lib.init_theta(
          config, outputs_of,
          data.train_images.shape[1:]), init_gamma=lambda key: relaxed.init(key, space),
      critic=lambda theta, images, key: two_heads(outputs(theta, {}, images, key)),
      prepare=lambda images, key: inputs.standard_preprocessing(preprocess.to_float(images), key,
                                                                config.preprocess),
      augment=lambda gamma, images, key: relaxed.apply(gamma, space, images, key),
      finish=inputs.finished(config, data), val_input=inputs.val_input(data),
      project=relaxed.project)


KEYS = {
    'search.penalty': Key(10.0, at_least(0), 'lambda of the gradient penalty (WGAN-GP)'),
    'search.classification': Key(0.1, at_least(0),
                                 'epsilon, weight of the cross-entropy (Faster AutoAugment code)'),
    'theta.optimizer': optimizers_lib.THETA_KEYS['theta.optimizer']._replace(default='adam'),
    'theta.lr': Key(1e-3, above(0), 'of the critic (Faster AutoAugment code)'),
    'theta.momentum': optimizers_lib.THETA_KEYS['theta.momentum'],
    'theta.b1': Key(0.0, between(0, 1, False, True),
                    'of Adam and its like (Faster AutoAugment code)'),
    'theta.b2': optimizers_lib.THETA_KEYS['theta.b2'],
    'theta.weight_decay': Key(0.0, at_least(0), 'L2 (Faster AutoAugment code)'),
    **optimizers_lib.GAMMA_KEYS,
    'gamma.lr': Key(1e-3, above(0), 'of z, p and mu (Faster AutoAugment code)'),
    'adam.b1': Key(0.0, between(0, 1, False, True), "of gamma's Adam (Faster AutoAugment code)"),
}


def check(flat: Mapping[str, Any]) -> None:
  """Refuses a batch that has no halves, and a policy before crop and flip."""
  if flat['preprocess.policy_first']:
    raise BadInput("config key 'preprocess.policy_first' must be False with this method: its "
                   'critic sees images that are cropped and flipped before the policy')
  if flat['search.batch'] % 2:
    raise BadInput(
        f"config key 'search.batch' must be even, not {flat['search.batch']}: a critic compares "
        "its halves"
    )


def from_config(config: Any, problem: CriticProblem, steps_per_epoch: int, devices: int,
                axis: str | None) -> Method:
  """Faster AutoAugment as a config says; see `daas_jax.methods.registry.Row`."""
  del steps_per_epoch, devices
  registry.one_sample(config, axis)
  optimizers = {
      'theta': optimizers_lib.of_theta(config),
      'gamma': optimizers_lib.searched(config, 'gamma')
  }
  return make(problem, Settings(optimizers, config.search.penalty, config.search.classification))


registry.register('faster_aa', registry.Row(
    from_config, registry.about(__doc__), KEYS, policy='relaxed', searches=(NOTHING,), check=check,
    phase=lambda config, epoch: 'policy', problem=critic_problem))
