"""DDAS Table 6: the policy of every epoch, beside the same with p_tp, p_o or both as the last epoch of the search had them.

':small' after the file name: trained in the studio, tested in the field, about 40 minutes on 2 CPU cores; ':smoke' tries
the study out. The paper's ImageNet column: --config with configs/ddas_imagenet.py and train_resnet_50.py in a copy.
"""

from daas_jax.study.plan import bases

CONFIGS = {  # of the search and of the trainings
    '': ('../ddas_cifar10.py', '../train_wrn_28_10.py:cifar100'),
    'small': ('../field_small.py:ddas', '../train_field_small.py'),
    'smoke': ('../field_small.py:ddas_smoke', '../train_field_small.py:smoke'),
}
CIFAR100 = {'data.name': 'tfds:cifar100'}
FIXED = {'p_tp fixed': 'p_tp', 'p_o fixed': 'p_o', 'both fixed': 'all', 'dynamic': ''}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=8)  # three runs in the paper
  search, train = CONFIGS[variant]
  name = lambda fixed: f'fixed_{fixed}' if fixed else 'dynamic'
  return study | {
      'title': 'A policy for every epoch, and the last one for all (DDAS Table 6)',
      'train': train,
      'searches': {'ddas': {'config': search, 'set': {} if variant else CIFAR100}},
      'trainings': {name(fixed): {'policy': 'ddas', 'set': {'train.policy_fixed': fixed}} for fixed in FIXED.values()},
      'rows': {label: (name(fixed),) for label, fixed in FIXED.items()},
      'reference': 'dynamic',
  }
