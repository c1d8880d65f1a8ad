"""The policy search of DAAS Table 5, on a fixed WRN-40-2 and CIFAR-10, each number with its source.

The paper gives no settings of its own for it. Here are those of its joint search, without an architecture; the network
of the search, and theta's learning rate and decay, are DADA's. ':smoke' after the file name tries it out. For
CIFAR-100: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config()
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random; DAAS Table 2 uses four
  config.method = 'daas'  # Alg. 1

  config.data.name = 'tfds:cifar10'  # 50,000 training images of 32 x 32 x 3, 10 classes
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 0  # training images used; 0: all
  config.data.n_test = 0  # test images used; 0: all; a search reads none of them
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = False  # the set fits in memory
  config.data.workers = 0  # for a streamed set alone
  config.data.side = 0  # for a streamed set or a detection network alone
  config.data.val_fraction = 0.5  # share of the training set that is D_val; two parts (DAAS 5), halves (DARTS code)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)

  config.preprocess.crop = 'padded'  # random crop of the padded image (DARTS code)
  config.preprocess.padding = 4  # pixels around the image (DARTS code)
  config.preprocess.flip = True  # horizontal, with probability 1/2 (DARTS code)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none in a search (DARTS code)

  config.network.name = 'wrn_40_2'  # WRN-40-2, fixed (DADA)
  config.network.depth = 0  # layers; 0: those of the name
  config.network.width = 0  # widening factor; 0: that of the name
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.dtype = 'float32'  # or bfloat16: what the supernet computes in
  config.network.layers = 8  # cells; for the supernet alone
  config.network.channels = 16  # of the first cell; for the supernet alone
  config.network.stem = 'cifar'  # for the supernet alone
  config.network.genotype = ''  # for the supernet alone
  config.network.primitives = (  # candidate operations of an edge; for the supernet alone
      'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')

  config.policy.ops = (  # candidate image operations, 15 (DAAS 3.2; names and ranges: Fast AutoAugment code)
      'ShearX', 'ShearY', 'TranslateX', 'TranslateY', 'Rotate', 'AutoContrast', 'Invert', 'Equalize', 'Solarize',
      'Posterize', 'Contrast', 'Color', 'Brightness', 'Sharpness', 'Cutout')
  config.policy.K = 2  # operations in sequence (choice; AutoAugment, Fast AutoAugment and DADA have 2)
  config.policy.levels = 10  # magnitudes, uniformly spaced (DAAS 3.2)
  config.policy.share = 'policy'  # each of the 15 x 15 policies owns its p and delta (DAAS 3.2)
  config.policy.p0 = 0.5  # application probability at the start (choice)

  config.search.epochs = 50  # of D_train, warm-up included: 20 + 30 (DAAS 5)
  config.search.warmup_epochs = 20  # epochs of theta, alpha, beta without a policy (DAAS 5)
  config.search.batch = 64  # images of D_train and of D_val a step (choice; DARTS code has 64)
  config.search.n_arch = 5  # repetitions in Eq. 13, each with policies of its own: there is one architecture (DAAS 5)
  config.search.n_aug = 2  # policies an architecture in Eq. 10 and 13 (DAAS 5)
  config.search.n_w = 1  # gradients in Eq. 14: of one fixed network (choice; DAAS 4.2 has 10 architectures)
  config.search.accumulate = 'mean'  # of the n_w gradients (choice: Eq. 14 sums, theta.lr is one architecture's)
  config.search.xi = 0.0  # step of the inner update (Eq. 10); 0: the current learning rate of theta
  config.search.baseline = 'leave_one_out'  # of the score function; keeps its expectation (choice)
  config.search.score = 'event'  # Eq. 4's event (DAAS); 'outcome' sums out what changes no image
  config.search.control = 'none'  # (DAAS); 'additive' is a control variate learned from past alignments
  config.search.tau_start = 10.0  # Gumbel temperature at the first step (GDAS code)
  config.search.tau_end = 0.1  # at the last step, linear between (GDAS code)

  config.theta.lr = 0.05  # SGD, at the start, for this batch (DADA code: 0.4 for 512)
  config.theta.lr_min = 0.001  # at the end, cosine between (DARTS code)
  config.theta.momentum = 0.9  # (DAAS 5)
  config.theta.weight_decay = 2e-4  # L2 (DADA code)
  config.theta.clip = 5.0  # largest gradient norm (DARTS code)
  config.arch.lr = 3e-4  # Adam, of alpha and beta (DARTS code)
  config.arch.weight_decay = 1e-3  # L2 (DARTS code)
  config.arch.eigenvalue_every = 0  # epochs between two measurements of the dominant eigenvalue; 0: none (choice)
  config.arch.stop_skip = 1.0  # the search is not stopped (choice)
  config.arch.stop_eigenvalue = 0.0  # the search is not stopped (choice)
  config.gamma.lr = 5e-3  # Adam, of pi, p and delta (DADA code)
  config.gamma.weight_decay = 0.0  # L2 (DADA code)
  config.adam.b1 = 0.5  # of both Adams (DAAS 5)
  config.adam.b2 = 0.999  # of both Adams (DAAS 5)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'samples'  # they share n_arch and n_w, which they must divide; 'data': the batch
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, sampling and file of the search, on 64 images and a network that compiles in seconds."""
  config.data.n_train = 64  # images
  config.data.n_test = 10  # images
  config.network.depth = 10  # one block a stage
  config.network.width = 1
  config.search.epochs = 2
  config.search.warmup_epochs = 1
  config.search.batch = 16  # images: 2 steps an epoch
  config.search.n_arch = 2
  config.search.n_aug = 2
  config.search.n_w = 2
  config.log.every_steps = 1
