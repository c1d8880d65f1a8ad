"""DAAS in a few minutes on 2 CPU cores: architecture and policy for a network that is trained on images of a studio and
must work on photographs of the field (`daas_jax/data/field.py`)."""

from daas_jax.config import search_config


def get_config():
  config = search_config()
  config.data.name = 'embedded:field'         # 2,000 images of D_train, 2,000 photographs of D_val; 28 x 28 x 1
  config.preprocess.padding = 2               # pixels, as in train_quickstart.py
  config.network.layers = 3                   # cells: normal, reduction, normal
  config.network.channels = 4                 # of the first cell
  config.policy.share = 'slot'                # 2 x 14 instead of 14 x 14 x 2 tables of p and delta: this search is short
  config.search.epochs = 4
  config.search.warmup_epochs = 0
  config.search.batch = 64                    # images of D_train and of D_val a step
  config.search.n_arch = 2                    # architectures in Eq. 9 and 13
  config.search.n_w = 2                       # architectures in Eq. 14
  config.search.policy_per = 'image'          # 64 policies an architecture; these five: docs/field.md
  config.search.val_moments = 'train'
  config.search.objective = 'direction'
  config.search.score = 'outcome'
  config.search.arch_gradient = 'regression'
  config.search.xi = 0.02
  config.theta.lr = 0.05                      # a short search: larger steps throughout
  config.arch.lr = 0.01
  config.gamma.lr = 0.05
  config.log.every_steps = 20
  return config
