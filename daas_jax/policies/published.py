"""The form of policies that need no search, as their papers and public code have them: tables.

Every image draws one of R rows, each with probability 1 / R, `times` times in sequence. A row is a
sequence of steps, and a step an operation whose magnitude is drawn uniformly from its list (a
magnitude that has a random sign is there twice), and which is applied with its probability. So
everything that can happen to an image of one size is a list, `rows`; only `draw` is random; and
`daas_jax.augment.levels` does it.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment import levels
from daas_jax.policies import contract


class Step(NamedTuple):
  """An operation in a row.

  Attributes:
    op: its name.
    magnitudes: equally likely ones, in the unit that `daas_jax.augment.levels` says.
    probability: that it is applied.
  """
  op: str
  magnitudes: tuple[float, ...] = (0.,)
  probability: float = 1.


Rows = tuple[tuple[Step, ...], ...]
"""R rows, of S steps each."""


class Published(NamedTuple):
  """A policy.

  Attributes:
    rows: (height, width) of the images, in pixels -> `Rows`.
    times: rows drawn for an image.
    fill: level in 0..255 of what comes from outside of the image.
    corner: see `daas_jax.augment.levels.table`.
  """
  rows: Callable[[int, int], Rows]
  times: int = 1
  fill: int = 0
  corner: float = 0.


class Drawn(NamedTuple):
  """What B images draw.

  Attributes:
    row: int32 [B, times], in [0, R).
    place: int32 [B, times, S], positions in the `magnitudes` of the row's steps.
    applied: bool [B, times, S].
  """
  row: jax.Array
  place: jax.Array
  applied: jax.Array


def draw(key: jax.Array, rows: Rows, batch: int, times: int = 1) -> Drawn:
  """What `batch` images draw, each for itself, of `Rows`."""
  key_row, key_place, key_applied = jax.random.split(key, 3)
  row = jax.random.randint(key_row, (batch, times), 0, len(rows), jnp.int32)
  count, probability = _of_steps(rows, lambda step: len(step.magnitudes), np.int32), _of_steps(
      rows, lambda step: step.probability, np.float32)
  place = jax.random.randint(key_place, (*row.shape, count.shape[1]), 0, count[row], jnp.int32)
  return Drawn(row, place, jax.random.bernoulli(key_applied, probability[row]))


def changes(rows: Rows) -> tuple[levels.Change, ...]:
  """Every change that `Rows` can make, row by row, step by step, and last of all none."""
  return tuple(
      levels.Change(step.op, magnitude) for row in rows for step in row
      for magnitude in step.magnitudes) + (levels.Change('Identity'),)


def index(rows: Rows, drawn: Drawn) -> jax.Array:
  """int32 [B, times * S]: which of `changes(rows)` every image gets, in sequence."""
  count = _of_steps(rows, lambda step: len(step.magnitudes), np.int32)
  first = jnp.asarray((np.cumsum(count) - count.reshape(-1)).reshape(count.shape), jnp.int32)
  found = jnp.where(drawn.applied, first[drawn.row] + drawn.place, np.sum(count, dtype=np.int32))
  return found.reshape(found.shape[0], -1)


def augmenter(policy: Published) -> Callable:
  """The policy as a function of images, see `contract.of`; they are taken as the nearest of 256
  levels."""
  def augment(key, images):
    height, width = images.shape[1:3]
    rows = policy.rows(height, width)
    found = index(rows, draw(key, rows, images.shape[0], policy.times))
    return levels.apply(images, found, levels.table(changes(rows), height, width, policy.corner),
                        policy.fill)
  return contract.of(augment)


def _of_steps(rows, fact, dtype):
  """fact(step) of every step, [R, S]."""
  return jnp.asarray([[fact(step) for step in row] for row in rows], dtype)
