"""Every config file holds what its paper says, complete and commented."""

import ast
import io
import re
import tokenize

from conftest import ROOT
import numpy as np
import pytest

from daas_jax import config as config_lib
from daas_jax.augment.ops import DAAS_OPS
from daas_jax.data import splits
from daas_jax.nets import registry as nets
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, DARTS_PRIMITIVES
from daas_jax.policies import relaxed, transformations
from daas_jax.runtime import cli

CONFIGS = {path.stem: path for path in sorted((ROOT / 'configs').glob('*.py'))}
SEARCHES = ('daas_cifar10', 'daas_cifar100', 'daas_imagenet', 'daas_wrn_40_2', 'ddas_cifar10', 'ddas_imagenet',
            'ddas_coco', 'joint_faa_cifar10', 'faster_aa_cifar10', 'darts_cifar10', 'amended_cifar10',
            'diffautoml_imagenet', 'diffautoml_cifar10')
TRAININGS = ('train_cifar10', 'train_cifar100', 'train_imagenet', 'train_wrn_40_2', 'train_wrn_28_10',
             'train_shake_shake', 'train_pyramidnet', 'train_resnet_50')
QUICKSTARTS = ('quickstart', 'train_quickstart', 'gradcheck_quickstart', 'daas_small', 'train_small',
               'ddas_quickstart', 'ddas_rotate90', 'ddas_detection', 'train_ddas_quickstart',
               'joint_faa_quickstart', 'joint_faa_rotate90', 'amended_quickstart', 'amended_small', 'diffautoml_quickstart',
               'train_diffautoml_quickstart', 'field_small', 'train_field_small')

# key: (value, source). DARTS, GDAS, DADA: their published code.
_SEARCH = {
    'network.layers': (8, 'DAAS 5'),
    'network.channels': (16, 'DAAS 5'),
    'network.primitives': (DAAS_PRIMITIVES, 'DAAS 3.2'),
    'network.genotype': ('', 'DAAS: searched'),
    'policy.ops': (DAAS_OPS, 'DAAS 3.2: 15 operations'),
    'policy.K': (2, 'AutoAugment, DADA'),
    'policy.levels': (10, 'DAAS 3.2'),
    'policy.share': ('policy', 'DAAS 3.2: for the i-th policy, each operation owns two parameters'),
    'policy.drawn': ('batch', 'DAAS 4.3, 5: at each iteration one policy, its likeliest magnitudes'),
    'data.val_fraction': (0.5, 'DAAS 5, DARTS'),
    'data.validation_turns': (0, 'a check of DDAS 4.1 alone'),
    'search.epochs': (50, 'DAAS 5: 20 + 30; ImageNet 30 + 20'),
    'search.n_arch': (5, 'DAAS 5'),
    'search.n_aug': (2, 'DAAS 5'),
    'search.n_w': (10, 'DAAS 4.2'),
    'network.name': ('supernet', 'DAAS 3.2'),
    'search.inner': ('sgd', 'DAAS Eq. 10'),
    'search.xi': (0.0, 'DAAS Eq. 10: the learning rate'),
    'search.tau_start': (10.0, 'GDAS'),
    'search.tau_end': (0.1, 'GDAS'),
    'theta.lr': (0.025, 'DARTS'),
    'theta.lr_min': (0.001, 'DARTS'),
    'theta.momentum': (0.9, 'DAAS 5'),
    'theta.weight_decay': (3e-4, 'DARTS'),
    'theta.clip': (5.0, 'DARTS'),
    'arch.lr': (3e-4, 'DARTS'),
    'arch.weight_decay': (1e-3, 'DARTS'),
    'gamma.lr': (5e-3, 'DADA'),
    'gamma.weight_decay': (0.0, 'DADA'),
    'adam.b1': (0.5, 'DAAS 5'),
    'adam.b2': (0.999, 'DAAS 5'),
    'preprocess.flip': (True, 'DARTS'),
    'preprocess.cutout': (0, 'DARTS'),
}
_CIFAR_SEARCH = _SEARCH | {
    'search.warmup_epochs': (20, 'DAAS 5'),
    'data.classes': (0, 'DAAS 5: all'),
    'network.stem': ('cifar', 'DARTS'),
    'preprocess.crop': ('padded', 'DARTS'),
    'preprocess.padding': (4, 'DARTS'),
}
_TRAIN = {
    'data.val_fraction': (0.0, 'DARTS: all of the training images; the last epoch'),
    'policy': ('searched', 'DAAS 5'),
    'genotype': ('searched', 'DAAS 5'),
    'train.momentum': (0.9, 'DARTS'),
    'train.clip': (5.0, 'DARTS'),
    'train.auxiliary': (0.4, 'DARTS'),
    'preprocess.flip': (True, 'DARTS'),
    'data.classes': (0, 'all'),
    'network.name': ('derived', 'DAAS 4.3'),
    'train.warmup_epochs': (0, 'DARTS'),
    'train.nesterov': (False, 'DARTS'),
    'train.ema': (0.0, 'DARTS'),
    'train.policy_per': ('', 'as the method has it: a batch in DAAS 4.3, an image in DDAS (code)'),
}
# confs/*.yaml of github.com/kakaobrain/fast-autoaugment, which DAAS's peers in Table 5 train with.
_FIXED_TRAIN = {
    'data.val_fraction': (0.0, 'Fast AutoAugment: all of the training images; the last epoch'),
    'data.name': ('tfds:cifar10', 'DAAS Table 5'),
    'data.classes': (0, 'all'),
    'policy': ('searched', 'DAAS 5.2'),
    'train.schedule': ('cosine', 'Fast AutoAugment'),
    'train.warmup_epochs': (5, 'Fast AutoAugment'),
    'train.momentum': (0.9, 'Fast AutoAugment'),
    'train.nesterov': (True, 'Fast AutoAugment'),
    'train.clip': (5.0, 'Fast AutoAugment'),
    'train.label_smoothing': (0.0, 'Fast AutoAugment'),
    'train.ema': (0.0, 'Fast AutoAugment'),
    'train.policy_per': ('', 'as the method has it: a batch in DAAS 4.3, an image in DDAS (code)'),
    'preprocess.crop': ('padded', 'Fast AutoAugment'),
    'preprocess.padding': (4, 'Fast AutoAugment'),
    'preprocess.flip': (True, 'Fast AutoAugment'),
    'preprocess.cutout': (16, 'Fast AutoAugment'),
    'network.depth': (0, 'the name'),
    'network.width': (0, 'the name'),
}


def _fixed_train(name, epochs, batch, lr, weight_decay):
  code = 'Fast AutoAugment'
  return _FIXED_TRAIN | {
      'network.name': (name, 'DAAS Table 5'), 'train.epochs': (epochs, 'DAAS 5.2'), 'train.batch': (batch, code),
      'train.lr': (lr, code), 'train.weight_decay': (weight_decay, code)}


_CIFAR_TRAIN = _TRAIN | {
    'network.layers': (20, 'DARTS'),
    'network.channels': (36, 'DARTS'),
    'network.stem': ('cifar', 'DARTS'),
    'train.epochs': (600, 'DAAS 5'),
    'train.batch': (96, 'DAAS 5'),
    'train.lr': (0.025, 'DARTS'),
    'train.schedule': ('cosine', 'DARTS'),
    'train.weight_decay': (3e-4, 'DARTS'),
    'train.drop_path': (0.2, 'DARTS'),
    'train.label_smoothing': (0.0, 'DARTS'),
    'preprocess.crop': ('padded', 'DARTS'),
    'preprocess.padding': (4, 'DARTS'),
    'preprocess.cutout': (16, 'DARTS'),
}
_DIFFAUTOML = {
    'policy.ops': (transformations.OPERATIONS, 'DiffAutoML 4.1: 14 operations'),
    'policy.K': (2, 'DiffAutoML 3.1'),
    'network.name': ('shuffle', 'DiffAutoML 4.1'),
    'theta.lr_min': (0.0, 'DiffAutoML, Appendix A: cosine'),
    'theta.momentum': (0.9, 'DiffAutoML, Appendix A'),
    'arch.momentum': (0.9, 'DiffAutoML, Appendix A'),
    'gamma.momentum': (0.9, 'DiffAutoML, Appendix A'),
    'arch.freeze_margin': (0.3, 'DSNAS code'),
    'arch.constraint': ('none', 'DiffAutoML: no C is given'),
    'hyper.lr': (1e-3, 'DiffAutoML, Appendix A'),
}
PAPER = {
    'diffautoml_imagenet': _DIFFAUTOML | {
        'data.name': ('tfds:imagenet2012', 'DiffAutoML 4.1'),
        'network.size': ('imagenet', 'DiffAutoML 4.1: 20 blocks'),
        'theta.lr': (0.5, 'DiffAutoML, Appendix A'),
        'theta.weight_decay': (4e-5, 'DiffAutoML, Appendix A'),
        'arch.optimizer': ('sgd', 'DiffAutoML, Appendix A'),
        'arch.lr': (1e-6, 'DiffAutoML, Appendix A'),
        'arch.weight_decay': (5e-4, 'DiffAutoML, Appendix A'),
        'gamma.optimizer': ('sgd', 'DiffAutoML, Appendix A'),
        'gamma.gradient': ('eq2', 'DiffAutoML Eq. 2'),
        'gamma.lr': (1e-5, 'DiffAutoML, Appendix A'),
        'gamma.weight_decay': (5e-4, 'DiffAutoML, Appendix A'),
        'hyper.searched': (('weight_decay',), 'DiffAutoML 4.1'),
    },
    'diffautoml_cifar10': _DIFFAUTOML | {
        'data.name': ('tfds:cifar10', 'DiffAutoML, Table 2'),
        'network.size': ('cifar', 'of the size of CIFAR'),
        'arch.optimizer': ('adam', 'DSNAS code'),
        'arch.lr': (1e-3, 'DSNAS code'),
        'hyper.searched': (('lr', 'weight_decay'), 'DiffAutoML 4.3.1'),
    },
    'daas_cifar10': _CIFAR_SEARCH | {'data.name': ('tfds:cifar10', 'DAAS 5')},
    'daas_cifar100': _CIFAR_SEARCH | {'data.name': ('tfds:cifar100', 'DAAS 5')},
    'daas_imagenet': _SEARCH | {
        'data.name': ('tfds:imagenet2012', 'DAAS 5'),
        'data.classes': (120, 'DAAS 5'),
        'search.warmup_epochs': (30, 'DAAS 5.1'),
        'network.stem': ('imagenet', 'DARTS'),
        'preprocess.crop': ('resized', 'DARTS'),
    },
    'daas_wrn_40_2': _CIFAR_SEARCH | {
        'data.name': ('tfds:cifar10', 'DAAS Table 5'),
        'network.name': ('wrn_40_2', 'DADA'),
        'search.n_w': (1, 'a fixed network'),
        'theta.lr': (0.05, 'DADA: 0.4 for 512 images'),
        'theta.weight_decay': (2e-4, 'DADA'),
    },
    'ddas_cifar10': {
        'data.name': ('tfds:cifar10', 'DDAS 4.2'),
        'data.n_train': (4000, 'DDAS 4.2: 2,000 and 2,000'),
        'data.val_fraction': (0.5, 'DDAS 4.2'),
        'data.validation_turns': (0, 'a check of DDAS 4.1 alone'),
        'network.name': ('wrn_40_2', 'DDAS 4.2'),
        'policy.candidates': ((), 'DDAS code: the published list'),
        'policy.K': (2, 'DDAS 4.2'),
        'policy.p_tp': (0.35, 'DDAS 4.2'),
        'search.epochs': (20, 'DDAS 4.2'),
        'search.batch': (32, 'DDAS 4.2'),
        'search.val_batches': (8, 'DDAS 4.2: 256 images'),
        'search.n_policies': (3, 'DDAS 4.2'),
        'search.normalise': (True, 'DDAS Eq. 15'),
        'preprocess.cutout': (16, 'DDAS code'),
        'preprocess.policy_first': (True, 'DDAS code'),
        'theta.lr': (0.32, 'DDAS code: 0.01 on the sum over 32 images'),
        'theta.lr_min': (0.0, 'DDAS code: cosine to 0'),
        'theta.momentum': (0.0, 'DDAS code'),
        'theta.weight_decay': (0.0, 'DDAS code'),
        'theta.clip': (0.0, 'DDAS code'),
        'gamma.lr': (5e-3, 'DDAS code'),
        'gamma.lr_total': (1e-3, 'DDAS code'),
        'adam.b1': (0.5, 'DDAS code'),
        'adam.b2': (0.999, 'DDAS code'),
    },
    'ddas_imagenet': {
        'data.name': ('tfds:imagenet2012', 'DDAS 4.3'),
        'data.classes': (120, 'DDAS 4.3'),
        'data.n_train': (7200, 'DDAS 4.3: 6,000 and 1,200'),
        'data.val_fraction': (1 / 6, 'DDAS 4.3'),
        'data.validation_turns': (0, 'a check of DDAS 4.1 alone'),
        'network.name': ('resnet_18_imagenet', 'DDAS 4.3'),
        'network.depth': (0, 'the name'),
        'network.width': (0, 'the name'),
        'policy.candidates': ((), 'DDAS code: the published list'),
        'policy.K': (2, 'DDAS 4.3'),
        'policy.p_tp': (0.35, 'DDAS 4.3'),
        'search.epochs': (40, 'DDAS 4.3'),
        'search.batch': (32, 'DDAS 4.3'),
        'search.val_batches': (2, 'DDAS 4.3: 64 images'),
        'search.n_policies': (2, 'DDAS 4.3'),
        'search.normalise': (True, 'DDAS Eq. 15'),
        'gamma.lr': (5e-3, 'DDAS code'),
        'gamma.lr_total': (1e-3, 'DDAS code'),
        'adam.b1': (0.5, 'DDAS code'),
        'adam.b2': (0.999, 'DDAS code'),
    },
    'ddas_coco': {
        'data.name': ('tfds:coco/2017', 'DDAS 4.4'),
        'data.n_train': (4500, 'DDAS 4.4: 3,000 and 1,500'),
        'data.val_fraction': (1 / 3, 'DDAS 4.4: 1,500'),
        'preprocess.flip': (True, 'RetinaNet 4.1'),
        'preprocess.padding': (0, 'RetinaNet 4.1: mirroring alone'),
        'preprocess.cutout': (0, 'RetinaNet 4.1: mirroring alone'),
        'network.name': ('retinanet', 'DDAS 4.4'),
        'network.depth': (50, 'DDAS 4.4: ResNet-50'),
        'network.width': (64, 'ResNet'),
        'policy.K': (2, 'DDAS 4.4'),
        'search.epochs': (30, 'DDAS 4.4'),
        'search.batch': (16, 'DDAS 4.4: 4 images on each of 4 GPUs'),
        'search.val_batches': (1, 'DDAS 4.4: 4 images on each of 4 GPUs'),
        'search.n_policies': (3, 'DDAS 4.4'),
        'search.normalise': (True, 'DDAS Eq. 15'),
        'theta.lr': (0.01, 'RetinaNet 4.1: for 16 images'),
        'theta.momentum': (0.9, 'RetinaNet 4.1'),
        'theta.weight_decay': (1e-4, 'RetinaNet 4.1'),
    },
    'joint_faa_cifar10': {
        'data.name': ('tfds:cifar10', 'joint search, Table 1'),
        'data.val_fraction': (0.5, 'DARTS'),
        'network.name': ('supernet', 'joint search: DARTS'),
        'network.layers': (8, 'DARTS'),
        'network.channels': (16, 'DARTS'),
        'network.primitives': (DARTS_PRIMITIVES, 'DARTS'),
        'policy.ops': (relaxed.OPERATIONS, 'joint search: 16 operations'),
        'policy.K': (2, 'joint search'),
        'policy.L': (10, 'joint search'),
        'policy.selection_temperature': (0.05, 'Faster AutoAugment code'),
        'policy.bernoulli_temperature': (0.1, 'Faster AutoAugment code'),
        'search.epochs': (50, 'joint search, Table 1'),
        'search.batch': (64, 'DARTS'),
        'theta.lr': (0.025, 'DARTS'),
        'arch.lr': (3e-4, 'DARTS'),
        'gamma.lr': (1e-3, 'Faster AutoAugment code'),
        'adam.b1': (0.5, 'DARTS'),
    },
    'faster_aa_cifar10': {
        'data.name': ('tfds:cifar10', 'joint search, Table 1'),
        'network.name': ('wrn_40_2', 'joint search'),
        'policy.ops': (relaxed.OPERATIONS, 'joint search: 16 operations'),
        'policy.K': (2, 'joint search'),
        'policy.L': (10, 'joint search'),
        'search.epochs': (20, 'joint search'),
        'search.batch': (128, 'Faster AutoAugment code'),
        'preprocess.cutout': (16, 'joint search: always after the policy; the size is of DARTS'),
        'search.penalty': (10.0, 'WGAN-GP'),
        'search.classification': (0.1, 'Faster AutoAugment code'),
        'theta.lr': (1e-3, 'Faster AutoAugment code'),
        'gamma.lr': (1e-3, 'Faster AutoAugment code'),
        'adam.b1': (0.0, 'Faster AutoAugment code'),
    },
    'darts_cifar10': {
        'data.name': ('tfds:cifar10', 'joint search, Table 1'),
        'data.val_fraction': (0.5, 'DARTS'),
        'network.name': ('supernet', 'DARTS'),
        'network.layers': (8, 'DARTS'),
        'network.channels': (16, 'DARTS'),
        'network.primitives': (DARTS_PRIMITIVES, 'DARTS'),
        'network.edges': ('all', 'DARTS'),
        'network.cells': ('shared', 'DARTS'),
        'policy.name': ('standard', 'joint search: in the same manner with the original paper'),
        'search.epochs': (50, 'joint search, Table 1'),
        'search.batch': (64, 'DARTS'),
        'search.eta': (0.0, 'first order'),
        'search.auxiliary': (0.0, 'DARTS'),
        'search.drop_path': (0.0, 'DARTS'),
        'theta.lr': (0.025, 'DARTS'),
        'arch.lr': (3e-4, 'DARTS'),
        'adam.b1': (0.5, 'DARTS'),
    },
    'amended_cifar10': {
        'data.name': ('tfds:cifar10', 'Amended-DARTS 4.1'),
        'network.name': ('supernet', 'Amended-DARTS 4.1.3'),
        'network.layers': (8, 'Amended-DARTS 4.1.3: S1'),
        'network.channels': (36, 'Amended-DARTS 4.1.2'),
        'network.primitives': (DAAS_PRIMITIVES, 'Amended-DARTS 4.1.3: all seven operators'),
        'network.edges': ('fixed', 'Amended-DARTS 4.1.2'),
        'network.cells': ('shared', 'Amended-DARTS 4.1.3'),
        'preprocess.cutout': (16, 'Amended-DARTS 4.1.2; DARTS'),
        'policy.name': ('standard', 'Amended-DARTS'),
        'search.epochs': (100, 'Amended-DARTS 4.1.1'),
        'search.batch': (96, 'Amended-DARTS 4.1.1'),
        'search.eta': (0.1, 'Amended-DARTS 4.1.1'),
        'search.second_term': ('amended', 'Amended-DARTS Eq. 7'),
        'search.auxiliary': (0.4, 'Amended-DARTS 4.1.2; DARTS'),
        'search.drop_path': (0.2, 'Amended-DARTS 4.1.2; DARTS'),
        'arch.lr': (3e-4, 'Amended-DARTS 4.1.1'),
        'arch.weight_decay': (1e-3, 'Amended-DARTS 4.1.1'),
        'adam.b1': (0.5, 'Amended-DARTS 4.1.1'),
        'adam.b2': (0.999, 'Amended-DARTS 4.1.1'),
    },
    'train_wrn_40_2': _fixed_train('wrn_40_2', 200, 128, 0.1, 2e-4),
    'train_wrn_28_10': _fixed_train('wrn_28_10', 200, 128, 0.1, 5e-4),
    'train_shake_shake': _fixed_train('shake_shake_26_2x32d', 1800, 128, 0.01, 1e-3),
    'train_pyramidnet': _fixed_train('pyramidnet_272', 1800, 64, 0.05, 5e-5),
    'train_resnet_50': {
        'data.name': ('tfds:imagenet2012', 'DDAS 4.3'),
        'data.val_fraction': (0.0, 'AutoAugment: all of the training images'),
        'preprocess.crop': ('resized', 'AutoAugment'),
        'preprocess.cutout': (0, 'AutoAugment'),
        'policy': ('searched', 'DDAS 4.3'),
        'network.name': ('resnet_50', 'DDAS 4.3'),
        'network.depth': (0, 'the name'),
        'network.width': (0, 'the name'),
        'train.epochs': (270, 'DDAS 4.3'),
        'train.batch': (4096, 'AutoAugment'),
        'train.lr': (1.6, 'AutoAugment'),
        'train.weight_decay': (1e-4, 'AutoAugment'),
        'train.clip': (0.0, 'AutoAugment'),
    },
    'train_cifar10': _CIFAR_TRAIN | {'data.name': ('tfds:cifar10', 'DAAS 5')},
    'train_cifar100': _CIFAR_TRAIN | {'data.name': ('tfds:cifar100', 'DAAS 5')},
    'train_imagenet': _TRAIN | {
        'data.name': ('tfds:imagenet2012', 'DAAS 5'),
        'network.layers': (14, 'DAAS 5'),
        'network.channels': (48, 'DAAS 5'),
        'network.stem': ('imagenet', 'DARTS'),
        'train.epochs': (250, 'DAAS 5'),
        'train.batch': (1024, 'DAAS 5'),
        'train.lr': (0.5, 'DAAS 5.1'),
        'train.warmup_epochs': (5, 'PC-DARTS: for batches of more than 256'),
        'train.schedule': ('linear', 'PC-DARTS'),
        'train.weight_decay': (3e-5, 'DARTS'),
        'train.drop_path': (0.0, 'DARTS'),
        'train.label_smoothing': (0.1, 'DARTS'),
        'preprocess.crop': ('resized', 'DARTS'),
        'preprocess.cutout': (0, 'DARTS'),
    },
}


FOUR = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')
FIXED_NETWORKS = [name for name, row in nets.networks().items() if row.make and row.train and not row.space]
FIXED = [name for name, table in PAPER.items() if table['network.name'][0] in FIXED_NETWORKS]
DETECTION = [name for name, table in PAPER.items() if nets.networks()[table['network.name'][0]].task]


def kind_of(name):
  return {'train': 'train', 'gradcheck': 'gradcheck'}.get(name.split('_')[0], 'search')


def load(name, variant=''):
  """{key: value} of a config file as its command reads and checks it."""
  path = f'{CONFIGS[name]}:{variant}' if variant else CONFIGS[name]
  return config_lib.flatten(cli.parse(kind_of(name), [f'--config={path}', '--workdir=unused']).config)


def test_the_files_are_those_tested_here():
  assert sorted(CONFIGS) == sorted((*SEARCHES, *TRAININGS, *QUICKSTARTS))


@pytest.mark.parametrize('name', CONFIGS)
def test_loads_and_passes_the_checks(name):
  flat = load(name)
  assert sorted(flat) == sorted(config_lib.schema_of(kind_of(name), load(name).get('method')))
  assert flat['kind'] == kind_of(name)


def test_a_training_has_no_key_of_a_search():
  groups = {name.split('.')[0] for name in config_lib.schema_of('train') if '.' in name}
  assert groups == {'data', 'preprocess', 'network', 'train', 'parallel', 'log', 'checkpoint'}
  assert 'network.size' not in config_lib.schema_of('train')  # of a path, its blocks.json says it


@pytest.mark.parametrize('name', PAPER)
def test_numbers_are_the_papers(name):
  flat = load(name)
  wrong = {key: (flat[key], *row) for key, row in PAPER[name].items() if flat[key] != row[0]}
  assert not wrong  # {key: (value here, value and source of the paper)}


@pytest.mark.parametrize('name', PAPER)
def test_what_a_file_changes_is_written_once_and_commented(name):
  """The other numbers have their sources where they are declared."""
  source = CONFIGS[name].read_text(encoding='utf-8')
  comments = {token.start[0]: token.string.strip('# ')
              for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type == tokenize.COMMENT}
  body = next(node.body for node in ast.parse(source).body
              if isinstance(node, ast.FunctionDef) and node.name == 'get_config')
  keys = []
  for node in body:  # the statements of get_config itself, so not what a variant changes
    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]).startswith('config.'):
      key = ast.unparse(node.targets[0]).removeprefix('config.')
      keys.append(key)
      assert len(node.targets) == 1 and comments.get(node.lineno), f'{key}: no comment in line {node.lineno}'
  flat, schema = load(name), config_lib.schema_of(kind_of(name), load(name).get('method'))
  built_on = re.search(r"load\('(\w+)', variant\)", source)
  before = load(built_on[1]) if built_on else {key: row.default for key, row in schema.items()}
  assert len(keys) == len(set(keys)) and not [key for key in keys if flat[key] == before[key]]
  changed = {key for key in flat if flat[key] != before[key]}
  assert changed - {'kind', 'method'} <= set(keys) and all(key.doc for key in schema.values())
  assert max(map(len, source.splitlines())) <= 120


@pytest.mark.parametrize('name', PAPER)
def test_smoke_is_small_and_leaves_out_nothing(name):
  flat, paper = load(name, 'smoke'), load(name)
  assert sorted(flat) == sorted(paper)
  for same in ('data.name', 'network.stem', 'preprocess.crop', 'preprocess.cutout'):
    # COCO cannot be made up in a file.
    assert flat.get(same) == paper.get(same) or (same, name) == ('data.name', 'ddas_coco')
  assert 0 < flat['data.n_train'] <= 100
  assert flat['network.name'] == paper['network.name']
  if name in FIXED + DETECTION:
    assert 0 < flat['network.depth'] <= 14
  elif flat['network.name'] == 'shuffle':
    assert flat['network.size'] == 'nano' and flat['policy.ops'] == paper['policy.ops']
  else:
    assert flat['network.layers'] == 3
  if flat.get('method') == 'diffautoml':
    assert 0 < flat['search.tuning_epochs'] < flat['search.epochs'] and flat['search.moment_batches'] > 1
    assert flat['hyper.searched'] == paper['hyper.searched']
  elif flat.get('method') == 'ddas':
    assert flat['policy.candidates'] == paper['policy.candidates'] and flat['policy.K'] == 2
    assert flat['search.n_policies'] == paper['search.n_policies'] and flat['search.epochs'] > 1
    assert flat['search.val_batches'] == min(paper['search.val_batches'], 2)
  elif flat.get('method') in ('joint_faa', 'faster_aa'):
    assert flat['policy.ops'] == paper['policy.ops'] and (flat['policy.K'], flat['policy.L']) == (2, 10)
    assert flat['method'] == 'faster_aa' or flat['network.primitives'][0] == 'none'
  elif flat.get('method') in ('amended_darts', 'darts'):
    same = ('network.edges', 'network.cells', 'search.second_term', 'search.eta', 'search.auxiliary',
            'search.drop_path', 'policy.name')
    assert [flat[key] for key in same] == [paper[key] for key in same] and flat['arch.eigenvalue_every']
  elif kind_of(name) == 'search':
    assert flat['policy.ops'] == DAAS_OPS and flat['policy.K'] == 2 and flat['policy.share'] == 'policy'
    assert min(flat[f'search.{n}'] for n in ('n_arch', 'n_aug', 'n_w')) > 1
    assert 0 < flat['search.warmup_epochs'] < flat['search.epochs']
  else:
    assert (flat['train.auxiliary'] > 0) == (name not in FIXED)
    assert flat['train.drop_path'] == paper['train.drop_path'] and flat['train.nesterov'] == paper['train.nesterov']
    assert (flat['train.warmup_epochs'] > 0) == (paper['train.warmup_epochs'] > 0)


def test_the_second_space_of_amended_darts():
  flat = load('amended_cifar10', 's2')
  assert flat['network.layers'] == 20 and flat['network.cells'] == 'own'
  assert flat['network.primitives'] == ('skip_connect', 'sep_conv_3x3')
  of = load('amended_cifar10', 'coefficient')  # 4.1.1
  assert of['network.primitives'] == DARTS_PRIMITIVES and of['network.edges'] == 'all' and of['network.layers'] == 8
  assert (of['network.channels'], of['search.batch'], of['search.epochs'], of['search.eta']) == (16, 96, 500, 0.1)
  assert of['preprocess.cutout'] == of['search.auxiliary'] == of['search.drop_path'] == 0
  assert load('amended_cifar10', 'coefficient_smoke')['search.epochs'] == 2
  small = load('amended_cifar10', 's2_smoke')
  assert small['network.layers'] == 3 and small['network.cells'] == 'own'
  assert load('darts_cifar10', 'epochs25')['search.epochs'] == 25
  assert load('darts_cifar10', 'second')['search.second_term'] == 'darts'
  assert load('darts_cifar10', 'under_policy')['policy.name'] == 'searched'


@pytest.mark.parametrize('size, decay', [('2x32d', 1e-3), ('2x96d', 1e-3), ('2x112d', 2e-3)])
def test_shake_shake_has_a_variant_a_size(size, decay):
  flat = load('train_shake_shake', size)
  assert flat['network.name'] == f'shake_shake_26_{size}' and flat['train.weight_decay'] == decay  # Fast AutoAugment


@pytest.mark.parametrize('name, variant, changed', [
    ('daas_wrn_40_2', 'cifar100', {'theta.weight_decay': 5e-4}),
    ('train_wrn_40_2', 'cifar100', {'train.weight_decay': 5e-4}), ('train_wrn_28_10', 'cifar100', {}),
    ('train_shake_shake', '2x96d_cifar100', {'train.weight_decay': 2.5e-3}),
    ('train_pyramidnet', 'cifar100', {'train.lr': 0.025, 'train.weight_decay': 5e-4})])
def test_table_5_on_cifar100_follows_dada(name, variant, changed):
  """Beside the same on CIFAR-10 (DAAS says that it follows DADA; DADA's code)."""
  cifar10, cifar100 = (load(name, v) for v in (variant.removesuffix('cifar100').removesuffix('_'), variant))
  assert {key: cifar100[key] for key in cifar100 if cifar100[key] != cifar10[key]} == {
      'data.name': 'tfds:cifar100', **changed}


@pytest.mark.parametrize('name', PAPER)
def test_an_unknown_variant_is_refused_in_one_line(name, capsys):
  status = cli.run(kind_of(name), None, [f'--config={CONFIGS[name]}:smok', '--workdir=unused'])
  error = capsys.readouterr().err
  assert status == 2
  assert error.count('\n') == 1 and "'smok'" in error and "'smoke'" in error and 'Traceback' not in error


@pytest.mark.parametrize('name', CONFIGS)
def test_the_other_command_refuses_it(name, capsys):
  other = {'search': 'train', 'train': 'search', 'gradcheck': 'search'}[kind_of(name)]
  assert cli.run(other, None, [f'--config={CONFIGS[name]}', '--workdir=unused']) == 2
  assert f'python -m daas_jax.{kind_of(name)}' in capsys.readouterr().err


def test_readme_holds_output_and_no_placeholder():
  readme = (ROOT / 'README.md').read_text(encoding='utf-8')
  assert not re.search(r'\b[A-Z]+_(OUTPUT|MINUTES)\b', readme)
  for line in ('normal cell: node 0', 'entropy_pi_1', 'test accuracy 0.'):
    assert line in readme, line


def test_the_laboratory_looks_at_a_network_halfway_through_its_warm_up():
  lab = config_lib.flatten(load('gradcheck_quickstart'))
  steps = 2000 // lab['search.batch']  # of 4,000 images halved
  assert lab['lab.step'] == lab['search.warmup_epochs'] * steps // 2


def test_diffautoml_has_its_modules_apart():
  whole, four = load('diffautoml_imagenet'), load('diffautoml_imagenet', 'ops4')
  assert {key for key in whole if whole[key] != four[key]} == {'policy.ops', 'hyper.searched'}
  assert four['policy.ops'] == FOUR and four['hyper.searched'] == ()  # Table 3: without HPO
  given = load('diffautoml_cifar10', 'fixed')
  assert given['network.name'] == 'wrn_40_2' and given['hyper.searched'] == ('lr', 'weight_decay')  # Table 2, 4.3.1
  assert given['search.tuning_epochs'] == 0
  assert load('diffautoml_quickstart', 'fixed')['network.name'] in FIXED_NETWORKS
  assert load('diffautoml_quickstart', 'ops4')['policy.ops'] == FOUR


def test_the_joint_search_has_its_shorter_variant():
  short, long = load('joint_faa_cifar10', 'epochs25'), load('joint_faa_cifar10')
  assert {key for key in long if short[key] != long[key]} == {'search.epochs'} and short['search.epochs'] == 25


def test_ddas_has_a_variant_on_the_supernet_of_daas():
  plain, found, small, daas = (load('ddas_cifar10'), load('ddas_cifar10', 'supernet'),
                               load('ddas_cifar10', 'supernet_smoke'), load('daas_cifar10'))
  changed = {key for key in plain if plain[key] != found[key]}
  assert changed == {'network.name', 'theta.lr', 'theta.lr_min', 'theta.momentum', 'theta.weight_decay', 'theta.clip'}
  rooms = [key for key in found if key.startswith(('network.', 'theta.'))]
  assert {key: found[key] for key in rooms} == {key: daas[key] for key in rooms}
  assert small['network.name'] == 'supernet' and small['network.layers'] == 3 and small['data.n_train'] == 80


def test_ddas_on_imagenet_takes_the_papers_images_of_every_class():
  """50 to train on and 20 to validate is what DDAS 4.3 says; 6,000 and 1,200 are 50 and 10 of 120 classes."""
  flat = load('ddas_imagenet')
  labels = np.arange(flat['data.n_train']) % flat['data.classes']
  train, val = splits.halves(labels, 0, 1 - flat['data.val_fraction'])
  assert (len(train), len(val)) == (6000, 1200)
  assert set(np.bincount(labels[train])) == {50} and set(np.bincount(labels[val])) == {10}


def test_the_candidates_on_coco_are_those_of_whole_images():
  """Those of [46] that there are here; 12 of them at four levels."""
  ops = {candidate.split(':')[0] for candidate in load('ddas_coco')['policy.candidates']}
  assert len(load('ddas_coco')['policy.candidates']) == 50
  assert ops == {'AutoContrast', 'Equalize', 'Posterize', 'Solarize', 'Color', 'Contrast', 'Brightness', 'Sharpness',
                 'Cutout', 'Rotate', 'TranslateX', 'TranslateY', 'ShearX', 'ShearY'}
