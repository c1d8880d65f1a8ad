"""What a search's gradients say of its choices: evidence that is kept block by block, and a test of
each choice against chance.

A search that has nothing to find moves all the same: its optimizer follows noise. What tells a
choice from noise is the sum of its gradients beside their spread. The spread is that of the sums of
blocks of consecutive updates (batch means), since gradients of neighbouring updates may be alike;
a block grows with the search, so that there are always 128 to 256 of them: a search that settles in
its first fifth has still enough of them there. Every gradient is first
divided by the size of those before it, a moving average: else the few large ones count alone.

The gradient of an option's logit has mean 0 where no option is better than another, whatever the
probabilities are and however the gradients before have moved them: the sums are those of a
martingale, and their t is Student's in good approximation. The whole search and each of its halves
are looked at: a distribution that has settled in the first half has no gradient left in the last,
and one that turns late is at odds with itself over the whole. Each look counts as a test of its
own, and a choice is decided where its z is beyond the bound that all tests together pass by chance
with a probability of 5 % at most (Bonferroni).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

BLOCKS = 256
LEAST = 16
"""Whole blocks below which nothing is told."""
LEVEL = 0.05
"""Largest probability that anything is said to be decided where all is chance."""
LIFT = 1.5
"""A decided option has at least this many times the probability that it has where all are alike: a
preference may be beyond doubt and too small to matter."""
LOOKS = 3
_DECAY = 0.9  # of the size of a gradient: the last ten or so


class Blocks(NamedTuple):
  """Sums of evidence over blocks of consecutive updates.

  Attributes:
    sums: pytree of [BLOCKS, ...].
    square: pytree of [], moving average of the mean square of each leaf.
    updates: int32 [], how many.
    length: int32 [], updates a block: a power of 2.
  """
  sums: Any
  square: Any
  updates: jax.Array
  length: jax.Array


def init(like: Any) -> Blocks:
  """No updates yet; `like`: pytree of arrays, or of their shapes and types."""
  return Blocks(jax.tree.map(lambda x: jnp.zeros((BLOCKS, *x.shape), x.dtype), like),
                jax.tree.map(lambda x: jnp.zeros((), x.dtype), like), jnp.int32(0), jnp.int32(1))


def add(blocks: Blocks, evidence: Any) -> Blocks:
  """The blocks with one update more; where all are full, two and two become one before it.

  The first update, which has none before it to be measured by, counts as 0.

  Args:
    blocks: `Blocks`.
    evidence: pytree of arrays as `init` was told.
  """
  full = blocks.updates == BLOCKS * blocks.length
  length = jnp.where(full, 2 * blocks.length, blocks.length)
  place = blocks.updates // length

  def added(sums, square, x):
    halved = jnp.concatenate([sums[::2] + sums[1::2], jnp.zeros_like(sums[::2])])
    size = jnp.sqrt(square / (1 - _DECAY**blocks.updates.astype(x.dtype)))
    measured = jnp.where(square > 0, x / jnp.where(square > 0, size, 1), 0)
    return jnp.where(full, halved, sums).at[place].add(measured)

  square = jax.tree.map(lambda square, x: _DECAY * square + (1 - _DECAY) * jnp.mean(x * x),
                        blocks.square, evidence)
  return Blocks(jax.tree.map(added, blocks.sums, blocks.square, evidence), square,
                blocks.updates + jnp.int32(1), length)


def whole(blocks: Blocks) -> Any:
  """The sums of the blocks that are full, numpy [n, ...] leaf by leaf; n <= BLOCKS."""
  n = int(blocks.updates) // int(blocks.length)
  return jax.tree.map(lambda x: np.asarray(x, np.float64)[:n], blocks.sums)


class Kept(NamedTuple):
  """An optimizer's state with the evidence of the gradients that it was given."""
  blocks: Blocks
  optimizer: Any


def of_state(state: Any) -> Blocks | None:
  """The evidence in an optimizer's state, None of one that keeps none."""
  return state.blocks if isinstance(state, Kept) else None


# --- a choice against chance ----------------------------------------------------------------------


class Choice(NamedTuple):
  """One choice of a search: the operations of a slot of a policy, those of an edge of a cell.

  Attributes:
    where: what it is called, '' where there is one alone.
    options: names of the N options.
    probability: [N], at the end.
    gain: [n, N] block sums of what the logits gain: of their gradients, with the sign of a rise.
    helps: the same of applying an option against not applying it, where the search says that; None:
      an option stands against the others alone.
    single: whether one option is taken in the end, the likeliest, as on an edge.
    never: names of options that are never taken.
  """
  where: str
  options: Sequence[str]
  probability: np.ndarray
  gain: np.ndarray
  helps: np.ndarray | None = None
  single: bool = False
  never: Sequence[str] = ()


class Verdict(NamedTuple):
  """What is decided of a `Choice`.

  Attributes:
    where, options, probability: the choice's.
    z: [N] of each option, that of the look with most of it: of its help, or of its gain where there
      is no such thing.
    gain: [N], z of its gain in the last half.
    decided: names of the options that are.
    slight: names of those beyond the bound whose probability is too small for it.
  """
  where: str
  options: Sequence[str]
  probability: np.ndarray
  z: np.ndarray
  gain: np.ndarray
  decided: tuple[str, ...]
  slight: tuple[str, ...]


def z_of(sums: np.ndarray) -> np.ndarray:
  """z of block sums having a positive mean: [n, N] -> [N].

  That of a normal variable with the probability of Student's t with n - 1 degrees of freedom; 0
  where all sums are alike.
  """
  n, spread = len(sums), sums.std(0, ddof=1)
  with np.errstate(divide='ignore', invalid='ignore'):
    t = np.where(spread > 0, sums.mean(0) / spread * np.sqrt(n), 0.0)
  # of either sign: the tail that is small keeps its digits
  return -np.sign(t) * special.ndtri(np.maximum(special.stdtr(n - 1, -np.abs(t)), 1e-300))


def _looks(sums):
  """z over the whole search and over its first and last half: [LOOKS, N]; zeros where there are too
  few blocks."""
  half = len(sums) // 2
  if len(sums) < LEAST:
    return np.zeros((LOOKS, sums.shape[1]))
  return np.stack([z_of(x) for x in (sums, sums[:half], sums[half:])])


def bound(choices: Sequence[Choice], level: float = LEVEL) -> tuple[int, float]:
  """(tests, the z that one of them passes by chance with a probability of level / tests)."""
  tests = LOOKS * sum(len(c.options) - len(c.never) for c in choices)
  return tests, float(-special.ndtri(level / max(tests, 1)))


def decide(choice: Choice, beyond: float) -> Verdict:
  """Which of its options are decided.

  Those whose z is beyond the bound, with at least `LIFT` times the probability that they have where
  all are alike, and not losing beyond the bound to the others in the last half; where one is taken,
  it has to be the likeliest.

  Args:
    choice: `Choice`.
    beyond: the bound of z.
  """
  gains = _looks(choice.gain)
  z = np.max(gains if choice.helps is None else _looks(choice.helps), 0)
  may = np.array([name not in choice.never for name in choice.options])
  good = may & (z > beyond) & (gains[-1] > -beyond)
  if choice.single:
    good &= np.arange(len(good)) == np.argmax(np.where(may, choice.probability, -1))
  alike = 1 / len(good)
  # of two or fewer: half of the way from there to 1
  lifted = choice.probability >= min(LIFT * alike, (1 + alike) / 2) - 1e-6
  names = lambda where: tuple(name for name, it in zip(choice.options, where) if it)
  return Verdict(choice.where, choice.options, choice.probability, z, gains[-1],
                 names(good & lifted), names(good & ~lifted))


def effective(probability: np.ndarray) -> np.ndarray:
  """exp of the entropy along the last axis: as many options, all alike, are as undecided."""
  p = np.asarray(probability, np.float64)
  return np.exp(-np.sum(p * np.log(np.where(p > 0, p, 1)), -1))
