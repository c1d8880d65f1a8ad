"""DAAS Table 4: the searched architectures under the default augmentation of prior work and under the searched policy.

':small' after the file name: embedded images, about 30 minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  return bases(variant, seeds=4) | {  # four architectures in the paper
      'title': 'Default against searched augmentation of the searched architectures (DAAS Table 4)',
      'searches': {'joint': {}},
      'trainings': {
          'default': {'genotype': 'joint', 'policy': 'standard'},  # crop, flip and Cutout, as in DARTS
          'searched': {'genotype': 'joint', 'policy': 'joint'},
      },
      'rows': {'default policy': ('default',), 'searched policy': ('searched',)},
      'reference': 'default policy',
  }
