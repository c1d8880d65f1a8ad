"""Bad input ends in one line on stderr and status 2, before anything is written; what is right gets through."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

import daas_jax
from daas_jax import config as config_lib
from daas_jax.config import file as config_file
from daas_jax.runtime import cli, processes
from daas_jax.runtime import workdir
from daas_jax.search import command as search
from daas_jax.train import command as train
from daas_jax.data import sources
from daas_jax.errors import BadInput, Diverged, EX_TEMPFAIL
from daas_jax.nets.cells import genotype, space
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES
from daas_jax.policies import given

from conftest import CACHE

SEARCH = """
    from daas_jax.config import search_config
    def get_config():
      config = search_config()
      config.data.name, config.data.n_train, config.data.n_test = 'embedded', 40, 20
      config.network.name, config.network.channels = 'small_cnn', 2
      config.policy.ops, config.policy.K, config.policy.levels = ('Rotate', 'Invert'), 1, 3
      config.search.epochs, config.search.warmup_epochs, config.search.batch = 1, 0, 10
      config.search.n_arch = config.search.n_aug = config.search.n_w = 1
      config.log.every_steps = config.checkpoint.every_steps = 1
      return config
"""
TRAIN = """
    from daas_jax.config import train_config
    def get_config():
      config = train_config()
      config.data.name, config.data.n_train, config.data.n_test = 'embedded', 40, 20
      config.network.layers, config.network.channels = 3, 2
      config.train.epochs, config.train.batch = 1, 10
      config.policy, config.genotype = 'none', 'random:0'
      return config
"""
MODULES = {'search': search, 'train': train}


class Command:
  """Runs commands in this process, in a folder with search.py, train.py and, as workdir, run."""

  def __init__(self, folder, capsys):
    self.folder, self._capsys = folder, capsys
    self.write('search.py', SEARCH)
    self.write('train.py', TRAIN)

  def write(self, name, text):
    (self.folder / name).write_text(textwrap.dedent(text))

  def snapshot(self):
    return {str(p): p.read_bytes() if p.is_file() else None for p in self.folder.rglob('*')
            if '__pycache__' not in str(p)}

  def bare(self, kind, *arguments, main=None):
    """(status, stdout, stderr)."""
    module = MODULES[kind]
    whole = module.main if main is None else lambda options, asked: main(options)
    status = cli.run(kind, whole, list(arguments), module.define_flags)
    return status, *self._capsys.readouterr()

  def output(self):
    """(stdout, stderr) since it was last asked for."""
    return tuple(self._capsys.readouterr())

  def refused(self, kind, *arguments, bare=False):
    """The line on stderr; nothing else may have happened."""
    before = self.snapshot()
    if not bare:
      arguments = (f'--config={kind}.py', '--workdir=run', *arguments)
    status, out, err = self.bare(kind, *arguments, '--compilation_cache=off')
    assert status == 2 and out == '', (status, out, err)
    assert err.startswith(f'daas_jax.{kind}: ') and err.count('\n') == 1 and err.endswith('\n'), err
    assert 'Traceback' not in err
    assert self.snapshot() == before
    return err

  def parsed(self, kind, *arguments):
    """The options of a command line that is right."""
    options = []
    status, _, err = self.bare(kind, f'--config={kind}.py', '--workdir=run', f'--compilation_cache={CACHE}', *arguments,
                               main=options.append)
    assert status == 0, err
    return options[0]


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  return Command(tmp_path, capsys)


# What is right.

def test_overrides_reach_the_config(command):
  config = command.parsed(
      'search', '--config.search.batch=5', '--config.theta.lr', '0.5', '--noconfig.preprocess.flip',
      '--config.seed=4294967295', "--config.policy.ops=('Invert', 'Cutout')", '--config.data.name=arrays:ü.npz').config
  assert (config.search.batch, config.theta.lr, config.preprocess.flip, config.seed) == (5, 0.5, False, 4294967295)
  assert config.policy.ops == ('Invert', 'Cutout') and config.data.name == 'arrays:ü.npz'
  assert command.parsed('search', '--config.policy.ops=Rotate').config.policy.ops == ('Rotate',)


def test_words_of_the_process_do_not_matter(command, monkeypatch):
  monkeypatch.setattr(sys, 'argv', ['pytest', '--config=other.py', '--config.search.nosuch=1'])
  assert command.parsed('search', '--config.search.batch=5').config.search.batch == 5


def test_config_file_with_an_argument_a_dataclass_or_frozen(command):
  command.write('search.py', SEARCH.replace('get_config():', 'get_config(batch):').replace('batch = 1, 0, 10',
                                                                                          'batch = 1, 0, int(batch)'))
  assert cli.parse('search', ['--config=search.py:7', '--workdir=run']).config.search.batch == 7
  command.write('search.py', SEARCH.replace('return config', 'import ml_collections\n'
                                            '      return ml_collections.FrozenConfigDict(config)'))
  assert command.parsed('search', '--config.search.batch=5').config.search.batch == 5
  command.write('search.py', SEARCH + '    import dataclasses\n    @dataclasses.dataclass\n    class Room:\n'
                '      x: int = 3\n')
  command.parsed('search')


def test_flags_in_a_file(command):
  command.write('flags', '--config=search.py\n--config.search.batch=5\n')
  assert cli.parse('search', ['--flagfile=flags', '--workdir=run']).config.search.batch == 5
  command.write('flags', '--config.nosuch=5\n')
  assert "unknown config key 'nosuch'" in command.refused('search', '--flagfile=flags')
  assert 'nowhere' in command.refused('search', '--flagfile=nowhere')
  for first in ('', '\n', '# a comment\n', '// another\n'):
    command.write('flags', f'\ufeff{first}--config=search.py\n--config.search.batch=5\n')
    assert cli.parse('search', ['--flagfile=flags', '--workdir=run']).config.search.batch == 5


def test_a_config_file_after_a_byte_order_mark(command):
  command.write('search.py', '\ufeff' + textwrap.dedent(SEARCH))
  assert command.parsed('search').config.search.batch == 10


def test_the_compilation_cache_may_lie_in_the_home_folder(command, monkeypatch):
  before, words = jax.config.jax_compilation_cache_dir, ('--config=search.py', '--workdir=run')
  monkeypatch.setenv('HOME', str(command.folder))
  try:
    for name in ('cache', 'a [x]\\*?# '):
      assert command.bare('search', *words, f'--compilation_cache=~/{name}',
                          main=lambda options: None)[0] == 0
      assert jax.config.jax_compilation_cache_dir == f'{command.folder}/{name}'
    status, _, err = command.bare('search', *words, '--compilation_cache=\udcff')
    assert status == 2 and err.count('\n') == 1 and "'\\udcff' is not UTF-8" in err
  finally:
    jax.config.update('jax_compilation_cache_dir', before)


@pytest.mark.parametrize('name', ['x', 'a [x]\\*?#%20 ~\n\u00fc', ':dog:', '\udcff'])
def test_files_in_the_home_folder_and_of_any_name(command, monkeypatch, name):
  monkeypatch.setenv('HOME', str(command.folder))
  (command.folder / name).mkdir()
  wanted = genotype.random_genotype(0, DAAS_PRIMITIVES)
  policy = {'format': 'daas_jax.policy', 'version': 1, 'ops': ['Invert'], 'K': 1, 'levels': 3,
            'policies': [{'ops': ['Invert'], 'probability': 1, 'p': [1], 'level': [1]}]}
  genotype.save(f'~/{name}/genotype.json', wanted)
  (command.folder / name / 'policy.json').write_text(json.dumps(policy))
  for found in (space.find('searched', f'~/{name}', None), space.find(f'~/{name}/genotype.json', None, None),
                daas_jax.load_genotype(f'~/{name}/genotype.json')):
    assert found == wanted
  images = np.zeros((1, 4, 4, 1), np.uint8)
  for augment in (given.find('searched', f'~/{name}').augment,
                  given.find(f'~/{name}/policy.json', None).augment,
                  daas_jax.load_policy(f'~/{name}/policy.json')):
    assert augment(jax.random.key(0), images).max() == 255
  workdir.keep_input(str(command.folder), 'policy.json', given.text(f'~/{name}/policy.json', None))
  assert json.loads((command.folder / 'policy.json').read_text()) == policy
  arrays(command.folder / f'{name}.npz')
  command.parsed('search', f'--config.data.name=arrays:~/{name}.npz', f'--search=~/{name}')
  assert sources.load(f'arrays:~/{name}.npz').train_images.shape[1:] == (16, 16, 1)


@pytest.mark.parametrize('kind', ['search', 'train'])
@pytest.mark.parametrize('more', [[], ['--config=search.py'], ['--workdir=run']])
def test_help_shows_the_flags(command, kind, more):
  more = [word.replace('search.py', f'{kind}.py') for word in more]
  status, out, err = command.bare(kind, '--help', *more)
  assert status == 0 and err == ''
  own = ('search', 'policy', 'genotype') if kind == 'train' else ()
  for name in ('config', 'workdir', 'compilation_cache', *own):
    assert f'--{name}' in out or f'--[no]{name}' in out


@pytest.mark.parametrize('schema', ['search', 'train'])
def test_defaults_are_right(schema):
  config_lib.check({'search': config_lib.search_config, 'train': config_lib.train_config}[schema](), schema)


# Bad words.

@pytest.mark.parametrize('words, says', [
    ([], '--config is missing'), (['--config=search.py'], '--workdir is missing'),
    (['--workdir=run'], '--config is missing'),
    (['--config=search.py', '--workdir='], '--workdir is missing'), (['--config=', '--workdir=run'], 'no config file'),
    (['--config.search.batch=3', '--workdir=run'], '--config is missing'),
    (['--config=search.py', '--config=search.py', '--workdir=run'], 'twice'),
    (['--config=search.py', '--config=train.py', '--workdir=run'], 'twice'),
    (['--config.search.batch=3', '--config=search.py', '--workdir=run'], 'before'),
    (['--config=nowhere.py', '--workdir=run'], "no config file 'nowhere.py'"),
    (['--config=nowhere.py', '--workdir=run', '--config.search.batch=3'], "no config file 'nowhere.py'"),
    (['--config=search', '--workdir=run'], 'no config file'), (['--config=.', '--workdir=run'], 'no config file'),
    (['--config=train.py', '--workdir=run'], 'python -m daas_jax.train'),
    (['--confg=search.py', '--workdir=run'], 'config'),
])
def test_config_and_workdir(command, words, says):
  assert says in command.refused('search', *words, bare=True)


@pytest.mark.parametrize('word, says', [
    ('stray', "'stray'"), ('-', "'-'"), ('--nosuch', 'nosuch'), ('--nosuch=3', 'nosuch'), ('--help=3', 'help'),
    ('--config.search.batchh=3', "'search.batch'"), ('--config.sarch.batch=3', "'search.batch'"),
    ('--config.search.n-aug=3', "'search.n_aug'"), ('-config.nosuch=1', "'nosuch'"), ('--config.nosuch', "'nosuch'"),
    ('--noconfig.preprocess.flop', "'preprocess.flip'"), ('--config.ünï=1', 'unknown config key'),
    ('--config.search=3', 'group'), ('--config.search', 'group'), ('--config.=3', 'unknown config key'),
    ('--config.policy.ops[0]=Rotate', "'policy.ops'"),
])
def test_words_that_mean_nothing(command, word, says):
  assert says in command.refused('search', word)


@pytest.mark.parametrize('setting, says', [
    ('search.batch=abc', "'search.batch' must be a whole number, not 'abc'"), ('search.batch=', 'whole number'),
    ('policy.K=2.0', 'whole number'), ('policy.K=True', 'whole number'), ('seed=1e3', 'whole number'),
    ('theta.lr=fast', 'number'), ('theta.lr=nan', 'finite'), ('theta.lr=inf', 'finite'), ('search.xi=-inf', 'finite'),
    ('search.inner=adam', 'theta'),
    ('theta.lr=1e400', 'finite'), ('theta.lr=1e39', 'finite'), ('theta.lr=0', 'above 0'), ('theta.lr=-0.0', 'above 0'),
    ('theta.lr=-1', 'above 0'), ('preprocess.flip=3', 'True or False'), ('preprocess.flip=maybe', 'True or False'),
    ('policy.K=0', '[1, 3]'), ('policy.K=4', '[1, 3]'), ('policy.levels=0', '[1, 100]'), ('policy.p0=0', '(0, 1)'),
    ('policy.p0=1', '(0, 1)'), ('policy.share=slt', 'slot'), ('policy.drawn=each', 'image'),
    ('search.kl=-1', 'at least 0'), ('search.kl=0.5', "search.control = 'regression'"), ('search.ridge=0', 'above 0'),
    ('policy.ops=()', 'at least one'),
    ('policy.ops=', 'no known operation'), ('policy.ops=(', 'no known operation'), ("policy.ops=('Rotat',)", 'Rotate'),
    ("policy.ops=('Rotate','Rotate')", 'twice'), ("policy.ops=('Rotate',3)", 'tuple of names'),
    ("network.primitives=('none',)", 'none'), ("network.primitives=('sep_conv',)", 'nearest'),
    ('network.channels=7', 'even'), ('network.channels=0', 'network.channels'), ('network.layers=2', 'network.layers'),
    ('network.layers=1000000000', 'network.layers'), ('network.stem=cifr', 'cifar'), ('network.name=cnn', 'small_cnn'),
    ('search.n_aug=0', 'search.n_aug'), ('search.n_aug=-1', 'search.n_aug'), ('search.n_arch=0', 'search.n_arch'),
    ('search.n_w=99999999999999999999', 'search.n_w'), ('search.epochs=0', 'search.epochs'),
    ('search.warmup_epochs=2', 'search.epochs'), ('search.warmup_epochs=1', 'nothing would be searched'),
    ('search.arch_warmup_epochs=1', 'needs cells'),
    ('theta.lr_min=9', 'theta.lr'), ('seed=-1', 'seed'),
    ('seed=4294967296', 'seed'), ('data.val_fraction=0', '(0, 1)'), ('data.val_fraction=1', '(0, 1)'),
    ('data.val_fraction=0.999', 'fewer|batch|empty'), ('data.validation_turns=4', '[0, 3]'),
    ('checkpoint.keep=1', 'at least 2'),
    ('log.every_steps=0', 'at least 1'), ('kind=train', 'daas_jax.train'), ('kind=sarch', 'search'),
    ('method=dass', 'daas'), ('network.genotype=random:0', 'supernet'),
    ('parallel.devices=-1', 'parallel.devices'), ('parallel.devices=999', 'parallel.devices=999'),
    ('search.batch=21', 'larger than the 20 of D_train'), ('search.batch=' + '9' * 30, 'larger than'),
    ('data.n_train=5000', 'ask for fewer'), ('data.n_train=1', 'two classes'), ('data.n_test=100000', 'ask for fewer'),
    ('data.classes=11', 'at most 10'), ('data.n_train=-1', 'at least 0'), ('preprocess.cutout=29', '28 x 28'),
    ('preprocess.padding=29', '28 x 28'), ('preprocess.padding=-1', 'at least 0'),
    ('network.name=supernet network.stem=imagenet', '64 x 64'),
    ('data.name=', 'unknown data set'), ('data.name=embeded', 'nearest: embedded'),
    ('data.name=a\nb', 'unknown data set'),
    ('data.name=\udcff', 'unknown data set'), ('data.name=日本', 'unknown data set'),
    ('data.name=arrays:', 'arrays:FILE.npz'),
    ('data.name=arrays:nowhere.npz', 'no file nowhere.npz'), ('data.name=arrays:search.py', 'no readable .npz'),
    ('data.name=arrays:a\nb', 'no file'), ('data.name=tfds:', 'unknown data set'),
])
def test_values(command, setting, says):
  line = command.refused('search', *(f'--config.{part}' for part in setting.split(' ')))
  assert any(part in line for part in says.split('|'))


@pytest.mark.parametrize('setting, says', [
    ('data.name=tfds:cifr10', 'tfds:cifar10'), ('data.name=tfds:cifar10', 'python -m daas_jax.prepare cifar10'),
    ('data.name=tfds:svhn_cropped', 'pip install tensorflow')])
def test_sets_that_tfds_has_not(command, setting, says):
  assert says in command.refused('search', f'--config.{setting}', '--config.data.dir=nowhere')


# Config files.

GOOD = SEARCH.replace('      return config', '')


@pytest.mark.parametrize('text, says', [
    ('', 'get_config'), ('get_config = 3', 'TypeError'), ('def get_config(:', 'SyntaxError'),
    ('1 / 0', 'ZeroDivisionError in line 1'),
    ('import nosuchmodule', 'nosuchmodule'), ('import sys; sys.exit(0)', 'SystemExit'), ('\0', 'SyntaxError'),
    ('def get_config():\n  raise RuntimeError("one\\ntwo")', 'RuntimeError in line 2: one two'),
    ('def get_config():\n  open("nowhere")', 'nowhere'), ('def get_config():\n  return get_config()', 'RecursionError'),
    ('def get_config():\n  pass', 'not None'), ('def get_config():\n  return {}', 'ConfigDict'),
    ('def get_config(a):\n  pass', 'TypeError'), ('class get_config:\n  def to_dict(self): return {}', 'ConfigDict'),
    ('import ml_collections\nget_config = ml_collections.ConfigDict', 'search_config()'),
])
def test_config_files_that_are_none(command, text, says):
  command.write('search.py', text)
  assert says in command.refused('search')


@pytest.mark.parametrize('line, says', [
    ('config.search.nosuch = 3', "'search.nosuch'"), ('config.search.batch = "x"', 'TypeError in line'),
    ('config.search.batch = None', "'search.batch' must be a whole number"), ('del config.search.batch', 'missing'),
    ('del config.search', 'missing'), ('del config.network; config.network = 3', "'network'"),
    ('config.network = 3', 'TypeError'),
    ('config.policy.ops = []', 'at least one'), ('config.policy.ops = {"Rotate"}', 'TypeError'),
    ('config.serch.batch = 3', 'serch'),
    ('with config.ignore_type(): config.policy.ops = "Rotate"', 'tuple of names'),
    ('with config.ignore_type(): config.data.name = b"x"', 'a string'),
    ('with config.ignore_type(): config.kind = 3', 'kind'),
    ('config.theta.lr = 10 ** 400', 'theta.lr|OverflowError'), ('config.search.n_aug = 0', 'search.n_aug'),
    ('import ml_collections; config.seed = ml_collections.config_dict.required_placeholder(int)', 'Required'),
    ('config.update({3: 4})', 'config'),
])
def test_config_files_that_set_something_wrong(command, line, says):
  command.write('search.py', GOOD + f'      {line}\n      return config\n')
  message = command.refused('search')
  assert any(part in message for part in says.split('|'))


@pytest.mark.parametrize('name', [
    'a:b.py', 'c:/d.py', 'a:b.py:7', 'x::y:.py', 'named', '~/home.py', '~/a:b.py'])
def test_a_path_of_a_config_may_hold_colons_and_a_home(command, monkeypatch, name):
  """The longest that is a file is the path; what is left is the variant."""
  monkeypatch.setenv('HOME', str(command.folder / 'at home'))
  path = command.folder / os.path.expanduser(name)
  path.parent.mkdir(parents=True, exist_ok=True)
  command.write(path, SEARCH)
  words = ['--workdir=run', '--config.search.epochs=2']
  assert cli.parse('search', [f'--config={name}', *words]).config.search.batch == 10
  command.write('a', '1 / 0')
  command.write('a:b', '1 / 0')
  text = SEARCH.replace('get_config():', 'get_config(batch=9):')
  command.write(path, text.replace('1, 0, 10', '1, 0, int(batch)'))
  config = cli.parse('search', [f'--config={name}:5', *words]).config
  assert (config.search.batch, config.search.epochs) == (5, 2)
  command.write(path, '3')
  said = command.refused('search', f'--config={name}', *words, bare=True)
  assert f'the config file {os.path.expanduser(name)} raised' in said


def test_override_in_a_room_that_the_config_has_not(command):
  command.write('search.py', 'import ml_collections\nget_config = ml_collections.ConfigDict')
  assert 'search_config()' in command.refused('search', '--config.search.batch=3')


# Data files.

def arrays(path, shape=(16, 16, 1), n=40, **other):
  images = lambda n: np.random.default_rng(0).integers(0, 256, (n, *shape), dtype=np.uint8)
  np.savez(path, **{'train_images': images(n), 'train_labels': np.arange(n) % 2, 'test_images': images(20),
                    'test_labels': np.arange(20) % 2} | other)


@pytest.mark.parametrize('settings, says', [
    ({'train_labels': np.arange(40) - 1}, 'labels must be 0 or more'),
    ({'test_labels': np.arange(20)}, 'labels must be 0 to 1'),
    ({'train_labels': np.zeros(40, int), 'test_labels': np.zeros(20, int)},
     "of class '0' and a classifier needs at least two classes"),
    ({'train_labels': np.ones(40, int), 'class_names': np.array(['a', 'b'])},
     "all training images of arrays:a.npz are of class 'b'"),
    ({'shape': (7, 16, 1)}, 'at least 8 x 8'), ({'shape': (16, 16, 2)}, '1 or 3'), ({'shape': (16, 16, 4)}, '1 or 3'),
    ({'n': 8}, 'larger than'), ({'train_images': np.zeros((40, 16, 16, 1))}, 'uint8'),
])
@pytest.mark.parametrize('kind', ['search', 'train'])
def test_arrays_that_do_not_fit(command, kind, settings, says):
  arrays('a.npz', **settings)
  assert says in command.refused(kind, '--config.data.name=arrays:a.npz', '--config.data.n_train=0',
                                 '--config.data.n_test=0')


@pytest.mark.parametrize('kind', ['search', 'train'])
def test_a_single_class_is_nothing_to_learn(command, kind):
  line = command.refused(kind, '--config.data.classes=1', '--config.data.n_train=0')
  assert 'at least two classes' in line


@pytest.mark.parametrize('setting', ['preprocess.crop=resized', 'data.validation_turns=1', 'data.validation_turns=3'])
def test_images_that_are_not_square(command, setting):
  arrays('a.npz', shape=(16, 24, 1))
  assert 'not square' in command.refused('search', '--config.data.name=arrays:a.npz', '--config.data.n_train=0',
                                         '--config.data.n_test=0', f'--config.{setting}')


@pytest.mark.parametrize('size', [0, 1, 2000, -1])
def test_truncated_arrays(command, size):
  arrays('a.npz')
  whole = (command.folder / 'a.npz').read_bytes()
  (command.folder / 'a.npz').write_bytes(whole[:size])
  assert 'no readable .npz' in command.refused('search', '--config.data.name=arrays:a.npz')


# The training command.

FIXED_WORDS = ['--config.network.name=wrn_40_2', '--config.genotype=none', '--config.train.auxiliary=0',
               '--config.train.drop_path=0']


@pytest.mark.parametrize('words, says', [
    (['--genotype=random:x'], "'x'"), (['--genotype=random:'], 'whole number'),
    (['--genotype=random:-1'], 'whole number'),
    (['--genotype=searched'], 'add --search='), (['--policy=searched'], 'add --search='),
    (['--policy=searched', '--search='], 'add --search='),
    (['--policy=searched', '--search=nowhere'], 'holds no policy.json'),
    (['--genotype=searched', '--search=train.py'], 'holds no genotype.json'),
    (['--genotype=nowhere.json'], 'nowhere.json'),
    (['--policy=standrd'], 'standrd'), (['--policy=.'], 'directory'), (['--genotype=.'], 'directory'),
    (['--policy=genotype.json'], 'daas_jax.policy'), (['--genotype=train.py'], 'not JSON'),
    (['--policy=other.json'], "'Rotat'"), (['--genotype=other.json'], 'daas_jax.genotype'),
    (['--config.search.batch=3'], "'train.batch'"), (['--config=search.py'], 'twice'),
    (['--config.train.batch=37'], 'larger than the 36'), (['--config.train.accumulate=3'], 'must divide train.batch'),
    (['--config.train.accumulate=0'], 'train.accumulate'), (['--config.parallel.devices=99'], 'parallel.devices=99'),
    (['--config.parallel.over=samples'], "'parallel.over'"), (['--process_index=1'], '--distributed'),
    (['--config.data.val_fraction=0.999'], 'empty'), (['--config.data.val_fraction=1'], '[0, 1)'),
    (['--config.data.val_fraction=-0.1'], '[0, 1)'), (['--config.train.drop_path=1.0'], '[0, 1)'),
    (['--config.network.name=wrn_40'], 'nearest: wrn_40_2'), (['--config.train.ema=1.0'], '[0, 1)'),
    (['--config.network.name=wrn_40_2'], 'set --config.genotype=none --config.train.auxiliary=0.0 '
     '--config.train.drop_path=0.0'),
    ([*FIXED_WORDS, '--genotype=random:0'], 'takes no genotype=random:0'),
    ([*FIXED_WORDS, '--count', '--genotype=random:0'], 'takes no genotype=random:0'),
    ([*FIXED_WORDS, '--config.network.depth=41'], "'network.depth' must be 4 + 6 n for wrn_40_2"),
    (['--genotype=none'], "'none' is neither a file nor"), (['--config.train.warmup_epochs=1'], 'below train.epochs'),
    (['--count', '--config.data.name=tfds:cifr10'], 'tfds:cifar10'),
])
def test_training(command, words, says):
  genotype.save('genotype.json', genotype.random_genotype(0, DAAS_PRIMITIVES))
  command.write('other.json', '{"format": "daas_jax.policy", "version": 1, "ops": ["Rotat"], "K": 1, "levels": 3, '
                '"policies": [{"ops": ["Rotat"], "probability": 1, "p": [0.5], "level": [1]}]}')
  assert says in command.refused('train', *words)


def test_count_prints_the_size_and_leaves_nothing(command):
  before = command.snapshot()
  cache = '--compilation_cache=off'
  status, out, err = command.bare('train', '--config=train.py', '--count', cache, *FIXED_WORDS,
                                  '--config.data.name=tfds:cifar10', '--config.data.dir=nowhere')
  assert (status, err) == (0, '')
  assert 'wrn_40_2, 32 x 32 x 3 images, 10 classes' in out and ' 2,243,546\n' in out and ' 327,599,360\n' in out
  assert 'auxiliary' not in out
  status, out, err = command.bare('train', '--config=train.py', '--count', '--memory', cache, '--workdir=run')
  assert re.search(r'\nmemory of a step of 10 images: 0\.0[1-9] GB \(float32, compiled for cpu\)\n$', out), out
  assert (status, err) == (0, '') and '3 cells of 2 channels, 28 x 28 x 1 images, 10 classes' in out
  assert 'with the auxiliary head' in out
  assert command.snapshot() == before


@pytest.mark.parametrize('kind, words', [('search', ()), ('train', FIXED_WORDS)])
def test_memory_is_printed_before_anything_is_kept(command, kind, words):
  before = command.snapshot()
  status, out, err = command.bare(kind, f'--config={kind}.py', '--memory', '--compilation_cache=off', *words,
                                  *['--config.network.depth=10', '--config.network.width=1'] * (kind == 'train'))
  assert (status, err) == (0, '') and re.fullmatch(r'memory of a step of [^:]+: 0\.\d\d GB \([^)]*compiled for cpu\)\n', out)
  assert command.snapshot() == before
  if kind == 'search':
    assert 'is of one device' in command.refused('search', '--memory', '--config.parallel.devices=0')


def test_search_config_is_refused(command):
  assert 'python -m daas_jax.search' in command.refused('train', '--config=search.py', '--workdir=run', bare=True)


# The workdir.

@pytest.mark.parametrize('kind', ['search', 'train'])
def test_workdir_that_holds_something_else(command, kind):
  (command.folder / 'run').mkdir()
  command.write('run/config.json', '{}\n')
  assert 'another config' in command.refused(kind)
  earlier = command.parsed(kind).config.to_dict()
  del earlier['theta' if kind == 'search' else 'train']['optimizer']
  command.write('run/config.json', json.dumps(earlier, default=list))
  assert 'another version wrote it' in command.refused(kind)
  os.remove('run/config.json')
  command.write('run/policy.json', 'of someone')
  assert 'policy.json' in command.refused(kind)
  for path in ('search.py', 'search.py/run', '/proc/run'):
    line = command.refused(kind, f'--config={kind}.py', f'--workdir={path}', bare=True)
    assert 'cannot be used' in line and '--workdir' in line


# What `run` makes of what a command raises.

@pytest.mark.parametrize('error, status', [
    (BadInput('wrong'), 2), (BadInput('wrong\nin two lines'), 2), (Diverged('loss became nan at step 3'), 3),
    (KeyboardInterrupt(), 130), (OSError(28, 'No space left on device', 'run/metrics.jsonl'), 2)])
def test_status(command, error, status):
  def main(options):
    raise error
  found, out, err = command.bare('search', '--config=search.py', '--workdir=run', f'--compilation_cache={CACHE}',
                                 main=main)
  assert found == status and out == '' and err.count('\n') == 1
  assert all(str(part) in err for part in error.args if not isinstance(part, (int, str)) or '\n' not in str(part))


def test_an_error_of_the_program_is_not_hidden(command):
  def main(options):
    raise ZeroDivisionError
  with pytest.raises(ZeroDivisionError):
    command.bare('search', '--config=search.py', '--workdir=run', f'--compilation_cache={CACHE}', main=main)


@pytest.mark.parametrize('message, status', [
    ('RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes', 1), ('UNAVAILABLE: Socket closed', EX_TEMPFAIL)])
def test_what_one_of_several_processes_did_wrong_is_not_blamed_on_another(command, monkeypatch, message, status):
  """Status 75 has the run started again: of no use where a batch is too large for the device."""
  def main(options):
    raise jax.errors.JaxRuntimeError(message)
  class Ended(Exception):
    pass
  def end(status, line):
    raise Ended(status, line)
  monkeypatch.setattr(processes, 'several', lambda: True)
  monkeypatch.setattr(processes, 'end', end)
  monkeypatch.setattr(processes, 'lost', lambda reason: end(EX_TEMPFAIL, reason))
  with pytest.raises(Ended) as info:
    command.bare('search', '--config=search.py', '--workdir=run', f'--compilation_cache={CACHE}', main=main)
  assert info.value.args[0] == status and message in info.value.args[1]


# Processes. This one is the search command with a job that has nothing to compile.

QUICK = """
    import sys, time
    import jax.numpy as jnp
    from daas_jax.runtime import cli, loop
    from daas_jax.search import command, job

    def step(state, batch):
      time.sleep(0.01)
      loss = jnp.where(state['step'] == int(sys.argv[1]), jnp.nan, 1.0)
      return {'step': state['step'] + 1}, {'train_loss': loss}

    job.of = lambda *arguments: loop.Job(
        init=lambda: {'step': jnp.int32(0)}, step=step, batches=lambda number: None, total_steps=9999,
        steps_per_epoch=9999, images_per_step=1, phase=lambda epoch: 'joint')
    sys.exit(cli.run('search', command.main, sys.argv[2:], command.define_flags))
"""
RIGHT = ('--config=search.py', '--workdir=run', '--compilation_cache=off')


def process(folder, *words):
  return subprocess.Popen([sys.executable, *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=os.environ | {'JAX_PLATFORMS': 'cpu', 'PYTHONUNBUFFERED': '1',
                                                       'TMPDIR': str(folder.parent)})


def test_process_ends_with_one_line_and_status_2(command):
  before = command.snapshot()
  with process(command.folder, '-m', 'daas_jax.search', *RIGHT, '--config.search.n_aug=0') as one:
    out, err = one.communicate(timeout=120)
  assert one.returncode == 2 and out == '' and err.count('\n') == 1 and 'search.n_aug' in err
  assert command.snapshot() == before


def test_interrupted_process_says_so_and_goes_on_later(command):
  command.write('quick.py', QUICK)
  # A name that a glob, a shell or a URL would take for another.
  words = ('quick.py', '-1', *RIGHT, "--workdir=~ [x]\\*?#%20'\n\u00fc ")
  with process(command.folder, *words) as one:
    try:
      assert any(' step 4:' in line for line in one.stdout)
      one.send_signal(signal.SIGINT)
      err = one.communicate(timeout=300)[1]
    finally:
      one.kill()
  assert one.returncode == 130 and err.count('\n') == 2, err  # it was heard, and what came of it
  end = re.fullmatch(r'daas_jax.search: interrupted after step (\d+); '
                     r'the same command goes on from step \1', err.splitlines()[1])
  with process(command.folder, *words) as two:
    try:
      resumed = next(line for line in two.stdout if 'resuming' in line)
      assert resumed.split()[-1] == end[1]
      status, _, err = command.bare('search', *words[2:], f'--compilation_cache={CACHE}')
      assert status == 2 and 'another process' in err and err.count('\n') == 1
    finally:
      two.kill()


def test_diverged_process_ends_with_status_3(command):
  command.write('quick.py', QUICK)
  with process(command.folder, 'quick.py', '4', *RIGHT) as one:
    err = one.communicate(timeout=300)[1]
  assert one.returncode == 3 and err.count('\n') == 1
  assert 'nan at step 5; the checkpoint of step 4 is kept' in err
  assert (command.folder / 'run' / 'checkpoints' / '4').is_dir()


def test_an_edit_of_the_same_size_in_the_same_second_is_seen(tmp_path):
  """A study of three edited configs found them unchanged: Python's loader had kept the first one's compilation."""
  path = tmp_path / 'config.py'
  for seed in (3, 4):
    path.write_text(f'from daas_jax.config import search_config\ndef get_config():\n  config = search_config()\n'
                    f'  config.seed = {seed}\n  return config\n')
    os.utime(path, (1e9, 1e9))
    assert config_file.run(str(path)).seed == seed
  assert [p.name for p in tmp_path.iterdir()] == ['config.py']
