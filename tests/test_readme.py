"""What README shows as a program runs as it stands there."""

import json
import re
import subprocess
import sys
import time

import commands
from conftest import CACHE, ROOT
from library import photos

from daas_jax.methods import registry
from daas_jax.runtime import cli
from daas_jax.search import command as search

README = ROOT / 'README.md'


def _gdas():
  blocks = re.findall(r'```python\n(.*?)```', (ROOT / 'README.md').read_text(encoding='utf-8'), re.DOTALL)
  return next(block for block in blocks if "registry.register('gdas'" in block)


def test_the_method_of_one_file_searches_architectures(tmp_path, monkeypatch, capsys):
  """Through the command, with a key of its own on the command line, and smaller so as to compile in seconds."""
  (tmp_path / 'gdas.py').write_text(_gdas(), encoding='utf-8')
  # What is registered here ends here.
  monkeypatch.setattr(registry.METHODS, '_rows', dict(registry.METHODS.rows()))
  words = [f'--config={tmp_path / "gdas.py"}', f'--workdir={tmp_path / "run"}', '--config.search.tau_end=0.5',
           '--config.data.n_train=64', '--config.search.batch=16', '--config.search.epochs=2',
           "--config.network.primitives=('skip_connect','max_pool_3x3')", '--config.network.channels=2']
  assert cli.run('search', search.main, words, search.define_flags) == 0, capsys.readouterr().err
  rows = [json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()]
  assert len(rows) == 2 and all(row['grad_norm_arch'] > 0 and row['phase'] == 'architecture' for row in rows)
  assert abs(rows[-1]['tau'] - (3.667 + 0.5) / 2) < 0.01 and 'skip_share' in rows[-1]
  genotype = json.loads((tmp_path / 'run' / 'genotype.json').read_text())
  assert {name for node in genotype['normal'] for name, _ in node} <= {'skip_connect', 'max_pool_3x3'}
  assert not (tmp_path / 'run' / 'policy.json').exists()


def test_the_figure_of_the_amended_study_has_its_table():
  """And what the text says of it: seeds of a row up to 7.5 points apart, rows 2.7."""
  found = commands.docs_module('amended_retrained').errors((ROOT / 'README.md').read_text(encoding='utf-8'))
  assert {eta: [n for n, *_ in rows] for eta, rows in found.items()} == {
      eta: [25, 50, 100] for eta in ('0', '0.01', '0.1', '1')}
  rows = [row for rows in found.values() for row in rows]
  means = [mean for _, mean, _ in rows]
  assert round(max(max(both) - min(both) for *_, both in rows), 1) == 7.5
  assert round(max(means) - min(means), 1) == 2.7


def test_the_script_of_a_newcomer_goes_from_a_folder_of_photographs_to_predictions(tmp_path):
  """Ten lines; .ci/run runs them as well, on as many images as they were timed on."""
  script, = [block for block in re.findall(r'```python\n(.*?)```', README.read_text(encoding='utf-8'), re.DOTALL)
             if "'folder:photos'" in block]
  assert len([line for line in script.splitlines() if line]) <= 10
  photos.make(str(tmp_path / 'photos'), (16, 4))
  (tmp_path / 'mine.py').write_text(script, encoding='utf-8')
  began = time.monotonic()
  done = subprocess.run([sys.executable, 'mine.py'], cwd=tmp_path, text=True, capture_output=True, check=False,
                        env=commands.environment(PYTHONPATH=str(ROOT), XDG_CACHE_HOME=CACHE), timeout=600)
  assert done.returncode == 0 and time.monotonic() - began < 300, done.stderr
  said = json.loads(done.stdout.splitlines()[-1].replace("'", '"'))
  assert len(said) == 12 and set(said) <= set(photos.CLASSES)
  assert (tmp_path / 'runs/mine/policy.json').exists() and (tmp_path / 'runs/mine_trained/network.safetensors').exists()


def test_the_catalogue_names_what_there_is(capsys):
  assert cli.run('search', search.main, ['--list'], search.define_flags) == 0
  said = capsys.readouterr().out
  for name in (*registry.methods(), 'supernet', 'shuffle', 'wrn_40_2', 'sep_conv_3x3', 'TranslateX', 'trivial_augment',
               'embedded', 'tfds:NAME', 'folder:DIR', 'hf:NAME'):
    assert name in said, name
