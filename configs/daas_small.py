"""The search of the studies' ':small' versions: joint, in a few minutes on 2 CPU cores, its policy more than noise."""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config()
  config.data.name = 'embedded'  # Fashion-MNIST, 28 x 28 x 1
  config.preprocess.padding = 2  # pixels, as in train_small.py
  config.network.layers = 5  # cells: normal, reduction, normal, reduction, normal
  config.network.channels = 4  # of the first cell; half of the trained network's (the paper: 16 of 36)
  config.policy.share = 'slot'  # 2 x 15 tables of p and delta: the 225 of the paper would get a step each
  config.search.epochs = 4  # of 125 steps
  config.search.warmup_epochs = 2
  config.search.batch = 16  # images of D_train and of D_val a step: for a policy, steps are worth more than images
  config.search.n_arch = 2  # architectures in Eq. 9 and 13
  config.search.n_aug = 4  # policies an architecture: 8 in 14 passes, where n_aug = 2 would try 4 in 10
  config.search.n_w = 2  # architectures in Eq. 14
  config.search.score = 'outcome'  # these three: the laboratory's best estimator for its cost (README)
  config.search.control = 'additive'
  config.search.baseline = 'step_mean'
  config.theta.lr = 0.05  # a short search: larger steps throughout
  config.arch.lr = 0.01
  config.gamma.lr = 0.1  # 250 joint steps: pi ends at entropies of 2.3 nats or so (uniform: 2.71); with 0.05 at 2.6
  config.log.every_steps = 25
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase of the search, in 4 steps."""
  config.data.val_fraction = 0.9  # of all images, as above: leaves 400 for D_train
  config.network.layers = 3  # cells
  config.network.channels = 2
  config.network.primitives = ('max_pool_3x3', 'skip_connect')  # fewer to compile
  config.policy.ops = ('Rotate', 'Invert')  # fewer to compile
  config.search.epochs = 2
  config.search.warmup_epochs = 1
  config.search.batch = 200  # images: 2 steps an epoch
  config.search.n_aug = 2
  config.log.every_steps = 1
