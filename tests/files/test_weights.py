"""Arrays in files: what was saved comes back to the bit, and what else a file may hold is one line."""

import json

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from daas_jax.errors import BadInput
from daas_jax.files import weights

TYPES = (np.bool_, ml_dtypes.bfloat16, np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64, np.uint8,
         np.uint16, np.uint32, np.uint64)


def _tree():
  rng = np.random.default_rng(0)
  return {'params': {'stem': rng.normal(size=(3, 2)).astype(np.float32), 'cell0': {'1_sep_conv_3x3.dw1': np.arange(4)}},
          'batch_stats': {'stem': {'mean': np.float32([0.5])}}}


def _same(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert isinstance(x, np.ndarray) and x.dtype == y.dtype and x.shape == y.shape
    assert x.tobytes() == np.asarray(y).tobytes()


def test_what_was_saved_comes_back(tmp_path):
  weights.save(tmp_path / 'a.safetensors', _tree())
  _same(weights.load(tmp_path / 'a.safetensors'), _tree())
  weights.save(str(tmp_path / 'b.safetensors'), dict(reversed(_tree().items())))
  assert (tmp_path / 'a.safetensors').read_bytes() == (tmp_path / 'b.safetensors').read_bytes()


@pytest.mark.parametrize('dtype', TYPES)
@pytest.mark.parametrize('shape', [(), (0,), (0, 3), (5,), (2, 3, 4)])
def test_every_type_and_shape(dtype, shape, tmp_path):
  x = (np.random.default_rng(1).normal(size=shape) * 3).astype(dtype)
  weights.save(tmp_path / 'x', {'x': x})
  _same(weights.load(tmp_path / 'x'), {'x': x})


def test_arrays_of_jax_and_numbers_that_are_none(tmp_path):
  x = jnp.array([1.0, jnp.nan, -jnp.inf, -0.0, 1e-40], jnp.bfloat16)
  weights.save(tmp_path / 'x', {'x': x, 'y': np.float32(2)})
  _same(weights.load(tmp_path / 'x'), {'x': np.asarray(x), 'y': np.array(2, np.float32)})


@pytest.mark.parametrize('view', [lambda x: x.T, lambda x: x[:, ::2], lambda x: x[::-1], lambda x: x.astype('>f4'),
                                  lambda x: np.broadcast_to(x[0], (3, 4))])
def test_an_array_that_lies_in_memory_in_another_order(view, tmp_path):
  x = view(np.arange(12, dtype=np.float32).reshape(3, 4))
  weights.save(tmp_path / 'x', {'x': x})
  np.testing.assert_array_equal(weights.load(tmp_path / 'x')['x'], x)


def test_another_program_reads_it_and_is_read(tmp_path):
  weights.save(tmp_path / 'x', _tree())
  theirs = safetensors.numpy.load_file(tmp_path / 'x')
  np.testing.assert_array_equal(theirs['params/cell0/1_sep_conv_3x3.dw1'], np.arange(4))
  safetensors.numpy.save_file(theirs, tmp_path / 'y', metadata={'framework': 'pt'})
  _same(weights.load(tmp_path / 'y'), _tree())


def test_an_npz_file_is_read(tmp_path):
  np.savez(tmp_path / 'x.npz', **{'params/stem': np.ones(2)})
  _same(weights.load(tmp_path / 'x.npz'), {'params': {'stem': np.ones(2)}})
  np.savez(tmp_path / 'x.npz', x=np.array([{}], object))  # a pickle
  with pytest.raises(BadInput, match='x.npz is damaged'):
    weights.load(tmp_path / 'x.npz')


@pytest.mark.parametrize('tree, says', [
    ({'a/b': np.ones(1)}, "'a/b' names"), ({'a': {'': np.ones(1)}}, "'' names"), ({3: np.ones(1)}, '3 names'),
    ({'a': np.array(['x'])}, 'no type for'), ({'a': np.array([None])}, 'no type for'),
    ({'a': np.ones(1, np.complex64)}, 'no type for')])
def test_what_cannot_be_saved_is_refused_and_leaves_no_file(tree, says, tmp_path):
  with pytest.raises(ValueError, match=says):
    weights.save(tmp_path / 'x', tree)
  assert not list(tmp_path.iterdir())


def _file(header, size):
  head = json.dumps(header).encode()
  return len(head).to_bytes(8, 'little') + head + bytes(size)


def _entry(dtype='F32', shape=(2,), start=0, end=8):
  return {'dtype': dtype, 'shape': list(shape), 'data_offsets': [start, end]}


DAMAGED = {
    'empty': b'', 'text': b'params', 'a pickle': b'\x80\x04\x95\x00', 'a huge header': b'\xff' * 64,
    'a name twice over': _file({'a': _entry(), 'a/b': _entry(start=8, end=16)}, 16),
    'the same, turned': _file({'a/b': _entry(), 'a': _entry(start=8, end=16)}, 16),
    'no name': _file({'': _entry()}, 8), 'an empty part': _file({'a//b': _entry()}, 8),
    'a type that NumPy has not': _file({'a': _entry('F8_E5M2', end=2)}, 2),
    'an unknown type': _file({'a': _entry('F99')}, 8), 'a wrong size': _file({'a': _entry(shape=(3,))}, 8),
    'an overflow': _file({'a': _entry(shape=(2**40, 2**40))}, 8), 'an overlap': _file({'a': _entry(), 'b': _entry()}, 8),
    'a huge shape of nothing': _file({'a': _entry(shape=(0, 2**63, 2**40), end=0)}, 0),
    'more behind it': _file({'a': _entry()}, 9), 'less': _file({'a': _entry()}, 7),
}


@pytest.mark.parametrize('name', DAMAGED)
def test_a_damaged_file_is_one_line(name, tmp_path):
  (tmp_path / 'x').write_bytes(DAMAGED[name])
  with pytest.raises(BadInput, match='x is damaged') as error:
    weights.load(tmp_path / 'x')
  assert '\n' not in str(error.value) and len(str(error.value)) < 150 + len(str(tmp_path))


def test_a_file_that_cannot_be_read_is_one_line(tmp_path):
  with pytest.raises(BadInput, match=r'cannot be read \(No such file'):
    weights.load(tmp_path / 'x')
  with pytest.raises(BadInput, match=r'cannot be read \(Is a directory'):
    weights.load(tmp_path)


def test_cut_at_any_place_it_is_damaged(tmp_path):
  weights.save(tmp_path / 'x', _tree())
  whole = (tmp_path / 'x').read_bytes()
  for size in range(0, len(whole), 7):
    (tmp_path / 'x').write_bytes(whole[:size])
    with pytest.raises(BadInput, match='damaged'):
      weights.load(tmp_path / 'x')


def test_check_gives_the_tree_with_what_holds_no_array():
  tree = _tree()
  shapes = jax.eval_shape(lambda: jax.tree.map(jnp.asarray, {'params': {'a': jnp.ones((2, 3))}, 'batch_stats': {}}))
  found = {'params': {'a': np.ones((2, 3), np.float32)}}
  assert weights.check(found, shapes, 'x').keys() == {'params', 'batch_stats'}
  _same(weights.check(tree, tree, 'x'), tree)
  assert weights.check({}, {'a': {'b': {}}}, 'x') == {'a': {'b': {}}}


@pytest.mark.parametrize('change, says', [
    (lambda t: t['params'].pop('stem'), "x: the array 'params/stem' is missing"),
    (lambda t: t.pop('batch_stats'), "x: the array 'batch_stats/stem/mean' is missing"),
    (lambda t: t['params'].update(other=np.ones(1)), "x: the array 'params/other' is not of this network"),
    (lambda t: t['params'].update(stem=np.ones((2, 3), np.float32)),
     r"x: the array 'params/stem' is float32 \(2, 3\), not float32 \(3, 2\)"),
    (lambda t: t['params'].update(stem=np.ones((3, 2), ml_dtypes.bfloat16)),
     r"x: the array 'params/stem' is bfloat16 \(3, 2\), not float32"),
    (lambda t: t['params'].update(stem={'a': np.ones(1)}), "x: the array 'params/stem' is missing")])
def test_arrays_of_another_network_are_one_line(change, says):
  tree = _tree()
  change(tree)
  with pytest.raises(BadInput, match=says) as error:
    weights.check(tree, _tree(), 'x')
  assert '\n' not in str(error.value)
