"""DAAS Table 7: each searched architecture with the policy found beside it, and with those of other searches.

With three seeds the nine trainings are the paper's table, its diagonal the row 'own policy'. ':small' after the file
name: embedded images, about 35 minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  return bases(variant, seeds=3, smoke=3) | {  # three combinations in the paper
      'title': 'Searched architectures with their own and with other searched policies (DAAS Table 7)',
      'searches': {'joint': {}},
      'trainings': {
          'own': {'genotype': 'joint', 'policy': 'joint'},
          'next': {'genotype': 'joint', 'policy': 'joint', 'shift': 1},  # the policy of the next seed's search
          'second_next': {'genotype': 'joint', 'policy': 'joint', 'shift': 2},
      },
      'rows': {'policies of two other searches': ('next', 'second_next'), 'own policy': ('own',)},
      'reference': 'policies of two other searches',
  }
