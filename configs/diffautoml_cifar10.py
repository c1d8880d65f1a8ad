"""DiffAutoML on CIFAR-10: the paper's method with numbers for this size, each with its source.

The paper searches architectures on ImageNet alone (diffautoml_imagenet.py). ':fixed' is its Table 2: augmentation,
learning rate and weight decay on WRN-40-2; for WRN-28-10 --config.network.name=wrn_28_10. ':ops4' searches with 4 image
operations for 14 (Table 3). ':smoke' tries it out. For CIFAR-100: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke', 'fixed', 'ops4'):
    raise ValueError(f"unknown variant {variant!r}: 'smoke', 'fixed' and 'ops4' are the only ones (FILE.py:smoke)")
  config = search_config('diffautoml')
  config.search.epochs = 300  # both phases (choice)
  config.search.tuning_epochs = 150  # alpha fixed (choice)
  config.search.batch = 128  # images of D_train a step, and as many of D_val (Fast AutoAugment code)
  config.theta.lr = 0.1  # SGD, at the start, for this batch (Fast AutoAugment code; the paper's 0.5 is ImageNet's)
  config.theta.weight_decay = 2e-4  # L2 at the start of its search (Fast AutoAugment code)
  config.arch.optimizer = 'adam'  # (DSNAS code; the paper's SGD hardly moves alpha)
  config.arch.lr = 1e-3  # (DSNAS code)
  config.arch.weight_decay = 0.0  # L2 (choice)
  config.gamma.gradient = 'score'  # that of the expected loss (choice: at this step Eq. 2 ends at one transformation)
  config.gamma.lr = 1e-3  # (choice)
  config.gamma.weight_decay = 0.0  # L2 (choice)
  config.hyper.searched = ('lr', 'weight_decay')  # both (DiffAutoML 4.3.1)
  config.parallel.over = 'data'  # they share the batch, which they must divide: one sample a step
  if variant == 'fixed':
    config.network.name = 'wrn_40_2'  # (DiffAutoML, Table 2)
    config.search.epochs = 200  # (Fast AutoAugment code)
    config.search.tuning_epochs = 0  # no path to be fixed
  if variant == 'ops4':
    config.policy.ops = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')  # (DiffAutoML 4.3.2, Table 3)
    config.hyper.searched = ()  # without HPO (DiffAutoML 4.3.2)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Both phases, every operation and file of the search, on 80 images and a supernet of 3 blocks."""
  config.data.n_train = 80  # images
  config.data.n_test = 10  # images
  config.network.size = 'nano'
  config.search.epochs = 2
  config.search.tuning_epochs = 1
  config.search.batch = 20  # images: 2 steps an epoch
  config.search.moment_batches = 2
  config.data.val_fraction = 0.5
  config.log.every_steps = 1
