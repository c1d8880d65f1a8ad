"""The DAAS search on 120 classes of ImageNet (DAAS 5), each number with its source; ':smoke' tries it out.

TFDS's imagenet2012, prepared as array_record (`python -m daas_jax.prepare imagenet2012` says how, and then notes the
classes), is decoded and resized by worker processes while the search goes on.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config()
  config.data.name = 'tfds:imagenet2012'  # 1,281,167 training images, 1,000 classes; streamed
  config.data.classes = 120  # classes used (DAAS 5, as DADA)
  config.data.class_list = 'imagenet120'  # which, drawn once (choice: the paper lists none); '': by this seed
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (DARTS code)
  config.preprocess.crop = 'resized'  # random box, resized (DARTS code)
  config.preprocess.padding = 0  # pixels; for crop = 'padded' alone
  config.preprocess.jitter = 0.4  # of brightness, contrast and colour (DARTS code)
  config.network.stem = 'imagenet'  # three halvings: 224 becomes 28 (DARTS code)
  config.search.warmup_epochs = 30  # epochs of theta, alpha, beta without a policy (DAAS 5.1)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, sampling and file of the search, on 16 images of 4 classes."""
  config.data.n_train = 16  # images
  config.data.n_test = 4  # images
  config.data.classes = 4  # 4 images each
  config.data.class_list = ''
  config.network.layers = 3  # cells: one normal, two reductions
  config.network.channels = 4
  config.network.primitives = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3')  # fewer to compile
  config.search.epochs = 2
  config.search.warmup_epochs = 1
  config.search.batch = 4  # images: 2 steps an epoch
  config.search.n_arch = 2
  config.search.n_aug = 2
  config.search.n_w = 2
  config.log.every_steps = 1
