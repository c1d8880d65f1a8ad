"""The transform in a real torch DataLoader with two workers: no two draw the same numbers, and a seed repeats them."""

import importlib.util
import json
import pickle
import subprocess
import sys

import pytest

import commands
from conftest import ROOT
import daas_jax as dx
from daas_jax.export import command

if importlib.util.find_spec('torch') is None:
  pytest.skip('PyTorch is not installed: pip install torch torchvision for its DataLoader', allow_module_level=True)

# Two uniform magnitudes and a ramp: two draws that give the same image are as good as impossible.
CONTENT = {'format': 'daas_jax.policy_transformations', 'version': 1, 'K': 2, 'ops': ['Contrast', 'Rotate'],
           'epochs': [[0, 1, 0, 0], [0, 1, 0, 0]]}

PROGRAM = '''
import pickle, sys
import numpy as np
from PIL import Image
import torch
from torch.utils import data

RAMP = np.arange(32 * 32, dtype=np.uint16).reshape(32, 32) // 4


class Images(data.Dataset):
  """Item i: (which worker, the same image under the transform)."""

  def __init__(self, transform):
    self.transform = transform

  def __len__(self):
    return 24

  def __getitem__(self, i):
    assert 'jax' not in sys.modules
    image = self.transform(Image.fromarray(RAMP.astype(np.uint8)))
    worker = data.get_worker_info()
    return -1 if worker is None else worker.id, torch.from_numpy(np.array(image))


def epoch(loader):
  """{worker: its images as bytes, in order}."""
  found = {}
  for workers, images in loader:
    for worker, image in zip(workers.tolist(), images):
      found.setdefault(worker, []).append(image.numpy().tobytes())
  return found


def check(make, method):
  """`make` gives a new transform; `method` starts processes."""
  rounds = []
  for _ in range(2):
    torch.manual_seed(5)
    loader = data.DataLoader(Images(make()), batch_size=4, num_workers=2, multiprocessing_context=method)
    rounds.append([epoch(loader) for _ in range(2)])
  first, second = rounds[0]
  assert set(first) == {0, 1} and all(len(images) == 12 for images in first.values())
  images = [image for one in (first, second) for of_worker in one.values() for image in of_worker]
  assert len(set(images)) == 48, (method, len(set(images)))  # workers and epochs: all are different
  assert rounds[0] == rounds[1], method  # torch.manual_seed repeats them
  torch.manual_seed(6)
  other = epoch(data.DataLoader(Images(make()), batch_size=4, num_workers=2, multiprocessing_context=method))
  assert not set(images) & {image for of_worker in other.values() for image in of_worker}


def check_one_process(make):
  found = []
  for seed in (5, 5, 6):
    torch.manual_seed(seed)
    found.append(epoch(data.DataLoader(Images(make()), batch_size=4))[-1])
  assert len(set(found[0])) == 24 and found[0] == found[1] and not set(found[0]) & set(found[2])
  first, second = (transform(Image.fromarray(RAMP.astype(np.uint8))) for transform in (make(), make()))
  assert first.tobytes() != second.tobytes()  # two views of one image


def check_persistent(make):
  loader = data.DataLoader(Images(make()), batch_size=4, num_workers=2, persistent_workers=True,
                           multiprocessing_context='fork')
  images = [image for _ in range(2) for of_worker in epoch(loader).values() for image in of_worker]
  assert len(set(images)) == 48


def make_exported():
  import exported
  return exported.Policy()


def check_torchvision():
  try:
    from torchvision import datasets, transforms
  except (ImportError, RuntimeError) as error:  # not there, or built for another torch
    return f'no torchvision: {error}'
  transform = transforms.Compose([transforms.RandomCrop(32, 4), make_exported(), transforms.ToTensor()])
  images = datasets.FakeData(8, (3, 40, 36), transform=transform)
  loader = data.DataLoader(images, batch_size=4, num_workers=2, multiprocessing_context='spawn')
  assert [tuple(x.shape) for x, _ in loader] == [(4, 3, 32, 32)] * 2
  assert 'Policy(Contrast, Rotate)' in repr(transform)
  return 'torchvision'


if __name__ == '__main__':
  check(make_exported, 'fork')
  check(make_exported, 'spawn')
  check_one_process(make_exported)
  check_persistent(make_exported)
  with open('transform.pickle', 'rb') as file:
    of_package = file.read()
  # Given a seed it is that and the worker's own: copies of one object.
  check(lambda: pickle.loads(of_package), 'fork')
  print('ran with', check_torchvision())
'''


def test_workers_draw_different_numbers_and_a_seed_repeats_them(tmp_path):
  (tmp_path / 'policy.json').write_text(json.dumps(CONTENT))
  assert command.main([str(tmp_path / 'policy.json'), '--to=torchvision', f'--out={tmp_path}/exported.py']) == 0
  (tmp_path / 'transform.pickle').write_bytes(pickle.dumps(dx.Policy(CONTENT).for_torchvision(seed=1)))
  (tmp_path / 'program.py').write_text(PROGRAM)
  done = subprocess.run([sys.executable, 'program.py'], cwd=tmp_path, text=True, capture_output=True, check=False,
                        env=commands.environment(PYTHONPATH=':'.join([str(ROOT), *filter(None, sys.path)])), timeout=300)
  assert done.returncode == 0, done.stderr
  assert done.stdout.startswith('ran with')
