"""Amended-DARTS, and DARTS of first and second order: a dense supernet, alpha and theta in turn.

Bi et al., Stabilizing DARTS with Amended Gradient Estimation on Architectural Parameters. One step,
for a batch of D_val and one of D_train:

  1. alpha <- Adam on g1 + g2', where g1 = grad_alpha L_val and
       g2' = -eta (d2 L_train / d alpha d theta) H grad_theta L_val,  H = d2 L_train / d theta2
       (Eq. 7),
     everything at the current theta; eta = 0 is first-order DARTS. Second-order DARTS has no H and
     takes both at theta' = theta - xi grad_theta L_train;
  2. theta <- SGD on grad_theta L_train at the new alpha.

The products are exact (`daas_jax.estimators.curvature`): no finite difference, no step to choose.
The training batch is augmented by a policy that is given and not searched: DARTS under a found
policy is the second half of the joint-search paper's baseline.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.config.key import at_least, between, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import curvature
from daas_jax.estimators.unrolled import update
from daas_jax.methods import optimizers as optimizers_lib, registry, stopping
from daas_jax.nets.cells.primitives import DARTS_PRIMITIVES, some_primitives
from daas_jax.nets.registry import CELLS
from daas_jax.types import Method, Problem, SearchState

SECOND_TERMS = {'amended': curvature.amended_gradient, 'darts': curvature.second_order_gradient}
"""{name: (val_loss, train_loss, theta, alpha, coefficient, has_aux) -> (gradient of alpha, its
second-order part, what val_loss gave)}."""


class Settings(NamedTuple):
  """What the search needs besides its problem.

  Attributes:
    lr: step -> learning rate of theta.
    optimizers: {'theta', 'arch'}: optax transformations.
    total_steps: of the whole search, which the training loss is told the share of.
    second_term: a name in `SECOND_TERMS`.
    coefficient: eta of the amended term, or xi of DARTS's; None: the learning rate of theta.
  """
  lr: Callable
  optimizers: dict
  total_steps: int
  second_term: str = 'amended'
  coefficient: float | None = 0.1


def make(problem: Problem, settings: Settings) -> Method:
  """Builds the search.

  Args:
    problem: a `daas_jax.types.Problem` with regularised_loss; its arch.sample gives the mixture of
      all operations, differentiable in arch, and its policies are
      `daas_jax.policies.given.Policies` or have what these have.
    settings: `Settings`.

  Returns:
    A `daas_jax.types.Method`; its metrics are scalars, among them the norms of g1 + g2' and of g2'.
  """
  optimizers = settings.optimizers

  def init(key):
    key_theta, key_arch, key_run = jax.random.split(key, 3)
    theta, arch = problem.init_theta(key_theta), problem.arch.init(key_arch)
    return trees.strongly_typed(
        SearchState(jnp.int32(0), key_run, theta, arch, {}, optimizers['theta'].init(theta),
                    optimizers['arch'].init(arch), {}, {}))

  def step(state, batch):
    key_image, key_val, key_train = jax.random.split(jax.random.fold_in(state.key, state.step), 3)
    progress = state.step / settings.total_steps
    val_images = problem.val_input(batch.val_images)
    train_images = problem.train_input(batch.train_images, problem.policies.at(progress), key_image)

    def val_loss(theta, arch):
      return problem.loss(theta, problem.arch.sample(key_val, arch, 1.0), val_images,
                          batch.val_labels, key_val)

    def train_loss(theta, arch):
      z = problem.arch.sample(key_train, arch, 1.0)
      return problem.regularised_loss(theta, z, train_images, batch.train_labels, key_train,
                                      progress)

    coefficient = settings.lr(state.step) if settings.coefficient is None else settings.coefficient
    g_arch, g2, (val_value, val_accuracy) = SECOND_TERMS[settings.second_term](
        val_loss, lambda theta, arch: train_loss(theta, arch)[0], state.theta, state.arch,
        coefficient, has_aux=True)
    arch, opt_arch = update(optimizers['arch'], g_arch, state.opt_arch, state.arch)
    (train_value, train_accuracy), g_theta = jax.value_and_grad(train_loss, has_aux=True)(
        state.theta, arch)
    theta, opt_theta = update(optimizers['theta'], g_theta, state.opt_theta, state.theta)
    metrics = {
        'train_loss': train_value,
        'train_accuracy': train_accuracy,
        'val_loss': val_value,
        'val_accuracy': val_accuracy,
        'lr': settings.lr(state.step),
        'grad_norm_theta': trees.norm(g_theta),
        'grad_norm_arch': trees.norm(g_arch),
        'grad_norm_second': trees.norm(g2)
    }
    return SearchState(state.step + 1, state.key, theta, arch, {}, opt_theta, opt_arch, {},
                       {}), metrics

  return Method(init, step)


# --- as methods of the table: DARTS is this search with another default ---------------------------


def _keys(second_term, eta):
  return {
      **optimizers_lib.THETA_KEYS,
      **optimizers_lib.ARCH_KEYS,
      **stopping.KEYS,
      'network.primitives': Key(DARTS_PRIMITIVES, some_primitives,
                                'candidate operations of an edge'),
      'network.edges': Key(
          'all', one_of('all', 'fixed'), 'all 14, of which 8 are derived (DARTS), or 8 fixed ones: '
          'from the node before and the first input (Amended-DARTS 4.1.2)'),
      'network.cells': Key(
          'shared', one_of('shared', 'own'),
          'alpha: one for normal and one for reduction cells, or '
          'one a cell (Amended-DARTS, S2)'),
      'search.second_term': Key(second_term, one_of(*SECOND_TERMS),
                                "of alpha's gradient: Eq. 7, or DARTS's"),
      'search.eta': Key(eta, at_least(0),
                        'amending coefficient; 0 is first-order DARTS (Amended-DARTS 3.4)'),
      'search.xi': Key(0.0, at_least(0),
                       "inner step of DARTS's term; 0 is the current learning rate of theta"),
      'search.auxiliary': Key(0.0, at_least(0),
                              'weight of the auxiliary head in L_train; 0 is none'),
      'search.drop_path': Key(0.0, between(0, 1, False, True),
                              'drop-path probability in L_train at the end, from 0'),
  }


def check(flat: Mapping[str, Any]) -> None:
  """Refuses an architecture that is held fixed: nothing would be searched."""
  if flat['network.genotype']:
    raise BadInput(
        f"config key 'network.genotype' leaves method {flat['method']!r} nothing to do, which "
        "searches an architecture and no policy: set it to ''")
  stopping.check(flat)


def from_config(config: Any, problem: Problem, steps_per_epoch: int, devices: int,
                axis: str | None) -> Method:
  """The search as a config says; see `daas_jax.methods.registry.Row`."""
  del devices
  registry.one_sample(config, axis)
  search, lr = config.search, optimizers_lib.learning_rate(config, steps_per_epoch)
  optimizers = {'theta': optimizers_lib.of_theta(config, lr),
                'arch': optimizers_lib.searched(config, 'arch')}
  coefficient = search.eta if search.second_term == 'amended' else search.xi or None
  return make(problem, Settings(lr, optimizers, search.epochs * steps_per_epoch,
                                search.second_term, coefficient))


def _register(name, about, second_term, eta):
  registry.register(name, registry.Row(
      from_config, about, _keys(second_term, eta), policy='given', searches=(CELLS,),
      sampling='mixture', check=check, phase=lambda config, epoch: 'architecture',
      last='genotype.json'))


_register('amended_darts', registry.about(__doc__), 'amended', 0.1)
_register('darts', 'DARTS of first order (search.second_term=darts: of second): a dense supernet, '
          'alpha and theta in turn.', 'amended', 0.0)
