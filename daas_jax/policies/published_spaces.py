"""The published spaces of operations and magnitudes, and AutoAugment's sub-policies, as `published`
takes them.

A space is {operation: for every level from nothing to the most, its equally likely magnitudes}, in
the unit that `daas_jax.augment.levels` says.
"""

from collections.abc import Mapping

import numpy as np

from daas_jax.policies.published import Rows, Step

Space = Mapping[str, tuple[tuple[float, ...], ...]]

OPERATIONS = ('Identity', 'AutoContrast', 'Equalize', 'Rotate', 'Solarize', 'Color', 'Posterize',
              'Contrast', 'Brightness', 'Sharpness', 'ShearX', 'ShearY', 'TranslateX', 'TranslateY')
"""The 14 of RandAugment and TrivialAugment."""

_SHEARS, _BLENDS = ('ShearX', 'ShearY'), ('Color', 'Contrast', 'Brightness', 'Sharpness')
_NO_MAGNITUDE = ('Identity', 'AutoContrast', 'Equalize', 'Invert')

SUB_POLICIES = {
    'imagenet': '''
    Posterize 4 8, Rotate 6 9; Solarize 6 5, AutoContrast 6; Equalize 8, Equalize 6;
    Posterize 6 7, Posterize 6 6; Equalize 4, Solarize 2 4; Equalize 4, Rotate 8 8;
    Solarize 6 3, Equalize 6; Posterize 8 5, Equalize 10; Rotate 2 3, Solarize 6 8;
    Equalize 6, Posterize 4 6; Rotate 8 8, Color 4 0; Rotate 4 9, Equalize 6;
    Equalize 0, Equalize 8; Invert 6, Equalize 10; Color 6 4, Contrast 10 8; Rotate 8 8, Color 10 2;
    Color 8 8, Solarize 8 7; Sharpness 4 7, Invert 6; ShearX 6 5, Equalize 10;
    Color 4 0, Equalize 6; Equalize 4, Solarize 2 4; Solarize 6 5, AutoContrast 6;
    Invert 6, Equalize 10; Color 6 4, Contrast 10 8; Equalize 8, Equalize 6
    ''',
    'cifar10': '''
    Invert 1, Contrast 2 6; Rotate 7 2, TranslateX 3 9; Sharpness 8 1, Sharpness 9 3;
    ShearY 5 8, TranslateY 7 9; AutoContrast 5, Equalize 9; ShearY 2 7, Posterize 3 7;
    Color 4 3, Brightness 6 7; Sharpness 3 9, Brightness 7 9; Equalize 6, Equalize 5;
    Contrast 6 7, Sharpness 6 5; Color 7 7, TranslateX 5 8; Equalize 3, AutoContrast 4;
    TranslateY 4 3, Sharpness 2 6; Brightness 9 6, Color 2 8; Solarize 5 2, Invert 0;
    Equalize 2, AutoContrast 6; Equalize 2, Equalize 6; Color 9 9, Equalize 6;
    AutoContrast 8, Solarize 2 8; Brightness 1 3, Color 7 0; Solarize 4 5, AutoContrast 9;
    TranslateY 9 9, TranslateY 7 9; AutoContrast 9, Solarize 8 3; Equalize 8, Invert 1;
    TranslateY 7 9, AutoContrast 9
    ''',
    'svhn': '''
    ShearX 9 4, Invert 2; ShearY 9 8, Invert 7; Equalize 6, Solarize 6 6; Invert 9, Equalize 6;
    Equalize 6, Rotate 9 3; ShearX 9 4, AutoContrast 8; ShearY 9 8, Invert 4;
    ShearY 9 5, Solarize 2 6; Invert 9, AutoContrast 8; Equalize 6, Rotate 9 3;
    ShearX 9 4, Solarize 3 3; ShearY 8 8, Invert 7; Equalize 9, TranslateY 6 6;
    Invert 9, Equalize 6; Contrast 3 3, Rotate 8 4; Invert 8, TranslateY 0 2;
    ShearY 7 6, Solarize 4 8; Invert 6, Rotate 8 4; ShearY 3 7, TranslateX 9 3;
    ShearX 1 6, Invert 6; Solarize 7 2, TranslateY 6 7; ShearY 8 4, Invert 8;
    ShearX 7 9, TranslateY 8 3; ShearY 8 5, AutoContrast 7; ShearX 7 2, Invert 1
    ''',
}
"""The 25 sub-policies that AutoAugment found on each set (its paper's tables): two operations in
sequence, each with tenths of its probability and, where it has one, the level of its magnitude, 0
to 9."""


def torchvision(bins: int, height: int, width: int, wide: bool = False) -> Space:
  """The spaces of torchvision 0.29: of TrivialAugmentWide, or of RandAugment and AutoAugment.

  Args:
    bins: number of levels.
    height, width: of the images, in pixels.
    wide: whether it is TrivialAugmentWide's.
  """
  shear, degrees, blend, bits = (0.99, 135., 0.99, 6) if wide else (0.3, 30., 0.9, 4)
  pixels = [_linspace(0., 32. if wide else 150 / 331 * side, bins) for side in (width, height)]
  kept = 8 - np.rint(np.arange(bins) / ((bins - 1) / bits))
  return _space(
      [_both(x) for x in _linspace(0., shear, bins)],
      [[_both(int(x)) for x in line] for line in pixels],
      [_both(x) for x in _linspace(0., degrees, bins)],
      [(x,) for x in _linspace(255., 0., bins)], [(x,) for x in kept.tolist()],
      [(1 + x, 1 - x) for x in _linspace(0., blend, bins)])


def trivial_augment_ra(height: int, width: int) -> Space:
  """The space RA of TrivialAugment's code ('fixed_standard'), 31 levels.

  The translations of its 32 pixels are 10 at most, and 70 of 224: here 10 / 32 of the side.
  """
  levels = range(31)
  return _space(
      [_both(k * 0.3 / 30) for k in levels],
      [[_both(int(k * (10 / 32 * side) / 30)) for k in levels] for side in (width, height)],
      [_both(int(k * 30 / 30)) for k in levels], [(256. - int(k * 256 / 30),) for k in levels],
      [(8. - int(k * 4 / 30),) for k in levels], [(k * (1.9 - 0.1) / 30 + 0.1,) for k in levels])


def rand_augment(m: float, height: int, width: int) -> Space:
  """The space of RandAugment's code at its level m in [0, 10]: one level.

  The translations of its 224 pixels are 100 at most: here 100 / 224 of the side.
  """
  return _space([_both(m / 10 * 0.3)],
                [[_both(m / 10 * (100 / 224) * side)] for side in (width, height)],
                [_both(m / 10 * 30)], [(float(int(m / 10 * 256)),)], [(float(int(m / 10 * 4)),)],
                [(m / 10 * 1.8 + 0.1,)])


def one_of_each(space: Space, level: int | None = None) -> Rows:
  """A row for each of `OPERATIONS`: at one level, or (None) at any, each as likely as another."""
  def magnitudes(levels):
    return sum(levels, ()) if level is None else _at(levels, level)
  return tuple((Step(op, magnitudes(space[op])),) for op in OPERATIONS)


def sub_policies(name: str, space: Space) -> Rows:
  """The rows of one of `SUB_POLICIES`."""
  def step(text):
    op, tenths, *level = text.split()
    return Step(op, _at(space[op], int(*level)), int(tenths) / 10)
  return tuple(
      tuple(step(text) for text in row.split(',')) for row in SUB_POLICIES[name].split(';'))


def _at(levels, level):
  return levels[level if len(levels) > 1 else 0]


def _both(x):
  return float(x), -float(x)


def _space(shear, translate, rotate, solarize, posterize, blend):
  of = dict(zip(('TranslateX', 'TranslateY', 'Rotate', 'Solarize', 'Posterize'),
                (*translate, rotate, solarize, posterize)))
  of |= dict.fromkeys(_SHEARS, shear) | dict.fromkeys(_BLENDS, blend)
  of |= dict.fromkeys(_NO_MAGNITUDE, [(0.,)])
  return {op: tuple(levels) for op, levels in of.items()}


def _linspace(start, end, bins):
  """torch.linspace in float32, to the bit: from both ends to the middle, product and sum rounded
  once. Whole pixels follow from it: TrivialAugmentWide's level 15 moves by 15, not by 16."""
  k, (start, end) = np.arange(bins), np.float32((start, end))
  step = np.float64((end - start) / np.float32(bins - 1))
  line = np.where(k < bins // 2, start + step * k, end - step * (bins - 1 - k))
  return line.astype(np.float32).tolist()
