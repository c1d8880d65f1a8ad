"""DDAS Table 5: a total probability p_tp that is held fixed, in the search and in the training, beside the searched one.

':small' after the file name: trained in the studio, tested in the field; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

CONFIGS = {  # of the searches and of the trainings
    '': ('../ddas_cifar10.py', '../train_wrn_28_10.py:cifar100'),
    'small': ('../field_small.py:ddas', '../train_field_small.py'),
    'smoke': ('../field_small.py:ddas_smoke', '../train_field_small.py:smoke'),
}
CIFAR100 = {'data.name': 'tfds:cifar100'}
P_TP = {'': (0.2, 0.4, 0.6, 0.8, 1.0), 'small': (0.2, 0.4, 0.6, 0.8, 1.0), 'smoke': (0.4, 1.0)}
SEARCHED = 'searched'


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=4)  # three runs in the paper
  search, train = CONFIGS[variant]
  data = {} if variant else CIFAR100
  searches = {f'p_tp_{round(10 * p)}': data | {'policy.p_tp': p, 'gamma.lr_total': 0.0} for p in P_TP[variant]}
  searches[SEARCHED] = data
  labels = [f'p_tp = {p:g}' for p in P_TP[variant]] + ['p_tp searched']
  return study | {
      'title': 'A total probability that is held fixed, and the searched one (DDAS Table 5)',
      'train': train,
      'searches': {name: {'config': search, 'set': changes} for name, changes in searches.items()},
      'trainings': {name: {'policy': name} for name in searches},
      'rows': {label: (name,) for label, name in zip(labels, searches)},
      'reference': labels[-1],
  }
