"""detection.json against average precision by hand."""

import json

import numpy as np

from daas_jax.detection import average_precision, results, sets, task


def test_contents_by_hand():
  """Two classes of one object each: the first found at an IoU of 0.8, the second not; the third has none."""
  boxes = np.float32([[[0, 0, 10, 10], [20, 20, 30, 30]]])
  found = np.float32([[[0, 0, 10, 8]]]), np.float32([[0.9]]), np.int32([[0]])
  content = results.contents(average_precision.evaluate(found, boxes, np.int32([[0, 1]]), 3), ('x', 'y', 'z'))
  assert content == {'ap': 0.35, 'ap50': 0.5, 'ap75': 0.5, 'classes': {'x': 0.7, 'y': 0.0, 'z': None}}


def test_nothing_to_find_is_null(tmp_path, monkeypatch):
  nothing = average_precision.evaluate((np.zeros((1, 1, 4)), np.zeros((1, 1)), np.zeros((1, 1))), np.zeros((1, 1, 4)),
                                       np.full((1, 1), -1), 2)
  scenes = sets.Scenes(np.zeros((1, 8, 8, 1), np.uint8), np.zeros((1, 1, 4)), np.full((1, 1), -1))
  data = sets.DetectionSet('none', scenes, (), scenes, ('x', 'y'), (0.0,), (1.0,))
  monkeypatch.setattr(task, 'evaluate', lambda *args: nothing)
  assert results.write(tmp_path, None, data, {}, 4) == ''
  assert json.loads((tmp_path / 'detection.json').read_text()) == {
      'ap': None, 'ap50': None, 'ap75': None, 'classes': {'x': None, 'y': None}, 'images': 1}
