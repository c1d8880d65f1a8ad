"""Table 1 of the joint search of DARTS and Faster AutoAugment: DARTS, DARTS and Faster AutoAugment apart, joint.

Apart: Faster AutoAugment finds its policy with a fixed network, DARTS its architecture without a policy, and they meet in
the training. Each search of architectures at two lengths. ':small' after the file name: embedded images, about 80 minutes
on 2 CPU cores; ':smoke' tries the study out.
"""

from daas_jax.study.plan import bases

EPOCHS = {'': (25, 50), 'small': (2, 4), 'smoke': (1, 2)}  # of a search of architectures (joint 4.1)
DATA = {'': ('tfds:cifar10', 'tfds:cifar100', 'tfds:svhn_cropped'), 'small': ('embedded',), 'smoke': ('embedded',)}
SMALL = {  # as configs/joint_faa_quickstart.py has them
    'preprocess.padding': 2,  # pixels, of 28 x 28
    'search.batch': 32,  # images of D_train and of D_val a step
    'theta.lr': 0.05,  # a short search: larger steps throughout
    'log.every_steps': 20,
}
CELLS = SMALL | {
    'network.layers': 3,  # cells: normal, reduction, reduction; dense, all 8 operations on all 14 edges
    'network.channels': 4,  # of the first cell
    'arch.lr': 0.01,
}
SETS = {  # {variant: {method: what differs from its config file}}
    '': {'darts': {}, 'joint_faa': {}, 'faster_aa': {}},
    'small': {
        'darts': CELLS | {'arch.eigenvalue_every': 0},
        'joint_faa': CELLS | {'gamma.lr': 0.01},
        'faster_aa': SMALL | {'network.depth': 10, 'network.width': 2, 'search.epochs': 2, 'gamma.lr': 0.01},
    },
    'smoke': {method: {'preprocess.padding': 2} for method in ('darts', 'joint_faa', 'faster_aa')},
}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=3)  # "repeated experiments three times" (joint 4.1)
  config = lambda method: f"{method}_cifar10{':smoke' if variant == 'smoke' else ''}"
  searches, trainings, rows, references = {}, {}, {}, {}
  for data in DATA[variant]:
    of = lambda name: f"{data.split(':')[-1]}_{name}" if len(DATA[variant]) > 1 else name
    at = {'data.name': data}
    search = lambda method, **keys: {'config': config(method), 'set': SETS[variant][method] | at | keys}
    train = {} if variant else {'set': at}
    searches[of('faster_aa')] = search('faster_aa')
    for epochs in EPOCHS[variant]:
      darts, joint = of(f'darts_{epochs}'), of(f'joint_{epochs}')
      searches[darts] = search('darts', **{'search.epochs': epochs})
      searches[joint] = search('joint_faa', **{'search.epochs': epochs})
      trainings[darts] = train | {'genotype': darts, 'policy': 'standard'}
      trainings[of(f'baseline_{epochs}')] = train | {'genotype': darts, 'policy': of('faster_aa')}
      trainings[joint] = train | {'genotype': joint, 'policy': joint}
      where = f"{data.split(':')[-1]}, {epochs} epochs"
      for method, name in (('DARTS', darts), ('DARTS and Faster AutoAugment apart', of(f'baseline_{epochs}')),
                           ('joint', joint)):
        rows[f'{where}: {method}'] = (name,)
        references[f'{where}: {method}'] = f'{where}: DARTS and Faster AutoAugment apart'
  return study | {
      'title': 'DARTS and Faster AutoAugment, apart and joint (Table 1 of the joint search)',
      'searches': searches,
      'trainings': trainings,
      'rows': rows,
      'references': references,
      'reference': f"{DATA[variant][0].split(':')[-1]}, {EPOCHS[variant][-1]} epochs: DARTS and Faster AutoAugment apart",
  }
