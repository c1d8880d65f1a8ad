"""What is searched over and what is measured: a `Problem` out of a config and a data set's facts.

The methods see only `daas_jax.types.Problem`. What a network needs is in its row
(`daas_jax.nets.registry`), what a space of policies gives in its own
(`daas_jax.policies.registry`), preprocessing in `daas_jax.augment.inputs`.
"""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from daas_jax.augment import inputs
from daas_jax.config import schema
from daas_jax.errors import BadInput
from daas_jax.methods import registry
from daas_jax.nets import devices, kernels as kernel_sets, registry as nets
from daas_jax.nets.losses import Criterion, CROSS_ENTROPY
from daas_jax.policies import registry as policies
from daas_jax.types import Architectures, Problem


def network(config: Any, num_classes: int, kernels: str | None = None) -> Any:
  """The network that a search config names: `daas_jax.nets.registry.Network.make`.

  `kernels` is instead of the config's; with 'plain' the network can be differentiated in forward
  mode.
  """
  kernels = kernels or kernel_sets.choose(config.network.kernels)
  make = nets.of(config).make
  assert make is not None, config.network.name  # network.name has been checked
  return make(config, num_classes, kernels, registry.of(config).sampling)


def takes_key(config: Any) -> bool:
  """Whether the network of a search config draws random numbers in training."""
  return nets.of(config).noise(config)


def policy_space(config: Any) -> Any:
  """The space of policies of a search config, as its module has it; None where none is searched."""
  return policies.spaces()[registry.of(config).policy].space(config)


def tuned_policy_space(config: Any) -> Any:
  """As `policy_space`; None also where the search never updates its policy."""
  return policy_space(config) if registry.tunes_policy(schema.flatten(config)) else None


def forward(config: Any, num_classes: int, split: bool = False, saw: Callable | None = None,
            first: bool = False, forward_mode: bool = False, **changed: Any) -> Callable:
  """A search's network as a function: (theta, z, images [B, ...], key, keep=None) -> its outputs
  for the whole batch.

  Args:
    config: a search config.
    num_classes: number of outputs.
    split: whether the devices of a pmapped function split the batch (`daas_jax.nets.devices`).
    saw: called with the number of a device whose own gradient is not finite (`devices.watched`);
      None: nobody looks.
    first: whether all rows of a batch are normalised by the moments of its first half.
    forward_mode: whether it is to be differentiated in forward mode.
    **changed: attributes of the linen module that are others than the config says.
  """
  kernels = kernel_sets.choose(config.network.kernels)
  kernels += kernel_sets.FIRST if first else kernel_sets.SHARED if split else ''
  kernels = kernel_sets.FORWARD[kernels] if forward_mode else kernels
  net, needs_key = network(config, num_classes, kernels), takes_key(config)
  net = net.clone(**changed) if changed else net

  def run(given, batch):
    theta, z, key = given
    images, *keep = batch
    theta = devices.watched(theta, saw) if saw else theta
    return net.apply({'params': theta}, z, images, key, *(jnp.moveaxis(x, 0, -1) for x in keep))

  run = devices.split(run) if split else run

  def outputs(theta, z, images, key, keep=None):
    # keep is [layers, E, B]
    batch = (images,) if keep is None else (images, jnp.moveaxis(keep, -1, 0))
    return run((theta, z, key if needs_key else None), batch)

  return outputs


def init_theta(config: Any, num_classes: int, image_shape: tuple[int, ...],
               arch: Any = Architectures()) -> Callable:
  """key -> the initial weights of a search's network for images [H, W, C]; `arch` its
  `Architectures`."""
  net, needs_key = network(config, num_classes), takes_key(config)

  def init(key):
    z = arch.sample(key, arch.init(key), 1.0)
    return net.init(key, z, jnp.zeros((1, *image_shape)), key if needs_key else None)['params']

  return init


def build(config: Any, data: Any, genotype: Any = None, given: Any = None, split: bool = False,
          saw: Callable | None = None, criterion: Criterion = CROSS_ENTROPY) -> Any:
  """Builds what the method of a search config searches over.

  Args:
    config: a checked search config.
    data: a `daas_jax.data.dataset.Dataset`, of which only shapes, class names, mean and std are
      used; what the network's task loads where it has one of its own.
    genotype: the `Genotype` whose path through the supernet is held fixed (the second stage of DAAS
      5.2's independent search), or None: the architecture is searched.
    given: of a method that searches no policy, the one that it is given
      (`daas_jax.policies.given`).
    split: whether it is used inside of a pmapped function whose devices split every batch: the
      network then runs on each device's rows alone, with the moments of all; everything else is as
      on one device.
    saw: inside of a pmapped function: called with the number of a device whose own gradient of a
      pass is not finite.
    criterion: what the network's outputs are held against labels by.

  Returns:
    A `daas_jax.types.Problem`, or what the method has instead (`registry.Row.problem`).

  Raises:
    BadInput: the genotype has an operation that is not among `network.primitives`, or there is a
      criterion that the method or the network has no place for.
  """
  _require_place(config, criterion)
  row, task = registry.of(config), nets.of(config).task
  if row.problem:
    return row.problem(config, data, split, saw)
  if task:
    return task.problem(config, data, policy_space(config), split, saw)
  return _of_images(config, data, genotype, given, split, saw, criterion)


def _require_place(config, criterion):
  """Refuses a loss of the user's where others are built in."""
  if criterion.classes:
    return
  row, net = registry.of(config), nets.of(config)
  if row.problem or row.exports or net.task or net.space:
    own = row.problem or row.exports
    what = f'method {config.method!r}' if own else f'network {config.network.name!r}'
    raise BadInput(
        f'{what} has its own loss and takes none: give a network of your own, or a fixed one, and '
        'a method that searches policies for it')
  if config.search.get('objective') == 'moments':
    raise BadInput("config key 'search.objective' = 'moments' counts labels of classes that "
                   'are right: with a loss of your own set it to step or direction')


def _of_images(config, data, genotype, given, split, saw, criterion):
  row, net = registry.of(config), nets.of(config)
  classes, policy = len(data.class_names), policies.spaces()[row.policy]
  arch = net.space.architectures(config, data, row.sampling,
                                 genotype) if net.space else Architectures()

  def outputs(on_one_device=False, **changed):
    return forward(config, classes, split and not on_one_device, None if on_one_device else saw,
                   **changed)

  logits_of = outputs()

  def loss(theta, z, images, labels, key):
    logits = logits_of(theta, z, images, key)
    return criterion.mean(logits, labels), jnp.mean(criterion.score(logits, labels))

  def losses(theta, z, images, labels, key):
    logits = logits_of(theta, z, images, key)
    return criterion.each(logits, labels), jnp.mean(criterion.score(logits, labels))

  def image_losses(theta, z, images, labels, key, first=False, forward_mode=False):
    of_images = forward(config, classes, False, None, first, forward_mode)
    logits = of_images(theta, z, images, key)
    return criterion.each(logits, labels), criterion.score(logits, labels)

  found = {'loss': loss, 'losses': losses, 'image_losses': image_losses} | net.losses(
      config, outputs)
  if genotype is not None or row.sampling == 'uniform':  # no architecture is searched
    found.pop('relaxed_loss', None)
  space = policy.space(config)
  return Problem(
      init_theta=init_theta(config, classes, data.train_images.shape[1:], arch),
      train_input=policy.train_input(config, data, space, given),
      val_input=inputs.val_input(data),
      policies=policy.distribution(config, space),
      arch=arch,
      **found)
