"""The gradient of a policy's parameters from alignments (DAAS Eq. 13), with baseline and control
variate; and alignments of images that each have a policy of their own.

With a policy a batch, s_ij = <g_val, grad L_train(theta, z_i, Gamma_ij(D))>. With a policy an image
the training loss is the mean over images of theirs, and by linearity so is the inner gradient:
image b's part of it is s_b = <g_val, grad l_b>, the derivative of its loss along g_val. ONE
forward-mode pass gives that for all images of a batch, so that one batch tries as many policies as
it has images. What an image aligns with anyway is no policy's doing: the same of the image without
policy is subtracted, in the same pass.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from daas_jax import trees
from daas_jax.config.key import above, at_least, Key, one_of
from daas_jax.errors import BadInput
from daas_jax.estimators import control, score, unrolled
from daas_jax.methods import arch_gradients
from daas_jax.nets import registry as nets
from daas_jax.types import Batch, Problem, SearchState

KEYS = {
    'search.policy_per': Key('batch', one_of('batch', 'image'),
                             'what a policy is drawn for: a batch (DAAS, DDAS), or each image'),
    'search.val_moments': Key(
        'own', one_of('own', 'train'), 'what D_val is normalised by, with a policy an image: the '
        'moments of its own batch, or those of the training batch, as a network in use does'),
    'search.objective': Key(
        'step', one_of('step', 'direction'), "L_val after a step of the inner gradient's length "
        '(the papers), or, with a policy an image, after one in its direction of fixed length'),
}
"""Of methods that can draw a policy for each image."""
SCORE_KEYS = {
    'search.baseline': Key(
        'leave_one_out', one_of('none', 'leave_one_out', 'step_mean', 'moving_average'),
        'baseline of the score function; leave_one_out is unbiased for n_arch >= 2 (choice)'),
    'search.control': Key(
        'none', one_of('none', 'additive', 'regression'), 'control variate: none (the paper), or '
        'additive, a linear model of past alignments; regression is the gradient of that model '
        'alone (less noise)'),
    'search.ridge': Key(
        1.0, above(0), 'of that model, in observations: one seen that often has half its weight'),
    'search.kl': Key(
        0.0, at_least(0), 'price of a nat that policies are away from uniform ones, in standard '
        "deviations of regression's model over these; what is best takes all at 0"),
}
"""Of the score function."""


def check_each(flat: Mapping[str, Any]) -> None:
  """Refuses what only images with policies of their own have, and what these cannot be had with."""
  if flat['search.policy_per'] == 'batch':
    for key, word in (('search.val_moments', 'train'), ('search.objective', 'direction')):
      if flat[key] == word:
        raise BadInput(f"config key {key!r} = {word!r} needs search.policy_per = 'image'")
  for key, word, instead in (('search.val_moments', 'train', 'own'),
                             ('search.objective', 'moments', 'step or direction')):
    # Batch normalisation of a user's takes the moments of all rows that it is given.
    if flat[key] == word and nets.networks()[flat['network.name']].own:
      raise BadInput(f"config key {key!r} = {word!r} needs a network of the package, which "
                     f"{flat['network.name']!r} is not: set it to {instead}")
  for key, word in (('search.policy_per', 'image'), ('search.objective', 'moments')):
    if (flat[key], flat['parallel.over']) == (word, 'data') and flat['parallel.devices'] != 1:
      raise BadInput(f"config key {key!r} = {word!r} cannot be had with parallel.over = 'data': "
                     "set parallel.over to 'samples', or parallel.devices to 1")


def check(flat: Mapping[str, Any]) -> None:
  """Refuses settings of Eq. 13 that would leave nothing of it, or learn nothing."""
  check_each(flat)
  n_aug = flat['search.n_aug']
  if flat['search.policy_per'] == 'image' and flat['search.objective'] != 'moments':
    n_aug *= flat['search.batch']
  if flat['search.kl'] and flat['search.control'] != 'regression':
    raise BadInput(f"config key 'search.kl' = {flat['search.kl']} needs search.control = "
                   "'regression', in whose units it is")
  if flat['search.control'] != 'none' and n_aug < 2:
    raise BadInput(
        f"config key 'search.control' = {flat['search.control']!r} learns from differences between "
        "policies: it needs search.n_aug of at least 2")
  if flat['search.baseline'] == 'step_mean' and flat['search.n_arch'] * n_aug < 2:
    raise BadInput(
        "config key 'search.baseline' = 'step_mean' leaves nothing of a single policy: it needs "
        "search.n_arch * search.n_aug of at least 2")


def paired(problem: Problem, theta: Any, z: Any, v: Any, images: jax.Array, clean: jax.Array,
           labels: jax.Array, key: jax.Array, first: bool) -> jax.Array:
  """s_b = <v, grad l_b> of every image, minus that of the image without policy: [B].

  Args:
    problem: whose `image_losses` is used.
    theta, v: pytrees of one structure.
    z: architecture.
    images, clean: [B, H, W, C], the network's input with and without policies.
    labels: [B].
    key: of the noise in the network, the same for both.
    first: whether the clean images are normalised by the moments of the others, rather than by
      their own.
  """
  def along(images, labels):
    def losses(theta):
      return problem.image_losses(theta, z, images, labels, key, first, True)[0]
    return jax.jvp(losses, (theta,), (v,))[1]

  if first:
    s, s_clean = jnp.split(along(*both(images, clean, labels, labels)), 2)
  else:
    s, s_clean = jax.lax.map(lambda x: along(x, labels), jnp.stack([images, clean]))
  return s - s_clean


def both(images: jax.Array, others: jax.Array, labels: jax.Array,
         other_labels: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Two batches as one, the first one first: (images, labels)."""
  return jnp.concatenate([images, others]), jnp.concatenate([labels, other_labels])


def of_images(problem: Problem, val_moments: str, theta: Any, batch: Batch, drawn: Any, v: Any,
              n: int, m: int = 1) -> jax.Array:
  """s of Eq. 13, paired, of m policies of each image for each of the first n architectures: [n,
  m B].

  Args:
    problem: `Problem`.
    val_moments: a word of `KEYS`.
    theta: weights.
    batch: of which the training half is used.
    drawn: z and network_keys of at least n samples; policies (leaves [n m or more, B, ...]) and
      image_keys, m for each of n.
    v: pytree like theta with a leading axis [n]: what the images' gradients are aligned with.
    n: architectures.
    m: policies an image. The first ones made theta'; a forward-mode pass tries B more.
  """
  def one(number):
    pick = lambda tree, i: jax.tree.map(lambda a: a[i], tree)
    i, policies, key = number // m, pick(drawn.policies, number), drawn.image_keys[number]
    images = problem.train_input(batch.train_images, policies, key)
    nothing = problem.policies.identity(pick(policies, 0))  # one for all: one operation a slot
    clean = problem.train_input(batch.train_images, nothing, key)
    return paired(problem, theta, pick(drawn.z, i), pick(v, i), images, clean, batch.train_labels,
                  drawn.network_keys[i], val_moments == 'train')

  return jax.lax.map(one, jnp.arange(n * m)).reshape(n, -1)


def _baseline(settings: Any, state: SearchState, s: jax.Array) -> jax.Array:
  """b_ij of Eq. 13's score function, for this device's s [n_arch / devices, n_aug]."""
  if settings.baseline == 'none':
    return score.no_baseline(s)
  if settings.baseline == 'moving_average':
    return jnp.full_like(s, score.moving_average_value(state.extra['average'],
                                                       state.extra['count']))
  rows, own = arch_gradients.everywhere(s, settings.axis)
  return own({
      'leave_one_out': score.leave_one_out,
      'step_mean': score.step_mean
  }[settings.baseline](rows))


class OfAlignments(NamedTuple):
  """A policy gradient like gamma; the unbiased one, which is what this step says by itself; the
  baseline's and the model's next state."""
  gradient: Any
  evidence: Any
  extra: dict[str, Any]


def of_alignments(problem: Problem, settings: Any, state: SearchState, policies: Any, s: jax.Array,
                  xi: Any) -> OfAlignments:
  """Eq. 13 for this device's policies and s, both [n_arch / devices, n_aug].

  'regression' is the gradient of the linear model of s alone, which is that of the last hundred
  steps: what is decided is told by the unbiased gradient beside it (`arch_gradients`).
  """
  if settings.control == 'none':
    remainder = s
  else:
    phi = jax.vmap(jax.vmap(problem.policies.features))(policies)
    w = control.coefficients(state.extra['past'], settings.ridge)
    remainder = s - phi @ w
  gradient = unrolled.policy_gradient(problem.policies.log_prob, state.gamma, policies, remainder,
                                      _baseline(settings, state, remainder), xi)
  average, count = score.update_moving_average(
      state.extra['average'], state.extra['count'], trees.pmean(jnp.mean(remainder), settings.axis))
  baseline = {'average': average, 'count': count}
  if settings.control == 'none':
    return OfAlignments(gradient, gradient, baseline)
  rows = [arch_gradients.everywhere(x, settings.axis)[0] for x in (phi, s)]
  baseline['past'] = control.update(state.extra['past'], *rows)
  expected = lambda rest, w: control.add_expectation(
      rest, lambda gamma: problem.policies.expected_features(gamma, w), state.gamma, xi)
  unbiased = expected(gradient, w)
  if settings.control == 'regression':
    w = control.coefficients(baseline['past'], settings.ridge)
    price = xi * settings.kl * problem.policies.spread(w)
    gradient = expected(trees.scale(price, jax.grad(problem.policies.divergence)(state.gamma)), w)
  else:
    gradient = unbiased
  return OfAlignments(gradient, unbiased, baseline)
