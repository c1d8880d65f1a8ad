"""A trained network, kept in its workdir and loaded again, ready to be used.

  network.json         {"format": "daas_jax.trained", "version": 1, "config": all of the training's,
                       "class_names", "image_shape": [H, W, C], "mean", "std"}
  network.safetensors  its arrays, as 'params/conv/kernel', 'batch_stats/norm/mean', ...

and, of a network whose architecture was found, that architecture's file, as in the workdir of the
search.
"""

from collections.abc import Callable
import json
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from daas_jax.augment import preprocess
from daas_jax.config import schema as config_lib
from daas_jax.errors import BadInput
from daas_jax.files import atomic, storage, weights
from daas_jax.library import images as images_lib, networks, workdirs
from daas_jax.methods import export, training
from daas_jax.nets import registry as nets

FORMAT, VERSION = 'daas_jax.trained', 1
FILES = ('network.json', 'network.safetensors')
_BATCH = 256


class Evaluation(NamedTuple):
  """What a network's answers are worth on images whose classes are known.

  Attributes:
    accuracy: share of the images whose likeliest class is theirs, in [0, 1].
    loss: mean cross-entropy in nats.
    confusion: int64 [C, C]: images of class i (row) that were taken for class j (column).
    class_names: of rows and columns.
  """
  accuracy: float
  loss: float
  confusion: np.ndarray
  class_names: tuple[str, ...]

  @property
  def of_each_class(self) -> dict[str, float]:
    """{class: share of its images that were recognised}; NaN for a class without images."""
    counts = self.confusion.sum(1)
    hits = np.where(counts, np.diag(self.confusion) / np.maximum(counts, 1), np.nan)
    return dict(zip(self.class_names, map(float, hits), strict=True))


class Trained:
  """A network with its weights: images in, classes out.

  Images are uint8 [N, H, W, C], or floating in [0, 1], of the size that it was trained on.

  Attributes:
    apply: (variables, images [B, H, W, C]) -> outputs [B, number of classes]; pure, fit for `jit`.
    variables: {'params'} and what else the network keeps, pytrees of arrays.
    class_names: of the outputs' columns; () where it was trained by another loss than of classes.
    image_shape: (H, W, C).
    fit: how image files were made squares of that size (`data.fit`).
    workdir: where it was loaded from.
    results: what results.json says of it, {} where there is none.
  """

  def __init__(self, apply: Callable, variables: Any, class_names: tuple[str, ...],
               image_shape: tuple[int, int, int], fit: str = 'crop', workdir: str = '',
               results: dict[str, Any] | None = None):
    self.apply, self.variables = apply, variables
    self.class_names, self.image_shape, self.fit = class_names, image_shape, fit
    self.workdir, self.results = workdir, results or {}
    self._compiled = jax.jit(apply)

  def __repr__(self) -> str:
    kind = f'{len(self.class_names)} classes' if self.class_names else 'outputs'
    return f"<Trained: images {' x '.join(map(str, self.image_shape))} -> {kind}>"

  def read(self, path: str | os.PathLike) -> np.ndarray:
    """Image files as this network takes them: uint8 [N, H, W, C].

    Args:
      path: an image file, a folder of them (in the order of their paths), or an .npz file with
        `images`.

    Raises:
      BadInput: there are none, or one that cannot be decoded.
    """
    found = images_lib.parts(os.fspath(path), self.image_shape, self.fit)
    return np.concatenate([part.images for part in found])

  def outputs(self, images: Any) -> np.ndarray:
    """The network's outputs (logits of the classes) of images [N, H, W, C]: [N, ...], float32.

    Raises:
      TypeError, ValueError: no such images (`daas_jax.augment.preprocess.check`).
    """
    images = images[..., None] if getattr(images, 'ndim', 4) == 3 else images  # grey
    out = []
    for start in range(0, max(len(images), 1), _BATCH):
      part = np.asarray(images[start:start + _BATCH])
      preprocess.check(part, uint8=True, shape=self.image_shape)
      # one compiled program, whatever is left over; of no image too
      room = max(min(_BATCH, len(images)), 1) - len(part)
      filled = np.concatenate([part, np.zeros((room, *part.shape[1:]), part.dtype)])
      out.append(np.asarray(self._compiled(self.variables, filled))[:len(part)])
    return np.concatenate(out)

  def predict_proba(self, images: Any) -> np.ndarray:
    """Probabilities of the classes: [N, C], float32, rows that sum to 1."""
    self._require_classes()
    return np.asarray(jax.nn.softmax(jnp.asarray(self.outputs(images)), -1))

  def predict(self, images: Any) -> np.ndarray:
    """Numbers of the likeliest classes, places in `class_names`: int32 [N]."""
    self._require_classes()
    return self.outputs(images).argmax(-1).astype(np.int32)

  def evaluate(self, images: Any, labels: Any) -> Evaluation:
    """Holds the answers on images [N, H, W, C] against labels, numbers of classes [N].

    Raises:
      BadInput: labels that are not one class an image.
    """
    self._require_classes()
    labels, n = np.asarray(labels), len(self.class_names)
    good = labels.shape == (len(images),) and np.issubdtype(labels.dtype, np.integer)
    if not good or not len(images) or labels.min() < 0 or labels.max() >= n:
      raise BadInput(
          f'labels must be integers from 0 to {n - 1}, one for each of {len(images)} images (at '
          f'least one), not {labels.dtype} {list(labels.shape)}'
          + (f' from {labels.min()} to {labels.max()}' if good and len(images) else ''))
    logits = self.outputs(images).astype(np.float64)
    confusion = np.zeros((n, n), np.int64)
    np.add.at(confusion, (labels, logits.argmax(-1)), 1)
    logits -= logits.max(-1, keepdims=True)
    loss = np.log(np.exp(logits).sum(-1)) - logits[np.arange(len(labels)), labels]
    return Evaluation(float(np.trace(confusion) / len(labels)), float(loss.mean()), confusion,
                      self.class_names)

  def _require_classes(self):
    if not self.class_names:
      raise BadInput('this network was trained by a loss of its own and tells no classes apart: '
                     'use outputs(images)')


def write(folder: str, config: Any, data: Any, variables: Any) -> None:
  """Keeps a trained network: `FILES`, the arrays first, so that where there is a network.json they
  are there.

  Args:
    folder: the training's workdir.
    config: its config.
    data: its `daas_jax.data.dataset.Dataset`, of which shapes, names and moments are used.
    variables: {'params', ...}, arrays on the host.
  """
  weights.save(os.path.join(folder, FILES[1]), variables)
  content = {
      'format': FORMAT, 'version': VERSION, 'class_names': list(data.class_names),
      'image_shape': list(map(int, data.train_images.shape[1:])),
      'mean': list(map(float, data.mean)), 'std': list(map(float, data.std)),
      'config': json.loads(config_lib.to_json(config))}
  atomic.write(os.path.join(folder, FILES[0]), json.dumps(content, indent=1) + '\n')


def read(folder: str) -> Trained:
  """The network that a training ended with.

  Args:
    folder: the training's workdir.

  Raises:
    BadInput: it holds no network, a damaged one, or one whose module is not known here.
  """
  path = os.path.join(folder, FILES[0])
  content = _content(path)
  config = ml_collections.ConfigDict(content['config'])
  workdirs.require_known(config.network.name, folder)
  row, shape = nets.of(config), tuple(content['image_shape'])
  architecture = row.space.load(os.path.join(folder, row.space.file)) if row.space else None
  net = training.network(config, architecture, len(content['class_names']))
  if row.own:
    _require_same(net, shape, folder, config.network.name)
  shapes = jax.eval_shape(lambda: net.init(jax.random.key(0), jnp.zeros((1, *shape)), False))
  variables = weights.load(os.path.join(folder, FILES[1]))
  variables = jax.device_put(weights.check(variables, shapes, os.path.join(folder, FILES[1])))

  def apply(variables, images):
    images = preprocess.for_network(images, content['mean'], content['std'], shape)
    return net.apply(variables, images, False)[0]

  return Trained(apply, variables, tuple(content['class_names']), shape,
                 config.data.get('fit', 'crop'), folder, results_of(folder))


def _require_same(net, shape, folder, name):
  """Refuses another network than the one that was trained, of the same name."""
  try:
    kept = storage.read_text(os.path.join(folder, networks.KEPT)).split('\n')[0]
  except (OSError, ValueError):
    return  # of another jax, or of a command's network
  if kept != networks.program_of(net, shape):
    raise BadInput(f'{folder} holds a network {name!r} that is another than the one of this name '
                   'here: give it, as dx.load(workdir, network=...)')


def results_of(folder: str) -> dict[str, Any]:
  """What results.json of a workdir holds; {} where there is none that can be read."""
  try:
    found = storage.read_json(os.path.join(folder, 'results.json'), finite=False)
  except (OSError, ValueError):
    return {}
  return found if isinstance(found, dict) else {}


def _content(path):
  content = export.read_content(path, FORMAT, (VERSION,), 'training')
  export.check_images(content, path, classes=False)
  config = content.get('config')
  network = config.get('network') if isinstance(config, dict) else None
  if not isinstance(network, dict) or not isinstance(network.get('name'), str):
    raise BadInput(f'{path}: "config" is not that of a training')
  return content
