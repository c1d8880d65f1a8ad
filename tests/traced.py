"""How often JAX traced a function: once, where shapes and types of all calls were the same."""

import functools


def counted(fn):
  """fn, to be given to jax.jit, with the times that it was run by Python: `.times`."""
  @functools.wraps(fn)
  def run(*args):
    run.times += 1
    return fn(*args)

  run.times = 0
  return run
