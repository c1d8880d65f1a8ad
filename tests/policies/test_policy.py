"""A policy as an object: a function as before, of one image too, of PIL images, and its file again."""

import json
import pickle

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
import pytest

import daas_jax as dx
from daas_jax.errors import BadInput
from daas_jax.policies import categorical, portable, registry, table, total, transformations
from daas_jax.policies.candidates import Candidate
import policy_forms as forms

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 9, 8, 3), dtype=np.uint8)
KEY = jax.random.key(0)


@pytest.fixture(name='path', params=forms.ALL)
def path_fixture(request, tmp_path):
  """A policy.json of every form."""
  path = tmp_path / 'policy.json'
  path.write_text(json.dumps(forms.ALL[request.param]))
  return path


def test_there_is_one_of_every_form():
  assert {content['format'] for content in forms.ALL.values()} == set(registry.formats())


def test_the_file_is_a_policy_and_its_function_as_before(path):
  policy = dx.load_policy(path)
  assert isinstance(policy, dx.Policy)
  content = json.loads(path.read_text())
  row = registry.formats()[content['format']]
  before = row.augmenter(row.read(content, 'p'), 1)
  for progress in (0.0, 1.0):
    np.testing.assert_array_equal(policy(KEY, IMAGES, progress), before(KEY, IMAGES, progress))
  np.testing.assert_array_equal(jax.jit(policy)(KEY, IMAGES), policy(KEY, IMAGES))
  assert policy.content == content
  policy.content['format'] = 'changed'
  assert policy.content == content  # a copy
  wanted = row.table(row.read(content, 'p'))
  assert policy.table[:3] == wanted[:3] and np.array_equal(policy.table.probability, wanted.probability)


def _searched(kind, path):
  """Has a search's own writer write the file."""
  if kind == 'table':
    space = categorical.Space(('Rotate', 'Invert'), 2, 10)
    table.save(path, categorical.table(categorical.init(KEY, space), space), space)
  elif kind == 'schedule':
    space = total.Space((Candidate('Rotate', 0.6), Candidate('Equalize', 0.0)), 2)
    total.save(path, total.Schedule(space, np.array([0.2, 1 / 3]), np.array([[0.3, 0.7], [0.0, 1.0]])))
  else:
    space = transformations.Space(('Rotate', 'Invert'), 2)
    transformations.save(path, transformations.Transformations(space, np.full((2, 4), 0.25)))


@pytest.mark.parametrize('kind', forms.ALL)
def test_its_text_is_that_of_the_search_to_the_byte(kind, tmp_path):
  _searched(kind, tmp_path / 'policy.json')
  policy = dx.load_policy(tmp_path / 'policy.json')
  policy.save(tmp_path / 'again.json')
  text = (tmp_path / 'policy.json').read_text()
  assert policy.to_text() == (tmp_path / 'again.json').read_text() == text
  assert dx.load_policy(tmp_path / 'again.json').content == policy.content


def test_it_can_be_saved_to_a_url():
  policy = dx.Policy(forms.TABLE)
  with pytest.raises(BadInput, match='no file system is known'):
    policy.save('nowhere://bucket/policy.json')


def test_repr_is_one_readable_line():
  assert repr(dx.Policy(forms.TABLE)) == 'Policy(daas_jax.policy: K = 2, 3 ops, levels = 10, 3 policies)'
  assert repr(dx.Policy(forms.SCHEDULE, smoothing=3)) == (
      'Policy(daas_jax.policy_schedule: K = 2, 3 candidates, 3 epochs, smoothing = 3)')
  assert repr(dx.Policy(forms.TRANSFORMATIONS)) == (
      'Policy(daas_jax.policy_transformations: K = 2, 3 ops, 2 epochs)')


def test_one_image_is_a_batch_of_one():
  policy = dx.Policy(forms.TABLE)
  for images in (IMAGES, IMAGES / np.float32(255), IMAGES[..., :1]):
    one = policy(KEY, images[0])
    assert one.shape == images[0].shape and one.dtype == images.dtype
    batch = policy(KEY, images[:1])
    np.testing.assert_array_equal(one, batch[0])
    np.testing.assert_allclose(jax.jit(policy)(KEY, images[0]), one, atol=1e-5)


def test_vmap_gives_every_image_a_policy_of_its_own():
  policy, image = dx.Policy(forms.alone('TranslateX')), np.full((9, 8, 1), 0.5, np.float32)
  keys = jax.random.split(KEY, 16)
  both = jax.vmap(policy, (0, None))(keys, image)
  assert both.shape == (16, 9, 8, 1) and len(np.unique(both, axis=0)) == 2  # either sign
  np.testing.assert_allclose(both[3], policy(keys[3], image), atol=1e-6)


def test_grad_goes_through_the_images():
  policy = dx.Policy(forms.alone('Invert'))
  slope = jax.grad(lambda image: jnp.sum(policy(KEY, image)))(jnp.full((4, 4, 3), 0.3))
  np.testing.assert_array_equal(slope, -1)


@pytest.mark.parametrize('images, error, message', (
    (IMAGES.astype(np.int32), TypeError, 'uint8, or floating'),
    (IMAGES[0].astype(np.float32), ValueError, r'values in \[0, 1\]'),
    (IMAGES[..., :2], ValueError, 'C = 1 or 3'),
    (IMAGES[0, ..., :2], ValueError, r'\[H, W, C\] with C = 1 or 3, got \(9, 8, 2\)'),
    (IMAGES[0, ..., 0], ValueError, r'got \(9, 8\)')))
def test_images_that_are_no_images(images, error, message):
  with pytest.raises(error, match=message):
    dx.Policy(forms.TABLE)(KEY, images)


def test_content_that_is_no_policy():
  for content, message in (({}, '"format" is not'), (None, '"format" is not'),
                           ({**forms.SCHEDULE, 'K': 9}, 'policy: "K" must be')):
    with pytest.raises(BadInput, match=message):
      dx.Policy(content)
  with pytest.raises(BadInput, match='smoothing must be an odd'):
    dx.Policy(forms.SCHEDULE, smoothing=2)


@pytest.mark.parametrize('kind', forms.ALL)
def test_pil_is_the_portable_module(kind):
  policy, image = dx.Policy(forms.ALL[kind], smoothing=3), Image.fromarray(IMAGES[0])
  sampler = portable.Sampler(forms.ALL[kind], 3)
  for progress in (0.0, 1.0):
    rngs = np.random.default_rng(1), np.random.default_rng(1)
    for _ in range(5):
      out = policy.pil(image, rngs[0], progress)
      assert out.mode == 'RGB' and out.size == image.size
      np.testing.assert_array_equal(out, sampler(IMAGES[0], rngs[1], progress))


def test_pil_is_the_function_where_nothing_is_drawn():
  """Two operations whose tables are exact, in their order."""
  content = forms.alone('Solarize', 4)
  content |= {'ops': ['Solarize', 'Posterize'], 'K': 2, 'policies': [
      {'ops': ['Solarize', 'Posterize'], 'probability': 1, 'p': [1, 1], 'level': [4, 2]}]}
  policy = dx.Policy(content)
  np.testing.assert_array_equal(policy.pil(IMAGES[0], np.random.default_rng(0)), policy(KEY, IMAGES[0]))


def test_it_can_be_pickled():
  policy = pickle.loads(pickle.dumps(dx.Policy(forms.SCHEDULE, smoothing=3)))
  assert repr(policy) == repr(dx.Policy(forms.SCHEDULE, smoothing=3))
  np.testing.assert_array_equal(policy(KEY, IMAGES, 0.4), dx.Policy(forms.SCHEDULE, 3)(KEY, IMAGES, 0.4))


def test_for_torchvision_has_the_policy_s_smoothing_and_progress():
  transform = dx.Policy(forms.SCHEDULE, smoothing=3).for_torchvision(seed=5, progress=0.0)
  wanted = portable.Transform(forms.SCHEDULE, 5, 0.0, 3)
  for _ in range(5):
    np.testing.assert_array_equal(transform(IMAGES[0]), wanted(IMAGES[0]))
  assert transform.progress == 0.0 and repr(transform) == 'Transform(Contrast, Equalize, Rotate)'
