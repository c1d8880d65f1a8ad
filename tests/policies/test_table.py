"""policy.json: round trip, every kind of malformed file, and the augmenter against the probabilities it was given."""

import copy
import json
import os
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from daas_jax.augment.ops import OPS
from daas_jax.errors import BadInput
from daas_jax.policies import categorical, found
from daas_jax.policies import table as policy_table
from daas_jax.policies.categorical import Space
import policy_forms as forms

GOOD = {'format': 'daas_jax.policy', 'version': 3, 'ops': ['Rotate', 'Invert', 'Cutout'], 'K': 2, 'levels': 10,
        'policies': [
            {'ops': ['Rotate', 'Invert'], 'probability': 0.75, 'p': [0.5, 0.61], 'level': [3, 9],
             'magnitude': [10, 1]},
            {'ops': ['Cutout', 'Cutout'], 'probability': 0.25, 'p': [0, 1], 'level': [0, 4]}]}


def _table(space, seed=0):
  rng = np.random.default_rng(seed)
  gamma = categorical.init(jax.random.key(seed), space)
  return categorical.table(jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), gamma), space)


def _write(tmp_path, content):
  path = tmp_path / 'policy.json'
  path.write_text(content if isinstance(content, str) else json.dumps(content), encoding='utf-8')
  return path


# --- the file -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize('space', (Space(), Space(('Solarize', 'Identity', 'Rotate90'), 3, 4, 'slot'),
                                   Space(('Color',), 1, 1, 'op')), ids=('paper', 'slot', 'smallest'))
def test_round_trip(tmp_path, space):
  table = _table(space)
  policy_table.save(tmp_path / 'policy.json', table, space)
  loaded = policy_table.load(tmp_path / 'policy.json', ops=space.ops)
  assert loaded[:3] == space[:3]
  np.testing.assert_array_equal(loaded.o, table['o'])
  np.testing.assert_allclose(loaded.probability, table['probability'], rtol=1e-8)
  np.testing.assert_allclose(loaded.probability.sum(), 1, rtol=1e-12)
  np.testing.assert_allclose(loaded.p, table['p'], rtol=1e-8)
  np.testing.assert_array_equal(loaded.strength, table['m'] / max(space.levels - 1, 1))
  assert os.listdir(tmp_path) == ['policy.json']


def test_the_bytes_of_a_file(tmp_path):
  space = Space(('Rotate', 'Invert'), 1, 10)
  table = {'o': np.array([[0], [1]]), 'probability': np.array([2 / 3, 1 / 3]), 'p': np.array([[0.5], [1e-12 / 3]]),
           'm': np.array([[4], [9]])}
  for _ in range(2):
    policy_table.save(str(tmp_path / 'policy.json'), table, space)
    assert (tmp_path / 'policy.json').read_bytes().decode() == '''{"format": "daas_jax.policy",
 "version": 3,
 "ops": ["Rotate", "Invert"],
 "K": 1,
 "levels": 10,
 "policies": [
  {"ops": ["Rotate"], "probability": 0.666666667, "p": [0.5], "level": [4], "magnitude": [13.3333333]},
  {"ops": ["Invert"], "probability": 0.333333333, "p": [3.33333333e-13], "level": [9], "magnitude": [1.0]}
 ]}
'''


def test_a_file_whose_images_draw_their_levels(tmp_path):
  space = Space(('Rotate', 'Invert', 'Cutout'), 2, 4, 'slot', 'image')
  gamma = jax.tree.map(lambda x: 3 * x / 1e-3, categorical.init(jax.random.key(1), space))
  table = categorical.table(gamma, space)
  policy_table.save(tmp_path / 'policy.json', table, space)
  content = json.loads((tmp_path / 'policy.json').read_text())
  assert content['version'] == 4
  loaded = policy_table.load(tmp_path / 'policy.json')
  delta = np.asarray(jax.nn.softmax(gamma['delta']))
  for n, o in enumerate(loaded.o):
    for k in range(2):
      np.testing.assert_allclose(loaded.level_probability[n, k], delta[k, o[k]], rtol=1e-5)
  np.testing.assert_array_equal(loaded.strength, loaded.level_probability.argmax(-1) / 3)
  assert categorical.table(gamma, space._replace(drawn='batch')).keys() == {'o', 'probability', 'p', 'm'}


WEIGHTS = {'version': 4, 'K': 1, 'levels': 2, 'policies': [
    {'ops': ['Rotate'], 'probability': 1, 'p': [1], 'level': [0], 'level_probability': [[0.25, 0.75]]}]}


@pytest.mark.parametrize('weights', [[0.25, 0.75], [[0.25, 0.5]], [[0.25, 0.25, 0.5]], [[0.25, '0.75']], [[-0.25, 1.25]],
                                     [[True, 0]], [[0.25, 0.75]] * 2, 1, None])
def test_levels_without_a_distribution(tmp_path, weights):
  content = copy.deepcopy({**GOOD, **WEIGHTS})
  policy_table.load(_write(tmp_path, content))
  content['policies'][0]['level_probability'] = weights
  with pytest.raises(BadInput, match=r'policies\[0\]: "level_probability" must be a list of 1 lists of 2 numbers'):
    policy_table.load(_write(tmp_path, content))


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
  path, space = _write(tmp_path, 'old'), Space(('Rotate',), 1, 2)
  table = _table(space)
  with pytest.raises(ValueError):
    policy_table.save(path, {**table, 'p': np.array([[np.nan]])}, space)

  def fail(*_):
    raise OSError('disk full')

  monkeypatch.setattr(os, 'replace', fail)
  with pytest.raises(OSError, match='disk full'):
    policy_table.save(path, table, space)
  assert path.read_text() == 'old' and os.listdir(tmp_path) == ['policy.json']


def test_a_file_written_by_hand(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  table = policy_table.load(_write(tmp_path, GOOD).name)
  assert table[:3] == (('Rotate', 'Invert', 'Cutout'), 2, 10)
  assert table.o.tolist() == [[0, 1], [2, 2]] and table.p.tolist() == [[0.5, 0.61], [0, 1]]
  assert table.probability.tolist() == [0.75, 0.25]
  np.testing.assert_allclose(table.strength, [[1 / 3, 1], [0, 4 / 9]])
  save = json.loads(json.dumps(GOOD))
  save['policies'] = [{**GOOD['policies'][0], 'probability': 1 / 3 + 1e-4}] * 3  # rounded, and three times the same
  np.testing.assert_allclose(policy_table.load(_write(tmp_path, save)).probability, 1 / 3)


@pytest.mark.parametrize('form', ['table', 'images'])
def test_a_file_of_an_earlier_version_means_what_it_meant(form):
  """Its levels of Rotate run from -30 to 30 degrees, with a random sign: 0 and 9 are one, and so are 3 and 6."""
  earlier, today = (policy_table.from_json(content, 'p') for content in forms.BOTH_SIGNS[form])
  for a, b in zip(earlier, today):
    np.testing.assert_array_equal(a, b)


def test_an_earlier_file_of_one_level_is_at_its_end():
  """There strength 0 was -high; of today's it would be the identity."""
  for version, extra in ((1, {}), (2, {'level_probability': [[1.0], [1.0]]})):
    content = {'format': 'daas_jax.policy', 'version': version, 'ops': ['Rotate', 'Cutout'], 'K': 2, 'levels': 1,
               'policies': [{'ops': ['Rotate', 'Cutout'], 'probability': 1, 'p': [1, 1], 'level': [0, 0], **extra}]}
    table = policy_table.from_json(content, 'p')
    assert table.strength.tolist() == [[1.0, 0.0]] and table.levels == 2
    if extra:
      assert table.level_probability.tolist() == [[[0.0, 1.0], [1.0, 0.0]]]


def test_a_file_of_another_space(tmp_path):
  path = _write(tmp_path, GOOD)
  assert policy_table.load(path, ops=tuple(OPS)) is not None
  with pytest.raises(BadInput, match="another space: 'Cutout' is not among the operations Rotate, Invert;"):
    policy_table.load(path, ops=('Rotate', 'Invert'))


def _changed(*keys, value):
  """GOOD with another value, or with none at all, at a path of keys."""
  content = copy.deepcopy(GOOD)
  *outer, last = keys
  at = content
  for key in outer:
    at = at[key]
  if value is KeyError:
    del at[last]
  else:
    at[last] = value
  return content


FIRST = ('policies', 0)
MALFORMED = [
    ('', 'not a JSON file'),
    ('{"format": ', 'not a JSON file'),
    ('[' * 100_000, 'not a JSON file'),
    ('{"K": ' + '9' * 5000 + '}', 'not a JSON file'),
    (json.dumps(_changed(*FIRST, 'probability', value=float('nan'))), 'NaN is not a JSON number'),
    (json.dumps(_changed(*FIRST, 'probability', value=-float('inf'))), '-Infinity is not a JSON number'),
    (json.dumps(GOOD).replace('0.75', '1e999'), r'policies\[0\]: "probability" must'),
    ([GOOD], '"format" is not'),
    ('null', '"format" is not'),
    (_changed('format', value='daas_jax.genotype'), '"format" is not'),
    (_changed('format', value=KeyError), '"format" is not'),
    (_changed('version', value=5), 'version 5 is not'),
    (_changed('version', value=4), r'policies\[0\]: "level_probability" is missing'),
    (_changed('version', value='1'), "version '1' is not"),
    (_changed('version', value=True), 'version True is not'),
    (_changed('version', value=KeyError), 'version None is not'),
    (_changed('ops', value=KeyError), '"ops" is missing'),
    (_changed('ops', value=[]), '"ops" must be a list'),
    (_changed('ops', value='Rotate'), '"ops" must be a list'),
    (_changed('ops', value=['Rotate', ['Invert']]), '"ops" must be a list'),
    (_changed('ops', value=['Rotate', 'Invert', 'Cutout', 'Rotate']), '"ops" must be a list of different'),
    (_changed('ops', value=['Rotate', 'Invert', 'Explode']), "unknown operation 'Explode'; known are ShearX,"),
    (_changed('ops', value=['Rotate', 'Invert']), r'policies\[1\]: "ops" must'),
    (_changed('K', value=3), r'policies\[0\]: "ops" must be a list of 3 names'),
    (_changed('K', value=1), r'policies\[0\]: "ops" must be a list of 1 '),
    (_changed('K', value=0), '"K" must be'),
    (_changed('K', value=2.), '"K" must be'),
    (_changed('K', value=True), '"K" must be'),
    (_changed('K', value=10 ** 4000), r'policies\[0\]: "ops" must be a list of 1000'),
    (_changed('levels', value=0), '"levels" must be'),
    (_changed('levels', value='10'), '"levels" must be'),
    (_changed('levels', value=KeyError), '"levels" is missing'),
    (_changed('levels', value=9), r'policies\[0\]: "level" must be a list of 2 whole numbers from 0 to 8, not'),
    (_changed('policies', value=KeyError), '"policies" is missing'),
    (_changed('policies', value=[]), 'at least one policy'),
    (_changed('policies', value={}), 'at least one policy'),
    (_changed(*FIRST, value=['Rotate', 'Invert']), r'policies\[0\]: must be an object'),
    (_changed(*FIRST, 'ops', value=KeyError), r'policies\[0\]: "ops" is missing'),
    (_changed(*FIRST, 'ops', value=['Rotate', 1]), r'policies\[0\]: "ops" must'),
    (_changed(*FIRST, 'ops', value=['Rotate', {}]), r'policies\[0\]: "ops" must'),
    (_changed(*FIRST, 'ops', value=['Rotate', 'Solarize']), r'policies\[0\]: "ops" must'),
    (_changed(*FIRST, 'p', value=KeyError), r'policies\[0\]: "p" is missing'),
    (_changed(*FIRST, 'p', value=0.5), r'policies\[0\]: "p" must'),
    (_changed(*FIRST, 'p', value=[0.5]), r'policies\[0\]: "p" must'),
    (_changed(*FIRST, 'p', value=[0.5, 1.01]), r'policies\[0\]: "p" must be a list of 2 numbers from 0 to 1, not'),
    (_changed(*FIRST, 'p', value=[0.5, -1e-9]), r'policies\[0\]: "p" must'),
    (_changed(*FIRST, 'p', value=[0.5, True]), r'policies\[0\]: "p" must'),
    (_changed(*FIRST, 'p', value=[0.5, None]), r'policies\[0\]: "p" must'),
    (_changed(*FIRST, 'level', value=[3, 10]), r'policies\[0\]: "level" must'),
    (_changed(*FIRST, 'level', value=[3, -1]), r'policies\[0\]: "level" must'),
    (_changed(*FIRST, 'level', value=[3, 9.]), r'policies\[0\]: "level" must'),
    (_changed(*FIRST, 'level', value=[3, False]), r'policies\[0\]: "level" must'),
    (_changed(*FIRST, 'level', value=[3, 9, 9]), r'policies\[0\]: "level" must'),
    (_changed('policies', 1, 'level', value=KeyError), r'policies\[1\]: "level" is missing'),
    (_changed(*FIRST, 'probability', value=KeyError), r'policies\[0\]: "probability" is missing'),
    (_changed(*FIRST, 'probability', value=-0.1), r'policies\[0\]: "probability" must'),
    (_changed(*FIRST, 'probability', value='0.75'), r'policies\[0\]: "probability" must'),
    (_changed(*FIRST, 'probability', value=True), r'policies\[0\]: "probability" must'),
    (_changed(*FIRST, 'probability', value=10 ** 400), r'policies\[0\]: "probability" must'),
    (_changed(*FIRST, 'probability', value=0.752), 'sum to 1.002; make them'),
    (_changed(*FIRST, 'probability', value=0.748), 'sum to 0.998; make them'),
]


@pytest.mark.parametrize('content,message', MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_files(tmp_path, content, message):
  with pytest.raises(BadInput, match=message) as error:
    policy_table.load(_write(tmp_path, content))
  text = str(error.value)
  assert '\n' not in text and len(text) < 500 and 'policy.json' in text
  assert ';' in text or 'must be' in text  # what to do


def test_files_that_cannot_be_read(tmp_path):
  (tmp_path / 'latin').write_bytes(json.dumps(GOOD).encode() + b'\xe9')
  for path in (tmp_path / 'none', tmp_path, 'nul\0', tmp_path / 'latin'):
    with pytest.raises(BadInput):
      policy_table.load(path)


def test_whatever_a_file_holds_it_is_bad_input_or_a_table(tmp_path):
  rng, text = random.Random(0), json.dumps(GOOD)
  values = ['null', 'true', '-1', '0', '1', '1e308', '1e999', '10', '9' * 400, '"Rotate"', '"\\ud800"', '[]', '{}',
            'NaN', '[0.5, 0.5]', '0.5', '']
  starts = [i for i, character in enumerate(text) if character in '[{:,']
  read = 0
  for _ in range(300):
    mutant = text
    for _ in range(rng.randint(1, 2)):
      kind, i = rng.randrange(4), rng.randrange(len(text))
      if kind == 0:  # a character
        mutant = mutant[:i] + chr(rng.randrange(1, 0x250)) + mutant[i + 1:]
      elif kind == 1:  # cut out
        mutant = mutant[:i] + mutant[i + rng.randint(1, 40):]
      elif kind == 2:  # a digit
        mutant = ''.join(rng.choice('0123456789') if c.isdigit() and rng.random() < 0.05 else c for c in mutant)
      else:  # a whole value
        i = rng.choice(starts) + 1
        end = min((mutant.find(c, i) for c in ',]}' if mutant.find(c, i) >= 0), default=i)
        mutant = mutant[:i] + rng.choice(values) + mutant[end:]
    try:
      table = policy_table.load(_write(tmp_path, mutant))
    except BadInput as error:
      assert '\n' not in str(error)
      continue
    read += 1
    n = len(table.probability)
    assert table.o.shape == table.p.shape == table.strength.shape == (n, table.K) and n > 0
    assert abs(table.probability.sum() - 1) < 1e-12 and (table.probability >= 0).all()
    assert all(0 <= x <= 1 for x in (*table.p.ravel(), *table.strength.ravel()))
    assert 0 <= table.o.min() and table.o.max() < len(table.ops) and set(table.ops) <= set(OPS)
  assert 10 < read < 290  # both outcomes occur


# --- its use ------------------------------------------------------------------------------------------------

# Operations that show in the result which were applied. The last policy is never drawn.
SHOWN = policy_table.PolicyTable(
    ('Solarize', 'Invert', 'HorizontalFlip', 'Rotate90'), 2, 10,
    np.array([[1, 2], [3, 1], [3, 3], [1, 3]]), np.array([0.5, 0.3, 0.2, 0.]),
    np.array([[0.3, 0.8], [1., 0.], [1., 1.], [1., 1.]]), np.ones((4, 2)))
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
FLIPPED, QUARTER = IMAGES[:, :, ::-1], np.rot90(IMAGES, axes=(1, 2))
# Policy 0 with y = (0, 0), (0, 1), (1, 0), (1, 1), then policies 1 and 2.
OUTCOMES = np.stack([IMAGES, FLIPPED, 255 - IMAGES, 255 - FLIPPED, QUARTER, np.rot90(QUARTER, axes=(1, 2))])
CALLS = 5000

shown = jax.jit(policy_table.augmenter(SHOWN))


def _within_five_deviations(count, n, probability):
  """A binomial count leaves this with probability 6e-7."""
  return abs(count - n * probability) <= 5 * np.sqrt(n * probability * (1 - probability))


@pytest.fixture(name='outcomes', scope='module')
def outcomes_fixture():
  """[CALLS, 3]: which of OUTCOMES each image of each call became."""
  keys = jax.random.split(jax.random.key(0), CALLS)
  images = jnp.asarray(IMAGES)
  augment = policy_table.augmenter(SHOWN)
  results = jax.jit(lambda keys: jax.lax.map(lambda key: augment(key, images), keys))(keys)
  same = (np.asarray(results)[:, None] == OUTCOMES).all(axis=(3, 4, 5))  # [CALLS, outcome, image]
  assert (same.sum(1) == 1).all()
  return same.argmax(1)


def test_a_call_draws_one_policy_by_its_probability(outcomes):
  policy = np.maximum(outcomes - 3, 0)
  assert (policy == policy[:, :1]).all()
  for i, probability in enumerate(SHOWN.probability[:3]):
    assert _within_five_deviations((policy[:, 0] == i).sum(), CALLS, probability)


def test_every_image_gets_an_operation_with_probability_p(outcomes):
  drawn = outcomes[outcomes[:, 0] <= 3]
  for y, probability in enumerate((0.7 * 0.2, 0.7 * 0.8, 0.3 * 0.2, 0.3 * 0.8)):
    assert _within_five_deviations((drawn == y).sum(), drawn.size, probability)
  for b in (1, 2):  # images are independent of each other
    both = ((drawn[:, 0] >= 2) & (drawn[:, b] >= 2)).sum()
    assert _within_five_deviations(both, len(drawn), 0.3 * 0.3)


def test_every_image_draws_a_policy_and_its_levels():
  """Two policies of one operation; levels 0, 1, 2 of Solarize are thresholds 0, 128 and 256."""
  weights = np.array([[[0.2, 0.5, 0.3]], [[0.0, 1.0, 0.0]]])
  table = policy_table.PolicyTable(('Solarize', 'HorizontalFlip'), 1, 3, np.array([[0], [1]]), np.array([0.7, 0.3]),
                                   np.array([[0.8], [1.0]]), np.zeros((2, 1)), weights)
  images = np.broadcast_to(np.tile(np.array([60, 250], np.uint8), 4)[:, None], (8000, 8, 8))[..., None] / np.float32(255)
  images = images.swapaxes(1, 2)
  out = np.round(255 * np.asarray(jax.jit(policy_table.augmenter(table))(jax.random.key(0), images)))[:, 0, :2, 0]
  counts = [np.all(out == np.array(kind), -1).sum() for kind in ([60, 250], [195, 5], [60, 5], [250, 60])]
  assert sum(counts) == len(images)
  for count, p in zip(counts, (0.7 * (0.2 + 0.8 * 0.3), 0.7 * 0.8 * 0.2, 0.7 * 0.8 * 0.5, 0.3)):
    assert _within_five_deviations(count, len(images), p)


def test_every_image_has_a_sign_of_its_own():
  table = policy_table.PolicyTable(('TranslateX',), 1, 2, np.array([[0]]), np.ones(1), np.ones((1, 1)), np.ones((1, 1)))
  image = jnp.broadcast_to(jnp.linspace(0.2, 1, 8)[None, None, :, None], (32, 8, 8, 1))
  moved = jax.jit(policy_table.augmenter(table))(jax.random.key(0), image)
  to_the_left = int((moved[:, 0, 0, 0] > 0).sum())  # the other side is filled with 0
  assert 4 < to_the_left < 28


def test_the_key_decides_and_jit_changes_nothing():
  keys = [jax.random.key(i) for i in range(8)]
  once, again = (np.stack([shown(key, IMAGES) for key in keys]) for _ in range(2))
  np.testing.assert_array_equal(once, again)
  np.testing.assert_array_equal(once[0], policy_table.augmenter(SHOWN)(keys[0], IMAGES))
  assert len(np.unique(once, axis=0)) > 3


def test_uint8_is_the_float_result_rounded():
  table = policy_table.PolicyTable(('Rotate', 'Color'), 2, 10, np.array([[0, 1]]), np.ones(1), np.ones((1, 2)),
                            np.array([[0.2, 0.7]]))
  augment = jax.jit(policy_table.augmenter(table))
  key = jax.random.key(0)
  as_float = augment(key, IMAGES.astype(np.float32) / 255)
  as_bytes = augment(key, IMAGES)
  assert as_float.dtype == jnp.float32 and 0 <= as_float.min() and as_float.max() <= 1
  assert as_bytes.dtype == jnp.uint8
  np.testing.assert_array_equal(as_bytes, np.round(np.asarray(as_float) * 255))
  assert (as_bytes != IMAGES).any()


@pytest.mark.parametrize('images,error,message', (
    (IMAGES.astype(np.int32), TypeError, 'uint8, or floating'),
    (IMAGES > 9, TypeError, 'got bool'),
    (IMAGES.astype(np.float32), ValueError, r'values in \[0, 1\]'),
    (IMAGES / 100 - 1, ValueError, r'values in \[0, 1\]'),
    (IMAGES[0], ValueError, r'\[B, H, W, C\] with C = 1 or 3, got \(8, 8, 3\)'),
    (IMAGES[..., :2], ValueError, 'C = 1 or 3')))
def test_images_that_are_no_images(images, error, message):
  with pytest.raises(error, match=message):
    policy_table.augmenter(SHOWN)(jax.random.key(0), images)


def test_load_policy_is_the_augmenter_of_the_file(tmp_path):
  content = _changed('policies', value=[{'ops': ['Invert', 'Invert'], 'probability': 1, 'p': [0, 1], 'level': [0, 0]}])
  augment = found.load_policy(_write(tmp_path, content))
  np.testing.assert_array_equal(augment(jax.random.key(0), IMAGES), 255 - IMAGES)
  with pytest.raises(BadInput):
    found.load_policy(tmp_path / 'none')


def test_describe():
  space = Space(('Rotate', 'Invert', 'Solarize'), 2, 10)
  table = {'o': np.array([[0, 1], [2, 0], [1, 1]]), 'probability': np.array([0.5, 0.25, 0.25]),
           'p': np.array([[0.5, 0.612], [0, 1], [0, 0]]), 'm': np.array([[3, 9], [5, 9], [0, 0]])}
  assert policy_table.describe(table, space, top=2) == '''\
probability  operations        applied     magnitude
0.5000       Rotate, Invert    0.50, 0.61  +-10, -
0.2500       Solarize, Rotate  0.00, 1.00  142, +-30'''
  assert len(policy_table.describe(_table(Space()), Space()).split('\n')) == 11


def test_operations_shown_without_a_magnitude_are_those_that_ignore_it():
  image = jnp.zeros((4, 4, 3))

  def ignores(row):
    pair = (image,) * row.pairs
    jaxpr = jax.make_jaxpr(row.fn)(image, jnp.float32(0.5), jax.random.key(0), *pair).jaxpr
    return not any(jaxpr.invars[1] is used for equation in jaxpr.eqns for used in equation.invars)

  assert {row.name for row in OPS.values() if ignores(row)} == {row.name for row in OPS.values() if not row.graded}
