"""DAAS Table 5: the policy search alone. Policies are searched on a fixed network and trained with on several.

Searched on WRN-40-2 and carried over to the other networks, as DADA does (choice: DAAS does not say on which network
each policy was found), on CIFAR-10 and on CIFAR-100. The paper copies the other methods' numbers; here those that this
package has are searched too (Faster AutoAugment, DDAS), or given (AutoAugment), with TrivialAugment beside them. PBA,
Fast AutoAugment and DADA are not here. ':small' after the file name: a Wide-ResNet of 10 layers on embedded images,
about 70 minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

NETWORKS = {  # {set: {network: the config of its training}}, the table's rows
    'cifar10': {
        'wrn_40_2': 'train_wrn_40_2',
        'wrn_28_10': 'train_wrn_28_10',
        'shake_shake_26_2x32d': 'train_shake_shake:2x32d',
        'shake_shake_26_2x96d': 'train_shake_shake:2x96d',
        'shake_shake_26_2x112d': 'train_shake_shake:2x112d',
        'pyramidnet_272': 'train_pyramidnet',
    },
    'cifar100': {
        'wrn_40_2': 'train_wrn_40_2:cifar100',
        'wrn_28_10': 'train_wrn_28_10:cifar100',
        'shake_shake_26_2x96d': 'train_shake_shake:2x96d_cifar100',
        'pyramidnet_272': 'train_pyramidnet:cifar100',
    },
}
SEARCHES = {  # {set: {name: config}}
    'cifar10': {'faster_aa': 'faster_aa_cifar10', 'ddas': 'ddas_cifar10', 'daas': 'daas_wrn_40_2'},
    'cifar100': {'faster_aa': 'faster_aa_cifar10', 'ddas': 'ddas_cifar10', 'daas': 'daas_wrn_40_2:cifar100'},
}
ROWS = {  # {row: (policy, whether Cutout comes after it)}; 'baseline' and 'cutout' are the paper's words
    'none': ('none', False),
    'baseline': ('standard', False),
    'cutout': ('standard', True),
    'auto_augment': ('auto_augment_cifar10', True),
    'trivial_augment': ('trivial_augment', True),
    'faster_aa': ('faster_aa', True),
    'ddas': ('ddas', True),
    'daas': ('daas', True),
}
SMALL = {'network.name': 'wrn_40_2', 'network.depth': 10, 'network.width': 1}  # WRN-10-1
SMALL_FASTER_AA = {'preprocess.padding': 2, 'search.batch': 32, 'search.epochs': 2, 'theta.lr': 0.05, 'gamma.lr': 0.01}
SMALL_SEARCHES = {  # n_w: one network, the gradients of Eq. 14 would be one gradient n_w times
    'small': {'faster_aa': ('faster_aa_cifar10', SMALL_FASTER_AA), 'ddas': ('ddas_quickstart', {}),
              'daas': ('daas_small', {'search.n_w': 1})},
    'smoke': {'faster_aa': ('faster_aa_cifar10:smoke', {'preprocess.padding': 2}),
              'ddas': ('ddas_cifar10:smoke', {'preprocess.padding': 2}), 'daas': ('daas_small:smoke', {'search.n_w': 1})},
}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=3)  # three parallel tests in the paper
  sets = {'embedded': {'wrn_10_1': study['train']}} if variant else NETWORKS
  side = 8 if variant else 16  # pixels of Cutout: of images of 28, and of 32
  first = next(iter(sets))
  study |= {'title': 'Policy search alone, on fixed networks (DAAS Table 5)', 'searches': {}, 'trainings': {}, 'rows': {},
            'references': {}, 'reference': f'{first}, {next(iter(sets[first]))}, cutout'}
  for data, networks in sets.items():
    study['searches'] |= {f'{data}_{name}': search for name, search in _searches(variant, data).items()}
    for network, config in networks.items():
      for row, (policy, cutout) in ROWS.items():
        changes = (SMALL | {'genotype': 'none'} if variant else {'data.name': f'tfds:{data}'}) | {
            'preprocess.cutout': side * cutout}
        searched = policy in ('faster_aa', 'ddas', 'daas')
        name, label = f'{data}_{network}_{row}', f'{data}, {network}, {row}'
        study['trainings'][name] = {
            'config': config, 'policy': f'{data}_{policy}' if searched else policy, 'set': changes}
        study['rows'][label] = (name,)
        study['references'][label] = f'{data}, {network}, cutout'
  return study


def _searches(variant, data):
  if not variant:
    return {name: {'config': config, 'set': {'data.name': f'tfds:{data}'}} for name, config in SEARCHES[data].items()}
  return {name: {'config': config, 'set': SMALL | {'data.name': 'embedded'} | changes}
          for name, (config, changes) in SMALL_SEARCHES[variant].items()}
