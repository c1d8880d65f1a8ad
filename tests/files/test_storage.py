"""Reading files that anybody may have written."""

import ast
import os
import pathlib

import pytest

from daas_jax.files import atomic, storage
from conftest import ROOT


@pytest.mark.parametrize('content, value', [
    ('{"a": [1, null, true, "\\u00e9"]}', {'a': [1, None, True, 'é']}), ('3', 3), ('\n null \r\n', None),
    ('[' * 32 + ']' * 32, None)])
def test_json_that_is_read(tmp_path, content, value):
  (tmp_path / 'x').write_text(content)
  found = storage.read_json(tmp_path / 'x')
  assert found == value if len(content) < 60 else isinstance(found, list)


@pytest.mark.parametrize('content, said', [
    (b'', 'Expecting value'), (b'\xff', 'utf-8'), (2 * b'\xef\xbb\xbf', 'BOM'),
    (b'\xff\xfe1\x00', 'utf-8'), (b'NaN', 'NaN is not a JSON number'),
    (b'[' * 33 + b']' * 33, 'more than 32 deep'), (b'[' * 10**5, 'more than 32 deep'), (b'9' * 5000, 'digits')])
def test_json_that_is_not(tmp_path, content, said):
  (tmp_path / 'x').write_bytes(content)
  with pytest.raises(ValueError, match=said) as info:
    storage.read_json(tmp_path / 'x')
  assert '\n' not in storage.reason(info.value)


def test_limits(tmp_path):
  (tmp_path / 'large').write_bytes(b'1')
  os.truncate(tmp_path / 'large', 2**25 + 1)
  os.mkfifo(tmp_path / 'pipe')
  for name, said in (('large', 'larger than 32 MiB'), ('pipe', 'no regular file')):
    with pytest.raises(ValueError, match=said):
      storage.read_json(tmp_path / name)
  for name in ('none', '.'):
    with pytest.raises(OSError):
      storage.read_json(tmp_path / name)


def test_infinite_numbers_where_they_are_allowed(tmp_path):
  (tmp_path / 'x').write_text('[Infinity, -Infinity]')
  assert storage.read_json(tmp_path / 'x', finite=False) == [float('inf'), -float('inf')]


def test_ends_of_lines(tmp_path):
  (tmp_path / 'x').write_bytes(b'a\r\nb\rc\n\xff')
  assert storage.read_text(tmp_path / 'x', errors='replace') == 'a\nb\nc\n\ufffd'


def test_a_byte_order_mark_is_no_part_of_a_text(tmp_path):
  path = tmp_path / 'x'
  path.write_bytes('\ufeff[1,\r\n"\ufeff"]'.encode())
  assert storage.read_text(path) == '[1,\n"\ufeff"]' and storage.read_json(path) == [1, '\ufeff']
  with storage.opened(path) as file:
    assert list(file) == ['[1,\n', '"\ufeff"]']


def test_home(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  (tmp_path / 'x').write_text('[1]')
  for path in ('~/x', pathlib.Path('~/x')):
    assert storage.exists(path) and storage.is_file(path)
    assert storage.read_json(path) == [1] and storage.read_bytes(path) == b'[1]'
    with storage.opened(path) as file:
      assert file.read() == '[1]'
  assert storage.exists('~') and not storage.is_file('~')
  atomic.write('~/y', 'written')
  assert (tmp_path / 'y').read_text() == 'written'


@pytest.mark.parametrize('path, remote', [
    ('gs://b/run', True), ('hf+x-1.0://a', True), ('/a/b://c', False), ('./gs://b', False),
    ('~/gs://b', False), ('a b://c', False), ('://c', False), ('gs:/b', False)])
def test_a_scheme_is_what_a_path_begins_with(path, remote):
  assert storage.is_remote(path) == remote


def _depends_on_the_locale(call):
  """Whether a call opens, reads or writes text without naming its encoding."""
  name = getattr(call.func, 'attr', getattr(call.func, 'id', None))
  words = {word.arg: word.value for word in call.keywords}
  if name == 'open':
    mode = words.get('mode', call.args[1] if len(call.args) > 1 else None)
    text = isinstance(call.func, ast.Name) and 'b' not in getattr(mode, 'value', 'r')
  else:
    text = name in ('run', 'Popen', 'check_output') and 'text' in words  # subprocess
    text |= name == 'write_text' or (name == 'read_text' and not call.args)  # pathlib
  return text and 'encoding' not in words


def test_no_file_depends_on_the_locale():
  found = []
  for path in sorted((ROOT / 'daas_jax').rglob('*.py')):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
      if isinstance(node, ast.Call) and _depends_on_the_locale(node):
        found.append(f'{path.relative_to(ROOT)}:{node.lineno}')
  assert not found
