"""A policy of every epoch: its file, stretched over a training, smoothed, and applied with its total probability."""

import collections
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import daas_jax
from daas_jax.errors import BadInput
from daas_jax.policies import contract, found, given, portable, total
from daas_jax.policies.candidates import Candidate, Space
from daas_jax.policies.total import Schedule
import policy_forms as forms

SPACE = Space((Candidate('Invert', 0.0), Candidate('Identity', 0.0), Candidate('Brightness', 1.4)), K=2)


def _schedule():
  return Schedule(SPACE, np.array([0.0, 0.5, 1.0]), np.array([[1, 0, 0], [0.2, 0.3, 0.5], [0, 1, 0]], float))


def test_the_file_is_read_back_and_its_bytes_repeat(tmp_path):
  total.save(tmp_path / 'a.json', _schedule())
  total.save(tmp_path / 'b.json', _schedule())
  assert (tmp_path / 'a.json').read_bytes() == (tmp_path / 'b.json').read_bytes()
  read = found.load(tmp_path / 'a.json')
  assert read.space == SPACE
  np.testing.assert_allclose(read.p_tp, _schedule().p_tp)
  np.testing.assert_allclose(read.p_o, _schedule().p_o)
  assert json.loads((tmp_path / 'a.json').read_text())['candidates'][2] == {
      'op': 'Brightness', 'strength': 1.4, 'magnitude': pytest.approx(2.62)}


def test_a_search_shorter_than_the_training_is_stretched_by_nearest_neighbour():
  """20 epochs of a search over 50 of a training: those of SciPy's nearest-neighbour resampling at epochs' middles."""
  at = [int(contract.epoch_at((e + 0.5) / 50, 20)) for e in range(50)]
  assert at == [int((e + 0.5) * 20 / 50) for e in range(50)] and at[0] == 0 and at[-1] == 19
  assert [int(contract.epoch_at(p, 3)) for p in (0.0, 0.33, 0.34, 0.99, 1.0)] == [0, 0, 1, 2, 2]


@pytest.mark.parametrize('width', [1, 3, 5, 9])
def test_smoothing_is_a_mean_over_the_epochs_that_there_are(width):
  p = np.array([0.1, 0.9, 0.2, 0.4, 0.7, 0.6])
  half = width // 2
  expected = [p[max(0, t - half):t + half + 1].mean() for t in range(len(p))]
  np.testing.assert_allclose(total.smoothed(p, width), expected, rtol=1e-12)


def test_images_get_all_of_a_policy_or_nothing_with_the_epochs_probability():
  images = jnp.full((400, 2, 2, 1), 0.25)
  augment = jax.jit(total.augmenter(_schedule()))
  clean = augment(jax.random.key(0), images, 0.1)
  np.testing.assert_array_equal(clean, images)  # p_tp 0
  last = augment(jax.random.key(0), images, 0.9)
  np.testing.assert_array_equal(last, images)  # Identity
  one = jax.jit(total.augmenter(Schedule(SPACE, np.array([0.4]), np.array([[0.0, 0.0, 1.0]]))))
  out = np.asarray(one(jax.random.key(3), images))[:, 0, 0, 0]
  changed = out != 0.25
  assert 0.3 < changed.mean() < 0.5
  np.testing.assert_allclose(out[changed], min(1, 0.25 * 2.62**2), rtol=1e-5)  # both operations, never one


def test_the_middle_epoch_draws_by_its_probabilities():
  images = jnp.full((1, 2, 2, 1), 0.25)
  always = Schedule(SPACE, np.array([1.0]), np.array([[0.2, 0.3, 0.5]]))
  augment = jax.jit(jax.vmap(total.augmenter(always), (0, None)))
  out = np.asarray(augment(jax.random.split(jax.random.key(5), 2000), images))[:, 0, 0, 0, 0]
  operations = [(0.2, lambda v: 1 - v), (0.3, lambda v: v), (0.5, lambda v: min(1.0, 2.62 * v))]
  expected = collections.Counter()
  for (p_1, first), (p_2, second) in itertools.product(operations, repeat=2):
    expected[round(second(first(0.25)), 4)] += p_1 * p_2
  for value, p in expected.items():
    assert np.mean(np.abs(out - value) < 1e-3) == pytest.approx(p, abs=0.05), value


def test_smoothing_reaches_the_augmenter(tmp_path):
  once = Schedule(Space(SPACE.candidates, 1), np.array([0.0, 1.0, 0.0]), np.tile([1.0, 0, 0], (3, 1)))  # Invert
  total.save(tmp_path / 'p.json', once)
  images = jnp.zeros((300, 2, 2, 1))
  for smoothing, share in ((1, 1), (3, 1 / 3)):
    augment = jax.jit(found.load_policy(tmp_path / 'p.json', smoothing))
    assert np.mean(augment(jax.random.key(1), images, 0.5)) == pytest.approx(share, abs=0.1)


def test_the_table_is_the_last_epochs(tmp_path):
  made = Schedule(SPACE, np.array([0.1, 0.6]), np.array([[1.0, 0, 0], [0.2, 0.3, 0.5]]))
  total.save(tmp_path / 'p.json', made)
  table = found.load_table(tmp_path / 'p.json')
  assert len(table.probability) == 9 and table.probability.sum() == pytest.approx(1)
  assert table.probability[0] == pytest.approx(0.25) and [table.ops[i] for i in table.o[0]] == ['Brightness'] * 2
  assert (np.diff(table.probability) <= 1e-12).all() and (table.p == 0.6).all()


def test_a_file_of_an_earlier_version_means_what_it_meant():
  earlier, today = (total.from_json(content, 'p') for content in forms.BOTH_SIGNS['schedule'])
  for a, b in zip(earlier.space.candidates, today.space.candidates, strict=True):
    assert a.op == b.op and a.strength == pytest.approx(b.strength, abs=1e-12)
  np.testing.assert_array_equal(earlier.p_o, today.p_o)


@pytest.mark.parametrize('what, p_tp, p_o', [('', [0, 1, 2], [0, 1, 2]), ('p_tp', [2, 2, 2], [0, 1, 2]),
                                            ('p_o', [0, 1, 2], [2, 2, 2]), ('all', [2, 2, 2], [2, 2, 2])])
def test_what_is_fixed_is_that_of_the_last_epoch(tmp_path, what, p_tp, p_o):
  """DDAS Table 6; without JAX too."""
  total.save(tmp_path / 'p.json', _schedule())
  policy = found.load_policy(tmp_path / 'p.json', fixed=what)
  held = total.from_json(policy.content, 'p')
  np.testing.assert_array_equal(held.p_tp, _schedule().p_tp[p_tp])
  np.testing.assert_array_equal(held.p_o, _schedule().p_o[p_o])
  once = portable.Sampler(policy.content)._form
  np.testing.assert_array_equal(once.p_tp, _schedule().p_tp[p_tp])


def test_what_cannot_be_fixed(tmp_path):
  (tmp_path / 'table.json').write_text(json.dumps(forms.TABLE))
  (tmp_path / 'epochs.json').write_text(json.dumps(forms.TRANSFORMATIONS))
  for name, what, says in (('table', 'all', 'no epochs of every epoch'), ('table', 'p_tp', 'no p_tp of every epoch'),
                           ('epochs', 'p_o', 'no p_o of every epoch'), ('epochs', 'tp', "fixed must be one of '', 'p_tp'")):
    with pytest.raises(BadInput, match=says):
      found.load_policy(tmp_path / f'{name}.json', fixed=what)
  assert found.load_policy(tmp_path / 'epochs.json', fixed='all').content['epochs'][0] == forms.TRANSFORMATIONS['epochs'][1]
  with pytest.raises(BadInput, match='the policy standard is the same in all epochs: leave out train.policy_fixed=all'):
    given.find('standard', None, fixed='all')


def _broken(change):
  content = json.loads(total.to_text(_schedule()))
  change(content)
  return json.dumps(content)


@pytest.mark.parametrize('change, said', [
    (lambda c: c.update(version=3), 'version 3'), (lambda c: c.update(K=0), '"K" must be'),
    (lambda c: c.update(candidates=[]), '"candidates" must be'),
    (lambda c: c['candidates'].append({'op': 'Nothing'}), 'no known operation'),
    (lambda c: c['candidates'].append({'op': 'Rotate'}), 'Rotate:0.5'),
    (lambda c: c.update(epochs=[]), '"epochs" must be'),
    (lambda c: c['epochs'][1].update(p_tp=1.5), r'epochs\[1\]: "p_tp"'),
    (lambda c: c['epochs'][1]['p_o'].pop(), r'epochs\[1\]: "p_o" must be a list of 3'),
    (lambda c: c['epochs'][2].update(p_o=[0.5, 0.2, 0.2]), 'sums to 0.9'),
    (lambda c: c['epochs'][0].update(p_o='x'), '"p_o" must be')])
def test_damaged_files_say_what_is_wrong(tmp_path, change, said):
  path = tmp_path / 'policy.json'
  path.write_text(_broken(change))
  with pytest.raises(BadInput, match=said) as error:
    found.load_policy(path)
  assert str(path) in str(error.value) and '\n' not in str(error.value)


def test_the_epoch_of_a_progress_of_half_precision():
  for dtype in (jnp.bfloat16, jnp.float16):
    progress = jnp.arange(0, 1, 1 / 256).astype(dtype)  # both types hold them exactly
    np.testing.assert_array_equal(contract.epoch_at(progress, 600), np.arange(256) * 600 // 256)


@pytest.mark.parametrize('smoothing', [2, 0, -1, 1.5, '3', True, None])
def test_another_width_of_the_filter_is_one_line(smoothing, tmp_path):
  """Also of a file that has nothing to smooth, and before that is read."""
  path = tmp_path / 'policy.json'
  total.save(str(path), Schedule(Space((Candidate('Invert', 0.0),), 1), np.array([0.5]), np.ones((1, 1))))
  for run in (lambda: daas_jax.load_policy(str(path), smoothing=smoothing),
              lambda: daas_jax.load_policy(str(tmp_path / 'none.json'), smoothing=smoothing),
              lambda: total.smoothed([0.1, 0.2, 0.3], smoothing)):
    with pytest.raises(BadInput, match='^smoothing must be an odd whole number of epochs[^\n]*$'):
      run()
  daas_jax.load_policy(str(path), smoothing=np.int64(3))
