"""What a detection search leaves behind besides its policy: how well its network finds the objects
of the test set."""

import json
import math
import os

import numpy as np

from daas_jax.detection import average_precision, task
from daas_jax.files import atomic


def write(workdir, net, data, theta, size):
  """Measures average precision on the test scenes and writes it into detection.json.

  {"ap": ..., "ap50": ..., "ap75": ..., "classes": {name: AP}, "images": n}; null where there is
  nothing to find.

  Args:
    workdir: of a search that is over.
    net, data, theta, size: as for `task.evaluate`, on `data.test`.

  Returns:
    The summary, as text.
  """
  found = task.evaluate(net, data, theta, data.test, size)
  content = contents(found, data.class_names) | {'images': len(data.test.images)}
  atomic.write(os.path.join(workdir, 'detection.json'),
               json.dumps(content, indent=2, allow_nan=False) + '\n')
  return '\n'.join(
      f'{name:16} {value:.4f}' for name, value in content.items() if isinstance(value, float))


def contents(found, class_names):
  """What detection.json holds of an `AveragePrecision` over COCO's thresholds."""
  plain = lambda value: None if math.isnan(value) else float(value)
  at_75 = found.table[:, average_precision.THRESHOLDS.index(0.75)]
  known = at_75[~np.isnan(at_75)]
  return {
      'ap': plain(found.mean),
      'ap50': plain(found.ap50),
      'ap75': plain(known.mean() if len(known) else math.nan),
      'classes': {
          name: plain(row.mean()) for name, row in zip(class_names, found.table)
      }
  }
