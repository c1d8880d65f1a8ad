"""Starts the real commands for the tests, on configs small enough to compile in seconds."""

import importlib.util
import json
import os
import socket
import subprocess
import sys

from conftest import CACHE, QUICK_TO_COMPILE, ROOT, xla_flags

SEARCH_CONFIG = '''
from daas_jax.config import search_config

def get_config():
  config = search_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 240, 100
  config.network.layers, config.network.channels = 3, 2
  config.network.primitives = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3')
  config.policy.share = 'slot'
  config.search.epochs, config.search.warmup_epochs, config.search.batch = 3, 1, 10
  config.search.n_arch, config.search.n_aug, config.search.n_w = 2, 2, 2
  config.log.every_steps, config.checkpoint.every_steps = 2, 4
  return config
'''
TRAIN_CONFIG = '''
from daas_jax.config import train_config

def get_config():
  config = train_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 200, 150
  config.network.layers, config.network.channels = 3, 2
  config.train.epochs, config.train.batch = 3, 30
  config.log.every_steps, config.checkpoint.every_steps = 3, 3
  return config
'''


def docs_module(name, folder='docs'):
  """FOLDER/NAME.py as a module; what it imports from its own folder is found, as where it is the program."""
  if str(ROOT / folder) not in sys.path:
    sys.path.append(str(ROOT / folder))
  spec = importlib.util.spec_from_file_location(name, ROOT / folder / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def process_state(pid):
  """The letter of a process's state, as `ps` has it: T stopped, Z over; '' where there is none."""
  try:
    with open(f'/proc/{pid}/stat', encoding='utf-8') as file:
      return file.read().rsplit(')', 1)[1].split()[0]
  except OSError:
    return ''


def config_file(folder, text):
  """Writes a config file into a folder; returns its path."""
  path = os.path.join(folder, 'config_under_test.py')
  with open(path, 'w', encoding='utf-8') as file:
    file.write(text)
  return path


def command(module, *arguments):
  return [sys.executable, '-m', f'daas_jax.{module}', *map(str, arguments), f'--compilation_cache={CACHE}']


def environment(XLA_FLAGS='', **extra):
  """Of a program that runs for a few steps: its compilation, most of its time, takes half of it.

  JAX is strict in it, as users may set it: no rank and no type is promoted in silence. In float64, where a search's own
  numbers of float32 (learning rates, temperatures) meet its weights, types are promoted.
  """
  return {**os.environ, 'JAX_PLATFORMS': 'cpu', 'XLA_FLAGS': xla_flags(XLA_FLAGS, QUICK_TO_COMPILE),
          'JAX_DISABLE_MOST_OPTIMIZATIONS': '1', 'JAX_NUMPY_RANK_PROMOTION': 'raise',
          'JAX_NUMPY_DTYPE_PROMOTION': 'standard' if 'JAX_ENABLE_X64' in extra else 'strict', **extra}


def run(module, *arguments, **extra):
  """Runs a command to its end; returns the CompletedProcess with text output."""
  return subprocess.run(command(module, *arguments), cwd=ROOT, env=environment(**extra), text=True,
                        capture_output=True, check=False, timeout=600)


def start(module, *arguments, **extra):
  """Starts a command and returns the Popen."""
  return subprocess.Popen(command(module, *arguments), cwd=ROOT, env=environment(**extra), text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def free_port():
  """A port of this machine that nobody listens on."""
  with socket.socket() as taken:
    taken.bind(('127.0.0.1', 0))
    return taken.getsockname()[1]


def cluster(count, *arguments, index=None, port=None, **extra):
  """Starts `count` processes of one search (or the one of an index); returns their Popens."""
  port = port or free_port()
  return [start('search', *arguments, '--distributed=explicit', f'--coordinator=127.0.0.1:{port}',
                f'--process_count={count}', f'--process_index={i}', **extra)
          for i in (range(count) if index is None else [index])]


def metrics(workdir):
  """The rows of metrics.jsonl without their times."""
  with open(os.path.join(workdir, 'metrics.jsonl'), encoding='utf-8') as file:
    return [{k: v for k, v in json.loads(line).items() if k != 'images_per_second'} for line in file]
