"""Compiled programs that several runs share: what differs between the runs is no part of them.

A step closes over arrays that another run of the same form has others of: mean and std of its
images, the table of its policy. As constants they would make every run another program, that is
compiled anew; here they are arguments, and runs of equal shapes find each other's programs in the
compilation cache.
"""

from collections.abc import Callable

import jax


def jit(fn: Callable, donate: tuple[int, ...] = ()) -> Callable:
  """jax.jit of a pure function, the arrays that it closes over made arguments of its program.

  Args:
    fn: its arguments and its result are pytrees of arrays.
    donate: numbers of the arguments whose arrays the program may write over.

  Returns:
    The function; it is traced at its first call, and every call has to be of the same shapes. In
    double precision, which is for checks, it is `jax.jit`'s: a Python number in a traced program is
    of the widest type when that is evaluated again.
  """
  if jax.config.read('jax_enable_x64'):
    return jax.jit(fn, donate_argnums=donate)
  made: list[Callable] = []

  def call(*args):
    if not made:
      made.append(_program(fn, args, donate))
    return made[0](*args)

  return call


def _program(fn, args, donate):
  closed, shape = jax.make_jaxpr(fn, return_shape=True)(*args)
  result = jax.tree.structure(shape)

  def evaluate(constants, *args):
    flat = jax.core.eval_jaxpr(closed.jaxpr, constants, *jax.tree.leaves(args))
    return jax.tree.unflatten(result, flat)

  evaluate.__name__ = getattr(fn, '__name__', evaluate.__name__)  # what compilers and profilers say
  program = jax.jit(evaluate, donate_argnums=tuple(i + 1 for i in donate))
  constants = jax.tree.map(jax.numpy.asarray, closed.consts)
  return lambda *args: program(constants, *args)
