import json

import pytest

from daas_jax.files import metrics


def row(step):
  return {'step': step, 'train_loss': 1 / (3 * step), 'phase': 'joint'}


def write(path, rows, tail=''):
  path.write_text(''.join(json.dumps(r) + '\n' for r in rows) + tail, encoding='utf-8')


def test_rows_come_back_as_they_were_written(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  log = metrics.MetricsFile(path, 0)
  for step in (2, 4):
    log.write(row(step))
    assert metrics.read(path)[-1] == row(step)  # readable while the run goes on
  log.close()
  assert metrics.read(path) == [row(2), row(4)]
  assert path.read_text(encoding='utf-8') == ''.join(json.dumps(row(s)) + '\n' for s in (2, 4))


def test_no_file_has_no_rows(tmp_path):
  assert metrics.read(tmp_path / 'metrics.jsonl') == []


@pytest.mark.parametrize('last, kept', [(0, []), (3, [2]), (4, [2, 4]), (9, [2, 4, 6])])
def test_lines_of_later_steps_are_dropped(tmp_path, last, kept):
  path = tmp_path / 'metrics.jsonl'
  write(path, [row(2), row(4), row(6)])
  metrics.MetricsFile(path, last).close()
  assert metrics.read(path) == [row(s) for s in kept]


def test_line_cut_short_is_dropped_before_the_next_is_written(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  write(path, [row(2)], tail=json.dumps(row(4))[:-5])
  assert metrics.read(path) == [row(2)]
  log = metrics.MetricsFile(path, 4)
  log.write(row(6))
  log.close()
  assert metrics.read(path) == [row(2), row(6)]
  assert len(path.read_text(encoding='utf-8').splitlines()) == 2


@pytest.mark.parametrize('line', [
    'garbage', '', '{"step": 3', '[1, 2]', '3', 'null', '{"loss": 1}', '{"step": "3"}', '{"step": true}',
    '{"step": 1.5}', '[' * 100_000, '{"step": ' + '9' * 5000 + '}', '\x00\x00\x00', 'step 3: loss 2.1'])
def test_damaged_or_foreign_line_costs_no_other(tmp_path, line):
  path = tmp_path / 'metrics.jsonl'
  write(path, [row(2)], tail=f'{line}\n{json.dumps(row(4))}\n')
  assert metrics.read(path) == [row(2), row(4)]
  metrics.MetricsFile(path, 4).close()
  assert metrics.read(path) == [row(2), row(4)]


def test_a_byte_order_mark_costs_no_line(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_bytes('\ufeff'.encode() + json.dumps(row(2)).encode() + b'\n')
  assert metrics.read(path) == [row(2)]
  metrics.MetricsFile(path, 4).close()
  assert json.loads(path.read_text(encoding='utf-8')) == row(2)


def test_bytes_that_are_no_text(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_bytes(b'\xff\xfe\x80\n' + json.dumps(row(2)).encode() + b'\n')
  assert metrics.read(path) == [row(2)]


def test_file_is_whole_when_it_cannot_be_rewritten(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  write(path, [row(2), row(4)])
  (tmp_path / 'metrics.jsonl.tmp').mkdir()  # in the way of the new file
  with pytest.raises(OSError):
    metrics.MetricsFile(path, 2)
  assert metrics.read(path) == [row(2), row(4)]
