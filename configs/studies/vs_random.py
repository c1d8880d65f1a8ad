"""What any claim has to beat: searched and random architectures, each under the searched and under fixed policies.

Every row is held against DAAS, the searched architecture under the policy found beside it. ':small' after the file
name: embedded images, about 75 minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

ARCHITECTURES = {'searched': 'joint', 'random': 'random'}
POLICIES = {'searched': 'joint', 'none': 'none', 'standard': 'standard', 'RandAugment': 'rand_augment',
            'TrivialAugment': 'trivial_augment'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  grid = [(a, p) for a in ARCHITECTURES for p in POLICIES]
  name = lambda a, p: f'{a}_{p}'.lower()
  return bases(variant, seeds=5) | {
      'title': 'Searched against random architectures, searched against fixed policies',
      'searches': {'joint': {}},
      'trainings': {name(a, p): {'genotype': ARCHITECTURES[a], 'policy': POLICIES[p]} for a, p in grid},
      'rows': {f'{a} architecture, policy {p}': (name(a, p),) for a, p in grid},
      'reference': 'searched architecture, policy searched',
  }
