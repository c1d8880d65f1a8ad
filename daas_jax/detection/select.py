"""The set of images with boxes that a search config names."""

from daas_jax.detection import photographs, scenes
from daas_jax.errors import BadInput


def from_config(config):
  """Loads or composes the data of a search with a detection network.

  Args:
    config: a checked search config; its rooms `data` and `seed` are used.

  Returns:
    A `sets.DetectionSet`.

  Raises:
    BadInput: data without boxes, and whatever `scenes.load` and `photographs.load` refuse.
  """
  room = config.data
  kind, _, name = room.name.partition(':')
  if kind == 'scenes' and name:
    n_val = round(room.n_train * room.val_fraction)
    n_train = room.n_train - n_val
    if min(n_train, n_val, room.n_test) < 1:
      raise BadInput(
          f'{room.name} is composed as asked for, and of data.n_train={room.n_train}, '
          'data.val_fraction='
          f'{room.val_fraction} and data.n_test={room.n_test} D_train, D_val or the test gets no '
          'scene: raise them')
    layout = scenes.Layout(side=room.side, most=room.objects)
    return scenes.load(n_train, n_val, room.n_test, config.seed, layout, name, room.dir or None)
  if kind == 'tfds' and name:
    return photographs.load(name, room.n_train, room.n_test, config.seed, room.val_fraction,
                            room.side, room.objects, room.dir or None)
  raise BadInput(
      f'the detection network {config.network.name!r} needs images with boxes: set data.name to '
      f'scenes:embedded or tfds:coco/2017, not {room.name!r}')
