"""One update of an optimizer, as every method makes it."""

import optax

from daas_jax.arrays import foreign


def update(optimizer, gradient, opt_state, parameters):
  """(new parameters, new optimizer state) of one step.

  Args:
    optimizer: an optax transformation.
    gradient, parameters: pytrees of one structure.
    opt_state: the optimizer's state.
  """
  with foreign():
    updates, opt_state = optimizer.update(gradient, opt_state, parameters)
    return optax.apply_updates(parameters, updates), opt_state
