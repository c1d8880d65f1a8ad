"""DDAS on CIFAR-10 (DDAS 4.2), each number with its source: a policy for every epoch, found on WRN-40-2.

To train under it: configs/train_wrn_28_10.py or train_shake_shake.py with --search=WORKDIR. ':supernet' after the file
name searches on DAAS's supernet instead, a path drawn uniformly each step (no paper has that); ':smoke' and
':supernet_smoke' try both out. For CIFAR-100, with the same numbers: --config.data.name=tfds:cifar100.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'supernet' is on the supernet, '..smoke' the same code path in a handful of steps."""
  if variant not in ('', 'smoke', 'supernet', 'supernet_smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'supernet', 'smoke' or 'supernet_smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random; DDAS trains three times
  config.method = 'ddas'  # Alg. 1

  config.data.name = 'tfds:cifar10'  # 50,000 training images of 32 x 32 x 3, 10 classes
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 4000  # training images used: 2,000 to train on and 2,000 to validate (DDAS 4.2)
  config.data.n_test = 0  # test images used; 0: all; a search reads none of them
  config.data.classes = 0  # classes used; 0: all
  config.data.class_list = ''  # all of them
  config.data.stream = False  # the set fits in memory
  config.data.workers = 0  # for a streamed set alone
  config.data.val_fraction = 0.5  # share of them that is D_val (DDAS 4.2)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)
  config.data.side = 0  # pixels; for a streamed set or a detection network alone
  config.data.objects = 0  # most objects of an image; for detection alone

  config.preprocess.crop = 'padded'  # random crop of the padded image (Fast AutoAugment code)
  config.preprocess.padding = 4  # pixels around the image (Fast AutoAugment code)
  config.preprocess.flip = True  # horizontal, with probability 1/2 (Fast AutoAugment code)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none in a search (choice)

  config.network.name = 'wrn_40_2'  # WRN-40-2, fixed (DDAS 4.2)
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

  config.policy.candidates = ()  # (operation, strength) pairs; (): the 52 of DDAS's code, levels 0, 2, 10, 14
  config.policy.K = 2  # candidates in sequence, N_o (DDAS 4.2)
  config.policy.p_tp = 0.35  # total probability at the start (DDAS 4.2)

  config.search.epochs = 20  # of D_train (DDAS 4.2)
  config.search.batch = 32  # images of D_train a step (DDAS 4.2)
  config.search.val_batches = 8  # times 32 images of D_val a step: 256 (DDAS 4.2)
  config.search.n_policies = 3  # policies a step, L^ (DDAS 4.2)
  config.search.normalise = True  # divide by Z_g (DDAS Eq. 15)

  config.theta.lr = 0.025  # SGD, at the start, for this batch (choice: Fast AutoAugment code has 0.1 for 128)
  config.theta.lr_min = 0.0  # at the end, cosine between (Fast AutoAugment code)
  config.theta.momentum = 0.9  # (Fast AutoAugment code)
  config.theta.weight_decay = 2e-4  # L2 (Fast AutoAugment code)
  config.theta.clip = 5.0  # largest gradient norm (Fast AutoAugment code)
  config.gamma.lr = 5e-3  # Adam, of alpha_o (DDAS code)
  config.gamma.lr_total = 1e-3  # Adam, of alpha_tp (DDAS code)
  config.gamma.weight_decay = 0.0  # L2 (choice)
  config.adam.b1 = 0.5  # of both Adams (DDAS code)
  config.adam.b2 = 0.999  # of both Adams (DDAS code)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'samples'  # they share n_policies, which they must divide; 'data': the batch
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant.startswith('supernet'):
    _supernet(config)
  if variant.endswith('smoke'):
    _smoke(config)
  return config


def _supernet(config):
  """DDAS on the supernet of DAAS: 8 cells of 16 channels, as above, the weights trained as DAAS trains them."""
  config.network.name = 'supernet'  # a path a step, drawn uniformly (choice)
  config.theta.lr_min = 0.001  # (DARTS code)
  config.theta.weight_decay = 3e-4  # L2 (DARTS code)


def _smoke(config):
  """Every phase, sampling and file of the search, on 80 images and a network that compiles in seconds."""
  config.data.n_train = 80  # images
  config.data.n_test = 10  # images
  if config.network.name == 'supernet':
    config.network.layers = 3  # cells: one normal, two reductions
    config.network.channels = 4
    config.network.primitives = ('max_pool_3x3', 'skip_connect', 'sep_conv_3x3')  # fewer to compile
  else:
    config.network.depth = 10  # one block a stage
    config.network.width = 1
  config.search.epochs = 2
  config.search.batch = 20  # images: 2 steps an epoch
  config.search.val_batches = 2
  config.log.every_steps = 1
