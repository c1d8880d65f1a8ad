"""Policies that need no search: what every result is held against.

An augmenter is a function (key, images [B, H, W, C]) -> images, as `contract.of` describes it. What
is drawn, is drawn for every image.

  name                      as                                          public code
  trivial_augment           torchvision.transforms.TrivialAugmentWide   pytorch/vision
  trivial_augment_ra        TrivialAugment's paper, its space RA        automl/trivialaugment
  rand_augment              RandAugment's paper, N = 2 and M = 9        tensorflow/tpu
  rand_augment_torchvision  torchvision.transforms.RandAugment          pytorch/vision
  auto_augment_cifar10,     torchvision.transforms.AutoAugment          pytorch/vision
  _imagenet, _svhn

Four are of this package: `none`, and `standard`, crop and flip alone; `uniform`, the policies that
a search begins from; `camera`, which has the very faults that sets with ':field' are validated and
tested on (`daas_jax.augment.camera`): no policy can know better.

Each of the table is the code with its default arguments, on 8-bit images: nearest neighbours, black
where nothing comes from (128 in rand_augment), and otherwise Pillow's pixels
(`daas_jax.augment.levels`). What remains different:

- AutoContrast may be a level more where Pillow's double precision falls short of a whole number.
- torchvision draws from another generator. On a processor without a fused multiply-add its
  TrivialAugmentWide moves by 16 pixels at level 15; with one, and here, by 15.
- trivial_augment_ra: the code counts translations in pixels, of 32 at most 10 and of 224 at most
  70; here it is the same share of any side.
- rand_augment: the code (models/official/efficientnet/autoaugment.py) has operations of its own in
  TensorFlow. They mean Pillow's, and are Pillow's here: there Sharpness truncates its smooth image,
  and Contrast takes the number of pixels / 256 for the mean. The 14 operations are the paper's; the
  code has Invert, Cutout and SolarizeAdd instead of Identity. Magnitudes are the code's: Posterize
  keeps int(0.4 M) bits, Solarize's threshold is int(25.6 M), so that both do less at a greater M,
  and the blends' factor is 0.1 + 0.18 M. Its translations, at most 100 pixels of 224, are here the
  same share of any side. A place half-way between two pixels may go to the other one.
- auto_augment_*: the sub-policies are the paper's and the magnitudes torchvision's, whose blends go
  to either side of 1 with a random sign, where the paper's run from 0.1 to 1.9. The paper's code
  for CIFAR-10 has 70 sub-policies more.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from daas_jax.augment import apply, camera
from daas_jax.augment.ops import OPS
from daas_jax.policies import categorical, contract, published, published_spaces as spaces
from daas_jax.policies.table import strength


class Fixed(NamedTuple):
  """One row of BASELINES.

  Attributes:
    make: a function without mandatory arguments that returns the augmenter.
    standard_preprocessing: whether the standard preprocessing (crop and flip) goes with it.
  """
  make: Callable[..., Callable[[jax.Array, jax.Array], jax.Array]]
  standard_preprocessing: bool = True


def identity() -> Callable:
  """The augmenter that changes nothing."""
  return contract.of(lambda key, images: images)


def trivial_augment() -> published.Published:
  """TrivialAugment Wide (arXiv:2103.10158), torchvision's: an operation, one of 31 levels, and a
  sign."""
  return published.Published(
      lambda height, width: spaces.one_of_each(spaces.torchvision(31, height, width, wide=True)))


def trivial_augment_ra() -> published.Published:
  """TrivialAugment (arXiv:2103.10158) in its space RA: an operation, one of 31 levels, and where it
  moves pixels a sign."""
  return published.Published(
      lambda height, width: spaces.one_of_each(spaces.trivial_augment_ra(height, width)))


def rand_augment(n: int = 2, m: float = 9) -> published.Published:
  """RandAugment (arXiv:1909.13719): n operations in sequence, all at one magnitude.

  Args:
    n: operations in sequence, each uniform from the paper's 14, repetitions allowed.
    m: magnitude on the paper's scale from 0 to 10; need not be whole.

  Raises:
    ValueError: n is not a whole number from 1 on, or m is outside of [0, 10].
  """
  _check(n, 0 <= m <= 10, f'm in [0, 10], got {n} and {m}')
  return published.Published(
      lambda height, width: spaces.one_of_each(spaces.rand_augment(m, height, width), 0), int(n),
      fill=128, corner=0.5)


def rand_augment_torchvision(num_ops: int = 2, magnitude: int = 9,
                             bins: int = 31) -> published.Published:
  """RandAugment, torchvision's: `num_ops` operations in sequence, all at level `magnitude` in [0,
  bins).

  Raises:
    ValueError: num_ops is not a whole number from 1 on, or magnitude not one of the levels.
  """
  _check(num_ops, magnitude in range(bins),
         f'the level one of {bins} from 0 on, got {num_ops} and {magnitude}')
  return published.Published(
      lambda height, width: spaces.one_of_each(spaces.torchvision(bins, height, width),
                                               int(magnitude)),
      int(num_ops))


def auto_augment(name: str) -> published.Published:
  """AutoAugment (arXiv:1805.09501), torchvision's: one of 25 sub-policies of two operations.

  Args:
    name: of the set it was found on, a key of `published_spaces.SUB_POLICIES`.
  """
  return published.Published(
      lambda height, width: spaces.sub_policies(name, spaces.torchvision(10, height, width)))


def uniform(space: categorical.Space = categorical.Space()) -> Callable:
  """The augmenter of uniform policies of a space: an image gets K operations in sequence, each
  drawn uniformly and applied with probability 1/2 at a level that is drawn uniformly.

  Operations that do nothing on images of so many channels are left out, as a search does.

  Args:
    space: by default that of a search.
  """
  def augment(key, images):
    names = tuple(op for op in space.ops if images.shape[-1] > 1 or not OPS[op].colour_only)
    key_o, key_y, key_m, key_ops = jax.random.split(key, 4)
    shape = images.shape[0], space.K
    o = jax.random.randint(key_o, shape, 0, len(names), jnp.int32)
    m = jax.random.randint(key_m, shape, 0, space.levels, jnp.int32)
    return apply.apply_each(images, o, jax.random.bernoulli(key_y, shape=shape),
                            strength(m, space.levels), key_ops, ops=names)
  return contract.of(augment)


def _check(n, good, wanted):
  if n != int(n) or n < 1 or not good:
    raise ValueError(f'n must be a whole number from 1 on and {wanted}')


def _fixed(policy, *args):
  """The row of a policy, made of its function when it is first asked for."""
  return Fixed(lambda: published.augmenter(policy(*args)))


BASELINES = {
    'none': Fixed(identity, standard_preprocessing=False),
    'standard': Fixed(identity),
    'trivial_augment': _fixed(trivial_augment),
    'trivial_augment_ra': _fixed(trivial_augment_ra),
    'rand_augment': _fixed(rand_augment),
    'rand_augment_torchvision': _fixed(rand_augment_torchvision),
    **{f'auto_augment_{name}': _fixed(auto_augment, name) for name in spaces.SUB_POLICIES},
    'uniform': Fixed(uniform),
    'camera': Fixed(lambda: contract.of(camera.augment)),
}
