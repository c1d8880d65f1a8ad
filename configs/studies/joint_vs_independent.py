"""DAAS Table 6: one joint search against a search of architectures and then, for each found one, one of policies.

The independent search as in DAAS 5.2: all epochs without a policy, then as many with the found architecture fixed, of
which only weights and policy are trained. ':small' after the file name: embedded images, about an hour on 2 CPU cores;
':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

EPOCHS = {'': 50, 'small': 4, 'smoke': 2}  # of each stage (DAAS 5.2: 50); those of the joint search


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  return bases(variant, seeds=4) | {  # four parallel tests in the paper
      'title': 'Joint against independent search (DAAS Table 6)',
      'searches': {
          'joint': {},
          'architecture': {'set': {'search.warmup_epochs': EPOCHS[variant]}},
          # One architecture: the n_w gradients of Eq. 14 would be one gradient n_w times.
          'policy': {'genotype': 'architecture', 'set': {'search.warmup_epochs': 0, 'search.n_w': 1}},
      },
      'trainings': {
          'independent': {'genotype': 'architecture', 'policy': 'policy'},
          'joint': {'genotype': 'joint', 'policy': 'joint'},
      },
      'rows': {'independent': ('independent',), 'joint': ('joint',)},
      'reference': 'independent',
  }
