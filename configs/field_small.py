"""The searches of the studies in the field: D_train of the studio, D_val photographed (`daas_jax/data/field.py`).

':' and one of these after the file name: 'moments', which it is without any, 'daas' (by steps of theta) and 'ddas' search
policies alone on a small fixed network, 'darts' architectures alone; each with '_smoke' behind it tries it out. The joint
search is quickstart.py.
"""

from daas_jax.config import search_config

PRIMITIVES = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5')  # four of the paper's seven, for time
METHODS = {'daas': 'daas', 'moments': 'daas', 'ddas': 'ddas', 'darts': 'darts'}


def get_config(variant='moments'):
  """The search config of a variant (top of this file)."""
  name = variant.removesuffix('_smoke')
  if name not in METHODS:
    raise ValueError(f"unknown variant {variant!r}: choose {', '.join(METHODS)}, or one of them with _smoke "
                     "(FILE.py:daas_smoke)")
  config = search_config(METHODS[name])
  config.data.name = 'embedded:field'  # 2,000 images of D_train and of D_val
  config.preprocess.padding = 2  # pixels, as in train_field_small.py
  config.theta.lr = 0.05  # a short search: larger steps throughout
  config.log.every_steps = 25
  _VARIANTS[name](config)
  if variant != name:
    _smoke(config, name)
  return config


def _each(config):
  """On a fixed network, a policy an image; D_val as a network in use sees it; what a step of fixed length gains
  (docs/field.md)."""
  config.network.name = 'small_cnn'
  config.network.channels = 12  # of the first convolution, as in train_field_small.py
  config.search.policy_per = 'image'
  config.search.val_moments = 'train'
  config.search.objective = 'direction'
  config.search.batch = 64  # images of D_train and of D_val a step, and as many policies


def _daas(config):
  """On a fixed network all policies of a step are of that one."""
  _each(config)
  config.policy.share = 'slot'
  config.policy.drawn = 'image'  # as in the search
  config.search.score = 'outcome'  # these three: the laboratory's best estimator for its cost (README)
  config.search.control = 'regression'
  config.search.baseline = 'step_mean'
  config.search.ridge = 30.0  # these two: what is told apart, and no more (docs/field.md)
  config.search.kl = 0.3
  config.search.n_aug = 4  # policies an image: each takes a forward-mode pass alone
  config.search.n_w = 0  # theta moves by the gradients of Eq. 10, which have a policy an image as well
  config.search.xi = 0.02
  config.gamma.lr = 0.03
  config.search.epochs = 7  # of 31 steps
  config.search.warmup_epochs = 0
  config.search.n_arch = 1


def _moments(config):
  """D_val's accuracy by the moments of a policy's images, theta trained without any (docs/objective.md)."""
  _daas(config)
  config.search.objective = 'moments'
  config.search.val_moments = 'own'  # of what is logged alone
  config.search.theta_policies = False
  config.search.warmup_epochs = 2  # an untrained network knows nothing
  config.search.n_aug = 64  # policies a step, of a forward pass each
  config.search.loss_images = 16  # of each half, in each of these
  config.search.n_w = 1
  config.search.xi = 0.0


def _ddas(config):
  """DDAS's."""
  _each(config)
  config.search.epochs = 10
  config.gamma.lr = 0.1
  config.gamma.lr_total = 0.05


def _darts(config):
  """DARTS's, of cells."""
  config.data.side = 14  # pixels: searched at half of the side that is trained at, for time
  config.preprocess.padding = 1  # pixels
  config.network.layers = 3  # cells
  config.network.channels = 4  # of the first cell; half of the trained network's
  config.network.primitives = PRIMITIVES
  config.arch.lr = 0.01
  config.search.epochs = 16
  config.search.batch = 64


_VARIANTS = {'daas': _daas, 'moments': _moments, 'ddas': _ddas, 'darts': _darts}


def _smoke(config, name):
  """Every phase of the search, in 4 steps."""
  config.data.n_train = 80  # images
  config.search.epochs = 2
  config.search.batch = 20  # images: 2 steps an epoch
  config.log.every_steps = 1
  config.network.channels = 2
  if name == 'darts':
    config.network.primitives = ('max_pool_3x3', 'skip_connect')  # fewer to compile
  if name == 'moments':
    config.search.warmup_epochs, config.search.n_aug, config.search.loss_images = 1, 3, 10
  if name in ('daas', 'moments'):
    config.policy.ops = ('Rotate', 'Invert')  # fewer to compile
  if name == 'ddas':
    config.policy.candidates = ('Rotate:0.2', 'Invert')
