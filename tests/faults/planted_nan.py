"""A search on 4 devices in which a checkerboard makes somebody's gradient NaN.

As a command, `python planted_nan.py FOLDER OVER WHEN STEP ROW`: the validation image in row ROW of step STEP (from 0)
is one. With OVER 'data' the device that has it in its rows gets NaN, with 'samples', where all have it, device 2.
WHEN is "always", or "once": not when the steps are repeated. Prints why the run ended, and the checkpoints it kept.
"""

import json
import os
import sys

import jax
from jax import lax
import jax.numpy as jnp
import numpy as np

import several
from daas_jax import errors
from daas_jax.data import order, select, splits
from daas_jax.methods import problem
from daas_jax.nets import devices
from daas_jax.runtime import loop, progress
from daas_jax.search import job as job_lib


@jax.custom_vjp
def _poisoned(w, bad):
  del bad
  return w


_poisoned.defvjp(lambda w, bad: (w, bad), lambda bad, g: (jnp.where(bad, jnp.nan, g), np.zeros((), jax.dtypes.float0)))


def _planted(network, over):
  """`problem.network` whose gradient is NaN where a checkerboard is among its images."""
  class Planted:
    def __init__(self, *arguments):
      self._net = network(*arguments)
      self.init = self._net.init

    def apply(self, variables, z, images, key=None):
      steps = jnp.abs(jnp.diff(images, axis=2))
      bad = jnp.any(jnp.all((steps > 0) & (steps == steps[:, :1, :1]), (1, 2, 3)))
      bad &= (over == 'data') | (lax.axis_index(devices.AXIS) == 2)
      return self._net.apply(jax.tree.map(lambda w: _poisoned(w, bad), variables), z, images, key)

  return Planted


def main(folder, over, when, step, row):
  config = several.config_of('ddas', over, 4)
  config.log.every_steps, config.checkpoint.every_steps = 2, 2
  data = select.from_config(config)
  halves = splits.halves(data.train_labels, config.seed, 1 - config.data.val_fraction)
  rows = order.SearchOrder(halves, config.seed, config.search.batch, config.search.val_batches)(int(step))[1]
  images = np.array(data.train_images)
  images[rows[int(row)]] = 255 * (np.indices(images.shape[1:]).sum(0) % 2)  # no policy makes such a one
  right = problem.network
  problem.network = _planted(right, over)
  job = job_lib.of(config, data._replace(train_images=images))
  run_step, done = job.step, []

  def stepped(state, batch):
    out = run_step(state, batch)
    done.append(1)
    if when == 'once':  # what is traced from here on is whole
      problem.network = right
    return out

  with progress.silent() as reporter:
    try:
      loop.run(job._replace(step=stepped), folder, config, reporter)
    except errors.Diverged as error:
      kept = sorted(int(name) for name in os.listdir(os.path.join(folder, 'checkpoints')))
      print(json.dumps({'why': str(error), 'kept': kept, 'steps': len(done)}))


if __name__ == '__main__':
  main(*sys.argv[1:])
