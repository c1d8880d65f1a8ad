"""The variant ':smoke' of every paper config through the commands: search, then training of what it found.

All in this process: starting another, and compiling what every one needs, would be a quarter of a run.
"""

import contextlib
import importlib
import io
import json
import math

from conftest import CACHE, ROOT
import jax
import numpy as np
import pytest

import daas_jax
from daas_jax.runtime import cli

# side of an image in pixels, classes, training and test images a class
# CIFAR-100's configs are CIFAR-10's but for the name of the data (tests/config/test_configs.py).
# Only 'test_search_then_train' has images of the paper's size: at XLA's lowest level a step takes seconds, a pixel each.
SIDE = 20
SHAPES = {'cifar10': (32, 10, 10, 1), 'imagenet': (224, 5, 4, 1)}


def write_arrays(path, side, classes, n_train, n_test):
  """An .npz file of random images of side x side x 3, with every class as often as the next."""
  rng = np.random.default_rng(0)
  arrays = {}
  for split, n in (('train', n_train * classes), ('test', n_test * classes)):
    arrays[f'{split}_images'] = rng.integers(0, 256, (n, side, side, 3), np.uint8)
    arrays[f'{split}_labels'] = rng.permutation(np.arange(n) % classes)
  np.savez(path, **arrays)


def run(command, *arguments):
  """Runs a command of the package to its end, JAX being strict; its output is shown where it fails."""
  room, said = importlib.import_module(f'daas_jax.{command}.command'), io.StringIO()
  with contextlib.chdir(ROOT), contextlib.redirect_stdout(said), contextlib.redirect_stderr(
      said), jax.numpy_rank_promotion('raise'), jax.numpy_dtype_promotion('strict'):
    words = [f'--compilation_cache={CACHE}', *map(str, arguments)]
    status = cli.run(command, room.main, words, room.define_flags)
  assert status == 0, said.getvalue()[-4000:]


def rows_of(folder):
  rows = [json.loads(line) for line in (folder / 'metrics.jsonl').read_text().splitlines()]
  assert all(math.isfinite(value) for row in rows for value in row.values() if not isinstance(value, str))
  assert [row['step'] for row in rows] == list(range(1, len(rows) + 1))
  return rows


def check_decided(folder, *parts):
  """A handful of steps decide nothing, and the search says so."""
  says = json.loads((folder / 'decided.json').read_text())['sentence']
  assert (folder / 'summary.txt').read_text().split('\n')[0] == says
  assert [part.split(': ', 1)[0] for part in says.split('; ')] == list(parts)
  assert says.count('nothing was found, ') == says.count(' too few to tell') == len(parts)


def check_search(folder, searched=True):
  config = json.loads((folder / 'config.json').read_text())
  rows = rows_of(folder)
  phases = [row['phase'] for row in rows]
  half = len(rows) // 2
  assert half >= 2 and phases == ['warm-up'] * half + ['joint'] * half
  assert {'train_loss', 'val_loss', 'grad_norm_theta', 'grad_norm_arch', 'grad_norm_gamma'} <= set(rows[0])
  for row in rows:
    assert row['grad_norm_theta'] > 0 and (row['grad_norm_arch'] > 0) == searched
    assert (row['grad_norm_gamma'] > 0) == (row['phase'] == 'joint')
  measured = {'entropy_alpha', 'entropy_pi_0', 'skip_share'} if searched else {'entropy_pi_0'}
  assert measured <= set(rows[-1])  # at the end of an epoch
  assert (folder / 'genotype.json').exists() == searched
  genotype = json.loads((folder / 'genotype.json').read_text()) if searched else {}
  for cell in genotype and ('normal', 'reduce'):
    assert [len(node) for node in genotype[cell]] == [2] * 4  # edges of each of the 4 intermediate nodes
    assert {name for node in genotype[cell] for name, _ in node} <= set(config['network']['primitives'])
  policies = json.loads((folder / 'policy.json').read_text())['policies']
  assert len(policies) == 225 and abs(sum(row['probability'] for row in policies) - 1) < 1e-4
  check_decided(folder, 'policy', *['architecture'] * searched)
  assert any((folder / 'checkpoints').iterdir())


def check_training(folder, genotype='searched', validated=False):
  config = json.loads((folder / 'config.json').read_text())
  rows = rows_of(folder)
  assert {row['phase'] for row in rows} == {'train'} and rows[-1]['epoch'] == config['train']['epochs']
  results = json.loads((folder / 'results.json').read_text())
  assert 0 <= results['test_accuracy'] <= 1 and math.isfinite(results['test_loss'])
  if validated:
    assert 0 <= rows[-1]['val_accuracy'] <= 1 and 1 <= results['best_epoch'] <= config['train']['epochs']
  else:  # all images are trained on, the last epoch is kept
    assert not {'val_accuracy', 'best_epoch'} & {*results, *rows[-1]}
    assert results['last_epoch'] == {name: results[name] for name in ('test_accuracy', 'test_loss')}
  assert results['genotype'] == genotype and results['policy'] == 'searched' and results['parameters'] > 0
  assert any((folder / 'checkpoints').iterdir())


@pytest.mark.parametrize('name', SHAPES)
def test_search_then_train(name, tmp_path):
  write_arrays(tmp_path / 'data.npz', *SHAPES[name])
  data = f'--config.data.name=arrays:{tmp_path / "data.npz"}'
  found, trained = tmp_path / 'search', tmp_path / 'train'
  run('search', f'--config=configs/daas_{name}.py:smoke', data, f'--workdir={found}')
  check_search(found)
  run('train', f'--config=configs/train_{name}.py:smoke', data, f'--search={found}', f'--workdir={trained}')
  check_training(trained)


def test_search_and_train_on_fixed_networks(tmp_path):
  write_arrays(tmp_path / 'data.npz', SIDE, 2, 32, 5)
  data = f'--config.data.name=arrays:{tmp_path / "data.npz"}'
  found = tmp_path / 'search'
  run('search', '--config=configs/daas_wrn_40_2.py:smoke', data, f'--workdir={found}')
  check_search(found, searched=False)
  for name in ('wrn_40_2', 'wrn_28_10', 'shake_shake', 'pyramidnet'):
    trained = tmp_path / name
    run('train', f'--config=configs/train_{name}.py:smoke', data, f'--search={found}', f'--workdir={trained}')
    check_training(trained, 'none')


def test_ddas_then_train_under_the_policies_of_its_epochs(tmp_path):
  write_arrays(tmp_path / 'data.npz', SIDE, 2, 40, 5)
  data = f'--config.data.name=arrays:{tmp_path / "data.npz"}'
  found, trained = tmp_path / 'search', tmp_path / 'train'
  run('search', '--config=configs/ddas_cifar10.py:smoke', data, f'--workdir={found}')
  rows = rows_of(found)
  assert len(rows) == 4 and {row['phase'] for row in rows} == {'policy'}
  assert all(row['grad_norm_theta'] > 0 and row['grad_norm_gamma'] > 0 for row in rows)
  assert {'p_tp', 'entropy_p_o'} <= set(rows[-1]) and not (found / 'genotype.json').exists()
  check_decided(found, 'policy')
  policy = json.loads((found / 'policy.json').read_text())
  assert len(policy['candidates']) == 52 and len(policy['epochs']) == 2
  run('train', '--config=configs/train_wrn_40_2.py:smoke', data, f'--search={found}', f'--workdir={trained}')
  check_training(trained, 'none')


@pytest.mark.parametrize('shape, config', [
    (SHAPES['imagenet'], 'ddas_imagenet.py:smoke'), ((SIDE, 2, 40, 5), 'ddas_cifar10.py:supernet_smoke')])
def test_ddas_on_imagenet_and_on_the_supernet(shape, config, tmp_path):
  write_arrays(tmp_path / 'data.npz', *shape)
  found = tmp_path / 'search'
  run('search', f'--config=configs/{config}', f'--config.data.name=arrays:{tmp_path / "data.npz"}',
      f'--workdir={found}')
  rows = rows_of(found)
  assert len(rows) == 4 and all(row['grad_norm_theta'] > 0 and row['grad_norm_gamma'] > 0 for row in rows)
  policy = json.loads((found / 'policy.json').read_text())
  assert len(policy['candidates']) == 52 and len(policy['epochs']) == 2
  assert not (found / 'genotype.json').exists()
  if 'imagenet' in config:
    trained = tmp_path / 'train'
    run('train', '--config=configs/train_resnet_50.py:smoke', f'--config.data.name=arrays:{tmp_path / "data.npz"}',
        f'--search={found}', f'--workdir={trained}')
    check_training(trained, 'none')


def test_joint_search_of_darts_and_faster_autoaugment(tmp_path):
  write_arrays(tmp_path / 'data.npz', SIDE, 2, 50, 5)
  data = f'--config.data.name=arrays:{tmp_path / "data.npz"}'
  found, trained = tmp_path / 'search', tmp_path / 'train'
  run('search', '--config=configs/joint_faa_cifar10.py:smoke', data, f'--workdir={found}')
  rows = rows_of(found)
  assert len(rows) == 4 and {row['phase'] for row in rows} == {'joint'}
  assert all(min(row['grad_norm_theta'], row['grad_norm_arch'], row['grad_norm_gamma']) > 0 for row in rows)
  assert {'entropy_alpha', 'entropy_z', 'skip_share'} <= set(rows[-1]) and 'entropy_beta' not in rows[-1]
  check_decided(found, 'policy', 'architecture')
  genotype = json.loads((found / 'genotype.json').read_text())
  assert 'none' not in {name for cell in ('normal', 'reduce') for node in genotype[cell] for name, _ in node}
  policies = json.loads((found / 'policy.json').read_text())['policies']
  assert abs(sum(row['probability'] for row in policies) - 1) < 1e-4
  run('train', '--config=configs/train_cifar10.py:smoke', data, f'--search={found}', f'--workdir={trained}')
  check_training(trained)


@pytest.mark.parametrize('name', ['cifar10', 'imagenet'])
def test_diffautoml_ends_with_a_network_ready_to_use(name, tmp_path):
  side = SHAPES[name][0]
  write_arrays(tmp_path / 'data.npz', side, 2, 40, 5)
  data, found = f'--config.data.name=arrays:{tmp_path / "data.npz"}', tmp_path / 'search'
  run('search', f'--config=configs/diffautoml_{name}.py:smoke', data, f'--workdir={found}')
  rows = rows_of(found)
  assert [row['phase'] for row in rows] == ['search'] * 2 + ['tuning'] * 2
  assert all(min(row['grad_norm_theta'], row['grad_norm_gamma'], row['weight_decay'], row['lr_scale']) > 0
             for row in rows)
  assert {'entropy_alpha', 'entropy_tau'} <= set(rows[-1])
  check_decided(found, 'policy', 'architecture')
  results = json.loads((found / 'results.json').read_text())
  assert rows[2]['multiply_adds'] == rows[3]['multiply_adds'] == results['multiply_adds']  # the path is fixed
  network = daas_jax.load(found).network
  with np.load(tmp_path / 'data.npz') as arrays:
    images, labels = arrays['test_images'], arrays['test_labels']
  right = network.predict(images) == labels
  assert len(network.class_names) == 2 and abs(right.mean() - results['test_accuracy']) < 1e-6
  if name == 'cifar10':
    trained = tmp_path / 'train'
    run('train', '--config=configs/train_diffautoml_quickstart.py', data, f'--search={found}', f'--workdir={trained}',
        '--config.train.epochs=2', '--config.train.batch=30', '--config.log.every_steps=1')
    check_training(trained, validated=True)
    after = json.loads((trained / 'results.json').read_text())
    assert after['test_accuracy_of_the_search'] == results['test_accuracy']
    assert after['parameters'] == results['parameters']


def test_diffautoml_s_augmentation_and_hyper_parameters_on_a_fixed_network(tmp_path):
  write_arrays(tmp_path / 'data.npz', SIDE, 2, 40, 5)
  found = tmp_path / 'search'
  run('search', '--config=configs/diffautoml_quickstart.py:fixed', f'--config.data.name=arrays:{tmp_path / "data.npz"}',
      f'--workdir={found}', '--config.network.width=2', '--config.search.epochs=2', '--config.search.batch=20',
      '--config.data.val_fraction=0.5', '--config.search.moment_batches=2', '--config.log.every_steps=1')
  rows = rows_of(found)
  assert [row['phase'] for row in rows] == ['search'] * 4 and 'grad_norm_arch' not in rows[0]
  for name in ('lr_scale', 'weight_decay'):
    assert rows[0][name] != rows[-1][name] > 0
  assert not (found / 'blocks.json').exists()
  network = daas_jax.load(found).network
  with np.load(tmp_path / 'data.npz') as arrays:
    right = network.predict(arrays['test_images']) == arrays['test_labels']
  assert abs(right.mean() - json.loads((found / 'results.json').read_text())['test_accuracy']) < 1e-6


def test_faster_autoaugment_alone_then_darts_under_its_policy(tmp_path):
  write_arrays(tmp_path / 'data.npz', SIDE, 2, 40, 5)
  data = f'--config.data.name=arrays:{tmp_path / "data.npz"}'
  run('search', '--config=configs/faster_aa_cifar10.py:smoke', data, f'--workdir={tmp_path / "search"}')
  rows = rows_of(tmp_path / 'search')
  assert len(rows) == 4 and all(row['penalty'] > 0 and row['grad_norm_gamma'] > 0 for row in rows)
  assert not (tmp_path / 'search' / 'genotype.json').exists()
  check_decided(tmp_path / 'search', 'policy')
  assert len(json.loads((tmp_path / 'search' / 'policy.json').read_text())['policies'][0]['ops']) == 2
  run('search', '--config=configs/darts_cifar10.py:smoke', '--config.policy.name=searched', data,
      f'--search={tmp_path / "search"}', f'--workdir={tmp_path / "darts"}')
  rows = rows_of(tmp_path / 'darts')
  assert len(rows) == 4 and all(row['grad_norm_arch'] > 0 and row['grad_norm_second'] == 0 for row in rows)
  assert 'dominant_eigenvalue' in rows[-1] and (tmp_path / 'darts' / 'genotype.json').exists()
  check_decided(tmp_path / 'darts', 'architecture')
  policy = 'policy.json'  # kept beside the architecture: both go on to a training
  assert (tmp_path / 'darts' / policy).read_bytes() == (tmp_path / 'search' / policy).read_bytes()


def test_amended_darts_and_a_network_whose_cells_all_differ(tmp_path):
  write_arrays(tmp_path / 'data.npz', SIDE, 2, 50, 5)
  data = f'--config.data.name=arrays:{tmp_path / "data.npz"}'
  run('search', '--config=configs/amended_cifar10.py:smoke', data, f'--workdir={tmp_path / "s1"}')
  rows = rows_of(tmp_path / 's1')
  assert len(rows) == 4 and all(row['grad_norm_second'] > 0 for row in rows)
  genotype = json.loads((tmp_path / 's1' / 'genotype.json').read_text())
  for cell in ('normal', 'reduce'):
    assert [[source for _, source in node] for node in genotype[cell]] == [[0, 1], [0, 2], [0, 3], [0, 4]]
  found, trained = tmp_path / 's2', tmp_path / 'train'
  run('search', '--config=configs/amended_cifar10.py:s2_smoke', data, f'--workdir={found}',
      '--config.arch.eigenvalue_every=0')  # measured above: another half of a minute to compile
  assert len(json.loads((found / 'genotype.json').read_text())['cells']) == 3
  check_decided(found, 'architecture')
  run('train', '--config=configs/train_cifar10.py:smoke', data, f'--search={found}', '--policy=standard',
      f'--workdir={trained}')
  results = json.loads((trained / 'results.json').read_text())
  assert results['parameters'] > 0 and results['policy'] == 'standard'


def test_ddas_on_objects_with_a_small_retinanet(tmp_path):
  """The variant composes its scenes itself: COCO's reader has a test of its own."""
  run('search', '--config=configs/ddas_coco.py:smoke', f'--workdir={tmp_path / "search"}')
  rows = rows_of(tmp_path / 'search')
  assert len(rows) == 4 and all(row['grad_norm_theta'] > 0 for row in rows)
  # A quarter of the candidates leave grey scenes as they are: the third step draws no other, and its gradient may be 0.
  assert sum(row['grad_norm_gamma'] > 0 for row in rows) >= 3
  policy = json.loads((tmp_path / 'search' / 'policy.json').read_text())
  assert len(policy['candidates']) == 46  # those that know where boxes go, without Color on grey images and len(policy['epochs']) == 2
  check_decided(tmp_path / 'search', 'policy')
  found = json.loads((tmp_path / 'search' / 'detection.json').read_text())
  assert found['images'] == 4 and 0 <= found['ap'] <= found['ap50'] <= 1
