"""Without a shift: searched against random architectures of as many weights, searched policies against TrivialAugment.

The random ones are four draws a seed, each of as many weights as the searched one (within 2 per cent of its operations'),
trained under the searched policy. Also the best of the four by validation, which is what their price buys. ':small' after
the file name: the quickstart on embedded images without its shift; ':smoke' tries the study out. Debian's Fashion-MNIST,
once `python -m daas_jax.prepare fashion_mnist` has prepared it: ':fashion_mnist'.
"""

from daas_jax.study.plan import bases

DRAWS = 4
SET = {  # what a variant changes of the quickstart's searches and trainings
    'smoke': {'data.name': 'embedded'},
    'small': {'data.name': 'embedded'},
    # As many training images as are packaged, for time, another 4,000 with every seed; and all 10,000 of the test
    'fashion_mnist': {'data.name': 'tfds:fashion_mnist', 'data.n_train': 4000},
}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  if variant and variant not in SET:
    raise ValueError(f"unknown variant {variant!r}: choose 'small', 'fashion_mnist' or 'smoke' (FILE.py:small)")
  study, changes = bases('small' if variant == 'fashion_mnist' else variant, seeds=8, small=8), SET.get(variant, {})
  if variant:
    study |= ({'search': 'quickstart:smoke', 'train': '../train_field_small.py:derived_smoke'} if variant == 'smoke' else
              {'search': 'quickstart', 'train': 'train_quickstart'})
  # the quickstart's table is of another task; D_val chooses the best of the random ones
  of_trainings = changes | ({'beside': ''} if variant else {'data.val_fraction': 0.1})
  policies = {'searched policy': 'joint', 'TrivialAugment Wide': 'trivial_augment', 'crop and flip': 'standard'}
  searched = {f'searched_{policy}': {'genotype': 'joint', 'policy': policy} for policy in policies.values()}
  random = {f'random_{i}': {'genotype': 'random', 'like': 'joint', 'draw': i, 'policy': 'joint'} for i in range(DRAWS)}
  row = {name: f'searched architecture, {name}' for name in policies}
  drawn = 'random architectures of as many weights, searched policy'
  return study | {
      'title': 'Searched against random architectures, searched policy against TrivialAugment, without a shift',
      'searches': {'joint': {'set': changes}},
      'trainings': {name: training | {'set': of_trainings} for name, training in (searched | random).items()},
      'rows': {row[name]: (f'searched_{policy}',) for name, policy in policies.items()} | {
          drawn: tuple(random), f'best of {DRAWS} of these by validation': (tuple(random),)},
      'reference': row['searched policy'],
  }
