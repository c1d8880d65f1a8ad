"""What launch/gpu_check.sh asks of a GPU besides times: `python launch/gpu_check.py kernels|states|profile|report ...`.

cases                 the cases of states, in a line

kernels FILE          every kernel set there against 'plain' on the CPU, values and gradients, and the supernet's
states FOLDER FILE    states after the first steps of every method (tests/parallel/several.py), FOLDER/gpu and FOLDER/cpu
profile FOLDER FILE   where the time of a DAAS step goes
report FOLDER         one page of all that is in the folder
"""

import collections
import glob
import json
import os
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

from daas_jax.benchmark import cases
from daas_jax.nets import kernels

PRECISIONS = {'highest': 1e-4, 'default': 1e-2}
"""{of matrix products: relative difference that is allowed}. 'default' may round to TF32 (10 bits) on the way in."""
NET = {'highest': 5e-3, 'default': 5e-2}
"""The same of the supernet's gradient: 'fast' and 'xla' differ by 1e-3 on one CPU (a ReLU or a maximum that tips)."""
CASES = ('daas', 'ddas', 'ddas_shaken', 'ddas_boxes', 'joint_faa', 'faster_aa', 'amended_darts', 'diffautoml')
"""Of tests/parallel/several.py."""
STATE = 1e-2  # of a state's array, relative: three steps, other kernels, Adam's division by small gradients


def difference(a, b):
  """Norm of a - b over that of b; 0 where both are 0, infinite where one is not finite."""
  a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
  if not (np.isfinite(a).all() and np.isfinite(b).all()):
    return float('inf')
  return float(np.linalg.norm(a - b) / max(np.linalg.norm(b), 1e-30)) if a.any() or b.any() else 0.0


def _functions(name):
  """{kernel: (function, shapes of its arguments)} of a set."""
  k, x = kernels.KERNELS[name], (8, 16, 16, 12)
  found = {'max_pool': (k.max_pool, (x,)), 'avg_pool': (k.avg_pool, (x,)), 'batch_norm': (k.batch_norm, (x,)),
           'pointwise': (k.pointwise, (x, (12, 20))), 'conv 3x3': (k.conv, (x, (3, 3, 12, 20)))}
  for size, dilation in ((3, 1), (5, 1), (3, 2), (5, 2)):
    of = lambda x, w, dilation=dilation: k.depthwise(x, w, 1, dilation)
    found[f'depthwise {size}x{size}, dilation {dilation}'] = of, (x, (size, size, 12))
  return found


def _evaluated(name, device):
  """{kernel: (value, gradients)} of a set on a device, in one program."""
  functions = _functions(name)
  keys = jax.random.split(jax.random.key(0), 8)
  arguments = {kernel: [jax.random.normal(key, shape) for key, shape in zip(keys, shapes)]
               for kernel, (_, shapes) in functions.items()}

  def run(arguments):
    out = {}
    for kernel, (function, _) in functions.items():
      value, pull = jax.vjp(function, *arguments[kernel])
      out[kernel] = value, pull(jnp.cos(jnp.arange(value.size, dtype=value.dtype)).reshape(value.shape))
    return out

  return jax.device_get(jax.jit(run)(jax.device_put(arguments, device)))


def _supernet(name, device):
  theta, _, z, _ = cases._supernet()
  _, _, _, loss = cases._supernet(kernels=name)
  arguments = jax.device_put((theta, z[0], *cases._images(16)), device)
  return jax.device_get(jax.jit(jax.value_and_grad(loss, (0, 1)))(*arguments))


def check_kernels(file):
  """Rows (what, set, precision, relative difference, allowed)."""
  cpu, here = jax.devices('cpu')[0], jax.devices()[0]
  with jax.default_device(cpu):  # which computes in float32 whatever the precision
    wanted, gradient = _evaluated('plain', cpu), _supernet('fast', cpu)  # 'plain' takes minutes to compile
  rows = []
  for precision, allowed in PRECISIONS.items():
    with jax.default_matmul_precision(precision):
      for name in ('fast', 'xla', 'plain'):
        for kernel, got in _evaluated(name, here).items():
          worst = max(map(difference, jax.tree.leaves(got), jax.tree.leaves(wanted[kernel])))
          rows.append((kernel, name, precision, worst, allowed))
        if name != 'plain':
          flat = [np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
                  for tree in (_supernet(name, here), gradient)]
          rows.append(('supernet, loss and gradient', name, precision, difference(*flat), NET[precision]))
  _write(file, rows)


def check_states(folder, file):
  """Rows of each case's worst array."""
  rows = []
  for name in CASES:
    try:
      ours, theirs = (np.load(os.path.join(folder, where, f'{name}-samples_1.npz')) for where in ('gpu', 'cpu'))
    except OSError:
      rows.append((name, 'not there', '', float('inf'), STATE))
      continue
    of = {key: difference(ours[key], theirs[key]) for key in theirs
          if theirs[key].dtype.kind == 'f' and not key.startswith('metrics')}
    worst = max(of, key=of.get)
    rows.append((name, worst, 'highest', of[worst], STATE))
  _write(file, rows)


def _write(file, rows):
  with open(file, 'w', encoding='utf-8') as out:
    json.dump([row + (bool(row[3] <= row[4]),) for row in rows], out, indent=1)


def check_profile(folder, file):
  """Kernels of three DAAS steps (n_arch 1, n_aug 2, n_w 1: 5 passes) at batch 64 by time, and how busy the device was."""
  case = cases._policy_step(64, 'float32')
  step = jax.jit(case.function).lower(*case.arguments).compile()
  jax.block_until_ready(step(*case.arguments))
  begun = time.perf_counter()
  with jax.profiler.trace(folder):
    for _ in range(3):
      jax.block_until_ready(step(*case.arguments))
  wall = time.perf_counter() - begun
  trace, = glob.glob(os.path.join(folder, '**', '*.xplane.pb'), recursive=True)
  times, counts = collections.Counter(), collections.Counter()
  for plane in jax.profiler.ProfileData.from_file(trace).planes:
    if not plane.name.startswith('/device:'):
      continue
    for line in plane.lines:
      if line.name.startswith('Stream'):
        for event in line.events:
          times[event.name] += event.duration_ns / 1e6
          counts[event.name] += 1
  top = [(name[:80], counts[name], ms) for name, ms in times.most_common(25)]
  with open(file, 'w', encoding='utf-8') as out:
    json.dump({'wall_ms': 1e3 * wall / 3, 'busy_ms': sum(times.values()) / 3, 'kernels': sum(counts.values()) / 3,
               'top': top}, out, indent=1)


def _table(head, rows):
  lines = ['| ' + ' | '.join(map(str, row)) + ' |' for row in (head, ['---'] * len(head), *rows)]
  return '\n'.join(lines)


def report(folder):
  """FOLDER/report.md of the tables in the folder, and a verdict."""
  device = jax.devices()[0]
  parts, failed = [f'# {device.device_kind}, jax {jax.__version__}'], []
  failed += [] if device.platform == 'gpu' else [f'the device is a {device.platform}']
  for name in ('kernels', 'states'):
    path = os.path.join(folder, f'{name}.json')
    rows = json.load(open(path, encoding='utf-8')) if os.path.exists(path) else []
    failed += [f'{row[0]} ({row[1]}, {row[2]}): {row[3]:.2g}' for row in rows if not row[5]] or ([] if rows else [name])
    parts.append(f'## {name}\n\n' + _table(
        ('what', 'of', 'products', 'relative difference', 'allowed', 'held'),
        [(*row[:3], f'{row[3]:.2g}', row[4], 'yes' if row[5] else 'NO') for row in rows]))
  times = []
  for path in sorted(glob.glob(os.path.join(folder, 'times*.json'))):
    times += json.load(open(path, encoding='utf-8'))
  shown = lambda row, key, digits: '-' if row.get(key) is None else f'{row[key]:.{digits}f}'
  parts.append('## Times\n\n' + _table(
      ('case', 'kernels', 'dtype', 'batch', 'cold s', 'warm s', 'step ms', 'min', 'max', 'program MB'),
      [(row['case'], row.get('kernels', ''), row.get('dtype', ''), row['batch'],
        *(row.get('error') or shown(row, key, digits) for key, digits in (
            ('compile_cold_s', 1), ('compile_warm_s', 1), ('step_ms', 2), ('step_ms_min', 2), ('step_ms_max', 2),
            ('program_mb', 0)))) for row in times]))
  failed += [f"{row['case']}: {row['error']}" for row in times if 'error' in row] or ([] if times else ['times'])
  path = os.path.join(folder, 'profile.json')
  if os.path.exists(path):
    found = json.load(open(path, encoding='utf-8'))
    parts.append(f"## A DAAS step of 5 passes, batch 64\n\n{found['wall_ms']:.1f} ms, the device busy for "
                 f"{found['busy_ms']:.1f} ms of them, {found['kernels']:.0f} kernels.\n\n" + _table(
                     ('kernel', 'times in 3 steps', 'ms'), [(n.replace('|', ' '), c, f'{t:.2f}')
                                                            for n, c, t in found['top']]))
  else:
    failed.append('profile')
  path = os.path.join(folder, 'quickstart.txt')
  said = open(path, encoding='utf-8').read() if os.path.exists(path) else ''
  parts.append(f'## Quickstart\n\n{said.strip().splitlines()[-1] if said else "not run"}')
  failed += [] if 'quickstart: status 0' in said else ['quickstart']
  verdict = 'Everything agrees and ran.' if not failed else 'NOT held: ' + '; '.join(failed)
  with open(os.path.join(folder, 'report.md'), 'w', encoding='utf-8') as out:
    out.write('\n\n'.join([parts[0], verdict, *parts[1:]]) + '\n')
  print(verdict)
  return 1 if failed else 0


if __name__ == '__main__':
  command, *rest = sys.argv[1:]
  sys.exit({'kernels': check_kernels, 'states': check_states, 'profile': check_profile, 'report': report,
            'cases': lambda: print(*CASES)}[command](*rest))
