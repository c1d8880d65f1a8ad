"""The config keys of a data set."""

from collections.abc import Mapping, Sequence
from typing import Any

from daas_jax.config.key import anything, at_least, between, Key, MOST, one_of
from daas_jax.data import field
from daas_jax.data.decode import FITS
from daas_jax.errors import BadInput

KEYS = {
    'data.name': Key(
        'tfds:cifar10', anything,
        'embedded, folder:DIR (DIR/CLASS/*, or DIR/train/CLASS/* with val/ and test/), tfds:NAME '
        '(prepared), hf:NAME (Hugging Face), or arrays:FILE.npz; for a detection '
        'network scenes:NAME, with NAME one of those, or tfds:coco/2017; NAME:field: '
        'validated and tested on photographs of the field (`daas_jax.data.field`)'),
    'data.dir': Key('', anything,
                    "TFDS's data_dir, or Hugging Face's cache_dir; '' is their default"),
    'data.n_train': Key(0, at_least(0),
                        'training images used, class-balanced; 0 is all (of D_train alone, where '
                        'a set has validation images of its own)'),
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
        'images are squares of this many pixels, resized where they are others; 0: their own size'
        '; of a detection network, its own'),
    'data.fit': Key('crop', one_of(*FITS),
                    'how image files become such squares: crop takes the middle, pad all of it on '
                    'black, stretch all of it (of a streamed set: crop)'),
    'data.skip_damaged': Key(False, anything,
                             'image files that cannot be decoded are left out; False: refused'),
    'data.val_split': Key(
        '', anything,
        "the split of a tfds: or hf: set that is D_val, such as validation; '': D_val is split "
        'from the training images, of hf: only where there is no split validation'),
    'data.hf_label': Key('', anything,
                         "the column of the classes of an hf: set; '': the only one, or label"),
}

_FILES = 'folder:', 'hf:'
_OF = {'data.fit': ('crop', _FILES), 'data.skip_damaged': (False, _FILES),
       'data.val_split': ('', ('tfds:', 'hf:')), 'data.hf_label': ('', ('hf:',))}
"""{key: (what it is where it has no meaning, the kinds of sets that it has one for)}."""


def check(flat: Mapping[str, Any], sized: Sequence[str] = ()) -> None:
  """Refuses what the kind of set has no use for.

  Args:
    flat: {'group.key': value} of a config.
    sized: names of the networks that take images of a side of their own.

  Raises:
    BadInput: a key of other kinds of sets is set; photographs of the field are asked for of a set
      that is streamed or of a detector.
  """
  name = flat['data.name']
  detection = flat['network.name'] in sized
  plain, shifted = field.named(name)
  if shifted and (flat['data.stream'] or detection):
    raise BadInput(f"config key 'data.name': {field.SUFFIX!r} is for sets in memory of images to "
                   f'classify: set it to {plain!r}, or data.stream to False and network.name to a '
                   'classifier')
  for key, (nothing, kinds) in _OF.items():
    if flat[key] != nothing and (detection or not name.startswith(kinds)):
      raise BadInput(f'config key {key!r} is for images to classify of {" and ".join(kinds)} sets: '
                     f'set it to {nothing!r}, not {flat[key]!r}')
