"""DiffAutoML Table 3: architectures searched with 4 image operations and with 14, ready to use at the end.

':small' after the file name: embedded images, about 30 minutes on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

SEARCH = {'': 'diffautoml_imagenet', 'small': 'diffautoml_quickstart', 'smoke': 'diffautoml_cifar10:smoke'}
DATA = {'': {}, 'small': {}, 'smoke': {'data.name': 'embedded', 'preprocess.padding': 2}}
FOUR = {'policy.ops': ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')}
WITHOUT_HPO = {'hyper.searched': ()}  # (DiffAutoML 4.3.2)


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=5)
  return study | {
      'title': '4 and 14 image operations (DiffAutoML Table 3)',
      'search': SEARCH[variant],
      'searches': {
          'four': {'set': DATA[variant] | WITHOUT_HPO | FOUR},
          'fourteen': {'set': DATA[variant] | WITHOUT_HPO},
      },
      'rows': {'NAS and 4 operations': ('searches/four',), 'NAS and 14 operations': ('searches/fourteen',)},
      'reference': 'NAS and 4 operations',
  }
