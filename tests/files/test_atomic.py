"""A file is whole or not there, whatever happens while it is written."""

import os

import pytest

from daas_jax.files import atomic


def test_text_and_bytes_are_written_as_they_are(tmp_path):
  atomic.write(tmp_path / 'a', 'é\n')
  atomic.write(tmp_path / 'b', b'\r\n\0')
  assert (tmp_path / 'a').read_bytes() == 'é\n'.encode() and (tmp_path / 'b').read_bytes() == b'\r\n\0'


@pytest.mark.parametrize('name', ['replace', 'fsync'])
@pytest.mark.parametrize('error', [OSError(28, 'full'), KeyboardInterrupt()])
def test_what_was_there_stays_and_nothing_is_left_behind(tmp_path, monkeypatch, name, error):
  atomic.write(tmp_path / 'a', 'old')

  def fail(*_):
    raise error

  monkeypatch.setattr(os, name, fail)
  with pytest.raises(type(error)):
    atomic.write(tmp_path / 'a', 'new')
  assert (tmp_path / 'a').read_text() == 'old' and os.listdir(tmp_path) == ['a']
