"""Bad input for what DDAS, the joint search and Faster AutoAugment brought: one line, status 2, nothing written."""

import json

from conftest import ROOT
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.methods import registry
from daas_jax.policies import candidates as candidates_lib, registry as policies, total
from daas_jax.runtime import cli, parallel
from test_cli import Command

SEARCH = """
    from daas_jax.config import search_config
    def get_config():
      config = search_config({method!r})
      config.data.name, config.data.n_train, config.data.n_test = 'embedded', 40, 20
      config.network.name = {network!r}
      if 'channels' in config.network: config.network.channels = 2
      config.search.epochs, config.search.batch = 1, 10
      config.data.val_fraction = 0.5
      if 'tuning_epochs' in config.search: config.search.tuning_epochs = 0
      {line}
      return config
"""
NETWORKS = {'ddas': 'small_cnn', 'joint_faa': 'small_cnn', 'faster_aa': 'small_cnn', 'amended_darts': 'supernet',
            'darts': 'supernet', 'diffautoml': 'shuffle'}
NEW = tuple(NETWORKS)

_OPTIMIZER = ('adm', 'nearest: adam')
_SGD = {'theta.optimizer': _OPTIMIZER, 'theta.b1': ('1', '[0, 1)'), 'theta.b2': ('-0.1', '[0, 1)'),
        'theta.lr': ('0', 'above 0'), 'theta.lr_min': ('1', 'at most theta.lr'), 'theta.momentum': ('1', '[0, 1)'),
        'theta.weight_decay': ('-1', 'at least 0'), 'theta.clip': ('-1', 'at least 0')}
_ARCH = {'arch.optimizer': _OPTIMIZER, 'arch.lr': ('-0.1', 'above 0'), 'arch.momentum': ('1', '[0, 1)'),
         'arch.weight_decay': ('nan', 'finite'),
         'arch.eigenvalue_every': ('-1', 'at least 0'), 'arch.stop_skip': ('1.1', '[0, 1]'),
         'arch.stop_eigenvalue': ('1', '[0, 1)')}
_POLICY = {'policy.K': ('0', '[1, 3]'), 'gamma.optimizer': _OPTIMIZER, 'gamma.lr': ('0', 'above 0'),
           'gamma.momentum': ('1', '[0, 1)'), 'gamma.weight_decay': ('-1', 'at least 0')}
_RELAXED = _POLICY | {
    'policy.ops': ("('Rotate','Rotat')", "'Rotat' (nearest: Rotate)"), 'policy.L': ('0', '[1, 100]'),
    'policy.selection_temperature': ('0', 'above 0'), 'policy.bernoulli_temperature': ('-0.1', 'above 0')}
WRONG = {
    'ddas': _SGD | _POLICY | {
        'data.objects': ('-1', '[0, 10000]'),
        'policy.candidates': ("('Rotat:0.5',)", "'Rotat:0.5' names no known operation"),
        'policy.p_tp': ('1.5', '(0, 1]'), 'search.n_policies': ('0', '[1, 10000]'),
        'search.val_batches': ('0', '[1, 10000]'), 'search.normalise': ('2', 'True or False'),
        'search.policy_per': ('pixel', 'batch'), 'search.val_moments': ('all', 'own'), 'search.objective': ('loss', 'step'),
        'gamma.lr_total': ('-1', 'at least 0')},
    'joint_faa': _SGD | _ARCH | _RELAXED | {
        'network.name': ('shuffle', 'must be one of supernet, '),
        'network.primitives': ("('none',)", "other than 'none'")},
    'faster_aa': _RELAXED | {
        'network.name': ('supernet', 'must be one of wrn_40_2, '), 'search.penalty': ('-1', 'at least 0'),
        'search.classification': ('-0.1', 'at least 0'), 'theta.optimizer': _OPTIMIZER,
        'theta.momentum': ('1', '[0, 1)'), 'theta.b1': ('1', '[0, 1)'), 'theta.b2': ('-0.1', '[0, 1)'),
        'theta.lr': ('1e-400', 'above 0'),
        'theta.weight_decay': ('-1e-9', 'at least 0'), 'gamma.lr': ('0', 'above 0'), 'adam.b1': ('-0.1', '[0, 1)')},
    'amended_darts': _SGD | _ARCH | {
        'network.name': ('small_cnn', 'supernet'), 'network.primitives': ("('none',)", "other than 'none'"),
        'network.edges': ('some', 'all, fixed'), 'network.cells': ('each', 'shared, own'),
        'policy.name': ('standrd', "did you mean 'standard'"), 'search.second_term': ('second', 'amended, darts'),
        'search.eta': ('-0.1', 'at least 0'), 'search.xi': ('-1', 'at least 0'),
        'search.auxiliary': ('-1', 'at least 0'),
        'search.drop_path': ('1', '[0, 1)')},
    'diffautoml': _SGD | {
        'data.val_fraction': ('1', '(0, 1)'), 'network.name': ('supernet', 'shuffle, wrn_40_2'),
        'network.size': ('mnist', 'cifar'), 'policy.ops': ("('Rotate','Rotat')", "'Rotat' (nearest: Rotate)"),
        'policy.K': ('4', '[1, 3]'), 'search.tuning_epochs': ('1', 'must be below search.epochs (1)'),
        'search.moment_batches': ('0', '[1, 10000]'), 'theta.lr_min': ('1', 'at most theta.lr'),
        'theta.weight_decay': ('0', 'above 0'), 'arch.optimizer': ('rmsprob', 'sgd, adam'), 'arch.lr': ('0', 'above 0'),
        'arch.momentum': ('1', '[0, 1)'), 'arch.weight_decay': ('-1', 'at least 0'),
        'arch.freeze_margin': ('1.1', '[0, 1]'), 'arch.constraint': ('penality', 'nearest: penalty'),
        'arch.max_multiply_adds': ('1000', 'belong together'), 'arch.penalty': ('-1', 'at least 0'),
        'gamma.gradient': ('eq3', 'eq2, score'), 'gamma.optimizer': _OPTIMIZER, 'gamma.lr': ('0', 'above 0'),
        'gamma.momentum': ('1', '[0, 1)'), 'gamma.weight_decay': ('-1', 'at least 0'), 'hyper.searched': ("('momentum',)", "'lr' or 'weight_decay'"),
        'hyper.lr_least': ('0', 'above 0'), 'hyper.lr_most': ('0', 'above 0'), 'hyper.weight_decay_least': ('-1', 'above 0'),
        'hyper.weight_decay_most': ('0', 'above 0'),
        'hyper.lr': ('0', 'above 0'), 'adam.b1': ('1', '[0, 1)')},
}
"""{method: {key: (a wrong value, what is said of it)}}, every key that the method has of its own."""
WRONG['darts'] = WRONG['amended_darts']
OF_NETWORKS = {'ddas': {'data.objects'}, 'joint_faa': {'network.name'}, 'faster_aa': {'network.name'},
               'amended_darts': {'network.name'}, 'darts': {'network.name'},
               'diffautoml': {'network.name', 'network.size', 'arch.freeze_margin', 'arch.constraint',
                              'arch.max_multiply_adds', 'arch.penalty'}}


@pytest.fixture
def command(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  return Command(tmp_path, capsys)


def write(command, method, line='pass'):
  command.write('search.py', SEARCH.format(method=method, network=NETWORKS.get(method, 'small_cnn'), line=line))


def refused(command, method, *words, line='pass'):
  write(command, method, line)
  return command.refused('search', *words)


# Keys.

def test_the_table_has_every_key():
  assert {method: set(keys) for method, keys in WRONG.items()} == {
      method: {*row.keys, *policies.spaces()[row.policy].keys, *OF_NETWORKS[method]}
      for method, row in registry.methods().items() if method in NEW}


@pytest.mark.parametrize('method', NEW)
def test_the_config_that_is_made_wrong_is_right(command, method):
  write(command, method)
  assert command.parsed('search').config.method == method


@pytest.mark.parametrize('method, key', [(method, key) for method in NEW for key in WRONG[method]])
def test_wrong_values(command, method, key):
  value, says = WRONG[method][key]
  line = refused(command, method, f'--config.{key}={value}')
  assert (key in line or key == 'policy.name') and says in line


EVERY = config_lib.every('search')
FOREIGN = [(method, key) for method in registry.methods()
           for key in EVERY if key not in config_lib.schema_of('search', method)]


@pytest.mark.parametrize('method, key', FOREIGN)
def test_keys_of_another_method(command, method, key):
  owners = [other for other in registry.methods() if key in config_lib.schema_of('search', other)]
  assert method not in owners
  value = EVERY[key].default
  overridden = refused(command, method, f'--config.{key}={value}')
  room, leaf = key.split('.')
  room = f'config.{room}' if any(k.startswith(f'{room}.') for k in config_lib.schema_of('search', method)) else None
  in_file = overridden if room is None else refused(
      command, method, line=f'with config.unlocked(): {room}.{leaf} = {value!r}')
  for line in (overridden, in_file):
    assert f'{key!r}' in line and f'method {method!r}' in line and all(owner in line for owner in owners), line


@pytest.mark.parametrize('value', ['2', '0', '-1', '1.5', '10001', 'nan'])
def test_smoothing(command, value):
  assert 'train.policy_smoothing' in command.refused('train', f'--config.train.policy_smoothing={value}')


@pytest.mark.parametrize('value', ['-1', 'chunk', 'chunk:0', 'chunk:1.5', 'Image'])
def test_chunks(command, value):
  line = command.refused('train', f'--config.train.policy_per={value}')
  assert 'train.policy_per' in line and "'image', 'batch' or 'chunk:N'" in line


@pytest.mark.parametrize('method, words, says', [
    ('ddas', ['--config.search.val_batches=3'], '30 images is larger than the 20 of D_val'),
    ('ddas', ['--config.network.dtype=bfloat16'], 'supernet alone'),
    ('ddas', ['--config.method=joint_faa'], "is not one of method 'joint_faa', but of"),
    ('ddas', ['--config.method=dads'], 'nearest: ddas'),
    ('ddas', ['--config.network.name=resnet_18', '--config.network.depth=11'], '2 + 8 n'),
    ('joint_faa', ["--config.policy.ops=('Rotate','Rotate')"], 'twice'),
    ('joint_faa', ['--config.policy.ops=()'], 'at least one'), ('joint_faa', ['--config.policy.K=4'], '[1, 3]'),
    ('joint_faa', ['--config.network.genotype=random:0'], "network.name='supernet'"),
    ('amended_darts', ['--config.arch.stop_eigenvalue=0.75'], 'arch.eigenvalue_every'),
    ('amended_darts', ['--config.policy.name=searched'], '--search=WORKDIR'),
    ('amended_darts', ['--config.network.cells=own'], "network.edges='fixed'"),
    ('amended_darts', ['--config.network.genotype=random:0'], 'searches an architecture'),
    ('faster_aa', ['--config.search.batch=9'], 'must be even, not 9'),
    ('faster_aa', ['--config.network.genotype=random:0'], "is not one of method 'faster_aa', but of daas"),
    ('darts', ['--config.network.genotype=random:0'], "method 'darts' nothing to do, which searches an architecture"),
    ('joint_faa', ['--config.network.name=retinanet'], "method 'joint_faa' does not search policies for retinanet"),
    ('diffautoml', ['--config.network.name=small_cnn'], 'must be one of shuffle, wrn_40_2'),
    ('diffautoml', ['--config.network.name=wrn_40_2', '--config.arch.max_multiply_adds=9'], 'shuffle alone'),
])
def test_keys_against_each_other(command, method, words, says):
  assert says in refused(command, method, *words)


@pytest.mark.parametrize('method', NEW)
def test_several_devices(command, monkeypatch, method):
  """Also where the machine has them, and where 'all' are several."""
  with monkeypatch.context() as patch:
    patch.setattr(parallel.jax, 'local_device_count', lambda: 8)
    for devices in (2, 0):
      line = refused(command, method, f'--config.parallel.devices={devices}', '--config.parallel.over=samples')
      if method == 'ddas':
        assert 'search.n_policies' in line and 'multiple of the' in line
      else:
        assert f'{method!r} has one sample a step' in line and 'parallel.over=data' in line
    line = refused(command, method, '--config.parallel.devices=7', '--config.parallel.over=data')
    assert 'search.batch' in line and 'multiple of the 7 devices' in line
  assert 'parallel.devices' in refused(command, method, '--config.parallel.devices=2')


# Candidates.

@pytest.mark.parametrize('candidates, says', [
    ("('Rotate:0.6','Nothing')", "'Nothing' names no known operation"), ("('Rotate:0.6','Rotate:0.60')", 'twice'),
    ("('Equalize','Equalize')", 'twice'), ("('Rotate',)", 'write Rotate:0.5'), ("('Equalize:0.5',)", 'write Equalize'),
    ("('Rotate:2.1',)", '[-2, 2]'), ("('Rotate:nan',)", '[-2, 2]'), ("('Rotate:-2.1',)", '[-2, 2]'),
    ("('Rotate:half',)", '[-2, 2]'), ("('Rotate:',)", 'write Rotate:0.5'), ("('',)", 'no known operation'),
    ("(':0.5',)", 'no known operation'), ("('rotate:0.5',)", 'no known operation'), ("('Rotate:0.5:1',)", '[-2, 2]'),
    ("(3,)", 'tuple of names'), ("('Rotate:0.5'", 'no known operation'), ('3', '3'),
])
def test_candidates(command, candidates, says):
  line = refused(command, 'ddas', f'--config.policy.candidates={candidates}')
  assert "'policy.candidates'" in line and says in line


# Policy schedules.

def found(**changes):
  """A schedule of 2 epochs and 2 candidates as JSON text, changed at the top."""
  space = candidates_lib.Space(candidates_lib.parse(('Rotate:0.6', 'Equalize')), 2)
  text = total.to_text(total.Schedule(space, np.array([0.3, 0.4]), np.full((2, 2), 0.5)))
  return json.dumps(json.loads(text) | changes) if changes else text


EPOCH = {'p_tp': 0.3, 'p_o': [0.5, 0.5]}
DAMAGED = [
    (found()[:150], 'not a JSON file'), (found()[:-2], 'not a JSON file'), ('', 'not a JSON file'),
    ('[]', '"format"'), ('3', '"format"'), (found(format='daas_jax.genotype'), '"format"'),
    (found(format='daas_jax.policy'), '"ops" is missing'), (found(format=3), '"format"'),
    (found(version=3), 'version 3'), (found(version=None), 'version None'), (found(version=True), 'version True'),
    (found(version=1.0), 'version 1.0'), (found(K=4), '"K"'), (found(K=True), '"K"'), (found(K='2'), '"K"'),
    (found(candidates=[]), '"candidates"'), (found(candidates={}), '"candidates"'),
    (found(candidates=[{'op': 'Rotat', 'strength': 0.6}, {'op': 'Equalize'}]), "'Rotat:0.6' names no known operation"),
    (found(candidates=[{'op': 'Equalize'}, {'op': 'Equalize'}]), 'twice'),
    (found(candidates=[{'op': 'Rotate'}, {'op': 'Equalize'}]), 'no strength'),
    (found(candidates=[{'op': 'Rotate', 'strength': None}, {'op': 'Equalize'}]), 'candidates[0] must have'),
    (found(candidates=[{'op': 'Equalize'}, {'op': 'Rotate', 'strength': []}]), 'a number as "strength", not'),
    (found(candidates=[{'op': 'Rotate', 'strength': 2.1}, {'op': 'Equalize'}]), '[-2, 2]'),
    (found(candidates=[{}, {}]), 'the name of an operation as "op"'),
    (found(candidates=[{'op': 'Ro\ntate', 'strength': 0.6}, {'op': 'Equalize'}]), 'no known operation'),
    (found(epochs=[]), '"epochs"'), (found(epochs=[EPOCH, 3]), 'epochs[1]'),
    (found(epochs=[EPOCH, EPOCH | {'p_tp': 1.1}]), 'epochs[1]: "p_tp"'),
    (found(epochs=[EPOCH | {'p_o': [1.0]}]), 'list of 2 numbers'),
    (found(epochs=[EPOCH | {'p_o': [0.9, 0.9]}]), 'sums to 1.8'), (found(epochs=[EPOCH | {'p_o': [1, True]}]), '"p_o"'),
    (found().replace('0.3', 'NaN', 1), 'not a JSON'),
]


@pytest.mark.parametrize('text, says', DAMAGED)
def test_damaged_schedules(command, text, says):
  """Named by --policy, and as what --search left."""
  (command.folder / 'policy.json').write_text(text)
  genotype = '--genotype=random:0'
  for words in (['--policy=policy.json', genotype], ['--policy=searched', '--search=.', genotype]):
    line = command.refused('train', *words)
    assert says in line and 'policy.json' in line


def test_schedules_where_something_else_belongs(command):
  (command.folder / 'policy.json').write_text(found())
  write(command, 'ddas')
  for words, says in (
      (['--config=search.py', '--policy=policy.json'], 'policy'),
      (['--config=policy.json'], 'policy.json'),
      (['--config=search.py', '--config.network.name=supernet', '--config.network.genotype=policy.json'],
       'daas_jax.genotype'),
      (['--config=search.py', '--config.network.name=supernet', '--config.network.genotype=searched', '--search=.'],
       'genotype.json'),
  ):
    assert says in command.refused('search', *words, '--workdir=run', bare=True)
  assert 'daas_jax.genotype' in command.refused('train', '--genotype=policy.json', '--policy=none')


# Variants.

@pytest.mark.parametrize('name', sorted(path.stem for path in (ROOT / 'configs').glob('*.py')))
@pytest.mark.parametrize('variant', ['nosuch', 'smoke_supernet', 'supernet:smoke'])
def test_unknown_variants(command, name, variant):
  kind = {'train': 'train', 'gradcheck': 'gradcheck'}.get(name.split('_')[0], 'search')
  before = command.snapshot()
  status = cli.run(kind, None, [f'--config={ROOT / "configs" / name}.py:{variant}', '--workdir=run'])
  out, err = command.output()
  assert status == 2 and out == '' and err.count('\n') == 1 and 'variant' in err and variant in err, err
  assert command.snapshot() == before
