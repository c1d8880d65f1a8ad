"""Photographs with boxes out of files as TFDS writes them: a set named coco, of a few random images."""

import io

import numpy as np
from PIL import Image
import pytest

from daas_jax.data import sources
from daas_jax.detection import photographs, sets
from daas_jax.errors import BadInput

SIZES = ((40, 60), (60, 40), (50, 50), (20, 80), (33, 47), (64, 64))
SIDE = 32


def examples():
  """[(image uint8 [H, W, 3], boxes [n, 4] in [0, 1], labels [n], crowd [n])], one a size."""
  rng = np.random.default_rng(0)
  out = []
  for i, size in enumerate(SIZES):
    n = (2, 5, 0, 1, 3, 1)[i]
    boxes = np.sort(rng.uniform(0, 1, (n, 2, 2)), 1).reshape(n, 4)[:, [0, 1, 2, 3]]
    out.append((rng.integers(0, 256, (*size, 3), np.uint8), boxes.astype(np.float32), rng.integers(0, 3, n),
                np.arange(n) == 1))
  return out


def prepare(folder, splits=('train', 'validation', 'test'), boxes=True, made=examples):
  """Prepares coco/2017 of `examples` without stock code; the split test has no boxes, as COCO's."""
  import tensorflow_datasets as tfds
  from tensorflow_datasets.core import registered
  with registered.skip_registration():
    class Coco(tfds.core.GeneratorBasedBuilder):
      VERSION = tfds.core.Version('1.1.0')
      BUILDER_CONFIGS = [tfds.core.BuilderConfig(name='2017')]
      pkg_dir_path = None

      def _info(self):
        found = {'bbox': tfds.features.BBoxFeature(), 'label': tfds.features.ClassLabel(names=['a', 'b', 'c']),
                 'is_crowd': np.bool_} if boxes else {'area': np.int64}
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict({
            'image': tfds.features.Image(shape=(None, None, 3), encoding_format='png'),
            'objects': tfds.features.Sequence(found)}))

      def _split_generators(self, dl_manager):
        return {split: self._generate_examples(split) for split in splits}

      def _generate_examples(self, split):
        for i, (image, rows, labels, crowd) in enumerate(made()):
          objects = [{'bbox': tfds.features.BBox(*map(float, box)), 'label': int(c), 'is_crowd': bool(many)}
                     for box, c, many in zip(rows, labels, crowd)] if split != 'test' else []
          if not boxes:
            objects = [{'area': 1}]
          image = io.BytesIO(image) if isinstance(image, bytes) else Image.fromarray(image)
          yield i, {'image': image, 'objects': objects}

  tfds.disable_progress_bar()
  builder = Coco(data_dir=str(folder), file_format='array_record')
  builder.download_and_prepare(download_config=tfds.download.DownloadConfig(try_download_gcs=False))
  return builder.data_path


@pytest.fixture(name='folder', scope='module')
def folder_fixture(tmp_path_factory):
  folder = tmp_path_factory.mktemp('coco')
  prepare(folder)
  return str(folder)


def load(folder, n_train=0, n_test=0, seed=0, most=5):
  return photographs.load('coco/2017', n_train, n_test, seed, 1 / 3, SIDE, most, folder)


def test_images_and_boxes_are_fitted_into_squares(folder):
  data = load(folder)
  assert data.name == 'tfds:coco/2017' and data.class_names == ('a', 'b', 'c')
  assert data.train.images.shape == (6, 32, 32, 3) and data.train.boxes.shape == (6, 5, 4)
  wanted = {}
  for image, boxes, labels, crowd in examples():
    scale = SIDE / max(image.shape[:2])
    h, w = round(image.shape[0] * scale), round(image.shape[1] * scale)
    resized = np.asarray(Image.fromarray(image).resize((w, h), Image.Resampling.BILINEAR))
    wanted[resized.tobytes()] = (h, w, boxes[~crowd], labels[~crowd])
  for image, boxes, labels in zip(*data.train):
    h, w = (np.flatnonzero(image.any((axis, 2))).max() + 1 for axis in (1, 0))
    height, width, want_boxes, want_labels = wanted.pop(image[:h, :w].tobytes())
    assert (h, w) == (height, width) and not image[h:].any() and not image[:, w:].any()
    n = len(want_labels)
    np.testing.assert_allclose(boxes[:n], want_boxes * [h, w, h, w], atol=1e-4)
    np.testing.assert_array_equal(labels[:n], want_labels)
    assert not boxes[n:].any() and np.all(labels[n:] == sets.PADDING)
  assert not wanted
  np.testing.assert_allclose(np.mean(data.train.images / 255, (0, 1, 2)), data.mean)


def test_the_test_is_the_split_with_boxes_and_the_seed_chooses(folder):
  data = load(folder, 3, 4)
  assert len(data.train.images) == 3 and len(data.test.images) == 4 and np.any(data.test.labels >= 0)
  assert [len(rows) for rows in data.halves] == [2, 1]
  assert sorted(np.concatenate(data.halves)) == [0, 1, 2]
  again, other = load(folder, 3, 4), [load(folder, 3, 4, seed) for seed in (1, 2, 3)]
  np.testing.assert_array_equal(again.train.images, data.train.images)
  assert any(np.any(set_.train.images != data.train.images) for set_ in other)


def test_an_image_with_too_many_objects_keeps_its_largest(folder):
  whole, two = load(folder), load(folder, most=2)
  area = lambda boxes: np.prod(boxes[:, 2:] - boxes[:, :2], -1)
  for many, few in zip(whole.train.boxes, two.train.boxes):
    np.testing.assert_allclose(np.sort(area(few)), np.sort(area(many))[-2:])


def test_what_cannot_be_loaded(folder, tmp_path):
  with pytest.raises(BadInput, match='has 6 images, fewer than the 7 asked for'):
    load(folder, 7)
  with pytest.raises(BadInput, match=r"not prepared under .*tfds.builder\('coco/2017'") as error:
    load(str(tmp_path / 'nothing'))
  assert '\n' not in str(error.value) and not (tmp_path / 'nothing').exists()
  with pytest.raises(BadInput, match='no boxes'):
    photographs.load('cifar10', 0, 0, 0, 0.5, SIDE, 5, str(tmp_path))
  prepare(tmp_path / 'bare', boxes=False)
  with pytest.raises(BadInput, match='no boxes'):
    load(str(tmp_path / 'bare'))
  path = prepare(tmp_path / 'damaged', splits=('train', 'validation'))
  file, = [entry for entry in path.iterdir() if 'train' in entry.name]
  with open(file, 'r+b') as damaged:
    damaged.truncate(10)
  with pytest.raises(BadInput, match='split train under'):
    load(str(tmp_path / 'damaged'))


def one_of(image, label):
  """`examples`, and one more of this image (or bytes of its file) with an object of this class."""
  box = np.array([[0.1, 0.2, 0.8, 0.9]], np.float32)
  return [*examples(), (image, box, np.array([label]), np.array([False]))]


def test_an_object_without_a_class_is_one_line(tmp_path):
  """It would be read as padding, and one above the last class would be no output's object."""
  splits, image = ('train', 'validation'), examples()[0][0]
  prepare(tmp_path / 'none', splits, made=lambda: one_of(image, -1))
  said = r'train, row \d: objects/label holds -1 and there are 3 classes; .*: object 0 is the first'
  with pytest.raises(BadInput, match=said) as error:
    load(str(tmp_path / 'none'))
  assert '\n' not in str(error.value)
  path = prepare(tmp_path / 'names', splits)
  for file in path.iterdir():  # TFDS itself writes no such label: the set loses a name afterwards
    if file.name == 'objects-label.labels.txt':
      file.write_text('a\nb\n')
    if file.name == 'features.json':
      file.write_text(file.read_text().replace('"numClasses": "3"', '"numClasses": "2"'))
  with pytest.raises(BadInput, match='objects/label holds 2 and there are 2 classes'):
    load(str(tmp_path / 'names'))


def test_a_split_without_objects_is_one_line(tmp_path):
  prepare(tmp_path, splits=('train', 'test'))
  said = 'split test: none of the 6 images chosen has an object; raise'
  with pytest.raises(BadInput, match=said) as error:
    load(str(tmp_path))
  assert '\n' not in str(error.value)


@pytest.mark.parametrize('mode', ['I;16', 'P', '1', 'LA'])
def test_images_of_every_mode(mode, tmp_path):
  grey = np.tile(np.arange(0, 256, 8, np.uint8), (SIDE, 1))
  eight, content = Image.fromarray(grey), io.BytesIO()
  image = Image.fromarray(grey.astype(np.uint16) << 8) if mode == 'I;16' else eight.convert(mode)
  if mode == 'P':
    image.putpalette(bytes(range(256))[::-1] * 3)
  image.save(content, 'PNG')
  prepare(tmp_path, ('train', 'validation'), made=lambda: one_of(content.getvalue(), 0))
  wanted = np.asarray((eight if mode == 'I;16' else image).convert('RGB'))
  assert any(np.array_equal(found, wanted) for found in load(str(tmp_path)).train.images)


def test_it_is_no_image_classification_set(folder):
  with pytest.raises(BadInput, match='no image classification set'):
    sources.load('tfds:coco/2017', folder)
