"""Faster AutoAugment's relaxed policies: differentiable in the images and in every parameter
(Kashima et al., Eq. 1-3).

Kashima, Yamada and Saito, Joint Search of Data Augmentation Policies and Network Architectures,
which takes the policy from Hataya et al., Faster AutoAugment (ECCV 2020). A policy is L
sub-policies of K operations in sequence, and gamma holds for sub-policy l, slot k and operation n a
selection logit z, an application probability p and a magnitude mu:

  X' = sum_n softmax(z_k / eta)_n [b_n O_n(X; mu_n) + (1 - b_n) X],   b_n ~ relaxed Bernoulli(p_n).

Magnitudes are strengths, as everywhere here (`daas_jax.augment.ops.magnitude`): mu runs from 0 to 1
through the range of the operation, which begins with the identity for the five that have a random
sign, as in the public code.

Derivatives with respect to mu: the chain rule for ShearX, ShearY, TranslateX, TranslateY, Rotate,
Contrast, Color, Brightness, Sharpness and SamplePairing. AutoContrast, HorizontalFlip, Invert,
Equalize (no magnitude), Solarize and Posterize (piecewise constant) are straight-through,
`straight_through` names them: their true derivative is zero, and dO(X; mu) / dmu is set to 1 for
every value of the image, as Hataya et al. do of Solarize and Posterize. The mu of those without a
magnitude thus moves, and changes nothing. Derivatives with respect to z and p are exact for the
noise that was drawn.
Derivatives with respect to the image, through which the parameters of an earlier slot learn, are
those of `daas_jax.augment.ops`: estimates for Posterize, Equalize and AutoContrast, the chain rule
elsewhere.
"""

from collections.abc import Callable
import functools
import itertools
from typing import Any, NamedTuple

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

from daas_jax.arrays import wide_type
from daas_jax.augment import inputs
from daas_jax.augment.ops import magnitude, OPS
from daas_jax.augment.preprocess import check as check_images
from daas_jax.config.key import above, all_of, between, Key
from daas_jax.errors import BadInput
from daas_jax.estimators import gumbel
from daas_jax.policies import choices, contract, registry, table as policy_table

OPERATIONS = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'AutoContrast',
              'HorizontalFlip', 'Invert', 'Equalize', 'Solarize', 'Posterize', 'Contrast', 'Color',
              'Brightness', 'Sharpness', 'SamplePairing')
"""The paper's 16, in its order; without Cutout. (The public list has TranslateY twice and
TranslateX never.)"""

_PIECEWISE_CONSTANT = ('Solarize', 'Posterize', 'Cutout')  # in the magnitude
_LEVELS = 1001  # of a table: magnitudes in thousandths
_LEAST = 1e-6  # probability of a table's row
_PER = 'chunk:8'
"""What shares a sub-policy in a training: 16 chunks of a batch of 128 (public code)."""
_P_MARGIN = 1e-3  # see `project`


class Space(NamedTuple):
  """A space of relaxed policies.

  Attributes:
    ops: names of the N operations.
    K: operations in sequence, 2 in the paper.
    L: sub-policies, 10 in the paper.
    selection_temperature: eta > 0 of the softmax over operations (public code).
    bernoulli_temperature: > 0, of the relaxed Bernoulli variables (public code).
  """
  ops: tuple = OPERATIONS
  K: int = 2
  L: int = 10
  selection_temperature: float = 0.05
  bernoulli_temperature: float = 0.1


def straight_through(name: str) -> bool:
  """Whether the derivative of operation `name` with respect to its magnitude is
  straight-through."""
  return not OPS[name].graded or name in _PIECEWISE_CONSTANT


def check(space: Space) -> None:
  """Refuses a space that is none.

  Raises:
    BadInput: an unknown operation, none, one twice, K or L below 1, a temperature that is not above
      0.
  """
  unknown = [name for name in space.ops if name not in OPS]
  if unknown:
    raise BadInput(
        f'unknown operations {", ".join(map(repr, unknown))}; known are {", ".join(OPS)}')
  if not space.ops or len(set(space.ops)) < len(space.ops):
    raise BadInput('the operations of a relaxed policy must be at least one, and each named once')
  if space.K < 1 or space.L < 1:
    raise BadInput(f'a relaxed policy needs K and L from 1 on, not K = {space.K} and L = {space.L}')
  for name in ('selection_temperature', 'bernoulli_temperature'):
    if not getattr(space, name) > 0:
      raise BadInput(f'the {name} of a relaxed policy must be above 0, not {getattr(space, name)}')


def init(key: jax.Array, space: Space) -> dict[str, jax.Array]:
  """The parameters at the start: {'z', 'p', 'mu'}, each [L, K, N] and uniform in [0, 1) (public
  code).

  Raises:
    BadInput: see `check`.
  """
  check(space)
  shape = (space.L, space.K, len(space.ops))
  return {
      name: jax.random.uniform(k, shape)
      for name, k in zip(('z', 'p', 'mu'), jax.random.split(key, 3))
  }


def project(gamma: Any) -> Any:
  """gamma with mu clipped to [0, 1] and p to [0.001, 0.999]: call it after every optimizer step.

  The public code has no such step: it clamps p in the forward pass, where one that has left has no
  gradient and never comes back, and lets mu go anywhere. The margin of p is for the same reason: at
  p = 0 and p = 1 the derivative of a relaxed Bernoulli variable is zero for temperatures below 1.
  """
  return gamma | {
      'p': jnp.clip(gamma['p'], _P_MARGIN, 1 - _P_MARGIN),
      'mu': jnp.clip(gamma['mu'], 0, 1)
  }


# --- application ----------------------------------------------------------------------------------


def selection(gamma: Any, space: Space) -> jax.Array:
  """softmax(z / eta), [L, K, N] (Eq. 2-3)."""
  return jax.nn.softmax(gamma['z'] / space.selection_temperature)


def relaxed_bernoulli(key: jax.Array, p: jax.Array, temperature: Any) -> jax.Array:
  """sigmoid((logit p + g) / temperature), g ~ Logistic(0, 1): in [0, 1], differentiable in p
  (Maddison et al. 2017).

  Args:
    key: PRNG key.
    p: any shape, in [0, 1]. 0 gives 0 and 1 gives 1, exactly, with derivative 0 (the limit for
      temperatures < 1).
    temperature: > 0.
  """
  inside = (p > 0) & (p < 1)
  safe = jnp.where(inside, p, 0.5)
  noisy = jnp.log(safe) - jnp.log1p(-safe) + jax.random.logistic(key, p.shape, p.dtype)
  return jnp.where(inside, jax.nn.sigmoid(noisy / temperature), (p >= 1).astype(p.dtype))


def apply(gamma: Any, space: Space, images: jax.Array, key: jax.Array) -> jax.Array:
  """A relaxed policy on a batch; differentiable in gamma and images (see the top of this file).

  Every image draws a sub-policy of its own, with its signs and its relaxed Bernoulli variables.
  (The public code draws one for each of 8 chunks of a batch. Every operation is computed on every
  image either way, so that one for an image costs no more, and it brings in more of gamma.)

  Args:
    gamma: as `init` returns.
    space: `Space`.
    images: [B, H, W, C], float in [0, 1], C = 1 or 3. SamplePairing blends with this batch rolled
      by one.
    key: PRNG key.

  Returns:
    [B, H, W, C], float in [0, 1], of the dtype of `images`.

  Raises:
    TypeError, ValueError: images that are others (`preprocess.check`).
  """
  images = check_images(images)
  key_l, key_b, key_apply = jax.random.split(key, 3)
  l = jax.random.randint(key_l, images.shape[:1], 0, space.L)
  b = relaxed_bernoulli(key_b, gamma['p'][l], space.bernoulli_temperature)
  weight = (selection(gamma, space)[l] * b).astype(images.dtype)
  mu = gamma['mu'][l].astype(wide_type(images.dtype))
  for k in range(space.K):
    images = _slot(images, weight[:, k], mu[:, k], jax.random.fold_in(key_apply, k), space.ops)
  return images


def _slot(images, weight, mu, key, ops):
  """sum_n weight_n O_n(X; mu_n) + (1 - sum_n weight_n) X; weight and mu [B, N]. Keys as in
  `apply_policy`."""
  keys, partner = jax.random.split(key, images.shape[0]), jnp.roll(images, 1, axis=0)
  scale = lambda w, x: w[:, None, None, None] * x
  mixed = scale(1 - jnp.sum(weight, -1), images)
  for n, name in enumerate(ops):
    mixed += scale(weight[:, n], jax.vmap(_on_image(name))(images, partner, mu[:, n], keys))
  # By rounding alone is a mean of values in [0, 1] outside of it: the clipping must not stop a
  # gradient.
  return gumbel.straight_through(lax.stop_gradient(jnp.clip(mixed, 0, 1)), mixed)


def _on_image(name):
  """(image [H, W, C], partner, mu [], key) -> image, with the derivative in mu of the top of this
  file."""
  def changed(image, partner, mu, key):
    pair = (partner,) if OPS[name].pairs else ()
    if not straight_through(name):
      return OPS[name].fn(image, magnitude(name, mu), key, *pair)
    out = OPS[name].fn(image, magnitude(name, lax.stop_gradient(mu)), key, *pair)
    return out + (mu - lax.stop_gradient(mu)).astype(out.dtype)  # 0, with derivative 1
  return changed


# --- what is left of it ---------------------------------------------------------------------------


def table_space(space: Space) -> policy_table.Header:
  """The `Header` of `table`, for `policy_table.save`: magnitudes in 1001 levels, level = round(1000
  mu)."""
  return policy_table.Header(tuple(space.ops), space.K, _LEVELS)


def _numpy(gamma, space):
  """gamma as float64 numpy, and softmax(z / eta) of it: [L, K, N]."""
  gamma = {name: np.asarray(x, np.float64) for name, x in jax.device_get(gamma).items()}
  z = gamma['z'] / space.selection_temperature
  e = np.exp(z - z.max(-1, keepdims=True))
  return gamma, e / e.sum(-1, keepdims=True)


def table(gamma: Any, space: Space) -> dict[str, np.ndarray]:
  """The policies that training uses (Kashima et al., after Eq. 3), likeliest first, as
  `categorical.table` has them.

  A row is one sub-policy with one operation in each slot. Rows with a probability below 1e-6 are
  left out and the rest divided by their sum.

  Args:
    gamma: as `init` returns.
    space: `Space`.

  Returns:
    {'o': int [n, K], 'probability': [n], 'p': [n, K], 'm': int [n, K]} as numpy arrays, n <= L N^K:
      probability
    prod_k softmax(z_k / eta)[o_k] / L, application probabilities p, levels round(1000 mu); see
    `table_space`.
  """
  gamma, q = _numpy(gamma, space)
  o = np.array(list(itertools.product(range(len(space.ops)), repeat=space.K)), np.int32)
  # [L N^K, K]
  of_slots = lambda x: np.concatenate([x[l][np.arange(space.K), o] for l in range(space.L)])
  probability = np.prod(of_slots(q), -1) / space.L
  kept = np.argsort(-probability, kind='stable')
  kept = kept[probability[kept] >= _LEAST]
  return {
      'o': np.tile(o, (space.L, 1))[kept],
      'probability': probability[kept] / probability[kept].sum(),
      'p': np.clip(of_slots(gamma['p']), 0, 1)[kept],
      'm': np.rint(np.clip(of_slots(gamma['mu']), 0, 1) * (_LEVELS - 1)).astype(np.int32)[kept],
  }


def marginals(gamma: Any, space: Space) -> dict[str, np.ndarray]:
  """What is likely in each slot, as `categorical.marginals`: what a figure of gamma over time
  shows.

  Returns:
    {'probability', 'applied', 'strength'}: numpy [K, N] each, the means over sub-policies of
    softmax(z / eta), p, mu.
  """
  gamma, q = _numpy(gamma, space)
  return {'probability': q.mean(0), 'applied': gamma['p'].mean(0), 'strength': gamma['mu'].mean(0)}


def measures(gamma: Any, space: Space) -> dict[str, float]:
  """{'entropy_z': nats, at most log N, 'p', 'mu'}: floats, means over sub-policies, slots and
  operations."""
  gamma, q = _numpy(gamma, space)
  entropy = -np.sum(q * np.log(np.where(q > 0, q, 1)), -1)
  return {
      'entropy_z': float(entropy.mean()),
      'p': float(gamma['p'].mean()),
      'mu': float(gamma['mu'].mean())
  }


# --- as a space of a search -----------------------------------------------------------------------


class Policies(NamedTuple):
  """The distribution in a `daas_jax.types.Problem`: a policy is gamma itself.

  Attributes:
    init: key -> gamma.
    sample: (key, gamma) -> gamma.
    project: gamma -> the nearest one inside its bounds.
  """
  init: Callable
  sample: Callable
  project: Callable


def _write(path, gamma, space, records):
  del records
  found, header = table(gamma, space), table_space(space)
  policy_table.save(path, found | {'per': _PER}, header)
  return policy_table.describe(found, header)


def _space(config):
  group = config.policy
  return Space(tuple(group.ops), group.K, group.L, group.selection_temperature,
               group.bernoulli_temperature)


registry.register('relaxed', registry.PolicySpace(
    'L sub-policies, relaxed',
    keys={
        'policy.K': Key(2, between(1, 3), 'operations in sequence'),
        'policy.ops': Key(OPERATIONS, all_of(OPS), 'candidate image operations, 16 without Cutout'),
        'policy.L': Key(10, between(1, 100), 'sub-policies'),
        'policy.selection_temperature': Key(0.05, above(0),
                                            'eta of the softmax over operations (code)'),
        'policy.bernoulli_temperature': Key(0.1, above(0),
                                            'of the relaxed Bernoulli variables (code)'),
    },
    space=_space,
    candidates=registry.ops_of,
    distribution=lambda config, space: Policies(
        functools.partial(init, space=space), lambda key, gamma: gamma, project),
    train_input=lambda config, data, space, given: inputs.make_input(
        config, data, lambda images, gamma, key: apply(gamma, space, images, key)),
    measures=measures,
    record=lambda gamma, space: contract.record(marginals(gamma, space), space.ops),
    write=_write, evidence=choices.of_sub_policies, choices=choices.sub_policies,
    effective=choices.effective_sub_policies))
