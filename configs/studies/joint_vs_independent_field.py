"""DAAS Table 6 under a shift and at about equal cost: one joint search against an architecture first, and a policy after.

The two stages of the independent search share the joint one's steps: half of them for the architecture, and half for
the policy. In ':small', whose steps cost more the more is searched in them, the first is the joint one up to its policies,
and the second has as many epochs with policies as the joint one (12), after 7 of theta alone, which cost about what the
joint one's architectures cost in those 12. The table's columns say what both have cost. ':small' after the file name:
embedded images; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

FIELD = {'data.name': 'tfds:cifar10:field'}
STAGES = {  # (epochs, of which without policy, of these with architectures drawn alike) of either
    '': ((25, 25, 0), (25, 0, 0)),
    'small': ((22, 22, 13), (19, 7, 0)),
    'smoke': ((1, 1, 0), (1, 0, 0)),
}
SEARCH = {'small': 'quickstart', 'smoke': 'quickstart:smoke'}
TRAIN = {'small': '../train_field_small.py:derived', 'smoke': '../train_field_small.py:derived_smoke'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=8, small=8)
  changes = {} if variant else FIELD

  def stage(which, **more):
    epochs, warmup, alike = STAGES[variant][which]
    more |= {'epochs': epochs, 'warmup_epochs': warmup, 'arch_warmup_epochs': alike, 'n_w': 1}
    return changes | {f'search.{key}': value for key, value in more.items()}

  return study | {
      'title': 'Joint against independent search under a shift, at about equal cost (DAAS Table 6)',
      'search': SEARCH.get(variant, study['search']),
      'train': TRAIN.get(variant, study['train']),
      'searches': {
          'joint': {'set': changes},
          'architecture': {'set': stage(0) | ({} if variant else {'search.n_w': 10})},
          # One architecture: the n_w gradients of Eq. 14 would be one gradient n_w times.
          'policy': {'genotype': 'architecture', 'set': stage(1, arch_gradient='straight_through')},
      },
      'trainings': {
          'independent': {'genotype': 'architecture', 'policy': 'policy', 'set': changes},
          'joint': {'genotype': 'joint', 'policy': 'joint', 'set': changes},
          'standard': {'genotype': 'joint', 'policy': 'standard', 'set': changes},
      },
      'rows': {'independent': ('independent',), 'joint': ('joint',), 'joint architecture, crop and flip': ('standard',)},
      'reference': 'independent',
  }
