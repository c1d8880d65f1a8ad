"""Without a shift: searched against random architectures of as many weights, searched policies against TrivialAugment.

The random ones are four draws a seed, each of as many weights as the searched one (within 2 per cent of its operations').
Also the best of the four by validation, which is what their price buys. ':small' after the file name: embedded images; ':smoke' tries
the study out. Debian's Fashion-MNIST, once `python -m daas_jax.prepare fashion_mnist` has prepared it: ':fashion_mnist'.
"""

from daas_jax.study.plan import bases

DRAWS = 4
FASHION = {'data.name': 'tfds:fashion_mnist'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  changes = FASHION if variant == 'fashion_mnist' else {}
  drawn = {f'random_{i}': i for i in range(DRAWS)}
  policies = {'searched': 'joint', 'wide': 'trivial_augment'}
  trainings = {f'searched_{p}': {'genotype': 'joint', 'policy': policy, 'set': changes} for p, policy in policies.items()}
  trainings |= {f'{name}_{p}': {'genotype': 'random', 'like': 'joint', 'draw': i, 'policy': policy, 'set': changes}
                for name, i in drawn.items() for p, policy in policies.items()}
  words = {'searched': 'searched policy', 'wide': 'TrivialAugment Wide'}
  rows = {f'searched architecture, {words[p]}': (f'searched_{p}',) for p in policies}
  rows |= {f'random architectures, {words[p]}': tuple(f'{name}_{p}' for name in drawn) for p in policies}
  rows |= {f'best of {DRAWS} random architectures, {words[p]}': (tuple(f'{name}_{p}' for name in drawn),)
           for p in policies}
  return bases('small' if changes else variant, seeds=8, small=8) | {
      'title': 'Searched against random architectures, searched policy against TrivialAugment, without a shift',
      'searches': {'joint': {'set': changes and changes | {'data.n_train': 4000}}},
      'trainings': trainings,
      'rows': rows,
      'reference': 'searched architecture, searched policy',
      'comparisons': [(f'searched architecture, {words[p]}', f'random architectures, {words[p]}') for p in policies],
  }
