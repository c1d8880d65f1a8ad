"""Devices: everything about `jax.pmap` is here. A step is written for one device of a named axis."""

from typing import Any, Callable, NamedTuple

import flax.jax_utils
import jax

from daas_jax.errors import BadInput

AXIS = 'devices'
_STEPS_IN_FLIGHT_ON_CPU = 8  # more collective steps in flight abort the process with forced host devices


class Placement(NamedTuple):
  """How a run uses its devices.

  Attributes:
    devices: number of devices that share the samples of a step.
    axis: name of the pmap axis, None for one device.
    put: state -> the state as `compile(step)` takes it.
    get: the same back.
    compile: step (state, batch) -> (state, metrics) -> the compiled step over placed states.
  """
  devices: int
  axis: Any
  put: Callable
  get: Callable
  compile: Callable


def place(devices):
  """A `Placement` on `devices` local devices (0 for all of them).

  Raises:
    BadInput: if there are fewer.
  """
  available = jax.local_device_count()
  devices = devices or available
  if devices > available:
    raise BadInput(f'parallel.devices={devices}, but this process has {available}: lower it, or set it to 0 for all')
  if devices == 1:
    same = lambda x: x
    return Placement(1, None, same, same, lambda step: jax.jit(step, donate_argnums=0))
  used = jax.local_devices()[:devices]

  def put(state):
    return flax.jax_utils.replicate(state, used)

  def compile_step(step):
    mapped = jax.pmap(step, AXIS, in_axes=(0, None), devices=used, donate_argnums=0)
    done = [0]

    def run(state, batch):
      state, metrics = mapped(state, batch)
      done[0] += 1
      if jax.default_backend() == 'cpu' and done[0] % _STEPS_IN_FLIGHT_ON_CPU == 0:
        jax.block_until_ready(metrics)
      return state, jax.tree.map(lambda x: x[0], metrics)

    return run

  return Placement(devices, AXIS, put, flax.jax_utils.unreplicate, compile_step)
