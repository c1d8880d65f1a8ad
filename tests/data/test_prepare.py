import functools
import http.server
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from fake_sets import FILES, fake_cifar, fake_fashion, same_examples, sha

from daas_jax.prepare import command
from daas_jax.data import dataset, prepare, raw, sources
from daas_jax.errors import BadInput

DEBIAN = '/usr/share/datasets/fashion-mnist'
needs_debian = pytest.mark.skipif(
    not os.path.isdir(DEBIAN), reason=f'no {DEBIAN}: install the Debian package dataset-fashion-mnist')


def silent(line):
  del line


def one_line(info):
  message = str(info.value)
  assert '\n' not in message and message
  return message


# The packaged images.

@pytest.mark.parametrize('zipped', [False, True])
def test_embedded_twice_is_the_same_bytes(tmp_path, zipped):
  (train, train_labels, test, test_labels), recipe = fake_fashion(tmp_path / 'in', zipped)
  paths = [prepare.prepare_embedded(str(tmp_path / 'in'), str(tmp_path / out), recipe, (4, 2), silent)
           for out in ('one', 'two')]
  with open(paths[0], 'rb') as one, open(paths[1], 'rb') as two:
    assert one.read() == two.read()
  with np.load(paths[0]) as file:
    got = sources.unpack(dict(file))
  for images, labels, old_images, old_labels, n in ((*got[:2], train, train_labels, 4),
                                                    (*got[2:], test, test_labels, 2)):
    first = sorted(i for c in range(10) for i in [j for j, label in enumerate(old_labels) if label == c][:n])
    assert np.array_equal(images[..., 0], old_images[first]) and np.array_equal(labels, old_labels[first])
  assert sorted(os.listdir(tmp_path / 'one')) == ['LICENSE', sources.EMBEDDED_FILE]


@needs_debian
def test_embedded_remade_from_the_originals():
  lines = []
  path = prepare.prepare_embedded(DEBIAN, report=lines.append)  # a file that differs would be refused
  assert f'{path} is there already, byte for byte the same' in lines
  assert dataset.content_digest(*prepare.embedded_arrays(DEBIAN, report=silent)) == sources.EMBEDDED_SHA256


def test_embedded_overwrites_nothing(tmp_path):
  _, recipe = fake_fashion(tmp_path, False)
  target = tmp_path / 'out' / sources.EMBEDDED_FILE
  target.parent.mkdir()
  target.write_bytes(b'mine')
  with pytest.raises(BadInput, match='exists and differs'):
    prepare.prepare_embedded(str(tmp_path), str(target.parent), recipe, (4, 2), silent)
  assert target.read_bytes() == b'mine' and os.listdir(target.parent) == [target.name]


def test_embedded_folder_that_cannot_be(tmp_path):
  _, recipe = fake_fashion(tmp_path, False)
  (tmp_path / 'file').write_bytes(b'')
  with pytest.raises(BadInput, match='cannot be written'):
    prepare.prepare_embedded(str(tmp_path), str(tmp_path / 'file' / 'out'), recipe, (4, 2), silent)


# For TFDS.

@pytest.mark.parametrize('zipped', [False, True])
def test_fashion_mnist_comes_back_through_load(tmp_path, zipped):
  (train, train_labels, test, test_labels), recipe = fake_fashion(tmp_path / 'in', zipped)
  folder = prepare.prepare_tfds('fashion_mnist', str(tmp_path / 'in'), str(tmp_path), recipe, silent)
  data = sources.load('tfds:fashion_mnist', str(tmp_path))
  assert data.train_images.shape == (60, 28, 28, 1) and data.class_names == sources.FASHION_CLASSES
  assert same_examples(data.train_images, data.train_labels, train, train_labels)
  assert same_examples(data.test_images, data.test_labels, test, test_labels)
  before = {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}
  lines = []
  assert prepare.prepare_tfds('fashion_mnist', '/nowhere', str(tmp_path), report=lines.append) == folder
  assert lines == [f'fashion_mnist is already prepared: {folder}']
  assert before == {name: os.stat(os.path.join(folder, name)).st_mtime_ns for name in os.listdir(folder)}


@pytest.mark.parametrize('packed', [True, False])
@pytest.mark.parametrize('name', ['cifar10', 'cifar100'])
def test_cifar_comes_back_through_load(tmp_path, name, packed):
  files, recipe = fake_cifar(name, tmp_path, packed)
  lines = []
  folder = str(tmp_path / "~ [x]\\*?#%20'$@3\n\u00fc ")  # of any name
  prepare.prepare_tfds(name, str(tmp_path), folder, recipe, lines.append)
  data = sources.load(f'tfds:{name}', folder)
  for images, labels, members in ((data.train_images, data.train_labels, recipe.train),
                                  (data.test_images, data.test_labels, recipe.test)):
    records = np.concatenate([files[member] for member in members])
    pixels = records[:, -3072:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    assert same_examples(images, labels, pixels, records[:, -3073])
  assert data.class_names == tuple(f'{recipe.names[-1][:4]}_{i}' for i in range(len(data.class_names)))
  assert len(data.class_names) == (10 if name == 'cifar10' else 100)
  assert any('has no known SHA-256' in line for line in lines) == (not packed)


def test_an_interrupted_prepare_is_not_prepared(tmp_path):
  (train, labels, *_), recipe = fake_fashion(tmp_path / 'in', False)

  def interrupt(line):
    if line.startswith('wrote'):
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    prepare.prepare_tfds('fashion_mnist', str(tmp_path / 'in'), str(tmp_path), recipe, interrupt)
  with pytest.raises(BadInput, match='is not prepared'):
    sources.load('tfds:fashion_mnist', str(tmp_path))
  prepare.prepare_tfds('fashion_mnist', str(tmp_path / 'in'), str(tmp_path), recipe, silent)
  data = sources.load('tfds:fashion_mnist', str(tmp_path))
  assert same_examples(data.train_images, data.train_labels, train, labels)


def test_a_killed_prepare_is_not_prepared(tmp_path):
  _, recipe = fake_fashion(tmp_path / 'in', False)
  code = f'''
import os, signal
from daas_jax.data import prepare, raw
def kill(line):
  if line.startswith('wrote 20 of 20 test'):
    os.kill(os.getpid(), signal.SIGKILL)
recipe = raw.RECIPES['fashion_mnist']._replace(sha256={recipe.sha256!r}, counts=(60, 20))
prepare.prepare_tfds('fashion_mnist', {str(tmp_path / 'in')!r}, {str(tmp_path)!r}, recipe, kill)
'''
  done = subprocess.run([sys.executable, '-c', code], check=False, timeout=120)
  assert done.returncode == -signal.SIGKILL
  assert any('incomplete' in name for name in os.listdir(tmp_path / 'fashion_mnist'))
  with pytest.raises(BadInput, match='is not prepared'):
    sources.load('tfds:fashion_mnist', str(tmp_path))
  prepare.prepare_tfds('fashion_mnist', str(tmp_path / 'in'), str(tmp_path), recipe, silent)
  assert len(sources.load('tfds:fashion_mnist', str(tmp_path)).train_images) == 60


def test_a_folder_that_cannot_be_written(tmp_path):
  _, recipe = fake_fashion(tmp_path / 'in', False)
  (tmp_path / 'file').write_bytes(b'')
  with pytest.raises(BadInput) as info:
    prepare.prepare_tfds('fashion_mnist', str(tmp_path / 'in'), str(tmp_path / 'file' / 'x'), recipe, silent)
  assert 'cannot be written under' in one_line(info)


# Downloading, from a server on this machine.

@pytest.fixture
def served(tmp_path, monkeypatch):
  """(folder that a local server serves, its address)."""
  for variable in ('http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'):
    monkeypatch.delenv(variable, raising=False)
  folder = tmp_path / 'served'
  folder.mkdir()

  class Handler(http.server.SimpleHTTPRequestHandler):

    def log_message(self, *args):
      pass

  handler = functools.partial(Handler, directory=str(folder))
  server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
  thread = threading.Thread(target=server.serve_forever, args=(0.05,))
  thread.start()
  yield folder, f'http://127.0.0.1:{server.server_port}'
  server.shutdown()
  thread.join()
  server.server_close()


def url_infos(folder, address, names):
  from tensorflow_datasets.core import utils
  from tensorflow_datasets.core.download import checksums
  contents = {name: (folder / name).read_bytes() for name in names}
  return {f'{address}/{name}': checksums.UrlInfo(utils.Size(len(content)), sha(content), name)
          for name, content in contents.items()}


def test_downloaded_files_are_read_like_a_source(served, tmp_path):
  folder, address = served
  (train, *_), recipe = fake_fashion(folder, True)
  files = prepare.fetch('fashion_mnist', url_infos(folder, address, [f'{name}.gz' for name in FILES]),
                        str(tmp_path / 'downloads'), silent)
  assert np.array_equal(recipe.read(recipe, files, silent).images['train'][..., 0], train)
  _, recipe = fake_cifar('cifar10', folder)
  infos = url_infos(folder, address, recipe.sha256)
  files = prepare.fetch('cifar10', infos, str(tmp_path / 'downloads'), silent)
  assert recipe.read(recipe, files, silent).images['train'].shape == (50, 32, 32, 3)


def test_without_a_source_the_registered_files_are_fetched(monkeypatch, tmp_path):
  _, recipe = fake_cifar('cifar100', tmp_path)

  def fetch(name, infos, folder, report):
    assert name == 'cifar100' and [info.filename for info in infos.values()] == list(recipe.sha256)
    assert folder == str(tmp_path / 'data' / 'downloads') and report is silent
    return {file: str(tmp_path / file) for file in recipe.sha256}

  monkeypatch.setattr(prepare, 'fetch', fetch)
  prepare.prepare_tfds('cifar100', None, str(tmp_path / 'data'), recipe, silent)
  assert len(sources.load('tfds:cifar100', str(tmp_path / 'data')).train_images) == 100


def test_a_wrong_or_missing_download_is_refused(served, tmp_path):
  folder, address = served
  _, recipe = fake_cifar('cifar10', folder)
  infos = url_infos(folder, address, recipe.sha256)
  path = folder / 'cifar-10-binary.tar.gz'
  path.write_bytes(path.read_bytes()[:-1] + b'x')
  with pytest.raises(BadInput, match='NonMatchingChecksumError.*--source=DIR'):
    prepare.fetch('cifar10', infos, str(tmp_path / 'downloads'), silent)
  path.unlink()
  with pytest.raises(BadInput, match='404.*--source=DIR'):
    prepare.fetch('cifar10', infos, str(tmp_path / 'downloads'), silent)


def test_no_network_is_one_line_at_once(served, tmp_path, monkeypatch):
  del served  # for its environment without proxies
  monkeypatch.setattr(prepare, '_PROBE_S', 2)
  infos = {'http://127.0.0.1:9/cifar-10-binary.tar.gz': None}  # nothing listens on the discard port
  with pytest.raises(BadInput) as info:
    prepare.fetch('cifar10', infos, str(tmp_path / 'downloads'), silent)
  assert 'cannot be downloaded' in one_line(info) and '--source=DIR' in one_line(info)
  assert not os.path.exists(tmp_path / 'downloads')


# The command.

@pytest.mark.parametrize('argv, words', [
    ([], 'required: name'),
    (['cifar10', '--frobnicate'], 'unrecognized arguments'),
    (['cifr10'], 'nearest: tfds:cifar10'),
    (['cifar10', '--source=/no/such/folder'], 'no folder /no/such/folder'),
    (['cifar10', '--out=/x'], '--out is for embedded alone'),
    (['embedded'], 'embedded takes --source=DIR'),
    (['embedded', '--source=/no/such/folder'], 'holds neither train-images-idx3-ubyte nor'),
])
def test_command_says_what_is_wrong_in_one_line(argv, words, capsys, tmp_path):
  assert command.main([*argv, f'--data_dir={tmp_path}'] if argv[:1] not in ([], ['embedded']) else argv) == 2
  out, err = capsys.readouterr()
  assert err.startswith('daas_jax.prepare: ') and err.count('\n') == 1 and words in err and not out
  assert not os.listdir(tmp_path)


@pytest.mark.parametrize('name', ['svhn_cropped', 'imagenet2012'])
def test_command_tells_how_to_prepare_with_tensorflow(name, capsys, tmp_path):
  assert command.main([name, f'--data_dir={tmp_path}']) == 2
  err = capsys.readouterr().err
  assert 'pip install tensorflow-cpu' in err
  assert (f"tfds.builder('{name}', file_format='array_record', data_dir='{tmp_path}').download_and_prepare()"
          in err)
  assert ('ILSVRC2012_img_train.tar' in err) == (name == 'imagenet2012')


def test_command_prepares_and_then_finds_it_prepared(monkeypatch, capsys, tmp_path):
  _, recipe = fake_cifar('cifar10', tmp_path)
  monkeypatch.setitem(raw.RECIPES, 'cifar10', recipe)
  argv = ['cifar10', f'--source={tmp_path}', f'--data_dir={tmp_path}']
  assert command.main(argv) == 0
  assert 'prepared cifar10: ' in capsys.readouterr().out
  assert command.main(argv) == 0
  assert 'is already prepared' in capsys.readouterr().out


def test_command_interrupted(monkeypatch, capsys):
  def interrupt(*args, **kwargs):
    raise KeyboardInterrupt
  monkeypatch.setattr(prepare, 'prepare_tfds', interrupt)
  assert command.main(['cifar10']) == 130
  assert capsys.readouterr().err.count('\n') == 1


@needs_debian
def test_command_remakes_the_packaged_images(tmp_path, capsys):
  assert command.main(['embedded', f'--source={DEBIAN}', f'--out={tmp_path}']) == 0
  assert '2934698 bytes' in capsys.readouterr().out
  with open(os.path.join(sources.EMBEDDED_DIR, sources.EMBEDDED_FILE), 'rb') as file:
    assert (tmp_path / sources.EMBEDDED_FILE).read_bytes() == file.read()
