"""DDAS's distribution over augmentation policies: a total probability, and one distribution over candidates (DDAS 3.1).

A candidate is an operation at one strength. A policy phi is K candidates in sequence; with probability p_tp it is
applied, P(phi) = prod_k p_o[phi_k], and with 1 - p_tp nothing is (DDAS Eq. 3).
"""

import functools
import math
import reprlib
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import apply
from daas_jax.augment.ops import magnitude, OPS
from daas_jax.errors import BadInput

LEVELS = (0, 2, 10, 14)
"""Of the published list, on RandAugment's scale, whose 10 is the high end of an operation's range and 14 beyond it."""
_WITHOUT = ('Identity', 'HorizontalFlip', 'VerticalFlip', 'AutoContrast', 'Equalize', 'Invert', 'Blur', 'Smooth')
_WITH = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'Solarize', 'Posterize', 'Contrast', 'Color',
         'Brightness', 'Sharpness')
_MOST = 1.5  # strength; 1 is the end of an operation's range here


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
  def ops(self):
    """Names of the operations of the candidates, each once."""
    return tuple(dict.fromkeys(c.op for c in self.candidates))

  def operations(self, phi):
    """(positions in `ops`, strengths) of candidates phi (int, any shape)."""
    o = np.array([self.ops.index(c.op) for c in self.candidates], np.int32)
    strength = np.array([c.strength for c in self.candidates], np.float32)
    return jnp.asarray(o)[phi], jnp.asarray(strength)[phi]


class Policy(NamedTuple):
  """One policy: phi int32 [K] in [0, N), and whether it is applied, y int32 [] in {0, 1}."""
  phi: jax.Array
  y: jax.Array


def strength_of(op, level):
  """The strength of a published level in [0, 14] (see `LEVELS`).

  An operation with a sign has its identity at level 0. Solarize and Posterize cannot go beyond the end of their range:
  there 14 is the end, and Posterize keeps whole bits, so that no two of the four levels are the same.
  """
  if OPS[op].signed:
    return 0.5 + level / 20
  if op == 'Solarize':
    return level / 14
  return math.ceil(4 * level / 14) / 4 if op == 'Posterize' else level / 10


def published():
  """The 52 candidates of DDAS (public code): 8 operations without magnitude and 11 at 4 levels."""
  return tuple([Candidate(op, 0.0) for op in _WITHOUT]
               + [Candidate(op, strength_of(op, level)) for op in _WITH for level in LEVELS])


def parse(names):
  """The `Candidate`s of ('Rotate:0.6', 'Equalize', ...).

  Raises:
    BadInput: an unknown operation, a strength that is missing, superfluous or outside of [0, 1.5], or one twice.
  """
  out = []
  for name in names:
    op, _, strength = name.partition(':')
    if op not in OPS:
      raise BadInput(f'the candidate {reprlib.repr(name)} names no known operation; known are {", ".join(OPS)}')
    if OPS[op].graded != bool(strength):
      raise BadInput(f'the candidate {reprlib.repr(name)} ' + (f'has no strength: write {op}:0.5' if OPS[op].graded else
                                                  f'has a strength, which {op} ignores: write {op}'))
    try:
      value = float(strength or 0)
    except ValueError:
      value = math.nan
    if not 0 <= value <= _MOST:
      raise BadInput(f'the candidate {reprlib.repr(name)} must have a strength in [0, {_MOST}]')
    out.append(Candidate(op, value))
  if len(set(out)) < len(out):
    raise BadInput('a candidate is named twice')
  return tuple(out)


def init(key, space, p_tp=0.35):
  """The parameters at the start: {'alpha_o': [N] zeros, 'alpha_tp': []} with sigmoid(alpha_tp) = p_tp (DDAS 4.2)."""
  del key
  return {'alpha_o': jnp.zeros(len(space.candidates)), 'alpha_tp': jnp.float32(math.log(p_tp) - math.log1p(-p_tp))}


def sample(key, space):
  """One policy, uniform over the space whatever the parameters are (DDAS 3.5.1)."""
  phi = jax.random.randint(key, (space.K,), 0, len(space.candidates))
  return Policy(phi.astype(jnp.int32), jnp.int32(1))


def log_prob(gamma, policy):
  """log P(phi) = sum_k log softmax(alpha_o)[phi_k], []: without the total probability (DDAS Eq. 3)."""
  return jnp.sum(jax.nn.log_softmax(gamma['alpha_o'])[policy.phi])


def total_probability(gamma):
  """p_tp = sigmoid(alpha_tp), []."""
  return jax.nn.sigmoid(gamma['alpha_tp'])


def values(candidate):
  """The magnitude of a candidate in its operation's own unit, None where it has none."""
  return float(magnitude(candidate.op, candidate.strength)) if OPS[candidate.op].graded else None


def fields(space, p_tp):
  """The fields of a `daas_jax.types.Problem` that are about this distribution, as a dict; p_tp as `init` takes it."""
  return dict(init_gamma=functools.partial(init, space=space, p_tp=p_tp),
              sample_policy=lambda key, gamma: sample(key, space), log_prob=log_prob,
              total_probability=total_probability)


def augment(images, policy, key, space, boxes=None):
  """Applies one policy to a batch: images float [B, H, W, C] -> the same; with boxes [B, N, 4] -> (images, boxes)."""
  o, strength = space.operations(policy.phi)
  return apply.apply_policy(images, o, jnp.broadcast_to(policy.y, o.shape), strength, key, ops=space.ops, per='batch',
                            boxes=boxes)
