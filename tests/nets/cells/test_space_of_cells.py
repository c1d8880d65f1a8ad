"""Which architecture --genotype names."""

import json
import types

from conftest import ROOT
import jax
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.config import file as config_file
from daas_jax.errors import BadInput
from daas_jax.nets.cells import architecture, genotype as genotype_lib, space, weights
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES


def history(folder, *rows):
  (folder / 'history.jsonl').write_text(''.join(json.dumps({'step': 0, 'epoch': 0} | row) + '\n' for row in rows))
  return str(folder)


def names(genotype):
  return {name for cell in (genotype.normal, genotype.reduce) for name, _ in cell}


def test_a_random_architecture_is_of_the_candidates_of_the_search_beside_it(tmp_path):
  found = history(tmp_path, {'architecture': {'operations': ['skip_connect', 'max_pool_3x3']}})
  drawn = [space.find(f'random:{seed}', found, None) for seed in range(4)]
  assert set.union(*map(names, drawn)) == {'skip_connect', 'max_pool_3x3'} and len(set(drawn)) == 4
  assert space.find('random:0', found, None).primitives == ('skip_connect', 'max_pool_3x3')


@pytest.mark.parametrize('rows', [
    [], [{}], [{'policy': {}}], [{'architecture': None}], [{'architecture': {'operations': []}}],
    [{'architecture': {'operations': ['no_such', 'skip_connect']}}], [{'architecture': {'operations': 3}}],
    [{'architecture': {'operations': [['skip_connect']]}}]])
def test_of_the_papers_candidates_where_no_search_has_others(rows, tmp_path):
  assert space.find('random:0', history(tmp_path, *rows), None) == space.find('random:0', None, None)
  assert set.union(*(names(space.find(f'random:{seed}', None, None)) for seed in range(9))) == set(DAAS_PRIMITIVES)


def test_none_is_never_drawn(tmp_path):
  found = history(tmp_path, {'architecture': {'operations': ['none', 'skip_connect']}})
  assert names(space.find('random:1', found, None)) == {'skip_connect'}


def test_one_of_as_many_weights_as_the_searched_one(tmp_path):
  few = ('skip_connect', 'max_pool_3x3', 'sep_conv_3x3')
  found = history(tmp_path, {'architecture': {'operations': list(few)}})
  network = types.SimpleNamespace(layers=5, channels=4)
  with pytest.raises(BadInput, match='genotype.json'):
    space.find('random_like:0', found, network)
  like = genotype_lib.random_genotype(7, few)
  genotype_lib.save(tmp_path / 'genotype.json', like)
  drawn = space.find('random_like:3', found, network)
  assert drawn == weights.random_like(3, like, few, 5, 4) and names(drawn) <= set(few)


@pytest.mark.parametrize('asked', ['random_like:', 'random_like:x', 'random_like:-1', 'random_like:' + '9' * 19, 'random_like'])
def test_it_needs_a_search_and_a_seed(asked, tmp_path):
  with pytest.raises(BadInput) as error:
    space.find(asked, str(tmp_path), None)
  assert '\n' not in str(error.value) and 'random_like' in str(error.value)
  with pytest.raises(BadInput, match='--search'):
    space.find('random_like:3', None, None)


def _history_of(folder, config):
  arch = architecture.init_dense(jax.random.key(0), space.of(config))
  return history(folder, {'architecture': space.record(arch, config)})


@pytest.mark.parametrize('variant', ['', 's2'])
def test_a_random_one_is_of_the_search_s_space(variant, tmp_path):
  """Amended-DARTS's S1, whose edges are fixed, and S2, whose 20 cells all differ (4.1.3: random search in each)."""
  config = config_file.run(f"{ROOT / 'configs' / 'amended_cifar10.py'}:{variant}")
  found, drawn = _history_of(tmp_path, config), []
  for seed in range(40):
    drawn.append(space.find(f'random:{seed}', found, None))
    for _, pairs in genotype_lib.cells_of(drawn[-1]):
      assert [source for _, source in pairs] == [0, 1, 0, 2, 0, 3, 0, 4]
      assert {name for name, _ in pairs} <= set(config.network.primitives)
  assert len(set(drawn)) == 40 and drawn[3] == space.find('random:3', found, None)
  kind = genotype_lib.NetworkGenotype if variant else genotype_lib.Genotype
  assert all(isinstance(g, kind) for g in drawn)
  if variant:
    assert all(len(g.cells) == 20 for g in drawn)
  # every operation as often as the next: binomial, 5 standard deviations
  every = [name for g in drawn for _, pairs in genotype_lib.cells_of(g) for name, _ in pairs]
  n, q = len(every), 1 / len(config.network.primitives)
  assert all(abs(every.count(name) - n * q) < 5 * np.sqrt(n * q * (1 - q)) for name in config.network.primitives)


def test_the_space_of_all_edges_is_drawn_from_as_before(tmp_path):
  config = config_lib.search_config('darts')
  found = _history_of(tmp_path, config)
  assert space.find('random:5', found, None) == genotype_lib.random_genotype(5, tuple(config.network.primitives))
