"""The config keys of a data set."""

from collections.abc import Mapping, Sequence
from typing import Any

from daas_jax.config.key import anything, at_least, between, Key, MOST
from daas_jax.errors import BadInput

KEYS = {
    'data.name': Key(
        'tfds:cifar10', anything,
        'embedded, tfds:NAME (prepared), or arrays:FILE.npz; for a detection '
        'network scenes:NAME, with NAME one of those, or tfds:coco/2017'),
    'data.dir': Key('', anything, "TFDS's data_dir; '' is its default"),
    'data.n_train': Key(0, at_least(0), 'training images used, class-balanced; 0 is all'),
    'data.n_test': Key(0, at_least(0), 'test images used, class-balanced; 0 is all'),
    'data.classes': Key(0, at_least(0),
                        'classes used, a seeded choice (DAAS 5: 120 of ImageNet); 0 is all'),
    'data.class_list': Key(
        '', anything, "which classes: imagenet120, or a FILE with a name a line; '': by the seed"),
    'data.stream': Key(
        False, anything,
        'a tfds set is read and decoded while the run goes on; False: whole, at first'),
    'data.workers': Key(0, between(0, 256),
                        'processes that decode a streamed set; 0: the main process'),
    'data.side': Key(
        0, between(0, MOST),
        'images are squares of this many pixels: of a streamed set, 0 is their own '
        'size; of a detection network'),
}


def check(flat: Mapping[str, Any], sized: Sequence[str] = ()) -> None:
  """Refuses a side where images have their own.

  Args:
    flat: {'group.key': value} of a config.
    sized: names of the networks that take images of a side of their own.

  Raises:
    BadInput: data.side is set for a set in memory.
  """
  if flat['data.side'] and not flat['data.stream'] and flat['network.name'] not in sized:
    raise BadInput(
        f"config key 'data.side' is for the networks {' and '.join(sized)} and for data.stream: "
        f"set it to 0, not {flat['data.side']}")
