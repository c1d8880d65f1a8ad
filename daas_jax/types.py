"""The few types that rooms pass to each other."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Batch(NamedTuple):
  """One step's images, uint8 [B, H, W, C], and labels, int32 [B], of both halves of the training
  set.

  Images may be a pytree of arrays [B, ...] where a problem's inputs and loss take one: pixels and
  their boxes, say.
  """
  train_images: jax.Array
  train_labels: jax.Array
  val_images: jax.Array
  val_labels: jax.Array


class SearchState(NamedTuple):
  """Everything a search needs to go on: a step is a pure function of this and a `Batch`.

  Attributes:
    step: int32 [], steps done.
    key: PRNG key of the whole search; step n uses fold_in(key, n).
    theta: network weights.
    arch: parameters of the distribution over architectures, as `Architectures.init` gives them; {}
      for a fixed network.
    gamma: parameters of the policy, as the space of policies gives them; {} where none is searched.
    opt_theta, opt_arch, opt_gamma: their optimizers' states; {} where there is nothing to optimise.
    extra: what one method keeps besides, a pytree of its own; {} of the others.
  """
  step: jax.Array
  key: jax.Array
  theta: Any
  arch: Any
  gamma: Any
  opt_theta: Any
  opt_arch: Any
  opt_gamma: Any
  extra: Any


class Method(NamedTuple):
  """A search algorithm.

  Attributes:
    init: key -> SearchState.
    step: (SearchState, Batch) -> (SearchState, {metric: scalar}); pure, one compiled program.
    end_epoch: SearchState -> SearchState at the end of an epoch, on the host; None: nothing to do.
  """
  init: Callable
  step: Callable
  end_epoch: Callable | None = None


class Architectures(NamedTuple):
  """A distribution over the architectures of a network.

  Attributes:
    init: key -> arch, {} where nothing is searched.
    sample: (key, arch, temperature) -> z, what the network takes for its architecture: a
      straight-through sample, the mixture of all operations for methods with a dense supernet, {}
      where the network is fixed.
  """
  init: Callable = lambda key: {}
  sample: Callable = lambda key, arch, temperature: {}


class Problem(NamedTuple):
  """What a search searches over and what it measures; built from a config by
  `daas_jax.methods.problem`, or by hand.

  A method that needs more of the distributions finds it in them: each space of policies, and each
  space of architectures, has a NamedTuple of its own with `init` and `sample` first.

  Attributes:
    init_theta: key -> theta.
    loss: (theta, z, images float [B, H, W, C], labels [B], key) -> (mean loss [], accuracy []).
    losses: (theta, z, images, labels, key) -> (loss of each image [B], accuracy []).
    image_losses: (theta, z, images, labels, key, first, forward_mode) -> (loss of each image [B],
      score of each [B]), on one device; `first`: all rows are normalised by the moments of the
      first half of them; `forward_mode`: fit to be differentiated in forward mode (both static).
    regularised_loss: (theta, z, images, labels, key, progress) -> as `loss`, with what regularises
      the training of a supernet, which may grow with the share of the search that is done, progress
      in [0, 1].
    relaxed_loss: (theta, arch, images, labels, key) -> loss [] of the mixture of all operations,
      twice differentiable in arch; None where no architecture of cells is searched.
    train_input: (images uint8, policy, key) -> preprocessed, augmented, normalised images. One
      policy for all of them; of a search with a policy an image leaves [B, ...], one of each, and
      of DAAS's either.
    val_input: images uint8 -> normalised images.
    arch: `Architectures`.
    policies: the distribution over policies: init: key -> gamma; sample: (key, gamma) -> policy;
      and what its space has besides (`daas_jax.policies`).
  """
  init_theta: Callable
  loss: Callable
  train_input: Callable
  val_input: Callable
  policies: Any
  arch: Any = Architectures()
  losses: Callable | None = None
  image_losses: Callable | None = None
  regularised_loss: Callable | None = None
  relaxed_loss: Callable | None = None
