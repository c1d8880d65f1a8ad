"""Training a network from scratch under a policy (DAAS 5): the pure step, and the evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from daas_jax import trees
from daas_jax.arrays import foreign
from daas_jax.estimators.unrolled import update
from daas_jax.methods import optimizers
from daas_jax.nets import kernels, registry as nets
from daas_jax.nets.losses import Criterion, CROSS_ENTROPY, cross_entropy

WORST = -1e30
"""Below whatever chooses an epoch; finite, as a state has to be."""


class TrainState(NamedTuple):
  """Everything a training needs to go on.

  Attributes:
    step: int32 [].
    key: PRNG key of the whole training; step n uses fold_in(key, n).
    variables: {'params'} and what else the network keeps, 'batch_stats' where it has them.
    opt: the optimizer's state.
    average: moving average of `variables`, {} where `train.ema` is 0.
    best: {'variables', 'accuracy' [], 'epoch' int32 []}: the epoch with the best validation
      accuracy so far; {} where nothing chooses one.
  """
  step: jax.Array
  key: jax.Array
  variables: Any
  opt: Any
  average: Any
  best: Any


def network(config: Any, genotype: Any, num_classes: int) -> Any:
  """The linen module that a training config names; `genotype` is the architecture that was found,
  or None."""
  train = nets.of(config).train
  assert train is not None, config.network.name  # network.name has been checked
  return train(config, genotype, num_classes, kernels.choose(config.network.kernels))


def optimizer(config: Any, total_steps: int) -> tuple[Any, Any]:
  """(optax transformation, learning-rate schedule) of a training config: clipping, L2, SGD with
  momentum (DARTS), or another of `daas_jax.methods.optimizers`."""
  train = config.train
  rising = total_steps * train.warmup_epochs // train.epochs
  if train.schedule == 'cosine':
    lr = optax.cosine_decay_schedule(train.lr, total_steps - rising)
  else:
    lr = optax.linear_schedule(train.lr, 0.0, total_steps - rising)
  if rising:  # the first step moves too
    lr = optax.join_schedules([optax.linear_schedule(train.lr / rising, train.lr, rising - 1), lr],
                              [rising])
  lr = foreign()(lr)
  return optimizers.make(train.optimizer, lr, train.weight_decay, train.momentum, train.nesterov,
                         clip=train.clip), lr


def init_state(net: Any, tx: Any, key: jax.Array, image_shape: tuple, ema: float = 0.0,
               validated: bool = True) -> Any:
  """A fresh `TrainState` for images of shape (H, W, C); with an average of the weights where `ema`
  is not 0, and a best epoch where it is `validated`."""
  key_net, key_run = jax.random.split(key)
  variables = dict(net.init(key_net, jnp.zeros((2, *image_shape)), False))
  best = {
      'variables': jax.tree.map(jnp.copy, variables),
      'accuracy': jnp.float32(WORST),
      'epoch': jnp.int32(0)
  } if validated else {}
  average = jax.tree.map(jnp.copy, variables) if ema else {}
  opt = tx.init(variables['params'])
  return trees.strongly_typed(TrainState(jnp.int32(0), key_run, variables, opt, average, best))


def averaged(average: Any, variables: Any, step: Any, decay: float) -> Any:
  """One step of the moving average of the weights, running averages of the normalisations included.

  average += (1 - d) * (variables - average) with d = min(decay, (1 + step) / (10 + step)): the
  decay begins low, so that the weights of the start are forgotten (TensorFlow's
  ExponentialMovingAverage, as in the Fast AutoAugment code).

  Args:
    average, variables: pytrees of one structure, of the steps before and after this one.
    step: int [], from 1.
    decay: in (0, 1).

  Returns:
    The new average.
  """
  return optax.incremental_update(variables, average, 1 - jnp.minimum(decay, (1 + step) /
                                                                      (10 + step)))


def chosen_variables(state: Any) -> Any:
  """What is evaluated and kept: the averaged variables where there are any."""
  return state.average or state.variables


def kept_variables(state: Any) -> Any:
  """What a training ends with: those of the best epoch, of the last where nothing chooses one."""
  return state.best['variables'] if state.best else chosen_variables(state)


def make_step(config: Any, net: Any, tx: Any, lr: Callable, train_input: Callable,
              total_steps: int, criterion: Criterion = CROSS_ENTROPY) -> Callable:
  """The training step (TrainState, (images, labels)) -> (TrainState, metrics), one pure function.

  Loss: cross-entropy plus `train.auxiliary` times that of the auxiliary head; drop-path grows
  linearly from 0 to `train.drop_path` over the training (DARTS). Another `criterion` than the
  cross-entropy stands in its place, with nothing smoothed.
  """
  train = config.train

  def loss_with(logits, labels):
    if criterion.classes:
      return cross_entropy(logits, labels, train.label_smoothing)
    return criterion.mean(logits, labels)

  def loss_of(params, kept, images, labels, drop_path, key):
    (logits, auxiliary), changed = net.apply({'params': params} | kept, images, True,
                                             drop_path if train.drop_path else 0.0,
                                             mutable=list(kept), rngs={'drop_path': key})
    loss = loss_with(logits, labels)
    if auxiliary is not None:
      loss += train.auxiliary * loss_with(auxiliary, labels)
    return loss, (jnp.mean(criterion.score(logits, labels)), dict(changed))

  def step(state, batch):
    images, labels = batch
    key_input, key_drop = jax.random.split(jax.random.fold_in(state.key, state.step))
    progress = state.step / total_steps
    kept = {name: x for name, x in state.variables.items() if name != 'params'}  # running averages
    (loss, (accuracy, kept)), gradient = jax.value_and_grad(loss_of, has_aux=True)(
        state.variables['params'], kept, train_input(images, progress, key_input), labels,
        train.drop_path * progress, key_drop)
    params, opt = update(tx, gradient, state.opt, state.variables['params'])
    variables = {'params': params} | kept
    metrics = {
        'train_loss': loss,
        'train_accuracy': accuracy,
        'lr': lr(state.step),
        'grad_norm': trees.norm(gradient)
    }
    average = averaged(state.average, variables, state.step + 1, train.ema) if train.ema else {}
    return state._replace(step=state.step + 1, variables=variables, opt=opt,
                          average=average), metrics

  return step


def keep_best(state: Any, accuracy: Any, epoch: Any) -> Any:
  """`state` with `best` replaced where this epoch's validation accuracy (or whatever chooses it,
  the more the better) is higher; the earlier one wins a tie."""
  better = jnp.float32(accuracy) > state.best['accuracy']
  new = {
      'variables': chosen_variables(state),
      'accuracy': jnp.float32(accuracy),
      'epoch': jnp.int32(epoch + 1)
  }
  return state._replace(best=trees.select(better, new, state.best))
