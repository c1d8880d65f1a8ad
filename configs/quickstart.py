"""DAAS in a few minutes on 2 CPU cores: architecture and policy for a network that is trained on images of a studio and
must work on photographs of the field (`daas_jax/data/field.py`)."""

from daas_jax.config import search_config

PRIMITIVES = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5')


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config()
  config.data.name = 'embedded:field'         # 2,000 images of D_train, 2,000 photographs of D_val; 28 x 28 x 1
  config.data.side = 14                       # pixels: searched at half of the side that is trained at, for time
  config.preprocess.padding = 1               # pixels; train_quickstart.py has 2 of 28
  config.network.layers = 3                   # cells
  config.network.channels = 4                 # of the first cell
  config.network.primitives = PRIMITIVES      # of an edge; four of the paper's seven, for time
  config.policy.share = 'slot'                # 2 x 14 instead of 14 x 14 x 2 tables of p and delta: this search is short
  config.policy.drawn = 'image'               # in the training of what was found, as in the search
  config.search.epochs = 34                   # of 31 steps
  config.search.warmup_epochs = 22            # without policy; these are cheap
  config.search.arch_warmup_epochs = 13       # of them with architectures drawn alike: what is favoured is trained more
  config.search.batch = 64                    # images of D_train and of D_val a step
  config.search.objective = 'moments'         # D_val's accuracy by the moments of a policy's images (docs/objective.md),
  config.search.classification = 0.1          # and that of these images, which tells Brightness from Solarize
  config.search.theta_policies = False        # both are asked of a theta that saw no policies
  config.search.policy_per = 'image'
  config.search.n_arch = 1                    # architectures whose policies are tried
  config.search.n_aug = 48                    # policies a step
  config.search.n_w = 1                       # architectures in Eq. 14
  config.search.score = 'outcome'             # these three: the laboratory's best estimator for its cost (README)
  config.search.control = 'regression'
  config.search.baseline = 'step_mean'
  config.search.ridge = 30.0                  # these two: what is told apart, and no more (docs/field.md)
  config.search.kl = 0.3
  config.search.arch_gradient = 'regression'  # of 32 validation losses a step, of an architecture each
  config.search.n_losses = 32
  config.search.loss_images = 16              # in each of these, and of each half in each of the policies'
  config.theta.lr = 0.05                      # a short search: larger steps throughout
  config.arch.lr = 0.02
  config.gamma.lr = 0.03
  config.log.every_steps = 31
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase of the search, in 6 steps."""
  config.data.n_train = 80  # images
  config.network.channels = 2
  config.network.primitives = ('max_pool_3x3', 'skip_connect')  # fewer to compile
  config.policy.ops = ('Rotate', 'Invert')  # fewer to compile
  config.search.epochs = 3
  config.search.warmup_epochs, config.search.arch_warmup_epochs = 2, 1
  config.search.batch = 20  # images: 2 steps an epoch
  config.search.n_aug = 3
  config.search.n_losses = 4
  config.search.loss_images = 10
  config.log.every_steps = 1
