"""The images that a network is trained and validated on: crop and flip, a policy, normalisation, Cutout."""

import jax
import jax.numpy as jnp

from daas_jax.augment import apply, preprocess


def standard_preprocessing(images, key, config):
  """Random crop (or resized crop) and horizontal flip of images float [B, H, W, C], as `config.preprocess` says."""
  key_crop, key_flip = jax.random.split(key)
  if config.crop == 'resized':
    images = preprocess.random_resized_crop(images, key_crop, images.shape[1])
  elif config.padding:
    images = preprocess.random_crop(images, key_crop, config.padding)
  return preprocess.random_flip(images, key_flip) if config.flip else images


def make_input(config, data, augment, standard=True):
  """(images uint8, policy, key) -> preprocessed, augmented, normalised images.

  Args:
    config: a search or training config.
    data: a `daas_jax.data.sources.Dataset`, for mean and std.
    augment: (images float, policy, key) -> images float.
    standard: whether crop and flip come before it, and Cutout (where the config has it) after; all or none of them.
  """
  def train_input(images, policy, key):
    key_standard, key_policy, key_cutout = jax.random.split(key, 3)
    images = preprocess.to_float(images)
    if standard:
      images = standard_preprocessing(images, key_standard, config.preprocess)
    images = preprocess.normalise(augment(images, policy, key_policy), data.mean, data.std)
    size = config.preprocess.cutout if standard else 0
    return preprocess.cutout(images, key_cutout, size) if size else images
  return train_input


def given_input(config, data, augment, standard):
  """(images uint8, progress, key) -> images under a policy that is given: `make_input`.

  Args:
    config, data, standard: as for `make_input`.
    augment: (key, images float, progress) -> images, such as `daas_jax.load_policy` returns; progress in [0, 1] is the
      share of the run that is done.
  """
  return make_input(config, data, lambda images, progress, key: augment(key, images, progress), standard)


def mixture_input(config, data, space):
  """(images uint8, `straight_through.Weights`, key) -> the images of `train_input`, differentiable in the weights."""
  return make_input(config, data,
                    lambda images, weights, key: apply.apply_mixture(images, *weights, key, ops=space.ops))


def turned(images, config):
  """Validation images, turned where the check of DDAS 4.1 asks for it."""
  turns = config.data.validation_turns
  return jnp.rot90(images, turns, (1, 2)) if turns else images


def val_input(config, data):
  """images uint8 -> the network's input in validation: normalised, and turned where the config says so."""
  return lambda images: preprocess.normalise(preprocess.to_float(turned(images, config)), data.mean, data.std)
