"""The gradient of alpha and beta in a step that samples architectures: from derivatives of a
validation loss, or from validation losses alone.

'straight_through' (DAAS Eq. 9): the derivative of the loss at n sampled architectures, pulled back
as if these were soft. Biased: operations that were not drawn get no derivative.

The others take the losses of 2 n architectures (or more), forward passes alone, which cost what n
forward and backward passes do, and the linear model h of past ones that
`daas_jax.estimators.control` learns, whose gradient is known exactly:

  'additive': grad E[h] + the leave-one-out score function of what h leaves over; unbiased.
  'regression': grad E[h] alone, h learned from this step's losses as well: far less noise, and a
    bias of what the last hundred steps differ in from this one. (Where operations are drawn
    independently, the regression of L on them has the gradient of E[L] whatever else L depends on:
    Sutton et al. 2000's compatible function.) Its noise is that of a hundred steps as well, so what
    is decided is told by the unbiased one, which is computed beside it.

A step calls `draw` for its architectures, then `straight_through` with the derivatives that it has,
or `of_losses`, and keeps `init_extra`'s pytree in its `SearchState.extra`.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.config.key import at_least, between, Key, MOST, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import control, score
from daas_jax.nets import registry as nets
from daas_jax.types import Batch, Problem

KEYS = {
    'search.arch_gradient': Key(
        'straight_through', one_of('straight_through', 'additive', 'regression'),
        'gradient of alpha and beta: straight_through (DAAS Eq. 9); of validation losses, forward '
        'alone, and a model of past ones: additive (unbiased), regression (less noise)'),
    'search.arch_warmup_epochs': Key(
        0, at_least(0), 'epochs before alpha and beta move: an untrained theta favours what has no '
        'weights, and what is favoured is trained more (additive and regression save their losses '
        'meanwhile)'),
    'search.n_losses': Key(
        2, between(2, MOST), 'validation losses that additive and regression take for each of '
        'n_arch, of an architecture each; 2 cost what Eq. 9 does'),
    'search.loss_images': Key(
        0, between(0, MOST), 'images of D_val in each of these losses, and in those of '
        'search.objective=moments, the first ones; 0: all'),
}


class Drawn(NamedTuple):
  """Architectures z [n, ...], their pullback (cotangent of z) -> (cotangent of arch,), and a key
  for each, [n], of the noise in the network."""
  z: Any
  pullback: Callable
  network_keys: jax.Array


def keys(key: jax.Array, first: Any, n: int) -> jax.Array:
  """Keys [n] of the samples from number `first` on: a sample's key depends on its global number
  alone, however many devices draw."""
  return jax.vmap(jax.random.fold_in, (None, 0))(key, first + jnp.arange(n))


def two(keys: jax.Array) -> jax.Array:
  """A pair for each of keys [n], [2, n]: one draws the sample, the other is for what happens inside
  the network or the images."""
  return jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)


def draw(problem: Problem, keys: jax.Array, arch: Any, tau: Any) -> Drawn:
  """Straight-through architectures (DAAS Eq. 7-8), one a key.

  Args:
    problem: whose `arch.sample` draws.
    keys: [n], as `keys` gives them.
    arch: {'alpha', 'beta'}, or as the space has it.
    tau: temperature > 0.
  """
  z_keys, network_keys = two(keys)
  z, pullback = jax.vjp(
      lambda arch: jax.vmap(problem.arch.sample, (0, None, None))(z_keys, arch, tau), arch)
  return Drawn(z, pullback, network_keys)


def straight_through(pullback: Callable, g_z: Any, n: int, others: int) -> Any:
  """DAAS Eq. 9 of this device's samples, like arch.

  Args:
    pullback: of n + others architectures.
    g_z: pytree like their z, the derivatives of the validation loss of the first n.
    n: architectures of Eq. 9, >= 1.
    others: architectures after these, whose rows of g_z are left out.
  """
  spread = lambda g: jnp.concatenate([g[:n] / n, jnp.zeros((others, *g.shape[1:]), g.dtype)])
  return pullback(jax.tree.map(spread, g_z))[0]


_REFUSED = ("config key 'search.arch_gradient' = {!r} needs cells that are searched: set it to "
            "'straight_through'")


def check(flat: Mapping[str, Any]) -> None:
  """Refuses a gradient out of losses, or a warm-up, where no architecture is searched.

  Raises:
    BadInput: the network of a config {'group.key': value} is fixed, or its path is held; or more
      images are asked for than a batch has; or alpha and beta would wait for ever, or be looked at
      meanwhile.
  """
  if flat['search.loss_images'] > flat['search.batch']:
    raise BadInput(f"config key 'search.loss_images' ({flat['search.loss_images']}) must be at "
                   f"most search.batch ({flat['search.batch']})")
  _check_warmup(flat)
  which = flat['search.arch_gradient']
  if which != 'straight_through' and fixed(flat):
    raise BadInput(_REFUSED.format(which))


def fixed(flat: Mapping[str, Any]) -> bool:
  """Whether a search has no architecture to look for: a fixed network, or one that is given."""
  return not nets.networks()[flat['network.name']].space or bool(flat.get('network.genotype'))


def _check_warmup(flat):
  """Refuses a warm-up of alpha and beta that nothing follows, or that something else would end."""
  epochs = flat['search.arch_warmup_epochs']
  begins = f"config key 'search.arch_warmup_epochs' ({epochs}) "
  if not epochs:
    return
  if fixed(flat):
    raise BadInput(begins + 'needs cells that are searched: set it to 0')
  if epochs >= flat['search.epochs']:
    raise BadInput(begins + f"must be below search.epochs ({flat['search.epochs']})")
  for key, off in (('arch.stop_skip', 1), ('arch.stop_eigenvalue', 0)):
    if flat[key] != off:
      raise BadInput(begins + f'cannot be had with {key}, which looks at cells that wait: set that '
                     f'to {off}')


def require(problem: Problem, which: str) -> None:
  """Refuses a gradient out of losses for architectures that do not say how likely they are.

  Raises:
    BadInput: the problem's architectures have no log_prob, features, expected_features and
      n_features: a space of another kind, or one from which nothing is searched.
  """
  if which != 'straight_through' and not hasattr(problem.arch, 'log_prob'):
    raise BadInput(_REFUSED.format(which))


def init_extra(problem: Problem, which: str) -> dict[str, Any]:
  """What a search keeps in `SearchState.extra` for a gradient of `KEYS`: {'arch_past':
  `control.Past`}, {} for 'straight_through'."""
  return {} if which == 'straight_through' else {'arch_past': control.init(problem.arch.n_features)}


class OfLosses(NamedTuple):
  """A gradient out of losses: like arch, the mean over all devices; the unbiased one, which is what
  this step says by itself; the next `init_extra`; loss and accuracy of this device's
  architectures."""
  gradient: Any
  evidence: Any
  extra: dict[str, Any]
  loss: jax.Array
  accuracy: jax.Array


def everywhere(x: jax.Array, axis: str | None) -> tuple[jax.Array, Callable]:
  """All devices' rows of x [n, ...], and which of such rows are this device's."""
  gathered = trees.all_gather(x, axis)
  own = trees.device_index(axis)
  return gathered.reshape(-1, *x.shape[1:]), lambda rows: rows.reshape(gathered.shape)[own]


def of_losses(problem: Problem, which: str, theta: Any, arch: Any, extra: dict[str, Any],
              key: jax.Array, batch: Batch, n: int, axis: str | None = None,
              images: int = 0) -> OfLosses:
  """The gradient of E_z[L_val(theta, z)] from validation losses of n architectures a device.

  Args:
    problem: whose `arch` has what `require` asks for.
    which: 'additive' or 'regression'.
    theta, arch: weights and parameters of the architectures.
    extra: as `init_extra` gives it, or the last step's.
    key: PRNG key of this use in this step, the same on all devices.
    batch: of which the validation half is used.
    n: >= 2, on this device.
    axis: name of pmap's axis over devices that share the samples, None for one device.
    images: how many of D_val's a loss is of, the first ones; 0: all.
  """
  device = trees.device_index(axis)
  drawn = jax.lax.stop_gradient(
      draw(problem, keys(key, device * n, n), arch, 1.0)[::2])  # tau changes no hard sample
  some = slice(images or None)
  inputs = problem.val_input(batch.val_images[some])
  loss, accuracy = jax.lax.map(
      lambda x: problem.loss(theta, x[0], inputs, batch.val_labels[some], x[1]), drawn)
  phi = jax.vmap(problem.arch.features)(drawn[0])
  (losses, own), (rows, _) = everywhere(loss, axis), everywhere(phi, axis)
  past = control.update(extra['arch_past'], rows[None], losses[None])
  # add_expectation is written for a loss whose gradient is -xi times that of what is learned
  expected = lambda rest, w: trees.pmean(control.add_expectation(
      rest, lambda arch: problem.arch.expected_features(arch, w), arch, -1.0), axis)
  w = control.coefficients(extra['arch_past'])  # of earlier steps alone: what makes it unbiased
  left = losses - rows @ w
  b = score.leave_one_out(left[None])[0]
  unbiased = expected(
      score.score_gradient(problem.arch.log_prob, arch, drawn[0], own(left - b) / n), w)
  gradient = unbiased if which == 'additive' else expected(
      trees.scale(0, arch), control.coefficients(past))
  return OfLosses(gradient, unbiased, {'arch_past': past}, loss, accuracy)
