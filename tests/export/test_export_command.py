"""What comes out of a policy's file: Python that runs alone, Albumentations' own form, or one line."""

import importlib.util
import json
import random
import re
import subprocess
import sys

import numpy as np
from PIL import Image
import pytest
from scipy import stats

import commands
from conftest import ROOT
import daas_jax
from daas_jax.errors import BadInput
from daas_jax.export import albumentations as of_albumentations, command, forms
from daas_jax.nets.cells import formats, genotype
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.policies import portable, registry
import policy_forms

IMAGE = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
ALPHA = 1e-4


@pytest.fixture(name='write')
def write_fixture(tmp_path):
  """content -> the path of its file."""
  def write(content, name='policy.json'):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding='utf-8')
    return str(path)
  return write


def _module(path, name='exported'):
  spec = importlib.util.spec_from_file_location(name, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_every_form_of_policy_can_be_exported():
  assert set(registry.formats()) <= set(forms.FORMS)


# --- Python files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', policy_forms.ALL)
def test_pil_is_a_module_with_the_policy_in_it(kind, write, tmp_path, capsys):
  content, out = policy_forms.ALL[kind], tmp_path / 'augmentation.py'
  assert command.main([write(content), '--to=pil', f'--out={out}']) == 0
  assert capsys.readouterr() == ('', '')
  module = _module(out)
  assert module.CONTENT == content
  for progress in (0.0, 1.0):
    rngs = np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(10):
      wanted = portable.Sampler(content)(IMAGE, rngs[0], progress)
      np.testing.assert_array_equal(module.augment(Image.fromarray(IMAGE), rngs[1], progress), wanted)


@pytest.mark.parametrize('kind', policy_forms.ALL)
def test_torchvision_is_a_module_with_a_transform(kind, write, tmp_path):
  out = tmp_path / 'augmentation.py'
  assert command.main([write(policy_forms.ALL[kind]), '--to=torchvision', f'--out={out}']) == 0
  policy, wanted = _module(out).Policy(seed=3), portable.Transform(policy_forms.ALL[kind], 3)
  for _ in range(10):
    np.testing.assert_array_equal(policy(Image.fromarray(IMAGE)), wanted(IMAGE))
  assert repr(policy) == repr(wanted).replace('Transform', 'Policy')


def test_whatever_text_is_in_the_file_stays_a_text(write, capsys):
  content = policy_forms.TABLE | {'comment': "'''\n\"\"\"\\ \u00e9 \u2028 {}%s",
                                  'extra': [None, True, 1e-300, {'a': []}]}
  assert command.main([write(content, 'p"\u00e9\n.json'), '--to=pil']) == 0
  text = capsys.readouterr().out
  assert text.isascii()
  found = {'__name__': 'exported'}
  exec(compile(text, 'exported', 'exec'), found)
  assert found['CONTENT'] == content


def test_an_exported_file_runs_without_jax_and_daas_jax(write, tmp_path):
  path = write(policy_forms.TABLE)
  done = subprocess.run([sys.executable, '-m', 'daas_jax.export', path, '--to=torchvision', f'--out={tmp_path}/out.py'],
                        env=commands.environment(PYTHONPATH=str(ROOT)), text=True, capture_output=True, check=False)
  assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
  code = ("import sys; sys.modules |= {'jax': None, 'daas_jax': None}; import out, numpy as np, pickle; "
          "policy = pickle.loads(pickle.dumps(out.Policy())); "
          "print(policy(np.zeros((5, 4), np.uint8)).size)")
  done = subprocess.run([sys.executable, '-c', code], cwd=tmp_path, text=True, capture_output=True, check=False)
  assert (done.returncode, done.stdout) == (0, '(4, 5)\n'), done.stderr


def test_sample_pairing_is_told(write, capsys):
  assert command.main([write(policy_forms.alone('SamplePairing')), '--to=pil']) == 0
  said = capsys.readouterr()
  assert said.err.count('\n') == 1 and 'give one as partner' in said.err
  found = {'__name__': 'exported'}
  exec(compile(said.out, 'exported', 'exec'), found)
  rng = np.random.default_rng(0)
  np.testing.assert_array_equal(found['augment'](IMAGE, rng), IMAGE)
  blended = np.asarray(found['augment'](IMAGE, rng, partner=255 - IMAGE), int)
  assert np.all(np.abs(blended - (0.6 * IMAGE + 0.4 * (255.0 - IMAGE))) <= 1)


def test_what_the_readme_says_of_it_runs(write, tmp_path, monkeypatch):
  section = (ROOT / 'README.md').read_text(encoding='utf-8').split('### Use a policy anywhere')[1].split('\n## ')[0]
  path = write(policy_forms.TABLE)
  program = re.search(r'```python\n(.*?)```', section, re.DOTALL)[1].replace('runs/quickstart/policy.json', path)
  names = {'daas_jax': daas_jax, 'numpy': np, 'photo': Image.fromarray(IMAGE)}
  exec(compile(program, 'README.md', 'exec'), names)
  assert names['changed'].size == names['transform'](names['photo']).size == names['photo'].size
  monkeypatch.chdir(tmp_path)
  words = re.search(r'`python -m daas_jax.export (.*?)`', section)[1].replace('runs/quickstart/policy.json', path)
  assert command.main(words.split()) == 0 and _module('augmentation.py').augment(IMAGE, np.random.default_rng(0))
  assert all(name.removesuffix('X').removesuffix('Y').replace('Shear', 'shears') in section for name in WITHOUT)


# --- where it is written, and what cannot be ----------------------------------------------------------------


def test_the_same_again_is_done_and_another_file_is_left(write, tmp_path, capsys):
  words = [write(policy_forms.TABLE), '--to=pil', f'--out={tmp_path}/out.py']
  assert command.main(words) == command.main(words) == 0
  before = (tmp_path / 'out.py').read_bytes()
  assert command.main([write(policy_forms.SCHEDULE), *words[1:]]) == 2
  assert 'holds something else: choose another file' in capsys.readouterr().err
  assert (tmp_path / 'out.py').read_bytes() == before


BAD = {
    'no words': ([], 'required: FILE, --to'),
    'no --to': (['{table}'], 'required: --to'),
    'missing file': (['{here}/none.json', '--to=pil'], 'none.json cannot be read'),
    'a folder': (['{here}', '--to=pil'], 'no regular file|Is a directory'),
    'no JSON': (['{text}', '--to=pil'], 'is not a JSON file'),
    'no policy': (['{other}', '--to=pil'], 'none of the "format"s daas_jax.policy,'),
    'a list': (['{list}', '--to=pil'], 'none of the "format"s'),
    'malformed policy': (['{malformed}', '--to=pil'], '"K" must be'),
    'malformed, albumentations': (['{malformed}', '--to=albumentations'], '"K" must be'),
    'unknown target': (['{table}', '--to=keras'], '--to=keras .* choose pil, torchvision, albumentations'),
    'abbreviated flag': (['{table}', '--to=pil', '--ou={here}/x'], 'unrecognized arguments'),
    'existing file': (['{table}', '--to=pil', '--out={text}'], 'holds something else: choose another'),
    'the input itself': (['{table}', '--to=pil', '--out={table}'], 'holds something else'),
    'a folder for a file': (['{table}', '--to=pil', '--out={here}'], 'holds something else'),
    'no such folder': (['{table}', '--to=pil', '--out={here}/none/x.py'], 'cannot be written'),
    'empty --out': (['{table}', '--to=pil', '--out='], '--out is empty'),
    'a URL': (['{table}', '--to=pil', '--out=gs://bucket/x.py'], 'object store: give a local file'),
    'no counterpart': (['{shear}', '--to=albumentations', '--out={here}/a.json'],
                       'no counterpart of ShearX, Cutout; export it with'),
}


@pytest.mark.parametrize('case', BAD)
def test_bad_input_is_one_line_and_status_2(case, write, tmp_path, capsys):
  words, message = BAD[case]
  sheared = policy_forms.alone('ShearX') | {'ops': ['ShearX', 'Invert', 'Cutout'], 'policies': [
      {'ops': [name], 'probability': p, 'p': [1], 'level': [9]}
      for name, p in (('ShearX', 0.5), ('Invert', 0.3), ('Cutout', 0.2))]}
  files = {'here': tmp_path, 'table': write(policy_forms.TABLE), 'text': write('text', 'text'),
           'other': write({'format': 'another'}, 'other'), 'list': write('[]', 'list'),
           'malformed': write({**policy_forms.SCHEDULE, 'K': 9}, 'malformed'), 'shear': write(sheared, 'shear')}
  before = {path: path.read_bytes() for path in tmp_path.iterdir()}
  assert command.main([word.format(**files) for word in words]) == 2
  said = capsys.readouterr()
  assert said.out == '' and said.err.count('\n') == 1 and said.err.startswith('daas_jax.export: ')
  assert re.search(message, said.err), said.err
  assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# --- Albumentations -----------------------------------------------------------------------------------------

WITHOUT = {'ShearX', 'ShearY', 'Sharpness', 'Cutout', 'SamplePairing', 'Blur', 'Smooth'}


def _library():
  return pytest.importorskip('albumentations', reason='albumentations is not installed: pip install it to read what '
                             'is written for it')


def _seeded(content, seed=0):
  """The pipeline with one generator for all of it: set_random_seed would give every part the same numbers."""
  found = _library().from_dict(_pipeline(content))
  found.set_random_state(np.random.default_rng(seed), random.Random(seed))
  return found


def _pipeline(content):
  return json.loads(of_albumentations.pipeline(content, 'p'))


def _smooth(height=61, width=47):
  """A smooth image uint8 [height, width, 3], brighter in its middle than at its border."""
  y, x, c = np.meshgrid(np.linspace(0, 1, height), np.linspace(0, 1, width), np.arange(3), indexing='ij')
  return (40 + 170 * np.sin(np.pi * x) * np.sin(np.pi * y) + 20 * np.sin(9 * x + 5 * y + c)).astype(np.uint8)


def test_operations_without_a_counterpart_are_named():
  for name in portable.OPS:
    try:
      _pipeline(policy_forms.alone(name, 7))
    except Exception as error:  # BadInput, and no other
      assert name in WITHOUT and type(error).__name__ == 'BadInput' and f'no counterpart of {name};' in str(error)
    else:
      assert name not in WITHOUT


def test_what_is_never_applied_needs_no_counterpart():
  content = policy_forms.alone('Invert') | {'ops': ['ShearX', 'Invert'], 'policies': [
      {'ops': ['ShearX'], 'probability': 0.5, 'p': [0], 'level': [9]},
      {'ops': ['ShearX'], 'probability': 0, 'p': [1], 'level': [9]},
      {'ops': ['Invert'], 'probability': 0.5, 'p': [1], 'level': [9]}]}
  assert 'InvertImg' in json.dumps(_pipeline(content))
  still = {'format': 'daas_jax.policy_schedule', 'version': 1, 'K': 1, 'epochs': [{'p_tp': 1, 'p_o': [0.5, 0.5, 0]}],
           'candidates': [{'op': 'ShearX', 'strength': 0.5}, {'op': 'Sharpness', 'strength': 0.5}, {'op': 'Blur'}]}
  assert 'Affine' not in json.dumps(_pipeline(still))  # changes nothing at that strength


@pytest.mark.parametrize('kind', policy_forms.ALL)
def test_albumentations_reads_it_and_writes_the_same(kind, write, tmp_path):
  A = _library()
  out = tmp_path / 'pipeline.json'
  assert command.main([write(policy_forms.ALL[kind]), '--to=albumentations', f'--out={out}']) == 0
  found = A.load(str(out))
  assert json.loads(json.dumps(A.to_dict(found)))['transform'] == json.loads(out.read_text())['transform']
  assert found(image=IMAGE)['image'].shape == IMAGE.shape


@pytest.mark.parametrize('name', sorted(set(portable.OPS) - WITHOUT))
def test_a_counterpart_has_the_same_meaning(name):
  """Beside Pillow on a smooth image: of a signed operation either sign; Translate to whole pixels."""
  image = _smooth(61, 61) if name == 'Rotate90' else _smooth()
  for level in (0, 4, 9):
    found = _seeded(policy_forms.alone(name, level), level)
    value = portable.magnitude(name, level / 9)
    signs = (1, -1) if portable.OPS[name].signed else (1,)
    values = [sign * value for sign in signs]
    if name.startswith('Translate'):
      side = image.shape[1] if name == 'TranslateX' else image.shape[0]
      values = [int(v * side) / side for v in values]
    wanted = [np.asarray(portable.OPS[name].fn(Image.fromarray(image), v, None, None), int) for v in values]
    seen = set()
    for _ in range(20):
      out = found(image=image)['image'].astype(int)
      apart = [np.abs(out - one).mean() for one in wanted]
      seen.add(int(np.argmin(apart)))
      # OpenCV's rounding, a pixel's width along the border of what was turned, another rule of equalising
      assert min(apart) < {'Equalize': 4, 'Rotate': 2}.get(name, 1), (level, apart)
    assert len(seen) == len({v for v in values})


def _check(counts, probability):
  expected = np.array(list(probability.values())) * sum(counts.values())
  assert set(counts) <= set(probability)
  assert stats.chisquare([counts.get(outcome, 0) for outcome in probability], expected).pvalue > ALPHA


def _outcomes(content, image, wanted, n=3000):
  """{outcome: how often the pipeline made an image into it}."""
  found, counts = _seeded(content), {}
  for _ in range(n):
    out = found(image=image)['image']
    name = next((name for name, one in wanted.items() if np.array_equal(out, one)), 'another')
    counts[name] = counts.get(name, 0) + 1
  return counts


def test_its_distribution_is_that_of_a_table():
  image = IMAGE[..., 0]
  content = {'format': 'daas_jax.policy', 'version': 1, 'ops': ['HorizontalFlip', 'Invert', 'VerticalFlip'], 'K': 2,
             'levels': 10, 'policies': [
                 {'ops': ['HorizontalFlip', 'Invert'], 'probability': 0.6, 'p': [0.3, 0.8], 'level': [0, 0]},
                 {'ops': ['VerticalFlip', 'VerticalFlip'], 'probability': 0.4, 'p': [0.0, 0.5], 'level': [0, 0]}]}
  wanted = {'none': image, 'flip': image[:, ::-1], 'invert': 255 - image, 'both': 255 - image[:, ::-1],
            'vertical': image[::-1]}
  _check(_outcomes(content, image, wanted), {
      'none': 0.6 * 0.7 * 0.2 + 0.2, 'flip': 0.6 * 0.3 * 0.2, 'invert': 0.6 * 0.7 * 0.8, 'both': 0.6 * 0.3 * 0.8,
      'vertical': 0.2})


def test_its_distribution_is_that_of_levels_that_are_drawn():
  image = IMAGE[..., 0]
  content = {'format': 'daas_jax.policy', 'version': 2, 'ops': ['Solarize', 'HorizontalFlip'], 'K': 1, 'levels': 3,
             'policies': [{'ops': ['Solarize'], 'probability': 0.7, 'p': [0.8], 'level': [1],
                           'level_probability': [[0.2, 0.5, 0.3]]},
                          {'ops': ['HorizontalFlip'], 'probability': 0.3, 'p': [1.0], 'level': [1],
                           'level_probability': [[0.0, 1.0, 0.0]]}]}
  wanted = {'none': image, 'invert': 255 - image, 'half': np.where(image < 128, image, 255 - image), 'flip': image[:, ::-1]}
  _check(_outcomes(content, image, wanted), {
      'none': 0.7 * (0.2 + 0.8 * 0.3), 'invert': 0.7 * 0.8 * 0.2, 'half': 0.7 * 0.8 * 0.5, 'flip': 0.3})
  sheared = {**content, 'ops': ['ShearX'], 'policies': [{**content['policies'][0], 'ops': ['ShearX'], 'probability': 1}]}
  with pytest.raises(BadInput, match='no counterpart of ShearX;'):
    _pipeline(sheared)


def test_its_distribution_is_that_of_a_schedule_s_last_epoch():
  image = IMAGE[..., 0]
  content = {'format': 'daas_jax.policy_schedule', 'version': 1, 'K': 2,
             'candidates': [{'op': 'HorizontalFlip'}, {'op': 'Invert'}],
             'epochs': [{'p_tp': 0.1, 'p_o': [1, 0]}, {'p_tp': 0.7, 'p_o': [0.25, 0.75]}]}
  wanted = {'none': image, 'both': 255 - image[:, ::-1]}
  _check(_outcomes(content, image, wanted), {'none': 0.3 + 0.7 * (0.25**2 + 0.75**2), 'both': 0.7 * 2 * 0.25 * 0.75})


def test_its_distribution_is_that_of_transformations():
  image = IMAGE[..., 0]
  content = {'format': 'daas_jax.policy_transformations', 'version': 1, 'K': 2, 'ops': ['Invert', 'HorizontalFlip'],
             'epochs': [[0.1, 0.2, 0.3, 0.4]]}
  wanted = {'none': image, 'both': 255 - image[:, ::-1]}
  _check(_outcomes(content, image, wanted), {'none': 0.5, 'both': 0.5})


def test_uniform_magnitudes_are_pillow_s():
  """The share of thresholds that invert, and of whole numbers of bits."""
  rng = np.random.default_rng(0)
  for name, level, wanted in (('Solarize', 200, {200: 55 / 256, 55: 201 / 256}),
                              ('Solarize', 255, {255: 1 / 256, 0: 255 / 256}),
                              ('Posterize', 255, {240: 0.25, 248: 0.25, 252: 0.25, 254: 0.25})):
    image = np.full((2, 2), level, np.uint8)
    content = {'format': 'daas_jax.policy_transformations', 'version': 1, 'K': 1, 'ops': [name], 'epochs': [[1.0]]}
    sampler, found = portable.Sampler(content), _seeded(content)
    for draw in (lambda: np.asarray(sampler(image, rng)), lambda: found(image=image)['image']):
      counts = {}
      for _ in range(2000):
        value = int(draw()[0, 0])
        counts[value] = counts.get(value, 0) + 1
      _check(counts, wanted)


@pytest.mark.parametrize('to', formats.FORMS)
def test_a_pair_of_cells_becomes_what_other_libraries_read(to, tmp_path, capsys):
  found = genotype.random_genotype(3, DAAS_PRIMITIVES)
  genotype.save(str(tmp_path / 'genotype.json'), found)
  assert command.main([str(tmp_path / 'genotype.json'), f'--to={to}', f'--out={tmp_path / "out.txt"}']) == 0
  again = genotype.load(str(tmp_path / 'out.txt'))
  assert (again.normal, again.reduce) == (found.normal, found.reduce)
  assert command.main([str(tmp_path / 'genotype.json'), '--to=pil']) == 2
  assert capsys.readouterr().err == ('daas_jax.export: --to=pil is not what a daas_jax.genotype can become; choose '
                                     'darts, nni, naslib\n')
