"""`python -m daas_jax.benchmark.measure CASE BATCH DTYPE KERNELS`: a row of the benchmark, as a
line of JSON.

A process of its own, so that its peak memory is the case's and nothing is compiled yet. Once it has
compiled it says so, and times when a line comes in: others may compile at the same time.
"""

import json
import sys
import tempfile
import time

import jax
import numpy as np

from daas_jax.benchmark.cases import CASES
from daas_jax.nets import kernels as kernel_sets


def _seconds(call):
  begun = time.perf_counter()
  result = call()
  return time.perf_counter() - begun, result


def compile_twice(function, arguments):
  """(cold seconds, warm seconds, compiled): tracing and compiling anew, then with XLA's work read
  from a cache."""
  with tempfile.TemporaryDirectory() as folder:
    jax.config.update('jax_compilation_cache_dir', folder)
    jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.0)
    jax.config.update('jax_persistent_cache_min_entry_size_bytes', 0)
    cold, _ = _seconds(lambda: jax.jit(function).lower(*arguments).compile())
    jax.clear_caches()
    warm, compiled = _seconds(lambda: jax.jit(function).lower(*arguments).compile())
  return cold, warm, compiled


def step_milliseconds(call, samples, least=5, most=30, budget=8.0):
  """Milliseconds of single calls, blocked, each with the next sample, after two to warm up.

  At least `least` calls, at most `most`, `budget` seconds in all.
  """
  for _ in range(2):
    jax.block_until_ready(call(*samples[0]))
  times, begun = [], time.perf_counter()
  while len(times) < least or (len(times) < most and time.perf_counter() - begun < budget):
    arguments = samples[len(times) % len(samples)]
    times.append(1e3 * _seconds(lambda: jax.block_until_ready(call(*arguments)))[0])
  return times


def _peak_mb():
  """The most memory that this process has had; None on native Windows, which does not say."""
  try:
    import resource
  except ImportError:
    return None
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def row(name, batch, dtype='float32', kernels='auto', ready=lambda: None):
  """The row of a case at a batch size, a dict of plain values; see README. What is not run has no
  times (None). ready: called when everything is compiled, before anything is timed."""
  kernel_sets.BY_BACKEND[jax.default_backend()] = kernels = kernel_sets.choose(kernels)
  case = CASES[name](batch, dtype)
  samples = case.arguments if isinstance(case.arguments, list) else [case.arguments]
  cold = warm = memory = None
  compiled = case.function
  if not case.host:
    cold, warm, compiled = compile_twice(case.function, samples[0])
    memory = compiled.memory_analysis()
  ready()
  times = step_milliseconds(compiled, samples) if case.runs else None
  step = float(np.median(times)) if times else None
  program_mb = memory and (memory.temp_size_in_bytes + memory.output_size_in_bytes) / 1e6
  device = jax.devices()[0]
  return {
      'case': name,
      'batch': batch,
      'dtype': dtype,
      'kernels': kernels,
      'backend': device.platform,
      'device': device.device_kind,
      'compile_cold_s': cold,
      'compile_warm_s': warm,
      'step_ms': step,
      'step_ms_min': min(times) if times else None,
      'step_ms_max': max(times) if times else None,
      'program_mb': program_mb,
      'process_mb': _peak_mb(),
      'images_per_s': 1e3 * case.images / step if step else None,
      'floor': case.floor
  }


def _wait():
  print('compiled', flush=True)
  sys.stdin.readline()


if __name__ == '__main__':
  print(json.dumps(row(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], _wait)))
