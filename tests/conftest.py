"""XLA's compile time is most of this suite: all tests, and the commands they start, share one compilation cache."""

import itertools
import os
import pathlib
import subprocess
import sys
import tempfile

import jax
import pytest


def xla_knows(flag):
  """Whether the installed jaxlib has a flag of XLA: one that it has not ends the process.

  So it is tried, in a process of its own. No list says which version dropped which flag, and the
  library still holds the name of one that is gone, as that of a field.
  """
  environment = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': flag}
  return not subprocess.run([sys.executable, '-c', 'import jax; jax.devices()'], env=environment,
                            check=False, capture_output=True).returncode


def xla_flags(*flags):
  """Words for XLA_FLAGS, one string. Of blanks alone XLA would take it for a file's name."""
  return ' '.join(' '.join(flags).split())


_TRIED = 'DAAS_JAX_TEST_XLA_FLAGS'
if _TRIED not in os.environ:  # pytest's workers take over what the first process found
  os.environ[_TRIED] = ' '.join(filter(xla_knows, (
      '--xla_cpu_use_fusion_emitters=false', '--xla_cpu_parallel_codegen_split_count=1')))
QUICK_TO_COMPILE = os.environ[_TRIED]
"""The emitters that XLA had before take a fifth less time to compile, and their programs run as fast. Both cores
are at work: a program cut in parts for several takes a tenth longer to compile."""
os.environ['XLA_FLAGS'] = xla_flags(os.environ.get('XLA_FLAGS', ''), QUICK_TO_COMPILE)

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path += [str(ROOT / 'tests' / room) for room in (
    'runtime', 'study', 'nets/cells', 'augment', 'policies')]  # used elsewhere
CACHE = os.environ.get('DAAS_JAX_TEST_CACHE') or os.path.join(tempfile.gettempdir(), 'daas_jax_test_cache')
jax.config.update('jax_compilation_cache_dir', CACHE)
jax.config.update('jax_persistent_cache_min_compile_time_secs', 0.5)


# Minutes each: begun first, so that no worker has one left when the other has nothing to do.
SLOW = ('test_planted_cells', 'test_planted', 'test_smoke', 'test_study', 'test_numbers', 'test_exact',
        'test_two_processes', 'test_peers', 'test_search', 'test_kill', 'test_sigterm')


def pytest_collection_modifyitems(items):
  order = {name: i for i, name in enumerate(SLOW)}
  items.sort(key=lambda item: order.get(item.path.stem, len(SLOW)))  # stable


LONG = ('test_planted', 'test_decided')
"""Files that search for hundreds of steps."""


@pytest.fixture(scope='module', autouse=True)
def quick_to_compile(request):
  """XLA optimises little, but for what runs long."""
  jax.config.update('jax_disable_most_optimizations', not request.path.stem.startswith(LONG))


_FILES = itertools.count(1)


@pytest.fixture(scope='module', autouse=True)
def room_in_the_caches():
  """JAX keeps 8,192 compiled calls a process, which a worker reaches; from then on each new one evicts
  another, at last the one just made, and all calls go through slow Python.
  """
  if not next(_FILES) % 25:
    jax.clear_caches()


@pytest.fixture
def x64():
  """float64 for the length of a test."""
  jax.config.update('jax_enable_x64', True)
  yield
  jax.config.update('jax_enable_x64', False)
