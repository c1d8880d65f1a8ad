"""The policy without JAX: every operation beside JAX's, the distribution beside the table, and what it imports."""

import ast
import functools
import hashlib
import itertools
import json
import pathlib
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
from PIL import Image
import pytest
from scipy import stats

from conftest import ROOT
import daas_jax as dx
from daas_jax.augment.ops import magnitude, OPS
from daas_jax.data import sources
from daas_jax.policies import contract, portable, total
import policy_forms as forms
from test_ops import magnitudes, REFERENCE, ROUNDING

CENTRE = (3.6, 20.2)
DRAWS = 6000
ALPHA = 1e-4  # of a test that is right; the seeds are fixed


# --- operations ---------------------------------------------------------------------------------------------


@functools.cache
def _photographs():
  """{name: (image uint8 [H, W, C], a second one)}: of odd sizes, and one of the packaged images."""
  path = pathlib.Path(matplotlib.get_data_path()) / 'sample_data' / 'grace_hopper.jpg'
  with Image.open(path) as file:
    photo = file.convert('RGB')
  wide, high = (np.asarray(photo.resize(size, Image.Resampling.BILINEAR)) for size in ((31, 22), (23, 31)))
  with np.load(ROOT / 'daas_jax' / 'data' / 'embedded' / sources.EMBEDDED_FILE) as file:
    fashion, *_ = sources.unpack(dict(file))
  return {'wide': (wide, wide[::-1]), 'high': (high, high[:, ::-1]), 'grey': (fashion[0], fashion[1])}


def _of_jax(name, image, partner):
  """[10, H, W, C] on the scale of 0..255: every level, nothing of it drawn."""
  fn = REFERENCE[name].fn
  extra = {'Cutout': jnp.array(CENTRE), 'SamplePairing': jnp.asarray(partner, jnp.float32) / 255}.get(name)

  def one(value):
    given = jnp.asarray(image, jnp.float32) / 255
    if fn is None:
      return OPS[name].fn(given, value, None)
    return fn(given, value) if extra is None else fn(given, value, extra)

  return 255 * np.asarray(jax.jit(jax.vmap(one))(jnp.asarray(magnitudes(name), jnp.float32)))


def _of_portable(name, image, value, partner):
  image, partner = portable.as_image(image), portable.as_image(partner)
  if name == 'Cutout':
    return portable.cutout(image, value, CENTRE)
  return portable.OPS[name].fn(image, value, None, partner)  # neither sign nor place is drawn


@pytest.mark.parametrize('name', OPS)
def test_every_operation_at_every_level_is_that_of_jax(name):
  for which, (image, partner) in _photographs().items():
    for level, wanted in enumerate(_of_jax(name, image, partner)):
      out = np.asarray(_of_portable(name, image, float(magnitudes(name)[level]), partner), np.float32)
      difference = np.abs(out.reshape(wanted.shape) - wanted).max()
      assert difference <= REFERENCE[name].tolerance + ROUNDING, (which, level, difference)


@pytest.mark.parametrize('size', [(1, 1), (2, 5), (4, 3), (5, 8), (8, 5), (7, 4)])
@pytest.mark.parametrize('name', ['Rotate90', 'Blur', 'Smooth', 'Sharpness', 'Cutout', 'Equalize'])
def test_small_and_oblong_images(name, size):
  image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
  fraction = np.asarray(_of_portable(name, image, portable.magnitude(name, 1), image), np.float32)
  wanted = _of_jax(name, image, image)[9]
  assert np.abs(fraction - wanted).max() <= REFERENCE[name].tolerance + ROUNDING


@pytest.mark.parametrize('name', ['Posterize', 'Solarize', 'Brightness', 'Rotate'])
def test_a_candidate_beyond_the_range(name):
  image, _ = _photographs()['wide']
  value = portable.magnitude(name, 1.5)
  fn = REFERENCE[name].fn or (lambda image, value: OPS[name].fn(image, value, None))
  wanted = 255 * np.asarray(jax.jit(fn)(jnp.asarray(image, jnp.float32) / 255, jnp.float32(value)))
  out = np.asarray(_of_portable(name, image, value, image), np.float32)
  assert np.abs(out - wanted).max() <= REFERENCE[name].tolerance + ROUNDING
  assert (out > 0).mean() > 0.3  # nothing is black


def test_the_table_is_that_of_jax():
  assert list(portable.OPS) == list(OPS)
  for name, row in portable.OPS.items():
    assert (row.low, row.high, row.signed) == (OPS[name].low, OPS[name].high, OPS[name].signed)
    for strength in (0.0, 1 / 3, 1.0, 1.4):
      assert portable.magnitude(name, strength) == magnitude(name, strength)


@pytest.mark.parametrize('name', [name for name, row in OPS.items() if row.signed])
def test_signs_are_drawn(name):
  image, rng = portable.as_image(_photographs()['wide'][0]), np.random.default_rng(0)
  either = [np.asarray(portable.OPS[name].fn(image, sign * portable.OPS[name].high, None, None)) for sign in (1, -1)]
  drawn = [np.asarray(portable.apply(image, name, 1.0, rng)) for _ in range(200)]
  first, second = (sum(np.array_equal(x, one) for x in drawn) for one in either)
  assert first + second == 200 and stats.binomtest(first, 200).pvalue > ALPHA


def test_places_of_cutout_are_uniform():
  """A box of 7 = int(0.2 * 32) + 1 pixels with a uniform centre, clipped: every pixel covered at its due rate."""
  image, rng = Image.new('L', (32, 32), 255), np.random.default_rng(0)
  holes = np.stack([np.asarray(portable.apply(image, 'Cutout', 1.0, rng)) for _ in range(DRAWS)]) < 255
  first = np.floor((np.arange(320000) + 0.5) / 10000 - 3.2)
  covered = np.array([np.mean((first <= p) & (p < first + 7)) for p in range(32)])
  for axis in (1, 2):
    share = holes.any(axis).mean(0)
    assert np.all(np.abs(share - covered) < 5 * np.sqrt(covered * (1 - covered) / DRAWS))


# --- the distribution ---------------------------------------------------------------------------------------


def _check(counts, probability):
  """The outcomes are those that can be, as often as they should be (chi-square)."""
  assert set(counts) <= {outcome for outcome, p in probability.items() if p > 0}
  outcomes = [outcome for outcome, p in probability.items() if p > 0]
  expected = np.array([probability[outcome] for outcome in outcomes]) * sum(counts.values())
  assert expected.min() > 5 and abs(expected.sum() - sum(counts.values())) < 1e-6
  assert stats.chisquare([counts.get(outcome, 0) for outcome in outcomes], expected).pvalue > ALPHA


def _drawn(content, progress=1.0, smoothing=1):
  sampler, rng = portable.Sampler(content, smoothing), np.random.default_rng(0)
  return [tuple(sampler.draw(rng, progress)) for _ in range(DRAWS)]


def _counted(draws):
  counts = {}
  for draw in draws:
    counts[draw] = counts.get(draw, 0) + 1
  return counts


def test_a_table_draws_policies_and_applications_by_their_probabilities():
  probability = {}
  for row in forms.TABLE['policies']:
    steps = [(name, level / 9) for name, level in zip(row['ops'], row['level'])]
    for y in itertools.product((0, 1), repeat=2):
      outcome = tuple(step if taken else None for step, taken in zip(steps, y))
      p = np.prod([p if taken else 1 - p for p, taken in zip(row['p'], y)])
      probability[outcome] = probability.get(outcome, 0) + row['probability'] * p
  _check(_counted(_drawn(forms.TABLE)), probability)


def test_levels_are_drawn_by_their_probabilities():
  probability = {}
  for row in forms.IMAGES['policies']:
    slots = [[(None, 1 - p)] + [((name, m / 2), p * w) for m, w in enumerate(weights)]
             for name, p, weights in zip(row['ops'], row['p'], row['level_probability'])]
    for (a, p_a), (b, p_b) in itertools.product(*slots):
      probability[a, b] = probability.get((a, b), 0) + row['probability'] * p_a * p_b
  _check(_counted(_drawn(forms.IMAGES)), probability)


@pytest.mark.parametrize('form', forms.BOTH_SIGNS)
def test_a_file_of_an_earlier_version_is_drawn_as_what_it_means(form):
  earlier, today = (_drawn(dx.Policy(content).content) for content in forms.BOTH_SIGNS[form])
  if form == 'images':  # two levels of the earlier file are one of today's: another order of the same draws
    outcomes, share = _counted(today), lambda draws, x: _counted(draws).get(x, 0) / DRAWS
    assert set(outcomes) == set(_counted(earlier))
    assert all(abs(share(earlier, x) - share(today, x)) < 5 * np.sqrt(2 * 0.25 / DRAWS) for x in outcomes)
    assert sum(x == ('Rotate', 1.0) for x, _ in earlier) > 2 * sum(x == ('Rotate', 0.0) for x, _ in earlier) > 0
  else:
    rounded = lambda draws: [[x and (x[0], round(x[1], 12)) for x in draw] for draw in draws]
    assert rounded(earlier) == rounded(today)


@pytest.mark.parametrize('progress, epoch', [(0.0, 0), (0.5, 1), (0.7, 2), (1.0, 2)])
@pytest.mark.parametrize('smoothing', [1, 3])
def test_a_schedule_applies_all_or_nothing_of_its_epoch(progress, epoch, smoothing):
  found = total.from_json(forms.SCHEDULE, 'p')
  p_tp, p_o = total.smoothed(found.p_tp, smoothing)[epoch], found.p_o[epoch]
  candidates = [(c.op, c.strength) for c in found.space.candidates]
  probability = {(None, None): 1 - p_tp}
  probability |= {(a, b): p_tp * p_o[i] * p_o[j]
                  for (i, a), (j, b) in itertools.product(enumerate(candidates), repeat=2)}
  _check(_counted(_drawn(forms.SCHEDULE, progress, smoothing)), probability)


@pytest.mark.parametrize('progress, epoch', [(0.49, 0), (0.5, 1)])
def test_transformations_have_the_probabilities_of_their_epoch_and_uniform_strengths(progress, epoch):
  draws = _drawn(forms.TRANSFORMATIONS, progress)
  pairs = itertools.product(forms.TRANSFORMATIONS['ops'], repeat=2)
  probability = dict(zip(pairs, forms.TRANSFORMATIONS['epochs'][epoch], strict=True))
  _check(_counted(tuple(name for name, _ in draw) for draw in draws), probability)
  for k in (0, 1):
    assert stats.kstest([draw[k][1] for draw in draws], 'uniform').pvalue > ALPHA


@pytest.mark.parametrize('width', [1, 3, 5, 99])
def test_smoothing_is_the_mean_filter_of_the_schedule(width):
  np.testing.assert_allclose(portable.Sampler(forms.SCHEDULE, width)._form.p_tp,
                             total.smoothed([0.2, 0.9, 0.4], width), rtol=1e-12)


def test_the_epoch_of_a_progress_is_that_of_jax():
  of_jax = jax.jit(contract.epoch_at, static_argnums=1)
  for epochs in (1, 3, 10, 600):
    for progress in (*np.arange(21) / 20, *np.arange(11) / epochs, -0.5, 1.5):
      assert portable._epoch(progress, epochs) == of_jax(np.float32(progress), epochs), (progress, epochs)


def test_progress_and_generator_decide():
  image = _photographs()['wide'][0]
  sampler = portable.Sampler(forms.SCHEDULE)
  once, again = ([np.asarray(sampler(image, np.random.default_rng(i), 0.5)) for i in range(20)] for _ in range(2))
  np.testing.assert_array_equal(once, again)
  assert len(np.unique(once, axis=0)) > 2


def test_a_partner_goes_through_what_comes_before_the_pairing():
  content = {'format': 'daas_jax.policy', 'version': 3, 'ops': ['Invert', 'SamplePairing'], 'K': 2, 'levels': 10,
             'policies': [{'ops': ['Invert', 'SamplePairing'], 'probability': 1, 'p': [1, 1], 'level': [0, 9]}]}
  sampler, rng = portable.Sampler(content), np.random.default_rng(0)
  image, partner = Image.new('L', (4, 4), 100), Image.new('RGB', (7, 3), (50, 50, 50))
  assert np.all(np.asarray(sampler(image, rng)) == 155)  # none: left as it is
  assert np.all(np.abs(np.asarray(sampler(image, rng, partner=partner), int) - (0.6 * 155 + 0.4 * 205)) <= 1)


# --- input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('array, mode', [((5, 4), 'L'), ((5, 4, 1), 'L'), ((5, 4, 3), 'RGB')])
def test_arrays_become_images(array, mode):
  image = portable.Sampler(forms.TABLE)(np.zeros(array, np.uint8), np.random.default_rng(0))
  assert image.mode == mode and image.size == (4, 5)


@pytest.mark.parametrize('image, error, message', [
    (np.zeros((5, 4, 3), np.float32), TypeError, 'must be uint8 of 0 to 255, got float32'),
    (np.zeros((5, 4, 2), np.uint8), ValueError, r'got \(5, 4, 2\)'),
    (np.zeros((0, 4), np.uint8), ValueError, r'got \(0, 4\)'),
    (np.zeros((1, 5, 4, 3), np.uint8), ValueError, r'got \(1, 5, 4, 3\)'),
    (Image.new('RGBA', (4, 5)), ValueError, r"mode L or RGB, got RGBA; use .convert\('RGB'\)"),
    (Image.new('P', (4, 5)), ValueError, 'got P')])
def test_images_that_are_no_images(image, error, message):
  with pytest.raises(error, match=message):
    portable.Sampler(forms.TABLE)(image, np.random.default_rng(0))


@pytest.mark.parametrize('content, message', [
    ({'format': 'daas_jax.genotype', 'version': 1}, "got version 1 of 'daas_jax.genotype'"),
    ({**forms.TABLE, 'version': 5}, 'got version 5'), ({**forms.SCHEDULE, 'version': 3}, 'got version 3'),
    ({}, 'got version None of None'),
    (forms.alone('Explode'), "unknown operation 'Explode'; known are ShearX")])
def test_content_that_is_no_policy(content, message):
  with pytest.raises(ValueError, match=message):
    portable.Sampler(content)


# --- where it runs ------------------------------------------------------------------------------------------


def test_it_imports_numpy_pillow_and_the_standard_library():
  tree = ast.parse(pathlib.Path(portable.__file__).read_text(encoding='utf-8'))
  names = set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names |= {a.name.split('.')[0] for a in node.names}
    elif isinstance(node, ast.ImportFrom):
      names.add(node.module.split('.')[0])
  assert names - set(sys.stdlib_module_names) == {'numpy', 'PIL'}


ALONE = '''
import sys
for name in ('jax', 'jaxlib', 'flax', 'daas_jax', 'scipy', 'torch'):
  sys.modules[name] = None  # to import it is an ImportError
import hashlib, json, pickle
import numpy as np
import copied
for content in json.loads(sys.argv[1]):
  image = copied.Sampler(content)(np.arange(180, dtype=np.uint8).reshape(10, 6, 3), np.random.default_rng(3))
  print(hashlib.sha256(image.tobytes()).hexdigest())
here = copied.Transform(json.loads(sys.argv[1])[0], 7)
with open('transform.pickle', 'xb') as file:
  pickle.dump(here, file)
print([here._generator().random() for _ in range(2)])
'''
ELSEWHERE = '''
import pickle
with open('transform.pickle', 'rb') as file:
  print([pickle.load(file)._generator().random()])
'''


def _run(folder, code, *words):
  done = subprocess.run([sys.executable, '-c', code, *words], cwd=folder, text=True, capture_output=True, check=False)
  assert done.returncode == 0, done.stderr
  return done.stdout.splitlines()


def test_a_copy_runs_alone_and_other_processes_draw_other_numbers(tmp_path):
  shutil.copy(portable.__file__, tmp_path / 'copied.py')
  *digests, own = _run(tmp_path, ALONE, json.dumps(list(forms.ALL.values())))
  image = np.arange(180, dtype=np.uint8).reshape(10, 6, 3)
  here = [portable.Sampler(content)(image, np.random.default_rng(3)) for content in forms.ALL.values()]
  assert digests == [hashlib.sha256(x.tobytes()).hexdigest() for x in here]
  seeded = portable.Transform(forms.TABLE, 7)  # where it was made, the seed decides alone
  assert json.loads(own) == [seeded._generator().random() for _ in range(2)]
  others = [_run(tmp_path, ELSEWHERE)[0] for _ in range(2)]
  assert len({own[:len(others[0]) - 1] + ']', *others}) == 3


def test_transforms_without_a_seed_draw_different_numbers():
  first, second = (portable.Transform(forms.TABLE)._generator().random(4) for _ in range(2))
  assert not np.array_equal(first, second)
  with pytest.raises(ValueError):
    portable.Transform(forms.TABLE, -1)
