"""DDAS on 120 classes of ImageNet (DDAS 4.3), each number with its source: a policy for every epoch, on ResNet-18.

TFDS's imagenet2012, prepared as array_record (`python -m daas_jax.prepare imagenet2012` says how, and then notes the
classes), is decoded while the search goes on. ':smoke' after the file name tries it out. DDAS 4.3 validates on "1200
images (20 images for each class)" of 120 classes; 1,200 are 10 for each class. The paper then trains ResNet-50 and
ResNet-200, which are not here; configs/train_imagenet.py with --search=WORKDIR and a --genotype trains a network of the
DARTS space under the policy.
"""

from daas_jax.config import search_config


def get_config(variant=''):
  """The search config; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: the only one is 'smoke' (FILE.py:smoke)")
  config = search_config('ddas')
  config.kind = 'search'  # for `python -m daas_jax.search`
  config.seed = 0  # of everything random; of ImageNet DDAS says no number
  config.method = 'ddas'  # Alg. 1

  config.data.name = 'tfds:imagenet2012'  # 1,281,167 training images, 1,000 classes; streamed
  config.data.dir = ''  # TFDS's data folder; '' is its default
  config.data.n_train = 7200  # training images used: 6,000 to train on and 1,200 to validate (DDAS 4.3)
  config.data.n_test = 0  # test images used; 0: all; a search reads none of them
  config.data.classes = 120  # classes used (DDAS 4.3)
  config.data.class_list = 'imagenet120'  # which, drawn once (choice: the paper lists none); '': by this seed
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (choice, as He et al. 2016)
  config.data.objects = 0  # for a detection network alone
  config.data.val_fraction = 1200 / 7200  # share of them that is D_val: 1,200 images (DDAS 4.3; see above)
  config.data.validation_turns = 0  # quarter turns of the validation images; 0: no planted check (DDAS 4.1)

  config.preprocess.crop = 'resized'  # random box, resized (Fast AutoAugment code)
  config.preprocess.padding = 0  # pixels; for crop = 'padded' alone
  config.preprocess.flip = True  # horizontal, with probability 1/2 (Fast AutoAugment code)
  config.preprocess.cutout = 0  # side of the square in pixels; 0: none in a search (choice)

  config.network.name = 'resnet_18_imagenet'  # ResNet-18, fixed; stem of stride 2 and pooling: 224 to 56 (DDAS 4.3)
  config.network.depth = 0  # layers; 0: those of the name
  config.network.width = 0  # channels of the first stage; 0: those of the name, 64
  config.network.kernels = 'auto'  # array kernels: those measured best on the backend
  config.network.dtype = 'float32'  # or bfloat16: what the supernet computes in
  config.network.layers = 8  # cells; for the supernet alone
  config.network.channels = 16  # of the first cell; for the supernet alone
  config.network.stem = 'imagenet'  # for the supernet alone
  config.network.genotype = ''  # for the supernet alone
  config.network.primitives = (  # candidate operations of an edge; for the supernet alone
      'max_pool_3x3', 'avg_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'sep_conv_5x5', 'dil_conv_3x3', 'dil_conv_5x5')

  config.policy.candidates = ()  # (operation, strength) pairs; (): the 52 of DDAS's code, levels 0, 2, 10, 14
  config.policy.K = 2  # candidates in sequence, N_o (DDAS 4.3)
  config.policy.p_tp = 0.35  # total probability at the start (DDAS 4.3)

  config.search.epochs = 40  # of D_train (DDAS 4.3)
  config.search.batch = 32  # images of D_train a step (DDAS 4.3)
  config.search.val_batches = 2  # times 32 images of D_val a step: 64 (DDAS 4.3)
  config.search.n_policies = 2  # policies a step, L^ (DDAS 4.3)
  config.search.normalise = True  # divide by Z_g (DDAS Eq. 15)

  config.theta.lr = 0.0125  # SGD, at the start, for this batch (choice: He et al. 2016 have 0.1 for 256)
  config.theta.lr_min = 0.0  # at the end, cosine between (choice, as on CIFAR-10)
  config.theta.momentum = 0.9  # (choice; He et al. 2016)
  config.theta.weight_decay = 1e-4  # L2 (choice; He et al. 2016)
  config.theta.clip = 5.0  # largest gradient norm (choice, as on CIFAR-10)
  config.gamma.lr = 5e-3  # Adam, of alpha_o (choice; DDAS code, for CIFAR)
  config.gamma.lr_total = 1e-3  # Adam, of alpha_tp (choice; DDAS code, for CIFAR)
  config.gamma.weight_decay = 0.0  # L2 (choice)
  config.adam.b1 = 0.5  # of both Adams (choice; DDAS code, for CIFAR)
  config.adam.b2 = 0.999  # of both Adams (choice; DDAS code, for CIFAR)

  config.parallel.devices = 1  # of each process; 0: all
  config.parallel.over = 'samples'  # they share n_policies, which they must divide; 'data': the batch
  config.log.every_steps = 50  # steps between two lines of metrics.jsonl (DARTS code)
  config.checkpoint.every_steps = 500  # steps between two checkpoints, besides those at the end of an epoch (choice)
  config.checkpoint.keep = 3  # checkpoints kept (choice)
  config.checkpoint.on_full_disk = 'stop'  # or 'go_on' (choice)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase, sampling and file of the search, on 16 images of 4 classes and a network that compiles in seconds."""
  config.data.n_train = 16  # images
  config.data.n_test = 4  # images
  config.data.classes = 4  # 4 images each
  config.data.class_list = ''
  config.data.val_fraction = 0.5  # as many images of D_val as a step takes
  config.network.depth = 10  # one block a stage
  config.network.width = 2
  config.search.epochs = 2
  config.search.batch = 4  # images: 2 steps an epoch
  config.search.val_batches = 2
  config.log.every_steps = 1
