"""DiffAutoML: augmentation, architecture and hyper-parameters searched while the network trains
(Alg. 1, Eq. 2-7).

One step of Alg. 1, for a batch of D^tr and one of D^val; L_k is the loss of image k of the training
batch:

  3. a transformation T_k for every image, drawn from softmax(tau), magnitudes uniform;
  4. a path Z through the supernet, drawn from softmax(alpha);
  5. tau <- SGD on the gradient of -sum_k p_k(tau) L_k: what is hard becomes likelier (Eq. 2);
  6. alpha <- the optimizer on grad log p(Z_b) * dL/dZ_b^s, L = mean_k L_k (Eq. 5);
  7. theta' = SGD(theta, eta, grad_theta L) (Eq. 6);
  8. eta <- Adam on the gradient of L_val(theta'(eta)) through that one step, with the same Z (Eq.
    7).

Eq. 2 as it stands has a drift of its own: over draws of T_k from tau, equal losses L give the mean
gradient -n L / 2 * grad sum p^2, which makes what is likely likelier, until one transformation is
left. Steps of tau have to be as small as the paper's, or the gradient the other one, 'score': the
unbiased one of -E[L_k].

Eq. 7 looks one step ahead and has nothing that ends it: over a long search eta may drift far one
way. So it is kept within bounds, and a search says in the end which of them it has reached.

Two gradient passes. tau and alpha are at one level: their gradients come out of the pass that
trains theta. In the tuning phase the path is fixed and alpha with it; theta goes on, so that what
ends the search is ready to be used.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from daas_jax import trees
from daas_jax.arrays import foreign
from daas_jax.config.key import above, at_least, between, Key, MOST, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import dsnas, hyper
from daas_jax.estimators.unrolled import update
from daas_jax.methods import export, optimizers as optimizers_lib, registry
from daas_jax.nets import registry as nets
from daas_jax.nets.registry import BLOCKS, NOTHING
from daas_jax.policies import transformations
from daas_jax.types import Method, Problem, SearchState


class Settings(NamedTuple):
  """What DiffAutoML needs besides its problem.

  Attributes:
    search_steps: steps of the search phase; those after it are the tuning phase.
    schedule: step -> factor [] of the learning rate, which eta scales.
    hyper: {name: value at the start} of 'lr' and 'weight_decay'.
    searched: names of those of them that are searched; the others stay.
    bounds: {name: (least, most)} of values that they are kept within; none of one that is not here.
    theta: {name: value} -> optax transformation.
    optimizers: {'arch', 'gamma', 'hyper'}: optax transformations of alpha, tau and eta.
    tau_gradient: 'eq2', or 'score' (`hardness`).
    freeze_margin: see `dsnas.decided`.
    penalty: alpha -> [], what is added to the loss of alpha; None: nothing.
    path: alpha, as numpy -> the path that it stands for, int [B] (`dsnas.likeliest_path`).
  """
  search_steps: int
  schedule: Callable
  hyper: dict
  searched: tuple
  theta: Callable
  optimizers: dict
  tau_gradient: str = 'eq2'
  freeze_margin: float = 0.0
  penalty: Any = None
  path: Any = None
  bounds: Mapping[str, tuple[float, float]] = {}


def hardness(tau: jax.Array, drawn: transformations.Drawn, losses: jax.Array,
             which: str) -> jax.Array:
  """What tau minimises, []: its gradient is that of Eq. 2 ('eq2'), or of -E[L_k] over T_k ~ tau
  ('score').

  Args:
    tau: [number of transformations] logits.
    drawn: `transformations.Drawn` of n images.
    losses: [n], constants.
    which: 'eq2': -sum_k p_k(tau) L_k. 'score': -mean_k log p_k(tau) (L_k - mean of the other
      losses), n >= 2.
  """
  p = transformations.probability(tau, drawn)
  if which == 'eq2':
    return -jnp.sum(p * losses)
  n = len(losses)
  return -jnp.sum(jnp.log(p) * (losses - jnp.mean(losses))) / (n - 1)


def _alpha_gradient(alpha, z, g_z, penalty):
  """Eq. 5, and the gradient of what keeps the path's cost within its budget (Eq. 1)."""
  g = dsnas.gradient(alpha, z['choice'], g_z['gate'])
  return g if penalty is None else g + jax.grad(penalty)(alpha)


def make(problem: Problem, settings: Settings) -> Method:
  """Builds DiffAutoML.

  Args:
    problem: a `daas_jax.types.Problem` with `losses`; its policies are
      `daas_jax.policies.transformations.Policies`, its arch `daas_jax.nets.shuffle.space.Paths`, or
      they have what these have.
    settings: `Settings`.

  Returns:
    A `daas_jax.types.Method`. arch is {'alpha': [B, N], 'path': int32 [B], what alpha stands for
    since the end of the last epoch}, {} on a fixed network; gamma is tau; extra has eta, logarithms
    of the searched hyper-parameters, and its optimizer's state.
  """
  optimizers = settings.optimizers
  of_tau = optax.with_extra_args_support(optimizers['gamma'])  # whoever keeps evidence is told some

  def optimizer(step):
    """{name: value of those searched} -> the optax transformation of theta at a step."""
    def of(values):
      values = settings.hyper | values
      return settings.theta({
          'lr': values['lr'] * settings.schedule(step),
          'weight_decay': values['weight_decay']
      })
    return of

  def init(key):
    key_theta, key_arch, key_gamma, key_run = jax.random.split(key, 4)
    theta, arch, gamma = problem.init_theta(key_theta), problem.arch.init(
        key_arch), problem.policies.init(key_gamma)
    eta = hyper.init({name: settings.hyper[name] for name in settings.searched})
    return trees.strongly_typed(SearchState(
        jnp.int32(0), key_run, theta, arch, gamma, optimizer(0)(hyper.values(eta)).init(theta),
        optimizers['arch'].init(arch['alpha']) if arch else {}, optimizers['gamma'].init(gamma),
        {'eta': eta, 'opt_eta': optimizers['hyper'].init(eta)}))

  def path(key, arch, tuning):
    """z of a path that is drawn, or in the tuning phase of the one that alpha stands for."""
    return problem.arch.at(jnp.where(tuning, arch['path'], problem.arch.draw(key, arch)))

  def update_alpha(state, z, g_z, tuning):
    """(arch, its optimizer's state, gradient) after line 6; a block that is decided stays as it
    is."""
    alpha = state.arch['alpha']
    g = _alpha_gradient(alpha, z, g_z, settings.penalty)
    new, opt = update(optimizers['arch'], g, state.opt_arch, alpha)
    moves = ~(dsnas.decided(alpha, settings.freeze_margin) | tuning)
    # A path that is not drawn is no evidence either.
    opt = trees.select(tuning, state.opt_arch, opt)
    return state.arch | {'alpha': jnp.where(moves[:, None], new, alpha)}, opt, g

  def step(state, batch):
    tau, eta, tuning = state.gamma, state.extra['eta'], state.step >= settings.search_steps
    key_tau, key_z, key_image, key_train, key_val = jax.random.split(
        jax.random.fold_in(state.key, state.step), 5)
    drawn = problem.policies.sample(key_tau, tau)  # line 3
    z = path(key_z, state.arch, tuning) if state.arch else {}  # line 4
    images = problem.train_input(batch.train_images, drawn, key_image)

    def train_loss(theta, z):
      losses, accuracy = problem.losses(theta, z, images, batch.train_labels, key_train)
      return jnp.mean(losses), (losses, accuracy)

    (loss, (losses, accuracy)), (g_theta, g_z) = jax.value_and_grad(
        train_loss, (0, 1), has_aux=True, allow_int=True)(state.theta, z)
    g_tau = jax.grad(hardness)(tau, drawn, losses, settings.tau_gradient)  # Eq. 2
    # Eq. 2 drifts towards one transformation whatever the losses are: its evidence is the other's.
    unbiased = jax.grad(hardness)(tau, drawn, losses, 'score') if len(losses) > 1 else g_tau
    gamma, opt_gamma = update(of_tau, g_tau, state.opt_gamma, tau, evidence=unbiased)
    arch, opt_arch, g_alpha = update_alpha(state, z, g_z,
                                           tuning) if state.arch else ({}, state.opt_arch, 0.0)

    theta, opt_theta, pullback = hyper.step(  # Eq. 6
        optimizer(state.step), eta, g_theta, state.opt_theta, state.theta)
    (val_loss, val_accuracy), g_val = jax.value_and_grad(problem.loss, has_aux=True)(
        theta, z, problem.val_input(batch.val_images), batch.val_labels, key_val)
    g_eta = pullback(g_val)  # Eq. 7
    new_eta, opt_eta = update(optimizers['hyper'], g_eta, state.extra['opt_eta'], eta)
    new_eta = hyper.within(new_eta, settings.bounds)

    values = settings.hyper | hyper.values(eta)
    metrics = {
        'train_loss': loss,
        'train_accuracy': accuracy,
        'val_loss': val_loss,
        'val_accuracy': val_accuracy,
        'lr': values['lr'] * settings.schedule(state.step),
        'lr_scale': values['lr'],
        'weight_decay': values['weight_decay'],
        'grad_norm_theta': trees.norm(g_theta),
        'grad_norm_gamma': trees.norm(g_tau)
    } | {
        f'grad_log_{name}': g for name, g in g_eta.items()
    }
    if state.arch:
      metrics |= {'grad_norm_arch': trees.norm(g_alpha), 'multiply_adds': z['cost']}
    return SearchState(state.step + 1, state.key, theta, arch, gamma, opt_theta, opt_arch,
                       opt_gamma, {
                           'eta': new_eta,
                           'opt_eta': opt_eta
                       }), metrics

  def end_epoch(state):
    """The path that alpha stands for, once an epoch of the search phase is over."""
    if not state.arch or state.step > settings.search_steps:
      return state
    likeliest = jnp.asarray(settings.path(jax.device_get(state.arch['alpha'])), jnp.int32)
    return state._replace(arch=state.arch | {'path': likeliest})

  return Method(init, step, end_epoch)


# --- as a method of the table ---------------------------------------------------------------------


BOUNDED = ('lr', 'weight_decay')


def _some_hyper(v):
  wrong = [x for x in v if x not in BOUNDED]
  if wrong or len(v) != len(set(v)):
    return "must name 'lr' or 'weight_decay', each once at most"
  return None


KEYS = {
    **optimizers_lib.THETA_KEYS,
    **optimizers_lib.ARCH_KEYS,
    **optimizers_lib.GAMMA_KEYS,
    'data.val_fraction': Key(
        0.1, between(0, 1, True, True), 'share of the training set that is D_val: what theta is '
        'not trained on, and theta is kept (choice)'),
    'search.tuning_epochs': Key(10, at_least(0),
                                'epochs of the tuning phase, alpha fixed; among epochs'),
    'search.moment_batches': Key(
        50, between(1, MOST), "training batches whose moments the ready network's "
        'normalisations get, a mean'),
    'theta.lr': Key(0.5, above(0),
                    'of SGD at the start, the start of eta (DiffAutoML, Appendix A)'),
    'theta.lr_min': Key(0.0, at_least(0), 'at the end, cosine between (Appendix A)'),
    'theta.weight_decay': Key(4e-5, above(0),
                              'L2, the start of eta (Appendix A, of its retrainings)'),
    'arch.optimizer': Key('sgd', one_of(*optimizers_lib.OPTIMIZERS), 'of alpha'),
    'arch.lr': Key(1e-6, above(0), 'of alpha (Appendix A; DSNAS code: Adam, 1e-3)'),
    'arch.momentum': Key(0.9, between(0, 1, False, True), "of alpha's SGD (Appendix A)"),
    'arch.weight_decay': Key(5e-4, at_least(0), 'L2 of alpha (Appendix A)'),
    'gamma.gradient': Key(
        'eq2', one_of('eq2', 'score'), 'of tau: Eq. 2, or the unbiased one of the expected loss, '
        'which has no drift towards one transformation'),
    'gamma.optimizer': Key('sgd', one_of(*optimizers_lib.OPTIMIZERS), 'of tau'),
    'gamma.lr': Key(1e-5, above(0), 'of tau (Appendix A)'),
    'gamma.momentum': Key(0.9, between(0, 1, False, True), "of tau's SGD (Appendix A)"),
    'gamma.weight_decay': Key(5e-4, at_least(0), 'L2 of tau (Appendix A)'),
    'hyper.searched': Key(('weight_decay',), _some_hyper,
                          "which of 'lr' and 'weight_decay' are searched (4.1)"),
    'hyper.lr': Key(1e-3, above(0), 'Adam, of the logarithms of the hyper-parameters (Appendix A)'),
    'hyper.lr_least': Key(1e-4, above(0), 'of what theta.lr becomes (choice)'),
    'hyper.lr_most': Key(10.0, above(0), 'of what theta.lr becomes (choice)'),
    'hyper.weight_decay_least': Key(1e-7, above(0), 'of what theta.weight_decay becomes (choice)'),
    'hyper.weight_decay_most': Key(0.1, above(0), 'of what theta.weight_decay becomes (choice)'),
    'adam.b1': Key(0.9, between(0, 1, False, True), 'of all Adams (choice)'),
}


def check(flat: Mapping[str, Any]) -> None:
  """Refuses a tuning phase that leaves no search, and bounds that do not hold the start."""
  searched = nets.networks()[flat['network.name']].searched == BLOCKS
  if flat['search.tuning_epochs'] > flat['search.epochs'] - searched:
    raise BadInput(
        f"config key 'search.tuning_epochs' ({flat['search.tuning_epochs']}) must be below "
        f"search.epochs ({flat['search.epochs']}): the path is searched in the epochs before it")
  for name in flat['hyper.searched']:
    least, most = flat[f'hyper.{name}_least'], flat[f'hyper.{name}_most']
    if not least <= flat[f'theta.{name}'] <= most:
      raise BadInput(
          f"config key 'theta.{name}' ({flat[f'theta.{name}']:g}), where the search of it begins, "
          f'must be from hyper.{name}_least ({least:g}) to hyper.{name}_most ({most:g})')


def _bounds(config):
  return {name: (config.hyper[f'{name}_least'], config.hyper[f'{name}_most'])
          for name in config.hyper.searched}


def _finish(folder, state, config, data, batches):
  """What is left, and which hyper-parameters have ended at a bound."""
  said = export.write(folder, state, config, data, batches)
  reached = hyper.at_bound(jax.device_get(state.extra['eta']), _bounds(config))
  return said + ''.join(
      f'\nwarning: {name} ended at its bound {value:g} (hyper.{name}_least, hyper.{name}_most)'
      for name, value in reached.items())


def from_config(config: Any, problem: Problem, steps_per_epoch: int, devices: int,
                axis: str | None) -> Method:
  """DiffAutoML as a config says; see `daas_jax.methods.registry.Row`."""
  del devices
  registry.one_sample(config, axis)
  search, group, budget = config.search, config.theta, getattr(problem.arch, 'budget', None)
  schedule = optax.cosine_decay_schedule(1.0, search.epochs * steps_per_epoch,
                                         group.lr_min / group.lr)
  penalty, path = None, None
  if budget:
    path = lambda alpha: dsnas.likeliest_path(alpha, budget.costs, budget.left)
    if config.arch.constraint == 'penalty':
      penalty = lambda alpha: config.arch.penalty * dsnas.penalty(alpha, budget)
  return make(problem, Settings(
      search_steps=(search.epochs - search.tuning_epochs) * steps_per_epoch,
      schedule=foreign()(schedule),
      hyper={'lr': group.lr, 'weight_decay': group.weight_decay},
      searched=tuple(config.hyper.searched),
      theta=lambda values: optimizers_lib.of_theta(config, values['lr'], values['weight_decay']),
      optimizers={'arch': optimizers_lib.searched(config, 'arch'),
                  'gamma': optimizers_lib.searched(config, 'gamma'),
                  'hyper': optax.adam(config.hyper.lr, config.adam.b1, config.adam.b2)},
      tau_gradient=config.gamma.gradient, freeze_margin=config.arch.freeze_margin,
      penalty=penalty, path=path, bounds=_bounds(config)))


def _phase(config, epoch):
  return 'search' if epoch < config.search.epochs - config.search.tuning_epochs else 'tuning'


registry.register('diffautoml', registry.Row(
    from_config, registry.about(__doc__), KEYS, policy='transformations',
    searches=(BLOCKS, NOTHING), check=check, phase=_phase, finish=_finish, exports=True,
    last='results.json'))
