"""The network that a search ends with, ready to use: its weights, fixed moments of its
normalisations, its accuracy.

DiffAutoML keeps theta (3.4): there is no retraining. Two files in the workdir:

  network.json         {"format": "daas_jax.network", "version": 2, "network": {"name": "shuffle",
                       "size", "choices"} or {"name": of a fixed network, "depth", "width"},
                       "class_names", "image_shape", "mean", "std"}
  network.safetensors  its arrays as 'params/block00', 'batch_stats/block00/mean', ...

Version 1 had the arrays in network.npz, and is read as well.

A search normalises by the moments of the batch at hand. The ready network has moments of its own,
so that what it says of an image does not depend on the images beside it: each is the mean of that
moment over `search.moment_batches` batches of clean training images, taken with the final weights.
"""

from collections.abc import Callable, Iterable, Mapping
import json
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax.augment import preprocess
from daas_jax.data import evaluation
from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage, weights
from daas_jax.nets import count, kernels as kernel_sets, registry as nets
from daas_jax.nets.fixed import residual
from daas_jax.nets.losses import CROSS_ENTROPY
from daas_jax.types import SearchState

FORMAT = 'daas_jax.network'
VERSION = 2
_ARRAYS = {1: 'network.npz', VERSION: 'network.safetensors'}
"""{version: the file with its arrays}."""


class Ready(NamedTuple):
  """A network ready to use.

  Attributes:
    apply: (params, images [B, H, W, C]) -> logits [B, number of classes]; images uint8, or floating
      in [0, 1]. Pure, and fit for `jit`; the same for an image whatever the others are. It raises
      TypeError for another dtype and ValueError for another shape or, outside of `jit`, for other
      values (`preprocess.check`).
    params: {'params', 'batch_stats'}, pytrees of arrays.
    class_names: of the logits' columns.
    image_shape: (H, W, C).
  """
  apply: Callable
  params: Any
  class_names: tuple
  image_shape: tuple


def moments(net: Any, params: Any, batches: Iterable[Any], key: jax.Array) -> Any:
  """Moments of every normalisation, means over batches of the batch's: 'batch_stats' of the
  network.

  Args:
    net: a linen module with the call of `ResidualNet`.
    params: its parameters.
    batches: iterable of normalised images [B, H, W, C], all of one shape.
    key: PRNG key, of networks that draw noise.
  """
  empty = None

  @jax.jit
  def of(images, empty, key):
    # One step of the running averages away from 0 is 1 - MOMENTUM of what the batch has.
    _, changed = net.apply({
        'params': params,
        'batch_stats': empty
    }, images, True, mutable=['batch_stats'], rngs={'drop_path': key} if net.takes_noise else None)
    return jax.tree.map(lambda a: a / (1 - residual.MOMENTUM), changed['batch_stats'])

  sums, n = None, 0
  for n, images in enumerate(batches, 1):
    if empty is None:
      shapes = jax.eval_shape(lambda x: net.init(jax.random.key(0), x, False),
                              images)['batch_stats']
      empty = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)
    new = of(images, empty, jax.random.fold_in(key, n))
    sums = new if sums is None else jax.tree.map(jnp.add, sums, new)
  return jax.tree.map(lambda a: a / n, sums)


def write(folder: str, state: SearchState, config: Any, data: Any, batches: Callable) -> str:
  """Writes network.json, network.safetensors and results.json of a search that is over; returns a
  summary, as text.

  Args:
    folder: the search's workdir.
    state: its last state.
    config: its config.
    data: its `daas_jax.data.dataset.Dataset`; the test images are read once.
    batches: () -> step number -> `Batch`, whose training images give the moments; has it a `close`,
      that is called.
  """
  row = nets.of(config).export
  assert row is not None, config.network.name  # a method that exports has no other networks
  description = row.describe(config, state.arch)
  net = row.build(description, len(data.class_names), kernel_sets.choose(config.network.kernels))
  params, batches = row.parameters(state.theta, description), batches()
  clean = lambda images: preprocess.normalise(preprocess.to_float(images), data.mean, data.std)
  found = moments(net, params,
                  (clean(batches(i).train_images) for i in range(config.search.moment_batches)),
                  jax.random.key(config.seed))
  if hasattr(batches, 'close'):  # worker processes of a streamed set, and what they have decoded
    batches.close()
  variables = jax.device_get({'params': params, 'batch_stats': found})
  _save(
      folder, {
          'format': FORMAT,
          'version': VERSION,
          'network': {
              'name': config.network.name
          } | description,
          'class_names': list(data.class_names),
          'image_shape': list(map(int, data.train_images.shape[1:])),
          'mean': list(map(float, data.mean)),
          'std': list(map(float, data.std))
      }, variables)
  tested = {}
  if len(data.test_labels):
    evaluate = evaluation.of(net, data, CROSS_ENTROPY)
    tested = evaluate(variables, data.test_images, data.test_labels).named('test')
  result = tested | {
      'parameters': count.parameters(params),
      'multiply_adds': count.multiply_adds(net, data.train_images.shape[1:]),
      'seed': config.seed
  }
  atomic.write(os.path.join(folder, 'results.json'), json.dumps(result, indent=2) + '\n')
  said = (f"test accuracy without retraining {tested['test_accuracy']:.4f} "
          f'({len(data.test_labels)} images, read once)' if tested else 'no test images')
  return f"{said}; {result['parameters']:,} parameters, {result['multiply_adds']:,} multiply-adds"


def _save(folder, content, variables):
  """The arrays first: where there is a network.json, its arrays are there."""
  weights.save(os.path.join(folder, _ARRAYS[VERSION]), variables)
  atomic.write(os.path.join(folder, 'network.json'), json.dumps(content, indent=1) + '\n')


# --- reading it -----------------------------------------------------------------------------------


def read_content(path: str, form: str, versions: Iterable[int], run: str) -> dict[str, Any]:
  """The JSON object of a network.json, its form and version checked.

  Args:
    path: the file.
    form: its "format".
    versions: those of that form that are read.
    run: whose workdir holds such a file, for messages.

  Raises:
    BadInput: it cannot be read, or is of another form or version.
  """
  try:
    content = storage.read_json(path)
  except OSError as error:
    raise BadInput(f'{path} cannot be read ({error.strerror or error}); give the workdir of a '
                   f'finished {run}') from None
  except ValueError as error:
    raise BadInput(f'{path} is damaged: it is no JSON ({storage.reason(error)})') from None
  if not isinstance(content, dict) or content.get('format') != form:
    raise BadInput(f'{path}: its format is not {form!r}; give the workdir of a {run}')
  version = content.get('version')
  if type(version) is not int or version not in versions:  # True is 1
    raise BadInput(f'{path}: its version is none that this daas_jax reads, '
                   f'{" or ".join(map(str, versions))}; use the daas_jax that wrote it')
  return content


def _numbers(value, n, low):
  return (isinstance(value, list) and len(value) == n and all(
      isinstance(x, (int, float)) and not isinstance(x, bool) and low <= x < 1e6 for x in value))


def check_images(content: Mapping[str, Any], path: str, classes: bool = True) -> None:
  """Refuses a network.json whose classes, image size or moments are none.

  Args:
    content: of the file.
    path: the file, for the message.
    classes: whether there have to be classes.

  Raises:
    BadInput: an entry is none.
  """
  names: Any = content.get('class_names')
  shape: Any = content.get('image_shape')
  if not isinstance(names, list) or classes and not names or not all(
      isinstance(x, str) for x in names):
    raise BadInput(f'{path}: "class_names" must be a list of names')
  if not _numbers(shape, 3, 1) or not all(isinstance(x, int) for x in shape):
    raise BadInput(f'{path}: "image_shape" must be [height, width, channels]')
  if not _numbers(content.get('mean'), shape[2], 0) or not _numbers(content.get('std'), shape[2],
                                                                    1e-9):
    raise BadInput(f'{path}: "mean" and "std" must hold a number a channel')


def _check(content, path):
  """BadInput where an entry of network.json is not what `write` writes."""
  check_images(content, path)
  spec = content.get('network')
  known = {name: row.export for name, row in nets.networks().items() if row.export}
  if not isinstance(spec, dict) or not isinstance(spec.get('name'),
                                                  str) or spec['name'] not in known:
    raise BadInput(f'{path}: "network" has no known name: one of {", ".join(known)}')
  known[spec['name']].check(spec, f'{path}, "network"')


def load(workdir: str) -> Ready:
  """The network that a search ended with: `Ready`.

  Args:
    workdir: of a finished search of method 'diffautoml'.

  Raises:
    BadInput: it holds no such network, or a damaged one.
  """
  path = os.path.join(os.path.expanduser(workdir), 'network.json')
  content = read_content(path, FORMAT, _ARRAYS, "search of method 'diffautoml'")
  _check(content, path)
  names, shape = tuple(content['class_names']), tuple(content['image_shape'])
  description = content['network']
  row = nets.networks()[description['name']].export
  assert row is not None, description['name']  # `_check` has seen it
  net = row.build(description, len(names), kernel_sets.choose())
  shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros((1, *shape)), False))
  arrays = os.path.join(os.path.dirname(path), _ARRAYS[content['version']])
  params = jax.tree.map(jnp.asarray, weights.check(weights.load(arrays), shapes, arrays))

  def apply(params, images):
    images = preprocess.for_network(images, content['mean'], content['std'], shape)
    return net.apply(params, images, False)[0]

  return Ready(apply, params, names, shape)
