"""What can be imported where."""

import subprocess
import sys

import commands
from conftest import ROOT

WITHOUT = '''
import importlib, os, pkgutil, signal, sys
sys.modules |= {'fcntl': None, 'resource': None}  # to import them is an ImportError
del os.O_NONBLOCK, os.set_blocking, signal.SIGKILL, signal.pthread_sigmask
import daas_jax
for module in pkgutil.walk_packages(daas_jax.__path__, 'daas_jax.'):
  # A __main__ runs its command, and `public` is a program for an interpreter with PyTorch.
  if not module.name.endswith(('.__main__', '.benchmark.public')):
    importlib.import_module(module.name)
from daas_jax.benchmark import measure
from daas_jax.data import records
from daas_jax.files import storage
assert 'daas_jax.search.command' in sys.modules and storage.read_text(daas_jax.__file__)
assert measure._peak_mb() is None and records._many_open_files() is None
'''


def test_native_windows_imports_and_reads():
  """Without the modules and names that Windows has not."""
  done = subprocess.run([sys.executable, '-c', WITHOUT], text=True, capture_output=True, check=False,
                        env=commands.environment(PYTHONPATH=str(ROOT)))
  assert done.returncode == 0, done.stderr
