"""Accuracy against device-seconds: random search of k architectures, DARTS, a single path as GDAS has it, and DAAS.

Random search draws k architectures, trains each, and keeps the one with the highest validation accuracy: its price is k
trainings. All are trained under crop and flip, and DAAS under its own policy as well. The part "Cost" of the table is
the curve. ':small' after the file name: embedded images; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

DRAWS = {'': (1, 2, 4, 8), 'small': (1, 2, 4, 8), 'smoke': (1, 2)}
DARTS = {'': '../darts_cifar10.py', 'small': '../field_small.py:darts', 'smoke': '../field_small.py:darts_smoke'}
EMBEDDED = {'data.name': 'embedded'}
CHOSEN = {'data.val_fraction': 0.1}  # of each training set: what chooses among the random ones


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=8, small=8)
  ks, most = DRAWS[variant], max(DRAWS[variant])
  changes = EMBEDDED if variant else {}
  epochs = {'': 50, 'small': 4, 'smoke': 2}[variant]  # of a search
  trained = lambda genotype, policy, **of: {'genotype': genotype, 'policy': policy, **of} | (
      {} if variant else {'set': CHOSEN})
  return study | {
      'title': 'Error against device-seconds: random search, DARTS, a single path, DAAS',
      'searches': {
          'darts': {'config': DARTS[variant], 'set': changes | {'policy.name': 'standard'}},
          # GDAS: one path a step, no policy
          'single_path': {'set': {'search.warmup_epochs': epochs, 'search.n_arch': 1, 'search.n_w': 1}},
          'daas': {},
      },
      'trainings': {f'random_{i}': trained('random', 'standard', draw=i) for i in range(most)} | {
          name: trained(name, 'standard') for name in ('darts', 'single_path', 'daas')} | {
              'daas_own': trained('daas', 'daas')},
      'rows': {f'random search of {k}': (tuple(f'random_{i}' for i in range(k)),) for k in ks} | {
          'DARTS': ('darts',), 'single path (GDAS)': ('single_path',), 'DAAS, crop and flip': ('daas',),
          'DAAS, its policy': ('daas_own',)},
      'reference': 'random search of 1',
  }
