"""The spaces of policies: what a method searches over, and the fields of its `Problem` that are about them."""

import functools

import jax.numpy as jnp

from daas_jax.augment import inputs
from daas_jax.augment import apply
from daas_jax.methods import build
from daas_jax.policies import categorical, outcomes, relaxed, total, transformations


def policy_space(config):
  """The space of policies of a search config, of the module that its method uses; None where none is searched."""
  room, kind = config.policy, build.METHODS[config.method].policy
  return SPACES[kind](room) if kind != 'given' else None


SPACES = {
    'categorical': lambda room: categorical.Space(tuple(room.ops), room.K, room.levels, room.share),
    'total': lambda room: total.Space(total.parse(room.candidates) or total.published(), room.K),
    'relaxed': lambda room: relaxed.Space(tuple(room.ops), room.K, room.L, room.selection_temperature,
                                          room.bernoulli_temperature),
    'transformations': lambda room: transformations.Space(tuple(room.ops), room.K),
}
"""{kind of policies: config.policy -> their space}."""


def fields(config, data, policy=None):
  """The fields of a `Problem` that are about policies, as a dict.

  Args:
    config: a search config.
    data: a `daas_jax.data.sources.Dataset`, of which mean and std are used.
    policy: of a method that searches none, (augment, whether crop and flip come before it).
  """
  space = policy_space(config)
  return _FIELDS[build.METHODS[config.method].policy](config, data, space) if space else _given(config, data, *policy)


def _train_input(config, data, space):
  return inputs.make_input(config, data, lambda images, policy, key: apply.apply_policy(
      images, policy.o, policy.y, categorical.strength(policy.m, space), key, ops=space.ops, per='batch'))


def _categorical(config, data, space):
  """The fields of a `Problem` that are about policies, for DAAS."""
  scored = {'event': categorical, 'outcome': outcomes}[config.search.score]
  return dict(
      init_gamma=functools.partial(categorical.init, space=space, p0=config.policy.p0),
      sample_policy=functools.partial(categorical.sample, space=space),
      log_prob=functools.partial(scored.log_prob, space=space),
      train_input=_train_input(config, data, space),
      n_features=outcomes.size(space),
      features=functools.partial(outcomes.features, space=space),
      expected_features=functools.partial(outcomes.expected, space=space))


def _total(config, data, space):
  """The same for DDAS."""
  return total.fields(space, config.policy.p_tp) | dict(
      train_input=inputs.make_input(config, data, functools.partial(total.augment, space=space)))


def _relaxed(config, data, space):
  """The same for the joint DARTS and Faster AutoAugment search, whose policy is gamma itself."""
  train_input = inputs.make_input(config, data, lambda images, gamma, key: relaxed.apply(gamma, space, images, key))
  return dict(
      init_gamma=functools.partial(relaxed.init, space=space),
      sample_policy=None,
      log_prob=None,
      train_input=train_input,
      project=relaxed.project,
      augmented_val_input=lambda images, gamma, key: train_input(inputs.turned(images, config), gamma, key))


def _given(config, data, augment, standard):
  """The fields of a `Problem` that are about policies, where none is searched."""
  return dict(init_gamma=lambda key: {}, sample_policy=None, log_prob=None,
              train_input=inputs.given_input(config, data, augment, standard))


def _transformations(config, data, space):
  """The same for DiffAutoML, whose policies are drawn for every image of a batch."""
  return dict(
      init_gamma=functools.partial(transformations.init, space=space),
      sample_policy=lambda key, tau: transformations.sample(key, tau, config.search.batch, space),
      log_prob=lambda tau, drawn: jnp.log(transformations.probability(tau, drawn)),
      train_input=inputs.make_input(config, data,
                             lambda images, drawn, key: transformations.augment(images, drawn, key, space)))


_FIELDS = {'categorical': _categorical, 'total': _total, 'relaxed': _relaxed, 'transformations': _transformations}
