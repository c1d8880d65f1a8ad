"""What is searched over and what is measured: a `Problem` out of a config and a data set's facts.

The methods see only the callables of `daas_jax.types.Problem`; networks are chosen here and nowhere else, policies in
`daas_jax.methods.spaces`, preprocessing in `daas_jax.augment.inputs`.
"""

import functools

import jax
import jax.numpy as jnp
import optax

from daas_jax.augment import inputs
from daas_jax.methods import spaces
from daas_jax.nets import devices
from daas_jax.augment import preprocess
from daas_jax.detection import networks as detectors, task as detection
from daas_jax.errors import BadInput
from daas_jax.estimators import dsnas
from daas_jax.methods import build as build_method
from daas_jax.nets import kernels as kernel_sets
from daas_jax.nets.cells import architecture, cell as cells
from daas_jax.nets.fixed import table as fixed
from daas_jax.nets.shuffle import costs as shuffle_count, supernet as shuffle
from daas_jax.nets.cells.derived import keep_factors
from daas_jax.nets.fixed.small_cnn import SmallCNN
from daas_jax.nets.cells.supernet import SuperNet
from daas_jax.policies import relaxed
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
                  dense=_kind(config) == 'mixture', kernels=kernels, dtype=config.network.dtype, edges=space.edges,
                  own_cells=space.cells != architecture.CELL_TYPES, auxiliary=config.search.get('auxiliary', 0) > 0)


def forward(config, num_classes, split=False, saw=None, **changed):
  """A search's network as a function: (theta, z, images [B, ...], key, keep=None) -> its outputs for the whole batch.

  Args:
    config: a search config.
    num_classes: number of outputs.
    split: whether the devices of a pmapped function split the batch (`daas_jax.nets.devices`).
    saw: called with the number of a device whose own gradient is not finite (`devices.watched`); None: nobody looks.
    **changed: attributes of the linen module that are others than the config says.
  """
  kernels = kernel_sets.choose(config.network.kernels) + (kernel_sets.SHARED if split else '')
  net, needs_key = network(config, num_classes, kernels), takes_key(config)
  net = net.clone(**changed) if changed else net

  def run(given, batch):
    theta, z, key = given
    images, *keep = batch
    theta = devices.watched(theta, saw) if saw else theta
    return net.apply({'params': theta}, z, images, key, *(jnp.moveaxis(x, 0, -1) for x in keep))

  run = devices.split(run) if split else run

  def outputs(theta, z, images, key, keep=None):
    batch = (images,) if keep is None else (images, jnp.moveaxis(keep, -1, 0))  # keep is [layers, E, B]
    return run((theta, z, key if needs_key else None), batch)

  return outputs


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


def _kind(config):
  """What the method makes of a supernet, see `daas_jax.methods.build.Row`."""
  return build_method.METHODS[config.method].architecture


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
      drawn = dsnas.sample_within(key, arch['alpha'], decided, costs, budget.left, arch['path'])
    else:
      drawn = dsnas.sample(key, arch['alpha'], decided)
    choice = jnp.where(tuning, arch['path'], drawn)
    return {'choice': choice, 'gate': jnp.ones(len(choice)),
            'cost': dsnas.cost(costs, choice).astype(jnp.float32) + budget.rest}

  return dict(init_arch=init_arch, sample_arch=sample_arch, budget=budget)


def cross_entropies(logits, labels):
  """Cross-entropy of each image, of logits [B, n] and labels int [B]: [B]."""
  return optax.softmax_cross_entropy_with_integer_labels(logits, labels)


def two_heads(outputs):
  """(D [B], logits [B, n]) of a classifier's outputs [B, n + 1]: a classifier of one class more is a critic.

  The critic's head is linear in the features; in Faster AutoAugment's code it is a perceptron with one hidden layer.
  """
  return outputs[:, -1], outputs[:, :-1]


def build_critic(config, data, split=False, saw=None):
  """Builds the `CriticProblem` of Faster AutoAugment: the network has one output more, the critic's value.

  Args:
    config: a search config of method 'faster_aa'.
    data: a `daas_jax.data.sources.Dataset`.
    split, saw: as for `build`.
  """
  net, space = network(config, len(data.class_names) + 1), spaces.policy_space(config)
  needs_key = takes_key(config)
  normalise = lambda images: preprocess.normalise(images, data.mean, data.std)
  image = jnp.zeros((1, *data.train_images.shape[1:]))
  outputs = forward(config, len(data.class_names) + 1, split, saw)

  def critic(theta, images, key):
    return two_heads(outputs(theta, {}, images, key))

  return CriticProblem(
      init_theta=lambda key: net.init(key, {}, image, key if needs_key else None)['params'],
      init_gamma=functools.partial(relaxed.init, space=space),
      critic=critic,
      prepare=lambda images, key: inputs.standard_preprocessing(preprocess.to_float(images), key, config.preprocess),
      augment=lambda gamma, images, key: relaxed.apply(gamma, space, images, key),
      normalise=normalise,
      val_input=inputs.val_input(config, data),
      project=relaxed.project)


def _train_loss(config, net, outputs):
  """`Problem.train_loss` of a dense supernet: drop-path, and the auxiliary head's loss."""
  search, shape = config.search, (net.layers, len(net.edges))

  def train_loss(theta, z, images, labels, key, progress):
    key_keep, key_network = jax.random.split(key)
    keep = keep_factors(key_keep, search.drop_path * progress, (*shape, len(labels))) if search.drop_path else None
    out = outputs(theta, z, images, key_network, keep)
    logits, auxiliary = out if net.auxiliary else (out, None)
    value = cross_entropy(logits, labels)
    if auxiliary is not None:
      value += search.auxiliary * cross_entropy(auxiliary, labels)
    return value, accuracy(logits, labels)

  return train_loss


def build(config, data, genotype=None, policy=None, split=False, saw=None):
  """Builds the `Problem` of a search (`build_critic` that of Faster AutoAugment).

  Args:
    config: a search config (`daas_jax.config.SEARCH`).
    data: a `daas_jax.data.sources.Dataset`, of which only shapes, class names, mean and std are used; for a detector a
      `daas_jax.detection.sets.DetectionSet`.
    genotype: the `Genotype` whose path through the supernet is held fixed (the second stage of DAAS 5.2's independent
      search), or None: the architecture is searched.
    policy: of a method that searches none, (augment, whether crop and flip come before it), as
      `daas_jax.train.command.find_policy` gives them.
    split: whether it is used inside of a pmapped function whose devices split every batch: the network then runs on
      each device's rows alone, with the moments of all; everything else is as on one device.
    saw: inside of a pmapped function: called with the number of a device whose own gradient of a pass is not finite.

  Returns:
    A `daas_jax.types.Problem`.

  Raises:
    BadInput: the genotype has an operation that is not among `network.primitives`.
  """
  net, primitives = network(config, len(data.class_names)), tuple(config.network.primitives)
  if config.network.name in detectors.DETECTORS:
    return detection.problem(net, spaces.policy_space(config), data, config.policy.p_tp, config.preprocess.flip,
                             split, saw)
  drawn = config.network.name == 'supernet' and genotype is None
  kind = _kind(config)
  searched, dense = drawn and kind != 'uniform', kind == 'mixture'
  held = {} if genotype is None else architecture.fixed(genotype, primitives)
  needs_key = takes_key(config)
  outputs = forward(config, len(data.class_names), split, saw)
  # L_val has no auxiliary head.
  plain = forward(config, len(data.class_names), split, saw, auxiliary=False) if drawn else outputs
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
    logits = plain(theta, z, images, key)
    return cross_entropy(logits, labels), accuracy(logits, labels)

  def relaxed_loss(theta, arch, images, labels, key):
    whole = forward(config, len(data.class_names), auxiliary=False, dense=True)  # measured on one device
    return cross_entropy(whole(theta, architecture.mixture(arch), images, key), labels)

  def losses(theta, z, images, labels, key):
    logits = outputs(theta, z, images, key)
    return cross_entropies(logits, labels), accuracy(logits, labels)

  fields = dict(init_arch=init_arch, sample_arch=sample_arch) | paths
  return Problem(
      init_theta=init_theta,
      loss=loss,
      losses=losses,
      identity=lambda policy: policy._replace(y=jnp.zeros_like(policy.y)),
      val_input=inputs.val_input(config, data),
      train_loss=_train_loss(config, net, outputs) if regularised else None,
      relaxed_loss=relaxed_loss if searched else None,
      **fields,
      **spaces.fields(config, data, policy))
