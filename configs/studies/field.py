"""What a searched policy is worth where it is meant to be: trained in the studio, tested in the field.

Policies of three searches (DAAS by two objectives and DDAS, on a small fixed network) against those that need none, at
two learning rates and two lengths each, on one network; every seed has a split of its own. `camera` knows the shift and
is what there is to be won. ':small' after the file name: embedded images, a length for each learning rate; ':smoke'
tries the study out. Joint searches: joint_quick.py and joint_vs_independent_field.py.
"""

from daas_jax.study.plan import bases

SEARCHED = {'DAAS': 'daas', 'DAAS by moments': 'moments', 'DDAS': 'ddas'}
BATCH = 'DDAS, a policy a batch'  # in the training
MOMENTS = {'search.objective': 'moments', 'search.theta_policies': False, 'search.n_arch': 1, 'search.n_aug': 10}
GIVEN = {'none': 'none', 'crop and flip': 'standard', 'RandAugment': 'rand_augment',
         'TrivialAugment RA': 'trivial_augment_ra', 'TrivialAugment Wide': 'trivial_augment',
         'AutoAugment (CIFAR-10)': 'auto_augment_cifar10', 'uniform': 'uniform', 'the camera itself': 'camera'}
FIELD = {'data.name': 'tfds:cifar10:field'}
CHOSEN = {'data.val_fraction': 0.1}  # of each training set: what chooses the best setting
CONFIGS = {  # of the searches and of the trainings
    '': {'daas': '../daas_wrn_40_2.py', 'moments': '../daas_wrn_40_2.py', 'ddas': '../ddas_cifar10.py',
       'train': '../train_wrn_40_2.py'},
    'small': {'train': '../train_field_small.py'} | {
        search: f'../field_small.py:{search}' for search in SEARCHED.values()},
    'smoke': {'train': '../train_field_small.py:smoke'} | {
        search: f'../field_small.py:{search}_smoke' for search in SEARCHED.values()},
}
SETTINGS = {  # learning rate and epochs of a training
    '': ((0.05, 100), (0.05, 200), (0.2, 100), (0.2, 200)),
    'small': ((0.05, 20), (0.2, 10)),
    'smoke': ((0.1, 1), (0.1, 2)),
}
SMOKE = ('none', 'uniform', 'the camera itself')  # of GIVEN, tried out


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=8, small=8)
  given = {label: GIVEN[label] for label in SMOKE} if variant == 'smoke' else GIVEN
  configs, policies = CONFIGS[variant], SEARCHED | given
  changes, moments = ({}, {}) if variant else (FIELD, MOMENTS)  # field_small.py:moments has its own
  name = lambda policy: f'under_{policy}'
  trained = changes if variant else changes | CHOSEN
  trainings = {name(policy): {'policy': policy, 'set': trained} for policy in policies.values()}
  trainings['under_ddas_batch'] = {'policy': 'ddas', 'set': trained | {'train.policy_per': 'batch'}}
  rows = {label: (name(policy),) for label, policy in policies.items()} | {BATCH: ('under_ddas_batch',)}
  return study | {
      'title': 'Searched and other policies under a shift: trained in the studio, tested in the field',
      'train': configs['train'],
      'searches': {search: {'config': configs[search], 'set': changes | (moments if search == 'moments' else {})}
                   for search in SEARCHED.values()},
      'trainings': trainings,
      'settings': {f'lr{str(lr).replace(".", "_")}_epochs{epochs}': {'train.lr': lr, 'train.epochs': epochs}
                   for lr, epochs in SETTINGS[variant]},
      'rows': rows,
      'reference': 'DAAS',
      'comparisons': [(a, b) for a in SEARCHED for b in given] + [('DDAS', BATCH)],
  }
