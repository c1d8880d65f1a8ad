"""The first steps of a search, or of a training, on several devices: what tests/parallel compares.

As a command, `python several.py FOLDER CASE PLAN [PLAN ...] [--cluster COORDINATOR COUNT INDEX]`: writes the state
after `STEPS` steps, and the metrics of each, to FOLDER/CASE-PLAN.npz. A plan is OVER:DEVICES, the devices being those
of each process, or OVER:DEVICES:BUG with a mistake of `BUGS` in it.
"""

import contextlib
import os
import sys
import unittest.mock

import jax
import numpy as np

from daas_jax import config as config_lib
from daas_jax.methods import ddas, registry
from daas_jax.estimators.unrolled import update
from daas_jax.nets import devices
from daas_jax.policies import given as given_lib
from daas_jax.data import select
from daas_jax.search import job as job_lib, whole
from daas_jax.train import whole as training

STEPS = 3
LATE = 'programs that were compiled after the first step'
CELLS = ('sep_conv_3x3', 'noise')
OPS = ('Rotate', 'Equalize')
CASES = {
    'daas': {'network.layers': 1},  # as amended_darts
    'ddas': {'network.name': 'small_cnn', 'search.n_policies': 4, 'search.val_batches': 2},
    'ddas_shaken': {'network.name': 'shake_shake_26_2x32d', 'network.depth': 8, 'search.n_policies': 1},
    'ddas_boxes': {'network.name': 'anchor_free', 'network.depth': 1, 'network.width': 4, 'search.n_policies': 1,
                   'data.name': 'scenes:embedded', 'data.side': 48, 'data.objects': 3},
    'joint_faa': {'network.layers': 1},
    'faster_aa': {'network.name': 'small_cnn'},
    'amended_darts': {'search.drop_path': 0.2, 'network.edges': 'fixed', 'network.layers': 1},  # compiles in a third
    'diffautoml': {'network.name': 'shuffle', 'network.size': 'nano', 'network.kernels': 'xla'},
    'train_derived': {'genotype': 'darts_v2', 'train.accumulate': 2, 'train.ema': 0.9},
    'train_shaken': {'network.name': 'shake_shake_26_2x32d', 'network.depth': 8},
}
"""{method, or a case of it, or train_ and a word: what its config sets besides}. Between them: every method, and every
thing in a network that depends on the whole batch (moments, running averages, noise of the images, drop-path, the boxes
that a loss is divided by)."""


def _as_it_is(tree):
  """Gradients of one device go into inner products, those of its own rows alone."""
  return tree


def _averaged_late(optimizer, gradient, *rest):
  """An update by the mean over devices of what each of them made of its own rows."""
  return update(optimizer, jax.lax.psum(gradient, devices.AXIS), *rest)


def _transposed_by_jax(tree):
  """The gradient of a loss that is averaged over devices, by JAX's own transpose under pmap."""
  return jax.tree.map(devices.all_rows, tree)


BUGS = {'product_before_averaging': [(devices, 'shared', _as_it_is), (ddas, 'update', _averaged_late)],
        'averaged_loss': [(devices, 'whole', _transposed_by_jax)]}
"""{name: [(room, function in it, what it is instead), ...]}."""


def config_of(case, over='samples', count=1):
  """The config of one of `CASES`, small enough to compile in seconds."""
  if case.startswith('train_'):
    config = config_lib.train_config()
    config.genotype, config.policy, config.train.batch, config.train.epochs = 'none', 'trivial_augment', 8, 2
  else:
    config = config_lib.search_config(case if case in registry.methods() else case.split('_')[0])
  values = {'data.name': 'embedded', 'data.side': 14, 'data.n_train': 96, 'data.n_test': 50,
            'search.batch': 8, 'search.epochs': 2, 'network.layers': 3, 'network.channels': 2,
            'network.width': 2, 'network.primitives': CELLS, 'policy.ops': OPS,
            'search.n_arch': 4, 'search.n_w': 4, 'search.n_aug': 1, 'search.warmup_epochs': 0}
  for name, value in (values | CASES[case] | {'parallel.over': over, 'parallel.devices': count}).items():
    *rooms, key = name.split('.')
    room = config
    for name in rooms:
      room = room.get(name, {})
    if key in room:
      room[key] = value
  return config


def job_of(config):
  """The `loop.Job` of a config."""
  if config.kind == 'train':
    given = given_lib.find(config.policy, None)
    return training.job(config, select.from_config(config), training.architecture(config, None), given)[0]
  given = config.policy.get('name')
  return job_lib.of(config, whole.load(config), None, given_lib.find(given, None) if given else None)


def run(job):
  """{path: array} of the state after `STEPS` steps of a job and of the metrics of each; and `LATE`."""
  state, out, compiled = job.put(job.init()), {LATE: 0}, []
  jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: compiled.append(event))
  for step in range(STEPS):
    compiled.clear()
    state, metrics = job.step(state, job.batches(step))
    out[LATE] += bool(step) * sum(event.endswith('backend_compile_duration') for event in compiled)
    out |= {f'metrics.{step}.{name}': np.asarray(x) for name, x in jax.device_get(metrics).items()}
  state = job.get(state)
  leaves = jax.tree_util.tree_leaves_with_path(state._replace(key=jax.random.key_data(state.key)))
  return out | {jax.tree_util.keystr(path, simple=True, separator='.'): np.asarray(leaf) for path, leaf in leaves}


def main(folder, case, *plans):
  for plan in plans:
    over, count, *bugs = plan.split(':')
    with contextlib.ExitStack() as stack:
      for place in (place for bug in bugs for place in BUGS[bug]):
        stack.enter_context(unittest.mock.patch.object(*place))
      out = run(job_of(config_of(case, over, int(count))))
    if jax.process_index() == 0:
      np.savez(os.path.join(folder, f"{case}-{plan.replace(':', '_')}.npz"), **out)


if __name__ == '__main__':
  words = sys.argv[1:]
  if '--cluster' in words:
    at = words.index('--cluster')
    coordinator, number, index = words[at + 1:]
    words = words[:at]
    jax.distributed.initialize(coordinator, int(number), int(index))
  main(*words)
