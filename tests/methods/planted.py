"""Searches with a known answer, on the packaged images: shared by the tests of the planted checks."""

from conftest import ROOT
import jax
import numpy as np

from daas_jax.config import file as config_file
from daas_jax.data import select, sources, streaming
from daas_jax.methods import problem as problem_lib, registry
from daas_jax.policies import idle, registry as policies

def field_config(name='embedded:field', variant='daas'):
  """A policy search of configs/field_small.py; the set may be one without a shift."""
  config = config_file.run(f"{ROOT / 'configs' / 'field_small.py'}:{variant}")
  config.data.name = name
  config.preprocess.padding, config.preprocess.flip = 0, False
  return idle.leave_out(config, policies.spaces()['categorical'], 1)[0]


def field(config, shuffled=False, by=2):
  """Its images at a part of their side, to save time; with labels that mean nothing, by its seed."""
  data = quartered(select.from_config(config, 8), by)
  if not shuffled:
    return data
  return data._replace(train_labels=np.random.default_rng(config.seed).permutation(data.train_labels))


def quartered(data, by=4):
  """The data set with images of a quarter of the side (means of 4 x 4 pixels), to save time; or of another part."""
  def smaller(images):
    n, h, w, c = images.shape
    return np.round(images.reshape(n, h // by, by, w // by, by, c).mean((2, 4))).astype(np.uint8)
  return data._replace(train_images=smaller(data.train_images), test_images=smaller(data.test_images))


def programs(config, data):
  """(compiled init, compiled step, seed -> batches, steps of a whole search) of a config."""
  batches = lambda seed: streaming.search_batches(
      data, seed, config.search.batch, config.data.val_fraction, config.search.get('val_batches', 1),
      turns=config.data.validation_turns)
  sizes = batches(0).steps_per_epoch
  method = registry.build(config, problem_lib.build(config, data), sizes)
  return jax.jit(method.init), jax.jit(method.step, donate_argnums=0), batches, config.search.epochs * sizes


def searches(config, data, seeds, steps=None):
  """The state after all steps, or so many, of searches that differ by their seed alone: one compiled program."""
  init, step, batches_of, total = programs(config, data)
  for seed in seeds:
    batches, state = batches_of(seed), init(jax.random.key(seed))
    for i in range(steps or total):
      state, _ = step(state, batches(i))
    yield state


def four_of_five(verdicts):
  """Whether four of five hold; takes (and so computes) no more of them than it needs to know."""
  seen = []
  for verdict in verdicts:
    seen.append(bool(verdict))
    if seen.count(True) == 4 or seen.count(False) == 2:
      return seen.count(True) == 4
  raise ValueError(f'{len(seen)} verdicts, not 5')


def steps_until(found, config, data, seeds, every=10):
  """For each seed, the steps until found(state), looked at every so often; all steps of the search where never."""
  init, step, batches_of, total = programs(config, data)
  for seed in seeds:
    batches, state = batches_of(seed), init(jax.random.key(seed))
    for i in range(total):
      state, _ = step(state, batches(i))
      if (i + 1) % every == 0 and found(state):
        break
    yield i + 1


def joint_rotate_config():
  """The same check for the joint search, which undoes a turn: configs/joint_faa_rotate90.py."""
  return config_file.run(str(ROOT / 'configs' / 'joint_faa_rotate90.py'))


def embedded():
  return sources.load('embedded')


def ddas_rotate_config():
  """The same check for DDAS: configs/ddas_rotate90.py."""
  return config_file.run(str(ROOT / 'configs' / 'ddas_rotate90.py'))


def ddas_rotate_found(state):
  """(probability of Rotate90, total probability)."""
  return float(jax.nn.softmax(state.gamma['alpha_o'])[-1]), float(jax.nn.sigmoid(state.gamma['alpha_tp']))
