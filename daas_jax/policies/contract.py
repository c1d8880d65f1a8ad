"""A policy as a function of images: what every form of it promises, whatever it is made of."""

from collections.abc import Callable, Mapping
import functools
import json
import re
import reprlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import wide
from daas_jax.augment.ops import OPS
from daas_jax.augment.preprocess import check, to_float
from daas_jax.errors import BadInput
from daas_jax.files import metrics as metrics_lib


def of(augment: Callable, scheduled: bool = False) -> Callable:
  """augment(key, float images) -> float images, for uint8 images too and with its input checked.

  Args:
    augment: the function; where `scheduled`, it takes a third argument, the progress.
    scheduled: whether it changes in the course of a training.

  Returns:
    The function (key, images [B, H, W, C], progress=1.0) -> images of the same shape and dtype, C =
    1 or 3: floating in [0, 1], or uint8 0 to 255, which is divided by 255 and at the end multiplied
    and rounded. progress [] in [0, 1] is the share of the training that is done. It raises
    TypeError for another dtype and ValueError for another shape or other values, as far as `check`
    sees them.
  """
  def changed(key, images, progress):
    return augment(key, images, progress) if scheduled else augment(key, images)

  def checked(key, images, progress=1.0):
    images = check(images, uint8=True)
    if images.dtype != jnp.uint8:
      return changed(key, images, progress)
    return jnp.round(changed(key, to_float(images), progress) * 255).astype(jnp.uint8)

  return checked


def in_chunks(augment: Callable, n: int) -> Callable:
  """A policy of which every n images of a batch, one after the other, draw their own.

  Args:
    augment: (key, images [B, H, W, C], progress=1.0) -> images, as `of` returns it.
    n: images of a chunk, >= 1; the last chunk of a batch has what is left. 1: each image its own;
      B or more: the batch as one.

  Returns:
    A function like `augment`. The chunks are one loop: a policy that draws for a batch computes
    only the operations that were drawn, and would compute all of them side by side.
  """
  def chunked(key, images, progress=1.0):
    rows = len(images)
    if rows <= n:
      return augment(key, images, progress)
    count = -(-rows // n)
    padded = images[jnp.minimum(jnp.arange(count * n), rows - 1)]
    chunks = padded.reshape(count, n, *images.shape[1:])
    out = jax.lax.map(lambda x: augment(*x, progress), (jax.random.split(key, count), chunks))
    return out.reshape(padded.shape)[:rows]

  return chunked


def drawn(per: str, of_batch: Callable, of_image: Callable, scheduled: bool = False) -> Callable:
  """A policy that is drawn for each image, for the images of a chunk, or for a whole batch.

  Args:
    per: 'batch', 'image' or 'chunk:N', N images in a row.
    of_batch: (key, images[, progress]) -> images, all under one draw.
    of_image: the same, each under its own.
    scheduled: see `of`.
  """
  if per == 'image':
    return of(of_image, scheduled)
  whole = of(of_batch, scheduled)
  return whole if per == 'batch' else in_chunks(whole, int(per.removeprefix('chunk:')))


def not_per(value: Any) -> str | None:
  """Why a value does not say which images share a drawn policy; None where it does, or is ''."""
  good = isinstance(value, str) and re.fullmatch(r'|batch|image|chunk:[1-9][0-9]{0,5}', value)
  return None if good else f"must be 'image', 'batch' or 'chunk:N', not {reprlib.repr(value)}"


def check_smoothing(width: Any) -> None:
  """Refuses the width of a mean filter that is not an odd whole number from 1 on.

  Raises:
    BadInput: it is not.
  """
  if isinstance(width, bool) or not isinstance(width,
                                               (int, np.integer)) or width < 1 or width % 2 == 0:
    raise BadInput(
        f'smoothing must be an odd whole number of epochs, 1 for none, not {reprlib.repr(width)}')


def epoch_at(progress: Any, epochs: int) -> jax.Array:
  """The epoch of the search whose policy a training uses: nearest neighbour (DDAS 3.5.4).

  Args:
    progress: [] share of the training that is done, in [0, 1]; may be traced.
    epochs: T.

  Returns:
    int32 [] in [0, T).
  """
  progress = jnp.asarray(progress)
  progress = wide(progress) if jnp.issubdtype(progress.dtype, jnp.floating) else progress.astype(
      jnp.float32)
  return jnp.clip(jnp.floor(progress * epochs), 0, epochs - 1).astype(jnp.int32)


def laid_out(content: Mapping[str, Any],
             word: Callable = functools.partial(json.dumps, allow_nan=False)) -> str:
  """The content of a policy.json as text: a line for every key, and for each row of a list of
  rows.

  Args:
    content: JSON values.
    word: a value on one line.

  Raises:
    ValueError: it holds NaN or an infinite number.
  """
  lines = []
  for key, value in content.items():
    rows = isinstance(value, list) and value and all(isinstance(x, (list, dict)) for x in value)
    text = '[\n' + ',\n'.join(f'  {word(x)}' for x in value) + '\n ]' if rows else word(value)
    lines.append(f'{word(key)}: {text}')
  return '{' + ',\n '.join(lines) + '}\n'


def shown(name: str, value: float) -> str:
  """A magnitude in the operation's own unit as text: '+-' before one with a random sign, '-' where
  there is none."""
  if not OPS[name].graded:
    return '-'
  return f'+-{abs(value):.3g}' if OPS[name].signed else f'{value:.3g}'


def record(marginals: dict, ops: tuple) -> dict:
  """What history.jsonl keeps of the marginals of a distribution over operations.

  Args:
    marginals: numpy {'probability', 'applied', 'strength'}, [K, N] each.
    ops: names of the N operations; a strength is None where one has no magnitude.
  """
  found = {name: metrics_lib.plain(x) for name, x in marginals.items()}
  strengths = [
      [x if OPS[op].graded else None for op, x in zip(ops, row)] for row in found['strength']
  ]
  return {'candidates': list(ops)} | found | {'strength': strengths}
