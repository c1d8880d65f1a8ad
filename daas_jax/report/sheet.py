"""A sheet of real images under the likeliest policies."""

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.augment.apply import apply_policy
from daas_jax.augment.ops import magnitude
from daas_jax.augment.preprocess import to_float
from daas_jax.policies import contract
from daas_jax.report import figures

IMAGES, POLICIES = 8, 10
_TEXT = 1.8  # inches for the words beside the images


def likeliest(table, top=POLICIES):
  """Positions of the likeliest policies of a `policy_table.PolicyTable`, likeliest first."""
  return np.argsort(-table.probability, kind='stable')[:top]


def pick(images, labels, n=IMAGES):
  """n images [n, H, W, C], of as many classes as there are: the first of each class, then the
  second, ..."""
  rank = np.zeros(len(labels), np.int64)
  for label in np.unique(labels):
    own = np.flatnonzero(labels == label)
    rank[own] = np.arange(len(own))
  return images[np.lexsort((labels, rank))[:n]]


def augmented(table, images):
  """The images under each of the likeliest policies, every operation applied.

  Args:
    table: `policy_table.PolicyTable`.
    images: uint8 [n, H, W, C].

  Returns:
    float [policies, n, H, W, C] in [0, 1]; signs and places are drawn for every image, always the
    same.
  """
  rows = likeliest(table)
  used, o = np.unique(table.o[rows], return_inverse=True)  # a switch compiles all its branches
  o, ops = o.reshape(len(rows), table.K), tuple(table.ops[i] for i in used)
  images = to_float(jnp.asarray(images))
  applied = jnp.ones((len(images), table.K), jnp.int32)

  def one(row):
    o, strength, key = row
    return apply_policy(images, o, applied, strength, key, ops=ops, per='image')

  keys = jax.random.split(jax.random.key(0), len(rows))
  # One program for all: a scan, because vmap would compute every operation for every policy.
  return np.asarray(jax.jit(lambda rows: jax.lax.map(one, rows))(
      (jnp.asarray(o), jnp.asarray(table.strength[rows], jnp.float32), keys)))


def lines(table, i):
  """[(operation, application probability, magnitude)] of policy i, as text."""
  names = [table.ops[o] for o in table.o[i]]
  return [(name, f'{p:.2f}', contract.shown(name, magnitude(name, strength)))
          for name, p, strength in zip(names, table.p[i], table.strength[i])]


def draw(table, images):
  """The PNG: a row of untouched images, then a row a policy, its operations beside it.

  Args:
    table: `policy_table.PolicyTable`.
    images: uint8 [n, H, W, C].
  """
  rows = np.concatenate([np.asarray(to_float(jnp.asarray(images)))[None], augmented(table, images)])
  texts = ['as they are'] + [
      '\n'.join([f'probability {table.probability[i]:.3g}']
                + [f'{name} {value}'.removesuffix(' -') for name, _, value in lines(table, i)])
      for i in likeliest(table)
  ]
  height = max(0.75, 0.19 * (table.K + 1) + 0.1)
  width = height * images.shape[2] / images.shape[1]

  def plot(drawing):
    axes = drawing.subplots(len(rows), 2, width_ratios=(_TEXT, len(images) * width))
    for (left, right), row, text in zip(axes, rows, texts):
      left.set_axis_off()
      left.text(1, 0.5, text, ha='right', va='center', fontsize=9, transform=left.transAxes)
      right.set_axis_off()
      right.imshow(_strip(row), cmap='gray', vmin=0, vmax=1, interpolation='nearest')

  return figures.png((_TEXT + 0.2 + len(images) * width, len(rows) * (height + 0.06)), plot)


def _strip(images):
  """[n, H, W, C] side by side with white gaps: [H, ..., C], or [H, ...] for one channel."""
  gap = max(1, images.shape[2] // 14)
  padded = np.pad(images, ((0, 0), (0, 0), (0, gap), (0, 0)), constant_values=1)
  strip = np.concatenate(list(padded), axis=1)[:, :-gap]
  return np.clip(strip[..., 0] if strip.shape[-1] == 1 else strip, 0, 1)
