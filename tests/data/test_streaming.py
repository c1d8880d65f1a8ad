"""Streamed sets: the batches of the set in memory, on any number of hosts and workers, whatever ends a run."""

import io
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest
from scipy import stats

import commands
from conftest import ROOT
from fake_sets import fake_fashion, fake_imagenet, prepared
from daas_jax import config as config_lib
from daas_jax.augment import inputs, preprocess
from daas_jax.prepare import command as prepare_command
from daas_jax.benchmark import synthetic as made_up
from daas_jax.data import (
    batches,
    classes,
    dataset,
    decode,
    images as images_lib,
    labels as labels_lib,
    prepare,
    records,
    select,
    streaming,
    tfds,
    workers,
)
from daas_jax.errors import BadInput

CLASSES = (3, 7, 500)


@pytest.fixture(scope='module')
def photographs(tmp_path_factory):
  """The data folder of a made-up imagenet2012: 8 + 3 photographs of three classes in 3 + 3 files."""
  folder = tmp_path_factory.mktemp('imagenet')
  fake_imagenet(folder, CLASSES, 8, 3, 3)
  return str(folder)


@pytest.fixture(scope='module')
def fashion(tmp_path_factory):
  """The data folder of a made-up fashion_mnist, 120 + 40 images."""
  folder = tmp_path_factory.mktemp('fashion')
  _, recipe = fake_fashion(folder / 'in', False, 120, 40)
  prepare.prepare_tfds('fashion_mnist', str(folder / 'in'), str(folder), recipe, lambda line: None)
  return str(folder)


def _config(name, folder, **data):
  config = config_lib.search_config()
  config.data.name, config.data.dir, config.data.stream = f'tfds:{name}', folder, True
  if name == 'imagenet2012':
    config.data.side = 32
  config.data.update(data)
  return config


def _same(one, other):
  assert len(one) == len(other)
  for a, b in zip(one, other):
    np.testing.assert_array_equal(a, b)


def _line(info):
  assert '\n' not in str(info.value)
  return str(info.value)


# The same as in memory.

def test_batches_are_those_of_the_set_in_memory(fashion):
  streamed = select.from_config(_config('fashion_mnist', fashion, n_train=60, classes=6))
  memory = select.from_config(_config('fashion_mnist', fashion, n_train=60, classes=6, stream=False))
  assert streaming.is_streamed(streamed) and not streaming.is_streamed(memory)
  assert (streamed.name, streamed.class_names, streamed.mean, streamed.std) == (
      memory.name, memory.class_names, memory.mean, memory.std)
  _same([streamed.train_images, streamed.train_labels, streamed.test_images, streamed.test_labels],
        [memory.train_images, memory.train_labels, memory.test_images, memory.test_labels])
  for arguments in ((1, 7, 0.5), (1, 5, 0.4, 2)):
    one, other = streaming.SearchStream(streamed, *arguments), batches.SearchBatches(memory, *arguments)
    assert one.steps_per_epoch == other.steps_per_epoch
    for step in (0, 1, 2 * one.steps_per_epoch - 1, 3):
      _same(one(step), other(step))
  rows = np.arange(5, 40)
  one, other = (streaming.train_batches(d.train_images, d.train_labels, rows, 2, 8) for d in (streamed, memory))
  for step in (0, 9, 4):
    _same(one(step), other(step))


@pytest.fixture(scope='module')
def three_splits(tmp_path_factory):
  """The data folder of a set of two classes, 12 + 8 + 6 images of 20 x 20."""
  folder, rng = tmp_path_factory.mktemp('three'), np.random.default_rng(4)
  prepared(folder, {split: [(rng.integers(0, 256, (20, 20, 3), np.uint8), i % 2) for i in range(n)]
                    for split, n in (('train', 12), ('validation', 8), ('test', 6))})
  return str(folder)


def _viewed(images):
  """Images of 20 x 20 of a set that may have others, as they are streamed for an evaluation."""
  return np.array([decode.square(_png(np.asarray(image)), 20, 23, 3) for image in images])


@pytest.mark.parametrize('stream', [False, True])
def test_a_split_of_its_own_is_d_val(three_splits, stream, capsys):
  config = _config('tiny', three_splits, side=20, stream=stream, val_split='validation', n_train=10)
  data = select.from_config(config)
  assert 'has 8 validation images of its own' in capsys.readouterr().err
  assert [len(half) for half in data.halves] == [10, 8] and len(data.test_labels) == 6
  other = select.from_config(_config('tiny', three_splits, stream=False))
  assert other.halves is None and len(other.train_labels) == 12
  took = {image.tobytes() for image in np.asarray(data.train_images[data.halves[0]])}
  assert len(took) == 10 and took <= {image.tobytes() for image in other.train_images}
  assert (data.mean, data.std) == dataset.mean_std(data.train_images[data.halves[0]])
  search = streaming.search_batches(data, 0, 2, 0.5)
  assert search.steps_per_epoch == 5
  seen = [search(step) for step in range(5)]
  assert {x.tobytes() for b in seen for x in np.asarray(b.train_images)} == took
  assert not {x.tobytes() for b in seen for x in np.asarray(b.val_images)} & {x.tobytes() for x in other.train_images}
  np.testing.assert_array_equal(streaming.viewed(data.train_images, data.halves[1])[:],
                                _viewed(data.train_images[10:]) if stream else data.train_images[10:])


def test_d_val_of_its_own_is_streamed_as_it_is_in_memory(three_splits):
  one, other = (select.from_config(_config('tiny', three_splits, side=20, stream=stream, val_split='validation'))
                for stream in (True, False))
  _same(one.halves, other.halves)
  assert (one.mean, one.std, one.class_names) == (other.mean, other.std, other.class_names)
  _same([one.train_images, one.train_labels], [other.train_images, other.train_labels])
  streams = [streaming.search_batches(data, 3, 4, 0.1, 2) for data in (one, other)]
  for step in (0, 5):
    found, whole = streams[0](step), streams[1](step)
    _same(found, whole._replace(val_images=_viewed(whole.val_images)))


@pytest.mark.parametrize('val_split, says', [
    ('train', "'train' is the training images: set data.val_split to 'validation' or ''"),
    ('test', "'test' is the test set"), ('dev', "'dev' does not exist")])
@pytest.mark.parametrize('stream', [False, True])
def test_a_split_that_cannot_be_d_val(three_splits, stream, val_split, says):
  with pytest.raises(BadInput, match=says) as info:
    select.from_config(_config('tiny', three_splits, stream=stream, val_split=val_split))
  assert _line(info)


def test_evaluation_sees_every_image_once(fashion):
  streamed = select.from_config(_config('fashion_mnist', fashion, workers=2))
  memory = select.from_config(_config('fashion_mnist', fashion, stream=False))
  parts = [list(streaming.evaluation_batches(d.test_images, d.test_labels, 15)) for d in (streamed, memory)]
  assert sum(float(mask.sum()) for _, _, mask in parts[0]) == 40
  for one, other in zip(*parts, strict=True):
    _same(one, other)


# Any step, any host, any number of workers.

def test_any_step_after_a_restart_with_and_without_workers(photographs):
  """A run that goes on asks a new process for some step; within an epoch, at its end, and a step once more."""
  alone, two = (streaming.SearchStream(select.from_config(_config('imagenet2012', photographs, workers=n)), 5, 4, 0.5)
                for n in (0, 2))
  assert alone.steps_per_epoch == 3 and alone(0).train_images.shape == (4, 32, 32, 3)
  whole = [alone(step) for step in range(9)]
  for step in (0, 1, 2, 3, 4, 7, 8):
    _same(two(step), whole[step])
  two.close()
  epochs = [np.concatenate([batch.train_images for batch in whole[i:i + 3]]) for i in (0, 3)]
  assert not np.array_equal(*epochs)
  assert sorted(image.tobytes() for image in epochs[0]) == sorted(image.tobytes() for image in epochs[1])


@pytest.mark.parametrize('count', [1, 2, 4])
def test_the_hosts_together_have_the_global_batch_in_its_order(photographs, count):
  data = select.from_config(_config('imagenet2012', photographs))
  whole = streaming.SearchStream(data, 0, 4, 0.5, 2)
  hosts = [streaming.SearchStream(data, 0, 4, 0.5, 2, share=(i, count)) for i in range(count)]
  for step in (0, 4):
    shares = [host(step) for host in hosts]
    for field, expected in zip(whole(step)._fields, whole(step)):
      got = np.empty_like(expected)
      for i, share in enumerate(shares):
        got[i::count] = getattr(share, field)
      np.testing.assert_array_equal(got, expected)


def test_a_host_decodes_its_own_rows_alone(photographs, monkeypatch):
  data, decoded = select.from_config(_config('imagenet2012', photographs)), []
  monkeypatch.setattr(decode, 'square', lambda *a: decoded.append(a) or np.zeros((32, 32, 3), np.uint8))
  streaming.SearchStream(data, 0, 4, 0.5, share=(1, 2))(0)
  assert len(decoded) == 4  # 2 of each half


def test_a_batch_that_hosts_do_not_divide(photographs):
  data = select.from_config(_config('imagenet2012', photographs))
  with pytest.raises(BadInput, match='choose a batch that 3 hosts divide'):
    streaming.SearchStream(data, 0, 4, 0.5, share=(0, 3))


# Workers.

def _told(step):
  import jax._src.xla_bridge
  time.sleep(0.05)
  return np.full(3, step), np.array([os.getpid(), jax._src.xla_bridge.backends_are_initialized()])


def test_a_killed_worker_is_replaced_and_no_step_is_lost():
  lines = []
  ahead = workers.Ahead(_told, 2, warn=lines.append)
  said = [ahead(step) for step in range(3)]
  os.kill(int(said[0][1][0]), signal.SIGKILL)
  said += [ahead(step) for step in range(3, 16)]
  ahead.close()
  assert [int(values[0]) for values, _ in said] == list(range(16))
  assert lines == ['a worker that decodes images has died; all 2 are started again']
  assert len({int(pid) for _, (pid, _) in said}) == 4 and os.getpid() not in {int(pid) for _, (pid, _) in said}
  assert not any(initialised for _, (_, initialised) in said)
  for _, (pid, _) in said:
    with pytest.raises(ProcessLookupError):
      os.kill(int(pid), 0)


def _dies(step):
  os._exit(7 if step == 1 else 0)


def test_workers_that_die_again_and_again_are_one_line(monkeypatch):
  monkeypatch.setattr(workers, '_TRIES', 2)
  lines = []
  with pytest.raises(BadInput, match='have died 2 times at the same step') as info:
    workers.Ahead(_dies, 1, warn=lines.append)(1)
  assert _line(info) and len(lines) == 1


ENDS = '''
import multiprocessing, os, signal, sys
import numpy as np
from daas_jax.data import workers
if __name__ == '__main__':
  ahead = workers.Ahead(np.atleast_1d, 2)
  ahead(0)
  print(*[child.pid for child in multiprocessing.active_children()], flush=True)
  os.killpg(0, signal.SIGINT) if sys.argv[1] == 'interrupted' else os.kill(os.getpid(), signal.SIGKILL)
  ahead(1)
'''


@pytest.mark.parametrize('how', ['killed', 'interrupted'])
def test_workers_end_with_their_parent(how, tmp_path):
  (tmp_path / 'ends.py').write_text(ENDS)
  done = subprocess.run([sys.executable, 'ends.py', how], cwd=tmp_path, env=os.environ | {'PYTHONPATH': str(ROOT)},
                        text=True, capture_output=True, timeout=120, start_new_session=True)
  assert done.returncode == (-signal.SIGKILL if how == 'killed' else -signal.SIGINT)
  if how == 'interrupted':  # by Ctrl-C, which every process of a terminal gets: the parent alone speaks of it
    assert done.stderr.count('KeyboardInterrupt') == 1 and 'leaked' not in done.stderr
  pids = list(map(int, done.stdout.split()))
  assert len(pids) == 2
  deadline = time.time() + 20
  # Z: over, and nobody has read its status.
  while any(commands.process_state(pid) not in ('', 'Z') for pid in pids) and time.time() < deadline:
    time.sleep(0.1)
  assert all(commands.process_state(pid) in ('', 'Z') for pid in pids)


def test_grain_that_is_missing_is_one_line(photographs, monkeypatch):
  monkeypatch.setitem(sys.modules, 'grain', None)
  select.from_config(_config('imagenet2012', photographs))
  with pytest.raises(BadInput, match=r"pip install .*\[imagenet\]'") as info:
    select.from_config(_config('imagenet2012', photographs, workers=1))
  assert _line(info)


# Pixels.

def _png(pixels):
  content = io.BytesIO()
  PIL.Image.fromarray(pixels).save(content, 'PNG')
  return content.getvalue()


def test_the_centre_of_the_image_is_taken():
  ramp = np.tile(np.arange(60, dtype=np.uint8), (40, 1))
  np.testing.assert_array_equal(decode.square(_png(ramp), 40, 40, 1)[..., 0], ramp[:, 10:50])
  np.testing.assert_array_equal(decode.square(_png(ramp.T), 40, 40, 1)[..., 0], ramp[:, 10:50].T)
  np.testing.assert_array_equal(decode.square(_png(ramp), 20, 40, 1)[..., 0], ramp[:20, 20:40])  # a view of its middle
  half = decode.square(_png(4 * ramp), 20, 20, 1)[..., 0]  # pixel i of the result lies at 2 i + 10.5
  np.testing.assert_allclose(half[:, 1:-1], np.tile(4 * (2 * np.arange(1, 19) + 10.5), (20, 1)), atol=1)


def test_files_of_every_mode_become_the_channels_asked_for():
  grey = PIL.Image.fromarray(np.full((50, 30), 77, np.uint8))
  for mode, kind in (('L', 'JPEG'), ('CMYK', 'JPEG'), ('RGB', 'JPEG'), ('P', 'PNG'), ('RGBA', 'PNG')):
    content = io.BytesIO()
    grey.convert('RGB').convert(mode).save(content, kind)
    for channels in (1, 3):
      pixels = decode.square(content.getvalue(), 16, 16, channels)
      assert pixels.shape == (16, 16, channels) and pixels.dtype == np.uint8
      assert np.abs(pixels.astype(int) - 77).max() <= 2, mode


def test_the_view_of_test_images_is_seven_eighths(photographs):
  data = select.from_config(_config('imagenet2012', photographs, side=28))
  builder, *keys = tfds.prepared_tfds('imagenet2012', photographs)
  read = records.Reader(records.find('x', builder, 'validation', *keys))
  np.testing.assert_array_equal(data.test_images[2], decode.square(read(2)[0], 28, 32, 3))
  assert data.test_images.shape == (9, 28, 28, 3) and (data.mean, data.std) == streaming.IMAGENET_MOMENTS


# Resized crops.

def test_a_box_is_cut_out_of_the_whole_photograph():
  ramp = np.add.outer(2 * np.arange(40), np.arange(60)).astype(np.uint8)
  found = decode.boxed(_png(ramp), 20, 1, lambda h, w: (h - 20, w - 20, 20, 20))[..., 0]
  np.testing.assert_array_equal(found, ramp[20:, 40:])  # the middle square has no such column
  pixels = made_up.photograph(np.random.default_rng(0), (400, 300))
  box = 31, 47, 150, 160  # of a JPEG, decoded at half of its size
  image = PIL.Image.open(io.BytesIO(pixels)).convert('RGB')
  expected = image.resize((64, 64), PIL.Image.Resampling.BILINEAR, (box[1], box[0], box[1] + box[3], box[0] + box[2]))
  found = decode.boxed(pixels, 64, 3, lambda h, w: box)
  assert np.abs(found.astype(int) - np.asarray(expected)).mean() < 3
  with pytest.raises(BadInput, match='the image is no image that can be decoded'):
    decode.boxed(b'text', 8, 3, lambda h, w: (0, 0, h, w))


@pytest.mark.parametrize('height, width', [(300, 400), (50, 500), (32, 32)])
def test_boxes_have_the_distribution_of_the_device_s(height, width):
  """Which is torchvision's (tests/augment/test_preprocess.py): areas, shapes and places, of 4,000 of each, by
  Kolmogorov and Smirnov's test."""
  draw = jax.vmap(lambda key: preprocess.random_box(key, height, width, (0.08, 1.0), (3 / 4, 4 / 3)))
  theirs, rng = np.asarray(draw(jax.random.split(jax.random.key(0), 4000))), np.random.default_rng(0)
  ours = np.array([decode.random_box(rng, height, width) for _ in range(4000)])
  assert (ours[:, :2] >= 0).all() and (ours[:, :2] + ours[:, 2:] <= (height, width)).all()
  for of in (lambda b: b[:, 2] * b[:, 3], lambda b: b[:, 3] / b[:, 2], lambda b: b[:, 0], lambda b: b[:, 1]):
    assert stats.ks_2samp(of(ours), of(theirs)).pvalue > 1e-3


def _boxed(folder, **data):
  config = _config('imagenet2012', folder, **data)
  config.preprocess.crop = 'resized'
  return select.from_config(config)


def test_boxes_are_by_seed_and_step_whatever_the_host_and_the_workers(photographs):
  alone = streaming.TrainStream(*_images(_boxed(photographs)), 0, 4)
  assert not np.array_equal(alone(0)[0], alone(6)[0])  # another epoch, other boxes
  once, again = alone(5), streaming.TrainStream(*_images(_boxed(photographs, workers=2)), 0, 4)
  _same(again(5), once)
  again.close()
  for count in (2, 4):
    for i in range(count):
      _same(streaming.TrainStream(*_images(_boxed(photographs)), 0, 4, (i, count))(5), [x[i::count] for x in once])
  middles = streaming.TrainStream(*_images(select.from_config(_config('imagenet2012', photographs))), 0, 4)(5)
  assert not any(np.array_equal(a, b) for a, b in zip(once[0], middles[0]))
  np.testing.assert_array_equal(once[1], middles[1])


def _images(data):
  return data.train_images, data.train_labels


def test_d_val_is_seen_as_test_images_are(photographs):
  data = _boxed(photographs, side=28)
  assert data.train_images.boxed and not data.test_images.boxed
  rows = np.array([5, 1])
  builder, *keys = tfds.prepared_tfds('imagenet2012', photographs)
  read = records.Reader(records.find('x', builder, 'train', *keys))
  seen = streaming.viewed(data.train_images, rows)[:]
  np.testing.assert_array_equal(seen, [decode.square(read(row)[0], 28, 32, 3) for row in rows])
  batch = streaming.SearchStream(data, 0, 4, 0.5)(0)
  every = streaming.viewed(data.train_images, slice(None))[:]
  assert all(any(np.array_equal(image, other) for other in every) for image in batch.val_images)
  assert not any(np.array_equal(image, other) for image in batch.train_images for other in every)


def test_what_the_host_has_cropped_is_cropped_once(photographs):
  config = _config('imagenet2012', photographs)
  config.preprocess.crop, config.preprocess.flip = 'resized', False
  images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
  same = lambda images, policy, key: images
  data = select.from_config(config)
  found = inputs.make_input(config, data, same)(jnp.asarray(images), None, jax.random.key(0))
  np.testing.assert_allclose(found, preprocess.normalise(images / 255.0, data.mean, data.std), atol=1e-5)
  in_memory = data._replace(train_images=np.zeros((1, 32, 32, 3), np.uint8))
  assert not np.allclose(inputs.make_input(config, in_memory, same)(jnp.asarray(images), None, jax.random.key(0)), found)


# What is damaged.

def _made_up(folder, contents, workers_=0):
  labels = np.arange(len(contents), dtype=np.int32) % 2
  split = made_up.write(str(folder), contents, labels, 2)
  return split, labels, images_lib.Streamed(split, np.arange(len(contents)), labels, 16, 16, workers_)


def test_an_image_that_cannot_be_decoded_is_named_by_workers_too(tmp_path):
  good = _png(np.zeros((20, 20, 3), np.uint8))
  broken = made_up.photograph(np.random.default_rng(0), (40, 30))[:500]
  split, labels, images = _made_up(tmp_path, [good, good, good, broken, b'text', good], 1)
  for row, (file, record) in {3: (1, 0), 4: (1, 1)}.items():
    with pytest.raises(BadInput, match=f'row {row}: record {record} of {split.paths[file]} is no image') as info:
      images[np.arange(row, row + 1)]
    assert _line(info)
  stream = streaming.TrainStream(images, labels, 0, 6)
  with pytest.raises(BadInput, match=r'row [34]: record [01] of .* is no image that can be decoded') as info:
    stream(0)
  assert _line(info)


def test_a_damaged_record_is_named(tmp_path):
  rng = np.random.default_rng(0)
  contents = [_png(rng.integers(0, 256, (40, 40, 3), np.uint8)) for _ in range(6)]
  split, _, images = _made_up(tmp_path, contents)
  whole = bytearray(open(split.paths[1], 'rb').read())
  place = whole.find(contents[4][100:140])
  assert place > 0  # stored as it is
  whole[place + 500] ^= 0xff
  open(split.paths[1], 'wb').write(whole)
  assert len(images[np.array([0, 3, 5])]) == 3
  with pytest.raises(BadInput, match=f'row 4: record 1 of {split.paths[1]} cannot be read') as info:
    images[4]
  assert _line(info)
  with pytest.raises(BadInput, match='cannot be read') as info:
    labels_lib.of(split)
  assert _line(info)


def test_classes_are_read_once_and_again_where_their_file_is_not_of_these_records(tmp_path, monkeypatch):
  good, lines = _png(np.zeros((20, 20, 3), np.uint8)), []
  split, labels, images = _made_up(tmp_path, [good] * 6)
  np.testing.assert_array_equal(labels_lib.of(split, lines.append), labels)
  assert lines[-1] == f'wrote {labels_lib.path(split)}'
  read = []
  monkeypatch.setattr(labels_lib, '_of_file', lambda s, file, f=labels_lib._of_file: read.append(file) or f(s, file))
  np.testing.assert_array_equal(labels_lib.of(split), labels)
  assert not read
  for damage in (b'', b'PK\x03\x04 no zip'):
    open(labels_lib.path(split), 'wb').write(damage)
    np.testing.assert_array_equal(labels_lib.of(split), labels)
  assert len(read) == 4
  made_up.write(str(tmp_path), [good + b' '] * 6, 1 - labels, 2)  # another set in its place
  np.testing.assert_array_equal(labels_lib.of(split), 1 - labels)
  with pytest.raises(BadInput, match='row 0: .* is of class 1, and the file of classes') as info:
    images[0]
  assert _line(info)


def test_classes_that_cannot_be_kept_are_said(tmp_path, monkeypatch):
  def refuse(path, content):
    raise OSError(30, 'Read-only file system')
  split, labels, _ = _made_up(tmp_path, [b'x'] * 4)
  monkeypatch.setattr(labels_lib.atomic, 'write', refuse)
  lines = []
  np.testing.assert_array_equal(labels_lib.of(split, lines.append), labels)
  assert 'every run will read the classes again' in lines[-1]


# Which classes.

def test_the_list_of_120_classes_is_chosen_again():
  names = tfds.find_tfds('imagenet2012')[0].info.features['label'].names
  with open(os.path.join(classes.FOLDER, 'imagenet120.txt'), encoding='utf-8') as file:
    assert file.read() == classes.text('imagenet120', names)
  found = classes.read('imagenet120')
  assert len(found) == len(set(found)) == 120 and set(found) < set(names)


def test_a_list_of_classes_decides_whatever_the_seed(photographs, tmp_path):
  names = tfds.find_tfds('imagenet2012')[0].info.features['label'].names
  path = tmp_path / 'two.txt'
  path.write_text(f'# two\n{names[500]}\n{names[3]}\n')
  for seed in (0, 1):
    config = _config('imagenet2012', photographs, classes=2, class_list=str(path))
    config.seed = seed
    data = select.from_config(config)
    assert data.class_names == (names[3], names[500])
    assert np.bincount(data.train_labels).tolist() == [8, 8] and len(data.test_labels) == 6
  for change, said in ((dict(classes=3), 'set data.classes=2'), (dict(class_list='imagenet12'), "mean 'imagenet120'"),
                       (dict(class_list=''), 'no image of the classes asked for')):
    with pytest.raises(BadInput, match=said) as info:
      select.from_config(_config('imagenet2012', photographs, **{'classes': 2, 'class_list': str(path)} | change))
    assert _line(info)


def test_a_list_of_classes_in_a_file_of_any_name_after_a_byte_order_mark(tmp_path, monkeypatch):
  monkeypatch.setenv('HOME', str(tmp_path))
  for name in ('a', 'a [x]\\*?#%20 \n\u00fc', '\udcff'):
    (tmp_path / name).write_bytes('\ufeffone\r\n# two\n\n three\u2028\u00fc \n'.encode())
    assert classes.read(f'~/{name}') == ['one', 'three\u2028\u00fc']
    (tmp_path / name).write_bytes('\ufeff# one\ntwo'.encode())
    assert classes.read(str(tmp_path / name)) == ['two']


@pytest.mark.parametrize('data,said', [
    (dict(side=0), 'set data.side, 224 for one'),
    (dict(n_train=100), 'need 34 of class'),
    (dict(dir='/no/such/folder'), 'is not prepared under /no/such/folder'),
])
def test_bad_input_is_one_line(photographs, data, said):
  with pytest.raises(BadInput, match=said) as info:
    select.from_config(_config('imagenet2012', photographs, **data))
  assert _line(info)


# The commands.

SEARCH = """
from daas_jax.config import search_config

def get_config():
  config = search_config('ddas')
  config.network.name, config.network.channels = 'small_cnn', 4
  config.search.epochs, config.search.batch, config.search.n_policies = 3, 10, 2
  config.log.every_steps, config.checkpoint.every_steps = 2, 4
"""
TRAIN = """
from daas_jax.config import train_config

def get_config():
  config = train_config()
  config.policy = config.genotype = 'none'
  config.network.name, config.network.depth, config.network.width = 'wrn_40_2', 10, 1
  config.train.auxiliary, config.train.drop_path = 0.0, 0.0
  config.train.epochs, config.train.batch, config.data.val_fraction = 2, 30, 0.25
"""


def _config_file(folder, text, data_dir, stream, n_workers):
  folder.mkdir()
  return commands.config_file(folder, text + f"""
  config.data.name, config.data.dir = 'tfds:fashion_mnist', {data_dir!r}
  config.data.stream, config.data.workers = {stream}, {n_workers}
  return config
""")


def _ran(*words):
  done = commands.run(*words)
  assert done.returncode == 0, done.stderr
  assert done.stderr == ''  # no worker, no shared memory left behind
  return done.stdout


def test_a_search_that_is_killed_and_goes_on_ends_as_one_in_memory(fashion, tmp_path):
  memory = _config_file(tmp_path / 'memory', SEARCH, fashion, False, 0)
  _ran('search', f'--config={memory}', f'--workdir={tmp_path}/whole')
  streamed = _config_file(tmp_path / 'streamed', SEARCH, fashion, True, 1)
  words = 'search', f'--config={streamed}', f'--workdir={tmp_path}/killed'
  with commands.start(*words) as process:
    try:
      deadline = time.time() + 120
      while not os.path.isdir(tmp_path / 'killed' / 'checkpoints' / '4') and time.time() < deadline:
        assert process.poll() is None
        time.sleep(0.01)
    finally:
      process.kill()
  assert not (tmp_path / 'killed' / 'policy.json').exists()
  assert 'resuming from the checkpoint of step' in _ran(*words)
  assert commands.metrics(tmp_path / 'killed') == commands.metrics(tmp_path / 'whole')
  for name in ('policy.json', 'history.jsonl'):
    assert (tmp_path / 'killed' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_a_training_is_the_one_in_memory(fashion, tmp_path):
  """Its evaluation too, of validation and test images."""
  for kind, stream in (('memory', False), ('streamed', True)):
    config = _config_file(tmp_path / kind, TRAIN, fashion, stream, 0)
    _ran('train', f'--config={config}', f'--workdir={tmp_path}/{kind}/run')
  one, other = ((tmp_path / kind / 'run' / 'results.json').read_bytes() for kind in ('memory', 'streamed'))
  assert one == other


def test_prepare_notes_the_classes(photographs, capsys):
  files = [os.path.join(photographs, 'imagenet2012', '5.1.0', f'daas_jax-labels-{split}.npz')
           for split in ('train', 'validation')]
  for file in files:
    if os.path.exists(file):
      os.remove(file)
  assert prepare_command.main(['imagenet2012', f'--data_dir={photographs}']) == 0
  out = capsys.readouterr().out
  assert 'already prepared' in out and all(f'wrote {file}' in out and os.path.exists(file) for file in files)
