"""Faster AutoAugment alone on CIFAR-10, the joint search's baseline, each number with its source.

Hataya et al., Faster AutoAugment; where the joint search's paper ("joint") says nothing, the numbers are its code's.
':smoke' after the file name tries it out. For CIFAR-100: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('faster_aa')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random; Table 1 averages three (joint)
  config.method = 'faster_aa'  # a critic and a policy in turn

  config.data.name = 'tfds:cifar10'  # 50,000 training images of 32 x 32 x 3, 10 classes
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 0  # training images used; 0: all
  config.data.n_test = 0  # test images used; 0: all; a search reads none of them
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = False  # the set fits in memory
  config.data.workers = 0  # for a streamed set alone
  config.data.side = 0  # for a streamed set or a detection network alone
  config.data.val_fraction = 0.1  # share of them that is D_val, only looked at (choice)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)

  config.preprocess.crop = 'padded'  # random crop of the padded image (Faster AutoAugment code)
  config.preprocess.padding = 4  # pixels around the image (Faster AutoAugment code)
  config.preprocess.flip = True  # horizontal, with probability 1/2 (Faster AutoAugment code)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none in a search (choice)

  config.network.name = 'wrn_40_2'  # WRN-40-2, fixed (joint)
  config.network.depth = 0  # layers; 0: those of the name
  config.network.width = 0  # widening factor; 0: that of the name
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.dtype = 'float32'  # or bfloat16: what the supernet computes in
  config.network.layers = 8  # cells; for the supernet alone
  config.network.channels = 16  # of the first cell; for the supernet alone
  config.network.stem = 'cifar'  # for the supernet alone
  config.network.genotype = ''  # for the supernet alone
  config.network.primitives = (  # candidate operations of an edge; for the supernet alone
      'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')

  config.policy.ops = (  # candidate image operations, 16, Cutout left out (joint)
      'ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'AutoContrast', 'HorizontalFlip', 'Invert', 'Equalize',
      'Solarize', 'Posterize', 'Contrast', 'Color', 'Brightness', 'Sharpness', 'SamplePairing')
  config.policy.K = 2  # operations in a sub-policy (joint)
  config.policy.L = 10  # sub-policies (joint)
  config.policy.selection_temperature = 0.05  # eta of the softmax over operations (Faster AutoAugment code)
  config.policy.bernoulli_temperature = 0.1  # of the relaxed Bernoulli variables (Faster AutoAugment code)

  config.search.epochs = 20  # of D_train (joint)
  config.search.batch = 128  # images of D_train a step, half of them augmented (Faster AutoAugment code)
  config.search.penalty = 10.0  # lambda of the gradient penalty (WGAN-GP)
  config.search.classification = 0.1  # epsilon, weight of the cross-entropy (Faster AutoAugment code)

  config.theta.lr = 1e-3  # Adam, of the critic (Faster AutoAugment code)
  config.theta.weight_decay = 0.0  # L2 (Faster AutoAugment code)
  config.gamma.lr = 1e-3  # Adam, of z, p and mu (Faster AutoAugment code)
  config.gamma.weight_decay = 0.0  # L2 (Faster AutoAugment code)
  config.adam.b1 = 0.0  # of both Adams (Faster AutoAugment code)
  config.adam.b2 = 0.999  # of both Adams (Faster AutoAugment code)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, operation and file of the search, on 80 images and a network that compiles in seconds."""
  config.data.n_train = 80  # images
  config.data.n_test = 10  # images
  config.data.val_fraction = 0.5  # as many images of D_val as of D_train in a step
  config.network.depth = 10  # one block a stage
  config.network.width = 1
  config.search.epochs = 2
  config.search.batch = 20  # images: 2 steps an epoch
  config.log.every_steps = 1
