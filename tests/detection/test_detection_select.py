"""Which data go with which network and method: what is composed, and one line where they do not fit."""

import numpy as np
import pytest

from conftest import ROOT
from daas_jax import config as config_lib
from daas_jax.detection import select
from daas_jax.errors import BadInput
from daas_jax.runtime import cli
from daas_jax.search import command as search
from daas_jax.train import command as train

FILE = f'--config={ROOT / "configs" / "ddas_detection.py"}:smoke'


def _config(**changes):
  config = config_lib.search_config('ddas')
  config.data.update(name='scenes:embedded', n_train=9, n_test=2, side=48, objects=2, val_fraction=1 / 3)
  config.data.update(changes)
  config.preprocess.padding = 0
  config.network.name = 'anchor_free'
  return config


def test_scenes_are_composed_as_asked_for():
  config = _config()
  config_lib.check(config, 'search')
  data = select.from_config(config)
  assert data.train.images.shape == (9, 48, 48, 1) and data.test.boxes.shape == (2, 2, 4)
  assert [len(rows) for rows in data.halves] == [6, 3]
  np.testing.assert_array_equal(data.train.images, select.from_config(config).train.images)
  config.seed = 1
  assert np.any(data.train.images != select.from_config(config).train.images)


@pytest.mark.parametrize('changes, words', [
    ({'name': 'embedded'}, "boxes: set data.name to scenes:embedded or tfds:coco/2017, not 'embedded'"),
    ({'name': 'arrays:images.npz'}, 'needs images with boxes'), ({'name': 'scenes:'}, 'needs images with boxes'),
    ({'name': 'scenes:embeded'}, 'nearest: embedded'), ({'n_train': 0}, 'data.n_train=0'),
    ({'n_test': 0}, 'raise them'), ({'n_train': 1}, 'gets no scene'), ({'side': 24}, 'do not fit into scenes of 24'),
    ({'side': 46}, 'multiple of 4')])
def test_data_that_cannot_be(changes, words):
  with pytest.raises(BadInput) as error:
    select.from_config(_config(**changes))
  assert words in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('file, words, message', [
    (FILE, ['data.name=embedded'], "set data.name to scenes:embedded or tfds:coco/2017, not 'embedded'"),
    (FILE, ['data.name=tfds:cifar10'], 'tfds:cifar10 has no boxes'),
    (FILE, ['network.name=wrn_40_2', 'network.depth=0'],
     "config key 'data.objects' is for the networks anchor_free and retinanet"),
    (FILE, ['network.name=resnet_18', 'network.depth=0', 'data.objects=0'],
     "'scenes:embedded' are images to find objects in, for the networks anchor_free and retinanet"),
    (FILE, ['data.side=16'], "'data.side' must be at least 32 for anchor_free, not 16"),
    (FILE, ['data.objects=0'], "'data.objects' must be at least 1"),
    (FILE, ['preprocess.padding=4'], 'take no preprocess.padding=4: set --config.preprocess.padding=0'),
    (FILE, ['preprocess.crop=resized', 'data.classes=3'],
     'no preprocess.crop=resized: set --config.preprocess.crop=padded --config.data.classes=0'),
    (FILE, ['data.validation_turns=1'], 'data.validation_turns=0'),
    (FILE, ['network.width=6'], "'network.width' must be a multiple of 4 for anchor_free, not 6"),
    (FILE, ['network.name=retinanet', 'network.depth=20'],
     "'network.depth' must be one of 10, 14, 18, 26, 34, 50, 101 for retinanet, or 0 for 50, not 20"),
    ('configs/daas_small.py', ['network.name=retinanet'], "method 'daas' does not search policies for"),
    ('configs/joint_faa_quickstart.py', ['network.name=anchor_free'], 'must be one of supernet'),
    ('configs/faster_aa_cifar10.py', ['network.name=retinanet'], 'must be one of wrn_40_2'),
    ('configs/daas_small.py', ['data.name=scenes:embedded'], 'images to find objects in')])
def test_the_command_says_it_in_one_line(file, words, message, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(ROOT)
  file = file if file.startswith('--') else f'--config={file}'
  status = cli.run('search', search.main, [file, *(f'--config.{word}' for word in words), '--compilation_cache=off',
                                           f'--workdir={tmp_path / "run"}'], search.define_flags)
  error = capsys.readouterr().err
  assert status == 2 and error.count('\n') == 1 and message in error, error
  assert not (tmp_path / 'run').exists()


def test_a_training_refuses_both(tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(ROOT)
  for word, message in (('network.name=retinanet', 'must be one of derived'),
                        ('data.name=scenes:embedded', 'images to find objects in')):
    status = cli.run('train', train.main, ['--config=configs/train_small.py', f'--config.{word}', '--policy=none',
                                           '--genotype=random:0', '--compilation_cache=off',
                                           f'--workdir={tmp_path / "run"}'], train.define_flags)
    error = capsys.readouterr().err
    assert status == 2 and error.count('\n') == 1 and message in error, error
