"""DAAS Table 5: the policy search alone. One policy is searched on a fixed network and trained with on several.

Searched on WRN-40-2 and carried over to the other networks, as DADA does (choice: DAAS does not say on which network
each policy was found). ':small' after the file name: a Wide-ResNet of 10 layers on embedded images, about 30
minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

NETWORKS = {  # a row of the table: the config of its training
    'wrn_40_2': '../train_wrn_40_2.py',
    'wrn_28_10': '../train_wrn_28_10.py',
    'shake_shake_26_2x32d': '../train_shake_shake.py:2x32d',
    'shake_shake_26_2x96d': '../train_shake_shake.py:2x96d',
    'shake_shake_26_2x112d': '../train_shake_shake.py:2x112d',
    'pyramidnet_272': '../train_pyramidnet.py',
}
SMALL = {'network.name': 'wrn_40_2', 'network.depth': 10, 'network.width': 1}
# One network: the n_w gradients of Eq. 14 would be one gradient n_w times.
SMALL_SEARCH = {'set': SMALL | {'search.n_w': 1}}
SMALL_TRAINING = SMALL | {'genotype': 'none'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3)  # three parallel tests in the paper
  networks = {'wrn_10_1': study['train']} if variant else NETWORKS
  side = 8 if variant else 16  # pixels of Cutout: of images of 28, and of 32
  study |= {'title': 'Policy search alone, on fixed networks (DAAS Table 5)',
            'searches': {'policy': SMALL_SEARCH if variant else {'config': '../daas_wrn_40_2.py'}},
            'trainings': {}, 'rows': {}, 'references': {}, 'reference': f'{next(iter(networks))}, cutout'}
  for network, config in networks.items():
    for row, policy, cutout in (('baseline', 'standard', 0), ('cutout', 'standard', side), ('daas', 'policy', side)):
      changes = (SMALL_TRAINING if variant else {}) | {'preprocess.cutout': cutout}
      study['trainings'][f'{network}_{row}'] = {'config': config, 'policy': policy, 'set': changes}
      study['rows'][f'{network}, {row}'] = (f'{network}_{row}',)
      study['references'][f'{network}, {row}'] = f'{network}, cutout'
  return study
