"""The set of images with boxes that a search config names."""

from daas_jax.detection import photographs, scenes
from daas_jax.errors import BadInput


def from_config(config):
  """Loads or composes the data of a search with a detection network.

  Args:
    config: a checked search config; its groups `data` and `seed` are used.

  Returns:
    A `sets.DetectionSet`.

  Raises:
    BadInput: data without boxes, and whatever `scenes.load` and `photographs.load` refuse.
  """
  group = config.data
  kind, _, name = group.name.partition(':')
  if kind == 'scenes' and name:
    n_val = round(group.n_train * group.val_fraction)
    n_train = group.n_train - n_val
    if min(n_train, n_val, group.n_test) < 1:
      raise BadInput(
          f'{group.name} is composed as asked for, and of data.n_train={group.n_train}, '
          'data.val_fraction='
          f'{group.val_fraction} and data.n_test={group.n_test} D_train, D_val or the test gets no '
          'scene: raise them')
    layout = scenes.Layout(side=group.side, most=group.objects)
    return scenes.load(n_train, n_val, group.n_test, config.seed, layout, name, group.dir or None)
  if kind == 'tfds' and name:
    return photographs.load(name, group.n_train, group.n_test, config.seed, group.val_fraction,
                            group.side, group.objects, group.dir or None)
  raise BadInput(
      f'the detection network {config.network.name!r} needs images with boxes: set data.name to '
      f'scenes:embedded or tfds:coco/2017, not {group.name!r}')
