"""The names of `import daas_jax as dx`: late, documented, with types; docs/library.md runs."""

import ast
import importlib
import inspect
import re
import runpy
import subprocess
import sys

import commands
from conftest import ROOT
import jax
import numpy as np
import pytest
import setuptools

import daas_jax as dx
from daas_jax.nets import registry as nets

CALLABLE = [name for name in dx.__all__
            if inspect.isroutine(getattr(dx, name)) or hasattr(getattr(dx, name), '_fields')]


def test_the_import_itself_imports_nothing():
  code = ("import sys, daas_jax; names = set(daas_jax.__all__) & set(dir(daas_jax)); "
          "print(len(names), {'jax', 'numpy', 'flax', 'optax', 'chex'} & set(sys.modules))")
  done = subprocess.run([sys.executable, '-c', code], text=True, capture_output=True, check=False,
                        env=commands.environment(PYTHONPATH=str(ROOT)))
  assert done.returncode == 0, done.stderr
  assert done.stdout == f'{len(dx.__all__)} set()\n'


def test_no_other_name_resolves():
  with pytest.raises(AttributeError, match="'daas_jax' has no attribute 'daass'"):
    dx.daass  # noqa: B018


def _said_of(name):
  """The docstring of a name's own: of a value that can have none, the one that follows it."""
  value = getattr(dx, name)
  if inspect.isclass(value):
    return value.__dict__['__doc__']
  if inspect.isroutine(value) or inspect.ismodule(value):
    return value.__doc__
  module, _, attribute = dx._NAMES[name].partition(':')
  source = inspect.getsource(importlib.import_module(f'daas_jax.{module}'))
  body = ast.parse(source).body
  return next((after.value.value for node, after in zip(body, body[1:], strict=False)
               if isinstance(node, ast.AnnAssign) and node.target.id == attribute
               and isinstance(after, ast.Expr)), None)


@pytest.mark.parametrize('name', dx.__all__)
def test_every_name_is_there_and_says_what_it_is(name):
  said = _said_of(name)
  # A NamedTuple or dataclass without a docstring gets its signature for one.
  assert said and not re.match(r'\w+\(', said), said


@pytest.mark.parametrize('name', CALLABLE)
def test_every_function_and_every_field_has_its_type(name):
  value = getattr(dx, name)
  if inspect.isclass(value):
    assert set(value._fields) <= set(value.__annotations__)
    return
  signature = inspect.signature(value)
  assert signature.return_annotation is not signature.empty
  assert not [p for p in signature.parameters.values() if p.annotation is p.empty]


def test_there_are_functions_and_classes_to_look_at():
  assert {'daas', 'load', 'Problem', 'DaasSettings', 'register_method', 'Key'} <= set(CALLABLE)
  assert len(CALLABLE) > 30


def test_the_help_names_them_all():
  assert not set(dx.__all__) - set(re.findall(r'\w+', dx.__doc__))


def test_the_version_is_the_one_that_is_installed(monkeypatch):
  given = {}
  monkeypatch.setattr(setuptools, 'setup', lambda **words: given.update(words))
  monkeypatch.chdir(ROOT)
  runpy.run_path('setup.py')
  assert re.fullmatch(r'\d+\.\d+\.\d+', dx.__version__) and given['version'] == dx.__version__


def test_the_page_of_the_library_runs(monkeypatch, capsys):
  """Both searches in two steps each, and the network by its name."""
  page = (ROOT / 'docs' / 'library.md').read_text(encoding='utf-8')
  program, registration = re.findall(r'```python\n(.*?)```', page, re.DOTALL)
  assert program.count('steps=20') == 1
  found = {'__name__': 'page'}
  exec(compile(program.replace('steps=20', 'steps=2'), 'library.md', 'exec'), found)
  said = capsys.readouterr().out
  assert re.search(r'^DAAS \[', said, re.M) and re.search(r'^DDAS \[', said, re.M)
  numbers = jax.tree.leaves((found['state'].gamma, found['metrics']))
  assert all(np.isfinite(x).all() for x in numbers)
  assert found['state'].step == 2
  # What is registered here ends here.
  monkeypatch.setattr(nets.NETWORKS, '_rows', dict(nets.networks()))
  assert 'mine' not in dx.all_networks()
  exec(compile(registration, 'library.md', 'exec'), found)
  assert 'mine' in dx.all_networks() and dx.all_networks()['mine'].train
