"""Training ResNet-50 on ImageNet under a searched policy (DDAS 4.3), each number with its source.

':resnet_200' after the file name is the paper's other network, ':smoke' tries it out. TFDS's imagenet2012, prepared as
array_record (`python -m daas_jax.prepare imagenet2012` says how, and then notes the classes), is decoded and resized by
worker processes while the training goes on. DDAS's appendix, which has its other settings, could not be had: these are
AutoAugment's of the same 270 epochs (Cubuk et al. 2019), but for the learning rate's decay by steps: a cosine is here.
"""

from daas_jax.config import train_config


def get_config(variant=''):
  """The training config of either network; variant 'smoke' is the same code path in a handful of steps."""
  if variant not in ('', 'resnet_200', 'smoke'):
    raise ValueError(f"unknown variant {variant!r}: choose 'resnet_200' or 'smoke' (FILE.py:smoke)")
  config = train_config()
  config.data.name = 'tfds:imagenet2012'  # 1,281,167 + 50,000 images, 1,000 classes; streamed
  config.data.stream = True  # read and decoded while the run goes on: it is too large for the memory
  config.data.workers = 8  # processes that decode; see the benchmark's case input
  config.data.side = 224  # pixels of the squares that photographs are cut to (He et al. 2016)
  config.data.val_fraction = 0.0  # all images are trained on, the last epoch is tested (AutoAugment)
  config.preprocess.crop = 'resized'  # random box, resized (AutoAugment)
  config.preprocess.padding = 0  # pixels; for crop = 'padded' alone
  config.preprocess.jitter = 0.4  # of brightness, contrast and colour (Fast AutoAugment code)
  config.genotype = 'none'  # a fixed network has none
  config.network.name = 'resnet_50'  # ResNet-50 (DDAS 4.3)
  config.train.epochs = 270  # (DDAS 4.3)
  config.train.batch = 4096  # images a step (AutoAugment)
  config.train.lr = 1.6  # at the highest (AutoAugment)
  config.train.warmup_epochs = 5  # the learning rate rises from 0 (Fast AutoAugment code)
  config.train.nesterov = True  # (Fast AutoAugment code)
  config.train.weight_decay = 1e-4  # L2 (AutoAugment)
  config.train.clip = 0.0  # no clipping (AutoAugment)
  config.train.auxiliary = 0.0  # a fixed network has no auxiliary head
  config.train.drop_path = 0.0  # a fixed network has no drop-path
  config.log.every_steps = 100  # steps between two lines of metrics.jsonl (choice)
  if variant == 'resnet_200':
    config.network.name = 'resnet_200'  # (DDAS 4.3)
  if variant == 'smoke':
    _smoke(config)
  return config


def _smoke(config):
  """Every phase and file of the training, on 16 images of 4 classes and a network that compiles in seconds."""
  config.data.n_train = 16  # images
  config.data.n_test = 4  # images
  config.data.classes = 4  # 4 images each
  config.network.depth = 14  # one block a stage
  config.network.width = 2
  config.train.epochs = 2
  config.train.warmup_epochs = 1
  config.train.batch = 4  # images: 4 steps an epoch
  config.train.lr = 0.01  # 1.6 is for batches of 4,096
  config.log.every_steps = 1
