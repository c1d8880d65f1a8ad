"""How much two boxes overlap. Boxes are rows (y0, x0, y1, x1), edges in pixels
(`daas_jax.augment.boxes`)."""

import jax.numpy as jnp


def _areas(a, b, xp):
  """(intersection, union) in square pixels of boxes [..., 4] that broadcast: two arrays [...]."""
  both = _area(xp.maximum(a[..., :2], b[..., :2]), xp.minimum(a[..., 2:], b[..., 2:]), xp)
  return both, _area(a[..., :2], a[..., 2:], xp) + _area(b[..., :2], b[..., 2:], xp) - both


def _area(first, last, xp):
  """Area between the corners first and last [..., 2], 0 where a side is not positive: [...]."""
  sides = xp.maximum(last - first, 0)
  return sides[..., 0] * sides[..., 1]


def iou(a, b, xp=jnp):
  """Intersection over union: [...] in [0, 1], 0 where both boxes are empty.

  Args:
    a, b: [..., 4], of one rank, which broadcast.
    xp: jax's numpy, or numpy itself.
  """
  both, union = _areas(a, b, xp)
  return both / xp.where(union > 0, union, 1)


def giou(a, b):
  """IoU less the share of the smallest box around both that neither covers (Rezatofighi et al.
  2019, Alg. 1).

  Args:
    a, b: [..., 4], of one rank, which broadcast; at least one of the two has positive sides.

  Returns:
    [...] in (-1, 1]: 1 for equal boxes, negative for distant ones, with a slope where the IoU is 0.
  """
  both, union = _areas(a, b, jnp)
  around = _area(jnp.minimum(a[..., :2], b[..., :2]), jnp.maximum(a[..., 2:], b[..., 2:]), jnp)
  return both / union - (around - union) / around
