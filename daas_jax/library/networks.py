"""A program's own network, as a search or a training by name has it."""

from collections.abc import Callable
import hashlib
import inspect
import re
from typing import Any

from flax import nnx
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.config import file as config_file
from daas_jax.errors import BadInput
from daas_jax.nets import linen, registry as nets
from daas_jax.nets.losses import Criterion, CROSS_ENTROPY

KEPT = f'network-jax-{jax.__version__}.txt'
"""Another jax writes another program for the same network."""
_TAKES = ('the name of a network, a flax linen module (or its class, which is called with '
          'num_classes=n), or a flax nnx module (or a function of rngs that makes one)')


def name_of(network: Any, seed: int = 0) -> str:
  """The name by which a config asks for a network; registers one that is the program's own.

  Args:
    network: a name, a linen module or class, an nnx module, or a function of `num_classes` or of
      `rngs` that makes one.
    seed: of the weights of an nnx module that is made here.

  Raises:
    BadInput: it is none of these, or the package has another network of its name.
  """
  if isinstance(network, str):
    if network not in nets.networks():
      raise BadInput(f'no network {network!r} is known, but {", ".join(nets.networks())}; or give '
                     'a flax module')
    return network
  name = _own_name(network)
  linen.register_network(name, _maker(network, seed), about='given by a program')
  return name


def _own_name(network):
  of = getattr(network, '__name__', type(network).__name__)
  return re.sub(r'\W+', '_', of).strip('_') or 'network'


def _maker(network: Any, seed: int) -> Callable:
  """(num_classes) -> a flax module."""
  if isinstance(network, (nn.Module, nnx.Module)):
    return lambda num_classes: network
  names = _parameters(network)
  if not {'num_classes', 'rngs'} & set(names):
    raise BadInput(f'network must be {_TAKES}, not {_short(network)}')
  return lambda num_classes: _made(network, names, num_classes, seed)


def _made(network, names, num_classes, seed):
  if 'num_classes' in names and not num_classes:
    raise BadInput(f'network {_short(network)} is made for a number of classes, which labels of a '
                   'loss of your own have not: give a module')
  given = {'num_classes': num_classes, 'rngs': nnx.Rngs(seed)}
  module = network(**{name: given[name] for name in names if name in given})
  if not isinstance(module, (nn.Module, nnx.Module)):
    raise BadInput(f'network {_short(network)} makes {_short(module)}, no flax module')
  return module


def _parameters(network):
  try:
    # nnx's metaclass hides the signature of a class
    function = network.__init__ if inspect.isclass(network) else network
    return inspect.signature(function).parameters if callable(network) else ()
  except (TypeError, ValueError):
    return ()


def _short(value):
  return config_file.one_line(repr(value))[:60]


def check(config: Any, data: Any, criterion: Criterion = CROSS_ENTROPY) -> str | None:
  """Tries a user's network on two images, before a run is begun.

  Args:
    config: a checked config; where it names a network of the package, nothing is tried.
    data: the run's `Dataset`.
    criterion: the run's; one of the user's own is tried too.

  Returns:
    Which program network and loss are, as the text of a file (`KEPT`) that a workdir keeps: it is
    not gone on with by others of the same name. None of a network of the package.

  Raises:
    BadInput: the network cannot be applied to such images, gives other outputs than one number a
      class, or does not give the same for the same variables, images and key; the loss cannot be
      applied, or gives no number.
  """
  row = nets.of(config)
  if not row.own or row.train is None:
    if not criterion.classes and not data.class_names:
      raise BadInput(f'network {config.network.name!r} is made for a number of classes: give '
                     'class_names, or a network of your own')
    return None
  name, shape = config.network.name, data.train_images.shape[1:]
  images = jnp.asarray(np.linspace(-1, 1, 2 * int(np.prod(shape)), dtype=np.float32).reshape(
      2, *shape))
  key = jax.random.key(config.seed)
  try:
    net = row.train(config, None, len(data.class_names), '')
    variables = net.init(key, images)
    kept = [part for part in variables if part != 'params']
    first, again = (net.apply(variables, images, True, mutable=kept, rngs={'drop_path': key})[0][0]
                    for _ in range(2))
  except BadInput:
    raise
  except Exception as error:  # it is the user's program: whatever it raises is about that
    raise BadInput(f'network {name!r} cannot be applied to images {list(images.shape)}: '
                   f'{type(error).__name__}: {config_file.one_line(error)}') from error
  if 'params' not in variables:
    raise BadInput(f'network {name!r} has no weights to learn')
  if not hasattr(first, 'shape'):
    raise BadInput(f'network {name!r} gives {type(first).__name__} for its outputs, and has to '
                   'give one array')
  wanted = (2, len(data.class_names))
  if criterion.classes and first.shape != wanted:
    raise BadInput(
        f'network {name!r} gives outputs of shape {list(first.shape)} for 2 images '
        f'and {wanted[1]} classes, not {list(wanted)}: end it with {wanted[1]} logits, such as '
        f'nn.Dense({wanted[1]})')
  if not np.array_equal(first, again, equal_nan=True):
    raise BadInput(
        f'network {name!r} gives other outputs for the same variables, images and key: it has to '
        'be a pure function of them (draw random numbers by make_rng, keep nothing in Python)')
  lines = [program_of(net, shape)]
  if not criterion.classes:
    labels = jnp.asarray(data.train_labels[:2])
    _check_loss(criterion, first, labels)
    lines.append(_digest(criterion.mean, first, labels))
  return ''.join(f'{line}\n' for line in lines)


def program_of(net: Any, shape: tuple[int, ...]) -> str:
  """SHA-256 of the program that a network of a training is, on images of one shape (H, W, C)."""
  images, key = jnp.zeros((2, *shape)), jax.random.key(0)
  variables = jax.eval_shape(lambda: net.init(key, images))
  kept = [part for part in variables if part != 'params']
  return _digest(lambda v: net.apply(v, images, True, mutable=kept, rngs={'drop_path': key}),
                 variables)


def _digest(function, *arguments):
  text = re.sub(r'0x[0-9a-f]+', '', str(jax.make_jaxpr(function)(*arguments)))  # no addresses
  return hashlib.sha256(text.encode()).hexdigest()


def _check_loss(criterion, outputs, labels):
  try:
    value = criterion.mean(outputs, labels)
  except BadInput:
    raise
  except Exception as error:  # it is the user's program: whatever it raises is about that
    shapes = [getattr(x, 'shape', '?') for x in (outputs, labels)]
    raise BadInput(f'the loss cannot be applied to outputs {list(shapes[0])} and labels '
                   f'{list(shapes[1])}: {type(error).__name__}: '
                   f'{config_file.one_line(error)}') from error
  if not np.isfinite(value):
    raise BadInput(f'the loss gives {value} for the first two images')
