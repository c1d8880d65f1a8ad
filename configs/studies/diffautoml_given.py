"""DiffAutoML Table 2: augmentation, learning rate and weight decay searched on a network that is given.

The paper's columns of CIFAR-10 and CIFAR-100. A search has the 200 epochs of a Wide-ResNet's training; PyramidNet's own
training, the baseline, has 1,800. ':small' after the file name: embedded images, about 15 minutes on 2 CPU cores; ':smoke'
tries the study out. ImageNet's rows: the same with
--config.data.* of configs/diffautoml_imagenet.py and network.name=resnet_50 or resnet_200 in a copy.
"""

from daas_jax.study.plan import bases

NETWORKS = {'': ('wrn_28_10', 'wrn_40_2', 'pyramidnet_272'), 'small': ('resnet_18',), 'smoke': ('wrn_40_2',)}
DATA = {'': ('tfds:cifar10', 'tfds:cifar100'), 'small': ('embedded',), 'smoke': ('embedded',)}
SMALL = {'network.depth': 10, 'network.width': 8}  # one block a stage, as configs/diffautoml_quickstart.py has it
TRAINED = SMALL | {  # as that config trains
    'network.name': 'resnet_18',
    'genotype': 'none',
    'preprocess.padding': 2,  # pixels, of 28 x 28
    'train.epochs': 12,
    'train.batch': 32,
    'train.lr': 0.1,
    'train.weight_decay': 5e-4,
}
SMOKE = {'data.n_train': 80, 'data.n_test': 10, 'preprocess.padding': 2, 'network.depth': 10, 'network.width': 1}


def get_config(variant=''):
  """The study, a dict as `daas_jax.study.plan` describes it."""
  study = bases(variant, seeds=3, small=3)
  searches, trainings, rows, references = {}, {}, {}, {}
  for data in DATA[variant]:
    for network in NETWORKS[variant]:
      name = f"{data.split(':')[-1]}_{network}"
      at = {'data.name': data, 'network.name': network}
      searches[name] = _search(variant, at)
      trainings[name] = _training(variant, network, data) | {'policy': 'standard'}
      label = f"{data.split(':')[-1]}, {network}"
      rows |= {f'{label}: baseline': (name,), f'{label}: DiffAutoML': (f'searches/{name}',)}
      references[f'{label}: DiffAutoML'] = references[f'{label}: baseline'] = f'{label}: baseline'
  return study | {
      'title': 'Augmentation and hyper-parameters on a given network (DiffAutoML Table 2)',
      'searches': searches,
      'trainings': trainings,
      'rows': rows,
      'references': references,
      'reference': next(iter(rows)),
  }


def _search(variant, at):
  if variant == 'small':
    return {'config': 'diffautoml_quickstart:fixed', 'set': at | SMALL}
  if variant == 'smoke':
    return {'config': 'diffautoml_cifar10:smoke', 'set': at | SMOKE | {'search.tuning_epochs': 0}}
  return {'config': 'diffautoml_cifar10:fixed', 'set': at}


def _training(variant, network, data):
  if variant == 'small':
    return {'config': 'train_small', 'set': TRAINED | {'data.name': data, 'data.n_train': 4000, 'data.val_fraction': 0.1}}
  if variant == 'smoke':
    return {'config': 'train_wrn_40_2:smoke', 'set': SMOKE | {'data.name': data}}
  config = {'pyramidnet_272': 'train_pyramidnet'}.get(network, f'train_{network}')
  return {'config': config + (':cifar100' if data.endswith('100') else ''), 'set': {'data.name': data}}
