"""One sampled augmentation policy, K operations in sequence, onto a batch of images and the boxes
in them.

Which operations a policy may name is the caller's tuple `ops` of keys of `ops.OPS`; a policy refers
to them by their position in it. Random signs, places and the like come from the key: slot k uses
fold_in(key, k).
"""

from typing import Sequence

import chex
import jax
from jax import lax
import jax.numpy as jnp

from daas_jax.arrays import wide_type
from daas_jax.augment import boxes as boxes_lib
from daas_jax.augment.ops import magnitude, OPS
from daas_jax.augment.preprocess import check


def apply_policy(images: chex.Array, o: chex.Array, y: chex.Array, strength: chex.Array,
                 key: chex.PRNGKey, *, ops: Sequence[str], per: str = 'batch',
                 boxes: chex.Array | None = None) -> chex.Array | tuple[chex.Array, chex.Array]:
  """Applies one policy to a batch (DAAS, Sec. 3.2).

  Only the operation that is taken is computed: `o` selects a branch of `lax.switch`. That holds
  under `lax.scan` and `lax.map` over policies, and no longer under `vmap` over them, where every
  branch is computed. With per='batch' a slot with y = 0 costs nothing and leaves the images as they
  are, bit for bit. The result is differentiable in `strength` and `images` as far as the operations
  are (see `ops`).

  Args:
    images: [B, H, W, C], float in [0, 1], C = 1 or 3. SamplePairing blends with this batch rolled
      by one.
    o: [K], integers in [0, len(ops)): the operation of each slot.
    y: [K] with per='batch', [B, K] with per='image': 1 where the operation is applied, 0 where it
      is skipped.
    strength: [K], in [0, 1], from the low to the high end of the range of the operation.
    key: typed or raw PRNG key.
    ops: names of operations.
    per: 'batch' (one sign and one place for the whole batch) or 'image' (y, signs and places of
      each image).
    boxes: [B, N, 4], float, the boxes of each image (`boxes`), which then move with its pixels; or
      None. SamplePairing leaves an image its own boxes: those of the fainter second image are not
      added. Cutout leaves them too, even those of what it covers.

  Returns:
    [B, H, W, C], float in [0, 1], of the dtype of `images`; with boxes the pair of that and the
    boxes [B, N, 4].

  Raises:
    TypeError: for images that are not floating.
    ValueError: for an unknown operation, another `per`, shapes that do not fit, or values outside
      of [0, 1].
  """
  if per not in ('batch', 'image'):
    raise ValueError(f"per must be 'batch' or 'image', got {per!r}")
  o, y, strength = jnp.asarray(o), jnp.asarray(y), jnp.asarray(strength)
  slots = o.shape[:1]
  images = _check_images(images, ops)
  _check_shapes(o=(o, slots), strength=(strength, slots),
                y=(y, slots if per == 'batch' else images.shape[:1] + slots))
  if boxes is not None:
    boxes = jnp.asarray(boxes)
    _check_boxes(boxes, images)
  slot = _slot_per_batch if per == 'batch' else _slot_per_image
  for k in range(o.shape[0]):
    images, boxes = slot(images, boxes, o[k], y[..., k], strength[k], jax.random.fold_in(key, k),
                         ops)
  return images if boxes is None else (images, boxes)


def apply_each(images: chex.Array, o: chex.Array, y: chex.Array, strength: chex.Array,
               key: chex.PRNGKey, *, ops: Sequence[str]) -> chex.Array:
  """Applies to every image operations of its own.

  This is a `vmap` of a switch: EVERY operation of `ops` is computed for every image and all but one
  thrown away, so it costs about as much as all of `ops` together. Prefer `apply_policy` where one
  draw a batch will do.

  Args:
    images: [B, H, W, C], float in [0, 1], C = 1 or 3.
    o: [B, K], integers in [0, len(ops)).
    y: [B, K], 1 where the operation is applied, 0 where it is skipped.
    strength: [B, K], in [0, 1].
    key: typed or raw PRNG key; image b of slot k uses split(fold_in(key, k), B)[b].
    ops: names of operations.

  Returns:
    [B, H, W, C], float in [0, 1], of the dtype of `images`.

  Raises:
    TypeError, ValueError: as `apply_policy`.
  """
  o, y, strength = jnp.asarray(o), jnp.asarray(y), jnp.asarray(strength)
  images = _check_images(images, ops)
  shape = images.shape[:1] + o.shape[1:2]
  _check_shapes(o=(o, shape), y=(y, shape), strength=(strength, shape))
  branches = [_on_image(name) for name in ops] + [lambda image, *_: image]

  def one(image, partner, o, y, strength, key):
    return lax.switch(jnp.where(y.astype(bool), o, len(ops)), branches, image, partner, strength,
                      key)

  for k in range(o.shape[1]):
    keys = jax.random.split(jax.random.fold_in(key, k), images.shape[0])
    images = jax.vmap(one)(images, jnp.roll(images, 1, axis=0), o[:, k], y[:, k], strength[:, k],
                           keys)
  return images


def apply_mixture(images: chex.Array, o: chex.Array, y: chex.Array, m: chex.Array,
                  key: chex.PRNGKey, *, ops: Sequence[str]) -> chex.Array:
  """A weighted sum over ALL operations and levels in every slot: for gradients with respect to the
  weights.

  At one-hot o and m and y in {0, 1} the result is that of `apply_policy` with per='batch'; the
  derivative with respect to a weight is the image that it would bring in. Costs len(ops) * M
  operations a slot.

  Args:
    images: [B, H, W, C], float in [0, 1], C = 1 or 3.
    o: [K, N], weights of the operations.
    y: [K], weight of the changed image against the unchanged one.
    m: [K, M], weights of M levels, spread evenly over [0, 1] in strength.
    key: typed or raw PRNG key, used as by `apply_policy`.
    ops: names of the N operations.

  Returns:
    [B, H, W, C], float, of the dtype of `images`; within [0, 1] for weights that are probabilities.

  Raises:
    TypeError, ValueError: as `apply_policy`.
  """
  images = _check_images(images, ops)
  slots, levels = m.shape
  _check_shapes(o=(o, (slots, len(ops))), y=(y, (slots,)))
  strengths = jnp.arange(levels) / max(levels - 1, 1)
  for k in range(slots):
    slot_key = jax.random.fold_in(key, k)
    changed = 0.0
    for n, name in enumerate(ops):
      over_images = jax.vmap(_on_image(name), in_axes=(0, 0, None, None))
      at_levels = jax.vmap(over_images, in_axes=(None, None, 0, None))
      changed += o[k, n] * jnp.tensordot(
          m[k], at_levels(images, jnp.roll(images, 1, axis=0), strengths, slot_key), 1)
    images = (1 - y[k]) * images + y[k] * changed
  return images


def _slot_per_batch(images, boxes, o, y, strength, key, ops):
  """One operation on the whole batch and its boxes (or None); y = 0 takes the last branch, which
  does nothing."""
  def branch(name):
    # The magnitude and the key are the same for all images, so vmap computes coordinates and the
    # like once.
    over_images = jax.vmap(_on_image_and_boxes(name), in_axes=(0, 0, 0, None, None))
    return lambda images, boxes: over_images(images, boxes, jnp.roll(images, 1, axis=0), strength,
                                             key)

  branches = [branch(name) for name in ops] + [lambda images, boxes: (images, boxes)]
  return lax.switch(jnp.where(y.astype(bool), o, len(ops)), branches, images, boxes)


def _slot_per_image(images, boxes, o, y, strength, key, ops):
  """One operation on the batch; y, sign and place are of each image. The switch is outside the
  vmap."""
  def branch(name):
    over_images = jax.vmap(_on_image_and_boxes(name), in_axes=(0, 0, 0, None, 0))
    # Keys are split inside the branch: most operations need none, and then nothing is split.
    return lambda images, boxes: over_images(images, boxes, jnp.roll(images, 1, axis=0), strength,
                                             jax.random.split(key, images.shape[0]))

  changed = lax.switch(o, [branch(name) for name in ops], images, boxes)
  applied = lambda new, old: jnp.where(y.astype(bool).reshape(-1, *(1,) * (old.ndim - 1)), new, old)
  return jax.tree.map(applied, changed, (images, boxes))


def _on_image_and_boxes(name):
  """(image, boxes or None, partner, strength, key) -> (image, boxes or None), for the operation
  `name`."""
  on_image = _on_image(name)

  def apply(image, boxes, partner, strength, key):
    if boxes is not None:
      value = magnitude(name, strength.astype(wide_type(boxes.dtype)))
      boxes = boxes_lib.move(name, boxes, value, key, *image.shape[:2])
    return on_image(image, partner, strength, key), boxes
  return apply


def _on_image(name):
  """(image, partner, strength, key) -> image, for the operation `name`."""
  def apply(image, partner, strength, key):
    pair = (partner,) if OPS[name].pairs else ()
    return OPS[name].fn(image, magnitude(name, strength.astype(wide_type(image.dtype))), key, *pair)
  return apply


def _check_images(images, ops):
  unknown = [name for name in ops if name not in OPS]
  if unknown or not ops:
    what = f'unknown operations {", ".join(map(repr, unknown))}' if unknown else 'ops is empty'
    raise ValueError(f'{what}; known are {", ".join(OPS)}')
  return check(images)


def _check_boxes(boxes, images):
  if boxes.ndim != 3 or boxes.shape[::2] != (images.shape[0],
                                             4) or not jnp.issubdtype(boxes.dtype, jnp.floating):
    raise ValueError(
        f'boxes must be float [{images.shape[0]}, N, 4], got {boxes.dtype} {boxes.shape}')


def _check_shapes(**wanted):
  for name, (array, shape) in wanted.items():
    if array.shape != tuple(shape):
      raise ValueError(f'{name} must have shape {tuple(shape)}, got {array.shape}')
