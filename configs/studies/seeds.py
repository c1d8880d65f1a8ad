"""DAAS Table 2: the whole method under several seeds, best and mean, and what it is worth without any search.

':small' after the file name: embedded images, about 30 minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

CIFAR100 = {'search': '../daas_cifar100.py', 'train': '../train_cifar100.py'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=4) | {  # four parallel tests in the paper
      'title': 'The joint search under several seeds (DAAS Table 2)',
      'searches': {'joint': {}},
      'trainings': {
          'random': {'genotype': 'random', 'policy': 'standard'},
          'joint': {'genotype': 'joint', 'policy': 'joint'},
      },
      'rows': {'random architecture, default policy': ('random',), 'DAAS': ('joint',)},
      'reference': 'random architecture, default policy',
  }
  if not variant:
    _add_cifar100(study)
  return study


def _add_cifar100(study):
  """The right half of the paper's table; the left half's rows are of CIFAR-10."""
  search, train = ({'config': CIFAR100[kind]} for kind in ('search', 'train'))
  study['searches']['cifar100'] = search
  study['trainings'] |= {'cifar100_random': train | {'genotype': 'random', 'policy': 'standard'},
                         'cifar100_joint': train | {'genotype': 'cifar100', 'policy': 'cifar100'}}
  study['rows'] |= {'CIFAR-100, random architecture, default policy': ('cifar100_random',),
                    'CIFAR-100, DAAS': ('cifar100_joint',)}
  study['references'] = {row: 'CIFAR-100, random architecture, default policy'
                         for row in ('CIFAR-100, DAAS', 'CIFAR-100, random architecture, default policy')}
