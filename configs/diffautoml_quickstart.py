"""DiffAutoML in a few minutes on 2 CPU cores: a small supernet on the packaged Fashion-MNIST, ready to use at the end.

':fixed' searches augmentation, learning rate and weight decay on a fixed network (DiffAutoML, Table 2); ':ops4' has 4
image operations for 14 (Table 3).
"""

from daas_jax.config import search_config


def get_config(variant=''):
  if variant not in ('', 'fixed', 'ops4'):
    raise ValueError(f"unknown variant {variant!r}: 'fixed' and 'ops4' are the only ones (FILE.py:fixed)")
  config = search_config('diffautoml')
  config.data.name = 'embedded'       # 4,000 training images of 28 x 28 x 1, of which a tenth is D_val
  config.preprocess.padding = 2       # pixels, of 28 x 28
  config.network.size = 'small'       # 6 choice blocks: 4 ** 6 paths
  config.search.epochs = 12
  config.search.tuning_epochs = 6
  config.search.batch = 32            # images of D_train a step, and as many of D_val
  config.theta.lr = 0.1               # the paper's 0.5 is for a large batch
  config.theta.weight_decay = 5e-4
  config.arch.optimizer = 'adam'      # as DSNAS's code, with a larger step: this search is short
  config.arch.lr = 0.02
  config.arch.weight_decay = 0.0
  config.gamma.gradient = 'score'     # at such a step Eq. 2 as it stands ends at one transformation
  config.gamma.lr = 0.05
  config.gamma.weight_decay = 0.0
  config.hyper.searched = ('lr', 'weight_decay')
  config.hyper.lr = 5e-3
  config.log.every_steps = 28
  if variant == 'fixed':
    config.network.name = 'resnet_18'
    config.network.depth = 10         # one block a stage
    config.network.width = 8
    config.search.tuning_epochs = 0
  if variant == 'ops4':
    config.policy.ops = ('ShearX', 'ShearY', 'TranslateX', 'TranslateY')
  return config
