"""The claim of Amended-DARTS (4.1.1): searched for long, eta = 0 ends in skip_connects, and eta > 0 does not.

For each eta one long search in DARTS's space without regularisation, and trainings of the architecture that it had after
some of its epochs. The shares of skip_connect and the eigenvalues are in the searches' metrics: `python -m
daas_jax.report WORKDIR/searches/*` draws them side by side. ':small' after the file name: another space, a small S1, on
embedded images; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

ETAS = {'0': 0.0, '0_001': 0.001, '0_01': 0.01, '0_1': 0.1, '1': 1.0}
LEFT_OUT = {'': (), 'small': ('0_001',), 'smoke': ('0_001',)}  # for time: the paper finds nothing of it
EPOCHS = {'': (50, 100, 200, 500), 'small': (25, 50, 100), 'smoke': (1, 2)}
SEARCH = {'': '../amended_cifar10.py:coefficient', 'small': '../amended_small.py', 'smoke': '../amended_small.py:smoke'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=2)
  epochs = EPOCHS[variant]
  etas = {eta: value for eta, value in ETAS.items() if eta not in LEFT_OUT[variant]}
  label = lambda eta, epoch: f'eta = {etas[eta]:g}, {epoch} epochs'
  return study | {
      'title': 'Amended-DARTS: long searches with and without the amending term (its 4.1.1)',
      'search': SEARCH[variant],
      'searches': {f'eta_{eta}': {'set': {'search.eta': value}} for eta, value in etas.items()},
      'trainings': {f'eta_{eta}_{epoch}': {'genotype': f'eta_{eta}', 'epoch': epoch, 'policy': 'standard'}
                    for eta in etas for epoch in epochs},
      'rows': {label(eta, epoch): (f'eta_{eta}_{epoch}',) for eta in etas for epoch in epochs},
      'reference': label('0', epochs[-1]),
      'references': {label(eta, epoch): label('0', epoch) for eta in etas for epoch in epochs},
  }
