"""DDAS on object detection, COCO and RetinaNet (DDAS 4.4), each number with its source: a policy for every epoch.

COCO has to be prepared first; the command says how. ':smoke' after the file name tries the same out on scenes that are
composed of the packaged images, with a small RetinaNet. Lin et al.: RetinaNet, arXiv:1708.02002. [46]: Zoph et al.,
learning data augmentation strategies for object detection, ECCV 2020.
"""

from daas_jax.config import search_config
from daas_jax.policies import total

# The whole-image operations of [46] that there are here, without those inside of boxes and without SolarizeAdd.
WITHOUT = ('AutoContrast', 'Equalize')
WITH = ('Posterize', 'Solarize', 'Color', 'Contrast', 'Brightness', 'Sharpness', 'Cutout', 'Rotate', 'TranslateX',
        'TranslateY', 'ShearX', 'ShearY')


def candidates():
  """All of them, the second row at the levels 0, 2, 10 and 14 of DDAS's code: 50."""
  levels = [total.Candidate(op, total.strength_of(op, level)) for op in WITH for level in total.LEVELS]
  return WITHOUT + tuple(map(str, levels))


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random (choice)
  config.method = 'ddas'  # Alg. 1

  config.data.name = 'tfds:coco/2017'  # 118,287 training images with boxes, 80 classes (DDAS 4.4: COCO)
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 4500  # training images used, a seeded choice: 3,000 and 1,500 (DDAS 4.4)
  config.data.n_test = 0  # test images used; 0: all, the 5,000 of the split 'validation' (DDAS Table 4: val)
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = False  # the set fits in memory
  config.data.workers = 0  # for a streamed set alone
  config.data.val_fraction = 1500 / 4500  # share of them that is D_val (DDAS 4.4)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)
  config.data.side = 640  # pixels of the square that an image is fitted into (choice)
  config.data.objects = 100  # most objects of an image that are kept (choice)

  config.preprocess.crop = 'padded'  # no resized crop (Lin et al. 4.1)
  config.preprocess.padding = 0  # pixels around the image: no crop (Lin et al. 4.1)
  config.preprocess.flip = True  # horizontal, with probability 1/2, the only other augmentation (Lin et al. 4.1)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none (Lin et al. 4.1)

  config.network.name = 'retinanet'  # RetinaNet, from nothing: no trained backbone (DDAS 4.4; choice)
  config.network.depth = 50  # layers of the backbone: ResNet-50 (DDAS 4.4)
  config.network.width = 64  # channels of the backbone's first stage; the pyramid has 256 (He et al.; Lin et al. 4)
  config.network.kernels = 'auto'  # array kernels, of other networks alone
  config.network.dtype = 'float32'  # or bfloat16: what the supernet computes in
  config.network.layers = 8  # cells; for the supernet alone
  config.network.channels = 16  # of the first cell; for the supernet alone
  config.network.stem = 'cifar'  # for the supernet alone
  config.network.genotype = ''  # for the supernet alone
  config.network.primitives = (  # candidate operations of an edge; for the supernet alone
      'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')

  config.policy.candidates = candidates()  # (operation, strength) pairs (DDAS 4.4: of [46]; levels: choice)
  config.policy.K = 2  # candidates in sequence, N_o (DDAS 4.4)
  config.policy.p_tp = 0.35  # total probability at the start (choice: that of DDAS 4.2 and 4.3)

  config.search.epochs = 30  # of D_train (DDAS 4.4)
  config.search.batch = 16  # images of D_train a step: 4 on each of 4 GPUs (DDAS 4.4)
  config.search.val_batches = 1  # times 16 images of D_val a step (DDAS 4.4)
  config.search.n_policies = 3  # policies a step, L^ (DDAS 4.4)
  config.search.normalise = True  # divide by Z_g (DDAS Eq. 15)

  config.theta.lr = 0.01  # SGD, at the start, for 16 images (Lin et al. 4.1)
  config.theta.lr_min = 0.0  # at the end, cosine between (choice; Lin et al. divide by 10 twice)
  config.theta.momentum = 0.9  # (Lin et al. 4.1)
  config.theta.weight_decay = 1e-4  # L2 (Lin et al. 4.1)
  config.theta.clip = 10.0  # largest gradient norm (choice)
  config.gamma.lr = 5e-3  # Adam, of alpha_o (choice: DDAS code, for CIFAR-10)
  config.gamma.lr_total = 1e-3  # Adam, of alpha_tp (choice: DDAS code, for CIFAR-10)
  config.gamma.weight_decay = 0.0  # L2 (choice)
  config.adam.b1 = 0.5  # of both Adams (choice: DDAS code, for CIFAR-10)
  config.adam.b2 = 0.999  # of both Adams (choice: DDAS code, for CIFAR-10)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'samples'  # they share n_policies, which they must divide; 'data': the batch
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (choice)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
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
