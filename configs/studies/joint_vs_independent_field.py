"""DAAS Table 6 under a shift and at equal cost: one joint search against an architecture first, and a policy after.

The two stages of the independent search share the joint one's steps: half of them for the architecture, and half for
the policy. The table's columns say what both have cost. ':small' after the file
name: embedded images; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

FIELD = {'data.name': 'tfds:cifar10:field'}
EPOCHS = {'': 50, 'small': 16, 'smoke': 2}  # of the joint search
SEARCH = {'small': '../field_small.py', 'smoke': '../field_small.py:smoke'}
TRAIN = {'small': '../train_field_small.py:derived', 'smoke': '../train_field_small.py:derived_smoke'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=8, small=8)
  changes = {} if variant else FIELD
  half = EPOCHS[variant] // 2
  n_w = {'n_w': 2} if variant else {}  # a warm-up has no inner step whose gradients could move theta
  stage = lambda **more: changes | {'search.epochs': half} | {f'search.{key}': value for key, value in more.items()}
  return study | {
      'title': 'Joint against independent search under a shift, at equal cost (DAAS Table 6)',
      'search': SEARCH.get(variant, study['search']),
      'train': TRAIN.get(variant, study['train']),
      'searches': {
          'joint': {'set': changes},
          'architecture': {'set': stage(warmup_epochs=half, **n_w)},
          # One architecture: the n_w gradients of Eq. 14 would be one gradient n_w times.
          'policy': {'genotype': 'architecture', 'set': stage(warmup_epochs=0, n_w=1, arch_gradient='straight_through')},
      },
      'trainings': {
          'independent': {'genotype': 'architecture', 'policy': 'policy', 'set': changes},
          'joint': {'genotype': 'joint', 'policy': 'joint', 'set': changes},
          'standard': {'genotype': 'joint', 'policy': 'standard', 'set': changes},
      },
      'rows': {'independent': ('independent',), 'joint': ('joint',), 'joint architecture, crop and flip': ('standard',)},
      'reference': 'independent',
  }
