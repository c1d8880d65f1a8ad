"""Installed, and run from any folder: configs are found by name; what is built is whole."""

import os
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT
from daas_jax.config import installed
from daas_jax.gradcheck import command as gradcheck
from daas_jax.config import file as config_file
from daas_jax.runtime import cli
from daas_jax.search import command as search
from daas_jax.study import command as study
from daas_jax.train import command as train
from daas_jax.data import workers
from daas_jax.errors import BadInput

LAYOUTS = ('checkout', 'wheel')


@pytest.fixture(params=LAYOUTS)
def elsewhere(request, tmp_path, monkeypatch):
  """An empty current folder, and the package as a checkout or a wheel has it; its home."""
  home, package = ROOT, ROOT / 'daas_jax'
  if request.param == 'wheel':
    home = package = tmp_path / 'site-packages' / 'daas_jax'
    shutil.copytree(ROOT / 'configs', home / 'configs')
  monkeypatch.setattr(installed, '_PACKAGE', str(package))
  (tmp_path / 'empty').mkdir()
  monkeypatch.chdir(tmp_path / 'empty')
  return home


@pytest.mark.parametrize('word, path, variant', [
    ('quickstart', 'quickstart', []), ('quickstart.py', 'quickstart', []),
    ('configs/quickstart.py', 'quickstart', []),
    ('./configs/train_cifar10.py:smoke', 'train_cifar10', ['smoke']),
    ('train_shake_shake:2x96d', 'train_shake_shake', ['2x96d']),
    ('studies/mix:small', 'studies/mix', ['small']),
    ('configs/studies/mix.py:', 'studies/mix', [''])])
def test_configs_are_found_by_name(elsewhere, word, path, variant):
  assert config_file.find(word) == [str(elsewhere / 'configs' / f'{path}.py'), *variant]


@pytest.mark.parametrize('word', ['quickstart', 'quickstart.py', 'configs/quickstart.py'])
def test_a_file_of_that_path_wins(elsewhere, word):
  os.makedirs('configs')
  with open(word, 'w', encoding='utf-8'):
    assert config_file.find(f'{word}:x') == [word, 'x']


@pytest.mark.parametrize('word, says', [
    ('quickstrat', 'mean quickstart?'), ('configs/quickstrat.py', 'mean quickstart?'),
    ('studies/mixx:small', 'mean studies/mix?'), ('../quickstart', 'mean quickstart?'),
    ('/configs/quickstart.py', 'mean quickstart?'), ('zzz', 'search --list'),
    ('', 'such as quickstart')])
def test_a_name_that_is_none(elsewhere, word, says):
  with pytest.raises(BadInput) as info:
    config_file.find(word)
  assert says in str(info.value) and '\n' not in str(info.value)


@pytest.mark.parametrize('kind, module, name', [
    ('search', search, 'quickstart'), ('train', train, 'train_small:smoke'),
    ('gradcheck', gradcheck, 'gradcheck_quickstart')])
def test_commands_take_names(elsewhere, kind, module, name):
  options = cli.parse(kind, [f'--config={name}', '--workdir=run', '--config.seed=7'],
                      getattr(module, 'define_flags', lambda values: None))
  assert options.config.kind == kind and options.config.seed == 7


def test_a_study_takes_names(elsewhere, capsys):
  assert study.main(['--config=studies/default_vs_searched:smoke', '--list']) == 0
  said = capsys.readouterr().out
  assert f"--config={elsewhere / 'configs' / 'daas_small.py'}:smoke" in said
  assert study.main(['--config=studies/default_vs_serched', '--list']) == 2
  assert 'mean studies/default_vs_searched?' in capsys.readouterr().err


def test_the_catalogue_names_the_configs(capsys):
  assert cli.run('search', search.main, ['--list'], search.define_flags) == 0
  said = capsys.readouterr().out.replace(',', ' ').split()
  names = set(installed.config_names())
  assert {'quickstart', 'train_quickstart', 'studies/mix'} <= names <= set(said)


def test_advice_fits_how_it_is_installed(elsewhere, monkeypatch):
  wheel = "pip install 'daas_jax[{}]'"
  checkout = f"pip install -e '{ROOT}[{{}}]'", "pip install -e '.[{}]'"
  advice, at_home = checkout if elsewhere == ROOT else (wheel, wheel)
  monkeypatch.setitem(sys.modules, 'grain', None)
  with pytest.raises(BadInput) as info:
    workers.require_grain()
  assert advice.format('imagenet') in str(info.value)
  monkeypatch.chdir(ROOT)
  assert installed.extra('plots') == at_home.format('plots')


def _files(folder):
  return {str(path.relative_to(ROOT)) for path in (ROOT / folder).rglob('*')
          if path.is_file() and '__pycache__' not in path.parts}


def test_distributions_are_whole(tmp_path):
  """The wheel has the configs and the data, the source distribution whatever the tests read."""
  subprocess.run(
      [sys.executable, 'setup.py', '-q', 'egg_info', f'--egg-base={tmp_path}', 'build_py',
       f'--build-lib={tmp_path / "wheel"}'], cwd=ROOT, check=True, capture_output=True)
  built = {str(path.relative_to(tmp_path / 'wheel')) for path in (tmp_path / 'wheel').rglob('*')}
  assert {f'daas_jax/{name}' for name in _files('configs')} | _files('daas_jax') <= built
  listed = (tmp_path / 'daas_jax.egg-info' / 'SOURCES.txt').read_text(encoding='utf-8')
  sources = set(listed.splitlines())
  needed = set().union(*map(_files, ('daas_jax', 'tests', 'configs', 'docs', 'launch', '.ci')))
  assert needed | {'README.md', 'LICENSE', 'pyproject.toml', 'setup.py', 'MANIFEST.in'} <= sources
  assert not any('__pycache__' in name for name in sources)
