"""The images that a network is trained and validated on: crop and flip, a policy, normalisation,
Cutout."""

from collections.abc import Callable
from typing import Any

import jax

from daas_jax.augment import apply, jitter, preprocess
from daas_jax.config.key import anything, at_least, between, Key, one_of

KEYS = {
    'preprocess.crop': Key('padded', one_of('padded', 'resized'),
                           'random crop of the padded image, or resized crop'),
    'preprocess.padding': Key(4, at_least(0),
                              'pixels around the image for the padded crop (DARTS code)'),
    'preprocess.flip': Key(True, anything, 'horizontal flip with probability 1/2 (DARTS code)'),
    'preprocess.jitter': Key(
        0.0, between(0, 1), 'how far brightness, contrast and colour are changed at random, after '
        'crop and flip: factors in [1 - jitter, 1 + jitter]; 0: not at all'),
    'preprocess.policy_first': Key(False, anything,
                                   'the policy comes before crop and flip, not after (DDAS code)'),
    'preprocess.cutout': Key(0, at_least(0), 'side of the Cutout square in pixels; 0 is none'),
}
"""Of what comes before and after a policy."""


def standard_preprocessing(images: jax.Array, key: jax.Array, config: Any,
                           boxed: bool = False) -> jax.Array:
  """Random crop (or resized crop), horizontal flip and change of colours of images float [B, H, W,
  C], as `config.preprocess` says; `boxed`: they are resized crops already."""
  key_crop, key_flip = jax.random.split(key)
  if config.crop == 'resized':
    images = images if boxed else preprocess.random_resized_crop(images, key_crop, images.shape[1])
  elif config.padding:
    images = preprocess.random_crop(images, key_crop, config.padding)
  images = preprocess.random_flip(images, key_flip) if config.flip else images
  if config.jitter:
    images = jitter.color_jitter(images, jax.random.fold_in(key, 2), config.jitter)
  return images


def make_input(config: Any, data: Any, augment: Callable, standard: bool = True) -> Callable:
  """(images uint8, policy, key) -> preprocessed, augmented, normalised images.

  Args:
    config: a search or training config.
    data: a `daas_jax.data.dataset.Dataset`, for mean and std, and for whether its training images
      come as resized crops (`daas_jax.data.images.Streamed`).
    augment: (images float, policy, key) -> images float.
    standard: whether crop and flip come before it (or after, as `preprocess.policy_first` says),
      and Cutout (where the config has it) at the end; all or none of them.
  """
  def train_input(images, policy, key):
    key_standard, key_policy, key_cutout = jax.random.split(key, 3)
    cropped = lambda images: (standard_preprocessing(images, key_standard, config.preprocess, boxed)
                              if standard else images)
    images = preprocess.to_float(images)
    if config.preprocess.policy_first:
      images = cropped(augment(images, policy, key_policy))
    else:
      images = augment(cropped(images), policy, key_policy)
    return finish(images, key_cutout)
  finish = finished(config, data, standard)
  boxed = getattr(getattr(data, 'train_images', None), 'boxed', False)
  return train_input


def finished(config: Any, data: Any, standard: bool = True) -> Callable:
  """(images float in [0, 1], key) -> what comes after a policy: normalised, then Cutout.

  Args:
    config, data: as for `make_input`.
    standard: whether Cutout is part of it, where the config has it.
  """
  size = config.preprocess.cutout if standard else 0

  def finish(images, key):
    images = preprocess.normalise(images, data.mean, data.std)
    return preprocess.cutout(images, key, size) if size else images
  return finish


def given_input(config: Any, data: Any, augment: Callable, standard: bool) -> Callable:
  """(images uint8, progress, key) -> images under a policy that is given: `make_input`.

  Args:
    config, data, standard: as for `make_input`.
    augment: (key, images float, progress) -> images, such as `daas_jax.load_policy` returns;
      progress in [0, 1] is the share of the run that is done.
  """
  return make_input(config, data, lambda images, progress, key: augment(key, images, progress),
                    standard)


def mixture_input(config: Any, data: Any, space: Any) -> Callable:
  """(images uint8, `straight_through.Weights`, key) -> the images of `train_input`, differentiable
  in the weights."""
  return make_input(
      config, data,
      lambda images, weights, key: apply.apply_mixture(
          images, weights.o, weights.y, weights.m, key, ops=space.ops))


def val_input(data: Any) -> Callable:
  """images uint8 -> the network's input in validation: normalised."""
  return lambda images: preprocess.normalise(preprocess.to_float(images), data.mean, data.std)
