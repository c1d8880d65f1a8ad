"""Joint DARTS and Faster AutoAugment: policy and architecture by gradients through the augmented
images (Alg. 1).

Kashima et al., Joint Search of Data Augmentation Policies and Network Architectures. One step of
Alg. 1, for a batch of D_val and one of D_train:

  1. X' = the relaxed policy on the validation batch (Eq. 2);
     gamma, alpha <- Adam on the gradients of L_val(theta, alpha, X'), first order: xi = 0 in Eq. 8;
  2. X' = the relaxed policy, as it is now, on the training batch;
     theta <- SGD on the gradient of L_train(theta, alpha, X').

Two gradient passes of the dense supernet. On a clean validation batch gamma would have no gradient
at all: the augmented one is what gives it a say. That is another question than DAAS's, though:
gamma makes the loss small on the images that it made itself, so it is drawn to those that the
network already knows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.config.key import Key
from daas_jax.estimators.unrolled import update
from daas_jax.methods import optimizers as optimizers_lib, registry, stopping
from daas_jax.nets.cells.primitives import DARTS_PRIMITIVES, some_primitives
from daas_jax.types import Method, Problem, SearchState


class Settings(NamedTuple):
  """What the joint search needs besides its problem.

  Attributes:
    lr: step -> learning rate of theta.
    optimizers: {'theta', 'arch', 'gamma'}: optax transformations.
    augment_validation: whether the validation batch is augmented, as in Alg. 1; False is the clean
      batch, for a test.
  """
  lr: Callable
  optimizers: dict
  augment_validation: bool = True


def make(problem: Problem, settings: Settings) -> Method:
  """Builds the joint search.

  Args:
    problem: a `daas_jax.types.Problem` whose train_input takes gamma for a policy and is
      differentiable in it; its policies are `daas_jax.policies.relaxed.Policies` or have what these
      have, and its arch.sample gives the mixture of all operations, differentiable in arch.
    settings: `Settings`.

  Returns:
    A `daas_jax.types.Method` whose step is one turn of Alg. 1; its metrics are scalars.
  """
  optimizers = settings.optimizers

  def init(key):
    key_theta, key_arch, key_gamma, key_run = jax.random.split(key, 4)
    theta, arch, gamma = problem.init_theta(key_theta), problem.arch.init(
        key_arch), problem.policies.init(key_gamma)
    return trees.strongly_typed(
        SearchState(jnp.int32(0), key_run, theta, arch, gamma, optimizers['theta'].init(theta),
                    optimizers['arch'].init(arch), optimizers['gamma'].init(gamma), {}))

  def clean_val_input(images, gamma, key):
    del gamma, key
    return problem.val_input(images)

  val_input = problem.train_input if settings.augment_validation else clean_val_input

  def loss(theta, arch, gamma, images, labels, key, prepare):
    key_arch, key_image, key_network = jax.random.split(key, 3)
    images = prepare(images, gamma, key_image)
    return problem.loss(theta, problem.arch.sample(key_arch, arch, 1.0), images, labels,
                        key_network)

  def step(state, batch):
    key_val, key_train = jax.random.split(jax.random.fold_in(state.key, state.step))
    (val_loss, val_accuracy), (g_arch, g_gamma) = jax.value_and_grad(
        loss, (1, 2), has_aux=True)(state.theta, state.arch, state.gamma, batch.val_images,
                                    batch.val_labels, key_val, val_input)
    arch, opt_arch = update(optimizers['arch'], g_arch, state.opt_arch, state.arch)
    gamma, opt_gamma = update(optimizers['gamma'], g_gamma, state.opt_gamma, state.gamma)
    gamma = problem.policies.project(gamma)

    (train_loss, train_accuracy), g_theta = jax.value_and_grad(
        loss, has_aux=True)(state.theta, arch, gamma, batch.train_images, batch.train_labels,
                            key_train, problem.train_input)
    theta, opt_theta = update(optimizers['theta'], g_theta, state.opt_theta, state.theta)
    metrics = {
        'train_loss': train_loss,
        'train_accuracy': train_accuracy,
        'val_loss': val_loss,
        'val_accuracy': val_accuracy,
        'lr': settings.lr(state.step),
        'grad_norm_theta': trees.norm(g_theta),
        'grad_norm_arch': trees.norm(g_arch),
        'grad_norm_gamma': trees.norm(g_gamma)
    }
    return SearchState(state.step + 1, state.key, theta, arch, gamma, opt_theta, opt_arch,
                       opt_gamma, {}), metrics

  return Method(init, step)


# --- as a method of the table ---------------------------------------------------------------------

KEYS = {
    **optimizers_lib.THETA_KEYS,
    **optimizers_lib.ARCH_KEYS,
    **optimizers_lib.GAMMA_KEYS,
    **stopping.KEYS,
    'network.primitives': Key(DARTS_PRIMITIVES, some_primitives,
                              'candidate operations of a cell, none among them'),
}


def from_config(config: Any, problem: Problem, steps_per_epoch: int, devices: int,
                axis: str | None) -> Method:
  """The joint search as a config says; see `daas_jax.methods.registry.Row`."""
  del devices
  registry.one_sample(config, axis)
  lr = optimizers_lib.learning_rate(config, steps_per_epoch)
  return make(problem, Settings(lr, optimizers_lib.of_config(config, lr)))


registry.register('joint_faa', registry.Row(
    from_config, registry.about(__doc__), KEYS, policy='relaxed', sampling='mixture',
    check=stopping.check, phase=lambda config, epoch: 'joint'))
