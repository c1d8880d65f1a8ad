"""DiffAutoML on ImageNet (DiffAutoML 4, Appendix A), each number with its source: a network ready to use at the end.

':ops4' searches with 4 image operations for 14 (Table 3). ':smoke' after the file name tries it out. With the paper's
learning rates alpha and tau hardly leave the uniform distribution; diffautoml_cifar10.py has DSNAS's for alpha. TFDS's
imagenet2012, prepared as array_record, is decoded and resized by worker processes while the search goes on.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps, 'ops4' that of Table 3."""
  if variant not in ('', 'smoke', 'ops4'):
    raise ValueError(f"unknown variant {variant!r}: 'smoke' and 'ops4' are the only ones (FILE.py:smoke)")
  config = search_config('diffautoml')
  config.data.name = 'tfds:imagenet2012'  # 1,281,167 training images, 1,000 classes (DiffAutoML 4.1)
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (choice, as He et al. 2016)
  config.data.val_fraction = 0.05  # share of the training images that is D_val, which theta never sees (choice)
  config.preprocess.crop = 'resized'  # random box of the image (SPOS code)
  config.preprocess.padding = 0  # pixels around the image; not for 'resized'
  config.preprocess.jitter = 0.4  # of brightness, contrast and colour (SPOS code)
  config.network.size = 'imagenet'  # 20 blocks: 4 ** 20 paths (DiffAutoML 4.1; widths of SPOS)
  config.search.epochs = 240  # both phases (SPOS: 300,000 steps of 1,024 images; the paper gives none)
  config.search.tuning_epochs = 100  # alpha fixed (choice: the paper's Fig. 2 has no numbers)
  config.search.batch = 1024  # images of D_train a step, and as many of D_val (SPOS code)
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  config.checkpoint.every_steps = 1000  # steps between two checkpoints, besides those at the end of an epoch (choice)
  if variant == 'ops4':
    config.policy.ops = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')  # (DiffAutoML 4.3.2, Table 3)
    config.hyper.searched = ()  # without HPO (DiffAutoML 4.3.2)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Both phases, every operation and file of the search, on 40 images and a supernet of 3 blocks."""
  config.data.n_train = 40  # images
  config.data.n_test = 10  # images
  config.network.size = 'nano'
  config.search.epochs = 2
  config.search.tuning_epochs = 1
  config.search.batch = 10  # images: 2 steps an epoch
  config.search.moment_batches = 2
  config.data.val_fraction = 0.5
  config.log.every_steps = 1
