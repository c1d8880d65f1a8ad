"""`PYTHON public.py CASE BATCH FOLDER`: a row of the benchmark for public PyTorch code, by an
interpreter with PyTorch.

FOLDER holds checkouts of github.com/quark0/darts and github.com/D-X-Y/AutoDL-Projects. Their own
networks and loss, run as they are; what is timed is what their search loops do: forward, backward,
one optimizer step. This file imports nothing of daas_jax, as its interpreter need not have JAX.
"""

import json
import os
import platform
import resource
import statistics
import sys
import time

import torch

SIDE, CLASSES, CHANNELS = 32, 10, 16
ON_CPU = os.environ.get('JAX_PLATFORMS') == 'cpu'  # then the package's own cases are there as well
DEVICE = 'cuda' if torch.cuda.is_available() and not ON_CPU else 'cpu'


def _optimizer(parameters, kind):
  return torch.optim.SGD(parameters, 0.025, 0.9,
                         weight_decay=3e-4) if kind == 'weight' else torch.optim.Adam(
                             parameters, 3e-4, (0.5, 0.999), weight_decay=1e-3)


def _step(loss, optimizer, network):
  def step():
    network.zero_grad()
    optimizer.zero_grad()
    loss().backward()
    optimizer.step()
  return step


def _gdas(images, labels, folder, kind):
  """8 cells of 16 channels, one operation on each of the 14 edges (its Gumbel sample has no second
  step to edges)."""
  sys.path.insert(0, os.path.join(folder, 'AutoDL-Projects'))
  from xautodl.models.cell_operations import SearchSpaceNames
  from xautodl.models.cell_searchs.search_model_gdas_nasnet import NASNetworkGDAS
  network = NASNetworkGDAS(CHANNELS, 2, 4, 4, 3, CLASSES, SearchSpaceNames['darts'], False, True)
  network = network.to(DEVICE)
  parameters = network.get_weights() if kind == 'weight' else network.get_alphas()
  loss = lambda: torch.nn.functional.cross_entropy(network(images)[1], labels)
  return _step(loss, _optimizer(parameters, kind), network)


def _darts(images, labels, folder, kind):
  """8 cells of 16 channels, every operation on every edge; the architecture step is the first-order
  one."""
  sys.path.insert(0, os.path.join(folder, 'darts', 'cnn'))
  if DEVICE == 'cpu':
    torch.Tensor.cuda = lambda self: self  # their constructor moves alpha to a GPU
  from model_search import Network
  network = Network(CHANNELS, CLASSES, 8, torch.nn.CrossEntropyLoss()).to(DEVICE)
  parameters = network.parameters() if kind == 'weight' else network.arch_parameters()
  return _step(lambda: network._loss(images, labels), _optimizer(parameters, kind), network)


def _wrn(images, labels, folder):
  sys.path.insert(0, os.path.join(folder, 'AutoDL-Projects'))
  from xautodl.models.CifarWideResNet import CifarWideResNet
  network = CifarWideResNet(40, 2, CLASSES, False).to(DEVICE)
  def loss():
    return torch.nn.functional.cross_entropy(network(images)[1], labels)
  def gradient():
    network.zero_grad()
    loss().backward()
  return gradient


CASES = {
    'public:gdas_weight': lambda *a: _gdas(*a, 'weight'),
    'public:gdas_arch': lambda *a: _gdas(*a, 'arch'),
    'public:darts_weight': lambda *a: _darts(*a, 'weight'),
    'public:darts_first_order': lambda *a: _darts(*a, 'arch'),
    'public:wrn_40_2': _wrn,
}


def _blocked(call):
  call()
  if DEVICE == 'cuda':
    torch.cuda.synchronize()


def _milliseconds(call, least=5, most=30, budget=8.0):
  """As `benchmark.measure.step_milliseconds`."""
  for _ in range(2):
    _blocked(call)
  times, begun = [], time.perf_counter()
  while len(times) < least or (len(times) < most and time.perf_counter() - begun < budget):
    start = time.perf_counter()
    _blocked(call)
    times.append(1e3 * (time.perf_counter() - start))
  return times


def row(name, batch, folder):
  """The row of a case; PyTorch compiles nothing and knows no program, so those fields are None."""
  torch.manual_seed(0)
  images = torch.rand(batch, 3, SIDE, SIDE).to(DEVICE)
  labels = torch.randint(CLASSES, (batch,)).to(DEVICE)
  before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
  call = CASES[name](images, labels, folder)
  print('compiled', flush=True)  # nothing is; as the package's own cases do
  sys.stdin.readline()
  times = _milliseconds(call)
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
  return {
      'case': name,
      'batch': batch,
      'dtype': 'float32',
      'kernels': 'PyTorch',
      'backend': DEVICE,
      'device': torch.cuda.get_device_name() if DEVICE == 'cuda' else platform.machine(),
      'compile_cold_s': None,
      'compile_warm_s': None,
      'step_ms': statistics.median(times),
      'step_ms_min': min(times),
      'step_ms_max': max(times),
      'program_mb': torch.cuda.max_memory_allocated() / 1e6 if DEVICE == 'cuda' else peak - before,
      'process_mb': peak,
      'images_per_s': 1e3 * batch / statistics.median(times),
      'floor': None
  }


if __name__ == '__main__':
  print(json.dumps(row(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
