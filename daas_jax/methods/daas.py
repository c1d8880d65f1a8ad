"""DAAS: joint search for architectures and augmentation policies (Alg. 1, Eq. 9-14).

One step of Alg. 1, for a batch of D_train and one of D_val:

  1. sample architectures z_i (Eq. 7-8) and policies Gamma_ij (Eq. 4);
  2. alpha, beta <- Adam on mean_i of the straight-through gradient of L_val(theta, z_i) (Eq. 9);
     on a network from which nothing is searched that loss is only reported;
  3. theta'_i = theta - xi * mean_j grad_theta L_train(theta, z_i, Gamma_ij(D_train))
     (Eq. 10); gamma <- Adam on -xi * mean_ij <grad L_val(theta'_i), grad L_train_ij> * grad log
     p(Gamma_ij)       (Eq. 13);
  4. theta <- SGD on mean_i grad_theta L_train(theta, z_i, Gamma(D_train)) of n_w more
     architectures (Eq. 14); with n_w = 0 on the gradients of 3.

All are taken at the same theta, alpha, beta, gamma. Warm-up leaves out step 3 and the policy of 4.
With search.objective = moments no theta' is made in 3 (`daas_jax.methods.moments`).
"""

from collections.abc import Callable, Mapping
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from daas_jax import trees
from daas_jax.config.key import above, at_least, between, Key, MOST, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import control, gumbel, passes, unrolled
from daas_jax.estimators.unrolled import update
from daas_jax.methods import (
  arch_gradients,
  daas_passes,
  inner_step,
  moments,
  optimizers as optimizers_lib,
  policy_gradients,
  registry,
  stopping,
)
from daas_jax.types import Method, Problem, SearchState


class Settings(NamedTuple):
  """What DAAS needs besides its problem; `search` turns a config into one.

  Attributes:
    n_arch, n_w: multiples of `devices`; these and what is not named here: see `KEYS`.
    warmup_steps, arch_warmup_steps: steps before gamma, and before alpha and beta are searched.
    lr, tau: step -> learning rate of theta, step -> temperature.
    xi: step of a plain inner update (Eq. 10), or None: lr.
    optimizers: {'theta', 'arch', 'gamma'}: optax's; None: `optimizers.defaults` at `lr`.
    accumulate: 'mean' or 'sum' over the gradients of Eq. 14.
    devices, axis: how many share the samples, and pmap's axis over them (None for one).
  """
  n_arch: int = 5
  n_aug: int = 2
  n_w: int = 10
  warmup_steps: int = 0
  lr: Callable = lambda step: 0.025
  xi: Any = None
  tau: Callable = lambda step: 1.0
  optimizers: dict | None = None
  baseline: str = 'leave_one_out'
  accumulate: str = 'mean'
  control: str = 'none'
  ridge: float = 1.0
  kl: float = 0.0
  devices: int = 1
  axis: Any = None
  arch_gradient: str = 'straight_through'
  n_losses: int = 2
  loss_images: int = 0
  policy_per: str = 'batch'
  val_moments: str = 'own'
  objective: str = 'step'
  inner: str = 'sgd'
  classification: float = 0.0
  theta_policies: bool = True
  arch_warmup_steps: int = 0

  @property
  def each(self):
    """Whether each image has a policy of its own."""
    return self.policy_per == 'image'

  @property
  def steps(self):
    """Whether an inner step is taken (Eq. 10)."""
    return self.objective != 'moments'

  @property
  def keep(self):
    """Whether the gradients of all architectures are kept, for what is made of them afterwards."""
    return self.each or self.inner != 'sgd'

  @property
  def own(self):
    """n_arch, n_w of one device, and training batches an architecture in Eq. 10."""
    batches = 1 if self.each else self.n_aug
    return self.n_arch // self.devices, self.n_w // self.devices, batches


def _alignments(problem, settings, inner, theta, batch, drawn, ran, joint):
  """s of Eq. 13: [n_arch, n_aug], or [n_arch, n_aug * B] with a policy an image."""
  n_arch, _, n_aug = settings.own
  if not settings.keep:
    return ran.dots[-n_arch * (n_aug + 1) :].reshape(n_arch, n_aug + 1, n_aug)[:, -1]
  g, v = (jax.tree.map(lambda a: a[rows].reshape(n_arch, -1, *a.shape[1:]), ran.kept)
          for rows in (slice(-n_arch), slice(-n_arch, None)))
  pulled = lambda x: inner.pull(trees.mean(x[0]), trees.mean(x[1]))

  def run():
    w = jax.lax.map(pulled, (v, g))
    if not settings.each:
      return jax.vmap(unrolled.alignments)(w, g)
    return policy_gradients.of_images(problem, settings.val_moments, theta, batch, drawn, w, n_arch,
                                      settings.n_aug)

  policies = settings.n_aug * len(batch.train_labels) if settings.each else n_aug
  return jax.lax.cond(joint, run, lambda: jnp.zeros((n_arch, policies)))


def _of_losses(problem, settings, state, key, batch, drawn):
  """`arch_gradients.of_losses`; while alpha and beta wait, a validation loss an architecture."""
  n = settings.n_losses * settings.own[0]

  def run():
    return arch_gradients.of_losses(problem, settings.arch_gradient, state.theta, state.arch,
                                    state.extra, key, batch, n, settings.axis, settings.loss_images)

  def wait():
    loss_of = daas_passes.losses(problem, batch, drawn, False)  # by D_val's own moments, as in run
    said = daas_passes.validation(loss_of, state.theta, drawn, settings.own[0])
    zero, kept = trees.scale(0, state.arch), {'arch_past': state.extra['arch_past']}
    return arch_gradients.OfLosses(zero, zero, kept,
                                   *(jnp.repeat(x, settings.n_losses) for x in said))

  if not settings.arch_warmup_steps:
    return run()
  return jax.lax.cond(state.step >= settings.arch_warmup_steps, run, wait)


def _inner(settings, state, optimizer, lr):
  """The inner step, and the xi that Eq. 13 is multiplied by."""
  if settings.inner == 'sgd':
    xi = lr if settings.xi is None else settings.xi
    return inner_step.plain(xi, settings.objective), xi
  return inner_step.of_optimizer(optimizer, state.opt_theta, state.theta, lr,
                                 settings.objective), lr


def make(problem: Problem, settings: Settings = Settings()) -> Method:
  """Builds DAAS.

  Args:
    problem: its policies are `daas_jax.policies.categorical.Policies`, or have what these have.
    settings: `Settings`.

  Returns:
    A `Method`: its step is one turn of Alg. 1 (Eq. 9-14), its metrics are scalars.

  Raises:
    ValueError: if n_arch or n_w is no multiple of the number of devices; see `moments.require`.
    BadInput: see `arch_gradients.require`.
  """
  for name in ('n_arch', 'n_w'):
    n = getattr(settings, name)
    if n % settings.devices:
      raise ValueError(f'{name}={n} is no multiple of the {settings.devices} devices')
  arch_gradients.require(problem, settings.arch_gradient)
  moments.require(problem, settings)
  optimizers = settings.optimizers or optimizers_lib.defaults(settings.lr)
  of_arch, of_gamma = (optax.with_extra_args_support(optimizers[x]) for x in ('arch', 'gamma'))

  def init(key):
    key_theta, key_arch, key_gamma, key_run = jax.random.split(key, 4)
    theta, arch, gamma = problem.init_theta(key_theta), problem.arch.init(
        key_arch), problem.policies.init(key_gamma)
    baseline = {'average': jnp.zeros(()), 'count': jnp.zeros(())}
    if settings.control != 'none':
      baseline['past'] = control.init(problem.policies.n_features)
    baseline |= arch_gradients.init_extra(problem, settings.arch_gradient)
    state = SearchState(jnp.int32(0), key_run, theta, arch, gamma, optimizers['theta'].init(theta),
                        optimizers['arch'].init(arch), optimizers['gamma'].init(gamma), baseline)
    return trees.strongly_typed(state)

  def step(state, batch):
    n_arch, n_w, n_aug = settings.own
    fixed = not jax.tree.leaves(state.arch)  # nothing is searched of the architecture
    of_pass = settings.arch_gradient == 'straight_through'  # the only one for a fixed network
    n_val = n_arch if of_pass and not fixed else 0
    mean = lambda x: trees.pmean(x, settings.axis)
    joint = state.step >= settings.warmup_steps
    lr, tau = settings.lr(state.step), settings.tau(state.step)
    inner, xi = _inner(settings, state, optimizers['theta'], lr)
    key = jax.random.fold_in(state.key, state.step)
    drawn = daas_passes.sample(problem, settings, state, tau, key, joint, len(batch.train_labels))

    weight = {'mean': 1.0 / (n_w or n_arch), 'sum': 1.0 * settings.devices}[settings.accumulate]
    table = daas_passes.schedule(n_arch, n_aug, n_w, inner.factor, weight, n_val,
                                 settings.each * settings.n_aug, settings.keep, settings.steps)
    count = jnp.where(joint, len(table.point), n_val + n_w)
    beside = settings.val_moments == 'train' and (settings.steps or of_pass)
    loss_of = daas_passes.losses(problem, batch, drawn, beside)
    ran = passes.run(daas_passes.gradient(loss_of, drawn, n_val > 0), state.theta, table, count,
                     inner.point)
    loss, accuracy, g_z = ran.outputs

    if n_val:  # Eq. 9
      g_arch = said = mean(arch_gradients.straight_through(drawn.pullback, g_z[0], n_arch, n_w))
      learned, val_loss, val_accuracy = {}, loss[:n_val], accuracy[:n_val]
    elif fixed:
      g_arch = said = state.arch
      learned = {}
      val_loss, val_accuracy = daas_passes.validation(loss_of, state.theta, drawn, n_arch)
    else:
      g_arch, said, learned, val_loss, val_accuracy = _of_losses(
          problem, settings, state, jax.random.fold_in(key, 4), batch, drawn)

    if settings.steps:
      # Eq. 13, from the alignments of the kept gradients with the validation passes at theta'.
      lead, searched = 2 if settings.each else 1, jax.tree.map(lambda a: a[:-1], drawn.policies)
      s = _alignments(problem, settings, inner, state.theta, batch, drawn, ran, joint)
    else:
      tried = moments.draw(problem, settings, state.gamma, jax.random.fold_in(key, 5))
      lead, searched, xi = 1, tried.policies, 1.0
      run = lambda: moments.gains(problem, state.theta, drawn.z, drawn.network_keys, batch, tried,
                                  settings.classification, settings.loss_images)
      s = jax.lax.cond(joint, run, lambda: jnp.zeros((n_arch, settings.n_aug)))
    searched = jax.tree.map(lambda a: a.reshape(n_arch, -1, *a.shape[lead:]), searched)
    *found, baseline = policy_gradients.of_alignments(problem, settings, state, searched, s, xi)
    g_gamma, told = mean(found)

    # Eq. 14, and the three updates.
    g_theta = mean(ran.total)
    theta, opt_theta = update(optimizers['theta'], g_theta, state.opt_theta, state.theta)
    arch, opt_arch = trees.select(
        state.step >= settings.arch_warmup_steps,
        update(of_arch, g_arch, state.opt_arch, state.arch, evidence=said),
        (state.arch, state.opt_arch))
    gamma, opt_gamma = trees.select(
        joint, update(of_gamma, g_gamma, state.opt_gamma, state.gamma, evidence=told),
        (state.gamma, state.opt_gamma))
    extra = trees.select(joint, baseline, {name: state.extra[name] for name in baseline}) | learned

    weights = slice(n_val, n_val + n_w) if n_w else slice(n_val, None, 2)  # those of Eq. 10
    metrics = mean({
        'train_loss': jnp.mean(loss[weights]),
        'train_accuracy': jnp.mean(accuracy[weights]),
        'val_loss': jnp.mean(val_loss),
        'val_accuracy': jnp.mean(val_accuracy),
        'alignment': jnp.mean(s),
    }) | {
        'lr': lr,
        'tau': tau,
        'grad_norm_theta': trees.norm(g_theta),
        'grad_norm_arch': trees.norm(g_arch),
        'grad_norm_gamma': jnp.where(joint, trees.norm(g_gamma), 0.0)
    }
    return SearchState(state.step + 1, state.key, theta, arch, gamma, opt_theta, opt_arch,
                       opt_gamma, extra), metrics

  return Method(init, step)


# --- as a method of the table ---------------------------------------------------------------------

KEYS = {
    **optimizers_lib.THETA_KEYS,
    **optimizers_lib.ARCH_KEYS,
    **optimizers_lib.GAMMA_KEYS,
    **stopping.KEYS,
    **arch_gradients.KEYS,
    **policy_gradients.KEYS,
    **policy_gradients.SCORE_KEYS,
    **inner_step.KEYS,
    **moments.KEYS,
    'search.warmup_epochs': Key(20, at_least(0), 'epochs without policy (DAAS 5)'),
    'search.n_arch': Key(5, between(1, MOST), 'architectures in Eq. 9 and 13 (DAAS 5)'),
    'search.n_aug': Key(2, between(1, MOST), 'policies an architecture, or image (Eq. 13; DAAS 5)'),
    'search.n_w': Key(10, between(0, MOST), 'architectures in Eq. 14 (DAAS 4.2); 0: of Eq. 10'),
    'search.accumulate': Key('mean', one_of('mean', 'sum'),
                             'of the n_w gradients; theta.lr is for the mean (choice)'),
    'search.tau_start': Key(10.0, above(0), 'temperature at the first step (GDAS)'),
    'search.tau_end': Key(0.1, above(0), 'temperature at the last step, linear between (GDAS)'),
}


def _tunes_policy(flat):
  return flat['search.warmup_epochs'] < flat['search.epochs']


def check(flat: Mapping[str, Any]) -> None:
  """Refuses settings that do not go together."""
  if flat['search.warmup_epochs'] > flat['search.epochs']:
    raise BadInput(f"config key 'search.warmup_epochs' ({flat['search.warmup_epochs']}) must be at "
                   f"most search.epochs ({flat['search.epochs']})")
  if arch_gradients.fixed(flat) and not _tunes_policy(flat):
    raise BadInput(f"config key 'search.warmup_epochs' ({flat['search.warmup_epochs']}) must be "
                   f"below search.epochs ({flat['search.epochs']}) where the architecture is fixed:"
                   ' nothing would be searched')
  of_10 = flat['search.policy_per'] == 'image' and not flat['search.warmup_epochs']
  if not (flat['search.n_w'] or of_10):
    raise BadInput("config key 'search.n_w' = 0 needs search.policy_per = 'image' and no warm-up")
  policy_gradients.check(flat)
  inner_step.check(flat)
  moments.check(flat)
  stopping.check(flat)
  arch_gradients.check(flat)


def from_config(config: Any, problem: Problem, steps_per_epoch: int, devices: int,
                axis: str | None) -> Method:
  """DAAS as a config says; see `daas_jax.methods.registry.Row`."""
  search, lr = config.search, optimizers_lib.learning_rate(config, steps_per_epoch)
  registry.shared_by(devices, search, 'n_arch', 'n_w')
  tau = functools.partial(gumbel.linear_tau, total_steps=search.epochs * steps_per_epoch,
                          start=search.tau_start, end=search.tau_end)
  return make(problem, Settings(
      search.n_arch, search.n_aug, search.n_w, search.warmup_epochs * steps_per_epoch, lr,
      search.xi or None, tau, optimizers_lib.of_config(config, lr), search.baseline,
      search.accumulate, search.control, search.ridge, search.kl, devices, axis,
      search.arch_gradient, search.n_losses, search.loss_images, search.policy_per,
      search.val_moments, search.objective, search.inner, search.classification,
      search.theta_policies, search.arch_warmup_epochs * steps_per_epoch))


registry.register('daas', registry.Row(
    from_config, registry.about(__doc__), KEYS, policy='categorical', check=check, default=True,
    tunes_policy=_tunes_policy,
    phase=lambda config, epoch: 'warm-up' if epoch < max(
        config.search.warmup_epochs, config.search.arch_warmup_epochs) else 'joint'))
