"""Weights of operations against those of whole networks; and what is drawn of as many weights as another."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.errors import BadInput
from daas_jax.nets import count
from daas_jax.nets.cells import weights
from daas_jax.nets.cells.derived import DerivedNet
from daas_jax.nets.cells.genotype import Genotype, NetworkGenotype, random_genotype
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES

LAYERS, CHANNELS = 5, 4
FEW = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5')


def _whole(genotype, layers=LAYERS):
  net = DerivedNet(genotype, 10, layers, CHANNELS, auxiliary=False)
  return count.parameters(jax.eval_shape(
      lambda: net.init(jax.random.key(0), jnp.zeros((1, 8, 8, 1)), False))['params'])


def _of(genotype, layers=LAYERS):
  return weights.operations(genotype, layers, CHANNELS)


def test_networks_differ_by_the_weights_of_their_operations():
  """What is left is the same for all: stem, convolutions in front of the cells, classifier."""
  rest = {_whole(g) - _of(g) for g in (random_genotype(seed, DAAS_PRIMITIVES) for seed in range(6))}
  pools = (('max_pool_3x3', 0), ('avg_pool_3x3', 1)) * 4
  nothing = Genotype(pools, pools, DAAS_PRIMITIVES)
  assert _of(nothing) == 0 and rest == {_whole(nothing)}
  cells = tuple(random_genotype(seed, DAAS_PRIMITIVES).normal for seed in range(3))
  own = NetworkGenotype(cells, DAAS_PRIMITIVES)
  assert _whole(own, 3) - _of(own, 3) == _whole(nothing, 3)


@pytest.mark.parametrize('seed', range(4))
def test_what_is_drawn_weighs_as_much(seed):
  like = random_genotype(seed, DAAS_PRIMITIVES)
  drawn = [weights.random_like(i, like, DAAS_PRIMITIVES, LAYERS, CHANNELS) for i in range(8)]
  assert len(set(drawn)) == 8 and drawn[3] == weights.random_like(3, like, DAAS_PRIMITIVES, LAYERS, CHANNELS)
  for genotype in drawn:
    assert abs(_of(genotype) - _of(like)) <= weights.WITHIN * _of(like)
    assert genotype.primitives == DAAS_PRIMITIVES and _whole(genotype)


@pytest.mark.parametrize('name', ['max_pool_3x3', 'sep_conv_5x5'])
def test_the_lightest_and_the_heaviest_have_few_beside_them(name):
  pairs = ((name, 0), (name, 1)) * 4
  like = Genotype(pairs, pairs, DAAS_PRIMITIVES)
  drawn = weights.random_like(0, like, DAAS_PRIMITIVES, LAYERS, CHANNELS)
  assert abs(_of(drawn) - _of(like)) <= weights.WITHIN * _of(like)


def _described(genotypes):
  """Shares of what the architectures are made of: operations by cell, first sources of the last node."""
  seen = collections.Counter()
  for g in genotypes:
    for cell, pairs in (('normal', g.normal), ('reduce', g.reduce)):
      seen.update((cell, name, source < 2) for name, source in pairs)
      seen[cell, 'last', pairs[6][1]] += 1
  return {key: n / len(genotypes) for key, n in seen.items()}


def test_they_are_as_uniform_draws_are_that_happen_to_weigh_as_much():
  """Held against rejection, for an architecture above the mean, so that the proposals are far from uniform."""
  uniform = [random_genotype(seed, FEW) for seed in range(8_000)]
  all_weights = np.array([weights.operations(g, 3, CHANNELS) for g in uniform])
  like = uniform[int(np.argsort(all_weights)[7_200])]
  near = np.abs(all_weights - weights.operations(like, 3, CHANNELS)) <= weights.WITHIN * weights.operations(
      like, 3, CHANNELS)
  wanted = _described([g for g, is_near in zip(uniform, near) if is_near])
  found = _described([weights.random_like(seed, like, FEW, 3, CHANNELS) for seed in range(400)])
  assert near.sum() > 150 and set(found) == set(wanted)
  assert wanted['reduce', 'sep_conv_3x3', True] > 1.3 * _described(uniform)['reduce', 'sep_conv_3x3', True]
  for key, share in wanted.items():  # a number of up to 7 slots, of standard deviation below 1.4
    assert found[key] == pytest.approx(share, abs=4 * 1.4 * (1 / 400 + 1 / near.sum())**0.5), key


@pytest.mark.parametrize('slope', [-3.0, 0.0, 3.0])
def test_the_proposals_are_the_enumerated_ones(slope):
  """Of one node of a reduction cell, whose sources have strides: every pair of sources and of operations written out."""
  table = weights._table(FEW, 3, CHANNELS) / 1000
  tilted = weights._Tilted(table, slope)
  for kind, sources in ((0, 3), (1, 2), (1, 3), (1, 5)):
    total, mean, of_pair = 0.0, 0.0, collections.Counter()
    for one, other in ((i, j) for j in range(sources) for i in range(j)):
      strides = [1 if kind and source < 2 else 0 for source in (one, other)]
      for a in range(len(FEW)):
        for b in range(len(FEW)):
          w = table[kind, strides[0], a] + table[kind, strides[1], b]
          total, mean = total + np.exp(slope * w), mean + w * np.exp(slope * w)
          of_pair[one, other] += np.exp(slope * w)
    pairs, at, p = tilted._pairs(kind, sources)
    np.testing.assert_allclose(p, [of_pair[pair] / total for pair in pairs], rtol=1e-10)
    np.testing.assert_allclose(p @ tilted._mean[kind, np.array(at)].sum(-1), mean / total, rtol=1e-10)


def test_what_cannot_be_drawn_is_refused_in_one_line():
  heavy = Genotype((('sep_conv_5x5', 0), ('sep_conv_5x5', 1)) * 4, (('sep_conv_5x5', 0), ('sep_conv_5x5', 1)) * 4,
                   DAAS_PRIMITIVES)
  own = NetworkGenotype((random_genotype(0, FEW).normal,) * 3, FEW)
  for like, names, layers, says in ((heavy, ('max_pool_3x3', 'skip_connect'), 5, 'hardly an architecture'),
                                    (own, FEW, 5, '--config.network.layers=3'), (own, FEW, 2, '--config.network.layers=3'),
                                    (heavy, ('none',), 5, 'none')):
    with pytest.raises(BadInput, match=says) as error:
      weights.random_like(0, like, names, layers, CHANNELS)
    assert '\n' not in str(error.value)
