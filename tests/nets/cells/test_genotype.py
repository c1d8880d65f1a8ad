import collections
import copy
import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.errors import BadInput
from daas_jax.nets.cells import genotype as gt
from daas_jax.nets.cells.cell import CHAIN_EDGES, EDGES, NODE_EDGES
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, DARTS_PRIMITIVES, PRIMITIVES
from daas_jax.nets.cells import architecture
from daas_jax.nets.cells.derived import DerivedNet

WITH_NONE = ('none', *DAAS_PRIMITIVES)


def logits(value=0.0, primitives=DAAS_PRIMITIVES):
  return np.full((2, 14, len(primitives)), value), np.full((2, 14), value)


def is_valid(g, primitives):
  assert g.primitives == tuple(primitives)
  for pairs in (g.normal, g.reduce):
    assert len(pairs) == 8
    for n in range(4):
      (op0, a), (op1, b) = pairs[2 * n : 2 * n + 2]
      assert 0 <= a < b < n + 2 and type(a) is type(b) is int
      assert {op0, op1} <= set(primitives) - {'none'}
  assert hash(g) is not None
  return True


# derive


def test_derive_by_hand():
  alpha, beta = logits(-1.0)
  # Node 3 has the edges 2, 3, 4 from the nodes 0, 1, 2; node 5 has 9..13 from 0..4.
  beta[0, [2, 4]] = 0.5, 2.0
  beta[0, [10, 13]] = -0.5, 0.0
  beta[1, [3, 4]] = 3.0, 4.0
  alpha[0, 2, 3] = alpha[0, 4, 0] = alpha[0, 10, 6] = alpha[0, 13, 2] = 1.0
  alpha[0, 3, 5] = 50.0  # an edge that is not chosen, whatever its operation
  alpha[1, 3, 1], alpha[1, 3, 4] = 1.0, 1.5
  g = gt.derive(alpha, beta, DAAS_PRIMITIVES)
  assert is_valid(g, DAAS_PRIMITIVES)
  assert g.normal[2:4] == (('sep_conv_3x3', 0), ('max_pool_3x3', 2))
  assert g.normal[6:8] == (('dil_conv_5x5', 1), ('skip_connect', 4))
  assert g.reduce[2:4] == (('sep_conv_5x5', 1), ('max_pool_3x3', 2))


def test_derive_breaks_ties_by_the_lowest_index():
  g = gt.derive(*logits(), DAAS_PRIMITIVES)
  assert g.normal == g.reduce == (('max_pool_3x3', 0), ('max_pool_3x3', 1)) * 4


def test_derive_never_chooses_none():
  alpha, beta = logits(primitives=WITH_NONE)
  alpha[..., 0] = 100.0
  alpha[..., 4] = -1e9
  alpha[..., 5] = 1e-12
  g = gt.derive(alpha, beta, WITH_NONE)
  assert is_valid(g, WITH_NONE)
  assert {name for name, _ in g.normal + g.reduce} == {'sep_conv_5x5'}
  with pytest.raises(BadInput, match='no operation'):
    gt.derive(*logits(primitives=('none',)), ('none',))


@pytest.mark.parametrize('seed', range(20))
def test_derive_is_the_softmax_rule(seed):
  """The rule as SPEC 6 words it, written out with the softmax."""
  rng = np.random.default_rng(seed)
  alpha, beta = rng.normal(size=(2, 14, 8)), rng.normal(size=(2, 14))
  softmax = lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)
  g = gt.derive(alpha.astype(np.float32), beta.astype(np.float32), WITH_NONE)
  for kind, pairs in enumerate((g.normal, g.reduce)):
    expected = []
    for edges in NODE_EDGES:
      weight = dict(zip(edges, softmax(beta[kind, list(edges)])))
      for e in sorted(sorted(edges, key=weight.get)[-2:]):
        expected.append((WITH_NONE[1 + np.argmax(softmax(alpha[kind, e])[1:])], EDGES[e][0]))
    assert pairs == tuple(expected)


def test_derive_refuses_wrong_arrays():
  alpha, beta = logits()
  for bad_alpha, bad_beta in ((alpha[:1], beta), (alpha[:, :13], beta), (alpha[..., :6], beta), (alpha, beta[0])):
    with pytest.raises(ValueError, match='are not'):
      gt.derive(bad_alpha, bad_beta, DAAS_PRIMITIVES)
  beta[1, 3] = np.nan
  with pytest.raises(ValueError, match='NaN'):
    gt.derive(alpha, beta, DAAS_PRIMITIVES)


# random_genotype


def test_random_genotype_is_uniform_and_repeatable():
  n = 3000
  drawn = [gt.random_genotype(seed, WITH_NONE) for seed in range(n)]
  assert all(is_valid(g, WITH_NONE) for g in drawn[:200])
  assert drawn[7] == gt.random_genotype(7, WITH_NONE) != drawn[8]
  for cell in ('normal', 'reduce'):
    pairs = [getattr(g, cell) for g in drawn]
    for counts, cells in ((collections.Counter(p[6][0] for p in pairs), 7),
                          (collections.Counter((p[6][1], p[7][1]) for p in pairs), 10),
                          (collections.Counter((p[2][1], p[3][1]) for p in pairs), 3)):
      assert len(counts) == cells
      # Binomial: 5 standard deviations.
      q = 1 / cells
      assert max(abs(c - n * q) for c in counts.values()) < 5 * np.sqrt(n * q * (1 - q))
  assert any(g.normal != g.reduce for g in drawn)
  with pytest.raises(BadInput, match='no operation'):
    gt.random_genotype(0, ('none',))


# Files


@pytest.mark.parametrize('seed', range(5))
def test_json_round_trip(tmp_path, seed):
  g = gt.random_genotype(seed, WITH_NONE)
  assert gt.from_json(gt.to_json(g)) == g
  gt.save(tmp_path / 'a.json', g)
  gt.save(str(tmp_path / 'b.json'), gt.load(tmp_path / 'a.json', list(WITH_NONE)))
  content = (tmp_path / 'a.json').read_bytes()
  assert content == (tmp_path / 'b.json').read_bytes() and content.endswith(b'}\n')
  assert sorted(os.listdir(tmp_path)) == ['a.json', 'b.json']


def test_pairs_of_a_node_may_come_in_either_order():
  g = gt.random_genotype(0, DAAS_PRIMITIVES)
  content = gt.to_json(g)
  content['normal'] = [node[::-1] for node in content['normal']]
  assert gt.from_json(content) == g


def test_save_is_whole_or_not_at_all(tmp_path, monkeypatch):
  path = tmp_path / 'g.json'
  gt.save(path, gt.random_genotype(0, DAAS_PRIMITIVES))
  before = path.read_bytes()

  def broken(*_):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(os, 'replace', broken)
  with pytest.raises(BadInput, match='No space left'):
    gt.save(path, gt.random_genotype(1, DAAS_PRIMITIVES))
  assert path.read_bytes() == before and os.listdir(tmp_path) == ['g.json']
  with pytest.raises(BadInput, match='cannot be written'):
    gt.save(tmp_path / 'missing' / 'g.json', gt.random_genotype(1, DAAS_PRIMITIVES))


def valid():
  return gt.to_json(gt.random_genotype(0, DAAS_PRIMITIVES))


def changed(*where, to):
  content = valid()
  part = content
  for step in where[:-1]:
    part = part[step]
  part[where[-1]] = to
  return content


def without(key):
  content = valid()
  del content[key]
  return content


MALFORMED = {
    'a list': ([valid()], 'no JSON object'),
    'null': (None, 'no JSON object'),
    'empty object': ({}, 'format'),
    'other format': (changed('format', to='darts.genotype'), 'format'),
    'format not text': (changed('format', to=['daas_jax.genotype']), 'format'),
    'newer version': (changed('version', to=2), 'version'),
    'version true': (changed('version', to=True), 'version'),
    'version 1.0': (changed('version', to=1.0), 'version'),
    'no reduce': (without('reduce'), 'keys'),
    'a key too many': (changed('extra', to=1), 'keys'),
    'no version': (without('version'), 'version'),
    'primitives text': (changed('primitives', to='skip_connect'), 'not a list'),
    'primitives empty': (changed('primitives', to=[]), 'not a list'),
    'primitives unknown': (changed('primitives', to=[*DAAS_PRIMITIVES, 'conv_7x7']), "unknown operation 'conv_7x7'"),
    'primitives twice': (changed('primitives', to=[*DAAS_PRIMITIVES, 'skip_connect']), 'twice'),
    'primitives of lists': (changed('primitives', to=[[]]), 'unknown operation'),
    'outside primitives': (changed('primitives', to=['noise']), 'not one to choose'),
    'cell object': (changed('normal', to={'0': []}), 'normal is not a list of 4'),
    'cell of text': (changed('normal', to='abcd'), 'normal is not a list of 4'),
    '3 nodes': (changed('reduce', to=valid()['reduce'][:3]), 'reduce is not a list of 4'),
    '5 nodes': (changed('reduce', to=valid()['reduce'] + valid()['reduce'][3:]), 'reduce is not a list of 4'),
    'flat cell': (changed('normal', to=['skip_connect', 0, 'skip_connect', 1]), 'normal, node 2 is not'),
    '3 pairs': (changed('normal', 1, to=[['skip_connect', i] for i in range(3)]), 'normal, node 3 is not'),
    'pair of 1': (changed('normal', 1, 0, to=['skip_connect']), 'normal, node 3 holds'),
    'pair is text': (changed('normal', 1, 0, to='ab'), 'normal, node 3 holds'),
    'unknown operation': (changed('normal', 0, 0, 0, to='conv_7x7'), "unknown operation 'conv_7x7'"),
    'operation number': (changed('normal', 0, 0, 0, to=3), 'unknown operation 3'),
    'operation list': (changed('normal', 0, 0, 0, to=['skip_connect']), 'unknown operation'),
    'none': (changed('normal', 0, 0, 0, to='none') | {'primitives': list(WITH_NONE)}, 'operation none'),
    'source too late': (changed('reduce', 2, 0, 1, to=4), 'reduce, node 4 has the source 4'),
    'source negative': (changed('reduce', 2, 0, 1, to=-1), 'source -1'),
    'source huge': (changed('reduce', 2, 0, 1, to=10**400), 'source 1000'),
    'source true': (changed('normal', 0, 0, 1, to=True), 'source True'),
    'source float': (changed('normal', 0, 0, 1, to=0.0), 'source 0.0'),
    'source text': (changed('normal', 0, 0, 1, to='0'), "source '0'"),
    'source null': (changed('normal', 0, 0, 1, to=None), 'source None'),
    'source NaN': (changed('normal', 0, 0, 1, to=float('nan')), 'source nan'),
    'source twice': (changed('normal', 3, to=[['skip_connect', 3], ['max_pool_3x3', 3]]), 'source 3 twice'),
    'long value': (changed('format', to='x\n' * 10000), 'format'),
}


@pytest.mark.parametrize('name', MALFORMED)
def test_malformed_content(tmp_path, name):
  content, message = MALFORMED[name]
  path = tmp_path / 'g.json'
  path.write_text(json.dumps(content))
  with pytest.raises(BadInput, match=message) as error:
    gt.load(path)
  text = str(error.value)
  assert '\n' not in text and str(path) in text and 'give a file' in text and len(text) < 500 + len(str(path))


MALFORMED_BYTES = {
    'empty': b'', 'text': b'normal = [...]', 'cut': json.dumps(valid()).encode()[:-20], 'binary': bytes(range(256)),
    'utf-16': json.dumps(valid()).encode('utf-16'), 'two values': json.dumps(valid()).encode() * 2,
    'nested': b'[' * 100_000, 'nested object': b'{"a":' * 100_000, 'nested whole': b'[' * 100_000 + b']' * 100_000,
    'digits': b'[' + b'9' * 10_000 + b']',
}


@pytest.mark.parametrize('name', MALFORMED_BYTES)
def test_not_json(tmp_path, name):
  path = tmp_path / 'g.json'
  path.write_bytes(MALFORMED_BYTES[name])
  with pytest.raises(BadInput, match='g.json is no'):
    gt.load(path)


def test_load_says_what_is_wrong_with_the_path_and_the_space(tmp_path):
  with pytest.raises(BadInput, match='No such file'):
    gt.load(tmp_path / 'g.json')
  with pytest.raises(BadInput, match='directory'):
    gt.load(tmp_path)
  gt.save(tmp_path / 'g.json', gt.random_genotype(0, DAAS_PRIMITIVES))
  with pytest.raises(BadInput, match='another space'):
    gt.load(tmp_path / 'g.json', WITH_NONE)


JUNK = (None, True, False, 0, 1, 2, 5, -1, 1.0, 1e308, '', 'none', 'noise', 'skip_connect', 'max_pool_3x3', [], {},
        [['skip_connect', 0]], ['skip_connect', 1], 'daas_jax.genotype', {'format': 1}, 10**30)


def mutate(content, rng):
  """One random change of a JSON tree: a value replaced, removed, doubled or swapped with its neighbour."""
  spots = []

  def walk(part):
    for key in list(part) if isinstance(part, dict) else range(len(part)):
      spots.append((part, key))
      if isinstance(part[key], (dict, list)):
        walk(part[key])
  walk(content)
  if not spots:
    return
  part, key = spots[rng.integers(len(spots))]
  how = rng.integers(4)
  if how == 0:
    part[key] = copy.deepcopy(JUNK[rng.integers(len(JUNK))])
  elif how == 1:
    del part[key]
  elif isinstance(part, list):
    part.insert(key, copy.deepcopy(part[key])) if how == 2 else part.insert(0, part.pop(key))
  else:
    part[str(key) + 'x'] = part[key]


@pytest.mark.parametrize('first', range(0, 400, 100))
def test_random_changes_give_bad_input_or_a_valid_genotype(tmp_path, first):
  path, refused = tmp_path / 'g.json', 0
  for seed in range(first, first + 100):
    rng = np.random.default_rng(seed)
    content = gt.to_json(gt.random_genotype(seed, tuple(PRIMITIVES)))
    if seed % 2:
      for _ in range(rng.integers(1, 4)):
        mutate(content, rng)
      raw = json.dumps(content).encode()
    else:
      raw = bytearray(json.dumps(content).encode())
      for _ in range(rng.integers(1, 4)):
        raw[rng.integers(len(raw))] = rng.choice(np.frombuffer(b'0123456789[]{}",:-e \xff', np.uint8))
    path.write_bytes(bytes(raw))
    try:
      g = gt.load(path)
    except BadInput as e:
      refused += 1
      assert '\n' not in str(e)
    else:
      assert is_valid(g, g.primitives) and gt.from_json(gt.to_json(g)) == g
  assert 50 < refused < 100  # both outcomes are reached


def test_describe_shows_every_edge():
  g = gt.random_genotype(3, DAAS_PRIMITIVES)
  lines = gt.describe(g).splitlines()
  assert len(lines) == 12
  for first, pairs in ((1, g.normal), (7, g.reduce)):
    for n in range(4):
      (a, i), (b, j) = pairs[2 * n : 2 * n + 2]
      assert lines[first + n] == f'  node {n + 2} = {a}(node {i}) + {b}(node {j})'


def test_without_beta_edges_are_ranked_by_their_best_operation_beside_none():
  """DARTS: 'none' takes its share of the softmax, so an edge on which it is strong ranks lower; it is never chosen."""
  alpha = np.zeros((2, 14, 8))
  alpha[:, :, DARTS_PRIMITIVES.index('skip_connect')] = 1.0
  alpha[:, 3, 0] = 5.0  # 'none' on the second edge into node 3
  alpha[:, 4, DARTS_PRIMITIVES.index('sep_conv_5x5')] = 2.0
  found = gt.derive(alpha, None, DARTS_PRIMITIVES)
  assert found.normal[2:4] == (('skip_connect', 0), ('sep_conv_5x5', 2))
  assert found.normal == found.reduce and 'none' not in {name for name, _ in found.normal}
  by_hand = np.log(np.exp(alpha) / np.exp(alpha).sum(-1, keepdims=True))[..., 1:].max(-1)
  assert found == gt.derive(alpha, by_hand, DARTS_PRIMITIVES)


# --- fixed edges and cells that all differ ---


def test_with_fixed_edges_the_operations_alone_are_derived():
  rng = np.random.default_rng(0)
  alpha = rng.normal(size=(2, len(CHAIN_EDGES), len(DARTS_PRIMITIVES)))
  found = gt.derive_fixed(alpha, CHAIN_EDGES, DARTS_PRIMITIVES)
  for row, pairs in zip(alpha, (found.normal, found.reduce)):
    assert [source for _, source in pairs] == [0, 1, 0, 2, 0, 3, 0, 4]  # the first input and the node before
    best = [DARTS_PRIMITIVES[1:][o] for o in row[:, 1:].argmax(-1)]  # 'none' comes first
    assert [name for name, _ in pairs] == best


def _network(layers=5):
  alpha = np.random.default_rng(1).normal(size=(layers, len(CHAIN_EDGES), len(DAAS_PRIMITIVES)))
  return gt.derive_fixed(alpha, CHAIN_EDGES, DAAS_PRIMITIVES)


def test_a_network_genotype_comes_back_from_its_file(tmp_path):
  found = _network()
  assert isinstance(found, gt.NetworkGenotype) and len(found.cells) == 5
  gt.save(tmp_path / 'genotype.json', found)
  assert gt.load(tmp_path / 'genotype.json', DAAS_PRIMITIVES) == found
  assert 'cell 4' in gt.describe(found) and [title for title, _ in gt.cells_of(found)][0] == 'cell 0'


@pytest.mark.parametrize('change', [
    lambda c: c.update(cells=c['cells'][:2]), lambda c: c.update(cells={}), lambda c: c.update(normal=c['cells'][0]),
    lambda c: c['cells'][1].pop(), lambda c: c['cells'][1][0][0].__setitem__(1, 9)])
def test_a_damaged_network_genotype_is_bad_input(change):
  content = gt.to_json(_network())
  change(content)
  with pytest.raises(BadInput, match='no usable genotype'):
    gt.from_json(content)


def _turned(pairs):
  """The pairs of every node in the other order."""
  return tuple(pairs[i ^ 1] for i in range(8))


def test_pairs_in_either_order_are_one_genotype(tmp_path):
  found = gt.random_genotype(3, DAAS_PRIMITIVES)
  other = found._replace(normal=_turned(found.normal), reduce=_turned(found.reduce))
  assert other != found and gt.canonical(other) == found == gt.canonical(found)
  assert gt.to_text(other) == gt.to_text(found)
  gt.save(str(tmp_path / 'genotype.json'), other)
  assert gt.load(str(tmp_path / 'genotype.json')) == found
  whole = gt.NetworkGenotype((other.normal, found.reduce, other.reduce), found.primitives)
  assert gt.canonical(whole).cells == (found.normal, found.reduce, found.reduce)


@pytest.mark.parametrize('change, words', [
    (lambda p: p[:7], 'node 5 is not a list of 2'), (lambda p: (*p, p[0]), 'not a list of 4 nodes'),
    (lambda p: (p[0], p[0], *p[2:]), 'twice'), (lambda p: ((p[0][0], 2), *p[1:]), 'integer from 0 to 1'),
    (lambda p: (('conv', 0), *p[1:]), 'unknown operation'), (lambda p: (('none', 0), *p[1:]), 'not one to choose')])
def test_a_genotype_made_by_hand_is_held_to_what_a_file_is(change, words, tmp_path):
  found = gt.random_genotype(3, DAAS_PRIMITIVES)
  wrong = found._replace(normal=change(found.normal))
  image = jax.ShapeDtypeStruct((1, 8, 8, 3), jnp.float32)
  net = DerivedNet(wrong, 3, 3, 4)
  for use in (lambda: jax.eval_shape(lambda x: net.init(jax.random.key(0), x, False), image),
              lambda: architecture.fixed(wrong, DAAS_PRIMITIVES),
              lambda: gt.save(str(tmp_path / 'genotype.json'), wrong)):
    with pytest.raises(BadInput, match=f'^the given genotype[^\n]*{words}'):
      use()
  assert not list(tmp_path.iterdir())
