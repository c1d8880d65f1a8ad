"""DDAS on 120 classes of ImageNet (DDAS 4.3), each number with its source: a policy for every epoch, on ResNet-18.

TFDS's imagenet2012, prepared as array_record (`python -m daas_jax.prepare imagenet2012` says how, and then notes the
classes), is decoded while the search goes on. ':smoke' after the file name tries it out. DDAS 4.3 validates on "1200
images (20 images for each class)" of 120 classes; 1,200 are 10 for each class. Under the policy the paper then trains
ResNet-50 and ResNet-200: configs/train_resnet_50.py with --search=WORKDIR.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.data.name = 'tfds:imagenet2012'  # 1,281,167 training images, 1,000 classes; streamed
  config.data.n_train = 7200  # training images used: 6,000 to train on and 1,200 to validate (DDAS 4.3)
  config.data.classes = 120  # classes used (DDAS 4.3)
  config.data.class_list = 'imagenet120'  # which, drawn once (choice: the paper lists none); '': by this seed
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (choice, as He et al. 2016)
  config.data.val_fraction = 1200 / 7200  # share of them that is D_val: 1,200 images (DDAS 4.3; see above)
  config.preprocess.crop = 'resized'  # random box, resized (Fast AutoAugment code)
  config.preprocess.padding = 0  # pixels; for crop = 'padded' alone
  config.network.name = 'resnet_18_imagenet'  # ResNet-18, fixed; stem of stride 2 and pooling: 224 to 56 (DDAS 4.3)
  config.network.stem = 'imagenet'  # for the supernet alone
  config.search.epochs = 40  # of D_train (DDAS 4.3)
  config.search.batch = 32  # images of D_train a step (DDAS 4.3)
  config.search.val_batches = 2  # times 32 images of D_val a step: 64 (DDAS 4.3)
  config.search.n_policies = 2  # policies a step, L^ (DDAS 4.3)
  config.theta.lr = 0.0125  # SGD, at the start, for this batch (choice: He et al. 2016 have 0.1 for 256)
  config.theta.lr_min = 0.0  # at the end, cosine between (choice, as on CIFAR-10)
  config.theta.weight_decay = 1e-4  # L2 (choice; He et al. 2016)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, sampling and file of the search, on 16 images of 4 classes and a network that compiles in seconds."""
  config.data.n_train = 16  # images
  config.data.n_test = 4  # images
  config.data.classes = 4  # 4 images each
  config.data.class_list = ''
  config.data.val_fraction = 0.5  # as many images of D_val as a step takes
  config.network.depth = 10  # one block a stage
  config.network.width = 2
  config.search.epochs = 2
  config.search.batch = 4  # images: 2 steps an epoch
  config.search.val_batches = 2
  config.log.every_steps = 1
