"""Optimizers by name, in one table over optax, for theta, alpha and beta, gamma and trainings; and
one that keeps what its gradients say (`daas_jax.estimators.evidence`)."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import optax

from daas_jax.arrays import foreign
from daas_jax.config.key import above, at_least, between, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import evidence as evidence_lib
from daas_jax.methods import registry
from daas_jax.nets import registry as nets
from daas_jax.policies import registry as policies

Schedule = Callable[[Any], Any]
"""step -> learning rate."""


def _l2(transformation):
  """With L2 in the gradient, as DARTS's and DADA's codes have it (where AdamW's decay is beside
  it)."""
  return lambda lr, decay, **options: optax.chain(optax.add_decayed_weights(decay),
                                                  transformation(lr, **options))


def _betas(transformation):
  return lambda lr, momentum, nesterov, b1, b2: transformation(lr, b1, b2)


def _decoupled(transformation):
  return lambda lr, decay, momentum, nesterov, b1, b2: transformation(lr, b1, b2, weight_decay=decay
                                                                     )


OPTIMIZERS: dict[str, Callable] = {
    'sgd': _l2(lambda lr, momentum, nesterov, b1, b2: optax.sgd(lr, momentum, nesterov)),
    'adam': _l2(_betas(optax.adam)),
    'nadam': _l2(_betas(optax.nadam)),
    'radam': _l2(_betas(optax.radam)),
    'adabelief': _l2(_betas(optax.adabelief)),
    'rmsprop': _l2(lambda lr, momentum, nesterov, b1, b2: optax.rmsprop(
        lr, momentum=momentum, nesterov=nesterov)),
    'adamw': _decoupled(optax.adamw),
    'nadamw': _decoupled(optax.nadamw),
    'lamb': _decoupled(optax.lamb),
    'lion': _decoupled(optax.lion),
}
"""{name: (lr, decay, momentum, nesterov, b1, b2) -> optax transformation}; each uses those that it
has."""


def make(name: str, lr: float | Schedule, weight_decay: float = 0.0, momentum: float = 0.9,
         nesterov: bool = False, b1: float = 0.9, b2: float = 0.999,
         clip: float | None = None) -> optax.GradientTransformation:
  """An optimizer of the table.

  Args:
    name: a key of `OPTIMIZERS`.
    lr: learning rate, or its schedule.
    weight_decay: L2 in the gradient, or the decay of AdamW and its like, which is beside it.
    momentum, nesterov: of those that have a momentum.
    b1, b2: of Adam and its like.
    clip: largest norm of the gradient, before all else; None or 0 is none.
  """
  optimizer = OPTIMIZERS[name](lr, weight_decay, momentum=momentum, nesterov=nesterov, b1=b1, b2=b2)
  return optax.chain(optax.clip_by_global_norm(clip), optimizer) if clip else optimizer


def defaults(lr: float | Schedule) -> dict[str, optax.GradientTransformation]:
  """The optimizers of a search that names none: DARTS's for theta, alpha and beta, DADA's for
  gamma.

  Args:
    lr: learning rate of theta, or its schedule.

  Returns:
    {'theta': SGD with momentum 0.9, 'arch', 'gamma': Adam (0.5, 0.999) at 3e-4 and 5e-3}.
  """
  return {
      'theta': make('sgd', lr),
      'arch': make('adam', 3e-4, b1=0.5),
      'gamma': make('adam', 5e-3, b1=0.5)
  }


def keeping(optimizer: optax.GradientTransformation,
            of: Callable) -> optax.GradientTransformationExtraArgs:
  """The optimizer, with its updates, whose state also keeps what its gradients say.

  Args:
    optimizer: an optax transformation.
    of: (parameters, gradient) -> evidence, a pytree of arrays. The gradient is the one that is
      given, or another of the same parameters that is given as `evidence` beside it.

  Returns:
    A transformation whose state is an `evidence.Kept`; that of `optimizer` where there are no
    parameters.
  """
  inner = optax.with_extra_args_support(optimizer)

  def init(parameters):
    if not jax.tree.leaves(parameters):
      return inner.init(parameters)
    return evidence_lib.Kept(evidence_lib.init(jax.eval_shape(of, parameters, parameters)),
                             inner.init(parameters))

  def update(gradient, state, parameters=None, *, evidence=None, **told):
    if not isinstance(state, evidence_lib.Kept):
      return inner.update(gradient, state, parameters, **told)
    updates, after = inner.update(gradient, state.optimizer, parameters, **told)
    said = of(parameters, gradient if evidence is None else evidence)
    return updates, evidence_lib.Kept(evidence_lib.add(state.blocks, said), after)

  return optax.GradientTransformationExtraArgs(init, update)


# --- out of a config ------------------------------------------------------------------------------


def _optimizer_key(default, of):
  return Key(default, one_of(*OPTIMIZERS), f'optimizer of {of}')


THETA_KEYS = {
    'theta.optimizer': _optimizer_key('sgd', 'theta (DARTS code)'),
    'theta.lr': Key(0.025, above(0), 'learning rate at the start (DARTS code)'),
    'theta.lr_min': Key(0.001, at_least(0),
                        'learning rate at the end, cosine between (DARTS code)'),
    'theta.momentum': Key(0.9, between(0, 1, False, True), 'of SGD (DAAS 5)'),
    'theta.b1': Key(0.9, between(0, 1, False, True), 'of Adam and its like'),
    'theta.b2': Key(0.999, between(0, 1, False, True), 'of Adam and its like'),
    'theta.weight_decay': Key(3e-4, at_least(0), "L2, or AdamW's decay (DARTS code)"),
    'theta.clip': Key(5.0, at_least(0), 'largest gradient norm; 0: no clipping (DARTS code)'),
}
ARCH_KEYS = {
    'arch.optimizer': _optimizer_key('adam', 'alpha and beta (DARTS)'),
    'arch.lr': Key(3e-4, above(0), 'of alpha and beta (DARTS)'),
    'arch.momentum': Key(0.9, between(0, 1, False, True), 'of SGD'),
    'arch.weight_decay': Key(1e-3, at_least(0), 'L2 (DARTS)'),
}
GAMMA_KEYS = {
    'gamma.optimizer': _optimizer_key('adam', "the policy's parameters (DADA code)"),
    'gamma.lr': Key(5e-3, above(0), "of the policy's parameters (DADA code)"),
    'gamma.momentum': Key(0.9, between(0, 1, False, True), 'of SGD'),
    'gamma.weight_decay': Key(0.0, at_least(0), 'L2 (DADA code)'),
}
ADAM_KEYS = {
    'adam.b1': Key(0.5, between(0, 1, False, True),
                   'of Adam and its like, for alpha, beta and gamma (DAAS 5)'),
    'adam.b2': Key(0.999, between(0, 1, False, True),
                   'of Adam and its like, for alpha, beta and gamma (DAAS 5)'),
}


def of_theta(config: Any, lr: float | Schedule | None = None, weight_decay: Any = None) -> Any:
  """The optax transformation of theta.

  Args:
    config: a search config.
    lr: its schedule; None: the constant theta.lr.
    weight_decay: instead of the config's, where it is searched.
  """
  group = config.theta
  return make(group.optimizer, group.lr if lr is None else lr,
              group.weight_decay if weight_decay is None else weight_decay, group.momentum, False,
              group.b1, group.b2, group.get('clip'))


def of_group(config: Any, name: str, lr: float | None = None) -> optax.GradientTransformation:
  """The optax transformation of the parameters that a group of the config, 'arch' or 'gamma', is
  about."""
  group = config[name]
  return make(group.optimizer, group.lr if lr is None else lr, group.weight_decay, group.momentum,
              False, config.adam.b1, config.adam.b2)


def searched(config: Any, name: str,
             optimizer: optax.GradientTransformation | None = None) -> Any:
  """The optax transformation of what a group of the config, 'arch' or 'gamma', is about, which also
  keeps what its gradients say of each choice.

  Args:
    config: a search config.
    name: of the group.
    optimizer: instead of the config's.
  """
  row = nets.of(config).space if name == 'arch' else policies.spaces()[registry.of(config).policy]
  optimizer = of_group(config, name) if optimizer is None else optimizer
  return keeping(optimizer, row.evidence(config)) if row and row.evidence else optimizer


def of_config(config: Any, lr: Schedule) -> dict[str, optax.GradientTransformation]:
  """The optax transformations of theta, at `lr`, and of alpha, beta and gamma."""
  return {'theta': of_theta(config, lr), 'arch': searched(config, 'arch'),
          'gamma': searched(config, 'gamma')}


def learning_rate(config: Any, steps_per_epoch: int) -> Schedule:
  """Learning rate of theta: step -> value, cosine from theta.lr to theta.lr_min over the whole
  search."""
  return foreign()(
      optax.cosine_decay_schedule(config.theta.lr, config.search.epochs * steps_per_epoch,
                                  config.theta.lr_min / config.theta.lr))


def check(flat: Mapping[str, Any]) -> None:
  """Refuses a theta.lr_min above theta.lr.

  Raises:
    BadInput: it is.
  """
  if 'theta.lr_min' in flat and flat['theta.lr_min'] > flat['theta.lr']:
    raise BadInput("config key 'theta.lr_min' must be at most theta.lr")
