"""Amended-DARTS Tables 1 and 2 and its 4.1.3: S1 and S2, each against first-order DARTS and random search in the same space.

Random search is the best of some random architectures of the space by their validation accuracy, for the price of all of
their trainings; the paper takes the best two of 20 after short ones. In the full study all trainings keep a tenth of the
images for that. ':small' after the file name: small spaces on embedded images, about 80 minutes on 2 CPU cores; ':smoke'
tries the study out. ImageNet's columns: the architectures by train_imagenet with network.layers=20, network.channels=42.
"""

from daas_jax.study.plan import bases

SMALL = {'network.primitives': ('skip_connect', 'sep_conv_3x3')}  # of S2 (Amended-DARTS 4.1.3)
SPACES = {  # {variant: {space: (config of its search, what it sets, what its trainings set)}}
    '': {'s1': ('amended_cifar10', {}, {'data.val_fraction': 0.1}),
         's2': ('amended_cifar10:s2', {}, {'data.val_fraction': 0.1})},
    'small': {'s1': ('amended_small', {}, {}), 's2': ('amended_small', SMALL | {
        'network.cells': 'own', 'network.layers': 5}, {})},
    'smoke': {'s1': ('amended_small:smoke', {}, {}), 's2': ('amended_small:smoke', SMALL | {'network.cells': 'own'}, {})},
}
TRIED = {'': 20, 'small': 4, 'smoke': 2}  # random architectures of a space (Amended-DARTS 4.1.3: 20)


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=3)
  searches, trainings, rows, references = {}, {}, {}, {}
  for space, (config, changes, train) in SPACES[variant].items():
    for name, eta in (('darts', 0.0), ('amended', 0.1)):
      searches[f'{space}_{name}'] = {'config': config, 'set': changes | {'search.eta': eta}}
      trainings[f'{space}_{name}'] = {'genotype': f'{space}_{name}', 'policy': 'standard', 'set': train}
    tried = [f'{space}_random_{i}' for i in range(TRIED[variant])]
    for i, name in enumerate(tried):
      trainings[name] = {'genotype': 'random', 'draw': i, 'of': f'{space}_amended', 'policy': 'standard', 'set': train}
    label = space.upper()
    rows |= {f'{label}: eta = 0 (DARTS)': (f'{space}_darts',), f'{label}: eta = 0.1': (f'{space}_amended',),
             f'{label}: random, mean': tuple(tried), f'{label}: random, best of {len(tried)}': (tuple(tried),)}
    references |= {row: f'{label}: eta = 0.1' for row in rows if row.startswith(label)}
  return study | {
      'title': 'S1 and S2 against DARTS and random search in them (Amended-DARTS Tables 1 and 2)',
      'searches': searches,
      'trainings': trainings,
      'rows': rows,
      'references': references,
      'reference': 'S1: eta = 0.1',
  }
