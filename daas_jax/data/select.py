"""The data set that a config names: loaded, reduced to the classes and numbers asked for, checked
for size."""

import numpy as np

from daas_jax.data import classes, dataset, decode, field, pictures, sources, splits, streaming
from daas_jax.data.raw import say
from daas_jax.errors import BadInput


def from_config(config, least=8, given=None):
  """Loads and reduces the data set of a config, or one that is given.

  Args:
    config: a checked search or training config (its groups `data`, `preprocess` and `seed`).
    least: smallest side of an image in pixels that the network can take.
    given: a `daas_jax.data.dataset.Dataset` in the place of data.name's; None: that is loaded.

  Returns:
    A `daas_jax.data.dataset.Dataset`, its images streamed (`daas_jax.data.streaming`) where the
    config says so.

  Raises:
    BadInput: whatever `sources.load` and `splits` refuse; training images of a single class; images
      that are too small for the network's reductions, of another number of channels than the
      operations take, or of a shape that the preprocessing cannot keep.
  """
  streamed = given is None and streaming.asked(config)
  data = streaming.load(config) if streamed else _in_memory(config, given)
  _check_channels(data)
  shifted = given is None and field.named(data.name)[1]
  if shifted:
    data = field.validated(data, config.seed, config.data.val_fraction)
  data = data if streamed else resized(data, config.data.side, config.data.fit)
  check(data, config, least)
  if shifted:
    say(f'note: {data.name}: D_val and the test images are photographs of the field, the '
        f'{len(data.halves[0])} images of D_train are not')
  elif data.halves is not None:
    say(f'note: {data.name} has {len(data.halves[1])} validation images of its own: they are '
        'D_val, and data.val_fraction is not used')
  return data


def resized(data, side, fit='crop'):
  """A set in memory whose images are squares of that many pixels; the set itself where they are, or
  side is 0.

  Args:
    data: a `daas_jax.data.dataset.Dataset`.
    side: of the squares, in pixels.
    fit: one of `decode.FITS`.

  Returns:
    Dataset, with the mean and std of its new training images, those of D_train where there are
    `halves`.
  """
  if not side or data.train_images.shape[1:3] == (side, side):
    return data
  train, test = (decode.squares(images, side, fit) for images in (data.train_images,
                                                                  data.test_images))
  mean, std = dataset.mean_std(train if data.halves is None else train[data.halves[0]])
  return data._replace(train_images=train, test_images=test, mean=mean, std=std)


def _check_channels(data):
  channels = data.train_images.shape[-1]
  if channels not in (1, 3):
    raise BadInput(
        f'{data.name} has images of {channels} channels: the image operations need 1 or 3')


def check(data, config, least=8):
  """Refuses a set that a search or a training by this config cannot use.

  Args:
    data: a `daas_jax.data.dataset.Dataset`.
    config, least: as for `from_config`.

  Raises:
    BadInput: as `from_config`, of the images.
  """
  found = () if data.targets else np.unique(data.train_labels)
  if len(found) < 2 and not data.targets:
    raise BadInput(f'all training images of {data.name} are of class '
                   f'{data.class_names[found[0]]!r} and a classifier needs at least two classes: '
                   'choose another set, or raise data.classes or data.n_train')
  _check_channels(data)
  height, width = data.train_images.shape[1:3]
  if height != width and (config.preprocess.crop == 'resized'
                          or config.data.get('validation_turns', 0) % 2):
    raise BadInput(
        f'images of {height} x {width} pixels are not square: set preprocess.crop to padded and '
        'data.validation_turns to 0 or 2')
  if min(height, width) < least:
    raise BadInput(
        f'images of {height} x {width} pixels are too small for the two reductions of this '
        f'network: at least {least} x {least} are needed')
  for name in ('cutout', 'padding'):
    if config.preprocess[name] > min(height, width):
      raise BadInput(
          f'preprocess.{name}={config.preprocess[name]} is larger than the images ({height} x '
          f'{width}): '
          'lower it')


def _in_memory(config, given):
  data = given or sources.load(*arguments(config))
  # labels of a loss of the user's name no classes to choose among
  kept = None if data.targets else classes.chosen(config, data.name, data.class_names)
  if kept is not None:
    data = splits.keep_classes(data, kept)
  if config.data.n_train or config.data.n_test:
    data = splits.take(data, config.data.n_train, config.data.n_test, config.seed)
  return data


def arguments(config):
  """What `sources.load` and `sources.facts` are given of a config, in order."""
  group = config.data
  return (group.name, group.dir or None, pictures.reading_of(group), group.get('val_split', ''),
          group.get('hf_label', ''))
