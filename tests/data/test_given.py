"""Arrays of a program as a data set: every library's, and one line for each that cannot be one."""

import json

import commands
import jax.numpy as jnp
import numpy as np
import pytest

import daas_jax as dx
from daas_jax import config as config_lib
from daas_jax.data import batches, dataset, given, select, splits
from daas_jax.errors import BadInput
from daas_jax.runtime import cli
from daas_jax.train import command as train

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 8, 8, 3), np.uint8)
LABELS = np.arange(12) % 3


class OnlyDlpack:
  """What a library without numpy's protocol gives."""

  def __init__(self, array):
    self._array = array

  def __dlpack__(self, **options):
    return self._array.__dlpack__(**options)

  def __dlpack_device__(self):
    return self._array.__dlpack_device__()


class Tensor:
  """What from_arrays uses of a PyTorch tensor, in a memory that numpy cannot read."""
  dtype = 'torch.uint8'

  def __init__(self, array, where='cuda'):
    self._array, self._where = array, where

  def detach(self):
    return self

  def cpu(self):
    return Tensor(self._array, 'cpu')

  def __array__(self, dtype=None, copy=None):
    if self._where != 'cpu':
      raise TypeError("can't convert cuda:0 device type tensor to numpy")
    return self._array


@pytest.mark.parametrize('images, labels', [
    (IMAGES, LABELS), (jnp.asarray(IMAGES), jnp.asarray(LABELS)), (IMAGES.tolist(), LABELS.tolist()),
    (OnlyDlpack(IMAGES), LABELS.astype(np.uint8)), (Tensor(IMAGES), Tensor(LABELS)),
    (IMAGES / 255, LABELS), ((IMAGES / 255).astype(np.float32), LABELS),
    (np.asfortranarray(IMAGES), LABELS[::-1][::-1]),
], ids=['numpy', 'jax', 'lists', 'dlpack', 'tensor', 'float64', 'float32', 'fortran'])
def test_the_same_set_of_every_kind_of_array(images, labels):
  if isinstance(images, list):
    images = np.array(images, np.uint8)  # of whole numbers lists are int64, which is refused
  data = dx.from_arrays(images, labels)
  np.testing.assert_array_equal(data.train_images, IMAGES)
  np.testing.assert_array_equal(data.train_labels, LABELS)
  assert data.train_images.dtype == np.uint8 and data.train_labels.dtype == np.int32
  assert data.train_images.flags.c_contiguous
  assert data.test_images.shape == (0, 8, 8, 3) and data.test_labels.shape == (0,)
  assert data.class_names == ('0', '1', '2') and data.halves is None and not data.targets
  assert (data.mean, data.std) == dataset.mean_std(IMAGES)


def test_tensors_of_pytorch():
  torch = pytest.importorskip('torch', reason='PyTorch is not installed')
  for kind in (torch.uint8, torch.float32, torch.bfloat16):
    images = torch.tensor(IMAGES) if kind == torch.uint8 else torch.tensor(IMAGES > 99).to(kind)
    data = given.from_arrays(images.requires_grad_(kind != torch.uint8), torch.tensor(LABELS))
    want = IMAGES if kind == torch.uint8 else 255 * (IMAGES > 99)
    np.testing.assert_array_equal(data.train_images, want)


def test_floats_are_rounded_to_the_nearest_level():
  levels = np.linspace(0, 1, 12 * 64).reshape(12, 8, 8)
  data = given.from_arrays(levels.astype(np.float32), LABELS)
  assert data.train_images.shape == (12, 8, 8, 1)
  assert np.abs(data.train_images[..., 0] - 255 * levels).max() <= 0.5 + 1e-4
  half = given.from_arrays(jnp.asarray(levels, jnp.bfloat16), LABELS).train_images
  assert np.abs(half[..., 0] - 255 * levels).max() <= 1.5


def test_validation_and_test_of_their_own():
  val, test = (IMAGES[::-1][:5], LABELS[:5]), (IMAGES[:2] / 255, [0, 1])
  data = given.from_arrays(IMAGES, LABELS, val, test, ('a', 'b', 'c'), 'mine')
  rows, val_rows = splits.of(data, 7, 0.5)
  np.testing.assert_array_equal(data.train_images[rows], IMAGES)
  np.testing.assert_array_equal(data.train_images[val_rows], val[0])
  np.testing.assert_array_equal(data.train_labels[val_rows], val[1])
  np.testing.assert_array_equal(data.test_images, IMAGES[:2])
  assert (data.mean, data.std) == dataset.mean_std(IMAGES) and data.name == 'mine'
  search = batches.SearchBatches(data, 0, 4, 0.5)
  assert search.steps_per_epoch == 3
  seen = np.concatenate([search(step).train_images for step in range(3)])
  assert {x.tobytes() for x in seen} == {x.tobytes() for x in IMAGES}
  vals = np.concatenate([search(step).val_images for step in range(9)])
  assert {x.tobytes() for x in vals} <= {x.tobytes() for x in val[0]}
  # Fewer images are fewer of D_train, and fewer classes are fewer in both.
  few = splits.take(data, 6, 1, 0)
  assert [len(half) for half in few.halves] == [6, 5] and len(few.test_labels) == 1
  np.testing.assert_array_equal(few.train_images[few.halves[1]], val[0])
  assert few.mean == dataset.mean_std(few.train_images[:6])[0]
  two = splits.keep_classes(data, [0, 2])
  assert [len(half) for half in two.halves] == [8, 3] and two.class_names == ('a', 'c')
  np.testing.assert_array_equal(two.train_labels[two.halves[1]], [0, 1, 0])
  assert two.mean == dataset.mean_std(IMAGES[LABELS != 1])[0]
  with pytest.raises(BadInput, match='no validation image is of the classes') as info:
    splits.keep_classes(given.from_arrays(IMAGES, LABELS, (IMAGES[:1], [0])), [1, 2])
  assert '\n' not in str(info.value)


def test_one_image_of_a_class_is_enough_where_nothing_is_split():
  labels = np.array([0] * 11 + [1])
  data = given.from_arrays(IMAGES, labels, (IMAGES, labels))
  assert [len(half) for half in data.halves] == [12, 12]


@pytest.mark.parametrize('shape, kind', [((6, 6), np.uint8), ((), np.float64), ((4,), np.float32), ((), bool),
                                         ((), np.int64)])
def test_targets_that_are_no_classes(shape, kind):
  targets = (RNG.uniform(-9, 9, (12, *shape))).astype(kind)
  data = given.from_arrays(IMAGES, targets, test=(IMAGES[:2], targets[:2]), targets=True)
  assert data.targets and data.class_names == () and data.train_labels.dtype.itemsize <= 4
  np.testing.assert_array_equal(data.train_labels, targets.astype(data.train_labels.dtype))
  rows = splits.of(data, 3, 0.75)
  assert [len(half) for half in rows] == [9, 3]
  assert not np.array_equal(rows[1], splits.of(data, 4, 0.75)[1])
  batch = batches.SearchBatches(data, 3, 3, 0.25)(0)
  assert batch.train_labels.shape == (3, *shape) and batch.val_images.shape == (3, 8, 8, 3)
  few = splits.take(data, 5, 1, 0)
  assert len(few.train_labels) == 5 and few.targets and len(few.test_labels) == 1
  select.check(data, config_lib.search_config('daas'))
  with pytest.raises(BadInput, match='targets and no classes'):
    splits.keep_classes(data, [0])
  own = given.from_arrays(IMAGES, targets, (IMAGES[:3], targets[:3]), targets=True)
  assert [len(half) for half in own.halves] == [12, 3]


ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
NAMES = ('a', 'b', 'c')


@pytest.mark.parametrize('changes, says', [
    (dict(images=IMAGES.transpose(0, 3, 1, 2)), r'shape [12, 3, 8, 8], which looks like NCHW: give images.transpose(0, 2, 3, 1)'),
    (dict(images=IMAGES[:, None, :, :, 0]), 'looks like NCHW'),
    (dict(images=np.zeros((12, 8, 8, 4), np.uint8)), 'leave the alpha channel out, images[..., :3]'),
    (dict(images=np.zeros((12, 8, 8, 2), np.uint8)), 'shape [12, 8, 8, 2]: give [N, H, W, 3]'),
    (dict(images=IMAGES.reshape(12, -1)), 'shape [12, 192]: give [N, H, W, 3]'),
    (dict(images=IMAGES[:0], labels=LABELS[:0]), 'images are empty'),
    (dict(images=[np.zeros((8, 8)), np.zeros((9, 8))], labels=[0, 1]), 'the images resized to one size'),
    (dict(images=IMAGES.astype(int)), 'range of [0, 255]: give images.astype(np.uint8)'),
    (dict(images=IMAGES.astype(np.uint16) * 257), '(images >> 8).astype(np.uint8)'),
    (dict(images=IMAGES.astype(float)), 'range of [0, 255], and floats must be in [0, 1]: give images / 255'),
    (dict(images=IMAGES / 127.5 - 1), 'range of [-1, 1], and floats must be in [0, 1]: give them before they were normalised'),
    (dict(images=np.where(np.arange(12) == 7, np.nan, 0.5)[:, None, None] * np.ones((12, 8, 8))), 'NaN or infinity, the first in image 7'),
    (dict(images=IMAGES > 9), 'type bool: give uint8'),
    (dict(images=None), 'images have'),
    (dict(labels=LABELS[:11]), '12 images and 11 labels'),
    (dict(labels=np.array(NAMES)[LABELS]), 'np.unique(labels, return_inverse=True)'),
    (dict(labels=np.array(NAMES, object)[LABELS]), 'np.unique(labels, return_inverse=True)'),
    (dict(labels=ONE_HOT), 'look one-hot: give labels.argmax(-1)'),
    (dict(labels=LABELS[:, None]), 'labels.reshape(-1)'),
    (dict(labels=np.zeros((12, 8, 8))), 'shape [12, 8, 8]: give integers [N], or set targets=True'),
    (dict(labels=LABELS / 1), 'give labels.astype(np.int32)'),
    (dict(labels=LABELS / 2), 'set targets=True'),
    (dict(labels=LABELS > 0), 'give labels.astype(np.int32)'),
    (dict(labels=LABELS - 1), 'labels must be 0 or more'),
    (dict(labels=LABELS * 2), 'labels are 0 to 4 and no training image has 1: number'),
    (dict(labels=LABELS + 1), 'labels are 1 to 3 and no training image has 0'),
    (dict(labels=np.minimum(LABELS, 1), class_names=NAMES), "class 'c' has no training images, and D_train and D_val"),
    (dict(labels=LABELS * 0), "has the single class '0'"),
    (dict(labels=np.array([0] * 11 + [1])), "class '1' has 1 training image, and D_train and D_val must have one each: give it at least 2"),
    (dict(class_names=('a', 'b')), 'holds 2 and there are 2 classes'),
    (dict(class_names=(1, 2, 3)), 'give a list of strings'),
    (dict(class_names='abc'), 'give a list of strings'),
    (dict(validation=(IMAGES[:, :6], LABELS)), 'training images are 8x8x3 and validation images 6x8x3'),
    (dict(test=(IMAGES[..., 0], LABELS)), 'training images are 8x8x3 and test images 8x8x1'),
    (dict(validation=IMAGES), 'validation is a ndarray; give a pair (images, labels)'),
    (dict(test=(IMAGES, LABELS, LABELS)), 'give a pair (images, labels)'),
    (dict(validation=(IMAGES, LABELS[:2])), '12 validation images and 2 validation labels'),
    (dict(test=(IMAGES, LABELS + 1)), 'test_labels holds 3 and there are 3 classes'),
    (dict(validation=(IMAGES[:0], LABELS[:0])), 'validation images are empty'),
    (dict(labels=np.full(12, np.inf), targets=True), 'NaN or infinity'),
    (dict(labels=NAMES * 4, targets=True), 'give numbers [N, ...]'),
    (dict(labels=np.full(12, 2**40), targets=True), 'at most 32 bits'),
    (dict(labels=np.zeros((12, 8)), test=(IMAGES, np.zeros((12, 4))), targets=True), 'give both alike'),
])
def test_arrays_that_cannot_be_a_set_are_one_line(changes, says):
  with pytest.raises(BadInput) as info:
    given.from_arrays(**{'images': IMAGES, 'labels': LABELS, 'name': 'mine'} | changes)
  line = str(info.value)
  assert says in line and '\n' not in line and line.startswith('mine') and len(line) < 300


TRAIN = """
from daas_jax.config import train_config

def get_config():
  config = train_config()
  config.policy = config.genotype = 'none'
  config.network.name, config.network.depth, config.network.width = 'wrn_40_2', 10, 1
  config.train.auxiliary, config.train.drop_path, config.train.batch, config.train.epochs = 0.0, 0.0, 6, 1
  config.preprocess.cutout, config.preprocess.padding = 0, 0
  return config
"""


def test_a_training_without_test_images_writes_no_accuracy_of_them(tmp_path, monkeypatch, capsys):
  """And the validation images are the set's own."""
  data = given.from_arrays(IMAGES, LABELS, (IMAGES[:5], LABELS[:5]))
  monkeypatch.setattr(select, 'from_config', lambda config, least, asked=None: data)
  words = [f'--config={commands.config_file(tmp_path, TRAIN)}', f'--workdir={tmp_path}/run', '--compilation_cache=off']
  assert cli.run('train', train.main, words, train.define_flags) == 0, capsys.readouterr().err
  results = json.loads((tmp_path / 'run' / 'results.json').read_text())
  assert not {'test_accuracy', 'test_loss'} & set(results) and results['best_epoch'] == 1
  assert results['val_accuracy'] * 5 == pytest.approx(round(results['val_accuracy'] * 5), abs=1e-5)
  assert 'no test images, of the epoch with the best validation accuracy' in capsys.readouterr().out


def test_a_set_without_test_images_is_asked_for_none():
  data = given.from_arrays(IMAGES, LABELS)
  assert len(splits.take(data, 6, 0, 0).test_labels) == 0
  assert splits.keep_classes(data, [0, 1]).test_images.shape == (0, 8, 8, 3)
  with pytest.raises(BadInput, match='no test images: set data.n_test to 0'):
    splits.take(data, 6, 3, 0)
