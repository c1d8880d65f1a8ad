"""A search method out of a config: schedules, optimizers, settings."""

import functools
from typing import Callable, NamedTuple

import jax
import optax

from daas_jax import config as config_lib
from daas_jax.arrays import foreign
from daas_jax.detection import networks as detectors
from daas_jax.errors import BadInput
from daas_jax.estimators import dsnas, gumbel
from daas_jax.methods import amended_darts, daas, ddas, diffautoml, faster_aa, joint_faa
from daas_jax.nets import fixed


def _adam(config, lr, weight_decay):
  """Adam with L2 in the gradient, as DARTS's and DADA's code have it (not AdamW)."""
  return optax.chain(optax.add_decayed_weights(weight_decay), optax.adam(lr, config.adam.b1, config.adam.b2))


def theta_optimizer(config, lr):
  """The optax transformation of theta: SGD with momentum, L2 and clipping; lr is its schedule."""
  return optax.chain(optax.clip_by_global_norm(config.theta.clip), optax.add_decayed_weights(config.theta.weight_decay),
                     optax.sgd(lr, config.theta.momentum))


def arch_optimizer(config):
  """The optax transformation of alpha and beta."""
  return _adam(config, config.arch.lr, config.arch.weight_decay)


def optimizers(config, lr):
  """{'theta', 'arch', 'gamma'}: the three optax transformations; lr is theta's schedule."""
  return {'theta': theta_optimizer(config, lr), 'arch': arch_optimizer(config),
          'gamma': _adam(config, config.gamma.lr, config.gamma.weight_decay)}


def total_optimizer(config):
  """The optax transformation of DDAS's gamma: Adam with a learning rate of its own for alpha_tp (public code)."""
  lr = {'alpha_o': config.gamma.lr, 'alpha_tp': config.gamma.lr_total}
  adam = {name: _adam(config, value, config.gamma.weight_decay) for name, value in lr.items()}
  return optax.partition(adam, {name: name for name in lr})


def learning_rate(config, steps_per_epoch):
  """Learning rate of theta: step -> value, cosine from theta.lr to theta.lr_min over the whole search."""
  return foreign()(optax.cosine_decay_schedule(config.theta.lr, config.search.epochs * steps_per_epoch,
                                               config.theta.lr_min / config.theta.lr))


def build(config, problem, steps_per_epoch, devices=1, axis=None):
  """The `daas_jax.types.Method` that a search config names.

  Args:
    config: a checked search config.
    problem: a `daas_jax.types.Problem`, or the `CriticProblem` of Faster AutoAugment.
    steps_per_epoch: steps in one pass over D_train.
    devices, axis: how many devices share the samples, and the name of their pmap axis; 1 and None where none do.
  """
  return METHODS[config.method].build(config, problem, steps_per_epoch, devices, axis)


def _shared_by(devices, search, *names):
  """Refuses numbers of samples that the devices cannot share."""
  for name in names:
    if search[name] % devices:
      raise BadInput(f'search.{name}={search[name]} must be a multiple of the {devices} devices')


def _daas(config, problem, steps_per_epoch, devices, axis):
  search, lr = config.search, learning_rate(config, steps_per_epoch)
  _shared_by(devices, search, 'n_arch', 'n_w')
  return daas.make(problem, daas.Settings(
      n_arch=search.n_arch, n_aug=search.n_aug, n_w=search.n_w, warmup_steps=search.warmup_epochs * steps_per_epoch,
      lr=lr, xi=search.xi or None,
      tau=functools.partial(gumbel.linear_tau, total_steps=search.epochs * steps_per_epoch, start=search.tau_start,
                            end=search.tau_end),
      optimizers=optimizers(config, lr), baseline=search.baseline, accumulate=search.accumulate, control=search.control,
      devices=devices, axis=axis))


def one_sample(config, axis):
  """Refuses to share the samples of a method that has one a step."""
  if axis is not None:
    raise BadInput(f'method {config.method!r} has one sample a step and none to share: set parallel.over=data, or '
                   'parallel.devices=1')


def _unrolled(name):
  return detectors.DETECTORS[name].unroll if name in detectors.DETECTORS else name in fixed.FIXED


def _ddas(config, problem, steps_per_epoch, devices, axis):
  search, lr = config.search, learning_rate(config, steps_per_epoch)
  _shared_by(devices, search, 'n_policies')
  return ddas.make(problem, ddas.Settings(
      n_policies=search.n_policies, val_batches=search.val_batches, lr=lr,
      optimizers={'theta': theta_optimizer(config, lr), 'gamma': total_optimizer(config)}, normalise=search.normalise,
      unroll=_unrolled(config.network.name) and jax.default_backend() == 'cpu', devices=devices, axis=axis))


def _joint_faa(config, problem, steps_per_epoch, devices, axis):
  del devices
  one_sample(config, axis)
  lr = learning_rate(config, steps_per_epoch)
  return joint_faa.make(problem, joint_faa.Settings(lr=lr, optimizers=optimizers(config, lr)))


def _faster_aa(config, problem, steps_per_epoch, devices, axis):
  del steps_per_epoch, devices
  one_sample(config, axis)
  adam = {name: _adam(config, config[name].lr, config[name].weight_decay) for name in ('theta', 'gamma')}
  return faster_aa.make(problem, faster_aa.Settings(adam, config.search.penalty, config.search.classification))


def _amended_darts(config, problem, steps_per_epoch, devices, axis):
  del devices
  one_sample(config, axis)
  search, lr = config.search, learning_rate(config, steps_per_epoch)
  return amended_darts.make(problem, amended_darts.Settings(
      lr=lr, optimizers={'theta': theta_optimizer(config, lr), 'arch': arch_optimizer(config)},
      total_steps=search.epochs * steps_per_epoch, second_term=search.second_term,
      coefficient=search.eta if search.second_term == 'amended' else search.xi or None))


def _sgd_or_adam(config, room):
  """The optimizer of alpha or tau, with L2 in the gradient."""
  if room.optimizer == 'adam':
    return _adam(config, room.lr, room.weight_decay)
  return optax.chain(optax.add_decayed_weights(room.weight_decay), optax.sgd(room.lr, room.momentum))


def _diffautoml(config, problem, steps_per_epoch, devices, axis):
  del devices
  one_sample(config, axis)
  search, room, budget = config.search, config.theta, problem.budget

  def theta(values):
    return optax.chain(optax.clip_by_global_norm(room.clip), optax.add_decayed_weights(values['weight_decay']),
                       optax.sgd(values['lr'], room.momentum))

  penalty = None
  if config.arch.constraint == 'penalty':
    penalty = lambda alpha: config.arch.penalty * dsnas.penalty(alpha, budget)
  return diffautoml.make(problem, diffautoml.Settings(
      search_steps=(search.epochs - search.tuning_epochs) * steps_per_epoch,
      schedule=foreign()(optax.cosine_decay_schedule(1.0, search.epochs * steps_per_epoch, room.lr_min / room.lr)),
      hyper={'lr': room.lr, 'weight_decay': room.weight_decay}, searched=tuple(config.hyper.searched), theta=theta,
      optimizers={'arch': _sgd_or_adam(config, config.arch), 'gamma': _sgd_or_adam(config, config.gamma),
                  'hyper': optax.adam(config.hyper.lr, config.adam.b1, config.adam.b2)},
      tau_gradient=config.gamma.gradient, freeze_margin=config.arch.freeze_margin,
      penalty=penalty, path=budget and (lambda alpha: dsnas.likeliest_path(alpha, budget.costs, budget.left))))


class Row(NamedTuple):
  """What a method is beside its algorithm.

  Attributes:
    build: (config, problem, steps_per_epoch, devices, axis) -> `Method`.
    phase: what metrics.jsonl calls its steps after a warm-up.
    architecture: of a supernet: a 'path' is sampled, the 'mixture' of all operations computed, or paths are drawn
      'uniform'ly and not searched.
    policy: its space, a key of `daas_jax.spaces.SPACES`, or 'given': config key 'policy.name' says which it is.
  """
  build: Callable
  phase: str
  architecture: str
  policy: str


METHODS = {
    'daas': Row(_daas, 'joint', 'path', 'categorical'),
    'ddas': Row(_ddas, 'policy', 'uniform', 'total'),
    'joint_faa': Row(_joint_faa, 'joint', 'mixture', 'relaxed'),
    'faster_aa': Row(_faster_aa, 'policy', 'path', 'relaxed'),
    'amended_darts': Row(_amended_darts, 'architecture', 'mixture', 'given'),
    'diffautoml': Row(_diffautoml, 'search', 'path', 'transformations'),
}
"""{name: `Row`}."""


def register(name, keys, build, phase, architecture, policy='given'):
  """Adds a method, so that `config.method=name` chooses it in the process that called this: from a config file, say.

  Args:
    name: other than those of the package; the same name again replaces what was registered before.
    keys: {'room.key': `daas_jax.config.Key`} of its config, besides those of every search.
    build, phase, architecture, policy: see `Row`.

  Raises:
    BadInput: the package has a method of that name.
  """
  config_lib.register(name, keys)
  METHODS[name] = Row(build, phase, architecture, policy)
