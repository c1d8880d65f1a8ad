"""The detectors, in one table: what a policy is searched on where objects are to be found."""

from collections.abc import Callable
from typing import Any, NamedTuple

from daas_jax.config.key import between, Key, MOST
from daas_jax.data import keys as data_keys
from daas_jax.detection import backbone, detector, results, retinanet, select, task
from daas_jax.errors import BadInput
from daas_jax.nets import kernels, registry
from daas_jax.nets.fixed.family import SIZE_KEYS


class Row(NamedTuple):
  """A row of `DETECTORS`.

  Attributes:
    module: (num_classes, depth, width) -> a linen module with the call images [B, H, W, C] ->
      outputs.
    loss: (outputs, boxes [B, N, 4], labels [B, N]) -> (loss [], mean IoU at positive places []).
    decode: (outputs, height, width) -> `suppression.Detections`.
    depth, width: as published, or as meant here.
    depths: the depths there are; () for any.
    unroll: whether a search on CPU compiles every gradient pass of a step anew
      (`estimators.passes.run`): RetinaNet's two heads at five levels take six times as long to
      compile then, for a search that no CPU will finish.
  """
  module: Callable
  loss: Callable
  decode: Callable
  depth: int
  width: int
  depths: tuple[int, ...] = ()
  unroll: bool = True


DETECTORS = {
    'anchor_free': Row(lambda n, depth, width: detector.Detector(n, width, depth), detector.loss,
                       lambda maps, height, width: detector.decode(maps), 4, 32),
    'retinanet': Row(retinanet.RetinaNet, retinanet.loss, retinanet.decode, 50, 64,
                     tuple(backbone.BLOCKS), False),
}


class Network(NamedTuple):
  """A detector: its linen module, loss and decode as in `Row`."""
  module: Any
  loss: Callable
  decode: Callable


def make(name, num_classes, depth=0, width=0):
  """The `Network` of a row.

  Args:
    name: a key of `DETECTORS`.
    num_classes: number of classes.
    depth, width: instead of those of the row; 0 keeps them.

  Raises:
    BadInput: a depth or width that the network cannot have.
  """
  row = DETECTORS[name]
  depth, width = depth or row.depth, width or row.width
  if row.depths and depth not in row.depths:
    raise BadInput(
        f"config key 'network.depth' must be one of {', '.join(map(str, row.depths))} for {name}, "
        "or 0 for "
        f'{row.depth}, not {depth}')
  if width % 4:
    raise BadInput(f"config key 'network.width' must be a multiple of 4 for {name}, not {width}")
  return Network(row.module(num_classes, depth, width), row.loss, row.decode)


# --- as rows of the table of networks -------------------------------------------------------------


def of(config: Any, num_classes: int) -> Network:
  """The detector that a search config names."""
  return make(config.network.name, num_classes, config.network.depth, config.network.width)


def _problem(config, data, space, split, saw):
  return task.problem(of(config, len(data.class_names)), space, data, config.policy.p_tp,
                      config.preprocess.flip, split, saw)


def _finish(workdir, config, data, theta):
  return results.write(workdir, of(config, len(data.class_names)), data, theta, config.search.batch)


_LEAST = {'data.side': 32, 'data.objects': 1}
_NOTHING = {
    'preprocess.crop': 'padded',
    'preprocess.padding': 0,
    'preprocess.cutout': 0,
    'preprocess.policy_first': False,
    'data.classes': 0,
    'data.class_list': '',
    'data.stream': False,
    'data.validation_turns': 0
}


def _check(flat):
  """What images with boxes cannot have must not be asked for."""
  name = flat['network.name']
  make(name, 2, flat['network.depth'], flat['network.width'])
  for key, low in _LEAST.items():
    if flat[key] < low:
      raise BadInput(f'config key {key!r} must be at least {low} for {name}, not {flat[key]}')
  asked = [key for key, value in _NOTHING.items() if flat[key] != value]
  if asked:
    raise BadInput(
        f'{name} finds objects, and images with boxes take no {asked[0]}={flat[asked[0]]}: set '
        + ' '.join(f'--config.{key}={_NOTHING[key]}' for key in asked))


_KEYS = SIZE_KEYS | kernels.KEYS | {
    'data.side': data_keys.KEYS['data.side'],
    'data.objects': Key(0, between(0, MOST),
                        'of a detection network: most objects of an image that are kept'),
}
_TASK = registry.Task(select.from_config, _problem, _finish, policies='total', score='iou')

_ABOUT = {
    'anchor_free': 'a small detector without anchors (FCOS), for scenes and photographs with boxes',
    'retinanet': 'RetinaNet: ResNet and its pyramid, for scenes and photographs with boxes',
}

for _name, _about in _ABOUT.items():
  registry.register(_name, registry.Network(
      _about, make=lambda config, num_classes, kernels, sampling: of(config, num_classes),
      keys=_KEYS, only=('data.objects',), check=_check, unroll=DETECTORS[_name].unroll, task=_TASK))
