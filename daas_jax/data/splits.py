"""Seeded choices of examples and classes: search halves, epoch orders, smaller sets.

Each is a function of its arguments alone, so a restarted or re-sharded run sees the same examples.
"""

import operator

import numpy as np

from daas_jax.data import dataset as dataset_lib, labels as labels_lib
from daas_jax.errors import BadInput

# One stream of random numbers a purpose: the same seed does not tie the halves to the epoch orders.
_HALVES, _EPOCH, _CLASSES, _TAKE = range(4)


def halves(labels, seed, fraction=0.5):
  """Splits examples in two, class by class: D_train and D_val of a search.

  Args:
    labels: integers [N], at least 0.
    seed: int, at least 0.
    fraction: the share of the first part, above 0 and below 1.

  Returns:
    (train_idx int64 [n], val_idx int64 [N - n]), sorted, disjoint, together all of 0..N-1. n is
    fraction * N rounded, and each class gives the first part fraction of its examples rounded up or
    down.

  Raises:
    BadInput: wrong labels, a fraction outside (0, 1), or one that leaves a part empty.
  """
  labels = np.asarray(labels)
  if labels.ndim != 1 or not labels.size or not np.issubdtype(labels.dtype,
                                                              np.integer) or labels.min() < 0:
    raise BadInput(
        f'halves: labels of type {labels.dtype} and shape {list(labels.shape)}; give at least one '
        'integer of 0 or more, [N]')
  if not isinstance(fraction, (int, float)) or not 0 < fraction < 1:
    raise BadInput(f'halves: fraction is {fraction!r}; give a number above 0 and below 1')
  total = int(np.floor(fraction * labels.size + 0.5))
  if total in (0, labels.size):
    raise BadInput(
        f'halves: {fraction} of {labels.size} examples leaves a part empty; give more examples or '
        'another fraction')
  rng = _generator(seed, _HALVES)
  members = [np.flatnonzero(labels == c) for c in np.unique(labels)]
  exact = np.array([fraction * len(m) for m in members])
  counts = np.floor(exact).astype(np.int64)
  # The classes with the largest remainders are rounded up until the total is met; ties fall by the
  # seed.
  order = np.lexsort((rng.permutation(len(members)), -(exact - counts).round(9)))
  counts[order[:total - counts.sum()]] += 1
  chosen = np.zeros(labels.size, bool)
  for indices, count in zip(members, counts):
    chosen[rng.permutation(indices)[:count]] = True
  return np.flatnonzero(chosen), np.flatnonzero(~chosen)


def of(dataset, seed, fraction=0.5):
  """D_train and D_val of a set: its own where it has them, else `halves` of its training images;
  all of these and none for a fraction of 1.

  Args:
    dataset: a `daas_jax.data.dataset.Dataset`, or what has train_labels, and maybe `halves` and
      `targets`. Targets are no classes: their halves are a seeded choice among all.
    seed, fraction: as for `halves`; not used where the set has its own.

  Returns:
    As `halves`.

  Raises:
    BadInput: as `halves`.
  """
  given = getattr(dataset, 'halves', None)
  if given is None and fraction == 1:
    return np.arange(len(dataset.train_labels)), np.arange(0)
  return given if given is not None else halves(_classes_of(dataset, 'train'), seed, fraction)


def _classes_of(dataset, split):
  """The labels of a split, 'train' or 'test'; of targets, which are no classes, one class."""
  labels = getattr(dataset, f'{split}_labels')
  return np.zeros(len(labels), np.int32) if getattr(dataset, 'targets', False) else labels


def epoch_order(n, seed, epoch):
  """The order of one epoch: int64 [n], a permutation of 0..n-1 that depends on (n, seed, epoch)
  alone.

  Raises:
    BadInput: n below 1, or a negative seed or epoch.
  """
  n, epoch = _count('epoch_order', 'n', n, 1), _count('epoch_order', 'epoch', epoch, 0)
  return _generator(seed, _EPOCH, epoch).permutation(n)


def subset_classes(dataset, n_classes, seed):
  """A surrogate set of fewer classes, like the 120 classes of ImageNet in the DAAS search.

  Args:
    dataset: a `daas_jax.data.dataset.Dataset` of C classes.
    n_classes: how many to keep, 1 to C.
    seed: int, at least 0; decides which.

  Returns:
    Dataset with the images of the chosen classes in their old order, classes renumbered from 0 in
    their old order, and the mean and std of its own training images. The name stays.

  Raises:
    BadInput: n_classes outside 1..C, or chosen classes without a training or test image.
  """
  return keep_classes(dataset,
                      chosen_classes(dataset.name, len(dataset.class_names), n_classes, seed))


def chosen_classes(name, total, n_classes, seed):
  """A seeded choice of n_classes of 0..total-1: sorted int64 [n_classes].

  Raises:
    BadInput: n_classes outside 1..total; `name`, of the set, is for the message.
  """
  n_classes = _count('subset_classes', 'n_classes', n_classes, 1)
  if n_classes > total:
    raise BadInput(
        f'subset_classes: {n_classes} classes asked of {name}, which has {total}; ask for '
        f'at most {total}')
  return np.sort(_generator(seed, _CLASSES).permutation(total)[:n_classes])


def keep_classes(dataset, chosen):
  """`subset_classes` with the classes given: sorted integers [n]."""
  if dataset.targets:
    raise BadInput(f'{dataset.name} has targets and no classes to choose from: set data.classes to '
                   '0')
  (train, train_labels), (test, test_labels) = (of_classes(labels, len(
      dataset.class_names), chosen) for labels in (dataset.train_labels, dataset.test_labels))
  n_val = int(np.isin(train, dataset.halves[1]).sum()) if dataset.halves else 0
  if dataset.halves and not 0 < n_val < len(train):
    raise BadInput(f'{dataset.name}: no {"training" if n_val else "validation"} image is of the '
                   'classes asked for; choose others')
  tested = (dataset.test_images[test], test_labels) if len(dataset.test_labels) else (None, None)
  return dataset_lib.assemble(dataset.name, dataset.train_images[train], train_labels, *tested,
                              class_names=[dataset.class_names[c] for c in chosen], n_val=n_val)


def of_classes(labels, total, chosen, name='of_classes: labels'):
  """The examples of the chosen classes.

  Args:
    labels: integers [N], 0 to total - 1.
    total: the number of classes.
    chosen: sorted integers [n], none twice; None: all of them.
    name: what holds the labels, for messages.

  Returns:
    (rows int64 [M], sorted; int32 [M], their classes numbered anew from 0).

  Raises:
    BadInput: a label or a chosen class that is not one of them, chosen classes that are not sorted.
  """
  labels_lib.check(name, labels, total)
  if chosen is not None:
    labels_lib.check('of_classes: chosen', chosen, total, 'place')
    if np.any(np.diff(chosen) <= 0):
      raise BadInput('of_classes: give each chosen class once, in rising order')
  relabel = np.full(total, -1, np.int32)
  chosen = np.arange(total) if chosen is None else chosen
  relabel[chosen] = np.arange(len(chosen))
  new = relabel[labels]
  return np.flatnonzero(new >= 0), new[new >= 0]


def take(dataset, n_train, n_test, seed):
  """A smaller set with as many images of every class, or one more of some.

  Args:
    dataset: a `daas_jax.data.dataset.Dataset`.
    n_train, n_test: how many images to keep of each split; 0 keeps it whole. Where the set has
      validation images of its own, n_train are of D_train, and D_val stays whole.
    seed: int, at least 0; decides which, the two splits independently.

  Returns:
    Dataset with the chosen images in their old order, the same classes, and the mean and std of its
    own training images. The name stays.

  Raises:
    BadInput: a class has fewer images than its share.
  """
  names = ('',) if dataset.targets else dataset.class_names
  labels, own = _classes_of(dataset, 'train'), dataset.halves
  rows = own[0] if own else np.arange(len(labels))
  train = rows[balanced(dataset.name, names, 'train', labels[rows], n_train, seed)]
  test = balanced(dataset.name, names, 'test', _classes_of(dataset, 'test'), n_test, seed)
  n, n_val = len(train), len(own[1]) if own else 0
  train = np.concatenate([train, own[1]]) if own else train
  images = dataset.train_images[train]
  mean, std = dataset_lib.mean_std(images[:n])
  return dataset._replace(
      train_images=images, train_labels=dataset.train_labels[train],
      test_images=dataset.test_images[test], test_labels=dataset.test_labels[test], mean=mean,
      std=std, halves=dataset_lib.in_order(n, n_val))


def balanced(name, class_names, split, labels, n, seed):
  """Sorted indices of n examples, n // C or one more of each of the C classes that occur; of all
  for n = 0.

  Args:
    name, class_names: of the set, for messages.
    split: 'train' or 'test', whose choices do not depend on each other.
    labels: integers [N].
    n: int, at least 0.
    seed: int, at least 0.

  Raises:
    BadInput: a class has fewer than its share, or a label is of no class.
  """
  n = _count('take', f'n_{split}', n, 0)
  labels_lib.check(f'take: {split}_labels of {name}', labels, len(class_names))
  if n == 0:
    return np.arange(len(labels))
  if not len(labels):
    raise BadInput(f'{name} has no {split} images: set data.n_{split} to 0')
  rng = _generator(seed, _TAKE, 0 if split == 'train' else 1)
  classes = np.unique(labels)
  share = np.full(len(classes), n // len(classes))
  share[rng.permutation(len(classes))[:n % len(classes)]] += 1
  taken = []
  for c, count in zip(classes, share):
    members = np.flatnonzero(labels == c)
    if count > len(members):
      raise BadInput(f'take: {n} {split} images of {name} need {count} of class '
                     f'{class_names[c]!r}, which has {len(members)}; ask for fewer')
    taken.append(rng.permutation(members)[:count])
  return np.sort(np.concatenate(taken))


def _generator(seed, *purpose):
  # The spawn key keeps seed and purpose apart: as one list, [seed] and [seed, 0] are the same
  # stream.
  seed = _count('splits', 'seed', seed, 0)
  return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=purpose)))


def _count(function, argument, value, least):
  try:
    value = operator.index(value)
  except TypeError:
    raise BadInput(f'{function}: {argument} is {value!r}; give a whole number') from None
  if value < least:
    raise BadInput(f'{function}: {argument} is {value}; give at least {least}')
  return value
