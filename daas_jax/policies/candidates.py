"""DDAS's candidates: an operation at one strength each (DDAS 3.1)."""

from collections.abc import Iterable
import math
import reprlib
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from daas_jax.augment.ops import magnitude, OPS
from daas_jax.errors import BadInput

LEVELS = (0, 2, 10, 14)
"""Of the published list, on RandAugment's scale, whose 10 is the high end of an operation's range
and 14 beyond it."""
_WITHOUT = ('Identity', 'HorizontalFlip', 'VerticalFlip', 'AutoContrast', 'Equalize', 'Invert',
            'Blur', 'Smooth')
_WITH = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'Solarize', 'Posterize',
         'Contrast', 'Color', 'Brightness', 'Sharpness')
MOST = 2.0
"""A candidate's strength is in [-MOST, MOST]; an operation's range is from 0 to 1."""


class Candidate(NamedTuple):
  """One candidate: the name of an operation and its strength (`daas_jax.augment.ops.magnitude`)."""
  op: str
  strength: float

  def __str__(self):
    return f'{self.op}:{self.strength:.6g}' if OPS[self.op].graded else self.op


class Space(NamedTuple):
  """A space of policies.

  Attributes:
    candidates: the N `Candidate`s.
    K: candidates in sequence, N_o = 2 in the paper.
  """
  candidates: tuple
  K: int = 2

  @property
  def ops(self) -> tuple[str, ...]:
    """Names of the operations of the candidates, each once."""
    return tuple(dict.fromkeys(c.op for c in self.candidates))

  def operations(self, phi: Any) -> tuple[Any, Any]:
    """(positions in `ops`, strengths) of candidates phi (int, any shape)."""
    o = np.array([self.ops.index(c.op) for c in self.candidates], np.int32)
    strength = np.array([c.strength for c in self.candidates], np.float32)
    return jnp.asarray(o)[phi], jnp.asarray(strength)[phi]


def strength_of(op: str, level: int) -> float:
  """The strength of a published level (see `LEVELS`), by the formulas of DDAS's code.

  Of images of 32 pixels a translation is by `level` of them, and by the same share of any side.
  Solarize's threshold is 256 - 25.6 level, below 0 at level 14: everything is inverted, as at 10.
  Posterize keeps 4 - 0.4 level bits, rounded up: 4 at the levels 0 and 2, and none at 10 and 14,
  which leaves black. (The published code itself gives an operation one magnitude at all of its
  levels, the last, by a slip.)
  """
  row = OPS[op]
  value = {'TranslateX': level / 32, 'TranslateY': level / 32, 'Solarize': 256 - int(25.6 * level),
           # a hundredth of a bit changes nothing: a name for each of two levels of as many bits
           'Posterize': 4 - int(0.4 * level) + level / 100}.get(op)
  return level / 10 if value is None else (value - row.low) / (row.high - row.low)


def published() -> tuple[Candidate, ...]:
  """The 52 candidates of DDAS (public code): 8 operations without magnitude and 11 at 4 levels."""
  return tuple([Candidate(op, 0.0) for op in _WITHOUT]
               + [Candidate(op, strength_of(op, level)) for op in _WITH for level in LEVELS])


def published_names() -> tuple[str, ...]:
  """The published list as `parse` reads it, to the bit."""
  return tuple(f'{c.op}:{c.strength!r}' if OPS[c.op].graded else c.op for c in published())


def parse(names: Iterable[str]) -> tuple[Candidate, ...]:
  """The `Candidate`s of ('Rotate:0.2', 'Equalize', ...).

  Raises:
    BadInput: an unknown operation, a strength that is missing, superfluous or outside of [-`MOST`,
      `MOST`], or one twice.
  """
  out = []
  for name in names:
    op, _, strength = name.partition(':')
    if op not in OPS:
      raise BadInput(
          f'the candidate {reprlib.repr(name)} names no known operation; known are {", ".join(OPS)}'
      )
    if OPS[op].graded != bool(strength):
      raise BadInput(f'the candidate {reprlib.repr(name)} '
                     + (f'has no strength: write {op}:0.5' if OPS[op].
                        graded else f'has a strength, which {op} ignores: write {op}'))
    try:
      value = float(strength or 0)
    except ValueError:
      value = math.nan
    if not -MOST <= value <= MOST:
      raise BadInput(f'the candidate {reprlib.repr(name)} must have a strength in [{-MOST:g}, '
                     f'{MOST:g}]')
    out.append(Candidate(op, value))
  if len(set(out)) < len(out):
    raise BadInput('a candidate is named twice')
  return tuple(out)


def wrong(names: Any) -> str | None:
  """Why a config's value names no candidates; None where it does."""
  try:
    parse(names)
  except BadInput as error:
    return f'is wrong: {error}; it must name operations'
  return None


def values(candidate: Candidate) -> float | None:
  """The magnitude of a candidate in its operation's own unit, None where it has none."""
  return float(magnitude(candidate.op, candidate.strength)) if OPS[candidate.op].graded else None
