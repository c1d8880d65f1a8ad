"""What a compiled program takes of a device's memory, known before anything runs."""

from collections.abc import Callable
import os
from typing import Any

import jax

from daas_jax.errors import BadInput


def estimate(function: Callable, state: Any, *arguments: Any) -> int:
  """Bytes that one call takes, by the compiled program's own account: what goes in, what comes out,
  and what lies in between.

  Args:
    function: (state, *arguments) -> (state, ...); the state's arrays are written over.
    state, *arguments: pytrees of arrays or of `jax.ShapeDtypeStruct`.
  """
  found: Any = jax.jit(function, donate_argnums=0).lower(
      state, *arguments).compile().memory_analysis()
  return (found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
          + found.temp_size_in_bytes)


def require_one_device(devices: int) -> None:
  """Refuses (BadInput) an estimate of a program of several devices, which nothing here compiles."""
  if devices != 1:
    raise BadInput('--memory is of one device: set parallel.devices=1')


def of_device() -> int | None:
  """Bytes of a device's memory, of a CPU the machine's; None where nothing tells."""
  stats = jax.local_devices()[0].memory_stats() or {}
  if 'bytes_limit' in stats:
    return int(stats['bytes_limit'])
  if jax.default_backend() != 'cpu':
    return None
  return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def line(what: str, needed: int, how: str = '') -> str:
  """What is said of a step: 'memory of a step of WHAT: 1.24 GB (HOWcompiled for cpu)', and whether
  this device has less."""
  said = warning(needed, of_device())
  return (f'memory of a step of {what}: {shown(needed)} ({how}compiled for '
          f'{jax.default_backend()})' + (f'\n{said}' if said else ''))


def warning(needed: int, available: int | None) -> str:
  """A line that says that a program will not fit, '' where it will or where nothing tells."""
  if available is None or needed <= available:
    return ''
  return (f'warning: {shown(needed)} are more than the {shown(available)} of this device: lower '
          'the batch, or take it in parts (train.accumulate of a training)')


def shown(size: int) -> str:
  """A number of bytes for a person: '1.24 GB'."""
  return f'{size / 1e9:.2f} GB'
