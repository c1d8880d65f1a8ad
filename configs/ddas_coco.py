"""DDAS on object detection, COCO and RetinaNet (DDAS 4.4), each number with its source: a policy for every epoch.

COCO has to be prepared first; the command says how. ':smoke' after the file name tries the same out on scenes that are
composed of the packaged images, with a small RetinaNet. Lin et al.: RetinaNet, arXiv:1708.02002. [46]: Zoph et al.,
learning data augmentation strategies for object detection, ECCV 2020.
"""

from daas_jax.config import search_config
from daas_jax.policies import candidates as candidates_lib

# The whole-image operations of [46] that there are here, without those inside of boxes and without SolarizeAdd.
WITHOUT = ('AutoContrast', 'Equalize')
WITH = ('Posterize', 'Solarize', 'Color', 'Contrast', 'Brightness', 'Sharpness', 'Cutout', 'Rotate', 'TranslateX',
        'TranslateY', 'ShearX', 'ShearY')


def candidates():
  """All of them, the second row at the levels 0, 2, 10 and 14 of DDAS's code: 50."""
  levels = [candidates_lib.Candidate(op, candidates_lib.strength_of(op, level))
            for op in WITH for level in candidates_lib.LEVELS]
  return WITHOUT + tuple(map(str, levels))


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.data.name = 'tfds:coco/2017'  # 118,287 training images with boxes, 80 classes (DDAS 4.4: COCO)
  config.data.n_train = 4500  # training images used, a seeded choice: 3,000 and 1,500 (DDAS 4.4)
  config.data.val_fraction = 1500 / 4500  # share of them that is D_val (DDAS 4.4)
  config.data.side = 640  # pixels of the square that an image is fitted into (choice)
  config.data.objects = 100  # most objects of an image that are kept (choice)
  config.preprocess.padding = 0  # pixels around the image: no crop (Lin et al. 4.1)
  config.network.name = 'retinanet'  # RetinaNet, from nothing: no trained backbone (DDAS 4.4; choice)
  config.network.depth = 50  # layers of the backbone: ResNet-50 (DDAS 4.4)
  config.network.width = 64  # channels of the backbone's first stage; the pyramid has 256 (He et al.; Lin et al. 4)
  config.policy.candidates = candidates()  # (operation, strength) pairs (DDAS 4.4: of [46]; levels: choice)
  config.search.epochs = 30  # of D_train (DDAS 4.4)
  config.search.batch = 16  # images of D_train a step: 4 on each of 4 GPUs (DDAS 4.4)
  config.theta.lr = 0.01  # SGD, at the start, for 16 images (Lin et al. 4.1)
  config.theta.lr_min = 0.0  # at the end, cosine between (choice; Lin et al. divide by 10 twice)
  config.theta.weight_decay = 1e-4  # L2 (Lin et al. 4.1)
  config.theta.clip = 10.0  # largest gradient norm (choice)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every part of the search but COCO's reader, on 16 composed scenes and a network that compiles in seconds."""
  config.data.name = 'scenes:embedded'
  config.data.n_train = 16  # scenes
  config.data.n_test = 4  # scenes
  config.data.val_fraction = 0.5
  config.data.side = 64  # pixels
  config.data.objects = 3
  config.network.depth = 10  # one block of two convolutions a stage
  config.network.width = 4  # 16 channels in the pyramid
  config.search.epochs = 2
  config.search.batch = 4  # scenes: 2 steps an epoch
  config.log.every_steps = 1
