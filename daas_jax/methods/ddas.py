"""DDAS: search for augmentation policies through the expected training loss over drawn policies
(Alg. 1, Eq. 3-17).

One step of Alg. 1, for a batch D_0 of D_train and one of D_val:

  1. g_0 = grad_theta L_train(theta, D_0), the clean batch; n_policies policies phi_l, drawn
     uniformly, and for each g_l = grad_theta L_train(theta, phi_l(D_0));
  2. theta <- SGD on sum_l w_l g_l + (1 - sum_l w_l) g_0 with w_l = p_tp P(phi_l) / Z, Z = sum_l
    P(phi_l) (Eq. 5-6, 12);
  3. g_val = grad_theta L_val at the new theta, a_l = g_val . (g_0 - g_l)
     (Eq. 9); alpha_o, alpha_tp <- Adam on eta / (Z Z_g) sum_l a_l grad (p_tp P(phi_l)), Z_g = sum_l
     |a_l|       (Eq. 15-17).

eta is theta's learning rate, and so falls with it (the paper; its code leaves eta out of gamma's
gradient, which Adam hardly sees). Where the gradient of theta is clipped, eta is multiplied by the
factor of the clipping; the derivative of that factor is left out, and autodiff's gradient is met
without clipping alone.

With a policy an image (`policy_gradients`) the drawn policies are those of the batch's images, each
held against its own image without policy.

That is n_policies + 2 gradient passes (one more for each further `batch` images of a larger
validation batch). On a supernet every step draws one architecture, uniformly, for all its passes:
the policy alone is searched.
"""

from collections.abc import Callable
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from daas_jax import trees
from daas_jax.config.key import anything, at_least, between, Key, MOST
from daas_jax.errors import BadInput
from daas_jax.estimators import ddas, passes, unrolled
from daas_jax.estimators.unrolled import update
from daas_jax.methods import optimizers as optimizers_lib, policy_gradients, registry
from daas_jax.nets import registry as nets
from daas_jax.types import Method, Problem, SearchState


class Settings(NamedTuple):
  """What DDAS needs besides its problem.

  Attributes:
    n_policies: L^, policies a step, >= 1.
    val_batches: validation batches a step, >= 1, each of as many images as the training batch:
      g_val is their mean.
    lr: step -> learning rate of theta, eta of Eq. 6.
    optimizers: {'theta', 'gamma'}: optax transformations; None: `optimizers.defaults` at `lr`.
    clip: the largest norm of theta's gradient in `optimizers`, 0 where it is not clipped.
    normalise: whether Eq. 15's Z_g divides the gradient.
    unroll: see `passes.run`.
    devices, axis: number of devices that share the policies (a divisor of n_policies), and the name
      of pmap's axis over them (None for one).
    policy_per, val_moments, objective: words of `policy_gradients.KEYS`; with a policy an image
      n_policies and unroll are not used, and there is one device.
  """
  n_policies: int = 3
  val_batches: int = 1
  lr: Callable = lambda step: 0.025
  optimizers: dict | None = None
  normalise: bool = True
  unroll: bool = False
  devices: int = 1
  axis: Any = None
  policy_per: str = 'batch'
  val_moments: str = 'own'
  objective: str = 'step'
  clip: float = 0.0


class Row(NamedTuple):
  """What one gradient pass needs to know: its policy, and its validation batch or -1."""
  policy: jax.Array
  val: jax.Array


def schedule(n_policies: int, val_batches: int, weights: jax.Array) -> passes.Passes:
  """The gradient passes of a step on one device, as a table (`daas_jax.estimators.passes`): 1 +
  n_policies + val_batches rows, n_policies being that device's share.

  Row 0 is the clean batch, the next n_policies the augmented ones, whose gradients are kept; the
  validation passes are at the theta that `weights` [1 + n_policies] make of these.
  """
  n_kept = 1 + n_policies
  index = jnp.arange(n_kept + val_batches)
  training = index < n_kept
  return passes.Passes(
      inputs=Row(jnp.where(training, index, 0), jnp.where(training, -1, index - n_kept)),
      point=jnp.where(training[:, None], 0.0, weights),
      store=jnp.where(training, index, n_kept),
      weight=jnp.concatenate([weights, jnp.zeros(val_batches)]))


def _gradient(problem, batch, policies, image_key, z, network_key):
  """(theta, row) -> ((loss, accuracy), gradient of theta), the one gradient program of a step.

  All policies see the same crops and flips, so that g_0 - g_l is the policy's doing alone.
  """
  def training(row):
    policy = jax.tree.map(lambda a: a[row.policy], policies)
    return problem.train_input(batch.train_images, policy, image_key), batch.train_labels

  def validation(row):
    n = len(batch.train_labels)
    images, labels = jax.tree.map(lambda x: jax.lax.dynamic_slice_in_dim(x, row.val * n, n),
                                  (batch.val_images, batch.val_labels))
    return problem.val_input(images), labels

  def gradient(theta, row):
    images, labels = jax.lax.cond(row.val >= 0, validation, training, row)
    return jax.value_and_grad(problem.loss, has_aux=True)(theta, z, images, labels, network_key)

  return gradient


def _sample(problem, n_policies, state, key):
  """(policies [1 + n_policies], the first one clean; z; keys of images and of the network)."""
  key_policy, key_image, key_z, key_network = jax.random.split(key, 4)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(key_policy, jnp.arange(1 + n_policies))
  drawn = jax.vmap(problem.policies.sample, (0, None))(keys, state.gamma)
  clean = problem.policies.identity(drawn)
  policies = jax.tree.map(lambda c, d: jnp.concatenate([c[:1], d[1:]]), clean, drawn)
  return policies, problem.arch.sample(key_z, state.arch, 1.0), key_image, key_network


def _own(settings, rows):
  """This device's rows of an array with a row for every policy."""
  if settings.axis is None:
    return rows
  n = settings.n_policies // settings.devices
  return jax.lax.dynamic_slice_in_dim(rows, trees.device_index(settings.axis) * n, n)


def make(problem: Problem, settings: Settings = Settings()) -> Method:
  """Builds DDAS.

  Args:
    problem: a `daas_jax.types.Problem` whose policies are `daas_jax.policies.total.Policies`, or
      have what these have.
    settings: `Settings`.

  Returns:
    A `daas_jax.types.Method` whose step is one turn of Alg. 1's inner loop; its metrics are
    scalars.
  """
  optimizers, axis = settings.optimizers or optimizers_lib.defaults(settings.lr), settings.axis
  n_policies = settings.n_policies // settings.devices  # of this device

  def init(key):
    key_theta, key_gamma, key_run = jax.random.split(key, 3)
    theta, gamma = problem.init_theta(key_theta), problem.policies.init(key_gamma)
    return trees.strongly_typed(
        SearchState(jnp.int32(0), key_run, theta, {}, gamma, optimizers['theta'].init(theta), {},
                    optimizers['gamma'].init(gamma), {}))

  def step(state, batch):
    policies, z, key_image, key_network = _sample(problem, settings.n_policies, state,
                                                  jax.random.fold_in(state.key, state.step))
    searched = jax.tree.map(lambda a: a[1:], policies)
    run = jax.tree.map(lambda a: jnp.concatenate([a[:1], _own(settings, a[1:])]), policies)
    phi = lambda gamma, policy: jnp.exp(problem.policies.log_prob(gamma, policy))
    p, p_tp = jax.vmap(phi, (None, 0))(state.gamma, searched), problem.policies.total_probability(
        state.gamma)
    drawn, Z = ddas.drawn_weights(p, p_tp)  # Eq. 12
    # The clean pass, which every device runs, counts once.
    weights = jnp.concatenate([(1 - p_tp[None]) / settings.devices, _own(settings, drawn)])

    def theta_prime(theta, weights, kept):  # Eq. 6; rows of no weight are at theta
      def moved():
        expected = trees.psum(ddas.expected_gradient(weights, kept), axis)
        return update(optimizers['theta'], expected, state.opt_theta, theta)[0]

      # all devices have to go the same way
      weigh = trees.psum(jnp.any(weights != 0).astype(jnp.float32), axis)
      return jax.lax.cond(weigh > 0, moved, lambda: theta)

    ran = passes.run(_gradient(problem, batch, run, key_image, z, key_network), state.theta,
                     schedule(n_policies, settings.val_batches, weights), point=theta_prime,
                     unroll=settings.unroll)
    dots = jnp.mean(ran.dots[1 + n_policies :], 0)
    # Eq. 9, of all devices' policies
    a = trees.all_gather(ddas.differences(dots), axis).reshape(-1)
    g_theta, lr = trees.psum(ran.total, axis), settings.lr(state.step)
    probability = lambda gamma, policy: problem.policies.total_probability(gamma) * phi(
        gamma, policy)
    # Eq. 16-17
    g_gamma = ddas.gradient(probability, state.gamma, searched, a, _eta(settings, lr, g_theta), Z,
                            settings.normalise)

    theta, opt_theta = update(optimizers['theta'], g_theta, state.opt_theta, state.theta)
    gamma, opt_gamma = update(optimizers['gamma'], g_gamma, state.opt_gamma, state.gamma)
    loss, accuracy = ran.outputs
    val = slice(1 + n_policies, None)
    # Of the dots every device has that of the clean pass, and one of each of its policies.
    alignment = (dots[0] + settings.devices * jnp.sum(dots[1:])) / (1 + settings.n_policies)
    metrics = trees.pmean(
        {
            'train_loss': loss[0],
            'train_accuracy': accuracy[0],
            'augmented_loss': jnp.mean(loss[1:1 + n_policies]),
            'val_loss': jnp.mean(loss[val]),
            'val_accuracy': jnp.mean(accuracy[val]),
            'alignment': alignment
        }, axis)
    metrics |= {
        'lr': lr,
        'grad_norm_theta': trees.norm(g_theta),
        'grad_norm_gamma': trees.norm(g_gamma)
    }
    return state._replace(step=state.step + 1, theta=theta, gamma=gamma, opt_theta=opt_theta,
                          opt_gamma=opt_gamma), metrics

  if settings.policy_per == 'image':
    step = functools.partial(_image_step, problem, settings, optimizers)
  return Method(init, step)


def _eta(settings, lr, g_theta):
  """The learning rate, times what a clipping leaves of the gradient."""
  if not settings.clip:
    return lr
  return lr * settings.clip / jnp.maximum(trees.norm(g_theta), settings.clip)


def _image_step(problem, settings, optimizers, state, batch):
  """A step in which every image of D_0 draws a policy of its own."""
  B = len(batch.train_labels)
  key = jax.random.fold_in(state.key, state.step)
  key_policy, key_image, key_z, key_network = jax.random.split(key, 4)
  policies = jax.vmap(problem.policies.sample, (0, None))(jax.random.split(key_policy, B),
                                                          state.gamma)
  z = problem.arch.sample(key_z, state.arch, 1.0)
  inputs = [problem.train_input(batch.train_images, phi, key_image)
            for phi in (policies, problem.policies.identity(policies))]
  images, labels = policy_gradients.both(*inputs, batch.train_labels, batch.train_labels)

  probability = lambda gamma, policy: jnp.exp(problem.policies.log_prob(gamma, policy))
  p_tp = problem.policies.total_probability(state.gamma)
  drawn, Z = ddas.drawn_weights(jax.vmap(probability, (None, 0))(state.gamma, policies), p_tp)
  weights = jnp.concatenate([drawn, jnp.full(B, (1 - p_tp) / B)])  # Eq. 12, the clean images' last

  def train_loss(theta):
    losses, hits = problem.image_losses(theta, z, images, labels, key_network, False, False)
    return jnp.vdot(weights, losses), (losses, hits)

  g_theta, (losses, hits) = jax.grad(train_loss, has_aux=True)(state.theta)
  theta, opt_theta = update(optimizers['theta'], g_theta, state.opt_theta, state.theta)

  def val_loss(theta, val):  # Eq. 9's loss, at the new theta
    val_images, val_labels = problem.val_input(val[0]), val[1]
    beside = settings.val_moments == 'train'
    if beside:
      val_images, val_labels = policy_gradients.both(inputs[0], val_images, batch.train_labels,
                                                     val_labels)
    found = problem.image_losses(theta, z, val_images, val_labels, key_network, beside, False)
    loss, accuracy = (jnp.mean(x[-B:]) for x in found)
    return loss, accuracy

  of_batch = lambda x: x.reshape(settings.val_batches, B, *x.shape[1:])
  values, g_val = jax.lax.map(
      lambda val: jax.value_and_grad(val_loss, has_aux=True)(theta, val),
      (of_batch(batch.val_images), of_batch(batch.val_labels)))
  g_val = jax.tree.map(lambda g: jnp.mean(g, 0), g_val)
  v = unrolled.across(g_val, g_theta) if settings.objective == 'direction' else g_val
  # Eq. 9: of the image without policy, less that of the image with one
  a = -policy_gradients.paired(problem, state.theta, z, v, *inputs, batch.train_labels,
                               key_network, settings.val_moments == 'train')
  lr = settings.lr(state.step)
  of_policy = lambda gamma, policy: problem.policies.total_probability(gamma) * probability(
      gamma, policy)
  g_gamma = ddas.gradient(of_policy, state.gamma, policies, a, _eta(settings, lr, g_theta), Z,
                          settings.normalise)
  gamma, opt_gamma = update(optimizers['gamma'], g_gamma, state.opt_gamma, state.gamma)
  metrics = {
      'train_loss': jnp.mean(losses[B:]),
      'train_accuracy': jnp.mean(hits[B:]),
      'augmented_loss': jnp.mean(losses[:B]),
      'val_loss': jnp.mean(values[0]),
      'val_accuracy': jnp.mean(values[1]),
      'alignment': trees.dot(g_val, g_theta),
      'lr': lr,
      'grad_norm_theta': trees.norm(g_theta),
      'grad_norm_gamma': trees.norm(g_gamma)
  }
  return state._replace(step=state.step + 1, theta=theta, gamma=gamma, opt_theta=opt_theta,
                        opt_gamma=opt_gamma), metrics


# --- as a method of the table ---------------------------------------------------------------------

KEYS = {
    **optimizers_lib.THETA_KEYS,
    **optimizers_lib.GAMMA_KEYS,
    'gamma.lr_total': Key(1e-3, at_least(0),
                          'of alpha_tp; 0: p_tp stays as it is (DDAS code; Table 5)'),
    'search.n_policies': Key(3, between(1, MOST), 'policies a step (DDAS 4.2)'),
    'search.val_batches': Key(1, between(1, MOST),
                              'batches of D_val a step, of search.batch images each'),
    'search.normalise': Key(True, anything, "divide by Eq. 15's Z_g"),
    **policy_gradients.KEYS,
}


def _check(flat):
  policy_gradients.check_each(flat)
  if flat['search.policy_per'] == 'image' and flat['parallel.devices'] != 1:
    raise BadInput("config key 'search.policy_per' = 'image' needs parallel.devices = 1 with this "
                   'method: the policies of a batch are those of its images')


def from_config(config: Any, problem: Problem, steps_per_epoch: int, devices: int,
                axis: str | None) -> Method:
  """DDAS as a config says; see `daas_jax.methods.registry.Row`."""
  search, lr = config.search, optimizers_lib.learning_rate(config, steps_per_epoch)
  if search.policy_per == 'batch':
    registry.shared_by(devices, search, 'n_policies')
  rates = {'alpha_o': config.gamma.lr, 'alpha_tp': config.gamma.lr_total}  # one each (public code)
  adams = {name: optimizers_lib.of_group(config, 'gamma', rate) for name, rate in rates.items()}
  optimizers = {'theta': optimizers_lib.of_theta(config, lr),
                'gamma': optimizers_lib.searched(
                    config, 'gamma', optax.partition(adams, {name: name for name in rates}))}
  unroll = nets.of(config).unroll and jax.default_backend() == 'cpu'
  return make(problem, Settings(search.n_policies, search.val_batches, lr, optimizers,
                                search.normalise, unroll, devices, axis, search.policy_per,
                                search.val_moments, search.objective, config.theta.clip))


registry.register('ddas', registry.Row(
    from_config, registry.about(__doc__), KEYS, policy='total', sampling='uniform', check=_check,
    phase=lambda config, epoch: 'policy',
    images=lambda config: (1 + config.search.val_batches) * config.search.batch))
