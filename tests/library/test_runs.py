"""dx.search, dx.train, dx.load and what they give back, on images and networks of a program."""

import csv
import hashlib
import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import optax
import PIL.Image
import pytest

from library import small

import daas_jax as dx
from daas_jax.errors import BadInput
from daas_jax.library import answers, inputs, trained
from daas_jax.nets import registry as nets
from daas_jax.nets.cells import genotype as genotype_lib, weights
from daas_jax.policies import given as given_policies
from daas_jax.runtime import loop
from daas_jax.train import whole

CANDIDATES = ('Rotate90', 'Invert', 'Brightness:0.9')
SEARCH = {'method': 'ddas', 'epochs': 2, 'batch': 8, 'val_batches': 1, 'padding': 0, 'progress': False,
          'policy.candidates': CANDIDATES, 'policy.K': 1, 'network': small.Net}


def _pixels(outputs, labels):
  return optax.softmax_cross_entropy_with_integer_labels(outputs, labels).mean()


@pytest.fixture(scope='module', autouse=True)
def registered():
  before = dict(nets.networks())
  yield
  nets.NETWORKS._rows = before


@pytest.fixture(scope='module')
def data():
  return small.images(48)


@pytest.fixture(scope='module')
def found(data, tmp_path_factory):
  return dx.search(*data, workdir=tmp_path_factory.mktemp('runs') / 'search', **SEARCH)


@pytest.fixture(scope='module')
def test_set():
  return small.images(40, seed=1)


@pytest.fixture(scope='module')
def model(found, data, test_set, tmp_path_factory):
  return dx.train(*data, search=found, test=test_set, class_names=['top', 'bottom'], epochs=12, batch=8, lr=0.03,
                  workdir=tmp_path_factory.mktemp('runs') / 'trained', progress=False)


# --- searches -------------------------------------------------------------------------------------


def test_a_search_gives_back_what_it_found(found):
  assert found.finished and found.genotype is None and found.network is None
  assert isinstance(found.policy, dx.Policy) and 'Rotate90' in found.summary()
  says = found.decided['sentence']
  assert says == 'policy: nothing was found, 6 updates are too few to tell' == found.summary().split('\n')[0]
  assert found.steps == found.metrics[-1]['step'] == 2 * 24 // 8 and len(found.history) == 3
  with pytest.raises(AttributeError):
    found.config.seed = 1
  out = found.policy(jax.random.key(0), small.images(3)[0])
  assert out.shape == (3, 8, 8, 1) and out.dtype == jnp.uint8


def test_the_same_call_goes_on_and_other_images_are_refused(found, data):
  before = {name: os.stat(os.path.join(found.workdir, name)).st_mtime_ns for name in ('config.json', 'metrics.jsonl')}
  again = dx.search(*data, workdir=found.workdir, **SEARCH)
  assert again.policy.to_text() == found.policy.to_text()
  assert before['config.json'] == os.stat(os.path.join(found.workdir, 'config.json')).st_mtime_ns
  with pytest.raises(BadInput, match='holds a run of another config'):
    dx.search(255 - data[0], data[1], workdir=found.workdir, **SEARCH)


def test_a_workdir_is_loaded_with_its_network_alone(found, monkeypatch):
  again = dx.load(found.workdir)
  assert again.policy.to_text() == found.policy.to_text() and repr(again).startswith('<Found: ddas, finished')
  monkeypatch.setattr(nets.NETWORKS, '_rows', {n: r for n, r in nets.networks().items() if n != 'Net'})
  with pytest.raises(BadInput, match="the network 'Net', which is not one of this package: give it, as "):
    dx.load(found.workdir)
  assert dx.load(found.workdir, network=small.Net).finished


def test_a_search_that_was_ended_has_the_policy_of_its_last_checkpoint_and_goes_on(data, found, tmp_path, monkeypatch):
  real = loop.run

  def ended(job, folder, config, reporter, should_stop):
    return real(job, folder, config, reporter, lambda step: signal.SIGINT if step == 4 else False)

  monkeypatch.setattr(loop, 'run', ended)
  with pytest.raises(dx.Interrupted, match='after step 4; the same command goes on from step 4'):
    dx.search(*data, workdir=tmp_path / 'run', **SEARCH)
  monkeypatch.undo()
  so_far = dx.load(tmp_path / 'run')
  assert not so_far.finished and 'not finished, step 3' in so_far.summary() and so_far.decided is None
  assert so_far.policy.table.probability.sum() == pytest.approx(1)
  assert not (tmp_path / 'run' / 'policy.json').exists()
  whole = dx.search(*data, workdir=tmp_path / 'run', **SEARCH)
  assert whole.policy.to_text() == found.policy.to_text(), 'to the bit'


def test_without_a_workdir_a_temporary_one_is_said(data, capsys):
  words = SEARCH | {'progress': True, 'epochs': 1}
  found = dx.search(*data, **words)
  assert f'workdir: {found.workdir} (give workdir=' in capsys.readouterr().out and found.finished


def test_a_temporary_workdir_of_nothing_goes_again(data, capsys):
  with pytest.raises(BadInput, match='the batch of 4096'):
    dx.search(*data, **SEARCH | {'batch': 4096, 'progress': True})
  path = capsys.readouterr().out.split('workdir: ')[1].split(' (')[0]
  assert not os.path.exists(path)


@pytest.mark.parametrize('words, message', [
    ({'labels': None}, 'images are given without labels'),
    ({'images': 'embedded'}, 'labels is given beside a whole data set'),
    ({'network': 'small_cnnn'}, "no network 'small_cnnn' is known"),
    ({'batch': 4096}, 'the batch of 4096 images is larger than the 24 of D_train'),
    ({'loss': _pixels}, 'is made for a number of classes, which labels of a loss of your own have not'),
    ({'loss': lambda outputs, labels: labels, 'network': small.Segment()}, 'the loss gives int32 of shape'),
    ({'loss': lambda outputs, labels: outputs @ labels.reshape(3, 3), 'network': small.Segment()},
     'the loss cannot be applied to'),
    ({'loss': _pixels, 'network': 'supernet', 'class_names': ['a', 'b']}, "network 'supernet' has its own loss and takes none"),
    ({'method': 'faster_aa', 'loss': _pixels, 'network': small.Segment(), 'labels': np.zeros((48, 8, 8), int),
      'val_batches': None, 'policy.candidates': None, 'policy.K': None}, "method 'faster_aa' has its own loss and takes none"),
    ({'epochs': 0}, "config key 'search.epochs' must be in"), ({'epochs': 'two'}, 'must be a whole number')])
def test_what_is_wrong_is_one_line_and_leaves_nothing(data, tmp_path, words, message):
  call = {'images': data[0], 'labels': data[1], 'workdir': tmp_path / 'run', **SEARCH} | words
  with pytest.raises(BadInput, match=message) as error:
    dx.search(**{name: value for name, value in call.items() if value is not None or name == 'labels'})
  assert '\n' not in str(error.value) and not (tmp_path / 'run').exists()


# --- trainings ------------------------------------------------------------------------------------


def test_a_training_gives_back_a_network_that_answers(model, test_set):
  images, labels = test_set
  answer = model.evaluate(images, labels)
  assert answer.accuracy > 0.9 and answer.accuracy == pytest.approx(model.results['test_accuracy'])
  assert answer.loss == pytest.approx(model.results['test_loss'], rel=1e-4)
  p = model.predict_proba(images)
  np.testing.assert_allclose(p.sum(-1), 1, atol=1e-5)
  np.testing.assert_array_equal(p.argmax(-1), model.predict(images))
  np.testing.assert_array_equal(answer.confusion.sum(1), [20, 20])
  assert answer.of_each_class['top'] == answer.confusion[0, 0] / 20
  assert set(model.results['last_epoch']) == {'test_accuracy', 'test_loss'} and 1 <= model.results['best_epoch'] <= 12
  as_floats = model.outputs(images.astype(np.float32) / 255)
  np.testing.assert_allclose(as_floats, model.outputs(images), atol=1e-4)
  assert model.outputs(images[:0]).shape == (0, 2) and model.predict(images[:1]).shape == (1,)


def test_without_validation_all_images_are_trained_on_and_the_last_epoch_is_kept(data, test_set, tmp_path):
  words = {'policy': 'none', 'network': small.Net, 'epochs': 3, 'batch': 8, 'lr': 0.1, 'progress': False}
  model = dx.train(*data, test=test_set, val_fraction=0, workdir=tmp_path / 'run', **words)
  rows = [json.loads(line) for line in (tmp_path / 'run' / 'metrics.jsonl').read_text().splitlines()]
  assert rows[-1]['step'] == 3 * 6  # of 48 images
  assert not {'val_accuracy', 'val_loss', 'best_epoch'} & {*model.results, *rows[-1]}
  answer = model.evaluate(*test_set)
  assert model.results['test_accuracy'] == model.results['last_epoch']['test_accuracy'] == pytest.approx(answer.accuracy)
  assert model.results['test_loss'] == pytest.approx(answer.loss, rel=1e-4, abs=1e-6)
  chosen = dx.train(*data, test=test_set, val_fraction=0.25, workdir=tmp_path / 'chosen', **words)
  assert chosen.results['test_accuracy'] == pytest.approx(chosen.evaluate(*test_set).accuracy)
  last = chosen.results['best_epoch'] == 3
  assert (chosen.results['last_epoch']['test_loss'] == chosen.results['test_loss']) == last


def test_a_trained_network_is_loaded_again(model, test_set):
  again = dx.load(model.workdir)
  np.testing.assert_array_equal(again.outputs(test_set[0]), model.outputs(test_set[0]))
  assert again.class_names == ('top', 'bottom') and again.image_shape == (8, 8, 1)
  assert {'params/Conv_0/kernel', 'batch_stats/BatchNorm_0/mean'} <= set(_names(model.workdir))


def _names(workdir):
  from safetensors.numpy import load_file
  return load_file(os.path.join(workdir, trained.FILES[1]))


@pytest.mark.parametrize('labels, message', [
    (np.zeros(3, int), 'one for each of 40 images'), (np.full(40, 2), 'from 2 to 2'), (np.zeros(40), 'not float64')])
def test_labels_that_are_not_the_classes_are_refused(model, test_set, labels, message):
  with pytest.raises(BadInput, match=message):
    model.evaluate(test_set[0], labels)


@pytest.mark.parametrize('images, error', [
    (np.zeros((2, 9, 8, 1), np.uint8), ValueError), (np.zeros((2, 8, 8, 1), np.int32), TypeError),
    (np.full((2, 8, 8, 1), 3.0, np.float32), ValueError)])
def test_images_that_are_not_the_networks_are_refused(model, images, error):
  with pytest.raises(error):
    model.predict(images)


def test_files_say_where_they_come_from(found, model):
  policy = json.load(open(os.path.join(found.workdir, 'policy.json'), encoding='utf-8'))
  assert policy['about']['data'] == {'name': found.config.data.name, 'train_images': 48, 'image_shape': [8, 8, 1],
                                     'classes': 2}
  assert policy['about']['method'] == 'ddas' and policy['about']['units'] == {'Brightness': 'factor, 1 changes nothing'}
  digest = hashlib.sha256(open(os.path.join(found.workdir, 'policy.json'), 'rb').read()).hexdigest()
  assert model.results['from'] == {'search': {'workdir': 'search', 'sha256': {'policy.json': digest}}}
  run, = json.load(open(os.path.join(model.workdir, 'run.json'), encoding='utf-8'))['sessions']
  assert run['ended'] >= run['begun'] and run['versions']['jax'] == jax.__version__ and run['platform'] == 'cpu'


def test_a_policy_object_a_name_or_nothing_is_trained_under(found, data, tmp_path):
  words = {'network': small.Net, 'epochs': 1, 'batch': 8, 'progress': False}
  one = dx.train(*data, policy=found.policy, workdir=tmp_path / 'object', **words)
  kept = json.load(open(tmp_path / 'object' / 'policy.json', encoding='utf-8'))
  assert kept == json.loads(found.policy.to_text())
  assert set(one.results['from']['policy_search']) == {'sha256'} and 'test_accuracy' not in one.results
  assert dx.train(*data, workdir=tmp_path / 'nothing', **words).results['policy'] == 'standard'
  own = dx.train(*data, policy='none', workdir=tmp_path / 'nnx', **words | {'network': small.NnxNet})
  again = dx.load(tmp_path / 'nnx', network=small.NnxNet)
  np.testing.assert_array_equal(own.outputs(data[0]), again.outputs(data[0]))
  assert {'params/heads/0/kernel', 'state/norm/mean'} <= set(_names(own.workdir))
  with pytest.raises(BadInput, match='policy must be a policy that a search has found'):
    dx.train(*data, policy=3.5, workdir=tmp_path / 'number', **words)


def test_another_network_of_the_same_name_does_not_go_on(model, data, tmp_path):
  class Net(small.Net):  # the same name and weights, another program

    def __call__(self, images, train):
      return 2 * super().__call__(images, train)

  with pytest.raises(BadInput, match="network 'Net' that is another than the one of this name"):
    dx.load(model.workdir, network=Net)
  assert dx.load(model.workdir, network=small.Net).class_names == ('top', 'bottom')
  words = {'epochs': 1, 'batch': 8, 'progress': False, 'policy': 'none', 'workdir': tmp_path / 'run'}
  dx.train(*data, network=small.Net, **words)
  with pytest.raises(BadInput, match='holds a run of another network-jax-'):
    dx.train(*data, network=Net, **words)
  dx.load(model.workdir, network=small.Net)  # the name is its own again


def test_a_search_brings_its_network_and_its_policy_gives_way_to_a_baseline(found, data, tmp_path):
  model = dx.train(*data, search=found, policy='trivial_augment', workdir=tmp_path / 'run', epochs=1, batch=8, progress=False)
  assert model.results['policy'] == 'trivial_augment' and model.results['network'] == 'Net'
  assert found.own_network is small.Net and dx.load(found.workdir).own_network is None


def test_grey_images_and_a_whole_set_are_taken(model, test_set):
  np.testing.assert_array_equal(model.predict(test_set[0][..., 0]), model.predict(test_set[0]))
  data = dx.from_arrays(*test_set)
  with pytest.raises(BadInput, match='labels is given beside a whole data set'):
    dx.train(data, test_set[1], progress=False)


def test_an_unfinished_or_foreign_workdir_is_one_line(model, tmp_path):
  for path, message in ((tmp_path, 'holds no run'), (tmp_path / 'nowhere', 'holds no run')):
    with pytest.raises(BadInput, match=message):
      dx.load(path)
  (tmp_path / 'config.json').write_text('{"kind": "search", "method": "ddas", "seed": "x"}')
  with pytest.raises(BadInput, match="is damaged, or of another version: config key 'seed' must be"):
    dx.load(tmp_path)
  (tmp_path / 'config.json').write_text(open(os.path.join(model.workdir, 'config.json'), encoding='utf-8').read())
  with pytest.raises(BadInput, match='a training that is not finished'):
    dx.load(tmp_path)
  (tmp_path / 'network.json').write_text('{"format": "daas_jax.trained", "version": 1}')
  with pytest.raises(BadInput, match='"class_names" must be a list of names'):
    dx.load(tmp_path)


# --- a loss of one's own --------------------------------------------------------------------------


def test_masks_are_searched_and_trained_under_a_loss_of_ones_own(tmp_path):
  images, _ = small.images(32)
  masks = (images[..., 0] > 105).astype(np.int32)
  words = {'loss': _pixels, 'network': small.Segment(), 'batch': 8, 'progress': False}
  found = dx.search(images, masks, workdir=tmp_path / 'search', method='ddas', epochs=1, val_batches=1, padding=0,
                    **{'policy.candidates': ('Brightness:0.6', 'Contrast:0.6'), 'policy.K': 1}, **words)
  assert found.metrics[-1]['train_accuracy'] > 0  # of pixels
  model = dx.train(images, masks, policy='none', workdir=tmp_path / 'trained', epochs=12, lr=0.3, **words)
  assert model.class_names == () and model.results['val_loss'] < 0.6 and 'val_accuracy' not in model.results
  assert (model.outputs(images).argmax(-1) == masks).mean() > 0.7
  with pytest.raises(BadInput, match='tells no classes apart: use outputs'):
    model.predict(images)


# --- the commands ---------------------------------------------------------------------------------


def _files(folder, images, names):
  for i, (image, name) in enumerate(zip(images, names)):
    path = folder / name
    path.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(image[..., 0]).save(path / f'{i:02}.png')


def test_predict_writes_a_table_of_a_folder_and_of_arrays(model, test_set, tmp_path, capsys):
  images, labels = test_set
  _files(tmp_path / 'new', images[:6], [''] * 6)
  assert answers.predict([f'--network={model.workdir}', f'--images={tmp_path / "new"}', f'--out={tmp_path / "a.csv"}']) == 0
  rows = list(csv.DictReader(open(tmp_path / 'a.csv', encoding='utf-8')))
  assert [row['image'] for row in rows] == [str(tmp_path / 'new' / f'{i:02}.png') for i in range(6)]
  assert [row['class'] for row in rows] == [model.class_names[i] for i in model.predict(images[:6])]
  np.testing.assert_allclose([[float(row[c]) for c in model.class_names] for row in rows],
                             model.predict_proba(images[:6]), atol=1e-6)
  np.savez(tmp_path / 'new.npz', images=images)
  assert answers.predict([f'--network={model.workdir}', f'--images={tmp_path / "new.npz"}']) == 0
  assert len(capsys.readouterr().out.splitlines()) == 41
  np.testing.assert_array_equal(model.read(tmp_path / 'new'), images[:6])


def test_evaluate_says_what_is_taken_for_what(model, test_set, tmp_path, capsys):
  images, labels = test_set
  _files(tmp_path / 'set', images, [model.class_names[i] for i in labels])
  out = tmp_path / 'confusion.csv'
  assert answers.evaluate([f'--network={model.workdir}', f'--images={tmp_path / "set"}', f'--out={out}']) == 0
  said = capsys.readouterr().out
  whole = model.evaluate(images, labels)
  assert f'accuracy {whole.accuracy:.4f}, loss {whole.loss:.4f} nats, 40 images' in said
  rows = list(csv.reader(open(out, encoding='utf-8')))
  assert [[int(x) for x in row[1:]] for row in rows[1:]] == whole.confusion.tolist()


@pytest.mark.parametrize('images, more, message', [
    ('nowhere', [], 'nowhere does not exist: give a folder'), ('empty', [], 'holds no image file'),
    ('damaged', [], 'is no image that can be read'), ('other.npz', [], "its images are uint8 [2, 9, 9, 1]"),
    ('set', ['--out=there.csv'], '--out=there.csv is there already'), ('set', ['--outt=a'], 'unrecognized arguments')])
def test_bad_input_of_the_commands_is_one_line_with_status_2(model, tmp_path, monkeypatch, capsys, images, more, message):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'empty').mkdir()
  _files(tmp_path / 'set', small.images(2)[0], ['top', 'bottom'])
  _files(tmp_path / 'damaged', small.images(1)[0], [''])
  (tmp_path / 'damaged' / 'x.png').write_bytes(b'no image')
  np.savez(tmp_path / 'other.npz', images=np.zeros((2, 9, 9, 1), np.uint8))
  (tmp_path / 'there.csv').write_text('mine')
  assert answers.predict([f'--network={model.workdir}', f'--images={images}', *more]) == 2
  said = capsys.readouterr()
  assert said.err.count('\n') == 1 and message in said.err and not said.out
  assert (tmp_path / 'there.csv').read_text() == 'mine'


def test_a_search_without_a_network_cannot_be_asked(found, tmp_path, capsys):
  assert answers.evaluate([f'--network={found.workdir}', f'--images={tmp_path}']) == 2
  assert 'a search by ddas, which keeps no network: train what it found' in capsys.readouterr().err




# --- architectures --------------------------------------------------------------------------------


def test_cells_are_found_and_trained(tmp_path):
  """As the smoke test's commands search and train."""
  small_set = {'n_train': 240, 'n_test': 100, 'progress': False, 'layers': 3, 'channels': 2}
  found = dx.search('embedded', workdir=tmp_path / 'search', epochs=3, warmup_epochs=1, batch=10, n_arch=2, n_aug=2, n_w=2,
                    share='slot', primitives=('max_pool_3x3', 'skip_connect', 'sep_conv_3x3'), **small_set)
  assert len(found.genotype.normal) == 8 and 'node 2 =' in found.summary() and 'Color' not in found.policy.content['ops']
  model = dx.train('embedded', search=found, workdir=tmp_path / 'trained', epochs=1, batch=30, **small_set)
  again = dx.load(tmp_path / 'trained')
  images = np.zeros((2, 28, 28, 1), np.uint8)
  np.testing.assert_array_equal(again.outputs(images), model.outputs(images))
  assert set(model.results['from']['search']['sha256']) == {'policy.json', 'genotype.json'}
  check_words_are_of_the_search(found)


def check_words_are_of_the_search(found):
  """A word is of the search's own files; an object beside it is not, and neither hides the other."""
  drawn, policy = {}, found.policy
  for word in ('random_like:3', 'random:3', 'searched:1', None):
    for given in (None, policy, 'none', 'searched'):
      config = dx.train_config()
      config.network.update({'layers': 3, 'channels': 2})
      with inputs.written(given, word, found) as files, config.unlocked():
        inputs.fill(config, files, False, True, set())
        assert (config.policy, config.genotype) == ('none' if given == 'none' else 'searched', word or 'searched')
        assert files.search == found.workdir and (files.policy_search != found.workdir) == (given is policy)
        drawn[word] = whole.architecture(config, files.search)
        if given != 'none':
          assert given_policies.text(config.policy, files.policy_search) == policy.to_text()
  assert drawn[None] == found.genotype
  weights_of = {word: weights.operations(genotype, 3, 2) for word, genotype in drawn.items()}
  assert abs(weights_of['random_like:3'] - weights_of[None]) <= weights.WITHIN * weights_of[None]
  assert drawn['random:3'] == genotype_lib.random_genotype(3, found.config.network.primitives)


@pytest.mark.parametrize('words, policy, genotype', [
    ({}, 'standard', None), ({'genotype': 'random:3'}, 'standard', 'random:3'),
    ({'policy': 'none', 'genotype': 'darts_v2'}, 'none', 'darts_v2'),
    ({'genotype': dx.load_genotype('darts_v2')}, 'standard', 'searched')])
def test_what_a_training_starts_from(words, policy, genotype):
  config = dx.train_config()
  with inputs.written(words.get('policy'), words.get('genotype'), None) as files:
    if genotype is None:
      with pytest.raises(BadInput, match="network 'derived' needs an architecture: give search=..."):
        inputs.fill(config, files, False, True, set())
      return
    inputs.fill(config, files, False, True, set())
    assert (config.policy, config.genotype) == (policy, genotype)
    assert (files.search is not None) == (genotype == 'searched')
  assert not files.search or not os.path.exists(files.search)
