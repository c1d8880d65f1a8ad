"""DiffAutoML Table 1: networks ready to use at the end of the search, and the same trained from scratch.

DSNAS is the same search without augmentation and without hyper-parameters. ':small' after the file name: embedded images,
about 30 minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

CONFIGS = {  # of the searches and of the trainings
    '': ('diffautoml_imagenet', 'train_imagenet'),
    'small': ('diffautoml_quickstart', 'train_diffautoml_quickstart'),
    'smoke': ('diffautoml_cifar10:smoke', 'train_diffautoml_quickstart'),
}
DATA = {'': {}, 'small': {}, 'smoke': {'data.name': 'embedded', 'preprocess.padding': 2}}
TRAINED = {
    '': {  # as SPOS's code trains a path
        'network.name': 'shuffle',
        'train.epochs': 240,
        'train.weight_decay': 4e-5,
        'train.auxiliary': 0.0,
    },
    'small': {},
    'smoke': {'data.n_train': 80, 'data.n_test': 10, 'train.epochs': 2, 'train.batch': 20},
}
ALONE = {'policy.ops': ('Identity',), 'hyper.searched': ()}  # architectures alone: DSNAS


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=3)
  search, train = CONFIGS[variant]
  return study | {
      'title': 'Ready to use, and trained from scratch (DiffAutoML Table 1)',
      'search': search,
      'train': train,
      'searches': {'dsnas': {'set': DATA[variant] | ALONE}, 'diffautoml': {'set': DATA[variant]}},
      'trainings': {
          'dsnas': {'genotype': 'dsnas', 'policy': 'standard', 'set': TRAINED[variant]},
          'diffautoml': {'genotype': 'diffautoml', 'policy': 'diffautoml', 'set': TRAINED[variant]},
      },
      'rows': {
          'DSNAS': ('searches/dsnas',),
          'DSNAS, retrained': ('dsnas',),
          'DiffAutoML': ('searches/diffautoml',),
          'DiffAutoML, retrained': ('diffautoml',),
      },
      'references': {'DSNAS, retrained': 'DSNAS', 'DiffAutoML, retrained': 'DiffAutoML'},
      'reference': 'DSNAS',
  }
