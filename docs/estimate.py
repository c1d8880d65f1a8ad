"""Estimates on paper of a DAAS search on a TPU v4-32 and on 8 H100; prints the tables of docs/pods.md.

  python docs/estimate.py

What is counted: the gradient program of a pass, as JAX traces it (multiply-adds, bytes, kernels, branches), passes,
parameters and collectives. What is assumed: `MACHINES` and the constants beside it, each with its source or its reason.
Nothing of this was measured on such a machine.
"""

import math
import os
import sys
from typing import NamedTuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

import jax
from jax.extend import core
import jax.numpy as jnp
import numpy as np

from daas_jax.methods import problem as problem_lib
from daas_jax.config import file as config_file
from daas_jax.nets.cells import cell as cells


class Machine(NamedTuple):
  """A machine of n equal devices, and what is assumed of one.

  Attributes:
    name, hosts, devices, cores: the machine; cores are a host's virtual CPUs.
    peak: FLOP/s of matrix products in the precision that JAX takes for float32 by default.
    share: achieved fraction of `peak`.
    memory: bytes/s of the device's memory, peak; `MEMORY_SHARE` of it is achieved.
    link: bytes/s of an all-reduce, per device and direction, achieved.
    latency: seconds of an all-reduce of a few numbers.
    kernel: seconds that a kernel takes at least, its start included.
    branch: seconds to choose a branch (lax.switch) or to begin a pass.
  """
  name: str
  hosts: int
  devices: int
  cores: int
  peak: float
  share: float
  memory: float
  link: float
  latency: float
  kernel: float
  branch: float


MACHINES = (
    Machine('v4-32', 4, 16, 240, 275e12, 0.05, 1.2e12, 50e9, 10e-6, 2e-6, 2e-6),
    Machine('8 H100', 1, 8, 208, 495e12, 0.05, 3.35e12, 100e9, 20e-6, 5e-6, 20e-6))
MEMORY_SHARE = 0.6
DECODE = 150.0
"""Images of ImageNet that one virtual CPU decodes, crops and resizes in a second: an assumption."""
SETS = {'daas_cifar10': ((32, 32, 3), 10, 50_000), 'daas_imagenet': ((224, 224, 3), 120, 1_281_167 * 120 // 1000)}
"""{config: (image, classes, training images)}; of ImageNet 120 classes of average size."""


class Cost(NamedTuple):
  """What a program does: multiply-adds, bytes to and from memory, kernels started, branches chosen, normalisations."""
  products: float = 0.0
  bytes: float = 0.0
  kernels: float = 0.0
  branches: float = 0.0
  normalisations: float = 0.0

  def times(self, n):
    return Cost(*(n * x for x in self))

  def plus(self, other):
    return Cost(*(a + b for a, b in zip(self, other)))


def _size(variables):
  return sum(math.prod(v.aval.shape) * v.aval.dtype.itemsize for v in variables if hasattr(v.aval, 'dtype'))


def _sum(costs):
  return Cost(*(sum(column) for column in zip(Cost(), *costs)))


def _programs(values):
  for value in values:
    if isinstance(value, core.ClosedJaxpr):
      yield value.jaxpr
    elif isinstance(value, core.Jaxpr):
      yield value
    elif isinstance(value, (tuple, list)):
      yield from _programs(value)


def _branch_weights(n):
  """How often each branch of a slot is taken when operations and edges are drawn uniformly (`cells._choice`)."""
  strided = np.mean([np.mean([cells.edge_stride(e, True) == 2 for e in edges]) for edges in cells.NODE_EDGES])
  if n % 2 == 0:  # a reduction cell's: stride 2 first
    return [2 * strided / n] * (n // 2) + [2 * (1 - strided) / n] * (n // 2)
  return [1 / n] * n


def _equation(e):
  """Cost of one equation. Elementwise operations are fused into the kernels around them: a product writes and reads its
  operands and its result once more than it has to by itself, a reduction reads its operand, padding stands for the one
  loop of a pooling."""
  name = e.primitive.name
  operands, results = _size(e.invars), _size(e.outvars)
  if name in ('dot_general', 'conv_general_dilated'):
    out = math.prod(e.outvars[0].aval.shape)
    if name == 'dot_general':
      (contracted, _), _ = e.params['dimension_numbers']
      each = math.prod(e.invars[0].aval.shape[axis] for axis in contracted)
    else:
      kernel = e.invars[1].aval.shape
      each = math.prod(kernel) // kernel[e.params['dimension_numbers'].rhs_spec[0]]
    return Cost(out * each, 2 * (operands + results), 1)
  if name.startswith(('reduce_', 'argm')):
    return Cost(0, operands, 1)
  if name in ('pad', 'concatenate', 'scatter-add', 'gather'):
    return Cost(0, operands + results if name != 'scatter-add' else 3 * _size(e.invars[2:3]), 1)
  if name == 'rsqrt':  # once a batch normalisation, of one number a channel
    return Cost(normalisations=1)
  inside = [program(p) for p in _programs(e.params.values())]
  if name == 'cond':
    weights = _branch_weights(len(inside))
    return _sum(c.times(w) for c, w in zip(inside, weights)).plus(Cost(branches=1))
  return _sum(inside).times(e.params['length'] if name == 'scan' else 1)


def program(jaxpr):
  """Expected `Cost` of a jaxpr for uniformly drawn architectures."""
  return _sum(map(_equation, jaxpr.eqns))


class Counts(NamedTuple):
  """Of one search: parameters of theta and of the rest, its config, `Cost` of a pass by batch, and its data's facts."""
  theta: int
  other: int
  config: object
  passes: dict
  image: tuple
  train_images: int


def counts(name, batches):
  """Traces a config's gradient program at each of some batch sizes: `Counts`."""
  config = config_file.run(os.path.join(ROOT, 'configs', f'{name}.py'))
  config.network.kernels = 'xla'  # those that 'auto' takes on GPU and TPU
  image, classes, n = SETS[name]

  class Data:
    train_images, class_names = np.zeros((1, *image), np.uint8), tuple(map(str, range(classes)))
    mean, std, train_labels, name = (0.5,) * 3, (0.25,) * 3, np.zeros(1, np.int32), 'none'

  problem, key = problem_lib.build(config, Data()), jax.random.key(0)
  inits = problem.init_theta, problem.arch.init, problem.policies.init
  theta, arch, gamma = (jax.eval_shape(f, key) for f in inits)
  z = jax.eval_shape(problem.arch.sample, key, arch, 1.0)
  gradient = jax.value_and_grad(problem.loss, argnums=(0, 1), has_aux=True)
  passes = {}
  for batch in batches:
    shapes = theta, z, jax.ShapeDtypeStruct((batch, *image), jnp.float32), jax.ShapeDtypeStruct((batch,), jnp.int32)
    forward, both = (program(jax.make_jaxpr(f)(*shapes, key).jaxpr) for f in (problem.loss, gradient))
    # A collective for each normalisation, forward (again where a slot is computed again), and one backward.
    passes[batch] = both._replace(normalisations=both.normalisations + forward.normalisations)
  size = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  return Counts(size(theta), size((arch, gamma)), config, passes, image, n)


class Row(NamedTuple):
  """One way to run a search, predicted. Times in seconds, bytes an all-reduce moves per device and step."""
  way: str
  devices: int
  samples: tuple
  batch: int
  passes: float
  floating: float
  moved: float
  collectives: float
  warmup: float
  joint: float
  hours: float


def parts(cost, machine):
  """Seconds of one gradient pass on one device: (arithmetic, memory, starting kernels and choosing branches)."""
  return (2 * cost.products / (machine.share * machine.peak), cost.bytes / (MEMORY_SHARE * machine.memory),
          cost.kernels * machine.kernel + (cost.branches + 1) * machine.branch)


def pass_time(cost, machine):
  """Seconds of one gradient pass on one device: arithmetic and memory overlap, starting does not."""
  arithmetic, memory, start = parts(cost, machine)
  return max(arithmetic, memory) + start


def _ring(size, machine, devices):
  return 2 * (devices - 1) / devices * size


def estimate(counted, machine, way, devices, samples, batch):
  """The `Row` of a way to run.

  Args:
    counted: `Counts`.
    machine: `Machine`.
    way: 'one', 'samples' or 'data'.
    devices: how many are used.
    samples: (n_arch, n_w).
    batch: images of D_train of a step.
  """
  config, (n_arch, n_w), n_aug = counted.config, samples, counted.config.search.n_aug
  share = devices if way == 'samples' else 1
  rows = batch // devices if way == 'data' else batch
  joint, warmup = (n_arch * (n_aug + 2) + n_w) / share, (n_arch + n_w) / share
  cost = counted.passes[rows]
  each, moved, collectives = pass_time(cost, machine), 0.0, 0.0
  finished = 4 * (counted.theta + counted.other)
  if way == 'samples':  # the finished gradients, once a step
    moved, collectives = _ring(finished, machine, devices), 1
    times = [p * each + moved / machine.link + machine.latency for p in (warmup, joint)]
  elif way == 'data':  # theta's gradient of every pass, the moments of every normalisation
    of_pass = _ring(4 * counted.theta, machine, devices)
    meetings = cost.normalisations + 1
    each += of_pass / machine.link + meetings * machine.latency
    moved, collectives = joint * of_pass, joint * meetings
    times = [p * each for p in (warmup, joint)]
  else:
    times = [p * each for p in (warmup, joint)]
  per_epoch = int(counted.train_images * (1 - config.data.val_fraction)) // batch
  steps = config.search.warmup_epochs, config.search.epochs - config.search.warmup_epochs
  hours = sum(t * n for t, n in zip(times, steps)) * per_epoch / 3600
  return Row(way, devices, samples, batch, joint, joint * 2 * cost.products, moved, collectives, *times, hours)


def ways(machine):
  """(way, devices, (n_arch, n_w), batch) of the table's rows: the paper's samples, or what the devices divide."""
  n = machine.devices
  many = (n, max(n, 16))
  return [('one', 1, (5, 10), 64), ('one', 1, many, 64), ('samples', n, many, 64), ('data', n, (5, 10), 64),
          ('data', n, (5, 10), 64 * n)]


def _table(head, rows):
  lines = [head, ['---'] * len(head), *rows]
  return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def _figures(x, n=2):
  """x with n significant figures, without an exponent."""
  digits = n - 1 - math.floor(math.log10(abs(x))) if x else 0
  return f'{round(x, digits):,.{max(digits, 0)}f}'


def programs_table(all_counts):
  """What one pass of a batch of 64 is, by config."""
  rows = []
  for name, c in all_counts.items():
    cost = c.passes[64]
    rows.append([f'`{name}`', f'{c.theta:,}', f'{c.other:,}', f'{2e-9 * cost.products:.1f}', f'{cost.bytes / 1e9:.2f}',
                 f'{cost.kernels:,.0f}', f'{cost.branches:,.0f}', f'{cost.normalisations:,.0f}'])
  return _table(['config', 'theta, parameters', 'alpha, beta, gamma', 'GFLOP', 'GB of memory', 'kernels', 'branches',
                 'collectives in data mode'], rows)


def parts_table(all_counts):
  """What of a pass of 64 images, and of 4, takes the time on one device."""
  rows = []
  for name, c in all_counts.items():
    for machine in MACHINES:
      for batch in (64, 4):
        cost = c.passes[batch]
        rows.append([f'`{name}`', machine.name, str(batch), *(f'{1e3 * t:.1f}' for t in parts(cost, machine)),
                     f'{1e3 * pass_time(cost, machine):.1f}'])
  return _table(['config', 'machine', 'images', 'ms arithmetic', 'ms memory', 'ms starting', 'ms a pass'], rows)


def times_table(counted, machine):
  """The ways to run one search on one machine."""
  rows, alone = [], {}
  for way in ways(machine):
    row = estimate(counted, machine, *way)
    if row.way == 'one':
      alone[row.samples] = row
    one = alone[row.samples]
    # The same work: steps of a larger batch are fewer.
    efficiency = one.hours / (row.hours * row.devices) if row.way != 'one' else 1
    rows.append([{'one': 'one device', 'samples': '`samples`', 'data': '`data`'}[row.way], f'{row.devices}',
                 '{}, {}'.format(*row.samples), f'{row.batch:,}', f'{row.passes:g}', f'{row.floating / 1e9:,.0f}',
                 f'{row.moved / 1e6:,.0f}', f'{row.collectives:,.0f}',
                 f'{1e3 * row.warmup:,.0f}, {1e3 * row.joint:,.0f}', f'{100 * efficiency:.0f} %',
                 _figures(row.hours)])
  return _table([machine.name, 'devices', 'n_arch, n_w', 'batch', 'passes', 'GFLOP', 'MB all-reduced', 'collectives',
                 'ms: warm-up, joint', 'efficiency', 'hours'], rows)


def input_table(counted):
  """What ImageNet asks of the hosts: every process reads the whole batch in samples mode, its share in data mode."""
  rows = []
  for machine in MACHINES:
    for way in ways(machine)[2:]:
      row = estimate(counted, machine, *way)
      # The warm-up's steps are the shorter ones; both halves of a step are read.
      rate = 2 * row.batch / row.warmup / (machine.hosts if row.way == 'data' else 1)
      rows.append([machine.name, f'`{row.way}`', f'{row.batch:,}', f'{1e3 * row.warmup:,.0f}', _figures(rate),
                   f'{math.ceil(rate / DECODE)} of {machine.cores}', _figures(row.hours)])
  return _table(['machine', 'over', 'batch', 'ms: warm-up', 'images/s a host', 'vCPUs a host', 'hours'], rows)


def tables():
  """The tables of docs/pods.md, as Markdown."""
  batches = sorted({way[3] // (way[1] if way[0] == 'data' else 1) for m in MACHINES for way in ways(m)})
  all_counts = {name: counts(name, batches) for name in SETS}
  return '\n\n'.join([
      programs_table(all_counts), parts_table(all_counts),
      *(times_table(all_counts['daas_cifar10'], machine) for machine in MACHINES),
      input_table(all_counts['daas_imagenet'])])


if __name__ == '__main__':
  print(tables())
