"""What is searched over and what is measured: a `Problem` out of a config and a data set's facts.

The methods see only the callables of `daas_jax.types.Problem`; networks, policy spaces and preprocessing are chosen
here and nowhere else.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from daas_jax.augment import apply, preprocess
from daas_jax.detection import networks as detectors, task as detection
from daas_jax.nets import architecture, fixed, kernels as kernel_sets
from daas_jax.nets.small_cnn import SmallCNN
from daas_jax.nets.supernet import SuperNet
from daas_jax.policies import categorical, outcomes, relaxed, total
from daas_jax.types import CriticProblem, Problem

DENSE = ('joint_faa',)
"""The methods whose supernet computes all operations."""
NETWORKS = ('supernet', 'small_cnn', *fixed.FIXED)


def cross_entropy(logits, labels, smoothing=0.0):
  """Mean cross-entropy of logits [B, n] and labels int [B], labels smoothed by `smoothing` in [0, 1): []."""
  targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype), smoothing)
  return jnp.mean(optax.softmax_cross_entropy(logits, targets))


def accuracy(logits, labels):
  """Share of images whose largest logit is their label's: []."""
  return jnp.mean((jnp.argmax(logits, -1) == labels).astype(jnp.float32))


def network(config, num_classes, kernels=None):
  """The network that a search config names: a linen module (or its init and apply) with the call (z, images, key).

  It gives logits; `takes_key` says whether it needs the key. `kernels` is instead of the config's; with 'plain' the
  network can be differentiated in forward mode. A detector is a `daas_jax.detection.networks.Network` instead.
  """
  if config.network.name in detectors.DETECTORS:
    return detectors.make(config.network.name, num_classes, config.network.depth, config.network.width)
  kernels = kernels or kernel_sets.choose(config.network.kernels)
  if config.network.name in fixed.FIXED:
    room = config.network
    return fixed.InSearch(fixed.make(room.name, num_classes, room.depth, room.width, kernels))
  if config.network.name == 'small_cnn':
    return SmallCNN(num_classes, config.network.channels, kernels)
  return SuperNet(num_classes, config.network.layers, config.network.channels, tuple(config.network.primitives),
                  config.network.stem, dense=config.method in DENSE, kernels=kernels, dtype=config.network.dtype)


def takes_key(config):
  """Whether the network of a search config draws random numbers in training."""
  row = fixed.FIXED.get(config.network.name)
  return row.module.takes_noise if row else 'noise' in config.network.primitives


def policy_space(config):
  """The space of policies of a search config, of the module that its method uses."""
  if config.method == 'ddas':
    return total.Space(total.parse(config.policy.candidates) or total.published(), config.policy.K)
  if config.method in ('joint_faa', 'faster_aa'):
    room = config.policy
    return relaxed.Space(tuple(room.ops), room.K, room.L, room.selection_temperature, room.bernoulli_temperature)
  return categorical.Space(tuple(config.policy.ops), config.policy.K, config.policy.levels, config.policy.share)


def standard_preprocessing(images, key, config):
  """Random crop (or resized crop) and horizontal flip of images float [B, H, W, C], as `config.preprocess` says."""
  key_crop, key_flip = jax.random.split(key)
  if config.crop == 'resized':
    images = preprocess.random_resized_crop(images, key_crop, images.shape[1])
  elif config.padding:
    images = preprocess.random_crop(images, key_crop, config.padding)
  return preprocess.random_flip(images, key_flip) if config.flip else images


def _input(config, data, augment):
  """(images uint8, policy, key) -> crop and flip, augment(images, policy, key), normalisation, Cutout."""
  def train_input(images, policy, key):
    key_standard, key_policy, key_cutout = jax.random.split(key, 3)
    images = standard_preprocessing(preprocess.to_float(images), key_standard, config.preprocess)
    images = preprocess.normalise(augment(images, policy, key_policy), data.mean, data.std)
    size = config.preprocess.cutout
    return preprocess.cutout(images, key_cutout, size) if size else images
  return train_input


def _train_input(config, data, space):
  return _input(config, data, lambda images, policy, key: apply.apply_policy(
      images, policy.o, policy.y, categorical.strength(policy.m, space), key, ops=space.ops, per='batch'))


def _categorical(config, data, space):
  """The fields of a `Problem` that are about policies, for DAAS."""
  scored = {'event': categorical, 'outcome': outcomes}[config.search.score]
  return dict(
      init_gamma=functools.partial(categorical.init, space=space, p0=config.policy.p0),
      sample_policy=functools.partial(categorical.sample, space=space),
      log_prob=functools.partial(scored.log_prob, space=space),
      train_input=_train_input(config, data, space),
      n_features=outcomes.size(space),
      features=functools.partial(outcomes.features, space=space),
      expected_features=functools.partial(outcomes.expected, space=space))


def _total(config, data, space):
  """The same for DDAS."""
  def augment(images, policy, key):
    o, strength = space.operations(policy.phi)
    return apply.apply_policy(images, o, jnp.broadcast_to(policy.y, o.shape), strength, key, ops=space.ops, per='batch')

  return dict(
      init_gamma=functools.partial(total.init, space=space, p_tp=config.policy.p_tp),
      sample_policy=lambda key, gamma: total.sample(key, space),
      log_prob=total.log_prob,
      train_input=_input(config, data, augment),
      total_probability=total.total_probability)


def _relaxed(config, data, space):
  """The same for the joint DARTS and Faster AutoAugment search, whose policy is gamma itself."""
  return dict(
      init_gamma=functools.partial(relaxed.init, space=space),
      sample_policy=None,
      log_prob=None,
      train_input=_input(config, data, lambda images, gamma, key: relaxed.apply(gamma, space, images, key)),
      project=relaxed.project)


_POLICIES = {'daas': _categorical, 'ddas': _total, 'joint_faa': _relaxed}


def mixture_input(config, data, space):
  """(images uint8, `straight_through.Weights`, key) -> the images of `train_input`, differentiable in the weights."""
  return _input(config, data, lambda images, weights, key: apply.apply_mixture(images, *weights, key, ops=space.ops))


def two_heads(outputs):
  """(D [B], logits [B, n]) of a classifier's outputs [B, n + 1]: a classifier of one class more is a critic.

  The critic's head is linear in the features; in Faster AutoAugment's code it is a perceptron with one hidden layer.
  """
  return outputs[:, -1], outputs[:, :-1]


def build_critic(config, data):
  """Builds the `CriticProblem` of Faster AutoAugment: the network has one output more, the critic's value.

  Args:
    config: a search config of method 'faster_aa'.
    data: a `daas_jax.data.sources.Dataset`.
  """
  net, space, needs_key = network(config, len(data.class_names) + 1), policy_space(config), takes_key(config)
  normalise = lambda images: preprocess.normalise(images, data.mean, data.std)
  image = jnp.zeros((1, *data.train_images.shape[1:]))

  def critic(theta, images, key):
    return two_heads(net.apply({'params': theta}, {}, images, key if needs_key else None))

  return CriticProblem(
      init_theta=lambda key: net.init(key, {}, image, key if needs_key else None)['params'],
      init_gamma=functools.partial(relaxed.init, space=space),
      critic=critic,
      prepare=lambda images, key: standard_preprocessing(preprocess.to_float(images), key, config.preprocess),
      augment=lambda gamma, images, key: relaxed.apply(gamma, space, images, key),
      normalise=normalise,
      val_input=lambda images: normalise(preprocess.to_float(_turned(images, config))),
      project=relaxed.project)


def _turned(images, config):
  """Validation images, turned where the check of DDAS 4.1 asks for it."""
  turns = config.data.validation_turns
  return jnp.rot90(images, turns, (1, 2)) if turns else images


def build(config, data, genotype=None):
  """Builds the `Problem` of a search (`build_critic` that of Faster AutoAugment).

  Args:
    config: a search config (`daas_jax.config.SEARCH`).
    data: a `daas_jax.data.sources.Dataset`, of which only shapes, class names, mean and std are used; for a detector a
      `daas_jax.detection.sets.DetectionSet`.
    genotype: the `Genotype` whose path through the supernet is held fixed (the second stage of DAAS 5.2's independent
      search), or None: the architecture is searched.

  Returns:
    A `daas_jax.types.Problem`.

  Raises:
    BadInput: the genotype has an operation that is not among `network.primitives`.
  """
  net, primitives = network(config, len(data.class_names)), tuple(config.network.primitives)
  if config.network.name in detectors.DETECTORS:
    return detection.problem(net, policy_space(config), data, config.policy.p_tp, config.preprocess.flip)
  drawn = config.network.name == 'supernet' and genotype is None
  searched, dense = drawn and config.method != 'ddas', config.method in DENSE
  held = {} if genotype is None else architecture.fixed(genotype, primitives)
  needs_key = takes_key(config)
  policies = _POLICIES[config.method](config, data, policy_space(config))
  image = jax.ShapeDtypeStruct((1, *data.train_images.shape[1:]), jnp.float32)

  def init_arch(key):
    initial = architecture.init_dense if dense else architecture.init
    return initial(key, primitives) if searched else {}

  def sample_arch(key, arch, tau):
    if drawn and dense:
      return architecture.mixture(arch)
    if drawn and not searched:  # uniformly
      arch = jax.tree.map(jnp.zeros_like, architecture.init(key, primitives))
    return architecture.sample(key, arch, tau) if drawn else held

  def init_theta(key):
    z = sample_arch(key, init_arch(key), 1.0)
    return net.init(key, z, jnp.zeros(image.shape), key if needs_key else None)['params']

  def loss(theta, z, images, labels, key):
    logits = net.apply({'params': theta}, z, images, key if needs_key else None)
    return cross_entropy(logits, labels), accuracy(logits, labels)

  def val_input(images):
    return preprocess.normalise(preprocess.to_float(_turned(images, config)), data.mean, data.std)

  return Problem(
      init_theta=init_theta,
      init_arch=init_arch,
      sample_arch=sample_arch,
      loss=loss,
      identity=lambda policy: policy._replace(y=jnp.zeros_like(policy.y)),
      val_input=val_input,
      **policies)
