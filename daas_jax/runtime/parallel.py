"""Devices: everything about `jax.pmap` is here. A step is written for one device of the axis
`daas_jax.nets.devices.AXIS`.

Two ways to use N devices, by config key 'parallel.over':
  samples  each device takes its share of a step's samples, on the whole batch; the method averages
  what is finished. data     the batch is split: every gradient pass runs on all devices, each with
           its rows (`daas_jax.nets.devices`); what is not the network (augmentation, the policy,
           updates) every device computes whole.
Both give the numbers of one device, but for the rounding of sums in another order.
"""

from typing import Any, Callable, NamedTuple

import flax.jax_utils
import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.config.key import at_least, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.nets.devices import AXIS
from daas_jax.runtime import processes as processes_lib, programs

OVER = ('samples', 'data')
# more collective steps in flight abort the process with forced host devices
_STEPS_IN_FLIGHT_ON_CPU = 8

KEYS = {
    'parallel.devices': Key(1, at_least(0),
                            'devices of each process that pmap uses; 0 is all of them'),
    'parallel.over': Key('samples', one_of('samples', 'data'),
                         'what they share: the samples of a step, or its batch'),
}


class Placement(NamedTuple):
  """How a run uses its devices.

  Attributes:
    devices: number of devices, of all processes.
    axis: name of the pmap axis over which a method shares its samples; None where there is no such
      sharing.
    split: whether the devices split every batch.
    share: (index, count) of the rows of every batch that this process reads: index::count.
    put: state -> the state as `compile(step)` takes it.
    get: the same back.
    compile: step (state, batch) -> (state, metrics) -> the compiled step over placed states and
      this process's rows of a batch.
    blame: (saw -> step, state that is not placed, batches, start, stop) -> (step, [device, ...]),
      the first of the steps after `start`, up to `stop`, in which a device's own gradient is not
      finite, and those devices; or None.
  """
  devices: int
  axis: Any
  split: bool
  share: tuple
  put: Callable
  get: Callable
  compile: Callable
  blame: Callable


def place(devices, over='samples', batch=None, named='search.batch'):
  """A `Placement` on `devices` local devices of every process (0 for all of them).

  Args:
    devices: number of devices of each process.
    over: a word of `OVER`.
    batch: images that are split at once, which have to divide; None is not checked.
    named: what a config calls them.

  Raises:
    BadInput: if there are fewer, or the batch does not divide.
  """
  available, processes = jax.local_device_count(), jax.process_count()
  devices = devices or available
  if devices > available:
    raise BadInput(
        f'parallel.devices={devices}, but this process has {available}: lower it, or set it to 0 '
        'for all'
    )
  total = devices * processes
  if total == 1:
    same = lambda x: x
    return Placement(1, None, False, (0, 1), same, same,
                     lambda step: programs.jit(step, donate=(0,)), lambda *_: None)
  split = over == 'data'
  if split and batch is not None and batch % total:
    raise BadInput(
        f'{named}={batch} must be a multiple of the {total} devices that split it '
        '(parallel.over=data)'
    )
  used = [device for process in range(processes)
          for device in [d for d in jax.devices() if d.process_index == process][:devices]]
  local = [device for device in used if device.process_index == jax.process_index()]

  def compile_step(step):
    return _compiled(step, used, devices, processes, split)

  # A step gives its state back under pmap's own names; under others its first state would have it
  # compiled once more.
  renamed = jax.pmap(lambda state: state, AXIS, devices=used, donate_argnums=0)
  put = lambda state: renamed(flax.jax_utils.replicate(state, local))

  def blame(step_of, state, batches, start, stop):
    return _blame(compile_step, step_of, put(state), batches, range(start, stop), total)

  return Placement(total, None if split else AXIS, split,
                   (jax.process_index(), processes) if split else (0, 1), put,
                   flax.jax_utils.unreplicate, compile_step, blame)


def _blame(compile_step, step_of, state, batches, steps, total):
  """`Placement.blame` of a placed state: the steps again, with a program that looks at every
  gradient."""
  seen = set()
  run = compile_step(step_of(seen.add))
  for step in steps:
    state, _ = run(state, batches(step))
    jax.block_until_ready(state)
    jax.effects_barrier()
    # Each process hears of its own devices.
    found = processes_lib.everyone(np.array([device in seen for device in range(total)], np.int32))
    if found.any():
      return step + 1, [int(device) for device in np.flatnonzero(found)]
  return None


def _compiled(step, used, local, processes, split):
  """The pmapped step over `used` devices, `local` of them in each of the `processes`."""
  def on_one(state, batch):
    return step(state,
                jax.tree.map(lambda x: _gathered(x, local, processes), batch) if split else batch)

  mapped = jax.pmap(on_one, AXIS, in_axes=(0, 0 if split else None), devices=used, donate_argnums=0)
  dealt = jax.jit(lambda batch: jax.tree.map(lambda x: _dealt(x, local), batch)
                 ) if split else lambda batch: batch
  done = [0]

  def run(state, batch):
    state, metrics = mapped(state, dealt(batch))
    done[0] += 1
    if jax.default_backend() == 'cpu' and done[0] % _STEPS_IN_FLIGHT_ON_CPU == 0:
      jax.block_until_ready(metrics)
    return state, jax.tree.map(lambda x: x[0], metrics)

  return run


def _dealt(x, local):
  """A process's rows [n, ...] of a batch, row i to its device i % local: [local, n / local,
  ...]."""
  return jnp.swapaxes(x.reshape(-1, local, *x.shape[1:]), 0, 1)


def _gathered(x, local, processes):
  """The batch, in its order, from every device's rows [b, ...]: row r was read by process r %
  processes."""
  every = jax.lax.all_gather(x, AXIS).reshape(processes, local, *x.shape)
  return every.transpose(2, 1, 0, *range(3, every.ndim)).reshape(-1, *x.shape[1:])
