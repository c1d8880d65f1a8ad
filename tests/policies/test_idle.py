"""Candidates that do nothing on one channel are no candidates of a search there."""

import jax
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.augment.apply import apply_policy
from daas_jax.augment.ops import OPS
from daas_jax.errors import BadInput
from daas_jax.methods import registry as methods
from daas_jax.policies import candidates, idle, registry

LINE = "Color does nothing on images of 1 channel: left out of the policy's candidates"


def _leave_out(config, channels):
  return idle.leave_out(config, registry.spaces()[methods.of(config).policy], channels)


def test_the_table_says_what_does_nothing_on_one_channel():
  images = np.random.default_rng(0).uniform(size=(2, 24, 24, 1)).astype(np.float32)
  names = tuple(OPS)
  run = jax.jit(lambda o, strength: apply_policy(images, o, np.ones(1), strength, jax.random.key(0), ops=names))
  still = {name for i, name in enumerate(names)
           if all(np.array_equal(run(np.array([i]), np.array([s])), images) for s in (0.1, 0.9))}
  assert still == {'Identity'} | {name for name, row in OPS.items() if row.colour_only}
  assert OPS['Color'].colour_only


@pytest.mark.parametrize('method', methods.methods())
def test_of_every_method(method):
  config = config_lib.search_config(method)
  before = config.to_dict()
  assert _leave_out(config, 3) == (config, '')
  found, line = _leave_out(config, 1)
  assert config.to_dict() == before
  named = registry.spaces()[methods.of(config).policy].candidates(config)
  if named is None:
    assert found is config and line == ''
    return
  key, names = named
  group, leaf = key.split('.')
  kept = tuple(name for name in names if name.partition(':')[0] != 'Color')
  assert line == LINE and found[group][leaf] == kept and len(kept) < len(names)
  changed = found.to_dict()
  changed[group][leaf] = before[group][leaf]
  assert changed == before
  config_lib.check(found, 'search')
  assert _leave_out(found, 1) == (found, '')  # as a resumed run finds it


def test_the_published_candidates_stay_what_they_are():
  assert candidates.parse(candidates.published_names()) == candidates.published()
  found, _ = _leave_out(config_lib.search_config('ddas'), 1)
  assert candidates.parse(found.policy.candidates) == tuple(c for c in candidates.published() if c.op != 'Color')
  assert len(found.policy.candidates) == 48


@pytest.mark.parametrize('method, key, value', [
    ('daas', 'ops', ('Color',)), ('ddas', 'candidates', ('Color:0.5', 'Color:1'))])
def test_nothing_left_is_bad_input(method, key, value):
  config = config_lib.search_config(method)
  config.policy[key] = value
  with pytest.raises(BadInput, match=f"Color does nothing on .* 1 channel, .* 'policy.{key}' names nothing else"):
    _leave_out(config, 1)
