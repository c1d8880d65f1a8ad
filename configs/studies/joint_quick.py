"""What the quickstart's search is worth, by the quickstart's own commands: 8 searches, each with a split of its own.

Its cells and its policy against its cells under policies that need no search, and against random cells under its policy,
any and such as have as many weights as its own.
Its table.json, as joint_quick.json in this folder, is what `--config=train_quickstart` prints beside what it got.
':small' is the same, ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

GIVEN = {'crop and flip': 'standard', 'TrivialAugment Wide': 'trivial_augment', 'the camera itself': 'camera'}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=8, small=8)
  study |= ({'search': 'quickstart:smoke', 'train': '../train_field_small.py:derived_smoke'} if variant == 'smoke' else
            {'search': 'quickstart', 'train': 'train_quickstart'})
  trainings = {'searched': {'genotype': 'joint', 'policy': 'joint'},
               'random': {'genotype': 'random', 'policy': 'joint'},
               'random_like': {'genotype': 'random', 'like': 'joint', 'policy': 'joint'}}
  trainings |= {policy: {'genotype': 'joint', 'policy': policy} for policy in GIVEN.values()}
  for training in trainings.values():
    training['set'] = {'beside': ''}  # the table that this makes
  return study | {
      'title': 'The quickstart: searched jointly, and trained',
      'searches': {'joint': {}},
      'trainings': trainings,
      'rows': {'searched cells and policy': ('searched',), 'random cells, searched policy': ('random',),
               'random cells of as many weights': ('random_like',)} | {
          label: (policy,) for label, policy in GIVEN.items()},
      'reference': 'searched cells and policy',
  }
