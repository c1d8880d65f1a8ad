"""The detectors, in one table: what a policy is searched on where objects are to be found."""

from typing import Any, Callable, NamedTuple

from daas_jax.detection import backbone, detector, retinanet
from daas_jax.errors import BadInput


class Row(NamedTuple):
  """A row of `DETECTORS`.

  Attributes:
    module: (num_classes, depth, width) -> a linen module with the call images [B, H, W, C] -> outputs.
    loss: (outputs, boxes [B, N, 4], labels [B, N]) -> (loss [], mean IoU at positive places []).
    decode: (outputs, height, width) -> `suppression.Detections`.
    depth, width: as published, or as meant here.
    depths: the depths there are; () for any.
    unroll: whether a search on CPU compiles every gradient pass of a step anew (`estimators.passes.run`): RetinaNet's
      two heads at five levels take six times as long to compile then, for a search that no CPU will finish.
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
    'retinanet': Row(retinanet.RetinaNet, retinanet.loss, retinanet.decode, 50, 64, tuple(backbone.BLOCKS), False),
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
    raise BadInput(f"config key 'network.depth' must be one of {', '.join(map(str, row.depths))} for {name}, or 0 for "
                   f'{row.depth}, not {depth}')
  if width % 4:
    raise BadInput(f"config key 'network.width' must be a multiple of 4 for {name}, not {width}")
  return Network(row.module(num_classes, depth, width), row.loss, row.decode)
