"""DAAS in a few minutes on 2 CPU cores: architecture and policy for a network that is trained on images of a studio and
must work on photographs of the field (`daas_jax/data/field.py`)."""

from daas_jax.config import search_config


PRIMITIVES = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5')


def get_config():
  config = search_config()
  config.data.name = 'embedded:field'         # 2,000 images of D_train, 2,000 photographs of D_val; 28 x 28 x 1
  config.data.side = 14                       # pixels: searched at half of the side that is trained at, for time
  config.preprocess.padding = 1               # pixels; train_quickstart.py has 2 of 28
  config.network.layers = 3                   # cells
  config.network.channels = 4                 # of the first cell
  config.network.primitives = PRIMITIVES      # of an edge; four of the paper's seven, for time
  config.policy.share = 'slot'                # 2 x 14 instead of 14 x 14 x 2 tables of p and delta: this search is short
  config.policy.drawn = 'image'               # in the training of what was found, as in the search
  config.search.epochs = 16                   # of 31 steps
  config.search.warmup_epochs = 0
  config.search.batch = 64                    # images of D_train and of D_val a step
  config.search.policy_per = 'image'          # these three: what it takes to see a camera (docs/field.md)
  config.search.val_moments = 'train'
  config.search.objective = 'direction'
  config.search.n_arch = 1                    # architectures in Eq. 13
  config.search.n_aug = 4                     # policies an image
  config.search.n_w = 0                       # theta moves by the gradient of Eq. 10
  config.search.score = 'outcome'             # these three: the laboratory's best estimator for its cost (README)
  config.search.control = 'regression'
  config.search.baseline = 'step_mean'
  config.search.ridge = 30.0                  # these two: what is told apart, and no more (docs/field.md)
  config.search.kl = 0.3
  config.search.arch_gradient = 'regression'  # of 32 validation losses a step, of an architecture each
  config.search.n_losses = 32
  config.search.loss_images = 32
  config.search.xi = 0.02
  config.theta.lr = 0.05                      # a short search: larger steps throughout
  config.arch.lr = 0.01
  config.gamma.lr = 0.03
  config.log.every_steps = 31
  return config
