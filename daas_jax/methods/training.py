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
from daas_jax.nets import devices, kernels, registry as nets
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


def network(config: Any, genotype: Any, num_classes: int, split: bool = False) -> Any:
  """The linen module that a training config names.

  Args:
    config: a training config.
    genotype: the architecture that was found, or None.
    num_classes: number of outputs.
    split: whether it is used inside of a pmapped function, on each device's rows of a batch
      (`daas_jax.nets.devices`).

  Raises:
    BadInput: it cannot be split.
  """
  train = nets.of(config).train
  assert train is not None, config.network.name  # network.name has been checked
  return train(config, genotype, num_classes,
               kernels.choose(config.network.kernels) + (kernels.SHARED if split else ''))


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


def _outputs(net, split, saw, dtype):
  """(params, kept, images, drop_path, key) -> ((logits, those of an auxiliary head or None), what
  became of `kept`) of the whole batch; with `split` every device computes its own rows, with
  another `dtype` than float32 in that one. Parameters, averages and logits are as they were."""
  def own(params, kept, images, drop_path, key):
    params = devices.watched(params, saw) if saw else params
    run = lambda params, images: net.apply({'params': params} | kept, images, True, drop_path,
                                           mutable=list(kept), rngs={'drop_path': key})
    if dtype == 'float32':
      return run(params, images)
    found, changed = run(*_cast((params, images), dtype))
    return _cast(found, 'float32'), jax.tree.map(
        lambda x, old: x.astype(old.dtype), dict(changed), {name: kept[name] for name in changed})

  def of_all(params, kept, images, *rest):
    found, kept = own(devices.shared(params), kept, devices.rows(images), *rest)
    return devices.whole(found), kept

  return of_all if split else own


def _cast(tree, dtype):
  """A pytree with its floating arrays in a dtype."""
  return jax.tree.map(
      lambda x: x.astype(dtype) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)


def _accumulated(gradient_of, parts, in_loop):
  """`gradient_of` as of a batch that is taken in `parts`, one after the other.

  Args:
    gradient_of: (params, kept, images, labels, drop_path, key) -> ((loss, (accuracy, kept)),
      gradient), means over the images.
    parts: their number, which divides the batch; 1 is `gradient_of` itself.
    in_loop: whether one program serves all parts, or each has its own.

  Returns:
    The same function: means over the parts; `kept` goes from one part to the next.
  """
  if parts == 1:
    return gradient_of

  def whole(params, kept, images, labels, drop_path, key):
    def one(carry, part):
      kept, total = carry
      (loss, (accuracy, kept)), gradient = gradient_of(params, kept, *part[:2], drop_path, part[2])
      return (kept, jax.tree.map(jnp.add, total, gradient)), (loss, accuracy)

    split = lambda x: x.reshape(parts, -1, *x.shape[1:])
    (kept, total), each = jax.lax.scan(
        one, (kept, jax.tree.map(jnp.zeros_like, params)),
        (split(images), split(labels), jax.random.split(key, parts)),
        unroll=1 if in_loop else parts)
    loss, accuracy = (jnp.mean(x) for x in each)
    return (loss, (accuracy, kept)), jax.tree.map(lambda g: g / parts, total)

  return whole


def make_step(config: Any, net: Any, tx: Any, lr: Callable, train_input: Callable,
              total_steps: int, criterion: Criterion = CROSS_ENTROPY, split: bool = False,
              saw: Callable | None = None) -> Callable:
  """The training step (TrainState, (images, labels)) -> (TrainState, metrics), one pure function.

  Loss: cross-entropy plus `train.auxiliary` times that of the auxiliary head; drop-path grows
  linearly from 0 to `train.drop_path` over the training (DARTS). With `train.accumulate` = n the
  batch goes through the network in n parts, each normalised by its own moments and seen by the
  running averages, and the step is by the mean of their gradients.

  Args:
    config: a training config.
    net: the linen module; of `network` with `split`, where the step is.
    tx, lr: see `optimizer`.
    train_input: (images uint8, progress, key) -> the network's input.
    total_steps: of the whole training.
    criterion: another than the cross-entropy stands in its place, with nothing smoothed.
    split: whether it is used inside of a pmapped function whose devices split every batch.
    saw: there: called with the number of a device whose own gradient is not finite.
  """
  train, outputs = config.train, _outputs(net, split, saw, config.network.dtype)
  in_loop = not (nets.of(config).unroll and jax.default_backend() == 'cpu')

  def loss_with(logits, labels):
    if criterion.classes:
      return cross_entropy(logits, labels, train.label_smoothing)
    return criterion.mean(logits, labels)

  def loss_of(params, kept, images, labels, drop_path, key):
    (logits, auxiliary), changed = outputs(params, kept, images,
                                           drop_path if train.drop_path else 0.0, key)
    loss = loss_with(logits, labels)
    if auxiliary is not None:
      loss += train.auxiliary * loss_with(auxiliary, labels)
    return loss, (jnp.mean(criterion.score(logits, labels)), dict(changed))

  gradient_of = _accumulated(jax.value_and_grad(loss_of, has_aux=True), train.accumulate, in_loop)

  def step(state, batch):
    images, labels = batch
    key_input, key_drop = jax.random.split(jax.random.fold_in(state.key, state.step))
    progress = state.step / total_steps
    kept = {name: x for name, x in state.variables.items() if name != 'params'}  # running averages
    (loss, (accuracy, kept)), gradient = gradient_of(
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
