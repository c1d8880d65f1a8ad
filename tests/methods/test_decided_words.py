"""What every method keeps of its gradients, and what it says of them: by hand, without any network."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from daas_jax import config as config_lib
from daas_jax.errors import BadInput
from daas_jax.estimators import evidence, unrolled
from daas_jax.methods import decided, optimizers, problem as problem_lib, registry
from daas_jax.nets import registry as nets
from daas_jax.policies import registry as policies
from daas_jax.types import SearchState


def _gamma(config):
  space = problem_lib.policy_space(config)
  row = policies.spaces()[registry.of(config).policy]
  return row.distribution(config, space).init(jax.random.key(0)) if space else {}


def _kept(optimizer, parameters, towards, updates=64):
  """The state after updates of noise around the gradient that goes down `towards`."""
  def step(opt, key):
    keys = jax.random.split(key, 9)
    g = jax.tree.map(lambda x, i: jax.random.normal(keys[i], x.shape) - x, towards, _numbers(towards))
    return unrolled.update(optimizer, g, opt, parameters)[1], None
  return jax.jit(lambda: jax.lax.scan(step, optimizer.init(parameters),
                                      jax.random.split(jax.random.key(1), updates))[0])()


def _numbers(tree):
  leaves, form = jax.tree.flatten(tree)
  return jax.tree.unflatten(form, list(range(len(leaves))))


def _state(config, gamma, arch, towards_gamma, towards_arch, updates=64):
  """A state with that distribution at the end and that evidence on the way."""
  moved = arch['alpha'] if 'path' in arch else arch
  keep = lambda name, parameters, towards: _kept(
      optimizers.searched(config, name), parameters, towards, updates) if jax.tree.leaves(parameters) else {}
  opt_arch = keep('arch', moved, towards_arch) if arch else {}
  return SearchState(0, None, None, arch, gamma, None, opt_arch, keep('gamma', gamma, towards_gamma), {})


def _zeros(tree):
  return jax.tree.map(jnp.zeros_like, tree)


def _spread(gamma, name, *at):
  """gamma with a logit of 3 at each place, the others 0; and what pushes it there."""
  x = jnp.zeros_like(gamma[name])
  for place in at:
    x = x.at[place].set(3.0)
  return gamma | {name: x}, x


def _alpha(shape, *at):
  alpha = jnp.zeros(shape)
  for place in at:
    alpha = alpha.at[place].set(4.0)
  return alpha


def _daas():
  """Rotate in both slots, Invert in the second; three edges."""
  config = config_lib.search_config('daas')
  config.policy.share, config.policy.ops, config.policy.levels = 'policy', ('Rotate', 'Invert', 'Solarize', 'Color'), 3
  gamma, pi = _spread(_gamma(config), 'pi', (0, 0), (1, 0), (1, 1))
  # applied: in slot 0 with Rotate there, in slot 1 with Rotate or Invert there
  p = jnp.zeros_like(gamma['p']).at[0, :, 0].set(3.0).at[:, :2, 1].set(3.0)
  arch = {'alpha': _alpha((2, 14, 7), (0, 0, 1), (0, 13, 2), (1, 5, 0)), 'beta': jnp.zeros((2, 14))}
  return (config, gamma, arch, _zeros(gamma) | {'pi': pi, 'p': p}, arch,
          'policy: Rotate found in both slots and Invert found in slot 2; '
          'architecture: 3 of 28 edges decided, the rest is chance')


def _one_op(method, name, place, says, arch=None, arch_says=''):
  """A policy whose parameter `name` goes to `place`, where applying helps."""
  config = config_lib.search_config(method)
  gamma, towards = _spread(_gamma(config), name, place)
  rest = {key: jnp.ones_like(x) * (key in ('p', 'alpha_tp')) for key, x in gamma.items() if key != name}
  if 'p' in rest:
    rest['p'] = rest['p'] * (towards > 0)
  return config, gamma, arch or {}, rest | {name: towards}, arch or {}, f'policy: {says}{arch_says}'


def _joint():
  arch = {'alpha': _alpha((2, 14, 8), *((c, e, 1) for c in range(2) for e in range(14)))}
  return _one_op('joint_faa', 'z', (slice(None), 0, 3), 'TranslateY found in slot 1', arch,
                 '; architecture: 28 of 28 edges decided')


def _ddas():
  return _one_op('ddas', 'alpha_o', (3,), 'AutoContrast found')


def _faster():
  return _one_op('faster_aa', 'z', (slice(None), 1, 4), 'Rotate found in slot 2')


def _diffautoml():
  config = config_lib.search_config('diffautoml')
  tau = jnp.zeros((14, 14)).at[:, 2].set(3.0).ravel()
  arch = {'alpha': _alpha((20, 4), (7, 2)), 'path': jnp.zeros(20, jnp.int32)}
  config.arch.freeze_margin = 0.0
  return (config, tau, arch, tau, arch['alpha'],
          'policy: Rotate found in slot 2; architecture: 1 of 20 blocks decided, the rest is chance')


def _amended():
  config = config_lib.search_config('amended_darts')
  arch = {'alpha': _alpha((2, 14, 8), (0, 0, 0), (1, 1, 3))}  # 'none' is never derived: no decision
  return config, {}, arch, {}, arch, 'architecture: 1 of 28 edges decided, the rest is chance'


CASES = {case.__name__: case for case in (_daas, _ddas, _joint, _faster, _diffautoml, _amended)}


@pytest.mark.parametrize('case', CASES)
def test_a_method_says_what_it_has_decided(case):
  config, gamma, arch, towards_gamma, towards_arch, says = CASES[case]()
  found = decided.of(_state(config, gamma, arch, towards_gamma, towards_arch), config)
  assert found['sentence'] == says
  assert decided.lines(json.loads(json.dumps(found, allow_nan=False)))[0] == says


@pytest.mark.parametrize('case', CASES)
def test_noise_and_too_few_updates_decide_nothing(case):
  """Wherever the distribution stands."""
  config, gamma, arch, towards_gamma, towards_arch, _ = CASES[case]()
  noise = _zeros(towards_gamma), _zeros(towards_arch)
  found = decided.of(_state(config, gamma, arch, *noise), config)
  for part in {'policy', 'architecture'} & set(found):
    assert f'{part}: nothing was found' in found['sentence']
    assert all(not c['decided'] for c in found[part]['choices'])
  few = decided.of(_state(config, gamma, arch, towards_gamma, towards_arch, 4), config)['sentence']
  assert few.count('4 updates are too few to tell') == few.count(':')


def test_a_preference_too_small_to_matter_is_said_to_be_one():
  config, gamma, arch, towards_gamma, towards_arch, _ = _ddas()
  gamma = gamma | {'alpha_o': 0.1 * gamma['alpha_o']}
  says = decided.of(_state(config, gamma, arch, towards_gamma, towards_arch), config)['sentence']
  assert says == ('policy: nothing was found (AutoContrast is preferred beyond chance, but its probability is '
                  '0.026 where all alike have 0.019)')


def test_an_operation_that_hurts_less_than_the_others_is_not_found():
  """Its logit rises, and applying anything is worse than nothing."""
  config, gamma, arch, towards_gamma, towards_arch, _ = _ddas()
  towards = towards_gamma | {'alpha_tp': -40 * jnp.ones(())}
  assert decided.of(_state(config, gamma, arch, towards, towards_arch),
                    config)['sentence'] == 'policy: nothing was found'


def test_effective_numbers_are_those_of_the_entropies():
  config, gamma, arch, *_ = _daas()
  found = decided.of(SearchState(0, None, None, arch, gamma, None, None, None, None), config)
  h = [-np.sum(p * np.log(p)) for p in np.asarray(jax.nn.softmax(gamma['pi']), np.float64)]
  assert found['policy']['effective'] == pytest.approx(np.exp(sum(h)), rel=1e-5) and found['policy']['alike'] == 16
  p = np.exp(4) / (np.exp(4) + 6)
  one = np.exp(-p * np.log(p) - (1 - p) * np.log((1 - p) / 6))
  assert found['architecture']['effective'] == pytest.approx((25 * 7 + 3 * one) / 28, rel=1e-5)
  assert 'cannot be told, this method keeps no evidence' in found['sentence'] and found['tests'] == 0
  lines = decided.lines(found)
  assert lines[1] == f"effective number of policies: {np.exp(sum(h)):.2f} (all alike: 16)"
  assert lines[2].startswith('effective number of operations an edge: ')


@pytest.mark.parametrize('method', ['ddas', 'joint_faa', 'diffautoml'])
def test_effective_numbers_of_a_uniform_policy_are_all_policies(method):
  config = config_lib.search_config(method)
  space, row = problem_lib.policy_space(config), policies.spaces()[registry.of(config).policy]
  effective, alike = row.effective(_zeros(_gamma(config)), space)
  assert effective == pytest.approx(alike, rel=1e-4)


# --- the optimizer that keeps it ------------------------------------------------------------------


def test_the_updates_are_the_optimizers_own_to_the_bit():
  parameters = {'a': jnp.ones(3), 'b': jnp.zeros((2, 2))}
  plain = optimizers.make('adam', 0.1, clip=1.0, weight_decay=0.1)
  keeping = optimizers.keeping(plain, lambda parameters, g: {'g': g['a']})
  states = plain.init(parameters), keeping.init(parameters)
  for i in range(70):
    g = jax.tree.map(lambda x: jax.random.normal(jax.random.key(i), x.shape), parameters)
    (u, first), (v, second) = (o.update(g, s, parameters) for o, s in zip((plain, keeping), states))
    states = first, second
    assert all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(u), jax.tree.leaves(v)))
  assert int(states[1].blocks.updates) == 70
  assert all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(states[0]), jax.tree.leaves(states[1].optimizer)))


def test_evidence_may_be_of_another_gradient_and_nothing_is_kept_of_nothing():
  keeping = optimizers.keeping(optax.sgd(1.0), lambda parameters, g: g)
  state = keeping.init(jnp.zeros(2))
  for _ in range(2):
    updates, state = keeping.update(jnp.ones(2), state, jnp.zeros(2), evidence=jnp.array([2.0, -2.0]))
  assert updates.tolist() == [-1, -1] and evidence.whole(state.blocks)[1].tolist() == pytest.approx([1, -1])
  assert evidence.of_state(keeping.init({})) is None
  assert keeping.update({}, keeping.init({}), {})[0] == {}


@pytest.mark.parametrize('share', ['policy', 'slot', 'op'])
def test_the_evidence_of_each_way_to_share_has_the_form_of_the_slots(share):
  config = config_lib.search_config('daas')
  config.policy.share, config.policy.K, config.policy.ops = share, 3, ('Rotate', 'Invert')
  gamma = _gamma(config)
  found = policies.spaces()['categorical'].evidence(config)(gamma, gamma)
  assert {name: x.shape for name, x in found.items()} == {'gain': (3, 2), 'helps': (3, 2)}


def test_a_frozen_block_is_no_evidence():
  config = config_lib.search_config('diffautoml')
  alpha = jnp.zeros((20, 4)).at[3, 1].set(9.0)
  found = nets.of(config).space.evidence(config)(alpha, jnp.ones((20, 4)))
  assert found[3].tolist() == [0] * 4 and found[4].tolist() == [-1] * 4


@pytest.mark.parametrize('text', ['[1', '[]', '{"sentence": 1}', '{"sentence": "", "tests": 1}'])
def test_a_damaged_file_is_refused_in_one_line(tmp_path, text):
  path = tmp_path / decided.FILE
  path.write_text(text)
  with pytest.raises(BadInput, match='is damaged'):
    decided.load(str(path))
  path.unlink()
  with pytest.raises(BadInput, match='cannot be read'):
    decided.load(str(path))
