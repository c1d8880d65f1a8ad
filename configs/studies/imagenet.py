"""DAAS Table 3: cells and policies found on CIFAR-10 and carried over to ImageNet, and such as were found on ImageNet.

Beside them random cells without a policy; the other papers' numbers, which this one copies, are not here. ':small' after the file name: found on
embedded images at half of their side and carried over to the whole one, and found there, about 60 minutes on 2 CPU cores;
':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

SEARCHES = {  # {variant: {name: the search}}
    '': {'transferred': {'config': 'daas_cifar10'}, 'direct': {'config': 'daas_imagenet'}},
    'small': {'transferred': {'set': {'data.side': 14, 'preprocess.padding': 1}}, 'direct': {}},
    'smoke': {'transferred': {'set': {'data.side': 14, 'preprocess.padding': 1}}, 'direct': {}},
}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=3)  # (choice: the paper says nothing)
  return study | {
      'title': 'Carried over to a larger set, and found there (DAAS Table 3)',
      'train': study['train'] if variant else 'train_imagenet',
      'searches': SEARCHES[variant],
      'trainings': {
          'random': {'genotype': 'random', 'policy': 'standard'},
          'transferred': {'genotype': 'transferred', 'policy': 'transferred'},
          'direct': {'genotype': 'direct', 'policy': 'direct'},
      },
      'rows': {'random cells, crop and flip': ('random',), 'DAAS, transferred': ('transferred',), 'DAAS, direct': ('direct',)},
      'reference': 'DAAS, transferred',
  }
