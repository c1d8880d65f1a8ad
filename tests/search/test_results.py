"""The numbers and the summary of a search's result, by hand."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import daas_jax
from daas_jax import config as config_lib
from daas_jax.errors import BadInput
from daas_jax.methods import registry
from daas_jax.nets.cells import genotype as genotype_lib, space as cell_space
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.policies import categorical, given
from daas_jax.search import results
from daas_jax.types import SearchState


@pytest.fixture
def config():
  config = config_lib.search_config()
  config.policy.share = 'slot'
  return config


def _state(arch):
  gamma = categorical.init(jax.random.key(0), categorical.Space(share='slot'))
  gamma = gamma | {'pi': jnp.zeros((2, 15)).at[0, 3].set(20.0)}
  return SearchState(0, None, None, arch, gamma, None, None, None, None)


def _arch():
  """skip_connect on every edge of the normal cell, sep_conv_5x5 on every edge of the reduction cell."""
  alpha = np.zeros((2, 14, 7), np.float32)
  alpha[0, :, DAAS_PRIMITIVES.index('skip_connect')] = 30
  alpha[1, :, DAAS_PRIMITIVES.index('sep_conv_5x5')] = 30
  return {'alpha': jnp.asarray(alpha), 'beta': jnp.zeros((2, 14))}


def test_measures(config):
  found = results.measures(_state(_arch()), config)
  assert found['skip_share'] == 0.5
  assert found['entropy_alpha'] == pytest.approx(0, abs=1e-6)
  assert found['entropy_beta'] == pytest.approx(np.mean([np.log(n) for n in (2, 3, 4, 5)]), rel=1e-5)
  assert found['entropy_pi_0'] == pytest.approx(0, abs=1e-5) and found['entropy_pi_1'] == pytest.approx(np.log(15))


def test_write_leaves_files_that_load_and_says_the_same(config, tmp_path):
  summary = results.write(tmp_path, _state(_arch()), config)
  genotype = genotype_lib.load(tmp_path / 'genotype.json', DAAS_PRIMITIVES)
  assert {name for name, _ in genotype.normal} == {'skip_connect'}
  assert {name for name, _ in genotype.reduce} == {'sep_conv_5x5'}
  best = json.loads((tmp_path / 'policy.json').read_text())['policies'][0]
  assert best['ops'][0] == 'TranslateY' and best['probability'] == pytest.approx(1 / 15, rel=1e-3)
  assert 'skip_connect' in summary and 'TranslateY' in summary and 'entropy_pi_1' in summary


def test_a_fixed_network_leaves_a_policy_alone(config, tmp_path):
  results.write(tmp_path, _state({}), config)
  assert sorted(p.name for p in tmp_path.iterdir()) == ['decided.json', 'policy.json']


def test_a_search_without_an_epoch_for_its_policy_says_nothing_of_one(config, tmp_path):
  config.search.warmup_epochs = config.search.epochs
  summary = results.write(tmp_path, _state(_arch()), config)
  assert sorted(p.name for p in tmp_path.iterdir()) == ['decided.json', 'genotype.json']
  says = json.loads((tmp_path / 'decided.json').read_text())['sentence']
  assert says.startswith('architecture: ') and 'policy' not in summary and 'pi_0' not in summary
  assert results.record(_state(_arch()), config)['policy'] == {}
  (tmp_path / 'config.json').write_text(config_lib.to_json(config))
  assert registry.last_file(config_lib.flatten(config)) == 'genotype.json'
  found = daas_jax.Found(str(tmp_path))
  assert found.policy is None and found.genotype is not None
  with pytest.raises(BadInput, match='holds no policy.json: give the workdir of a finished search that found one'):
    given.find('searched', str(tmp_path))


@pytest.mark.parametrize('share', categorical.SHARES)
def test_a_record_is_json_that_says_what_its_numbers_are(config, share):
  config.policy.share = share
  gamma = categorical.init(jax.random.key(0), categorical.Space(share=share), p0=0.25)
  found = json.loads(json.dumps(results.record(_state(_arch())._replace(gamma=gamma), config), allow_nan=False))
  arch, policy = found['architecture'], found['policy']
  assert arch['cells'] == ['normal', 'reduce'] and arch['edges'][:3] == [[0, 2], [1, 2], [0, 3]]
  assert arch['operations'] == list(DAAS_PRIMITIVES)
  assert np.shape(arch['alpha']) == (2, 14, 7) and np.shape(arch['beta']) == (2, 14)
  assert arch['alpha'][1][13][DAAS_PRIMITIVES.index('sep_conv_5x5')] == 30
  assert policy['candidates'] == list(config.policy.ops)
  np.testing.assert_allclose(np.sum(policy['probability'], 1), [1, 1], rtol=1e-4)
  np.testing.assert_allclose(policy['applied'], np.full((2, 15), 0.25), rtol=1e-4)
  strengths = dict(zip(policy['candidates'], policy['strength'][0]))
  assert strengths['Invert'] is None and strengths['Rotate'] == pytest.approx(0.5, abs=1e-2)


def test_a_record_of_a_fixed_network_is_of_the_policy_alone(config):
  assert results.record(_state({}), config)['architecture'] == {}


# --- an architecture of the past ---


def _history(folder, config, epochs=3):
  """history.jsonl of a search that goes from skip_connect to its opposite; the genotypes of its epochs."""
  out, lines = [], []
  for epoch in range(epochs):
    arch = _arch()
    arch = arch | {'alpha': arch['alpha'] * (1 - epoch)}
    state = _state(arch)
    lines.append(json.dumps({'step': 10 * epoch, 'epoch': epoch} | results.record(state, config)))
    results.write(folder, state, config)
    out.append(genotype_lib.load(folder / 'genotype.json'))
  (folder / 'history.jsonl').write_text('\n'.join(lines) + '\n')
  return out


def test_the_genotype_of_an_epoch_is_what_the_search_would_have_written_then(
    config, tmp_path, monkeypatch):
  found = _history(tmp_path, config)
  monkeypatch.setenv('HOME', str(tmp_path.parent))
  for folder in (str(tmp_path), f'~/{tmp_path.name}'):
    assert [cell_space.at_epoch(folder, epoch) for epoch in range(3)] == found
  assert found[0] != found[2]


def test_fixed_edges_and_own_cells_come_back_too(tmp_path):
  config = config_lib.search_config('amended_darts')
  config.network.edges, config.network.cells, config.network.layers = 'fixed', 'own', 3
  alpha = np.random.default_rng(0).normal(size=(3, 8, len(config.network.primitives)))
  state = SearchState(0, None, None, {'alpha': jnp.asarray(alpha)}, {}, None, None, None, None)
  results.write(tmp_path, state, config)
  (tmp_path / 'history.jsonl').write_text(json.dumps({'step': 5, 'epoch': 1} | results.record(state, config)) + '\n')
  found = cell_space.at_epoch(str(tmp_path), 1)
  assert isinstance(found, genotype_lib.NetworkGenotype)
  assert found == genotype_lib.load(tmp_path / 'genotype.json')


@pytest.mark.parametrize('change, says', [
    (lambda rows: rows.clear(), 'none: give the workdir'), (lambda rows: rows.pop(1), 'those of 0 to 2'),
    (lambda rows: rows[1]['architecture'].update(alpha=[[1.0]]), 'damaged'),
    (lambda rows: rows[1]['architecture'].update(operations=['skip_connect'] * 7), 'twice'),
    (lambda rows: rows[1]['architecture'].pop('edges'), 'damaged'),
    (lambda rows: rows[1]['architecture'].update(edges=[[7, 8]] * 14), 'damaged')])
def test_a_history_without_that_epoch_is_bad_input(config, tmp_path, change, says):
  _history(tmp_path, config)
  rows = [json.loads(line) for line in (tmp_path / 'history.jsonl').read_text().splitlines()]
  change(rows)
  (tmp_path / 'history.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in rows))
  with pytest.raises(BadInput, match=says):
    cell_space.at_epoch(str(tmp_path), 1)
