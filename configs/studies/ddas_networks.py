"""DDAS Table 2: policies found with WRN-40-2, trained with on larger networks, on CIFAR-10 and CIFAR-100.

The paper copies the other methods' numbers; here RandAugment and AutoAugment are given and Faster AutoAugment is searched.
':small' after the file name: two networks on embedded images, about 70 minutes on 2 CPU cores; ':smoke' tries the study
out.
"""

from daas_jax.study.plan import bases

NETWORKS = {  # {set: {network: the config of its training}}
    'cifar10': {'wrn_28_10': 'train_wrn_28_10', 'shake_shake_26_2x96d': 'train_shake_shake:2x96d'},
    'cifar100': {'wrn_28_10': 'train_wrn_28_10:cifar100', 'shake_shake_26_2x96d': 'train_shake_shake:2x96d_cifar100'},
}
ROWS = {  # {row: (policy, whether Cutout comes after it)}
    'baseline': ('standard', False),
    'cutout': ('standard', True),
    'auto_augment': ('auto_augment_cifar10', True),
    'rand_augment': ('rand_augment', True),
    'faster_aa': ('faster_aa', True),
    'ddas': ('ddas', True),
}
SEARCHED = 'faster_aa', 'ddas'
SEARCH = {'network.name': 'wrn_40_2', 'network.depth': 10, 'network.width': 1}  # WRN-10-1, and larger ones to train:
SMALL = {'wrn_16_1': {'network.depth': 16, 'network.width': 1}, 'wrn_10_2': {'network.depth': 10, 'network.width': 2}}
SMOKE = {'wrn_10_2': {'network.depth': 10, 'network.width': 2}}
FASTER_AA = {'preprocess.padding': 2, 'search.batch': 32, 'search.epochs': 2, 'theta.lr': 0.05, 'gamma.lr': 0.01}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=3)  # three runs in the paper
  sets = {'embedded': {'': NETWORKS, 'small': SMALL, 'smoke': SMOKE}[variant]} if variant else NETWORKS
  side = 8 if variant else 16  # pixels of Cutout: of images of 28, and of 32
  first = next(iter(sets))
  study |= {'title': 'Found with a small network, trained with on larger ones (DDAS Table 2)', 'searches': {},
            'trainings': {}, 'rows': {}, 'references': {}, 'reference': f'{first}, {next(iter(sets[first]))}, baseline'}
  for data, networks in sets.items():
    for name in SEARCHED:
      study['searches'][f'{data}_{name}'] = _search(variant, name, data)
    for network, config in networks.items():
      train = {'config': study['train'], 'set': {'network.name': 'wrn_40_2', 'genotype': 'none'} | config} if variant else {
          'config': config, 'set': {'data.name': f'tfds:{data}'}}
      for row, (policy, cutout) in ROWS.items():
        name, label = f'{data}_{network}_{row}', f'{data}, {network}, {row}'
        study['trainings'][name] = train | {'policy': f'{data}_{policy}' if policy in SEARCHED else policy,
                                            'set': train['set'] | {'preprocess.cutout': side * cutout}}
        study['rows'][label] = (name,)
        study['references'][label] = f'{data}, {network}, baseline'
  return study


def _search(variant, name, data):
  if not variant:
    return {'config': f'{name}_cifar10', 'set': {'data.name': f'tfds:{data}'}}
  smoke = {'config': f'{name}_cifar10:smoke', 'set': SEARCH | {'data.name': 'embedded', 'preprocess.padding': 2}}
  small = {'faster_aa': {'config': 'faster_aa_cifar10', 'set': SEARCH | {'data.name': 'embedded'} | FASTER_AA},
           'ddas': {'config': 'ddas_quickstart'}}
  return smoke if variant == 'smoke' else small[name]
