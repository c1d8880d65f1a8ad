"""The configs: every key with its default, its range and what it means; checks that end in one line.

A config file builds on `search_config()`, `train_config()` or `gradcheck_config()` and changes what its experiment
changes. The defaults are the paper's numbers for CIFAR-10.
"""

import difflib
import functools
import json
from typing import Any, Callable, NamedTuple

import ml_collections

from daas_jax.runtime import disk
from daas_jax.augment.ops import DAAS_OPS, OPS
from daas_jax.detection import networks as detectors
from daas_jax.errors import BadInput
from daas_jax.gradcheck import estimators
from daas_jax.nets.fixed import table as fixed
from daas_jax.nets.shuffle import supernet as shuffle
from daas_jax.nets.cells.primitives import DAAS_PRIMITIVES, DARTS_PRIMITIVES, PRIMITIVES
from daas_jax.policies import relaxed, total, transformations

_LARGEST = 3e38  # of a float32
_SEEDS = 2**32 - 1  # of jax.random.key
# Far above any experiment: a typing error must not fill the memory or run for ever before it is noticed.
_MOST = 10_000


class Key(NamedTuple):
  """One key: default value, check (value -> None or what it must be), and what it means (with unit and source)."""
  default: Any
  check: Callable
  doc: str


def at_least(low):
  return lambda v: None if v >= low else f'must be at least {low}'


def between(low, high, open_low=False, open_high=False):
  def check(v):
    good = (v > low if open_low else v >= low) and (v < high if open_high else v <= high)
    return None if good else f'must be in {"(" if open_low else "["}{low}, {high}{")" if open_high else "]"}'
  return check


def above(low):
  return lambda v: None if v > low else f'must be above {low}'


def one_of(*names):
  return lambda v: None if v in names else f'must be one of {", ".join(names)}{_nearest(v, names)}'


def all_of(names):
  def check(v):
    wrong = [x for x in v if x not in names]
    if wrong:
      return f'names no known operation: {wrong[0]!r}{_nearest(wrong[0], names)}'
    if len(v) != len(set(v)):
      return 'names an operation twice'
    return None if v else 'must name at least one operation'
  return check


def some_primitives(v):
  return all_of(PRIMITIVES)(v) or (None if set(v) - {'none'} else "must name an operation other than 'none'")


def some_candidates(v):
  try:
    total.parse(v)
  except BadInput as error:
    return f'is wrong: {error}; it must name operations'
  return None


def some_hyper(v):
  wrong = [x for x in v if x not in ('lr', 'weight_decay')]
  if wrong or len(v) != len(set(v)):
    return "must name 'lr' or 'weight_decay', each once at most"
  return None


def odd(v):
  return None if v % 2 and 1 <= v <= _MOST else f'must be odd and in [1, {_MOST}]'


def none_or_some(v):
  return None if v == 0 or 2 <= v <= 10**6 else 'must be 0 or in [2, 1000000]'


def anything(v):
  del v


def _nearest(name, names):
  close = difflib.get_close_matches(str(name), list(names), 1)
  return f' (nearest: {close[0]})' if close else ''


_DATA = {
    'data.name': Key('tfds:cifar10', anything, 'embedded, tfds:NAME (prepared), or arrays:FILE.npz; for a detection '
                                               'network scenes:NAME, with NAME one of those, or tfds:coco/2017'),
    'data.dir': Key('', anything, "TFDS's data_dir; '' is its default"),
    'data.n_train': Key(0, at_least(0), 'training images used, class-balanced; 0 is all'),
    'data.n_test': Key(0, at_least(0), 'test images used, class-balanced; 0 is all'),
    'data.classes': Key(0, at_least(0), 'classes used, a seeded choice (DAAS 5: 120 of ImageNet); 0 is all'),
    'data.class_list': Key('', anything, "which classes: imagenet120, or a FILE with a name a line; '': by the seed"),
    'data.stream': Key(False, anything, 'a tfds set is read and decoded while the run goes on; False: whole, at first'),
    'data.workers': Key(0, between(0, 256), 'processes that decode a streamed set; 0: the main process'),
    'data.side': Key(0, between(0, _MOST), 'images are squares of this many pixels: of a streamed set, 0 is their own '
                                           'size; of a detection network'),
}
_FIXED = {
    'network.depth': Key(0, between(0, _MOST), 'layers of a fixed network or detector; 0: as published'),
    'network.width': Key(0, between(0, _MOST), 'of a fixed network: widening factor (wrn), channels of the first stage '
                                               '(shake_shake, resnet, detectors), alpha (pyramidnet); 0: published'),
    'network.kernels': Key('auto', one_of('auto', 'fast', 'xla'), "array kernels; auto: the backend's"),
}
_PREPROCESS = {
    'preprocess.crop': Key('padded', one_of('padded', 'resized'), 'random crop of the padded image, or resized crop'),
    'preprocess.padding': Key(4, at_least(0), 'pixels around the image for the padded crop (DARTS code)'),
    'preprocess.flip': Key(True, anything, 'horizontal flip with probability 1/2 (DARTS code)'),
    'preprocess.cutout': Key(0, at_least(0), 'side of the Cutout square in pixels; 0 is none'),
}
_LOG = {
    'log.every_steps': Key(50, at_least(1), 'steps between two lines of metrics.jsonl'),
    'checkpoint.every_steps': Key(500, at_least(1), 'steps between two checkpoints; one at the end of each epoch too'),
    'checkpoint.keep': Key(3, at_least(2), 'checkpoints kept; 2 at least, so a damaged one has one before it'),
    'checkpoint.on_full_disk': Key('stop', one_of(*disk.ACTIONS), 'where a checkpoint or a line cannot be written: '
                                   'stop with one line, or go_on with a warning and try again at the next'),
}

# What every search has.
_SEARCH = {
    'kind': Key('search', one_of('search'), 'which command this config is for'),
    'seed': Key(0, between(0, _SEEDS), 'of everything random'),
    'method': Key('daas', lambda v: one_of(*METHODS)(v), 'search algorithm'),  # METHODS may grow: `register`
    **_DATA,
    'data.val_fraction': Key(0.5, between(0, 1, True, True), 'share of the training set that is D_val (DAAS 5)'),
    'data.validation_turns': Key(0, between(0, 3), 'quarter turns of the validation images: the check of DDAS 4.1'),
    **_PREPROCESS,
    'network.name': Key('supernet', one_of('supernet', 'small_cnn', *fixed.FIXED, *detectors.DETECTORS),
                        'what theta belongs to'),
    **_FIXED,
    'network.layers': Key(8, between(3, _MOST), 'cells (DAAS 5)'),
    'network.channels': Key(16, between(2, _MOST), 'channels of the first cell (DAAS 5); even'),
    'network.stem': Key('cifar', one_of('cifar', 'imagenet'), 'stem: full size, or three halvings'),
    'network.primitives': Key(DAAS_PRIMITIVES, some_primitives, 'candidate operations of a cell (DAAS 3.2)'),
    'network.dtype': Key('float32', one_of('float32', 'bfloat16'), "what the supernet computes in; parameters and sums "
                                                                   'over pixels stay float32'),
    'network.genotype': Key('', anything, "held fixed: searched (by --search), random:SEED, or a FILE; '' is none"),
    'search.epochs': Key(50, between(1, _MOST), 'epochs of D_train, warm-up included (DAAS 5)'),
    'search.batch': Key(64, at_least(2), 'images of D_train and of D_val a step (choice)'),
    'adam.b1': Key(0.5, between(0, 1, False, True), 'of both Adams (DAAS 5)'),
    'adam.b2': Key(0.999, between(0, 1, False, True), 'of both Adams (DAAS 5)'),
    'parallel.devices': Key(1, at_least(0), "devices of each process that pmap uses; 0 is all of them"),
    'parallel.over': Key('samples', one_of('samples', 'data'), 'what they share: the samples of a step, or its batch'),
    **_LOG,
}
# What one method has and not all; the groups with a name of their own may serve another method too.
POLICY = {
    'policy.K': Key(2, between(1, 3), 'operations in sequence (DAAS 3.2)'),
    'gamma.lr': Key(5e-3, above(0), 'Adam, of pi, p and delta (DADA code)'),
    'gamma.weight_decay': Key(0.0, at_least(0), 'L2 (DADA code)'),
}
SGD = {
    'theta.lr': Key(0.025, above(0), 'learning rate at the start (DARTS code)'),
    'theta.lr_min': Key(0.001, at_least(0), 'learning rate at the end, cosine between (DARTS code)'),
    'theta.momentum': Key(0.9, between(0, 1, False, True), 'of SGD (DAAS 5)'),
    'theta.weight_decay': Key(3e-4, at_least(0), 'L2 (DARTS code)'),
    'theta.clip': Key(5.0, above(0), 'largest gradient norm (DARTS code)'),
}
ARCH = {
    'arch.lr': Key(3e-4, above(0), 'Adam, of alpha and beta (DARTS)'),
    'arch.weight_decay': Key(1e-3, at_least(0), 'L2 (DARTS)'),
    'arch.eigenvalue_every': Key(0, at_least(0), 'epochs between two measurements of the dominant eigenvalue of '
                                                 'grad2_alpha L_val; 0: none (Amended-DARTS, RobustDARTS)'),
    'arch.stop_skip': Key(1.0, between(0, 1), 'the search stops where a larger share of the derived edges is '
                                              'skip_connect; 1: never (DARTS+)'),
    'arch.stop_eigenvalue': Key(0.0, between(0, 1, False, True), 'the search stops where the eigenvalue, a mean of '
                                'five measurements, is more than 1 / this of that of five before; 0: never; 0.75 in '
                                'RobustDARTS'),
}
_DAAS = {
    **SGD,
    **POLICY,
    'policy.ops': Key(DAAS_OPS, all_of(OPS), 'candidate image operations (DAAS 3.2)'),
    'policy.levels': Key(10, between(1, 100), 'magnitude levels (DAAS 3.2)'),
    'policy.share': Key('policy', one_of('policy', 'slot', 'op'), 'which operations share p and delta (DAAS 3.2)'),
    'policy.p0': Key(0.5, between(0, 1, True, True), 'application probability at the start (choice)'),
    'search.warmup_epochs': Key(20, at_least(0), 'epochs without policy (DAAS 5)'),
    'search.n_arch': Key(5, between(1, _MOST), 'architectures in Eq. 9 and 13 (DAAS 5)'),
    'search.n_aug': Key(2, between(1, _MOST), 'policies an architecture in Eq. 10 and 13 (DAAS 5)'),
    'search.n_w': Key(10, between(1, _MOST), 'architectures in Eq. 14 (DAAS 4.2)'),
    'search.accumulate': Key('mean', one_of('mean', 'sum'), 'of the n_w gradients; theta.lr is for the mean (choice)'),
    'search.xi': Key(0.0, at_least(0), 'step of the inner update (Eq. 10); 0 is the current learning rate of theta'),
    'search.baseline': Key('leave_one_out', one_of('none', 'leave_one_out', 'step_mean', 'moving_average'),
                           'baseline of the score function; leave_one_out is unbiased for n_arch >= 2 (choice)'),
    'search.score': Key('event', one_of('event', 'outcome'),
                        "what is scored: Eq. 4's event, or its outcome, whatever was not applied summed out (README)"),
    'search.control': Key('none', one_of('none', 'additive'),
                          'control variate: none (the paper), or additive, learned from past alignments (README)'),
    'search.tau_start': Key(10.0, above(0), 'temperature at the first step (GDAS)'),
    'search.tau_end': Key(0.1, above(0), 'temperature at the last step, linear between (GDAS)'),
    **ARCH,
}
_DDAS = {
    **SGD,
    **POLICY,
    'data.objects': Key(0, between(0, _MOST), 'of a detection network: most objects of an image that are kept'),
    'policy.candidates': Key((), some_candidates, "operations with their strengths, ('Rotate:0.6', 'Equalize', "
                                                  "...); () is the published list of 52"),
    'policy.p_tp': Key(0.35, between(0, 1, True, True), 'total probability at the start (DDAS 4.2)'),
    'search.n_policies': Key(3, between(1, _MOST), 'policies a step (DDAS 4.2)'),
    'search.val_batches': Key(1, between(1, _MOST), 'batches of D_val a step, of search.batch images each'),
    'search.normalise': Key(True, anything, "divide by Eq. 15's Z_g"),
    'gamma.lr_total': Key(1e-3, above(0), 'Adam, of alpha_tp (DDAS code)'),
}
_RELAXED = {
    **POLICY,
    'policy.ops': Key(relaxed.OPERATIONS, all_of(OPS), 'candidate image operations, 16 without Cutout'),
    'policy.L': Key(10, between(1, 100), 'sub-policies'),
    'policy.selection_temperature': Key(0.05, above(0), 'eta of the softmax over operations (code)'),
    'policy.bernoulli_temperature': Key(0.1, above(0), 'of the relaxed Bernoulli variables (code)'),
}
_JOINT_FAA = {
    **SGD,
    'network.name': Key('supernet', one_of('supernet', 'small_cnn'), 'dense, all operations computed; small_cnn: the '
                                                                     'policy alone is searched'),
    'network.primitives': Key(DARTS_PRIMITIVES, some_primitives, 'candidate operations of a cell, none among them'),
    **_RELAXED,
    **ARCH,
}
_FASTER_AA = {
    'network.name': Key('wrn_40_2', one_of('small_cnn', *fixed.FIXED), 'the critic, with one output more'),
    **_RELAXED,
    'search.penalty': Key(10.0, at_least(0), 'lambda of the gradient penalty (WGAN-GP)'),
    'search.classification': Key(0.1, at_least(0), 'epsilon, weight of the cross-entropy (Faster AutoAugment code)'),
    'theta.lr': Key(1e-3, above(0), 'Adam, of the critic (Faster AutoAugment code)'),
    'theta.weight_decay': Key(0.0, at_least(0), 'L2 (Faster AutoAugment code)'),
    'gamma.lr': Key(1e-3, above(0), 'Adam, of z, p and mu (Faster AutoAugment code)'),
    'adam.b1': Key(0.0, between(0, 1, False, True), 'of both Adams (Faster AutoAugment code)'),
}
GIVEN_POLICY = {
    'policy.name': Key('standard', anything, 'of the training images, not searched: none, standard, trivial_augment, '
                                             'rand_augment, searched (by --search), or a policy FILE'),
}
_AMENDED_DARTS = {
    **SGD,
    'network.name': Key('supernet', one_of('supernet'), 'dense, all operations computed'),
    'network.primitives': Key(DARTS_PRIMITIVES, some_primitives, 'candidate operations of an edge'),
    'network.edges': Key('all', one_of('all', 'fixed'), 'all 14, of which 8 are derived (DARTS), or 8 fixed ones: from '
                                                        'the node before and the first input (Amended-DARTS 4.1.2)'),
    'network.cells': Key('shared', one_of('shared', 'own'), 'alpha: one for normal and one for reduction cells, or one '
                                                            'a cell (Amended-DARTS, S2)'),
    **GIVEN_POLICY,
    'search.second_term': Key('amended', one_of('amended', 'darts'), "of alpha's gradient: Eq. 7, or DARTS's"),
    'search.eta': Key(0.1, at_least(0), 'amending coefficient; 0 is first-order DARTS (Amended-DARTS 3.4)'),
    'search.xi': Key(0.0, at_least(0), "inner step of DARTS's term; 0 is the current learning rate of theta"),
    'search.auxiliary': Key(0.0, at_least(0), 'weight of the auxiliary head in L_train; 0 is none'),
    'search.drop_path': Key(0.0, between(0, 1, False, True), 'drop-path probability in L_train at the end, from 0'),
    **ARCH,
}
_DIFFAUTOML = {
    **SGD,
    'data.val_fraction': Key(0.1, between(0, 1, True, True), 'share of the training set that is D_val: what theta is '
                                                             'not trained on, and theta is kept (choice)'),
    'network.name': Key('shuffle', one_of('shuffle', *fixed.FIXED), 'the choice-block supernet, or a fixed network '
                                                                    '(Table 2)'),
    'network.size': Key('cifar', one_of(*shuffle.SIZES), 'stages and widths of the supernet'),
    'policy.K': POLICY['policy.K'],
    'policy.ops': Key(transformations.OPERATIONS, all_of(OPS), 'candidate image operations: 14, or the 4 of Table 3'),
    'search.tuning_epochs': Key(10, at_least(0), 'epochs of the tuning phase, alpha fixed; among epochs'),
    'search.moment_batches': Key(50, between(1, _MOST), "training batches whose moments the ready network's "
                                                        'normalisations get, a mean'),
    'theta.lr': Key(0.5, above(0), 'of SGD at the start, the start of eta (DiffAutoML, Appendix A)'),
    'theta.lr_min': Key(0.0, at_least(0), 'at the end, cosine between (Appendix A)'),
    'theta.weight_decay': Key(4e-5, above(0), 'L2, the start of eta (Appendix A, of its retrainings)'),
    'arch.optimizer': Key('sgd', one_of('sgd', 'adam'), 'of alpha'),
    'arch.lr': Key(1e-6, above(0), 'of alpha (Appendix A; DSNAS code: Adam, 1e-3)'),
    'arch.momentum': Key(0.9, between(0, 1, False, True), "of alpha's SGD (Appendix A)"),
    'arch.weight_decay': Key(5e-4, at_least(0), 'L2 of alpha (Appendix A)'),
    'arch.freeze_margin': Key(0.3, between(0, 1), 'difference of the two likeliest choices from which on a block is '
                                                  'decided (DSNAS code); 0: never'),
    'arch.constraint': Key('none', one_of('none', 'rejection', 'penalty'), 'how a path is held within '
                                                                           'arch.max_multiply_adds (Eq. 1)'),
    'arch.max_multiply_adds': Key(0, at_least(0), 'C of Eq. 1, multiply-adds of one image'),
    'arch.penalty': Key(0.1, at_least(0), 'weight of max(0, E[c] / C - 1) in the loss of alpha (choice)'),
    'gamma.gradient': Key('eq2', one_of('eq2', 'score'), 'of tau: Eq. 2, or the unbiased one of the expected loss, '
                                                         'which has no drift towards one transformation (README)'),
    'gamma.optimizer': Key('sgd', one_of('sgd', 'adam'), 'of tau'),
    'gamma.lr': Key(1e-5, above(0), 'of tau (Appendix A)'),
    'gamma.momentum': Key(0.9, between(0, 1, False, True), "of tau's SGD (Appendix A)"),
    'gamma.weight_decay': Key(5e-4, at_least(0), 'L2 of tau (Appendix A)'),
    'hyper.searched': Key(('weight_decay',), some_hyper, "which of 'lr' and 'weight_decay' are searched (4.1)"),
    'hyper.lr': Key(1e-3, above(0), 'Adam, of the logarithms of the hyper-parameters (Appendix A)'),
    'adam.b1': Key(0.9, between(0, 1, False, True), 'of all Adams (choice)'),
}
METHODS = {'daas': _DAAS, 'ddas': _DDAS, 'joint_faa': _JOINT_FAA, 'faster_aa': _FASTER_AA,
           'amended_darts': _AMENDED_DARTS, 'diffautoml': _DIFFAUTOML}
SEARCH = functools.reduce(lambda a, b: b | a, METHODS.values(), _SEARCH)
"""Every key of a search, of whichever method."""
_OWN = tuple(METHODS)

# A point of a search at which its gradients are looked at: every key of the search, and what is done there.
GRADCHECK = _SEARCH | _DAAS | {
    'kind': Key('gradcheck', one_of('gradcheck'), 'which command this config is for'),
    'method': Key('daas', one_of('daas'), 'search algorithm'),
    'lab.step': Key(0, at_least(0), 'steps of the search before the gradients are compared'),
    'lab.estimators': Key(tuple(estimators.TABLE), all_of(estimators.TABLE), 'which rows of the table'),
    'lab.draws': Key(100, between(2, _MOST), 'draws of every estimator'),
    'lab.history': Key(50, between(0, _MOST), 'earlier steps, on other batches, that learned baselines know of'),
    'lab.tau': Key(1.0, above(0), 'temperature of straight-through samples and of the relaxation in RELAX'),
    'lab.arch_primitives': Key(('max_pool_3x3', 'skip_connect', 'sep_conv_3x3', 'dil_conv_5x5'), some_primitives,
                               'operations of the tiny cell of the architecture gradient'),
    'lab.arch_steps': Key(100, at_least(0), 'training steps of the tiny cell before its gradients are compared'),
    'lab.arch_draws': Key(4000, none_or_some, 'draws of the architecture gradient; 0: leave it out'),
}

TRAIN = {
    'kind': Key('train', one_of('train'), 'which command this config is for'),
    'seed': Key(0, between(0, _SEEDS), 'of everything random'),
    **_DATA,
    'data.val_fraction': Key(0.1, between(0, 1, True, True), 'share of the training set that chooses the epoch'),
    **_PREPROCESS,
    'policy': Key('searched', anything, 'searched, standard, none, trivial_augment, rand_augment, or a policy FILE'),
    'genotype': Key('searched', anything, 'searched, searched:EPOCH (as of that epoch of the search), random:SEED, or '
                                        'a genotype FILE; none for a fixed network'),
    'network.name': Key('derived', one_of('derived', 'shuffle', *fixed.FIXED),
                        "the genotype's network, the path of a blocks.json, or a fixed one"),
    **_FIXED,
    'network.layers': Key(20, between(3, _MOST), 'cells (DAAS 5)'),
    'network.channels': Key(36, between(2, _MOST), 'channels of the first cell (DARTS); even'),
    'network.stem': Key('cifar', one_of('cifar', 'imagenet'), 'stem: full size, or three halvings'),
    'train.epochs': Key(600, between(1, _MOST), 'epochs (DAAS 5)'),
    'train.batch': Key(96, at_least(2), 'images a step (DAAS 5)'),
    'train.lr': Key(0.025, above(0), 'learning rate at the start (DARTS)'),
    'train.schedule': Key('cosine', one_of('cosine', 'linear'), 'decay of the learning rate to 0'),
    'train.warmup_epochs': Key(0, at_least(0), 'epochs in which the learning rate rises linearly from 0; among epochs'),
    'train.momentum': Key(0.9, between(0, 1, False, True), 'of SGD (DARTS)'),
    'train.nesterov': Key(False, anything, "Nesterov's momentum"),
    'train.weight_decay': Key(3e-4, at_least(0), 'L2 (DARTS)'),
    'train.clip': Key(5.0, above(0), 'largest gradient norm (DARTS)'),
    'train.auxiliary': Key(0.4, at_least(0), 'weight of the auxiliary head; 0 is none (DARTS)'),
    'train.drop_path': Key(0.2, between(0, 1, False, True), 'drop-path probability at the end, from 0 (DARTS)'),
    'train.policy_smoothing': Key(1, odd, "epochs over which a policy of every epoch has its p_tp averaged; 1 is none"),
    'train.label_smoothing': Key(0.0, between(0, 1, False, True), 'of the training targets'),
    'train.ema': Key(0.0, between(0, 1, False, True), 'decay of averaged weights, which are then what is evaluated and '
                                                      'chosen; 0: no average'),
    **_LOG,
}
SCHEMAS = {'search': SEARCH, 'train': TRAIN, 'gradcheck': GRADCHECK}
"""Every key of a command's configs, of whichever method."""


def register(method, keys):
  """Makes the keys of a further method known (`daas_jax.methods.build.register` calls it).

  Args:
    method: its name.
    keys: {'room.key': `Key`} of what it has besides the keys of every search.

  Raises:
    BadInput: one of the package's own methods has that name.
  """
  if method in _OWN:
    raise BadInput(f'{method!r} is a method of the package: give the new one another name')
  METHODS[method] = keys
  SEARCH.update({name: key for name, key in keys.items() if name not in SEARCH})


def schema_of(kind, method):
  """The keys of a command's configs for one method: those of all methods and its own.

  Raises:
    BadInput: no method of that name is known.
  """
  if kind == 'search' and method not in METHODS:
    raise BadInput(f'no method {method!r} is known here, but {", ".join(METHODS)}: one that a config file registers is '
                   'known where that file was run')
  return _SEARCH | METHODS[method] if kind == 'search' else SCHEMAS[kind]


def default(schema):
  """The ConfigDict of a schema's defaults."""
  config = ml_collections.ConfigDict()
  for name, key in schema.items():
    node = config
    *rooms, leaf = name.split('.')
    for room in rooms:
      if room not in node:
        node[room] = ml_collections.ConfigDict()
      node = node[room]
    node[leaf] = key.default
  return config


def search_config(method='daas'):
  """The default search config of a method; of DAAS, CIFAR-10 with the paper's numbers."""
  config = default(schema_of('search', method))
  config.method = method
  return config


def gradcheck_config():
  """The default config of the gradient laboratory: a search config and a point of it to look at."""
  return default(schema_of('gradcheck', 'daas'))


def train_config():
  """The default training config: the derived network on CIFAR-10 with the paper's numbers."""
  return default(TRAIN)


def flatten(config):
  """{'room.key': value} of a ConfigDict or of nested dicts."""
  out = {}
  for name, value in config.items():
    if isinstance(value, (dict, ml_collections.ConfigDict)):
      out.update({f'{name}.{k}': v for k, v in flatten(value).items()})
    else:
      out[str(name)] = value
  return out


def _same_type(value, default):
  if isinstance(default, bool) or isinstance(value, bool):
    return isinstance(value, bool) and isinstance(default, bool)
  if isinstance(default, float):
    return isinstance(value, (int, float)) and abs(value) <= _LARGEST  # NaN is not
  if isinstance(default, tuple):
    return isinstance(value, (tuple, list)) and all(isinstance(x, str) for x in value)
  return isinstance(value, type(default))


def unknown_key(name, schema):
  """The line about a key that does not exist, with the nearest that does."""
  leaf = {k.split('.')[-1]: k for k in schema}
  close = difflib.get_close_matches(name, schema, 1) or [
      leaf[k] for k in difflib.get_close_matches(name.split('.')[-1], leaf, 1)]
  return f'unknown config key {name!r}' + (f'; the nearest is {close[0]!r}' if close else '')


def check(config, kind):
  """Checks every key of a config against its schema and the keys against each other.

  Args:
    config: a ConfigDict.
    kind: 'search' or 'train', the command it is for.

  Raises:
    BadInput: for an unknown or missing key, a wrong type, a value out of range.
  """
  flat = flatten(config)
  if flat.get('kind') in [k for k in SCHEMAS if k != kind]:
    raise BadInput(f"this is a config for `python -m daas_jax.{flat['kind']}`, not for `daas_jax.{kind}`")
  if kind == 'search' and 'method' in flat:
    _check_value('method', flat['method'], SEARCH)
  schema = schema_of(kind, flat.get('method', 'daas'))
  for name, value in flat.items():
    if name not in schema:
      raise BadInput(_foreign_key(name, flat['method']) if name in SCHEMAS[kind] else unknown_key(name, schema))
    _check_value(name, value, schema)
  missing = [name for name in schema if name not in flat]
  if missing:
    start = f"search_config({flat['method']!r})" if flat.get('method', 'daas') != 'daas' else f'{kind}_config()'
    raise BadInput(f'config key {missing[0]!r} is missing: start the config from daas_jax.config.{start}')
  if flat['network.channels'] % 2:
    raise BadInput(f"config key 'network.channels' must be even, not {flat['network.channels']}")
  if flat['network.name'] in fixed.FIXED:
    _check_fixed(flat)
  _check_detection(flat)
  if 'train.epochs' in flat and flat['train.warmup_epochs'] >= flat['train.epochs']:
    raise BadInput(f"config key 'train.warmup_epochs' ({flat['train.warmup_epochs']}) must be below "
                   f"train.epochs ({flat['train.epochs']})")
  if 'search.warmup_epochs' in flat and flat['search.warmup_epochs'] > flat['search.epochs']:
    raise BadInput(f"config key 'search.warmup_epochs' ({flat['search.warmup_epochs']}) must be at most "
                   f"search.epochs ({flat['search.epochs']})")
  if 'theta.lr_min' in flat and flat['theta.lr_min'] > flat['theta.lr']:
    raise BadInput("config key 'theta.lr_min' must be at most theta.lr")
  if flat.get('network.genotype') and (flat['network.name'] != 'supernet' or 'lab.step' in flat):
    raise BadInput("config key 'network.genotype' holds the architecture of a search's supernet fixed: it needs "
                   "network.name='supernet', and is not for the laboratory")
  if flat.get('network.genotype') and 'search.eta' in flat:
    raise BadInput("config key 'network.genotype' leaves method 'amended_darts' nothing to do, which searches an "
                   "architecture and no policy: set it to ''")
  if 'search.control' in flat:
    _check_estimator(flat)
  if 'search.penalty' in flat and flat['search.batch'] % 2:
    raise BadInput(f"config key 'search.batch' must be even, not {flat['search.batch']}: a critic compares its halves")
  if 'arch.stop_eigenvalue' in flat and flat['arch.stop_eigenvalue'] and not flat['arch.eigenvalue_every']:
    raise BadInput("config key 'arch.stop_eigenvalue' needs measurements: set arch.eigenvalue_every=1, say")
  if 'network.dtype' in flat:
    _check_dtype(flat)
  if 'search.tuning_epochs' in flat:
    _check_diffautoml(flat)
  if flat.get('network.cells') == 'own' and flat['network.edges'] == 'all':
    raise BadInput("config key 'network.cells': cells of their own have fixed edges (Amended-DARTS, S2): set "
                   "network.edges='fixed', or network.cells='shared'")
  if flat['network.name'] == 'shuffle' and kind == 'train':
    _check_fixed(flat, genotype='searched')


def _check_diffautoml(flat):
  if flat['search.tuning_epochs'] > flat['search.epochs'] - (flat['network.name'] == 'shuffle'):
    raise BadInput(f"config key 'search.tuning_epochs' ({flat['search.tuning_epochs']}) must be below "
                   f"search.epochs ({flat['search.epochs']}): the path is searched in the epochs before it")
  if (flat['arch.constraint'] == 'none') != (flat['arch.max_multiply_adds'] == 0):
    raise BadInput("config keys 'arch.constraint' and 'arch.max_multiply_adds' belong together: set both, or "
                   "'none' and 0")
  if flat['arch.constraint'] != 'none' and flat['network.name'] != 'shuffle':
    raise BadInput("config key 'arch.constraint' is of a path through the supernet: it needs network.name='shuffle'")


def _check_fixed(flat, genotype='none'):
  """What a fixed network (or a path, whose blocks.json takes the genotype's place) has not must not be asked for."""
  name = flat['network.name']
  if name in fixed.FIXED:
    fixed.make(name, 2, flat['network.depth'], flat['network.width'])
  nothing = {'train.auxiliary': 0.0, 'train.drop_path': 0.0}
  if genotype == 'none':
    nothing = {'genotype': 'none'} | nothing
  asked = [key for key, value in nothing.items() if flat.get(key, value) != value]
  if asked:
    what = 'a fixed network' if name in fixed.FIXED else 'a path of its own'
    raise BadInput(f'{name} is {what} and takes no {asked[0]}={flat[asked[0]]}: set '
                   + ' '.join(f'--config.{key}={nothing[key]}' for key in asked)
                   + (' and give no --genotype' if 'genotype' in asked else ''))


def _check_detection(flat):
  """A detection network goes with one method and with its own keys, and these with nothing else."""
  name, least = flat['network.name'], {'data.side': 32, 'data.objects': 1}
  if name not in detectors.DETECTORS:
    # The squares of a streamed set have a size as well.
    foreign = [key for key in least if flat.get(key) and not (key == 'data.side' and flat['data.stream'])]
    if foreign:
      raise BadInput(f"config key {foreign[0]!r} is for the networks {' and '.join(detectors.DETECTORS)}"
                     + (' and for data.stream' if foreign[0] == 'data.side' else '')
                     + f': set it to 0, not {flat[foreign[0]]}')
    return
  if flat['method'] != 'ddas':
    raise BadInput(f"{name} finds objects, which method {flat['method']!r} does not search policies for: "
                   "start the config from daas_jax.config.search_config('ddas')")
  detectors.make(name, 2, flat['network.depth'], flat['network.width'])
  for key, low in least.items():
    if flat[key] < low:
      raise BadInput(f'config key {key!r} must be at least {low} for {name}, not {flat[key]}')
  nothing = {'preprocess.crop': 'padded', 'preprocess.padding': 0, 'preprocess.cutout': 0, 'data.classes': 0,
             'data.class_list': '', 'data.stream': False, 'data.validation_turns': 0}
  asked = [key for key, value in nothing.items() if flat[key] != value]
  if asked:
    raise BadInput(f'{name} finds objects, and images with boxes take no {asked[0]}={flat[asked[0]]}: set '
                   + ' '.join(f'--config.{key}={nothing[key]}' for key in asked))


def _check_value(name, value, schema):
  if not _same_type(value, schema[name].default):
    raise BadInput(wrong_type(name, value, schema))
  problem = schema[name].check(value)
  if problem:
    raise BadInput(f'config key {name!r} {problem}, not {value!r}')


def refuse_foreign(name, config):
  """Refuses the name of a key that a search config's method has not, but another one has.

  Raises:
    BadInput: it is one.
  """
  method = config.get('method')
  if isinstance(method, str) and config.get('kind') == 'search' and method in METHODS:
    if name in SEARCH and name not in schema_of('search', method):
      raise BadInput(_foreign_key(name, method))


def _foreign_key(name, method):
  others = ', '.join(other for other, keys in METHODS.items() if name in keys)
  return (f'config key {name!r} is not one of method {method!r}, but of {others}: start the config from '
          f'daas_jax.config.search_config({method!r})')


def _check_dtype(flat):
  if flat['network.dtype'] != 'float32' and flat['network.name'] != 'supernet':
    raise BadInput(f"config key 'network.dtype' = {flat['network.dtype']!r} is for the supernet alone; "
                   f"{flat['network.name']} computes in float32")


def _check_estimator(flat):
  """Settings of Eq. 13 that would leave nothing of it, or learn nothing."""
  if flat['search.control'] == 'additive' and flat['search.n_aug'] < 2:
    raise BadInput("config key 'search.control' = 'additive' learns from differences between policies: it needs "
                   "search.n_aug of at least 2")
  if flat['search.baseline'] == 'step_mean' and flat['search.n_arch'] * flat['search.n_aug'] < 2:
    raise BadInput("config key 'search.baseline' = 'step_mean' leaves nothing of a single policy: it needs "
                   "search.n_arch * search.n_aug of at least 2")
  if 'lab.step' in flat and flat['search.n_aug'] < 2:
    raise BadInput("config key 'search.n_aug' must be at least 2 here: estimators compare the policies of a draw")
  if flat.get('lab.arch_draws') and len(flat['lab.arch_primitives']) < 2:
    raise BadInput("config key 'lab.arch_primitives' must name at least two operations, or lab.arch_draws be 0")


def wrong_type(name, value, schema):
  """The line about a value that is not of its key's type."""
  return f'config key {name!r} must be {_type_name(schema[name].default)}, not {value!r}'


def _type_name(value):
  names = {bool: 'True or False', int: 'a whole number', float: 'a finite number', str: 'a string',
           tuple: 'a tuple of names'}
  return names[type(value)]


def to_json(config):
  """The config as JSON text with stable bytes, what config.json in a workdir holds."""
  return json.dumps(config.to_dict(), indent=2, sort_keys=True, default=list) + '\n'
