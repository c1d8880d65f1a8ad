"""Runs that faults are tried on: their configs, their processes, and what must be the same whatever happened."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import orbax.checkpoint as ocp

import commands
from conftest import CACHE, ROOT

SEARCH = '''
from daas_jax.config import search_config

def get_config():
  config = search_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 100, 20
  config.network.name, config.network.channels = 'small_cnn', 2
  config.policy.ops, config.policy.K, config.policy.levels = ('Rotate', 'Invert'), 1, 3
  config.search.epochs, config.search.warmup_epochs, config.search.batch = 3, 1, 10
  config.search.n_arch = config.search.n_aug = config.search.n_w = 1
  config.log.every_steps, config.checkpoint.every_steps = 3, 1
  return config
'''
TRAIN = '''
from daas_jax.config import train_config

def get_config():
  config = train_config()
  config.data.name, config.data.n_train, config.data.n_test = 'embedded', 100, 20
  config.network.name, config.network.depth, config.network.width = 'wrn_40_2', 10, 1
  config.train.epochs, config.train.batch = 2, 10
  config.train.auxiliary = config.train.drop_path = 0.0
  config.policy, config.genotype = 'none', 'none'
  config.log.every_steps, config.checkpoint.every_steps = 3, 3
  return config
'''
CELLS = SEARCH.replace('  return config', '''  config.network.name, config.network.layers = 'supernet', 3
  config.network.primitives = ('max_pool_3x3', 'skip_connect')
  config.search.epochs = 2
  return config''')
CONFIGS = {'search': SEARCH, 'train': TRAIN, 'cells': CELLS}
RESULTS = ('config.json', 'genotype.json', 'policy.json', 'results.json', 'decided.json', 'history.jsonl')


class Server:
  """Starts processes of the commands, by `forks`."""

  def __init__(self, folder):
    self._process = subprocess.Popen(
        [sys.executable, str(pathlib.Path(__file__).with_name('forks.py'))], text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, cwd=ROOT, env=commands.environment(PYTHONPATH=str(ROOT)))
    self._configs = {}
    for kind, text in CONFIGS.items():
      (folder / kind).mkdir()
      self._configs[kind] = commands.config_file(folder / kind, text)

  def _ask(self, **request):
    self._process.stdin.write(json.dumps(request) + '\n')
    self._process.stdin.flush()
    return json.loads(self._process.stdout.readline())

  def start(self, workdir, *words, kind='search', **request):
    """The id of a process; its words are `output(workdir)`."""
    words = [f'--config={self._configs[kind]}', f'--workdir={workdir}', f'--compilation_cache={CACHE}', *words]
    open(_output(workdir), 'w').close()
    return self._ask(run='train' if kind == 'train' else 'search', words=words, output=_output(workdir), **request)

  def wait(self, pid):
    """The exit status of a process, negative for a signal."""
    return self._ask(wait=pid)

  def run(self, workdir, *words, **request):
    """(exit status, what it printed)."""
    status = self.wait(self.start(workdir, *words, **request))
    return status, output(workdir)

  def close(self):
    self._process.stdin.close()
    self._process.wait(10)
    self._process.stdout.close()


def _output(workdir):
  return f'{os.fspath(workdir)}.txt'


def output(workdir):
  """What the last process on a workdir printed."""
  with open(_output(workdir), encoding='utf-8') as file:
    return file.read()


def result(workdir):
  """All that must not depend on what happened to a run: its files, its metrics, the bytes of its final state."""
  workdir = pathlib.Path(workdir)
  out = {name: (workdir / name).read_bytes() for name in RESULTS if (workdir / name).exists()}
  out['metrics.jsonl'] = commands.metrics(workdir)
  steps = [int(p.name) for p in (workdir / 'checkpoints').iterdir() if p.name.isdecimal()]
  with ocp.StandardCheckpointer() as checkpointer:
    state = checkpointer.restore(workdir / 'checkpoints' / str(max(steps)) / 'default')
  return out | {'step': max(steps), 'state': [
      (jax.tree_util.keystr(path), np.asarray(x).tobytes())
      for path, x in jax.tree_util.tree_leaves_with_path(state)]}
