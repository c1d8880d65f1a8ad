"""Policies that need no search: what every result is held against.

An augmenter is a function (key, images [B, H, W, C]) -> images, as `contract.of` describes it.
Operations and ranges are this package's own (`daas_jax.augment.ops`). Compared with the public code
of TrivialAugment, its space RA and its space Wide:

  operation                               here         RA           Wide
  ShearX, ShearY                          0.3          0.3          0.99
  TranslateX, TranslateY, of 32 pixels    14.4         10           32
  Rotate, degrees                         30           30           135
  Posterize, bits                         4 to 8       4 to 8       2 to 8
  Solarize, threshold                     0 to 256     0 to 256     0 to 256
  Color, Contrast, Brightness, Sharpness  0.1 to 1.9   0.1 to 1.9   0.01 to 2

One more difference is meant. In both papers' code the last row runs from 0.1 up with the strength,
so that 1, which changes nothing, lies in the middle and strength 0 is an almost black or grey
image. Here strength 0 changes nothing and greater strength goes to either end, drawn for each
image.
"""

from typing import Callable, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment.apply import apply_each
from daas_jax.augment.ops import OPS
from daas_jax.policies import contract

# The 14 operations of RandAugment, and of TrivialAugment's space RA.
RAND_AUGMENT_OPS = ('Identity', 'AutoContrast', 'Equalize', 'Rotate', 'Solarize', 'Color',
                    'Posterize', 'Contrast', 'Brightness', 'Sharpness', 'ShearX', 'ShearY',
                    'TranslateX', 'TranslateY')

# Where in its range an operation changes nothing: the middle, or the upper end.
_MIDDLE = ('Rotate', 'Color', 'Contrast', 'Brightness', 'Sharpness', 'ShearX', 'ShearY',
           'TranslateX', 'TranslateY')
_UPPER = ('Solarize', 'Posterize')


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


def trivial_augment() -> Callable:
  """TrivialAugment (arXiv:2103.10158): one operation for each image, its strength one of 31 levels.

  Both uniform, from `RAND_AUGMENT_OPS` and 0, 1/30, ..., 1. See the top of this file for the
  ranges.
  """
  def augment(key, images):
    key_u, key = jax.random.split(key)
    u = jax.random.choice(key_u, np.linspace(0, 1, 31), (images.shape[0], 1))
    return _random_operations(key, images, u)
  return contract.of(augment)


def rand_augment(n: int = 2, m: float = 9) -> Callable:
  """RandAugment (arXiv:1909.13719): n operations for each image, all at one magnitude.

  Args:
    n: operations in sequence, each uniform from `RAND_AUGMENT_OPS`, repetitions allowed.
    m: magnitude on the paper's scale from 0 to 10, where 10 is the end of the range; need not be
      whole.

  Raises:
    ValueError: n is not a whole number from 1 on, or m is outside of [0, 10].
  """
  if n != int(n) or n < 1 or not 0 <= m <= 10:
    raise ValueError(f'n must be a whole number from 1 on and m in [0, 10], got {n} and {m}')
  return contract.of(lambda key, images: _random_operations(
      key, images, jnp.full((images.shape[0], int(n)), m / 10)))


def _random_operations(key, images, u):
  """Operations drawn uniformly for each image, at strength u [B, K] from nothing to the most."""
  key_o, key_upwards, key_apply = jax.random.split(key, 3)
  o = jax.random.randint(key_o, u.shape, 0, len(RAND_AUGMENT_OPS))
  strength = outward(o, u, jax.random.bernoulli(key_upwards, shape=u.shape))
  return apply_each(images, o, jnp.ones_like(o), strength, key_apply, ops=RAND_AUGMENT_OPS)


def outward(o: jax.Array, u: jax.Array, upwards: jax.Array) -> jax.Array:
  """Strength in which 0 changes nothing, as the package's strength, which runs through an
  operation's range.

  Args:
    o: integers [...], positions in `RAND_AUGMENT_OPS`.
    u: floats [...] in [0, 1], from no change to the end of the range (ignored where there is no
      magnitude).
    upwards: booleans [...], to which end where the range has one on either side of no change.

  Returns:
    [...], in [0, 1]: the strength that `daas_jax.augment.apply` takes.
  """
  start = jnp.asarray(
      [0.5 if name in _MIDDLE else 1. if name in _UPPER else 0. for name in RAND_AUGMENT_OPS])[o]
  end = jnp.where(start == 0.5, upwards.astype(start.dtype), 1 - start)
  # Whole bits, rounded towards no change as in both papers' code; the operation alone would round
  # away from it.
  bits = OPS['Posterize'].high - OPS['Posterize'].low
  u = jnp.where(o == RAND_AUGMENT_OPS.index('Posterize'), jnp.floor(u * bits) / bits, u)
  return start + u * (end - start)


BASELINES = {
    'none': Fixed(identity, standard_preprocessing=False),
    'standard': Fixed(identity),
    'trivial_augment': Fixed(trivial_augment),
    'rand_augment': Fixed(rand_augment),
}
