"""A search as a job of the loop: its method, its batches, what is measured and recorded of it."""

import functools
from typing import Any

import jax

from daas_jax.data import streaming
from daas_jax.methods import problem as problem_lib, registry, stability
from daas_jax.nets import registry as nets
from daas_jax.nets.losses import Criterion, CROSS_ENTROPY
from daas_jax.runtime import loop, memory as memory_lib, parallel
from daas_jax.search import results


def batches_of(config: Any, data: Any, share: tuple[int, int] = (0, 1)) -> Any:
  """Step number -> batch of a search: of process i of n where share is (i, n), every n-th row from
  row i."""
  return streaming.search_batches(data, config.seed, config.search.batch, config.data.val_fraction,
                                  config.search.get('val_batches', 1),
                                  turns=config.data.validation_turns, share=share)


def _scored(step, score):
  """A method's step, its metrics of accuracy named as what they are."""
  if score == 'accuracy':
    return step

  @functools.wraps(step)
  def named(state, batch):
    state, metrics = step(state, batch)
    return state, {name.replace('accuracy', score): x for name, x in metrics.items()}

  return named


def memory(config: Any, data: Any, genotype: Any = None, given: Any = None) -> int:
  """Bytes that a step of a search takes on one device, by its compiled program; arguments as of
  `of`."""
  batches = batches_of(config, data)
  problem = problem_lib.build(config, data, genotype, given)
  method = registry.build(config, problem, batches.steps_per_epoch, 1, None)
  return memory_lib.estimate(method.step, jax.eval_shape(method.init, jax.random.key(0)),
                             batches(0))


def of(config: Any, data: Any, genotype: Any = None, given: Any = None,
       criterion: Criterion = CROSS_ENTROPY) -> loop.Job:
  """The `loop.Job` of a search.

  Args:
    config: a checked search config.
    data: a `daas_jax.data.dataset.Dataset`, or what the task of the network loads.
    genotype: the `Genotype` that is held fixed, or None.
    given: the policy as `daas_jax.policies.given.find` gives it, or None: it is searched.
    criterion: what the network's outputs are held against labels by.

  Raises:
    BadInput: where config, data and devices do not fit each other.
  """
  search, row, task = config.search, registry.of(config), nets.of(config).task
  placement = parallel.place(config.parallel.devices, config.parallel.over, search.batch)
  batches = batches_of(config, data, placement.share)

  def problem_and_method(saw=None):
    problem = problem_lib.build(config, data, genotype, given, placement.split, saw,
                                criterion)
    return problem, registry.build(config, problem, batches.steps_per_epoch,
                                   1 if placement.split else placement.devices, placement.axis)

  problem, method = problem_and_method()
  eigenvalue = stability.measure(problem, config, data)

  def on_epoch(state, epoch):
    state = method.end_epoch(state) if method.end_epoch else state
    return state, results.measures(state, config) | eigenvalue(state, epoch)

  def blame(state, start, step):
    return placement.blame(lambda saw: problem_and_method(saw)[1].step, state, batches, start, step)

  return loop.Job(
      init=lambda: jax.jit(method.init)(jax.random.key(config.seed)),
      step=placement.compile(_scored(method.step, task.score if task else 'accuracy')),
      batches=batches,
      total_steps=search.epochs * batches.steps_per_epoch,
      steps_per_epoch=batches.steps_per_epoch,
      images_per_step=row.images(config),
      phase=lambda epoch: row.phase(config, epoch),
      on_epoch=on_epoch,
      stop=stability.rule(config),
      record=lambda state: results.record(state, config),
      blame=blame if placement.devices > 1 else None,
      put=placement.put,
      get=placement.get)
