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
from daas_jax.errors import BadInput
from daas_jax.estimators import dsnas
from daas_jax.methods import build as build_method
from daas_jax.nets import architecture, cells, fixed, kernels as kernel_sets, shuffle, shuffle_count
from daas_jax.nets.derived import keep_factors
from daas_jax.nets.small_cnn import SmallCNN
from daas_jax.nets.supernet import SuperNet
from daas_jax.policies import categorical, outcomes, relaxed, total, transformations
from daas_jax.types import CriticProblem, Problem

NETWORKS = ('supernet', 'small_cnn', 'shuffle', *fixed.FIXED)


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
  if config.network.name == 'shuffle':
    return shuffle.ShuffleSuperNet(num_classes, config.network.size, kernels)
  if config.network.name == 'small_cnn':
    return SmallCNN(num_classes, config.network.channels, kernels)
  space = arch_space(config)
  return SuperNet(num_classes, config.network.layers, config.network.channels, space.primitives, config.network.stem,
                  dense=_row(config).architecture == 'mixture', kernels=kernels, dtype=config.network.dtype, edges=space.edges,
                  own_cells=space.cells != architecture.CELL_TYPES, auxiliary=config.search.get('auxiliary', 0) > 0)


def arch_space(config):
  """The `architecture.DenseSpace` of a search config's supernet, which names its cells, edges and operations."""
  room = config.network
  return architecture.DenseSpace(
      tuple(room.primitives), cells.CHAIN_EDGES if room.get('edges') == 'fixed' else cells.ALL_EDGES,
      architecture.own_cells(room.layers) if room.get('cells') == 'own' else architecture.CELL_TYPES)


def takes_key(config):
  """Whether the network of a search config draws random numbers in training."""
  row = fixed.FIXED.get(config.network.name)
  return row.module.takes_noise if row else 'noise' in config.network.primitives


def policy_space(config):
  """The space of policies of a search config, of the module that its method uses; None where none is searched."""
  room, kind = config.policy, _row(config).policy
  return SPACES[kind](room) if kind != 'given' else None


SPACES = {
    'categorical': lambda room: categorical.Space(tuple(room.ops), room.K, room.levels, room.share),
    'total': lambda room: total.Space(total.parse(room.candidates) or total.published(), room.K),
    'relaxed': lambda room: relaxed.Space(tuple(room.ops), room.K, room.L, room.selection_temperature,
                                          room.bernoulli_temperature),
    'transformations': lambda room: transformations.Space(tuple(room.ops), room.K),
}
"""{kind of policies: config.policy -> their space}."""


def _row(config):
  return build_method.METHODS[config.method]


def standard_preprocessing(images, key, config):
  """Random crop (or resized crop) and horizontal flip of images float [B, H, W, C], as `config.preprocess` says."""
  key_crop, key_flip = jax.random.split(key)
  if config.crop == 'resized':
    images = preprocess.random_resized_crop(images, key_crop, images.shape[1])
  elif config.padding:
    images = preprocess.random_crop(images, key_crop, config.padding)
  return preprocess.random_flip(images, key_flip) if config.flip else images


def make_input(config, data, augment, standard=True):
  """(images uint8, policy, key) -> preprocessed, augmented, normalised images.

  Args:
    config: a search or training config.
    data: a `daas_jax.data.sources.Dataset`, for mean and std.
    augment: (images float, policy, key) -> images float.
    standard: whether crop and flip come before it, and Cutout (where the config has it) after; all or none of them.
  """
  def train_input(images, policy, key):
    key_standard, key_policy, key_cutout = jax.random.split(key, 3)
    images = preprocess.to_float(images)
    if standard:
      images = standard_preprocessing(images, key_standard, config.preprocess)
    images = preprocess.normalise(augment(images, policy, key_policy), data.mean, data.std)
    size = config.preprocess.cutout if standard else 0
    return preprocess.cutout(images, key_cutout, size) if size else images
  return train_input


def _train_input(config, data, space):
  return make_input(config, data, lambda images, policy, key: apply.apply_policy(
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
      train_input=make_input(config, data, augment),
      total_probability=total.total_probability)


def _relaxed(config, data, space):
  """The same for the joint DARTS and Faster AutoAugment search, whose policy is gamma itself."""
  train_input = make_input(config, data, lambda images, gamma, key: relaxed.apply(gamma, space, images, key))
  return dict(
      init_gamma=functools.partial(relaxed.init, space=space),
      sample_policy=None,
      log_prob=None,
      train_input=train_input,
      project=relaxed.project,
      augmented_val_input=lambda images, gamma, key: train_input(_turned(images, config), gamma, key))


def given_input(config, data, augment, standard):
  """(images uint8, progress, key) -> images under a policy that is given: `make_input`.

  Args:
    config, data, standard: as for `make_input`.
    augment: (key, images float, progress) -> images, such as `daas_jax.load_policy` returns; progress in [0, 1] is the
      share of the run that is done.
  """
  return make_input(config, data, lambda images, progress, key: augment(key, images, progress), standard)


def _given(config, data, augment, standard):
  """The fields of a `Problem` that are about policies, where none is searched."""
  return dict(init_gamma=lambda key: {}, sample_policy=None, log_prob=None,
              train_input=given_input(config, data, augment, standard))


def _transformations(config, data, space):
  """The same for DiffAutoML, whose policies are drawn for every image of a batch."""
  return dict(
      init_gamma=functools.partial(transformations.init, space=space),
      sample_policy=lambda key, tau: transformations.sample(key, tau, config.search.batch, space),
      log_prob=lambda tau, drawn: jnp.log(transformations.probability(tau, drawn)),
      train_input=make_input(config, data,
                             lambda images, drawn, key: transformations.augment(images, drawn, key, space)))


_POLICIES = {'categorical': _categorical, 'total': _total, 'relaxed': _relaxed, 'transformations': _transformations}


def _budget(config, data):
  """The `dsnas.Budget` of a search of choice blocks, in multiply-adds."""
  costs = shuffle_count.multiply_adds(config.network.size, data.train_images.shape[1:], len(data.class_names))
  limit, cheapest = config.arch.max_multiply_adds or None, costs.rest + int(costs.choices.min(-1).sum())
  if costs.rest + costs.choices.max(-1).sum() >= 2**31:
    raise BadInput(f'images of {data.train_images.shape[1:]} are too large for network.size={config.network.size!r}: '
                   'a path would cost over 2 ** 31 multiply-adds')
  if limit is not None and limit < cheapest:
    raise BadInput(f'arch.max_multiply_adds={limit} is below the cheapest path of size {config.network.size!r} on '
                   f'these images, {cheapest}: raise it')
  return dsnas.Budget(costs.choices, costs.rest, limit)


def _paths(config, budget):
  """The fields of a `Problem` that are about the architecture, for paths through choice blocks."""
  costs, room = jnp.asarray(budget.costs, jnp.int32), config.arch

  def init_arch(key):
    return {'alpha': 1e-3 * jax.random.normal(key, costs.shape), 'path': jnp.argmin(costs, -1).astype(jnp.int32)}

  def sample_arch(key, arch, tuning):
    decided = dsnas.decided(arch['alpha'], room.freeze_margin)
    if room.constraint == 'rejection':
      drawn = dsnas.sample_within(key, arch['alpha'], decided, costs, budget.left)
    else:
      drawn = dsnas.sample(key, arch['alpha'], decided)
    choice = jnp.where(tuning, arch['path'], drawn)
    return {'choice': choice, 'gate': jnp.ones(len(choice)),
            'cost': dsnas.cost(costs, choice).astype(jnp.float32) + budget.rest}

  return dict(init_arch=init_arch, sample_arch=sample_arch, budget=budget)


def cross_entropies(logits, labels):
  """Cross-entropy of each image, of logits [B, n] and labels int [B]: [B]."""
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def mixture_input(config, data, space):
  """(images uint8, `straight_through.Weights`, key) -> the images of `train_input`, differentiable in the weights."""
  return make_input(config, data,
                    lambda images, weights, key: apply.apply_mixture(images, *weights, key, ops=space.ops))


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


def _train_loss(config, net, needs_key):
  """`Problem.train_loss` of a dense supernet: drop-path, and the auxiliary head's loss."""
  search, shape = config.search, (net.layers, len(net.edges))

  def train_loss(theta, z, images, labels, key, progress):
    key_keep, key_network = jax.random.split(key)
    keep = keep_factors(key_keep, search.drop_path * progress, (*shape, len(labels))) if search.drop_path else None
    out = net.apply({'params': theta}, z, images, key_network if needs_key else None, keep)
    logits, auxiliary = out if net.auxiliary else (out, None)
    value = cross_entropy(logits, labels)
    if auxiliary is not None:
      value += search.auxiliary * cross_entropy(auxiliary, labels)
    return value, accuracy(logits, labels)

  return train_loss


def build(config, data, genotype=None, policy=None):
  """Builds the `Problem` of a search (`build_critic` that of Faster AutoAugment).

  Args:
    config: a search config (`daas_jax.config.SEARCH`).
    data: a `daas_jax.data.sources.Dataset`, of which only shapes, class names, mean and std are used; for a detector a
      `daas_jax.detection.sets.DetectionSet`.
    genotype: the `Genotype` whose path through the supernet is held fixed (the second stage of DAAS 5.2's independent
      search), or None: the architecture is searched.
    policy: of a method that searches none, (augment, whether crop and flip come before it), as
      `daas_jax.train.find_policy` gives them.

  Returns:
    A `daas_jax.types.Problem`.

  Raises:
    BadInput: the genotype has an operation that is not among `network.primitives`.
  """
  net, primitives = network(config, len(data.class_names)), tuple(config.network.primitives)
  if config.network.name in detectors.DETECTORS:
    return detection.problem(net, policy_space(config), data, config.policy.p_tp, config.preprocess.flip)
  drawn = config.network.name == 'supernet' and genotype is None
  kind = _row(config).architecture
  searched, dense = drawn and kind != 'uniform', kind == 'mixture'
  held = {} if genotype is None else architecture.fixed(genotype, primitives)
  needs_key = takes_key(config)
  space = policy_space(config)
  policies = _POLICIES[_row(config).policy](config, data, space) if space else _given(config, data, *policy)
  plain = net.clone(auxiliary=False) if drawn else net  # L_val has no auxiliary head
  regularised = 'drop_path' in config.search
  image = jax.ShapeDtypeStruct((1, *data.train_images.shape[1:]), jnp.float32)
  paths = _paths(config, _budget(config, data)) if config.network.name == 'shuffle' else {}

  def init_arch(key):
    if not searched:
      return {}
    return architecture.init_dense(key, arch_space(config)) if dense else architecture.init(key, primitives)

  def sample_arch(key, arch, tau):
    if drawn and dense:
      return architecture.mixture(arch)
    if drawn and not searched:  # uniformly
      arch = jax.tree.map(jnp.zeros_like, architecture.init(key, primitives))
    return architecture.sample(key, arch, tau) if drawn else held

  def init_theta(key):
    z = fields['sample_arch'](key, fields['init_arch'](key), 1.0)
    return net.init(key, z, jnp.zeros(image.shape), key if needs_key else None)['params']

  def loss(theta, z, images, labels, key):
    logits = plain.apply({'params': theta}, z, images, key if needs_key else None)
    return cross_entropy(logits, labels), accuracy(logits, labels)

  def relaxed_loss(theta, arch, images, labels, key):
    logits = plain.clone(dense=True).apply({'params': theta}, architecture.mixture(arch), images,
                                           key if needs_key else None)
    return cross_entropy(logits, labels)

  def losses(theta, z, images, labels, key):
    logits = net.apply({'params': theta}, z, images, key if needs_key else None)
    return cross_entropies(logits, labels), accuracy(logits, labels)

  def val_input(images):
    return preprocess.normalise(preprocess.to_float(_turned(images, config)), data.mean, data.std)

  fields = dict(init_arch=init_arch, sample_arch=sample_arch) | paths
  return Problem(
      init_theta=init_theta,
      loss=loss,
      losses=losses,
      identity=lambda policy: policy._replace(y=jnp.zeros_like(policy.y)),
      val_input=val_input,
      train_loss=_train_loss(config, net, needs_key) if regularised else None,
      relaxed_loss=relaxed_loss if searched else None,
      **fields,
      **policies)
