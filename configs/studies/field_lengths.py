"""What a searched policy is worth for its cost: trainings under it and under TrivialAugment of several lengths, in the field.

A search costs what several short trainings do, and a training that is longer needs no search to be better. The part
"Cost" of the table is error against device-seconds, a policy's search included; the comparisons are of lengths that cost
about the same, and of the same length, as where a policy once found is used again. ':small' after the file name: embedded
images; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

SEARCH = {'': '../daas_wrn_40_2.py', 'small': '../field_small.py:moments', 'smoke': '../field_small.py:moments_smoke'}
TRAIN = {'': '../train_wrn_40_2.py', 'small': '../train_field_small.py', 'smoke': '../train_field_small.py:smoke'}
LENGTHS = {  # epochs of a training: under the searched policy, and under TrivialAugment
    '': ((100, 200), (100, 200, 400)),
    'small': ((20, 80), (20, 80, 160)),
    'smoke': ((1,), (1, 2)),
}
FIELD = {'data.name': 'tfds:cifar10:field'}
RA = 'TrivialAugment RA'


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=8, small=8)
  changes = {} if variant else FIELD
  searched, given = LENGTHS[variant]
  trained = {('DAAS', n): ('daas', n) for n in searched} | {(RA, n): ('trivial_augment_ra', n) for n in given}
  name = lambda policy, n: f'under_{policy}_{n}'
  row = lambda label, n: f'{label}, {n} epochs'
  # the next longer one costs about what the search does, and the same length
  pairs = [(n, m) for n in searched for m in (n, next((m for m in given if m > n), n))]
  return study | {
      'title': 'Searched policies and longer trainings: error against device-seconds under a shift',
      'train': TRAIN[variant],
      'searches': {'daas': {'config': SEARCH[variant], 'set': changes}},
      'trainings': {name(policy, n): {'policy': policy, 'set': changes | {'train.lr': 0.05, 'train.epochs': n}}
                    for policy, n in trained.values()},
      'rows': {row(label, n): (name(policy, n),) for (label, n), (policy, n) in trained.items()},
      'reference': row('DAAS', searched[-1]),
      'comparisons': [(row('DAAS', n), row(RA, m)) for n, m in dict.fromkeys(pairs)],
  }
