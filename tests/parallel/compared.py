"""Programs of `several.py`, started and compared.

In float64: what is left is the rounding of sums in another order, about 1e-15 of the largest number of an array a step;
Adam divides small gradients by their size, and three of its steps bring 1e-12. `TOLERANCE` leaves that a factor of a
thousand, and is a million times below what any of the planted mistakes makes. The detector's layers are flax's, whose
parameters are float32 in any case: 1e-7 there, with as much room.
"""

import os
import subprocess
import sys

import numpy as np

from conftest import CACHE
import commands
import several

TOLERANCE, IN_FLOAT32 = 1e-9, {'ddas_boxes': 1e-4}
SHARING = {'daas': ['samples:2'], 'ddas': ['samples:2', 'samples:4']}  # ddas compiles in seconds
"""{method with several samples a step: plans that share these}."""


def _environment(devices):
  return commands.environment(XLA_FLAGS=f'--xla_force_host_platform_device_count={devices}', JAX_ENABLE_X64='1',
                              JAX_COMPILATION_CACHE_DIR=CACHE, JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS='0.5',
                              PYTHONPATH=os.pathsep.join(sys.path))


def start(folder, case, *words, devices=4):
  return subprocess.Popen([sys.executable, several.__file__, folder, case, *map(str, words)], text=True,
                          env=_environment(devices), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def end(process):
  said, _ = process.communicate(timeout=900)
  assert process.returncode == 0, said[-3000:]


def worst(folder, case, plan, other='samples:1'):
  """(largest difference over the largest number of its array, that array's name) between two plans of a case."""
  one, two = (np.load(os.path.join(folder, f"{case}-{p.replace(':', '_')}.npz")) for p in (other, plan))
  assert sorted(one.files) == sorted(two.files) and len(one.files) > 10
  differences = []
  for name in one.files:
    a, b = np.asarray(one[name], np.float64), np.asarray(two[name], np.float64)
    assert a.shape == b.shape and np.isfinite(b).all(), name
    differences.append((np.max(np.abs(a - b), initial=0) / max(np.max(np.abs(a), initial=0), 1e-12), name))
  return max(differences)


def check(folder, case, plan, other='samples:1'):
  """Asserts that two plans of a case gave the same numbers."""
  difference, name = worst(folder, case, plan, other)
  assert difference < IN_FLOAT32.get(case, TOLERANCE), (case, plan, name)
