"""The few types that rooms pass to each other."""

from typing import Any, Callable, NamedTuple

import jax


class Batch(NamedTuple):
  """One step's images, uint8 [B, H, W, C], and labels, int32 [B], of both halves of the training set.

  Images may be a pytree of arrays [B, ...] where a problem's inputs and loss take one: pixels and their boxes, say.
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
    arch: {'alpha': [2, E, O], 'beta': [2, E]} (a dense supernet has no beta), DiffAutoML's {'alpha': [B, N], 'path':
      int32 [B]}, or {} for a fixed network.
    gamma: policy parameters.
    opt_theta, opt_arch, opt_gamma: their optimizers' states.
    baseline: {'average': [], 'count': []} of DAAS's moving-average baseline; 'past', a `control.Past`, where a control
      variate is learned; {} of other methods.
    hyper, opt_hyper: logarithms of the hyper-parameters that DiffAutoML searches, and their optimizer's state.
  """
  step: jax.Array
  key: jax.Array
  theta: Any
  arch: Any
  gamma: Any
  opt_theta: Any
  opt_arch: Any
  opt_gamma: Any
  baseline: Any
  hyper: Any = ()
  opt_hyper: Any = ()


class Method(NamedTuple):
  """A search algorithm.

  Attributes:
    init: key -> SearchState.
    step: (SearchState, Batch) -> (SearchState, {metric: scalar}); pure, one compiled program.
    end_epoch: SearchState -> SearchState at the end of an epoch, on the host; None: nothing to do.
  """
  init: Callable
  step: Callable
  end_epoch: Any = None


class Problem(NamedTuple):
  """What a search searches over and what it measures; built from a config by `daas_jax.methods.problem`.

  Attributes:
    init_theta: key -> theta.
    init_arch: key -> arch, {} where the network is fixed.
    sample_arch: (key, arch, tau) -> z, a straight-through sample, or the mixture of all operations for methods with a
      dense supernet; {} where the network is fixed.
    loss: (theta, z, images float [B, H, W, C], labels [B], key) -> (mean cross-entropy [], accuracy []).
    init_gamma: key -> gamma.
    sample_policy: (key, gamma) -> policy.
    log_prob: (gamma, policy) -> log p(policy), [] (DAAS Eq. 4, or that of its outcome; DDAS's P(phi), Eq. 3).
    identity: policy -> the same policy with nothing applied.
    train_input: (images uint8, policy, key) -> preprocessed, augmented, normalised images. A relaxed policy is gamma.
    val_input: images uint8 -> normalised images.
    n_features, features, expected_features: D, policy -> [D], (gamma, w [D]) -> E[w . features] []: what an additive
      control variate needs.
    project: gamma -> the nearest one inside its range; None where every gamma is.
    total_probability: gamma -> p_tp [], DDAS's total probability; None of other policy spaces.
    train_loss: (theta, z, images, labels, key, progress) -> as `loss`, with what regularises the training of a
      supernet, which may grow with the share of the search that is done, progress in [0, 1]; None: `loss`.
    relaxed_loss: (theta, arch, images, labels, key) -> mean cross-entropy [] of the mixture of all operations, twice
      differentiable in arch; None where no architecture is searched.
    augmented_val_input: `train_input` of validation images, for methods that augment them too; None: train_input.
    losses: (theta, z, images, labels, key) -> (cross-entropy of each image [B], accuracy []).
    budget: a `daas_jax.estimators.dsnas.Budget` where paths through a choice-block supernet are searched, else None.
  """
  init_theta: Callable
  init_arch: Callable
  sample_arch: Callable
  loss: Callable
  init_gamma: Callable
  sample_policy: Callable
  log_prob: Callable
  identity: Callable
  train_input: Callable
  val_input: Callable
  n_features: int = 0
  features: Any = None
  expected_features: Any = None
  project: Any = None
  total_probability: Any = None
  train_loss: Any = None
  relaxed_loss: Any = None
  augmented_val_input: Any = None
  losses: Any = None
  budget: Any = None


class CriticProblem(NamedTuple):
  """What Faster AutoAugment searches over and what it measures: a `Problem` of a critic and images in two stages.

  Attributes:
    init_theta: key -> theta.
    init_gamma: key -> gamma.
    critic: (theta, images as `normalise` gives them, key) -> (values D [B], logits [B, n]).
    prepare: (images uint8 [B, H, W, C], key) -> cropped and flipped images, float in [0, 1].
    augment: (gamma, images float in [0, 1], key) -> images float in [0, 1], differentiable in gamma.
    normalise: images float in [0, 1] -> the network's input.
    val_input: images uint8 -> the network's input.
    project: gamma -> gamma within its bounds.
  """
  init_theta: Callable
  init_gamma: Callable
  critic: Callable
  prepare: Callable
  augment: Callable
  normalise: Callable
  val_input: Callable
  project: Callable
